-- SPDX-License-Identifier: MIT
-- srst: begins the figures of the server anew.

return {
  name = "srst",
  help = "reset the statistics of the server",
  run = function(stats)
    stats:reset()
    return "Server stats reset.\n"
  end,
}
