-- SPDX-License-Identifier: MIT
-- crst: begins the figures of every connection anew.

return {
  name = "crst",
  help = "reset the statistics of all connections",
  run = function(stats)
    stats:reset_connections()
    return "Connection stats reset.\n"
  end,
}
