-- SPDX-License-Identifier: MIT
-- dirs: how much the data takes on disk.

return {
  name = "dirs",
  help = "bytes of snapshots and of the log on disk",
  run = function(stats)
    return ("datadir_size: %d\nlogdir_size: %d\n"):format(stats.data_dir_bytes, stats.log_dir_bytes)
  end,
}
