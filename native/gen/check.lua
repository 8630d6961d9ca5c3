-- SPDX-License-Identifier: MIT
-- Checks the schema of records, opcodes, errors and numbers before anything is made of it:
-- unique names and numbers, known types, docs present, references that lead somewhere. Raises
-- with the name of the culprit.

local names = require "names"

local primitive = { boolean = true, int = true, long = true, string = true, buffer = true }
local kinds = { write = true, read = true, barrier = true, connection = true, internal = true }

local function fail(format, ...)
  error(("schema: " .. format):format(...), 0)
end

local function need_text(value, what)
  if type(value) ~= "string" or value == "" then
    fail("%s is missing", what)
  end
end

local function unique(seen, key, what)
  if seen[key] then
    fail("%s %s is there twice", what, tostring(key))
  end
  seen[key] = true
end

local function check_field(record, field, known, seen)
  local what = record.name .. "." .. tostring(field.name)
  need_text(field.name, "name of a field of " .. record.name)
  need_text(field.doc, "doc of " .. what)
  if not field.name:match("^%l[%l%d_]*$") then
    fail("%s is not in snake_case", what)
  end
  unique(seen, field.name, "field of " .. record.name)
  local element = field.type:match("^vector<(%w+)>$")
  local base = element or field.type
  if element and (element == "boolean" or element == "int" or element == "long") then
    fail("%s: vectors hold strings, buffers or records", what)
  end
  local inner = known[base]
  if not primitive[base] and not inner then
    fail("%s has the unknown type %s (records are declared before their use)", what, field.type)
  end
  local last = inner and inner.fields[#inner.fields]
  if last and (last.optional or last.missing ~= nil) then
    fail("%s: %s may end early and cannot be part of a record", what, base)
  end
end

local function check_records(records)
  local known, c_names = {}, {}
  for _, record in ipairs(records.list) do
    need_text(record.name, "name of a record")
    need_text(record.doc, "doc of " .. record.name)
    need_text(record.source, "source of " .. record.name)
    unique(c_names, names.snake(record.name), "record")
    if #record.fields == 0 then
      fail("%s has no fields", record.name)
    end
    local seen, may_end = {}, false
    for _, field in ipairs(record.fields) do
      check_field(record, field, known, seen)
      local absent = field.optional or field.missing ~= nil
      if may_end and not absent then
        fail("%s.%s follows a field that may be absent", record.name, field.name)
      end
      may_end = may_end or absent
    end
    known[record.name] = record
  end
end

local function check_ops(schema)
  local numbers, op_names = {}, {}
  for _, op in ipairs(schema.ops.list) do
    need_text(op.name, "name of an opcode")
    need_text(op.doc, "doc of " .. op.name)
    need_text(op.since, "since of " .. op.name)
    unique(numbers, op.number, "opcode")
    unique(op_names, op.name, "opcode")
    if not kinds[op.kind] then
      fail("opcode %s has the unknown kind %s", op.name, tostring(op.kind))
    end
    for _, what in ipairs { "request", "response", "txn" } do
      local name = op[what]
      if name and name ~= "multi" and not schema.records.by_name[name] then
        fail("opcode %s: no record %s", op.name, name)
      end
    end
    for bit in (op.permission or ""):gmatch("%a+") do
      if not schema.events.perms.value[bit] then
        fail("opcode %s: no permission %s", op.name, bit)
      end
    end
    if (op.permission == nil) ~= (op.on == nil) then
      fail("opcode %s: permission and on belong together", op.name)
    end
  end
end

local function check_errors(errors)
  local codes, error_names, c_names = {}, {}, {}
  for _, row in ipairs(errors.list) do
    need_text(row.text, "text of error " .. tostring(row.name))
    unique(codes, row.code, "error code")
    unique(error_names, row.name, "error")
    unique(c_names, row.c, "error")
  end
end

local function check_events(events)
  for _, set in ipairs(events.list) do
    need_text(set.doc, "doc of " .. set.name)
    local values, member_names = {}, {}
    for _, member in ipairs(set.members) do
      need_text(member.doc, "doc of " .. set.name .. "." .. member.name)
      unique(values, member.value, set.name)
      unique(member_names, member.name, set.name)
    end
  end
end

return function(schema)
  check_records(schema.records)
  check_events(schema.events)
  check_ops(schema)
  check_errors(schema.errors)
end
