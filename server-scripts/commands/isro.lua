-- SPDX-License-Identifier: MIT
-- isro: clients that accept a read-only server ask it and compare the whole answer.

return {
  name = "isro",
  help = "rw, ro when the server is read-only, or null when it serves nobody",
  run = function(stats)
    if not stats.serving then
      return "null"
    end
    return stats.read_only and "ro" or "rw"
  end,
}
