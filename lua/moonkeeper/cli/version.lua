-- SPDX-License-Identifier: MIT
-- moonkeeper version

local core = require "moonkeeper.core"

return {
  usage = "moonkeeper version",
  summary = "the version",
  help = "Prints the version and when it was built.",
  positionals = {},
  run = function()
    print(("moonkeeper %s, built on %s, %s"):format(core.version, core.build_date, _VERSION))
    return 0
  end,
}
