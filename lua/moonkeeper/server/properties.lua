-- SPDX-License-Identifier: MIT
-- The syntax of Java properties files, in which a zoo.cfg is written: comments begin with # or !,
-- a backslash at the end joins lines, key and value are parted by = or : or blanks, and
-- backslash escapes work in both. Used by server/zoo_cfg.lua. Pure, and total: every text
-- parses; what looks wrong is reported by line.

local M = {}

local simple <const> = { t = "\t", n = "\n", r = "\r", f = "\f" }

-- Logical lines: { text, number of the first natural line }.
local function logical_lines(text)
  local lines, pending, start = {}, nil, nil
  local number = 0
  for line in (text:gsub("\r\n?", "\n") .. "\n"):gmatch("([^\n]*)\n") do
    number = number + 1
    line = line:gsub("^[ \t\f]+", "")
    if pending or not (line == "" or line:find("^[#!]")) then
      local slashes = #line:match("\\*$")
      local joined = slashes % 2 == 1
      if joined then
        line = line:sub(1, -2)
      end
      pending, start = (pending or "") .. line, start or number
      if not joined then
        lines[#lines + 1] = { pending, start }
        pending, start = nil, nil
      end
    end
  end
  if pending then
    lines[#lines + 1] = { pending, start }
  end
  return lines
end

-- Undoes escapes. Returns nil when \u is not followed by four hex digits.
local function unescape(text)
  local high
  local bad = false
  local plain = text:gsub("\\(.)(%x?%x?%x?%x?)", function(character, digits)
    if character ~= "u" then
      high = nil
      return (simple[character] or character) .. digits
    elseif #digits ~= 4 then
      bad = true
      return ""
    end
    local unit = tonumber(digits, 16)
    if unit >= 0xd800 and unit < 0xdc00 then
      high = unit
      return ""
    elseif unit >= 0xdc00 and unit < 0xe000 then
      local whole = high and 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00)
      high = nil
      return whole and utf8.char(whole) or "?"
    end
    high = nil
    return utf8.char(unit)
  end)
  if bad then
    return nil
  end
  return plain
end

-- Where the key ends: the first =, : or blank that is not escaped.
local function split(line)
  local position = 1
  while position <= #line do
    local character = line:sub(position, position)
    if character == "\\" then
      position = position + 1
    elseif character:find("[=: \t\f]") then
      break
    end
    position = position + 1
  end
  local value = line:sub(position):gsub("^[ \t\f]+", "")
  value = value:gsub("^[=:]", "", 1):gsub("^[ \t\f]+", "")
  return line:sub(1, position - 1), value
end

---Parses a properties file.
---@param text string
---@return { key: string, value: string, line: integer }[] entries in the order of the file, values
---  trimmed
---@return { line: integer, text: string }[] problems
function M.parse(text)
  local entries, problems = {}, {}
  for _, item in ipairs(logical_lines(text)) do
    local raw_key, raw_value = split(item[1])
    local key, value = unescape(raw_key), unescape(raw_value)
    if key and value then
      entries[#entries + 1] = { key = key, value = value:match("^%s*(.-)%s*$"), line = item[2] }
    else
      problems[#problems + 1] = { line = item[2], text = "\\u must be followed by four hex digits" }
    end
  end
  return entries, problems
end

return M
