-- SPDX-License-Identifier: MIT
-- Finding the line of an option in the text of a script.

local source = require "moonkeeper.server.source"

local SCRIPT <const> = [==[
-- tick_time_ms = 1
local text = "tick_time_ms = 2"
local long = [[
data_dir = x
]]
--[[ id = 3
id = 4 ]]
return {
  tick_time_ms = 5, id=6,
  limits = { lua_memory_bytes = 7,
    command_instructions = 8 },
  my_data_dir = 9, data_dir == 10,
}
]==]

describe("source", function()
  local masked = source.mask(SCRIPT)

  it("keeps the length and the line breaks", function()
    assert.are.equal(#SCRIPT, #masked)
    local _, before = SCRIPT:gsub("\n", "")
    local _, after = masked:gsub("\n", "")
    assert.are.equal(before, after)
  end)

  it("finds options, not comments and strings", function()
    assert.are.equal(9, source.line(masked, "tick_time_ms"))
    assert.are.equal(9, source.line(masked, "id"))
    assert.are.equal(10, source.line(masked, "limits.lua_memory_bytes"))
    assert.are.equal(11, source.line(masked, "limits.command_instructions"))
  end)

  it("finds whole names that are assigned to", function()
    assert.is_nil(source.line(masked, "data_dir"))
    assert.is_nil(source.line(masked, "time_ms"))
    assert.is_nil(source.line(masked, "id.x"))
  end)

  it("finds names in brackets", function()
    local text = 'return {\n ["data_dir"] = 1,\n [ \'id\' ]=[[x]], x = a["port"] == 2,\n'
      .. ' ["limits.x"] = 3, [ [=[port]=] ] = 4, y = "["port"] = 3" }'
    local bracketed = source.mask(text)
    assert.are.equal(#text, #bracketed)
    assert.are.equal(2, source.line(bracketed, "data_dir"))
    assert.are.equal(3, source.line(bracketed, "id"))
    assert.are.equal(4, source.line(bracketed, "limits.x"))
    assert.is_nil(source.line(bracketed, "port"))
  end)

  it("takes unfinished strings and comments as they come", function()
    for _, text in ipairs { "--[[", "'", "\"\\", "[==[", "--", "[", "a = 'b\nc = 1", "['",
      "['a'", "['a']", "['a']=" } do
      assert.are.equal(#text, #source.mask(text))
    end
    assert.are.equal(2, source.line(source.mask("a = 'b\nc = 1"), "c"))
  end)
end)
