-- SPDX-License-Identifier: MIT
-- Proves that the tables of facts fit together and hold the numbers that clients rely on.

package.path = "lua/?.lua;lua/?/init.lua;" .. package.path
local err = require "moonkeeper.err"
local errors = require "moonkeeper.schema.errors"
local events = require "moonkeeper.schema.events"
local ops = require "moonkeeper.schema.ops"
local records = require "moonkeeper.schema.records"

describe("schema", function()
  it("has the opcodes that every client uses", function()
    local numbers = { create = 1, delete = 2, exists = 3, getData = 4, setData = 5, getACL = 6,
      setACL = 7, getChildren = 8, sync = 9, ping = 11, getChildren2 = 12, check = 13, multi = 14,
      create2 = 15, reconfig = 16, checkWatches = 17, removeWatches = 18, createContainer = 19,
      deleteContainer = 20, createTTL = 21, multiRead = 22, auth = 100, setWatches = 101,
      sasl = 102, getEphemerals = 103, getAllChildrenNumber = 104, setWatches2 = 105,
      addWatch = 106, whoAmI = 107, createSession = -10, closeSession = -11, error = -1 }
    local count = 0
    for name, number in pairs(numbers) do
      assert.equal(number, ops.by_name[name].number)
      assert.equal(name, ops.by_number[number].name)
      count = count + 1
    end
    assert.equal(count, #ops.list)
  end)

  it("names records that exist", function()
    for _, op in ipairs(ops.list) do
      for _, what in ipairs { "request", "response", "txn" } do
        assert.is_true(op[what] == nil or op[what] == "multi" or
          records.by_name[op[what]] ~= nil, op.name .. " " .. what)
      end
    end
  end)

  it("has errors both ways", function()
    assert.equal("NoNode", err.name(-101))
    assert.equal(-101, err.code(err.NoNode))
    assert.equal("znode does not exist", err.text("NoNode"))
    assert.equal("Unknown", err.name(-4711))
    assert.has_error(function() return err.NoNod end)
    for _, row in ipairs(errors.list) do
      assert.equal(row.code > -1000, row.wire)
      assert.equal(row.code, err.code(row.name))
      assert.equal(row.name, err.name(row.code))
    end
  end)

  it("has the event types, states and permissions", function()
    assert.equal(4, events.event_type.value.NodeChildrenChanged)
    assert.equal("SyncConnected", events.keeper_state.name_of[3])
    assert.equal(31, events.perms.value.All)
    assert.equal(6, events.create_mode.value.PersistentSequentialWithTTL)
  end)
end)
