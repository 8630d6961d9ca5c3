-- SPDX-License-Identifier: MIT
-- Makes wire/records.gen.[ch]: for each record a struct, _read, _size, _store and _write, and
-- for each record that is used in a vector the same for the vector. Records of fixed size are
-- read with one bounds check and written with one run of stores, inline.

local names = require "names"

local primitive = {
  boolean = { bytes = 1, c = "bool", load = "at[%d] != 0", read = "mk_read_boolean",
    store = "mk_store_boolean", put = "at[%d] = record->%s ? 1 : 0;" },
  int = { bytes = 4, c = "int32_t", load = "(int32_t)mk_load_u32(at + %d)", read = "mk_read_int",
    store = "mk_store_int", put = "mk_store_u32(at + %d, (uint32_t)record->%s);" },
  long = { bytes = 8, c = "int64_t", load = "(int64_t)mk_load_u64(at + %d)", read = "mk_read_long",
    store = "mk_store_long", put = "mk_store_u64(at + %d, (uint64_t)record->%s);" },
}

local layout = {}

---Adds what the emitter must know about each record: C names, minimal and fixed size.
---@param records table
function layout.analyse(records)
  local by_name, in_vector = {}, {}
  local list = {}
  for index, record in ipairs(records.list) do
    local entry = { record = record, index = index - 1, snake = names.snake(record.name),
      bytes_min = 0, fixed = true }
    entry.struct = "struct mk_" .. entry.snake
    for _, field in ipairs(record.fields) do
      local absent = field.optional or field.missing ~= nil
      local inner = by_name[field.type]
      local plain = primitive[field.type]
      local element = field.type:match("^vector<(%w+)>$")
      if element and by_name[element] then
        in_vector[element] = true
      end
      entry.fixed = entry.fixed and not absent and (plain ~= nil or inner ~= nil and inner.fixed)
      if not absent then
        local bytes = plain and plain.bytes or inner and inner.bytes_min or 4
        entry.bytes_min = entry.bytes_min + bytes
      end
    end
    by_name[record.name] = entry
    list[index] = entry
  end
  for name in pairs(in_vector) do
    by_name[name].in_vector = true
  end
  return list, by_name
end

local function vector_of(field, by_name)
  local element = field.type:match("^vector<(%w+)>$")
  if not element then
    return nil
  end
  return by_name[element] and "mk_" .. by_name[element].snake .. "_vector" or "mk_bytes_vector"
end

local function c_type(field, by_name)
  local plain = primitive[field.type]
  local vector = vector_of(field, by_name)
  if plain then
    return plain.c
  elseif vector then
    return "struct " .. vector
  elseif by_name[field.type] then
    return by_name[field.type].struct
  end
  return "struct mk_bytes"
end

local function emit_struct(out, entry, by_name)
  out("")
  out(names.comment(("%s: %s (%s)"):format(entry.record.name, entry.record.doc,
    entry.record.source)))
  out("%s {", entry.struct)
  for _, field in ipairs(entry.record.fields) do
    if field.optional then
      out(names.comment("whether the next field is there: it may be absent at the end of the input",
        "    "))
      out("    bool has_%s;", field.name)
    end
    out(names.comment(field.doc, "    "))
    out("    %s %s;", c_type(field, by_name), names.member(field.name))
  end
  out("};")
  if entry.in_vector then
    out("")
    out("/* Count -1 means null. */")
    out("struct mk_%s_vector {", entry.snake)
    out("    int32_t count;")
    out("    %s *items;", entry.struct)
    out("};")
  end
end

---Fields of a fixed-size record, records inside flattened: { offset, path, type }.
local function flatten(entry, by_name, prefix, offset, into)
  for _, field in ipairs(entry.record.fields) do
    local path = prefix .. names.member(field.name)
    local plain = primitive[field.type]
    if plain then
      into[#into + 1] = { offset = offset, path = path, plain = plain }
      offset = offset + plain.bytes
    else
      offset = flatten(by_name[field.type], by_name, path .. ".", offset, into)
    end
  end
  return offset
end

local function emit_fixed(out, entry, by_name)
  local fields = {}
  flatten(entry, by_name, "", 0, fields)
  local upper = names.upper(entry.record.name)
  out("")
  out("#define MK_%s_BYTES %d", upper, entry.bytes_min)
  out("")
  out("static inline void mk_%s_read(struct mk_reader *reader, %s *record)", entry.snake,
    entry.struct)
  out("{")
  out("    const uint8_t *at = mk_read_take(reader, MK_%s_BYTES);", upper)
  out("    if (MK_UNLIKELY(!at)) {")
  out("        memset(record, 0, sizeof *record);")
  out("        return;")
  out("    }")
  for _, field in ipairs(fields) do
    out("    record->%s = %s;", field.path, field.plain.load:format(field.offset))
  end
  out("}")
  out("")
  out("static inline size_t mk_%s_size(const %s *record)", entry.snake, entry.struct)
  out("{")
  out("    (void)record;")
  out("    return MK_%s_BYTES;", upper)
  out("}")
  out("")
  out("static inline uint8_t *mk_%s_store(uint8_t *at, const %s *record)", entry.snake,
    entry.struct)
  out("{")
  for _, field in ipairs(fields) do
    out("    " .. field.plain.put:format(field.offset, field.path))
  end
  out("    return at + MK_%s_BYTES;", upper)
  out("}")
  out("")
  out("static inline void mk_%s_write(struct mk_buffer *buffer, const %s *record)", entry.snake,
    entry.struct)
  out("{")
  out("    uint8_t *at = mk_buffer_reserve(buffer, MK_%s_BYTES);", upper)
  out("    mk_buffer_stored(buffer, mk_%s_store(at, record));", entry.snake)
  out("}")
end

local function emit_declarations(out, snake, struct, what)
  out("void mk_%s_read(struct mk_reader *reader, %s *%s);", snake, struct, what)
  out("size_t mk_%s_size(const %s *%s);", snake, struct, what)
  out("uint8_t *mk_%s_store(uint8_t *at, const %s *%s);", snake, struct, what)
  out("void mk_%s_write(struct mk_buffer *buffer, const %s *%s);", snake, struct, what)
end

local function emit_field_read(out, field, by_name, indent)
  local target = "record->" .. names.member(field.name)
  local plain = primitive[field.type]
  local vector = vector_of(field, by_name)
  if plain then
    out("%s%s = %s(reader);", indent, target, plain.read)
  elseif vector then
    out("%s%s_read(reader, &%s);", indent, vector, target)
  elseif by_name[field.type] then
    out("%smk_%s_read(reader, &%s);", indent, by_name[field.type].snake, target)
  else
    out("%s%s = mk_read_bytes(reader);", indent, target)
  end
end

local function emit_read(out, entry, by_name)
  out("")
  out("void mk_%s_read(struct mk_reader *reader, %s *record)", entry.snake, entry.struct)
  out("{")
  for _, field in ipairs(entry.record.fields) do
    if field.optional then
      out("    memset(&record->%s, 0, sizeof record->%s);", names.member(field.name),
        names.member(field.name))
      out("    record->has_%s = mk_reader_left(reader) > 0;", field.name)
      out("    if (record->has_%s)", field.name)
      emit_field_read(out, field, by_name, "        ")
    elseif field.missing ~= nil then
      out("    record->%s = %d;", names.member(field.name), field.missing)
      out("    if (mk_reader_left(reader) > 0)")
      emit_field_read(out, field, by_name, "        ")
    else
      emit_field_read(out, field, by_name, "    ")
    end
  end
  out("}")
end

---Bytes of a field that do not depend on its value, and an expression for the rest or nil.
local function field_size(field, by_name)
  local source = "record->" .. names.member(field.name)
  local plain = primitive[field.type]
  local vector = vector_of(field, by_name)
  local inner = by_name[field.type]
  if plain then
    return plain.bytes
  elseif vector then
    return 0, ("%s_size(&%s)"):format(vector, source)
  elseif inner and inner.fixed then
    return inner.bytes_min
  elseif inner then
    return 0, ("mk_%s_size(&%s)"):format(inner.snake, source)
  end
  return 4, ("mk_bytes_size(%s)"):format(source)
end

local function emit_size(out, entry, by_name)
  out("")
  out("size_t mk_%s_size(const %s *record)", entry.snake, entry.struct)
  out("{")
  local constant, lines = 0, {}
  for _, field in ipairs(entry.record.fields) do
    local bytes, rest = field_size(field, by_name)
    if field.optional then
      lines[#lines + 1] = ("    if (record->has_%s)"):format(field.name)
      lines[#lines + 1] = ("        size += %d%s;"):format(bytes, rest and " + " .. rest or "")
    else
      constant = constant + bytes
      if rest then
        lines[#lines + 1] = ("    size += %s;"):format(rest)
      end
    end
  end
  if #lines == 0 then
    out("    (void)record;")
  end
  out("    size_t size = %d;", constant)
  for _, line in ipairs(lines) do
    out("%s", line)
  end
  out("    return size;")
  out("}")
end

local function emit_store(out, entry, by_name)
  out("")
  out("uint8_t *mk_%s_store(uint8_t *at, const %s *record)", entry.snake, entry.struct)
  out("{")
  for _, field in ipairs(entry.record.fields) do
    local source = "record->" .. names.member(field.name)
    local plain = primitive[field.type]
    local vector = vector_of(field, by_name)
    local indent = "    "
    if field.optional then
      out("    if (record->has_%s)", field.name)
      indent = "        "
    end
    if plain then
      out("%sat = %s(at, %s);", indent, plain.store, source)
    elseif vector then
      out("%sat = %s_store(at, &%s);", indent, vector, source)
    elseif by_name[field.type] then
      out("%sat = mk_%s_store(at, &%s);", indent, by_name[field.type].snake, source)
    else
      out("%sat = mk_store_bytes(at, %s);", indent, source)
    end
  end
  out("    return at;")
  out("}")
end

---`may_be_empty`: a buffer without memory has no place to store nothing at.
local function emit_write(out, snake, struct, what, may_be_empty)
  out("")
  out("void mk_%s_write(struct mk_buffer *buffer, const %s *%s)", snake, struct, what)
  out("{")
  out("    size_t size = mk_%s_size(%s);", snake, what)
  if may_be_empty then
    out("    if (!size)")
    out("        return;")
  end
  out("    uint8_t *at = mk_buffer_reserve(buffer, size);")
  out("    mk_buffer_stored(buffer, mk_%s_store(at, %s));", snake, what)
  out("}")
end

local function emit_vector(out, entry)
  local vector = entry.snake .. "_vector"
  local struct = "struct mk_" .. vector
  out("")
  out("void mk_%s_read(struct mk_reader *reader, %s *vector)", vector, struct)
  out("{")
  out("    vector->count = mk_read_count(reader, %d);", entry.bytes_min)
  out("    vector->items = NULL;")
  out("    if (vector->count <= 0)")
  out("        return;")
  out("    MK_ASSERT(reader->arena != NULL);")
  out("    vector->items = mk_arena_alloc(reader->arena,")
  out("                                   (size_t)vector->count * sizeof *vector->items);")
  out("    for (int32_t i = 0; i < vector->count; i++)")
  out("        mk_%s_read(reader, &vector->items[i]);", entry.snake)
  out("}")
  out("")
  out("size_t mk_%s_size(const %s *vector)", vector, struct)
  out("{")
  out("    size_t size = 4;")
  out("    for (int32_t i = 0; i < vector->count; i++)")
  out("        size += mk_%s_size(&vector->items[i]);", entry.snake)
  out("    return size;")
  out("}")
  out("")
  out("uint8_t *mk_%s_store(uint8_t *at, const %s *vector)", vector, struct)
  out("{")
  out("    at = mk_store_int(at, vector->count);")
  out("    for (int32_t i = 0; i < vector->count; i++)")
  out("        at = mk_%s_store(at, &vector->items[i]);", entry.snake)
  out("    return at;")
  out("}")
  emit_write(out, vector, struct, "vector")
end

local function emit_header(list, by_name)
  local out = names.writer()
  out(names.header("Every record of the client protocol, the peer protocol and the disk formats." ..
    " For a record X: mk_x_read decodes (look at reader->error afterwards; strings borrow from " ..
    "the input, vectors from the reader's arena), mk_x_size tells the encoded bytes, mk_x_store " ..
    "puts them down and returns the place behind them, mk_x_write appends them to a buffer. " ..
    "MK_X_BYTES is the size of a record that always has the same one."))
  out("#ifndef MK_WIRE_RECORDS_GEN_H")
  out("#define MK_WIRE_RECORDS_GEN_H")
  out("")
  out('#include "wire/jute.h"')
  out("")
  out("/* Numbers of the records, in the order of the schema. */")
  out("enum mk_record {")
  out("    MK_RECORD_NONE = -1,")
  for _, entry in ipairs(list) do
    out("    MK_RECORD_%s = %d,", names.upper(entry.record.name), entry.index)
  end
  out("    MK_RECORD_COUNT = %d", #list)
  out("};")
  out("")
  out("/* Name as in the schema, or NULL when there is no such record. */")
  out("const char *mk_record_name(unsigned index);")
  for _, entry in ipairs(list) do
    emit_struct(out, entry, by_name)
    if entry.fixed then
      emit_fixed(out, entry, by_name)
    else
      out("")
      emit_declarations(out, entry.snake, entry.struct, "record")
    end
    if entry.in_vector then
      out("")
      local vector = entry.snake .. "_vector"
      emit_declarations(out, vector, "struct mk_" .. vector, "vector")
    end
  end
  out("")
  out("#endif")
  return out()
end

local function emit_source(list, by_name)
  local out = names.writer()
  out(names.header("See records.gen.h."))
  out('#include "wire/records.gen.h"')
  out("")
  out("const char *mk_record_name(unsigned index)")
  out("{")
  out("    static const char *const record_names[MK_RECORD_COUNT] = {")
  for _, entry in ipairs(list) do
    out("        %s,", names.literal(entry.record.name))
  end
  out("    };")
  out("    return index < MK_RECORD_COUNT ? record_names[index] : NULL;")
  out("}")
  for _, entry in ipairs(list) do
    if not entry.fixed then
      emit_read(out, entry, by_name)
      emit_size(out, entry, by_name)
      emit_store(out, entry, by_name)
      emit_write(out, entry.snake, entry.struct, "record", entry.bytes_min == 0)
    end
    if entry.in_vector then
      emit_vector(out, entry)
    end
  end
  return out()
end

return function(schema, output)
  local list, by_name = layout.analyse(schema.records)
  output.write("wire/records.gen.h", emit_header(list, by_name))
  output.write("wire/records.gen.c", emit_source(list, by_name))
end
