-- SPDX-License-Identifier: MIT
-- mntr: figures for monitoring, a line each: zk_<name>, a tab, the value. Which there are, and
-- where each comes from, says moonkeeper.schema.metrics.

local check = require "moonkeeper.server.check"
local figures = require "moonkeeper.server.figures"
local schema = require "moonkeeper.schema.metrics"

local quantiles <const> = { "p50", "p95", "p99", "p999" }

-- Whole numbers, as Apache counts, but for the mean.
local function add_summary(add, row, summary)
  local divide = row.divide or 1
  local count = summary.count
  add("avg_" .. row.name, count > 0 and summary.sum / count / divide or 0.0)
  add("min_" .. row.name, summary.min // divide)
  add("max_" .. row.name, summary.max // divide)
  add("cnt_" .. row.name, count)
  add("sum_" .. row.name, summary.sum // divide)
  if row.kind == "histogram" then
    for _, quantile in ipairs(quantiles) do
      add(quantile .. "_" .. row.name, summary[quantile] // divide)
    end
  end
end

local function requests(counts, ops)
  local sum = 0
  for _, op in ipairs(ops) do
    sum = sum + (counts[op] or 0)
  end
  return sum
end

local function add_quotas(add, stats)
  for quota in stats:quotas() do
    local name = check.printable(quota.name) -- a client chose it
    for _, row in ipairs(schema.per_namespace) do
      local value = quota[row.field]
      if value >= 0 or not row.optional then
        add(name .. "_" .. row.name, value)
      end
    end
  end
end

return {
  name = "mntr",
  help = "figures for monitoring tools",
  run = function(stats)
    local lines = {}
    local function add(name, value)
      local text = math.type(value) == "float" and figures.decimal(value) or tostring(value)
      lines[#lines + 1] = "zk_" .. name .. "\t" .. text .. "\n"
    end
    local kept, counts, total = stats:metrics(), stats:op_counts(), 0
    for _, row in ipairs(schema.list) do
      if row.field then
        local value = stats[row.field]
        if value ~= nil or not row.optional then
          add(row.name, row.decimal and value + 0.0 or value)
        end
      elseif row.ops then
        local sum = requests(counts, row.ops)
        total = total + sum
        add(row.name, sum)
      elseif row.total then
        add(row.name, total)
      elseif row.kind == "counter" then
        add(row.name, kept[row.name])
      else
        add_summary(add, row, kept[row.same_as or row.name])
      end
    end
    add_quotas(add, stats)
    return table.concat(lines)
  end,
}
