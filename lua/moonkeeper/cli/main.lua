-- SPDX-License-Identifier: MIT
-- The command line: finds the subcommand, runs it, returns the exit code: 0 done, 1 the operation
-- failed, 2 wrong usage. Each subcommand is a file of this folder: { usage, summary, help,
-- run = function(arguments) -> exit code }. Data goes to stdout, messages to stderr.

local nearest = require "moonkeeper.server.nearest"

-- In the order of `moonkeeper help`.
local COMMANDS <const> = { "run", "check", "version", "help" }
local ALIASES <const> = { ["--help"] = "help", ["-h"] = "help", ["--version"] = "version",
  ["-V"] = "version" }

---@param arguments string[]
---@return integer exit_code
return function(arguments)
  local name = arguments[1]
  if not name then
    io.stderr:write(require "moonkeeper.cli.help".overview(COMMANDS))
    return 2
  end
  name = ALIASES[name] or name
  for _, known in ipairs(COMMANDS) do
    if name == known then
      if arguments[2] == "--help" or arguments[2] == "-h" then
        return require "moonkeeper.cli.help".run({ name }, COMMANDS)
      end
      local command = require("moonkeeper.cli." .. name)
      return command.run({ table.unpack(arguments, 2) }, COMMANDS)
    end
  end
  io.stderr:write(("moonkeeper: there is no command %s%s\n"):format(name,
    nearest.hint(name, COMMANDS)))
  io.stderr:write("moonkeeper help lists the commands\n")
  return 2
end
