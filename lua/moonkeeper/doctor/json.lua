-- SPDX-License-Identifier: MIT
-- Writes a table as JSON, keys sorted, so that the same state gives the same text. Only what
-- `moonkeeper doctor --json` needs: texts, integers, booleans, objects, and lists, which say so by
-- a field array = true. Pure.

local M = {}

local escapes <const> = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r",
  ["\t"] = "\\t" }

local function escape(character)
  return escapes[character] or ("\\u%04x"):format(character:byte())
end

-- What a server sent may be no UTF-8 at all.
local function text(value)
  if not utf8.len(value) then
    value = value:gsub("[\x80-\xff]", "?")
  end
  return '"' .. value:gsub('[%c"\\]', escape) .. '"'
end

---@param value table|string|integer|boolean
---@param indent string? of the line that it stands on
---@return string
function M.encode(value, indent)
  if type(value) == "string" then
    return text(value)
  elseif type(value) ~= "table" then
    return tostring(value)
  end
  local inner, parts = (indent or "") .. "  ", {}
  if value.array then
    for index, item in ipairs(value) do
      parts[index] = inner .. M.encode(item, inner)
    end
  else
    for key, item in pairs(value) do
      parts[#parts + 1] = inner .. text(key) .. ": " .. M.encode(item, inner)
    end
    table.sort(parts)
  end
  local open, close = value.array and "[" or "{", value.array and "]" or "}"
  if #parts == 0 then
    return open .. close
  end
  return open .. "\n" .. table.concat(parts, ",\n") .. "\n" .. (indent or "") .. close
end

return M
