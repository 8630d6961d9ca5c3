-- SPDX-License-Identifier: MIT
-- wchc: watches by session. Long with many watches.

local figures = require "moonkeeper.server.figures"

return {
  name = "wchc",
  help = "every session and the paths it watches",
  run = function(stats)
    local sessions, order = {}, {}
    for path, session_id in stats:watches() do
      local lines = sessions[session_id]
      if not lines then
        lines = { figures.hex(session_id) }
        sessions[session_id] = lines
        order[#order + 1] = session_id
      end
      lines[#lines + 1] = "\t" .. path
    end
    local parts = {}
    for index, session_id in ipairs(order) do
      parts[index] = table.concat(sessions[session_id], "\n") .. "\n"
    end
    return table.concat(parts) .. "\n"
  end,
}
