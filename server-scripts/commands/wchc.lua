-- SPDX-License-Identifier: MIT
-- wchc: watches by session. Long with many watches, so it is written piece by piece.

local figures = require "moonkeeper.server.figures"

return {
  name = "wchc",
  help = "every session and the paths it watches",
  run = function(stats)
    local last
    for session_id, path in stats:watches_by_session() do
      if session_id ~= last then
        stats:write(figures.hex(session_id), "\n")
        last = session_id
      end
      stats:write("\t", path, "\n")
    end
    return "\n"
  end,
}
