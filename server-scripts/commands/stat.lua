-- SPDX-License-Identifier: MIT
-- stat: srvr and a line for each connection.

local figures = require "moonkeeper.server.figures"

return {
  name = "stat",
  help = "srvr, and the connections in short",
  run = function(stats)
    local lines = { figures.version_lines(stats), "Clients:\n" }
    for connection in stats:connections() do
      lines[#lines + 1] = (" %s(queued=%d,recved=%d,sent=%d)\n"):format(
        figures.connection(connection),
        connection.queued, connection.received, connection.sent)
    end
    lines[#lines + 1] = "\n"
    lines[#lines + 1] = figures.server_lines(stats)
    return table.concat(lines)
  end,
}
