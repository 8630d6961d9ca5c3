-- SPDX-License-Identifier: MIT
-- stmk: sets the trace mask to the eight bytes behind the word, and tells it.

return {
  name = "stmk",
  help = "set the trace mask (kept for scripts, without effect)",
  run = function(stats)
    stats:set_trace_mask(stats.argument)
    return ("%d"):format(stats.trace_mask)
  end,
}
