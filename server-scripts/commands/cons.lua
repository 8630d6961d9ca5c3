-- SPDX-License-Identifier: MIT
-- cons: all that is known of each connection. What was last asked is named as Apache names it.

local figures = require "moonkeeper.server.figures"

local last_op_names <const> = {
  [-11] = "CLOS", [-10] = "SESS", [1] = "CREA", [2] = "DELE", [3] = "EXIS", [4] = "GETD",
    [5] = "SETD", [6] = "GETA",
  [7] = "SETA", [8] = "GETC", [9] = "SYNC", [11] = "PING", [12] = "GETC", [13] = "CHEC",
    [14] = "MULT", [15] = "CREA",
  [16] = "RECO", [17] = "CHKW", [18] = "REMW", [19] = "CREA", [20] = "DELE", [21] = "CREA",
    [22] = "MLTR",
  [100] = "AUTH", [101] = "SETW", [102] = "SASL", [103] = "GETE", [104] = "GETACN", [105] = "STW2",
    [106] = "ADDW",
  [107] = "HOMI",
}

local function session_fields(connection)
  local fields = {
    ("sid=%s"):format(figures.hex(connection.session_id)),
    ("lop=%s"):format(last_op_names[connection.last_op] or "NA"),
    ("est=%d"):format(connection.established_wall_ms),
    ("to=%d"):format(connection.timeout_ms),
  }
  if connection.last_op ~= 0 then
    fields[#fields + 1] = "lcxid=" .. figures.hex(connection.last_xid)
  end
  fields[#fields + 1] = "lzxid=" .. figures.hex(connection.last_zxid)
  fields[#fields + 1] = ("lresp=%d"):format(connection.last_response_now_ms)
  fields[#fields + 1] = ("llat=%d"):format(connection.last_latency_ms)
  fields[#fields + 1] = ("minlat=%d"):format(connection.latency_min_ms)
  fields[#fields + 1] = ("avglat=%d"):format(math.floor(connection.latency_avg_ms))
  fields[#fields + 1] = ("maxlat=%d"):format(connection.latency_max_ms)
  return "," .. table.concat(fields, ",")
end

return {
  name = "cons",
  help = "every connection: session, last request, latency",
  run = function(stats)
    for connection in stats:connections() do
      stats:write((" %s(queued=%d,recved=%d,sent=%d%s)\n"):format(
        figures.connection(connection),
        connection.queued, connection.received, connection.sent,
        connection.has_session and session_fields(connection) or ""))
    end
    return "\n"
  end,
}
