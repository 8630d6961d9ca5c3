-- SPDX-License-Identifier: MIT
-- wchp: watches by path. Long with many watches, so it is written piece by piece.

local figures = require "moonkeeper.server.figures"

return {
  name = "wchp",
  help = "every watched path and its sessions",
  run = function(stats)
    local last
    for path, session_id in stats:watches() do
      if path ~= last then
        stats:write(path, "\n")
        last = path
      end
      stats:write("\t", figures.hex(session_id), "\n")
    end
    return "\n"
  end,
}
