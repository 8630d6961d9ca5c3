-- SPDX-License-Identifier: MIT
-- What stands behind the name of a command, taken apart as the command declares it. Used by
-- cli/main.lua for every command, so that all of them understand --help, -- and --name=value alike.

local nearest = require "moonkeeper.server.nearest"

local M = {}

---@class cli.positional
---@field name string as in the usage, such as "FILE"
---@field key string its name in the result
---@field optional boolean?
---@field many boolean? the last one may be repeated, and gives a list

---@class cli.option
---@field key string its name in the result
---@field value string? what it wants, such as "name=value"; it may be repeated, and gives a list
---@field pattern string? of what it wants

---True if help is asked for, wherever that stands.
---@param arguments string[]
---@return boolean
function M.wants_help(arguments)
  for _, argument in ipairs(arguments) do
    if argument == "--help" or argument == "-h" then
      return true
    elseif argument == "--" then
      return false
    end
  end
  return false
end

local function unknown_option(name, options)
  local names = { "--help" }
  for known in pairs(options) do
    names[#names + 1] = known
  end
  table.sort(names)
  return ("there is no option %s%s"):format(name, nearest.hint(name, names))
end

-- The option at arguments[index] into `parsed`: the index of what follows, or nil and a message.
local function take_option(parsed, options, arguments, index)
  local argument = arguments[index]
  local name, value = argument:match "^(%-%-[^=]+)=(.*)$"
  local option = options[name or argument]
  if not option then
    return nil, unknown_option(name or argument, options)
  elseif not option.value then
    if value then
      return nil, name .. " takes no value"
    end
    parsed[option.key] = true
    return index + 1
  end
  if not value then
    index = index + 1
    value = arguments[index]
  end
  if not value or not value:find(option.pattern) then
    return nil, ("%s wants %s%s"):format(name or argument, option.value,
      value and ", not " .. ("%q"):format(value) or "")
  end
  table.insert(parsed[option.key], value)
  return index + 1
end

-- A message when it is too many or empty.
local function take_positional(parsed, positionals, count, argument)
  local last = positionals[#positionals]
  local positional = positionals[count] or last and last.many and last
  if not positional then
    return last and ("%s is the last argument, there can be no %s"):format(last.name, argument)
      or "it takes no arguments, but here is " .. argument
  elseif argument == "" then
    return positional.name .. " is empty"
  elseif positional.many then
    parsed[positional.key] = parsed[positional.key] or {}
    table.insert(parsed[positional.key], argument)
    return
  end
  parsed[positional.key] = argument
end

---@param arguments string[]
---@param command { options: table<string, cli.option>?, positionals: cli.positional[]? }
---@return table? parsed nil when they are not as declared
---@return string? message
function M.parse(arguments, command)
  local options, positionals = command.options or {}, command.positionals or {}
  local parsed = {}
  for _, option in pairs(options) do
    parsed[option.key] = option.value and {} or false
  end
  local index, count, only_positionals = 1, 0, false
  while index <= #arguments do
    local argument, message = arguments[index], nil
    if argument == "--" and not only_positionals then
      only_positionals, index = true, index + 1
    elseif argument:find "^%-." and not only_positionals then
      index, message = take_option(parsed, options, arguments, index)
    else
      count, index = count + 1, index + 1
      message = take_positional(parsed, positionals, count, argument)
    end
    if message then
      return nil, message
    end
  end
  local missing = positionals[count + 1]
  if missing and not missing.optional then
    return nil, missing.name .. " is missing"
  end
  return parsed
end

return M
