-- SPDX-License-Identifier: MIT
-- One checker per type of option: value in, checked value out, or nil and what it must be. They
-- know the schema row and nothing of files and lines; server/config.lua calls them.

local nearest = require "moonkeeper.server.nearest"

local M = {}

-- What a terminal would obey instead of showing: control bytes, and those of 8-bit terminals as
-- UTF-8 has them.
local function escape_byte(character)
  return (character:gsub(".", function(byte)
    return ("\\x%02x"):format(byte:byte())
  end))
end

---A line of text for a log or a terminal: control bytes written out.
---@param text string
---@return string
function M.printable(text)
  return (text:gsub("%c", escape_byte):gsub("\xc2[\x80-\x9f]", escape_byte))
end

---A name out of a file in an error message: short, on one line.
---@param name string
---@return string
function M.name(name)
  return M.printable(#name > 60 and name:sub(1, 57) .. "..." or name)
end

---The keys of a table from a script, whatever they are, in the order of their texts.
---@param map table
---@return any[]
function M.sorted_keys(map)
  local keys = {}
  for key in pairs(map) do
    keys[#keys + 1] = key
  end
  table.sort(keys, function(a, b)
    return tostring(a) < tostring(b)
  end)
  return keys
end

---A value in an error message: short, on one line.
---@param value any
---@return string
function M.show(value)
  local kind = type(value)
  if kind == "string" then
    local text = #value > 60 and value:sub(1, 57) .. "..." or value
    text = text:gsub('[%c"\\]', function(character)
      return ("\\x%02x"):format(character:byte())
    end)
    return '"' .. text .. '"'
  elseif kind == "number" or kind == "boolean" or kind == "nil" then
    return tostring(value)
  end
  return "a " .. kind
end

---What may be said of a password's digest that is not of the right form: the user at most.
---@param value any
---@return string
function M.show_digest(value)
  if type(value) ~= "string" then
    return "a " .. type(value)
  end
  local user, digest = value:match("^([%w_.@-]+):(.*)$")
  if not user or #user > 40 then
    return ("a text of %d characters"):format(#value)
  end
  return ('"%s:" and %d characters'):format(user, #digest)
end

local function with_unit(row)
  return row.unit and (" (" .. row.unit .. ")") or ""
end

---@param value any
---@param row table of the schema
---@return string? good nil when it is not
---@return string? wish what it must be: "must be ..."
function M.string(value, row)
  if type(value) ~= "string" then
    return nil, "must be a string"
  elseif value == "" or value:find("\0", 1, true) then
    return nil, "must be a string that is not empty and has no zero byte"
  elseif row.pattern and not value:find(row.pattern) then
    return nil, "must be " .. row.pattern_text
  end
  return value
end

---@param value any
---@param row table of the schema
---@return integer? good nil when it is not
---@return string? wish what it must be: "must be ..."
function M.integer(value, row)
  local number = type(value) == "number" and math.tointeger(value) or nil
  local range = row.min and (" from %d to %d"):format(row.min, row.max) or ""
  if not number or number < (row.min or number) or number > (row.max or number) then
    local quoted = type(value) == "string" and math.tointeger(tonumber(value))
    return nil, "must be an integer" .. range .. with_unit(row) ..
      (quoted and ", without quotes" or "")
  end
  if row.check then
    local good, wish = row.check(number)
    if not good then
      return nil, wish
    end
  end
  return number
end

---@param value any
---@return boolean? good nil when it is not
---@return string? wish what it must be: "must be ..."
function M.boolean(value)
  if type(value) ~= "boolean" then
    return nil, "must be true or false"
  end
  return value
end

---@param value any
---@param row table of the schema
---@return string? good nil when it is not
---@return string? wish what it must be: "must be ..."
function M.enum(value, row)
  for _, allowed in ipairs(row.values) do
    if value == allowed then
      return value
    end
  end
  local hint = type(value) == "string" and nearest.hint(value, row.values) or ""
  return nil, "must be one of " .. table.concat(row.values, ", ") .. hint
end

local ADDRESS_WISH <const> = 'must be "host:port" or "[v6 address]:port", or a list of them'

---@param text string
---@return table? address { host, port }
---@return string? wish
function M.address(text)
  if type(text) ~= "string" then
    return nil, ADDRESS_WISH
  end
  local host, port = text:match("^%[([%x:.]+%%?[%w_.-]*)%]:(%d+)$")
  if not host then
    host, port = text:match("^([%w_.-]+):(%d+)$")
  end
  if not host or #host > 255 then
    return nil, ADDRESS_WISH
  elseif #port > 5 or tonumber(port) > 65535 then
    return nil, "must have a port from 0 to 65535"
  end
  return { host = host, port = math.tointeger(tonumber(port)) }
end

---@param value any
---@return { host: string, port: integer }[]? good nil when it is not
---@return string? wish what it must be: "must be ..."
function M.addresses(value)
  local list = type(value) == "table" and value or { value }
  local addresses, seen = {}, {}
  for index, text in ipairs(list) do
    local address, wish = M.address(text)
    if not address then
      return nil, wish
    end
    if seen[text] and address.port ~= 0 then
      return nil, "must not name " .. text .. " twice"
    end
    seen[text] = true
    addresses[index] = address
  end
  for key in pairs(list) do
    if math.type(key) ~= "integer" or key < 1 or key > #addresses then
      return nil, ADDRESS_WISH
    end
  end
  if #addresses == 0 or #addresses > 64 then
    return nil, "must name 1 to 64 addresses"
  end
  return addresses
end

---`context.words` are the words that exist.
---@param value any
---@param context { words: string[] }
---@return string[]|"*"? good nil when it is not
---@return string? wish what it must be: "must be ..."
function M.words(value, _, context)
  if value == "*" then
    return "*"
  end
  local wish = 'must be a list of four-letter words, or "*"'
  if type(value) ~= "table" then
    return nil, wish
  end
  local known = {}
  for _, word in ipairs(context.words) do
    known[word] = true
  end
  local words = {}
  for key, word in pairs(value) do
    if math.type(key) ~= "integer" or type(word) ~= "string" then
      return nil, wish
    elseif not known[word] then
      return nil, wish .. ": there is no word " .. M.show(word) .. nearest.hint(word, context.words)
    end
    words[#words + 1] = word
  end
  table.sort(words)
  return words
end

---@param value any
---@return table<string, function>? good nil when it is not
---@return string? wish what it must be: "must be ..."
function M.commands(value)
  local wish = "must be a table of functions by name, each name four lower-case letters"
  if type(value) ~= "table" then
    return nil, wish
  end
  for _, name in ipairs(M.sorted_keys(value)) do
    local run = value[name]
    if type(name) ~= "string" or not name:find("^%l%l%l%l$") then
      return nil, wish .. ", not " .. M.show(name)
    elseif type(run) ~= "function" then
      return nil, wish .. ": " .. name .. " is " .. M.show(run)
    end
  end
  return value
end

return M
