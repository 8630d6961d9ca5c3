-- SPDX-License-Identifier: MIT
-- The command line: finds the subcommand, takes its arguments apart, runs it, and returns the exit
-- code: 0 done, 1 the operation failed, 2 wrong usage. Each subcommand is a file of this folder:
-- { usage, summary, help, options, positionals, run = function(parsed, names) -> exit code }; see
-- arguments.lua for options and positionals. Data goes to stdout, messages to stderr.

local arguments = require "moonkeeper.cli.arguments"
local nearest = require "moonkeeper.server.nearest"

-- In the order of `moonkeeper help`.
local COMMANDS <const> = { "run", "check", "doctor", "version", "help" }
local ALIASES <const> = { ["--help"] = "help", ["-h"] = "help", ["--version"] = "version",
  ["-V"] = "version" }

local function is_command(name)
  for _, known in ipairs(COMMANDS) do
    if name == known then
      return true
    end
  end
  return false
end

local function unknown(name)
  local kind, names = "command", COMMANDS
  if name:sub(1, 1) == "-" then
    kind, names = "option", {}
    for alias in pairs(ALIASES) do
      names[#names + 1] = alias
    end
  end
  local hint = name == "--lua-path" and ": it wants DIR, and a command behind that"
    or nearest.hint(name, names)
  io.stderr:write(("moonkeeper: there is no %s %s%s\n"):format(kind, name, hint))
  io.stderr:write("moonkeeper help lists the commands\n")
  return 2
end

-- What was printed may still wait in a buffer: a full disk shows now.
local function flush(name, code)
  local good, why = io.stdout:flush()
  if good or code ~= 0 then
    return code
  end
  io.stderr:write(("moonkeeper %s: cannot write to stdout: %s\n"):format(name, why))
  return 1
end

---@param words string[] of the command line
---@return integer exit_code
return function(words)
  local help = require "moonkeeper.cli.help"
  local name = words[1]
  if not name then
    io.stderr:write(help.overview(COMMANDS))
    return 2
  end
  name = ALIASES[name] or name
  if not is_command(name) then
    return unknown(name)
  end
  local rest = { table.unpack(words, 2) }
  if arguments.wants_help(rest) then
    return flush("help", help.run({ topic = name }, COMMANDS))
  end
  local command = require("moonkeeper.cli." .. name)
  local parsed, message = arguments.parse(rest, command)
  if not parsed then
    io.stderr:write(("moonkeeper %s: %s\nusage: %s\n"):format(name, message, command.usage))
    return 2
  end
  return flush(name, command.run(parsed, COMMANDS))
end
