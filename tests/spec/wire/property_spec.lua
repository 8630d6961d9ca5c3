-- SPDX-License-Identifier: MIT
-- Proves that the Lua codec and the generated C codec agree: on random records, and on bent bytes,
-- where both must refuse the same inputs. The C half is `unit/wire_test_property --pipe` in the
-- build directory (MK_BUILD_DIR in the environment, else build-sanitize or build). MK_SEED
-- replays a run.

package.path = "lua/?.lua;lua/?/init.lua;" .. package.path
local codec = require "moonkeeper.wire.codec"
local records = require "moonkeeper.schema.records"

local pack, unpack = string.pack, string.unpack

---Path of the C half, and whether it is there.
local function find_program()
  local directories = { os.getenv("MK_BUILD_DIR") or "build-sanitize", "build" }
  for _, directory in ipairs(directories) do
    local path = directory .. "/unit/wire_test_property"
    local file = io.open(path, "rb")
    if file then
      file:close()
      return path, true
    end
  end
  return directories[1] .. "/unit/wire_test_property", false
end

local program, program_found = find_program()
local seed = math.tointeger(os.getenv("MK_SEED")) or os.time()
local ROUNDS = 40

local random = math.random

local longs = { 0, 1, -1, math.maxinteger, math.mininteger, 0x100000f2e850000 }
local ints = { 0, 1, -1, 0x7fffffff, -0x80000000, -101 }

local make_record

---A random value of a type; nil now and then where null is allowed.
local function make(type_name)
  if type_name == "boolean" then
    return random(2) == 1
  elseif type_name == "int" then
    return random(3) == 1 and random(-0x80000000, 0x7fffffff) or ints[random(#ints)]
  elseif type_name == "long" then
    return random(3) == 1 and random(0) or longs[random(#longs)]
  elseif type_name == "string" or type_name == "buffer" then
    if random(6) == 1 then
      return nil
    end
    local bytes = {}
    for index = 1, random(0, 12) do
      bytes[index] = string.char(random(0, 255))
    end
    return table.concat(bytes)
  end
  local element = type_name:match("^vector<(%w+)>$")
  if not element then
    return make_record(records.by_name[type_name])
  elseif random(6) == 1 then
    return nil
  end
  local list = {}
  for index = 1, random(0, 4) do
    list[index] = make(element) or false
  end
  return list
end

function make_record(record)
  local value = {}
  for _, field in ipairs(record.fields) do
    if field.optional and random(3) == 1 then
      return value
    end
    value[field.name] = make(field.type)
    if field.optional and value[field.name] == nil then
      value[field.name] = field.type == "boolean" and false or {}
    end
  end
  return value
end

---Encoded bytes with a few of them changed, cut off or added.
local function bend(data)
  for _ = 1, random(3) do
    local kind, at = random(4), random(#data + 1)
    if kind == 1 then
      data = data:sub(1, at - 1) .. string.char(random(0, 255)) .. data:sub(at + 1)
    elseif kind == 2 then
      data = data:sub(1, at - 1) .. string.char(random(0, 3)) .. data:sub(at + 1)
    elseif kind == 3 then
      data = data:sub(1, at - 1)
    else
      data = data .. string.char(random(0, 255))
    end
  end
  return data
end

---Sends the cases through the C codec: { index, bytes } each; gives { error, bytes } each.
local function through_c(cases)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  for _, case in ipairs(cases) do
    file:write(pack(">i4s4", case.index, case.bytes))
  end
  file:close()
  local pipe = assert(io.popen(("'%s' --pipe < '%s'"):format(program, path), "r"))
  local output = pipe:read("a")
  assert(pipe:close())
  os.remove(path)
  local results, position = {}, 1
  for index in ipairs(cases) do
    local code, bytes
    code, bytes, position = unpack(">i4s4", output, position)
    results[index] = { code = code, bytes = bytes }
  end
  assert.equal(#output + 1, position)
  return results
end

local function each_record(action)
  math.randomseed(seed)
  local cases = {}
  for _ = 1, ROUNDS do
    for index, record in ipairs(records.list) do
      cases[#cases + 1] = action(index - 1, record)
    end
  end
  return cases, through_c(cases)
end

local function where(case)
  return ("seed %d, %s, bytes %s"):format(seed, case.record.name,
    (case.bytes:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end)))
end

describe("both codecs, seed " .. seed, function()
  if not program_found then
    pending("need " .. program)
    return
  end

  it("pass random records to each other unchanged", function()
    local cases, results = each_record(function(index, record)
      local value = make_record(record)
      return { index = index, record = record, value = value,
        bytes = codec.encode(record.name, value) }
    end)
    for position, case in ipairs(cases) do
      local result = results[position]
      assert.equal(0, result.code, where(case))
      assert.equal(case.bytes, result.bytes, where(case))
      local value, next_position = codec.decode(case.record.name, result.bytes)
      assert.same(case.value, value, where(case))
      assert.equal(#result.bytes + 1, next_position, where(case))
    end
  end)

  it("refuse the same bent bytes and read the rest alike", function()
    local refused = 0
    local cases, results = each_record(function(index, record)
      return { index = index, record = record,
        bytes = bend(codec.encode(record.name, make_record(record))) }
    end)
    for position, case in ipairs(cases) do
      local result = results[position]
      local value = codec.decode(case.record.name, case.bytes)
      assert.equal(value == nil, result.code ~= 0, where(case))
      if value then
        assert.equal(codec.encode(case.record.name, value), result.bytes, where(case))
      else
        refused = refused + 1
      end
    end
    assert.is_true(refused > #cases // 20)
    assert.is_true(refused < #cases * 19 // 20)
  end)
end)
