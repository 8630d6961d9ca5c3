-- SPDX-License-Identifier: MIT
-- Makes script/options.gen.[ch]: which option of the schema sets which member of struct
-- server_options. Type and size of a member come from C itself, so the schema cannot disagree
-- with the header.

local names = require "names"

local function with_member(schema)
  local rows = {}
  for _, row in ipairs(schema.options.list) do
    if row.c then
      assert(row.doc and row.type, row.name .. ": an option needs a doc and a type")
      rows[#rows + 1] = row
    end
  end
  return rows
end

local function emit_header(rows)
  local out = names.writer()
  out(names.header("Options of a server and the members of struct server_options they set."))
  out("#ifndef SCRIPT_OPTIONS_GEN_H")
  out("#define SCRIPT_OPTIONS_GEN_H")
  out("")
  out('#include "server/server.h"')
  out("")
  out("enum option_kind { OPTION_BOOLEAN, OPTION_SIGNED, OPTION_UNSIGNED, OPTION_STRING };")
  out("")
  out("struct option_row {")
  out("    const char *name; /* as a script writes it */")
  out("    enum option_kind kind;")
  out("    size_t offset, size; /* of the member */")
  out("};")
  out("")
  out("#define OPTION_COUNT %d", #rows)
  out("/* In the order of the schema. */")
  out("extern const struct option_row option_table[OPTION_COUNT];")
  out("")
  out("#endif")
  return out()
end

local function emit_source(rows)
  local out = names.writer()
  out(names.header("See options.gen.h."))
  out('#include "script/options.gen.h"')
  out("")
  out("#define MEMBER(path) (((struct server_options *)0)->path)")
  out("#define KIND(path) \\")
  out("    _Generic(MEMBER(path), bool: OPTION_BOOLEAN, int: OPTION_SIGNED, \\")
  out("             long: OPTION_SIGNED, unsigned char: OPTION_UNSIGNED, \\")
  out("             unsigned: OPTION_UNSIGNED, unsigned long: OPTION_UNSIGNED, \\")
  out("             const char *: OPTION_STRING)")
  out("#define ROW(name, path) \\")
  out("    {name, KIND(path), offsetof(struct server_options, path), sizeof MEMBER(path)}")
  out("")
  out("const struct option_row option_table[OPTION_COUNT] = {")
  for _, row in ipairs(rows) do
    out("    ROW(%s, %s),", names.literal(row.name), row.c)
  end
  out("};")
  return out()
end

return function(schema, output)
  local rows = with_member(schema)
  output.write("script/options.gen.h", emit_header(rows))
  output.write("script/options.gen.c", emit_source(rows))
end
