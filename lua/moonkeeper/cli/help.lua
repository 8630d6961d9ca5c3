-- SPDX-License-Identifier: MIT
-- moonkeeper help [COMMAND | OPTION | words | options | reference | metrics]

local core = require "moonkeeper.core"
local nearest = require "moonkeeper.server.nearest"
local options = require "moonkeeper.schema.options"
local reference = require "moonkeeper.server.reference"

local M = {
  usage = "moonkeeper help [COMMAND | OPTION | words | options | metrics]",
  summary = "this list, or what one command or option does",
  positionals = { { name = "TOPIC", key = "topic", optional = true } },
  help = [[
Without a command it lists all of them. `moonkeeper help words` lists the four-letter words that a
server knows, `moonkeeper help options` prints a server script with every option and its default,
`moonkeeper help OPTION` tells about one (by its name, or by its key in a zoo.cfg),
`moonkeeper help reference` and `moonkeeper help metrics` print the pages docs/reference/options.md
and docs/reference/metrics.md: every option, and every figure of the word mntr.]],
}

---@param names string[]
---@return string
function M.overview(names)
  local lines = { "moonkeeper: a ZooKeeper that you can script", "" }
  local commands, width = {}, 0
  for index, name in ipairs(names) do
    commands[index] = name == "help" and M or require("moonkeeper.cli." .. name)
    width = math.max(width, #commands[index].usage)
  end
  for _, command in ipairs(commands) do
    lines[#lines + 1] = ("  %s%s  %s"):format(command.usage, (" "):rep(width - #command.usage),
      command.summary)
  end
  lines[#lines + 1] = ""
  lines[#lines + 1] = "moonkeeper help COMMAND tells more. "
    .. "Exit codes: 0 done, 1 failed, 2 wrong usage."
  return table.concat(lines, "\n") .. "\n"
end

local function words()
  local lines = {}
  for _, path in ipairs(core.bundle_list("server-scripts/commands/")) do
    local command = assert(load(core.bundle_read(path), "@" .. path, "t"))()
    lines[#lines + 1] = ("  %s  %s"):format(command.name, command.help)
  end
  return table.concat(lines, "\n") .. "\n"
end

---@param parsed { topic: string? }
---@param names string[] of all commands
---@return integer exit_code
function M.run(parsed, names)
  local name = parsed.topic
  if not name then
    io.write(M.overview(names))
    return 0
  elseif name == "words" then
    io.write(words())
    return 0
  elseif name == "options" then
    io.write(require "moonkeeper.server.sample".text())
    return 0
  elseif name == "reference" then
    io.write(reference.page())
    return 0
  elseif name == "metrics" then
    io.write(require "moonkeeper.server.metrics_page".text())
    return 0
  end
  for _, known in ipairs(names) do
    if name == known then
      local command = name == "help" and M or require("moonkeeper.cli." .. name)
      io.write("usage: ", command.usage, "\n\n", command.help, "\n")
      return 0
    end
  end
  local option = reference.option(name)
  if option then
    io.write(option)
    return 0
  end
  local all = { table.unpack(names) }
  for _, row in ipairs(options.list) do
    all[#all + 1] = row.name
  end
  table.sort(all)
  io.stderr:write(("moonkeeper: there is no command or option %s%s\n"):format(name,
    nearest.hint(name, all)))
  return 2
end

return M
