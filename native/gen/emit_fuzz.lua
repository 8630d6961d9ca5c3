-- SPDX-License-Identifier: MIT
-- Makes wire/fuzz.gen.[ch]: one entry over all records, for fuzzers and for tests that send
-- bytes through the C codec.

local names = require "names"

local function emit_header()
  local out = names.writer()
  out(names.header("Any record by its number: for fuzzers and tests."))
  out("#ifndef MK_WIRE_FUZZ_GEN_H")
  out("#define MK_WIRE_FUZZ_GEN_H")
  out("")
  out('#include "wire/records.gen.h"')
  out("")
  out("/* Decodes record `index` (below MK_RECORD_COUNT) from the reader and, when that works,")
  out(" * appends it to `buffer` again. Returns 0 or the reader's error. */")
  out("int mk_record_copy(unsigned index, struct mk_reader *reader, struct mk_buffer *buffer);")
  out("")
  out("/* Decodes record `index` modulo MK_RECORD_COUNT from the bytes. When that works, asserts")
  out(" * that it can be encoded, that this decodes again, and that the second encoding has the")
  out(" * same bytes (the first input may differ: true as 2, counts below -1, fields left out).")
  out(" * Returns 0 or the error of the first decoding. */")
  out("int mk_fuzz_record(unsigned index, const uint8_t *data, size_t size);")
  out("")
  out("#endif")
  return out()
end

local function emit_source(records)
  local out = names.writer()
  out(names.header("See fuzz.gen.h."))
  out('#include "wire/fuzz.gen.h"')
  for _, record in ipairs(records.list) do
    local snake = names.snake(record.name)
    out("")
    out("static void copy_%s(struct mk_reader *reader, struct mk_buffer *buffer)", snake)
    out("{")
    out("    struct mk_%s record;", snake)
    out("    mk_%s_read(reader, &record);", snake)
    out("    if (reader->error)")
    out("        return;")
    out("    size_t before = buffer->length;")
    out("    mk_%s_write(buffer, &record);", snake)
    out("    MK_ASSERT(buffer->length - before == mk_%s_size(&record));", snake)
    out("}")
  end
  out("")
  out("int mk_record_copy(unsigned index, struct mk_reader *reader, struct mk_buffer *buffer)")
  out("{")
  out("    static void (*const copy[MK_RECORD_COUNT])(struct mk_reader *, struct mk_buffer *) = {")
  for _, record in ipairs(records.list) do
    out("        copy_%s,", names.snake(record.name))
  end
  out("    };")
  out("    MK_ASSERT(index < MK_RECORD_COUNT);")
  out("    copy[index](reader, buffer);")
  out("    return reader->error;")
  out("}")
  out("")
  out([[
int mk_fuzz_record(unsigned index, const uint8_t *data, size_t size)
{
    struct mk_arena arena;
    struct mk_reader reader;
    struct mk_buffer first = MK_BUFFER_EMPTY;
    struct mk_buffer second = MK_BUFFER_EMPTY;
    mk_arena_init(&arena);
    index %= MK_RECORD_COUNT;
    mk_reader_init(&reader, data, size, &arena);
    int error = mk_record_copy(index, &reader, &first);
    if (!error) {
        mk_reader_init(&reader, first.data, first.length, &arena);
        MK_ASSERT(mk_record_copy(index, &reader, &second) == 0);
        MK_ASSERT(mk_reader_left(&reader) == 0);
        MK_ASSERT(first.length == second.length);
        MK_ASSERT(first.length == 0 || memcmp(first.data, second.data, first.length) == 0);
    }
    mk_buffer_fini(&first);
    mk_buffer_fini(&second);
    mk_arena_fini(&arena);
    return error;
}]])
  return out()
end

return function(schema, output)
  output.write("wire/fuzz.gen.h", emit_header())
  output.write("wire/fuzz.gen.c", emit_source(schema.records))
end
