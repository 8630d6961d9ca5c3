-- SPDX-License-Identifier: MIT
-- Proves the rules of the Lua codec that golden bytes do not show: null and odd lengths, bounds,
-- fields that may be absent, misuse that raises with the name of the field.

package.path = "lua/?.lua;lua/?/init.lua;" .. package.path
local codec = require "moonkeeper.wire.codec"
local records = require "moonkeeper.schema.records"

describe("codec", function()
  it("has an encoder and a decoder for every record", function()
    for _, record in ipairs(records.list) do
      assert.is_true(codec.bytes_min(record.name) >= 0, record.name)
      local value, err, detail = codec.decode(record.name, "")
      if codec.bytes_min(record.name) > 0 then
        assert.is_nil(value)
        assert.equal("MarshallingError", err)
        assert.equal(record.name, detail.record)
        assert.is_string(detail.field)
      end
    end
  end)

  it("tells null from empty", function()
    assert.equal("\0\0\0\1/\255\255\255\255\0\0\0\0",
      codec.encode("SetDataRequest", { path = "/", version = 0 }))
    assert.equal("\0\0\0\1/\0\0\0\0\0\0\0\0",
      codec.encode("SetDataRequest", { path = "/", data = "", version = 0 }))
    local value = codec.decode("GetChildrenResponse", "\255\255\255\255")
    assert.is_nil(value.children)
  end)

  it("reads a vector count below -1 as empty and a string length below -1 as an error", function()
    assert.same({ children = {} }, (codec.decode("GetChildrenResponse", "\255\255\255\254")))
    assert.is_nil((codec.decode("CreateResponse", "\255\255\255\254")))
  end)

  it("keeps null strings in vectors as false", function()
    local data = "\0\0\0\2\255\255\255\255\0\0\0\1a"
    local value = codec.decode("GetChildrenResponse", data)
    assert.same({ children = { false, "a" } }, value)
    assert.equal(data, codec.encode("GetChildrenResponse", value))
  end)

  it("does not believe a count that the bytes left cannot hold", function()
    local value, err = codec.decode("GetChildrenResponse", "\127\255\255\255" .. ("\0"):rep(64))
    assert.is_nil(value)
    assert.equal("MarshallingError", err)
  end)

  it("stops at the given last position", function()
    local data = codec.encode("ReplyHeader", { xid = 1, zxid = 2, err = 3 })
    assert.is_nil((codec.decode("ReplyHeader", data .. data, 1, #data - 1)))
    local value, position = codec.decode("ReplyHeader", data .. data, 1, #data)
    assert.same({ xid = 1, zxid = 2, err = 3 }, value)
    assert.equal(#data + 1, position)
  end)

  it("reads any byte but 0 as true", function()
    assert.is_true(codec.decode("ExistsRequest", "\0\0\0\1/\7").watch)
  end)

  it("gives a missing field its default", function()
    local create = codec.encode("CreateTxn", { path = "/a", acl = {}, ephemeral = false,
      parent_cversion = 9 })
    assert.equal(9, codec.decode("CreateTxn", create).parent_cversion)
    assert.equal(-1, codec.decode("CreateTxn", create:sub(1, -5)).parent_cversion)
  end)

  local misuse = {
    { "RequestHeader", { xid = 1 }, "RequestHeader.type: int expected, got nil" },
    { "RequestHeader", { xid = 1.5, type = 1 }, "RequestHeader.xid: int expected, got number" },
    { "RequestHeader", { xid = 1, type = 2 ^ 31 | 0 }, "type: 2147483648 does not fit an int" },
    { "CreateRequest", { path = {}, flags = 0 }, "CreateRequest.path: string expected, got table" },
    { "CreateRequest", { path = "/", flags = 0, acl = { { perms = 1 } } },
      "CreateRequest.acl[1].id: table expected, got nil" },
    { "ExistsResponse", {}, "ExistsResponse.stat: table expected, got nil" },
    { "RequestHeader", "x", "RequestHeader: table expected, got string" },
  }
  for _, row in ipairs(misuse) do
    it("raises: " .. row[3], function()
      local ok, message = pcall(codec.encode, row[1], row[2])
      assert.is_false(ok)
      assert.truthy(message:find(row[3], 1, true), message)
    end)
  end

  it("raises for a record that is not in the schema", function()
    assert.has_error(function() codec.encode("NoSuchRecord", {}) end)
  end)
end)
