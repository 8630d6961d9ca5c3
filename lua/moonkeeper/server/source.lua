-- SPDX-License-Identifier: MIT
-- Where in a Lua script an option is written: looks for `name =` in the text, comments and strings
-- left out. A guess good enough for error messages; nil when it is not found. Used by
-- server/config.lua. Pure.

local M = {}

local function blank(text)
  return (text:gsub("[^\n]", " "))
end

---The text with comments and strings replaced by blanks, line breaks kept.
---@param text string
---@return string
function M.mask(text)
  local parts, position = {}, 1
  local function keep(last)
    parts[#parts + 1] = text:sub(position, last)
    position = last + 1
  end
  local function hide(last)
    parts[#parts + 1] = blank(text:sub(position, last))
    position = last + 1
  end
  while position <= #text do
    local start = text:find("[%-\"'%[]", position)
    if not start then
      keep(#text)
      break
    end
    keep(start - 1)
    local level = text:match("^%-%-%[(=*)%[", start) or text:match("^%[(=*)%[", start)
    local _, quoted = text:match("^%[%s*([\"'])[%w_.]+()%1%s*%]%s*=", start)
    local quote = text:match("^[\"']", start)
    if quoted then -- ["name"] = value: the name stays
      hide(text:find("[\"']", start))
      keep(quoted - 1)
      hide((text:find("]", quoted, true)))
    elseif level then
      local _, last = text:find("]" .. level .. "]", start, true)
      hide(last or #text)
    elseif text:find("^%-%-", start) then
      hide((text:find("\n", start, true) or #text + 1) - 1)
    elseif quote then
      local last = start + 1
      while last <= #text do
        local character = text:sub(last, last)
        if character == quote or character == "\n" then
          break
        end
        last = last + (character == "\\" and 2 or 1)
      end
      hide(math.min(last, #text))
    else
      keep(start)
    end
  end
  return table.concat(parts)
end

---Line of option `name` ("limits.x": of x inside limits; "servers.2": of [2] there), or nil.
---@param masked string
---@param name string
---@return integer?
function M.line(masked, name)
  local position = 1
  local whole = masked:match("%f[%w_.]()" .. name:gsub("%p", "%%%0") .. "%f[^%w_.]%s*=[^=]")
  if whole and name:find(".", 1, true) then -- written in brackets, with its dot
    return select(2, masked:sub(1, whole):gsub("\n", "\n")) + 1
  end
  for part in name:gmatch("[^.]+") do
    local found
    local pattern = part:find("^%d+$") and "()%[%s*" .. part .. "%s*%]%s*=()" or
      "%f[%w_]()" .. part:gsub("%p", "%%%0") .. "%f[^%w_]%s*=()"
    for start, after in masked:gmatch(pattern) do
      if start >= position and masked:sub(after, after) ~= "=" then
        found = start
        break
      end
    end
    if not found then
      return nil
    end
    position = found
  end
  local _, breaks = masked:sub(1, position):gsub("\n", "\n")
  return breaks + 1
end

return M
