-- SPDX-License-Identifier: MIT
-- mntr: figures for monitoring, a line each: zk_<name>, a tab, the value. The names are Apache's
-- (monitoring tools know them); figures that this server does not have are left out.

local figures = require "moonkeeper.server.figures"

-- Counters of operations as Apache groups them, by opcode.
local operations <const> = {
  { "add_watch", 106 }, { "check", 13 }, { "check_watches", 17 }, { "close_session", -11 },
  { "create", 1, 15, 19, 21 }, { "create_session", -10 }, { "delete", 2, 20 }, { "exists", 3 },
    { "get_acl", 6 },
  { "get_all_children_number", 104 }, { "get_children", 8, 12 }, { "get_data", 4 },
    { "get_ephemerals", 103 },
  { "multi", 14 }, { "multi_read", 22 }, { "ping", 11 }, { "reconfig", 16 }, { "remove_watches",
    18 },
  { "set_acl", 7 }, { "set_data", 5 }, { "set_watches", 101, 105 }, { "sync", 9 }, { "who_am_i",
    107 },
}

local function add_operations(add, stats)
  local counts = stats:op_counts()
  local total = 0
  for _, row in ipairs(operations) do
    local sum, counted = 0, false
    for index = 2, #row do
      counted = counted or counts[row[index]] ~= nil
      sum = sum + (counts[row[index]] or 0)
    end
    if counted then
      add("op_count_" .. row[1], sum)
      total = total + sum
    end
  end
  add("op_count_total", total)
end

-- Whole milliseconds, as Apache counts them.
local function add_summary(add, name, count, total_ms, max_ms)
  add("avg_" .. name, count > 0 and total_ms / count or 0.0)
  if max_ms then
    add("max_" .. name, math.floor(max_ms))
  end
  add("cnt_" .. name, count)
  add("sum_" .. name, math.floor(total_ms))
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
    add("version", stats.version)
    add("server_state", stats.role)
    add("avg_latency", stats.latency_avg_ms + 0.0)
    add("max_latency", stats.latency_max_ms)
    add("min_latency", stats.latency_min_ms)
    add("packets_received", stats.packets_received)
    add("packets_sent", stats.packets_sent)
    add("num_alive_connections", stats.connection_count)
    add("outstanding_requests", stats.outstanding_requests)
    add("znode_count", stats.znode_count)
    add("watch_count", stats.watch_count)
    add("ephemerals_count", stats.ephemeral_count)
    add("approximate_data_size", stats.data_bytes)
    add("open_file_descriptor_count", stats.file_descriptors_open)
    add("max_file_descriptor_count", stats.file_descriptors_max)
    add("uptime", stats.uptime_ms)
    add("global_sessions", stats.session_count)
    add("local_sessions", 0)
    add("auth_failed_count", stats.auth_failed_count)
    add("connection_rejected", stats.connection_rejected_count)
    add("connection_drop_count", stats.connection_drop_count)
    add("bytes_received_count", stats.bytes_received)
    add("response_bytes", stats.bytes_sent)
    add("stale_sessions_expired", stats.sessions_expired_count)
    add_summary(add, "fsynctime", stats.sync_count, stats.sync_total_us / 1000,
      stats.sync_max_us / 1000)
    add_summary(add, "snapshottime", stats.snapshot_count, stats.snapshot_total_ms)
    add_operations(add, stats)
    return table.concat(lines)
  end,
}
