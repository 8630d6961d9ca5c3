-- SPDX-License-Identifier: MIT
-- wchs: how many watches there are. Like Apache it counts watches for data and existence, not
-- those for children (mntr has all).

return {
  name = "wchs",
  help = "how many connections watch how many paths",
  run = function(stats)
    local connections, paths, watches = stats:watch_summary()
    return ("%d connections watching %d paths\nTotal watches:%d\n"):format(connections, paths,
      watches)
  end,
}
