-- SPDX-License-Identifier: MIT
-- moonkeeper check DIR [LOG_DIR]

local core = require "moonkeeper.core"

local M = {
  usage = "moonkeeper check DIR [LOG_DIR]",
  summary = "verify a data directory, change nothing",
  positionals = { { name = "DIR", key = "directory" },
    { name = "LOG_DIR", key = "log_directory", optional = true } },
  help = [[
Reads every snapshot and log of a data directory (DIR/version-2, or DIR itself), moonkeeper's or
Apache ZooKeeper's, and says what is in each file and what is wrong, with the offset. LOG_DIR is the
data_log_dir where the logs are kept elsewhere. Do not run it on the directory of a running server:
what is being written looks like a torn tail.

Exit code 0: a server would start from it. 1: it would not. 2: there is no data to check.]],
}

---@param parsed { directory: string, log_directory: string? }
---@return integer exit_code
function M.run(parsed)
  local text, usable, empty = core.check(parsed.directory, parsed.log_directory)
  if not text then
    io.stderr:write("moonkeeper check: ", usable, "\n")
    return 1
  end
  io.write(text)
  if empty then
    return 2
  end
  return usable and 0 or 1
end

return M
