-- SPDX-License-Identifier: MIT
-- Encoders and decoders for every record of schema/records.lua, made when first asked for: the
-- Lua twin of the generated C codec, used by the client and by tests. Uses only the schema.
--
-- A record is a table with its fields by name; jute and Lua match like this:
--   boolean, int, long     boolean, integer, integer
--   string, buffer         string, nil for null
--   vector                 list, nil for null; a null string in a list is false
--   record                 table
--   optional field         nil when it is absent
-- Decoding checks every length before it believes it. Bytes that cannot be decoded are ordinary
-- trouble (nil, "MarshallingError", detail); a table that cannot be encoded is misuse and raises.

local records = require "moonkeeper.schema.records"

local pack, unpack, sub = string.pack, string.unpack, string.sub
local concat = table.concat

local M = {}

local primitive = {
  boolean = { bytes = 1, format = "B" },
  int = { bytes = 4, format = "i4" },
  long = { bytes = 8, format = "i8" },
}

local NULL = "\255\255\255\255"

-- What the generated functions below stand on. Decoders get the data, the position of the next
-- byte and the last position; they return a value and the next position, or nil and nil.

local function encode_bytes(value)
  if value then
    return pack(">s4", value)
  end
  return NULL
end

local function decode_bytes(data, at, stop)
  if stop - at < 3 then
    return nil, nil
  end
  local length = unpack(">i4", data, at)
  at = at + 4
  if length == -1 then
    return nil, at
  elseif length < 0 or length > stop - at + 1 then
    return nil, nil
  end
  return sub(data, at, at + length - 1), at + length
end

local function vector_encoder(encode)
  return function(list)
    if not list then
      return NULL
    end
    local parts = { pack(">i4", #list) }
    for index = 1, #list do
      parts[index + 1] = encode(list[index])
    end
    return concat(parts)
  end
end

local function vector_decoder(decode, element_bytes_min, is_bytes)
  return function(data, at, stop)
    if stop - at < 3 then
      return nil, nil
    end
    local count = unpack(">i4", data, at)
    at = at + 4
    if count == -1 then
      return nil, at
    elseif count > (stop - at + 1) // element_bytes_min then
      return nil, nil
    end
    local list = {}
    for index = 1, count do
      local value
      value, at = decode(data, at, stop)
      if not at then
        return nil, nil
      end
      list[index] = value or is_bytes and false
    end
    return list, at
  end
end

-- The generated functions: straight-line source per record, neighbouring numbers packed together.

local codec_of

---Encoder, decoder and least bytes of a type that is no plain number.
local function part_of(type_name)
  if type_name == "string" or type_name == "buffer" then
    return { encode = encode_bytes, decode = decode_bytes, bytes_min = 4 }
  end
  local element = type_name:match("^vector<(%w+)>$")
  if element then
    local inner = part_of(element)
    local is_bytes = inner.encode == encode_bytes
    return { encode = vector_encoder(inner.encode),
      decode = vector_decoder(inner.decode, inner.bytes_min, is_bytes), bytes_min = 4 }
  end
  return codec_of(type_name)
end

---Splits the fields into runs of plain numbers and single other fields.
local function runs_of(record)
  local runs, current = {}, nil
  for index, field in ipairs(record.fields) do
    local plain = primitive[field.type]
    local absent = field.optional or field.missing ~= nil
    if plain and not absent and current then
      current[#current + 1] = index
    elseif plain then
      current = { plain = true, index }
      runs[#runs + 1] = current
      if absent then
        current = nil
      end
    else
      current = nil
      runs[#runs + 1] = { index }
    end
  end
  return runs
end

local function run_format(record, run)
  local format, bytes = ">", 0
  for _, index in ipairs(run) do
    local plain = primitive[record.fields[index].type]
    format, bytes = format .. plain.format, bytes + plain.bytes
  end
  return format, bytes
end

local function encoder_source(record, runs)
  local expressions = {}
  for _, run in ipairs(runs) do
    local first = record.fields[run[1]]
    local expression
    if run.plain then
      local values = {}
      for position, index in ipairs(run) do
        local field = record.fields[index]
        local value = "record." .. field.name
        if field.missing ~= nil then
          value = ("(%s or %d)"):format(value, field.missing)
        end
        values[position] = field.type == "boolean" and ("(%s and 1 or 0)"):format(value) or value
      end
      expression = ("pack(%q, %s)"):format((run_format(record, run)), concat(values, ", "))
    else
      expression = ("encode_%d(record.%s)"):format(run[1], first.name)
    end
    if first.optional then
      expression = ("(record.%s == nil and '' or %s)"):format(first.name, expression)
    end
    expressions[#expressions + 1] = expression
  end
  return ("local function encode(record)\n  return %s\nend"):format(concat(expressions, " .. "))
end

local function decode_run(lines, record, run)
  local format, bytes = run_format(record, run)
  local names = {}
  for position, index in ipairs(run) do
    names[position] = "v" .. index
  end
  lines[#lines + 1] = ("if stop - at < %d then return nil, nil, %q end"):format(bytes - 1,
    record.fields[run[1]].name)
  lines[#lines + 1] = ("%s = unpack(%q, data, at)"):format(concat(names, ", "), format)
  lines[#lines + 1] = ("at = at + %d"):format(bytes)
  for _, index in ipairs(run) do
    if record.fields[index].type == "boolean" then
      lines[#lines + 1] = ("v%d = v%d ~= 0"):format(index, index)
    end
  end
end

local function decoder_source(record, runs)
  local lines, locals, assignments = {}, {}, {}
  for index, field in ipairs(record.fields) do
    locals[index] = "v" .. index
    assignments[index] = ("%s = v%d"):format(field.name, index)
  end
  lines[1] = "local " .. concat(locals, ", ")
  for _, run in ipairs(runs) do
    local first = record.fields[run[1]]
    local absent = first.optional or first.missing ~= nil
    if first.missing ~= nil then
      lines[#lines + 1] = ("v%d = %d"):format(run[1], first.missing)
    end
    if absent then
      lines[#lines + 1] = "if at <= stop then"
    end
    if run.plain then
      decode_run(lines, record, run)
    else
      lines[#lines + 1] = ("v%d, at = decode_%d(data, at, stop)"):format(run[1], run[1])
      lines[#lines + 1] = ("if not at then return nil, nil, %q end"):format(first.name)
    end
    if absent then
      lines[#lines + 1] = "end"
    end
  end
  return ("local function decode(data, at, stop)\n  %s\n  return { %s }, at\nend"):format(
    concat(lines, "\n  "), concat(assignments, ", "))
end

local function build(record)
  local runs = runs_of(record)
  local environment = { pack = pack, unpack = unpack }
  local header, bytes_min = { "local pack, unpack = pack, unpack" }, 0
  for index, field in ipairs(record.fields) do
    local plain = primitive[field.type]
    if not plain then
      plain = { bytes = nil, part = part_of(field.type) }
      environment["encode_" .. index] = plain.part.encode
      environment["decode_" .. index] = plain.part.decode
      header[#header + 1] = ("local encode_%d, decode_%d = encode_%d, decode_%d"):format(index,
        index, index, index)
    end
    if not (field.optional or field.missing ~= nil) then
      bytes_min = bytes_min + (plain.bytes or plain.part.bytes_min)
    end
  end
  local source = concat({ concat(header, "\n"), encoder_source(record, runs),
    decoder_source(record, runs), "return encode, decode" }, "\n")
  local encode, decode = assert(load(source, "=codec " .. record.name, "t", environment))()
  return { name = record.name, encode = encode, decode = decode, bytes_min = bytes_min }
end

local codecs = {}

function codec_of(name)
  local codec = codecs[name]
  if not codec then
    local record = records.by_name[name]
    if not record then
      error("no record is called " .. tostring(name), 3)
    end
    codec = build(record)
    codecs[name] = codec
  end
  return codec
end

-- Words for a table that could not be encoded.

local limits = { int = { -0x80000000, 0x7fffffff }, long = { math.mininteger, math.maxinteger } }

local function explain(type_name, value, path)
  local limit = limits[type_name]
  if limit then
    local number = math.type(value) and math.tointeger(value)
    if not number then
      return ("%s: %s expected, got %s"):format(path, type_name, type(value))
    elseif number < limit[1] or number > limit[2] then
      return ("%s: %d does not fit an %s"):format(path, number, type_name)
    end
    return nil
  elseif type_name == "boolean" then
    return nil
  elseif type_name == "string" or type_name == "buffer" then
    return value and type(value) ~= "string" and
      ("%s: string expected, got %s"):format(path, type(value)) or nil
  end
  local element = type_name:match("^vector<(%w+)>$")
  if type(value) ~= "table" then
    return not (element and not value) and ("%s: table expected, got %s"):format(path, type(value))
      or nil
  end
  if element then
    for index = 1, #value do
      local words = explain(element, value[index], ("%s[%d]"):format(path, index))
      if words then
        return words
      end
    end
    return nil
  end
  for _, field in ipairs(records.by_name[type_name].fields) do
    if not ((field.optional or field.missing ~= nil) and value[field.name] == nil) then
      local words = explain(field.type, value[field.name], path .. "." .. field.name)
      if words then
        return words
      end
    end
  end
  return nil
end

---The bytes of a record. Raises when the table does not fit the schema.
---@param name string record of the schema
---@param record table
---@return string
function M.encode(name, record)
  local codec = codec_of(name)
  local ok, bytes = pcall(codec.encode, record)
  if not ok then
    error(explain(name, record, name) or bytes, 2)
  end
  return bytes
end

---A record from `data`, from `position` (default 1) up to `stop` (default the end), and the
---position behind it; or nil, "MarshallingError" and a table with record and field.
---@param name string record of the schema
---@param data string
---@param position integer?
---@param stop integer?
---@return table? record
---@return integer|string next_position
---@return table? detail
function M.decode(name, data, position, stop)
  local codec = codec_of(name)
  local record, next_position, field = codec.decode(data, position or 1, stop or #data)
  if not next_position then
    return nil, "MarshallingError", { record = name, field = field }
  end
  return record, next_position
end

---Least number of bytes that a record takes.
---@param name string
---@return integer
function M.bytes_min(name)
  return codec_of(name).bytes_min
end

return M
