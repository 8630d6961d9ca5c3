-- SPDX-License-Identifier: MIT
-- Makes wire/errors.gen.[ch] (error codes with name and text) and wire/ops.gen.[ch] (opcodes
-- with what is known of them, and the small enums of schema/events.lua).

local names = require "names"

local function emit_errors_header(errors)
  local out = names.writer()
  out(names.header("Error codes: down to -999 those of ZooKeeper's protocol, below -1000 ours," ..
    " which never go over the wire."))
  out("#ifndef MK_WIRE_ERRORS_GEN_H")
  out("#define MK_WIRE_ERRORS_GEN_H")
  out("")
  out("enum mk_error {")
  for _, row in ipairs(errors.list) do
    out("    %s = %d, /* %s */", row.c, row.code, row.text)
  end
  out("};")
  out("")
  out('/* Short name as Lua programs compare it ("NoNode"); "Unknown" for other codes. */')
  out("const char *mk_error_name(int code);")
  out('/* One sentence without full stop; "unknown error" for other codes. */')
  out("const char *mk_error_text(int code);")
  out("")
  out("#endif")
  return out()
end

local function emit_error_function(out, errors, what, other)
  out("")
  out("const char *mk_error_%s(int code)", what)
  out("{")
  out("    switch (code) {")
  for _, row in ipairs(errors.list) do
    out("    case %s:", row.c)
    out("        return %s;", names.literal(row[what]))
  end
  out("    default:")
  out("        return %s;", names.literal(other))
  out("    }")
  out("}")
end

local function emit_errors_source(errors)
  local out = names.writer()
  out(names.header("See errors.gen.h."))
  out('#include "wire/errors.gen.h"')
  emit_error_function(out, errors, "name", "Unknown")
  emit_error_function(out, errors, "text", "unknown error")
  return out()
end

local function emit_sets(out, events)
  for _, set in ipairs(events.list) do
    out("")
    out(names.comment(set.doc))
    out("enum mk_%s {", set.name)
    for index, member in ipairs(set.members) do
      out("    %s_%s = %d%s /* %s */", set.c, names.upper(member.name), member.value,
        index < #set.members and "," or "", member.doc)
    end
    out("};")
  end
end

local function emit_ops_header(schema)
  local out = names.writer()
  out(names.header("Opcodes, and the small sets of numbers of the protocol."))
  out("#ifndef MK_WIRE_OPS_GEN_H")
  out("#define MK_WIRE_OPS_GEN_H")
  out("")
  out('#include "wire/records.gen.h"')
  out("")
  out("enum mk_op {")
  for _, op in ipairs(schema.ops.list) do
    out("    MK_OP_%s = %d, /* %s */", names.upper(op.name), op.number, op.doc)
  end
  out("};")
  emit_sets(out, schema.events)
  out("")
  out("/* How an operation travels. */")
  out("enum mk_op_kind {")
  out("    MK_KIND_WRITE,      /* ordered by the leader, logged, consumes one zxid */")
  out("    MK_KIND_READ,       /* answered from committed state in the order of the session */")
  out("    MK_KIND_BARRIER,    /* ordered by the leader, not logged */")
  out("    MK_KIND_CONNECTION, /* answered by the connection layer */")
  out("    MK_KIND_INTERNAL    /* refused when it comes from a client */")
  out("};")
  out("")
  out("/* Whose ACL must allow an operation. */")
  out("enum mk_op_subject {")
  out("    MK_SUBJECT_NONE,   /* nothing is checked */")
  out("    MK_SUBJECT_NODE,   /* the znode of the request */")
  out("    MK_SUBJECT_PARENT, /* its parent */")
  out("    MK_SUBJECT_CONFIG  /* /zookeeper/config */")
  out("};")
  out("")
  out("struct mk_op_info {")
  out("    int32_t number; /* enum mk_op */")
  out("    const char *name; /* as Apache ZooKeeper calls it */")
  out("    enum mk_op_kind kind;")
  out("    enum mk_record request;  /* MK_RECORD_NONE: none, or the parts of a multi */")
  out("    enum mk_record response; /* same */")
  out("    enum mk_record txn;      /* what is logged; MK_RECORD_NONE when nothing is */")
  out("    int32_t permission;      /* MK_PERM_* bits of which one must be there; 0: none */")
  out("    enum mk_op_subject subject;")
  out("    bool in_multi;      /* may be a part of multi */")
  out("    bool in_multi_read; /* may be a part of multiRead */")
  out("    const char *since;  /* first release of Apache ZooKeeper that knows it */")
  out("};")
  out("")
  out("#define MK_OP_COUNT %d", #schema.ops.list)
  out("")
  out("/* What is known of an opcode, in constant time; NULL when there is no such opcode. */")
  out("const struct mk_op_info *mk_op_find(int32_t number);")
  out("/* Row `index` of the table, in the order of the schema; NULL from MK_OP_COUNT on. */")
  out("const struct mk_op_info *mk_op_at(unsigned index);")
  out("")
  out("#endif")
  return out()
end

local function record_constant(name)
  return (name and name ~= "multi") and "MK_RECORD_" .. names.upper(name) or "MK_RECORD_NONE"
end

local function emit_op_row(out, op)
  local bits = {}
  for bit in (op.permission or ""):gmatch("%a+") do
    bits[#bits + 1] = "MK_PERM_" .. names.upper(bit)
  end
  out("    {.number = MK_OP_%s,", names.upper(op.name))
  out("     .name = %s,", names.literal(op.name))
  out("     .kind = MK_KIND_%s,", op.kind:upper())
  out("     .request = %s,", record_constant(op.request))
  out("     .response = %s,", record_constant(op.response))
  out("     .txn = %s,", record_constant(op.txn))
  out("     .permission = %s,", #bits > 0 and table.concat(bits, " | ") or "0")
  out("     .subject = MK_SUBJECT_%s,", (op.on or "none"):upper())
  out("     .in_multi = %s,", tostring(op.multi == "write"))
  out("     .in_multi_read = %s,", tostring(op.multi == "read"))
  out("     .since = %s},", names.literal(op.since))
end

local function emit_ops_source(schema)
  local list = schema.ops.list
  local low, high = math.huge, -math.huge
  for _, op in ipairs(list) do
    low, high = math.min(low, op.number), math.max(high, op.number)
  end
  local out = names.writer()
  out(names.header("See ops.gen.h."))
  out('#include "wire/ops.gen.h"')
  out("")
  out("static const struct mk_op_info op_table[MK_OP_COUNT] = {")
  for _, op in ipairs(list) do
    emit_op_row(out, op)
  end
  out("};")
  out("")
  out("#define NUMBER_MIN (%d)", low)
  out("#define NUMBER_MAX %d", high)
  out("")
  out("/* Row + 1 of each number, 0 where there is none. */")
  out("static const uint8_t op_rows[NUMBER_MAX - NUMBER_MIN + 1] = {")
  for index, op in ipairs(list) do
    out("    [MK_OP_%s - NUMBER_MIN] = %d,", names.upper(op.name), index)
  end
  out("};")
  out("")
  out("const struct mk_op_info *mk_op_find(int32_t number)")
  out("{")
  out("    if (number < NUMBER_MIN || number > NUMBER_MAX)")
  out("        return NULL;")
  out("    unsigned row = op_rows[number - NUMBER_MIN];")
  out("    return row ? &op_table[row - 1] : NULL;")
  out("}")
  out("")
  out("const struct mk_op_info *mk_op_at(unsigned index)")
  out("{")
  out("    return index < MK_OP_COUNT ? &op_table[index] : NULL;")
  out("}")
  return out()
end

return function(schema, output)
  output.write("wire/errors.gen.h", emit_errors_header(schema.errors))
  output.write("wire/errors.gen.c", emit_errors_source(schema.errors))
  output.write("wire/ops.gen.h", emit_ops_header(schema))
  output.write("wire/ops.gen.c", emit_ops_source(schema))
end
