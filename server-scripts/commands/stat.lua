-- SPDX-License-Identifier: MIT
-- stat: srvr and a line for each connection.

local figures = require "moonkeeper.server.figures"

return {
  name = "stat",
  help = "srvr, and the connections in short",
  run = function(stats)
    stats:write(figures.version_lines(stats), "Clients:\n")
    for connection in stats:connections() do
      stats:write((" %s(queued=%d,recved=%d,sent=%d)\n"):format(
        figures.connection(connection),
        connection.queued, connection.received, connection.sent))
    end
    return "\n" .. figures.server_lines(stats)
  end,
}
