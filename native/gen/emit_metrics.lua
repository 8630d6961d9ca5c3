-- SPDX-License-Identifier: MIT
-- Makes replica/metrics.gen.[ch]: an enum and the names of the counters, summaries and histograms
-- that the replica keeps for the word mntr (schema/metrics.lua).

local names = require "names"

local kinds <const> = { "counter", "summary", "histogram" }
local known <const> = { text = true, gauge = true, counter = true, summary = true,
  histogram = true }

local function check(list)
  local seen = {}
  for _, row in ipairs(list) do
    assert(row.name:match("^%l[%l%d_]*$"), "metrics: a name is not in snake_case")
    assert(not seen[row.name], "metrics: twice: " .. row.name)
    seen[row.name] = row
    assert(known[row.kind], row.name .. ": unknown kind")
    assert(type(row.doc) == "string" and row.doc ~= "", row.name .. ": a metric needs a doc")
    local sources = 0
    for _, source in ipairs { "field", "replica", "host", "ops", "same_as", "total" } do
      sources = sources + (row[source] and 1 or 0)
    end
    assert(sources == 1, row.name .. ": a metric comes from exactly one place")
    assert(not row.same_as or seen[row.same_as], row.name .. ": same_as a row above")
  end
end

local function rows_of(list, kind)
  local rows = {}
  for _, row in ipairs(list) do
    if row.replica and row.kind == kind then
      rows[#rows + 1] = row
    end
  end
  return rows
end

local function emit_header(list)
  local out = names.writer()
  out(names.header("Figures that the replica keeps for mntr."))
  out("#ifndef REPLICA_METRICS_GEN_H")
  out("#define REPLICA_METRICS_GEN_H")
  for _, kind in ipairs(kinds) do
    local prefix = kind:upper()
    out("")
    out("enum metric_%s {", kind)
    for _, row in ipairs(rows_of(list, kind)) do
      out("    %s_%s, /* %s */", prefix, row.name:upper(), row.doc)
    end
    out("    %s_COUNT", prefix)
    out("};")
    out("extern const char *const metric_%s_names[%s_COUNT];", kind, prefix)
  end
  out("")
  out("#endif")
  return out()
end

local function emit_source(list)
  local out = names.writer()
  out(names.header("See metrics.gen.h."))
  out('#include "replica/metrics.gen.h"')
  for _, kind in ipairs(kinds) do
    out("")
    out("const char *const metric_%s_names[%s_COUNT] = {", kind, kind:upper())
    for _, row in ipairs(rows_of(list, kind)) do
      out("    %s,", names.literal(row.name))
    end
    out("};")
  end
  return out()
end

return function(schema, output)
  local list = schema.metrics.list
  check(list)
  output.write("replica/metrics.gen.h", emit_header(list))
  output.write("replica/metrics.gen.c", emit_source(list))
end
