-- SPDX-License-Identifier: MIT
-- gtmk: the trace mask, which scripts for Apache read and set. Nothing depends on it here.

return {
  name = "gtmk",
  help = "the trace mask (kept for scripts, without effect)",
  run = function(stats)
    return ("%d"):format(stats.trace_mask)
  end,
}
