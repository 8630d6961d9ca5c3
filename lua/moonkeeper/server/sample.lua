-- SPDX-License-Identifier: MIT
-- Writes the commented sample of a server script from the option schema: every option once, with
-- its default. `moonkeeper help options` prints it; server-scripts/moonkeeper.conf.lua is a copy
-- that a spec keeps up to date. Pure.

local options = require "moonkeeper.schema.options"

local M = {}

local WIDTH <const> = 96

---Breaks a text into lines of at most 96 columns that begin with `indent`.
---@param text string
---@param indent string
---@param lines string[] to append to
function M.wrap(text, indent, lines)
  local line = ""
  for word in text:gmatch("%S+") do
    if #indent + #line + 1 + #word > WIDTH then
      lines[#lines + 1] = indent .. line
      line = word
    else
      line = line == "" and word or line .. " " .. word
    end
  end
  lines[#lines + 1] = indent .. line
end

-- 67108864 as 64 * 2 ^ 20 is easier to read, but 2 ^ 20 is a float in Lua: a shift is not.
local function integer(value)
  for _, unit in ipairs { { 30, 1 << 30 }, { 20, 1 << 20 } } do
    if value ~= 0 and value % unit[2] == 0 then
      local count = value // unit[2]
      return count == 1 and ("1 << %d"):format(unit[1]) or ("%d << %d"):format(count, unit[1])
    end
  end
  return tostring(value)
end

---A value as a script writes it.
---@param value any
---@return string
function M.literal(value)
  if math.type(value) == "integer" then
    return integer(value)
  elseif type(value) == "string" then
    return ("%q"):format(value)
  elseif type(value) ~= "table" then
    return tostring(value)
  end
  local parts = {}
  for index, item in ipairs(value) do
    parts[index] = M.literal(item)
  end
  for key, code in pairs(value) do -- an example has one such entry at most
    if type(key) == "string" then
      parts[#parts + 1] = key .. " = " .. code
    end
  end
  return "{ " .. table.concat(parts, ", ") .. " }"
end

-- Limits that are only there because a number must fit somewhere say nothing to a reader.
local HUGE <const> = (1 << 31) - 1

---The range of an integer as a sentence, or "".
---@param row table of the schema
---@return string
function M.range(row)
  if not row.max then
    return ""
  end
  local unit = row.unit and " (" .. row.unit .. ")" or ""
  if row.max < HUGE then
    return ("From %s to %s%s."):format(integer(row.min), integer(row.max), unit)
  elseif row.min > 1 then
    return ("At least %s%s."):format(integer(row.min), unit)
  end
  return row.unit and ("In %s."):format(row.unit) or ""
end

local function facts(row)
  local parts = {}
  if row.type == "enum" then
    parts[1] = "One of " .. table.concat(row.values, ", ") .. "."
  elseif row.min then
    parts[1] = M.range(row)
  end
  if row.default_text and row.example then
    parts[#parts + 1] = "Default: " .. row.default_text .. "."
  end
  return table.concat(parts, " ")
end

-- These two are in the sample without -- in front.
local SHOWN <const> = { data_dir = true, client_address = true }

local function add_option(row, indent, lines)
  local name = row.name:match("[^.]+$")
  local extra = facts(row)
  M.wrap(row.doc .. (extra ~= "" and " " .. extra or ""), indent .. "-- ", lines)
  local value = row.default
  if value == nil then
    value = row.example
  end
  local code = value ~= nil and M.literal(value) or row.example_code or row.default_text
  local off = SHOWN[row.name] and "" or "-- "
  local note = off ~= "" and row.default == nil and
    (row.example ~= nil or row.example_code) and " -- an example" or ""
  lines[#lines + 1] = ("%s%s%s = %s,%s"):format(indent, off, name, code, note)
end

-- Options of a table in the table ("limits.x") are written together behind the others.
local function add_section(section, lines)
  lines[#lines + 1] = ""
  local rule = ("-"):rep(WIDTH - 6 - #section.title)
  lines[#lines + 1] = ("  -- %s %s"):format(section.title, rule)
  local nested, order = {}, {}
  for _, row in ipairs(section) do
    local group = row.name:match("^([^.]+)%.")
    if group and not nested[group] then
      nested[group] = {}
      order[#order + 1] = group
    end
    if group then
      table.insert(nested[group], row)
    else
      lines[#lines + 1] = ""
      add_option(row, "  ", lines)
    end
  end
  for _, group in ipairs(order) do
    lines[#lines + 1] = ""
    lines[#lines + 1] = "  " .. group .. " = {"
    for index, row in ipairs(nested[group]) do
      if index > 1 then
        lines[#lines + 1] = ""
      end
      add_option(row, "    ", lines)
    end
    lines[#lines + 1] = "  },"
  end
end

---The sample as text.
---@return string
function M.text()
  local lines = {
    "-- SPDX-License-Identifier: MIT",
    "-- A server script is a Lua program that returns a table of options. Here is every option;",
    "-- what is behind -- holds anyway, unless it is called an example. Copy this file, change",
    "-- what you need, delete the rest, and start it: moonkeeper run FILE. A misspelt or",
    "-- impossible option stops the start and names its line. `moonkeeper help options` prints",
    "-- this text.",
    "return {",
  }
  for _, section in ipairs(options.sections) do
    add_section(section, lines)
  end
  lines[#lines + 1] = "}"
  return table.concat(lines, "\n") .. "\n"
end

return M
