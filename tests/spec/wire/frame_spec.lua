-- SPDX-License-Identifier: MIT
-- Proves that frames come out whole and in order however the bytes are cut, and that bad lengths
-- end the stream.

package.path = "lua/?.lua;lua/?/init.lua;" .. package.path
local frame = require "moonkeeper.wire.frame"

local payloads = { "hello", "", ("x"):rep(70000), "\0\1\2", "end" }

local function stream()
  local parts = {}
  for index, payload in ipairs(payloads) do
    parts[index] = frame.wrap(payload)
  end
  return table.concat(parts)
end

describe("frame splitter", function()
  for _, step in ipairs { 1, 2, 3, 7, 4096, 1000000 } do
    it("gives whole payloads from chunks of " .. step, function()
      local splitter, data, got = frame.splitter(), stream(), {}
      for position = 1, #data, step do
        splitter:push(data:sub(position, position + step - 1))
        for payload in splitter:frames() do
          got[#got + 1] = payload
        end
      end
      assert.same(payloads, got)
      assert.is_nil(splitter.error)
    end)
  end

  it("takes a payload of exactly the limit and refuses one byte more", function()
    local splitter = frame.splitter { bytes_max = 3 }
    splitter:push(frame.wrap "abc" .. frame.wrap "abcd" .. frame.wrap "a")
    assert.equal("abc", splitter:next())
    local payload, err, detail = splitter:next()
    assert.is_nil(payload)
    assert.equal("TooLarge", err)
    assert.same({ length = 4, bytes_max = 3 }, detail)
    assert.equal("TooLarge", select(2, splitter:next()))
  end)

  it("refuses a negative length", function()
    local splitter = frame.splitter()
    splitter:push("\255\255\255\255")
    local payload, err = splitter:next()
    assert.is_nil(payload)
    assert.equal("MarshallingError", err)
    assert.equal("MarshallingError", splitter.error)
  end)
end)
