-- SPDX-License-Identifier: MIT
-- srvr: the state of the server in a few lines. Always allowed.

local figures = require "moonkeeper.server.figures"

return {
  name = "srvr",
  help = "version, latency, traffic, zxid, mode and number of znodes",
  run = function(stats)
    return figures.version_lines(stats) .. figures.server_lines(stats)
  end,
}
