-- SPDX-License-Identifier: MIT
-- The page docs/reference/metrics.md, written from the schema: every figure of the word mntr with
-- its kind and meaning. `moonkeeper help metrics` prints it, and a spec keeps the copy up to date.
-- Pure.

local metrics = require "moonkeeper.schema.metrics"
local ops = require "moonkeeper.schema.ops"

local M = {}

local HEAD <const> = [[
# Figures of `mntr`

Written from `lua/moonkeeper/schema/metrics.lua` by `moonkeeper help metrics`; do not edit.

The four-letter word `mntr` tells these on the client port, in this order, a line each: the key, a
tab, the value. Names are Apache ZooKeeper's, so that its monitoring tools find them;
[compatibility.md](../compatibility.md) says which of Apache's are left out, and why. Counters,
summaries and histograms begin anew with `srst`, latencies and packets too; what happened at the
start is kept. Lines of a role are only there while the server has it.
]]

-- kind, prefixes of its keys (nothing: the name itself), values
local KINDS <const> = {
  { "text", { "" }, "a word" },
  { "gauge", { "" }, "a number that goes up and down" },
  { "counter", { "" }, "a number that only grows" },
  { "summary", { "avg_", "min_", "max_", "cnt_", "sum_" },
    "mean, smallest, largest, how many, sum" },
  { "histogram",
    { "avg_", "min_", "max_", "cnt_", "sum_", "p50_", "p95_", "p99_", "p999_" },
    "the same, and quantiles: never too small, at most an eighth too large" },
}

-- The requests that a count adds up.
local function requests(row)
  local names = {}
  for index, number in ipairs(row.ops) do
    names[index] = ops.by_number[number].name
  end
  return table.concat(names, ", ")
end

local function add_kinds(lines)
  lines[#lines + 1] = "\n| kind | keys | values |\n|---|---|---|\n"
  for _, kind in ipairs(KINDS) do
    local keys = {}
    for index, prefix in ipairs(kind[2]) do
      keys[index] = "`zk_" .. prefix .. "NAME`"
    end
    lines[#lines + 1] = ("| %s | %s | %s |\n"):format(kind[1], table.concat(keys, ", "), kind[3])
  end
end

local function add_namespaces(lines)
  lines[#lines + 1] = "\nBehind these, gauges for each top-level znode that has quotas, itself or "
    .. "below it:\n\n| key | what it is |\n|---|---|\n"
  for _, row in ipairs(metrics.per_namespace) do
    lines[#lines + 1] = ("| `zk_ZNODE_%s` | %s |\n"):format(row.name, row.doc)
  end
end

---@return string
function M.text()
  local lines = { HEAD }
  add_kinds(lines)
  lines[#lines + 1] = "\n| NAME | kind | what it is |\n|---|---|---|\n"
  for _, row in ipairs(metrics.list) do
    lines[#lines + 1] = ("| `%s` | %s | %s |\n"):format(row.name, row.kind,
      row.ops and requests(row) or row.doc)
  end
  add_namespaces(lines)
  return table.concat(lines)
end

return M
