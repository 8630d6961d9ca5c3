-- SPDX-License-Identifier: MIT
-- From a file to a checked configuration: runs a Lua script (or reads a zoo.cfg), lays `--set`
-- over it, and checks everything against schema/options.lua. All problems are reported at once,
-- each with file, line as far as it can be found, the value seen and what it must be. Nothing
-- is ever guessed: a file with a problem starts nothing.

local check = require "moonkeeper.server.check"
local members = require "moonkeeper.server.members"
local nearest = require "moonkeeper.server.nearest"
local options = require "moonkeeper.schema.options"
local script = require "moonkeeper.server.script"
local source = require "moonkeeper.server.source"
local zoo_cfg = require "moonkeeper.server.zoo_cfg"

local M = {}

---@class moonkeeper.Problem
---@field file string
---@field line integer?
---@field text string

---@class moonkeeper.Config
---@field values table<string, any> every option by its full name ("limits.lua_memory_bytes"),
---  defaults included
---@field notes string[] lines the operator should see
---@field file string
---@field kind "lua"|"zoo.cfg"

local Problems = {}
Problems.__index = Problems

function Problems:add(where, line, format, ...)
  self[#self + 1] = { file = where, line = line, text = check.printable(format:format(...)) }
end

---One line per problem, in the order of lines: "file:12: what is wrong".
---@param problems moonkeeper.Problem[]
---@return string
function M.format(problems)
  local order = {}
  for index, problem in ipairs(problems) do
    order[index] = { problem, index }
  end
  table.sort(order, function(a, b)
    local a_line, b_line = a[1].line or 0, b[1].line or 0
    if a_line ~= b_line then
      return a_line < b_line
    end
    return a[2] < b[2]
  end)
  local lines = {}
  for index, item in ipairs(order) do
    local problem = item[1]
    local place = problem.line and ("%s:%d"):format(problem.file, problem.line) or problem.file
    lines[index] = place .. ": " .. problem.text
  end
  return table.concat(lines, "\n")
end

local option_names = {}
for _, row in ipairs(options.list) do
  option_names[#option_names + 1] = row.name
end
table.sort(option_names)

-- A hint for a key that is no option: the nearest one, also when it is written as in a zoo.cfg.
local function unknown_hint(name)
  local row = options.by_zoo_key[name]
  if row then
    return ", did you mean " .. row.name .. "? (" .. name .. " is its name in a zoo.cfg)"
  end
  return nearest.hint(name, option_names)
end

-- Whether the value of an option, known or not, may be a password.
local function is_secret(name)
  local lower = name:lower()
  for _, part in ipairs { "pass", "super", "secret" } do
    if lower:find(part, 1, true) then
      return true
    end
  end
  return false
end

-- Lays nested tables out flat: limits = { x = 1 } becomes "limits.x" = 1.
local function flatten(raw, problems, place)
  local flat = {}
  for _, key in ipairs(check.sorted_keys(raw)) do
    local value = raw[key]
    if type(key) ~= "string" then
      problems:add(place.file, nil, "the table has the key %s, but options have names",
        check.show(key))
    elseif key == "limits" then
      if type(value) ~= "table" then
        problems:add(place.file, place.line(key), "limits is %s, but must be a table of limits",
          check.show(value))
      else
        for inner, limit in pairs(value) do
          flat["limits." .. tostring(inner)] = limit
        end
      end
    elseif key:find("^limits%.") then
      problems:add(place.file, place.line(key),
        "%s is written in the table limits: limits = { %s = ... }", check.name(key),
        check.name(key:match("%.(.*)")))
    else
      flat[key] = value
    end
  end
  return flat
end

local function report_unknown(flat, problems, place)
  for _, name in ipairs(check.sorted_keys(flat)) do
    local row = options.by_name[name]
    if options.later[name] then
      problems:add(place.file_of(name), place.line(name),
        "%s are not supported by this version, take the option %s out", options.later[name], name)
    elseif not row then
      problems:add(place.file_of(name), place.line(name), "there is no option %s (value %s)%s",
        check.name(name), is_secret(name) and "not shown" or check.show(flat[name]),
        unknown_hint(name))
    end
  end
end

-- The address that a member says its clients use must be one that it listens on. When nothing else
-- is said, it is that one.
local function check_client(values, flat, own, complain, place)
  local client = own.client ~= "" and check.address(own.client)
  if not client then
    return
  elseif flat.client_address == nil then
    values.client_address = { client }
    return
  end
  for _, address in ipairs(values.client_address or {}) do
    if address.port == client.port or address.port == 0 then
      return
    end
  end
  local name = "servers." .. own.id
  complain(name, "%s has the client address %s, whose port is not in client_address",
    place.label(name), own.client)
end

-- What must be right of the other options when there are several members.
local function check_ensemble(values, flat, complain, place)
  local list = values.servers
  if not list or #list < 2 then
    return
  end
  local ids = members.enumerate(members.ids(list))
  local own = values.id and members.find(list, values.id)
  local missing = flat.id == nil and place.id_missing(ids)
  if missing then
    complain("id", "%s", missing)
  elseif flat.id == nil then
    return -- what was found instead is said
  elseif values.id and not own then
    complain("id", "%s is %d, but the servers are %s", place.label("id"), values.id, ids)
  elseif own then
    check_client(values, flat, own, complain, place)
  end
  if values.memory_only then
    complain("memory_only", "memory_only is true, but a member of an ensemble must keep what it "
      .. "acknowledged: the others count on it")
  end
  if values.reconfig_enabled then
    complain("reconfig_enabled", "%s is true, but this version cannot change the members of an "
      .. "ensemble while it runs: say false on all of them", place.label("reconfig_enabled"))
  end
end

-- Impossible combinations. What is wrong by itself is not in `values`.
local function check_together(values, flat, problems, place)
  local function complain(name, format, ...)
    problems:add(place.file_of(name), place.line(name), format, ...)
  end
  local low, high = values.session_timeout_min_ms, values.session_timeout_max_ms
  if low and high and low > high then
    local name = place.line("session_timeout_min_ms") and "session_timeout_min_ms" or
      "session_timeout_max_ms"
    complain(name, "%s is %d, more than %s, which is %d: no session could be opened",
      place.label("session_timeout_min_ms"), low, place.label("session_timeout_max_ms"), high)
  end
  local pause, close = values.output_pause_bytes, values.output_close_bytes
  if pause and close and pause > close then
    complain("output_pause_bytes",
      "output_pause_bytes is %d, more than output_close_bytes, which is %d", pause, close)
  end
  local frame = values.frame_bytes_max
  if frame and close and frame > close then
    complain("output_close_bytes", "%s is %d, more than output_close_bytes, which is %d: the "
      .. "reply with such a node would close its connection", place.label("frame_bytes_max"), frame,
      close)
  end
  local total = values.buffers_total_bytes
  if frame and total and 8 * frame > total then
    local name = place.line("buffers_total_bytes") and "buffers_total_bytes" or "frame_bytes_max"
    complain(name, "%s is %d, but must be at least 8 * %s, which is %d: a few requests of that " ..
      "size would close each other's connections", place.label("buffers_total_bytes"), total,
      place.label("frame_bytes_max"), 8 * frame)
  end
  check_ensemble(values, flat, complain, place)
  if #problems == 0 and not values.data_dir and not values.memory_only then
    complain("data_dir", "%s is missing: where shall the data be kept?", place.label("data_dir"))
  end
end

-- Checks each option and fills in defaults.
local function check_values(flat, problems, place, context)
  local values = {}
  for _, row in ipairs(options.list) do
    local name = row.name
    local value = flat[name]
    if value ~= nil and row.type == "servers" then
      values[name] = members.check(value, function(id, format, ...)
        local about = id and name .. "." .. id or name
        problems:add(place.file_of(about), place.line(about) or place.line(name),
          (format:sub(1, 1) == "." and "%s" or "%s ") .. format, place.label(about), ...)
      end)
    elseif value ~= nil then
      local good, wish = check[row.type](value, row, context)
      if good == nil then
        local shown = row.secret and "not of the right form: it is " .. check.show_digest(value) or
          check.show(value)
        problems:add(place.file_of(name), place.line(name), "%s is %s, but %s", place.label(name),
          shown, wish)
      else
        values[name] = good
      end
    elseif row.default ~= nil then
      values[name] = check[row.type](row.default, row, context)
    end
  end
  for _, row in ipairs(options.list) do
    if row.derive and flat[row.name] == nil then
      values[row.name] = row.derive(values)
    end
  end
  return values
end

-- What is allowed, but must not be left on by accident: a line each.
local function warnings(values, place)
  local lines = {}
  for _, row in ipairs(options.list) do
    if row.warning and values[row.name] == row.warning[1] then
      local line = place.line(row.name)
      local where = place.file_of(row.name) .. (line and ":" .. line or "")
      lines[#lines + 1] = ("%s: WARNING: %s is %s: %s"):format(where, place.label(row.name),
        check.show(row.warning[1]), row.warning[2])
    end
  end
  if #(values.servers or {}) > 1 then
    local line = place.line("servers")
    local where = place.file_of("servers") .. (line and ":" .. line or "")
    for _, text in ipairs(members.warnings(values.servers)) do
      lines[#lines + 1] = ("%s: WARNING: %s"):format(where, text)
    end
  end
  return lines
end

-- The value of a Lua expression without variables, or nil.
local function literal(text)
  local chunk = load("return " .. text, "=value", "t", {})
  local good, value = pcall(chunk or error)
  if good then
    return value
  end
  return nil
end

-- "--set name=value": the text as a value of the option's type.
local function parse_override(text, row)
  local kind = row and row.type
  if kind == "string" or kind == "enum" then
    return text:match("^[\"'](.*)[\"']$") or text
  elseif kind == "addresses" then
    return text:find("^%s*[{\"']") and literal(text) or text
  end
  local value = literal(text)
  if value ~= nil then
    return value
  elseif kind == "words" and text ~= "*" then
    local words = {}
    for word in text:gmatch("[^,%s]+") do
      words[#words + 1] = word
    end
    return words
  end
  return text
end

-- Returns where each overridden option came from.
local function apply_overrides(flat, overrides, problems)
  local origin = {}
  for _, override in ipairs(overrides or {}) do
    local name, text = override:match("^([%w_.]+)=(.*)$")
    if not name then
      problems:add("--set " .. override, nil, "must be --set name=value")
    else
      origin[name] = "--set " .. (is_secret(name) and name .. "=..." or override)
      flat[name] = parse_override(text, options.by_name[name])
    end
  end
  return origin
end

---Checks what a script returned or a zoo.cfg said.
---@param raw table
---@param context { file: string, words: string[], overrides: string[]?, line: fun(name: string):
---  integer?, label: (fun(name: string): string)?, files: table<string, string>?,
---  id_missing: (fun(ids: string): string|false)? } `files`: of names that stand in another file
---@return table? values by full name
---@return moonkeeper.Problem[] problems empty when there are values
---@return string[]? warnings lines about values that are dangerous
function M.check(raw, context)
  local problems = setmetatable({}, Problems)
  local place = { file = context.file, line = context.line, label = context.label }
  place.label = place.label or function(name)
    return (name:gsub("^servers%.(%d+)$", "servers[%1]"))
  end
  place.id_missing = context.id_missing or function(ids)
    return "id is missing: which of the servers " .. ids .. " is this one?"
  end
  local flat = flatten(raw, problems, place)
  local origin = apply_overrides(flat, context.overrides, problems)
  function place.file_of(name)
    return origin[name:match("^[^.]+")] or origin[name] or
      context.files and context.files[name] or context.file
  end
  function place.line(name)
    return not (origin[name:match("^[^.]+")] or origin[name]) and context.line(name) or nil
  end
  report_unknown(flat, problems, place)
  local words = { table.unpack(context.words) }
  if type(flat.commands) == "table" then
    for _, name in ipairs(check.sorted_keys(flat.commands)) do
      words[#words + 1] = name
    end
  end
  local values = check_values(flat, problems, place, { words = words })
  check_together(values, flat, problems, place)
  if #problems > 0 then
    return nil, problems
  end
  return values, problems, warnings(values, place)
end

local function read_file(path)
  local file, message = io.open(path, "rb")
  if not file then
    return nil, (message:gsub("^" .. path:gsub("%p", "%%%0") .. ": ", ""))
  end
  local text, why = file:read("a")
  file:close()
  if not text then
    return nil, why
  end
  return text
end

local function one_problem(path, line, text)
  return setmetatable({ { file = path, line = math.tointeger(line), text =
    check.printable(text) } }, Problems)
end

local function add_memory_note(notes, values, path)
  local directory = values.data_dir or values.data_log_dir
  if values.memory_only and directory then
    notes[#notes + 1] = ("%s: memory_only is true: %s is not used, all is lost when the server "
      .. "stops"):format(path, directory)
  end
end

local function load_lua(path, text, context)
  local raw, message, line = script.run(path, text)
  if not raw then
    return nil, one_problem(path, line, message)
  end
  local masked = source.mask(text)
  local values, problems, notes = M.check(raw, {
    file = path,
    words = context.words,
    overrides = context.overrides,
    line = function(name)
      return source.line(masked, name)
    end,
  })
  if not values then
    return nil, problems
  end
  if values.servers and #values.servers == 1 then
    notes[#notes + 1] = path .. ": servers names one member: ignored, a single server needs no list"
  end
  add_memory_note(notes, values, path)
  return { values = values, notes = notes, file = path, kind = "lua" }
end

-- Without those about an option that --set changed.
local function notes_in_force(zoo, overrides)
  local changed = {}
  for _, override in ipairs(overrides or {}) do
    changed[override:match("^[^=]*")] = true
  end
  local notes = {}
  for index, note in ipairs(zoo.notes) do
    if not changed[zoo.about[index]] then
      notes[#notes + 1] = note
    end
  end
  return notes
end

-- The number that --set gives an option, or nil.
local function override_of(name, overrides)
  local found
  for _, override in ipairs(overrides or {}) do
    local text = override:match("^" .. name .. "=(%d+)$")
    found = text and math.tointeger(tonumber(text)) or found
  end
  return found
end

local function load_zoo(path, text, context)
  local zoo = zoo_cfg.read(text, path, { words = context.words, read_file = context.read_file or
    read_file, id = override_of("id", context.overrides) })
  local problems = setmetatable(zoo.problems, Problems)
  local values, more, warned = M.check(zoo.values, {
    file = path,
    words = context.words,
    overrides = context.overrides,
    line = function(name)
      return zoo.lines[name]
    end,
    label = zoo.label,
    files = zoo.files,
    id_missing = zoo.id_missing,
  })
  for _, problem in ipairs(more) do
    problems[#problems + 1] = problem
  end
  if #problems > 0 then
    return nil, problems
  end
  if values.servers then
    values.servers.version = zoo.members_version
  end
  local notes = notes_in_force(zoo, context.overrides)
  table.move(warned or {}, 1, #(warned or {}), #notes + 1, notes)
  if values.servers and #values.servers == 1 then
    notes[#notes + 1] = ("%s:%d: server.%d: ignored, as Apache does: a single server needs no list")
      :format(zoo.files.servers or path, zoo.lines.servers, values.servers[1].id)
  end
  add_memory_note(notes, values, path)
  return { values = values, notes = notes, file = path, kind = "zoo.cfg" }
end

---True for a zoo.cfg: by its name (.lua or .cfg), or else when its first line that says something
---looks like a property.
---@param path string
---@param text string
---@return boolean
function M.is_zoo_cfg(path, text)
  if path:find("%.lua$") then
    return false
  elseif path:find("%.cfg[%w.]*$") or path:find("%.properties$") then
    return true
  end
  for line in text:gmatch("[^\n]+") do
    if line:find("^%s*[#!]") and not line:find("^#!") then
      return true
    elseif line:find("^%s*[%w.]+%s*=") then
      return true
    elseif line:find("%S") and not line:find("^#!") then
      return false
    end
  end
  return false
end

-- Why a file cannot be read, and what to do.
local function unreadable(message)
  if message == "Is a directory" then
    return "this is a directory; moonkeeper run takes a Lua script or a zoo.cfg"
  elseif message == "No such file or directory" then
    return "there is no such file; moonkeeper run takes a Lua script or a zoo.cfg"
  end
  return "cannot be read: " .. message
end

---Loads and checks a configuration file.
---@param path string
---@param context { words: string[], overrides: string[]?, read_bundled: (fun(path: string):
---  string?)? } `words`: the four-letter words there are; `read_bundled`: where else to look
---@return moonkeeper.Config? config
---@return moonkeeper.Problem[]? problems
function M.load(path, context)
  local text, message = read_file(path)
  if not text and context.read_bundled then
    text = context.read_bundled(path)
  end
  if not text then
    return nil, one_problem(path, nil, unreadable(message))
  end
  if M.is_zoo_cfg(path, text) then
    return load_zoo(path, text, context)
  end
  return load_lua(path, text, context)
end

return M
