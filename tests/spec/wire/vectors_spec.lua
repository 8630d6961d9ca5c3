-- SPDX-License-Identifier: MIT
-- Proves that the Lua codec reads the golden bytes into the expected tables and writes these
-- tables as the same bytes, and that no cut of any of them is taken for a whole record.

package.path = "lua/?.lua;lua/?/init.lua;" .. package.path
local codec = require "moonkeeper.wire.codec"
local frame = require "moonkeeper.wire.frame"
local vectors = dofile "tests/vectors/wire.lua"

local function payload_of(vector)
  if vector.hex then
    return vectors.bytes(vector.hex)
  end
  local splitter = frame.splitter()
  splitter:push(vectors.bytes(vector.frame))
  local payload = splitter:next()
  assert.is_nil(splitter:next())
  assert.equal(0, splitter.length)
  return payload
end

local function decode_all(vector, data)
  local values, position = {}, 1
  for name in vector.records:gmatch("%S+") do
    local value, next_position = codec.decode(name, data, position)
    if not value then
      return nil, next_position
    end
    values[#values + 1], position = value, next_position
  end
  return values, position
end

-- Records whose last fields may be absent are whole at more than one length.
local elastic = { ConnectRequest = true, ConnectResponse = true, CloseSessionTxn = true,
  LearnerInfo = true }

describe("golden bytes", function()
  for _, vector in ipairs(vectors) do
    it("decode: " .. vector.name, function()
      local data = payload_of(vector)
      local values, position = decode_all(vector, data)
      assert.same(vector.values, values)
      assert.equal(#data + 1, position)
    end)

    it("encode: " .. vector.name, function()
      local parts = {}
      for name in vector.records:gmatch("%S+") do
        parts[#parts + 1] = codec.encode(name, vector.values[#parts + 1])
      end
      local data = table.concat(parts)
      assert.equal(payload_of(vector), data)
      if vector.frame then
        assert.equal(vectors.bytes(vector.frame), frame.wrap(data))
      end
    end)

    local last = vector.records:match("%S+$")
    if not elastic[last] then
      it("cut anywhere it is refused: " .. vector.name, function()
        local data = payload_of(vector)
        for length = 0, #data - 1 do
          local values, err = decode_all(vector, data:sub(1, length))
          if values then
            assert.equal("CreateTxn", last) -- its last field has a default
          else
            assert.equal("MarshallingError", err)
          end
        end
      end)
    end
  end
end)
