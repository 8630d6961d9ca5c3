-- SPDX-License-Identifier: MIT
-- isro: clients that accept a read-only server ask it and compare the whole answer.

return {
  name = "isro",
  help = "rw, or ro when the server is read-only",
  run = function(stats)
    return stats.read_only and "ro" or "rw"
  end,
}
