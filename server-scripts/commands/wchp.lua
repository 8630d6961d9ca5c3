-- SPDX-License-Identifier: MIT
-- wchp: watches by path. Long with many watches.

local figures = require "moonkeeper.server.figures"

return {
  name = "wchp",
  help = "every watched path and its sessions",
  run = function(stats)
    local lines, last = {}, nil
    for path, session_id in stats:watches() do
      if path ~= last then
        lines[#lines + 1] = path
        last = path
      end
      lines[#lines + 1] = "\t" .. figures.hex(session_id)
    end
    lines[#lines + 1] = "\n"
    return table.concat(lines, "\n")
  end,
}
