-- SPDX-License-Identifier: MIT
-- Proves that every transaction in the logs of real servers (tests/vectors/storage, all types)
-- decodes to what an independent reader found (txns.json) and encodes to the same bytes again.

package.path = "lua/?.lua;lua/?/init.lua;" .. package.path
local cjson = require "cjson"
local codec = require "moonkeeper.wire.codec"
local ops = require "moonkeeper.schema.ops"

local ENTRY_HEADER_BYTES, DIGEST_BYTES = 12, 12

---Names of txns.json that are not simply ours in camel case.
local names = { timeOut = "timeout", parentCVersion = "parent_cversion",
  paths2Delete = "paths_to_delete" }

local function read_file(path)
  local file = assert(io.open(path, "rb"))
  local content = file:read("a")
  file:close()
  return content
end

local function from_base64(text)
  local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
  local value, bits, bytes = 0, 0, {}
  for character in text:gmatch("[%w+/]") do
    value = (value << 6 | alphabet:find(character, 1, true) - 1) & 0xffff
    bits = bits + 6
    if bits >= 8 then
      bits = bits - 8
      bytes[#bytes + 1] = string.char(value >> bits & 0xff)
    end
  end
  return table.concat(bytes)
end

local check_body

local function check_value(name, expected, value)
  if expected == cjson.null then
    assert.is_nil(value)
  elseif name == "data" then
    assert.equal(from_base64(expected), value)
  elseif name == "acl" then
    assert.equal(#expected, #value)
    for index, entry in ipairs(expected) do
      assert.same({ perms = entry.perms, id = { scheme = entry.scheme, id = entry.id } },
        value[index])
    end
  elseif name == "txns" then
    assert.equal(#expected, #value)
    for index, part in ipairs(expected) do
      local record = ops.by_number[value[index].type].txn
      assert.equal(part.type, ops.by_number[value[index].type].name)
      local txn, next_position = codec.decode(record, value[index].data)
      assert.equal(#value[index].data + 1, next_position)
      assert.equal(value[index].data, codec.encode(record, txn))
      check_body(part.body, txn)
    end
  else
    assert.same(expected, value)
  end
end

function check_body(expected, record)
  for name, value in pairs(expected) do
    check_value(name, value, record[names[name] or name])
  end
end

---Checks the entry at its offset; returns its type.
local function check_entry(content, entry)
  local at = entry.offset + 1
  local head, position = codec.decode("LogEntryHeader", content, at)
  assert.equal(at + ENTRY_HEADER_BYTES, position)
  assert.equal(entry.length, head.length)
  assert.equal(tonumber(entry.adler32), head.checksum)
  local stop = position + head.length - 1
  local header, body, digest
  header, at = codec.decode("TxnHeader", content, position, stop)
  assert.same({ client_id = math.tointeger(tonumber(entry.sessionId)), cxid = entry.cxid,
    zxid = math.tointeger(tonumber(entry.zxid)), time = entry.time, type = entry.type }, header)
  local record = ops.by_number[header.type].txn
  local encoded = codec.encode("TxnHeader", header)
  body, at = codec.decode(record, content, at, stop)
  check_body(entry.body, body)
  encoded = encoded .. codec.encode(record, body)
  if entry.digest ~= cjson.null then
    assert.equal(stop - at + 1, DIGEST_BYTES)
    digest, at = codec.decode("TxnDigest", content, at, stop)
    assert.same({ version = entry.digest.version, tree_digest = entry.digest.tree }, digest)
    encoded = encoded .. codec.encode("TxnDigest", digest)
  end
  assert.equal(stop + 1, at)
  assert.equal(content:sub(position, stop), encoded)
  assert.equal(0x42, content:byte(stop + 1))
  return header.type
end

describe("transaction logs of Apache ZooKeeper 3.8.0", function()
  local seen, entries = {}, 0
  for _, directory in ipairs { "ensemble-3.8.0", "minimal-3.8.0" } do
    local base = "tests/vectors/storage/" .. directory .. "/"
    for _, log in ipairs(cjson.decode(read_file(base .. "txns.json"))) do
      it("decode and encode: " .. directory .. "/" .. log.file, function()
        local content = read_file(base .. log.file)
        local header = codec.decode("FileHeader", content)
        assert.same({ magic = 0x5a4b4c47, version = 2, dbid = 0 }, header)
        for _, entry in ipairs(log.entries) do
          seen[check_entry(content, entry)] = true
          entries = entries + 1
        end
      end)
    end
  end

  it("hold every type of transaction", function()
    for _, op in ipairs(ops.list) do
      if op.txn and op.name ~= "check" then -- only inside multi
        assert.is_true(seen[op.number], op.name)
      end
    end
    assert.equal(66, entries)
  end)
end)
