-- SPDX-License-Identifier: MIT
-- One version everywhere.

it("the Lua module and the build have the same version", function()
  local file = assert(io.open("CMakeLists.txt"))
  local text = file:read("a")
  file:close()
  assert.are.equal(text:match("project%(moonkeeper VERSION ([%d.]+)"),
    require "moonkeeper".version)
end)
