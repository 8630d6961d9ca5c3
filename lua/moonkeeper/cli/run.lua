-- SPDX-License-Identifier: MIT
-- moonkeeper run FILE [--set name=value ...] [--check]

local commands = require "moonkeeper.server.commands"
local config = require "moonkeeper.server.config"
local core = require "moonkeeper.core"

local WORDS_DIR <const> = "server-scripts/commands/"

local M = {
  usage = "moonkeeper run FILE [--set name=value ...] [--check]",
  summary = "start a server from a Lua script or a zoo.cfg",
  positionals = { { name = "FILE", key = "file" } },
  options = {
    ["--set"] = { key = "overrides", value = "name=value", pattern = "^[^=]+=" },
    ["--check"] = { key = "check" },
  },
  help = [[
FILE is a Lua script that returns a table of options, or a classic zoo.cfg. --set overrides an
option (its value is read as Lua, or else as text), and may be repeated. --check only tells whether
everything is right, and starts nothing. FILE may also be one of the scripts that the executable
carries, such as server-scripts/quickstart.lua.

The server runs in the foreground until SIGTERM or SIGINT; it prints "listening on HOST:PORT" on
stdout, a line for each address, when clients can connect.]],
}

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

-- Opens the log and returns what tells the operator something: in the log if that is a file, as a
-- line of the log if that is JSON on stderr, else as plain text.
local function open_log(values)
  local opened, why = core.open_log(values)
  local has_file = opened and values.log_file ~= nil
  local is_json = values.log_format == "json"
  return function(level, text, prefix)
    if has_file or is_json then
      core.log(level, "server", text)
    end
    if has_file or not is_json then
      io.stderr:write(prefix or "", text, "\n")
    end
  end, why
end

local function tell_notes(notes, tell)
  for _, note in ipairs(notes) do
    tell(note:find("WARNING", 1, true) and "warn" or "info", note)
  end
end

local function serve(values, words)
  local registry = commands.new {
    words = words, load = load_word, own = values.commands, allowed = values.four_letter_words,
  }
  local function answer(word, stats)
    return registry:answer(word, stats)
  end
  return core.serve(values, registry:words(), answer, function(addresses)
    print_started(values, addresses)
  end)
end

---@param parsed { file: string, overrides: string[], check: boolean }
---@return integer exit_code
function M.run(parsed)
  search_beside(parsed.file)
  local words = built_in_words()
  local loaded, problems = config.load(parsed.file,
    { words = words, overrides = parsed.overrides, read_bundled = core.bundle_read })
  if not loaded then
    io.stderr:write(config.format(problems), "\n")
    return 1
  end
  if parsed.check then
    tell_notes(loaded.notes, function(_, note)
      io.stderr:write(note, "\n")
    end)
    print(parsed.file .. " is right")
    return 0
  end
  local tell, why = open_log(loaded.values)
  local code
  if not why then
    tell_notes(loaded.notes, tell)
    code, why = serve(loaded.values, words)
  end
  if not code then
    tell("error", "the server did not start: " .. why, "moonkeeper: ")
    return 1
  end
  return code
end

return M
