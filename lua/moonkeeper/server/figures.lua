-- SPDX-License-Identifier: MIT
-- How figures are written in the answers of four-letter words, as Apache writes them and
-- monitoring tools read them. Used by server-scripts/commands/. Pure.

local M = {}

---A decimal fraction as Java prints a double: at most four digits, at least one.
---@param value number
---@return string
function M.decimal(value)
  local text = ("%.4f"):format(value):gsub("0+$", "")
  return (text:gsub("%.$", ".0"))
end

---A 64-bit number in hexadecimal with 0x.
---@param value integer
---@return string
function M.hex(value)
  return ("0x%x"):format(value)
end

---A moment (ms since 1970) as Java prints a Date, in UTC.
---@param wall_ms integer
---@return string
function M.date(wall_ms)
  local days <const> = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" }
  local months <const> = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct",
    "Nov", "Dec" }
  local moment = os.date("!*t", wall_ms // 1000)
  return ("%s %s %02d %02d:%02d:%02d UTC %d"):format(days[moment.wday], months[moment.month],
    moment.day,
    moment.hour, moment.min, moment.sec, moment.year)
end

---The end of an expiry interval: expiry is checked in steps of a tick.
---@param moment_ms integer
---@param tick_ms integer
---@return integer
function M.bucket(moment_ms, tick_ms)
  return (moment_ms // tick_ms + 1) * tick_ms
end

---The first lines of srvr and stat.
---@param stats table
---@return string
function M.version_lines(stats)
  local text = "Zookeeper version: " .. stats.version .. "\n"
  if stats.read_only then
    text = text .. "READ-ONLY mode; serving only read-only clients\n"
  end
  return text
end

---The lines that srvr and stat have in common.
---@param stats table
---@return string
function M.server_lines(stats)
  return table.concat {
    ("Latency min/avg/max: %d/%s/%d\n"):format(stats.latency_min_ms,
      M.decimal(stats.latency_avg_ms),
      stats.latency_max_ms),
    ("Received: %d\n"):format(stats.packets_received),
    ("Sent: %d\n"):format(stats.packets_sent),
    ("Connections: %d\n"):format(stats.connection_count),
    ("Outstanding: %d\n"):format(stats.outstanding_requests),
    ("Zxid: %s\n"):format(M.hex(stats.last_zxid)),
    ("Mode: %s\n"):format(stats.role),
    ("Node count: %d\n"):format(stats.znode_count),
    stats.role == "leader" and ("Proposal sizes last/min/max: %d/%d/%d\n"):format(
      stats.proposal_last_bytes, stats.proposal_min_bytes, stats.proposal_max_bytes) or "",
  }
end

---"/10.0.0.1:4711[1]": a connection as stat and cons begin its line. Interest 0 is the connection
---that asks.
---@param connection table
---@return string
function M.connection(connection)
  return ("/%s[%d]"):format(M.endpoint(connection), connection.asking and 0 or 1)
end

---"10.0.0.1:4711" or "[::1]:4711".
---@param connection table
---@return string
function M.endpoint(connection)
  local host = connection.address
  if host:find(":", 1, true) then
    host = "[" .. host .. "]"
  end
  return ("%s:%d"):format(host, connection.port)
end

return M
