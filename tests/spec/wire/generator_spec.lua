-- SPDX-License-Identifier: MIT
-- Proves that the generator refuses a schema that contradicts itself, and that the same schema
-- always gives the same C.

package.path = "lua/?.lua;lua/?/init.lua;native/gen/?.lua;" .. package.path
local check = require "check"
local names = require "names"

local modules = { "records", "ops", "errors", "events" }

---A schema of its own, so that a test can spoil it.
local function fresh_schema()
  local schema = {}
  for _, name in ipairs(modules) do
    schema[name] = assert(loadfile("lua/moonkeeper/schema/" .. name .. ".lua"))()
  end
  return schema
end

local spoils = {
  ["Stat.czxid has the unknown type longer"] = function(schema)
    schema.records.by_name.Stat.fields[1].type = "longer"
  end,
  ["field of Stat czxid is there twice"] = function(schema)
    schema.records.by_name.Stat.fields[2].name = "czxid"
  end,
  ["doc of Stat.mzxid is missing"] = function(schema)
    schema.records.by_name.Stat.fields[2].doc = nil
  end,
  ["source of Stat is missing"] = function(schema)
    schema.records.by_name.Stat.source = ""
  end,
  ["TxnHeader.cxid follows a field that may be absent"] = function(schema)
    schema.records.by_name.TxnHeader.fields[1].optional = true
  end,
  ["ExistsResponse.stat: ConnectRequest may end early"] = function(schema)
    schema.records.by_name.ExistsResponse.fields[1].type = "ConnectRequest"
  end,
  ["SyncRequest.path: vectors hold strings"] = function(schema)
    schema.records.by_name.SyncRequest.fields[1].type = "vector<int>"
  end,
  ["opcode 1 is there twice"] = function(schema)
    schema.ops.by_name.delete.number = 1
  end,
  ["opcode create: no record NoRequest"] = function(schema)
    schema.ops.by_name.create.request = "NoRequest"
  end,
  ["opcode create: no permission Crate"] = function(schema)
    schema.ops.by_name.create.permission = "Crate"
  end,
  ["opcode sync has the unknown kind fence"] = function(schema)
    schema.ops.by_name.sync.kind = "fence"
  end,
  ["error code -101 is there twice"] = function(schema)
    schema.errors.by_name.NoAuth.code = -101
  end,
  ["text of error NoAuth is missing"] = function(schema)
    schema.errors.by_name.NoAuth.text = nil
  end,
  ["perms 1 is there twice"] = function(schema)
    schema.events.perms.members[2].value = 1
  end,
}

local function generate(schema)
  local files = {}
  local output = { write = function(path, text) files[path] = text end }
  for _, name in ipairs { "emit_records", "emit_tables", "emit_fuzz" } do
    require(name)(schema, output)
  end
  return files
end

describe("generator", function()
  it("accepts the schema as it is", function()
    assert.has_no_error(function() check(fresh_schema()) end)
  end)

  local expected = {}
  for words in pairs(spoils) do
    expected[#expected + 1] = words
  end
  table.sort(expected)
  for _, words in ipairs(expected) do
    it("refuses: " .. words, function()
      local schema = fresh_schema()
      spoils[words](schema)
      local ok, message = pcall(check, schema)
      assert.is_false(ok)
      assert.truthy(message:find(words, 1, true), message)
    end)
  end

  it("gives the same files for the same schema", function()
    local first, second = generate(fresh_schema()), generate(fresh_schema())
    local count = 0
    for path, text in pairs(first) do
      assert.equal(text, second[path])
      count = count + 1
    end
    assert.equal(8, count)
  end)

  it("makes names of C", function()
    local expect = { CreateTTLTxn = "create_ttl_txn",
      GetChildren2Response = "get_children2_response",
      getACL = "get_acl", whoAmI = "who_am_i", Stat = "stat", GetSASLRequest = "get_sasl_request",
      PersistentSequentialWithTTL = "persistent_sequential_with_ttl" }
    for name, snake in pairs(expect) do
      assert.equal(snake, names.snake(name))
    end
    assert.equal("default_", names.member("default"))
    assert.equal('"a\\"b"', names.literal('a"b'))
  end)
end)
