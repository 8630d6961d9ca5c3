-- SPDX-License-Identifier: MIT
-- ruok: answers at all. No line end, as clients compare the four letters.

return {
  name = "ruok",
  help = "imok, if the server process answers",
  run = function()
    return "imok"
  end,
}
