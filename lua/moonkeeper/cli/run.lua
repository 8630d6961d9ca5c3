-- SPDX-License-Identifier: MIT
-- moonkeeper run FILE [--set name=value ...] [--check]

local commands = require "moonkeeper.server.commands"
local config = require "moonkeeper.server.config"
local core = require "moonkeeper.core"

local WORDS_DIR <const> = "server-scripts/commands/"

local M = {
  usage = "moonkeeper run FILE [--set name=value ...] [--check]",
  summary = "start a server from a Lua script or a zoo.cfg",
  help = [[
FILE is a Lua script that returns a table of options, or a classic zoo.cfg. --set overrides an
option (its value is read as Lua, or else as text), and may be repeated. --check only tells whether
everything is right, and starts nothing. FILE may also be one of the scripts that the executable
carries, such as server-scripts/quickstart.lua.

The server runs in the foreground until SIGTERM or SIGINT; it prints "listening on HOST:PORT" on
stdout, a line for each address, when clients can connect.]],
}

local function usage(message)
  io.stderr:write("moonkeeper run: ", message, "\nusage: ", M.usage, "\n")
  return 2
end

local function parse(arguments)
  local parsed = { overrides = {} }
  local index = 1
  while index <= #arguments do
    local argument = arguments[index]
    if argument == "--set" then
      index = index + 1
      if not arguments[index] then
        return nil, "--set wants name=value"
      end
      table.insert(parsed.overrides, arguments[index])
    elseif argument:find("^%-%-set=") then
      table.insert(parsed.overrides, (argument:gsub("^%-%-set=", "")))
    elseif argument == "--check" then
      parsed.check = true
    elseif argument:sub(1, 1) == "-" then
      return nil, "there is no option " .. argument
    elseif parsed.file then
      return nil, "one FILE only, not also " .. argument
    else
      parsed.file = argument
    end
    index = index + 1
  end
  if not parsed.file then
    return nil, "FILE is missing"
  end
  return parsed
end

-- The four-letter words that the executable has.
local function built_in_words()
  local words = {}
  for _, path in ipairs(core.bundle_list(WORDS_DIR)) do
    words[#words + 1] = path:match("([^/]+)%.lua$")
  end
  return words
end

local function load_word(word)
  local path = WORDS_DIR .. word .. ".lua"
  return assert(load(assert(core.bundle_read(path), path .. " is missing"), "@" .. path, "t"))()
end

local function print_started(values, addresses)
  for _, address in ipairs(addresses) do
    local host = address.host:find(":", 1, true) and "[" .. address.host .. "]" or address.host
    print(("listening on %s:%d"):format(host, address.port))
  end
  if values.start_message then
    local first = addresses[1]
    local fields = { host = first.host, port = tostring(first.port),
      address = first.host .. ":" .. first.port }
    print((values.start_message:gsub("{(%w+)}", fields)))
  end
  io.stdout:flush()
end

-- A script may require what lies beside it.
local function search_beside(file)
  local folder = file:match("^(.*)/[^/]*$") or "."
  package.path = ("%s/?.lua;%s/?/init.lua;%s"):format(folder, folder, package.path)
end

---@param arguments string[] behind the name of the command
---@return integer exit_code
function M.run(arguments)
  local parsed, message = parse(arguments)
  if not parsed then
    return usage(message)
  end
  search_beside(parsed.file)
  local words = built_in_words()
  local loaded, problems = config.load(parsed.file,
    { words = words, overrides = parsed.overrides, read_bundled = core.bundle_read })
  if not loaded then
    io.stderr:write(config.format(problems), "\n")
    return 1
  end
  for _, note in ipairs(loaded.notes) do
    io.stderr:write(note, "\n")
  end
  if parsed.check then
    print(parsed.file .. " is right")
    return 0
  end
  local values = loaded.values
  local registry = commands.new {
    words = words, load = load_word, own = values.commands, allowed = values.four_letter_words,
  }
  local function answer(word, stats)
    return registry:answer(word, stats)
  end
  local code, why = core.serve(values, registry:words(), answer, function(addresses)
    print_started(values, addresses)
  end)
  if not code then
    io.stderr:write("moonkeeper: the server did not start: ", why, "\n")
    return 1
  end
  return code
end

return M
