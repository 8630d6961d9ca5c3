-- SPDX-License-Identifier: MIT
-- Cuts a stream of bytes into frames (int length, then that many bytes) and wraps payloads into
-- them. Chunks are joined only when a frame is complete, so a large frame that arrives in many
-- small chunks costs no more than its size. Uses nothing but the standard library.
--   local splitter = frame.splitter{ bytes_max = 4 * 2^20 }
--   splitter:push(chunk)
--   for payload in splitter:frames() do ... end      -- then look at splitter.error

local pack, unpack = string.pack, string.unpack

local M = {}

---@class moonkeeper.Splitter
---@field error string? name of the error that ended the stream
---@field private bytes_max integer
local Splitter = {}
Splitter.__index = Splitter
Splitter.__name = "moonkeeper.Splitter"

---A splitter for one connection; options.bytes_max bounds a payload (default: any int).
---@param options { bytes_max: integer? }?
---@return moonkeeper.Splitter
function M.splitter(options)
  local bytes_max = options and options.bytes_max or 0x7fffffff
  return setmetatable({ bytes_max = math.tointeger(bytes_max), chunks = {}, chunk_count = 0,
    length = 0, needed = 4, position = 1 }, Splitter)
end

---Adds bytes that arrived.
---@param chunk string
function Splitter:push(chunk)
  self.chunk_count = self.chunk_count + 1
  self.chunks[self.chunk_count] = chunk
  self.length = self.length + #chunk
end

---Makes one string of all chunks.
local function join(self)
  if self.chunk_count > 1 then
    local rest = self.position > 1 and self.chunks[1]:sub(self.position) or self.chunks[1]
    self.chunks[1] = rest
    self.chunks = { table.concat(self.chunks, "", 1, self.chunk_count) }
    self.chunk_count, self.position = 1, 1
  end
  return self.chunks[1]
end

---The next payload; nil when there is none yet; nil, err, detail when the stream is beyond
---repair (and from then on).
---@return string? payload
---@return string? err "MarshallingError" for a negative length, "TooLarge"
---@return table? detail
function Splitter:next()
  if self.error then
    return nil, self.error, self.detail
  elseif self.length < self.needed then
    return nil
  end
  local data = join(self)
  local payload_length = unpack(">i4", data, self.position)
  if payload_length < 0 or payload_length > self.bytes_max then
    self.error = payload_length < 0 and "MarshallingError" or "TooLarge"
    self.detail = { length = payload_length, bytes_max = self.bytes_max }
    self.chunks, self.chunk_count, self.length = {}, 0, 0
    return nil, self.error, self.detail
  end
  local total = 4 + payload_length
  if self.length < total then
    self.needed = total
    return nil
  end
  local payload = data:sub(self.position + 4, self.position + total - 1)
  self.position = self.position + total
  self.length = self.length - total
  self.needed = 4
  if self.length == 0 then
    self.chunks, self.chunk_count, self.position = {}, 0, 1
  end
  return payload
end

---Iterates over the payloads that are complete.
---@return fun(): string?
function Splitter:frames()
  return function()
    return (self:next())
  end
end

---A frame around a payload.
---@param payload string
---@return string
function M.wrap(payload)
  return pack(">s4", payload)
end

return M
