-- SPDX-License-Identifier: MIT
-- The nearest name: what counts as near, and that nothing is suggested for a far one.

local nearest = require "moonkeeper.server.nearest"

describe("nearest", function()
  it("counts changed, added, dropped and swapped letters, whatever their case", function()
    assert.are.equal(0, nearest.distance("tickTime", "ticktime"))
    assert.are.equal(1, nearest.distance("rouk", "ruok"))
    assert.are.equal(1, nearest.distance("tick_tim", "tick_time"))
    assert.are.equal(2, nearest.distance("data_dri", "data-dir"))
    assert.are.equal(3, nearest.distance("", "abc"))
    assert.are.equal(nearest.distance("kitten", "sitting"), nearest.distance("sitting", "kitten"))
  end)

  it("stops early without changing what is near", function()
    math.randomseed(7)
    local function word()
      local letters = {}
      for index = 1, math.random(0, 7) do
        letters[index] = ("abc"):sub(math.random(3)):sub(1, 1)
      end
      return table.concat(letters)
    end
    for _ = 1, 3000 do
      local a, b, limit = word(), word(), math.random(0, 5)
      local exact, bounded = nearest.distance(a, b), nearest.distance(a, b, limit)
      assert.are.equal(exact <= limit and exact or math.huge,
        bounded <= limit and bounded or math.huge, a .. " " .. b)
    end
  end)

  it("finds the nearest, or nothing", function()
    local names = { "run", "check", "version", "help" }
    assert.are.equal("check", nearest.find("chekc", names))
    assert.are.equal("run", nearest.find("rnu", names))
    assert.is_nil(nearest.find("frobnicate", names))
    assert.is_nil(nearest.find(("x"):rep(1000), names))
    assert.are.equal(", did you mean help?", nearest.hint("hepl", names))
    assert.are.equal("", nearest.hint("x", {}))
  end)
end)
