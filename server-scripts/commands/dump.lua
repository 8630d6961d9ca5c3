-- SPDX-License-Identifier: MIT
-- dump: sessions and connections by the time of their expiry, and the ephemerals of each session.

local figures = require "moonkeeper.server.figures"

-- Puts items into sets by the end of the tick in which they expire; lines of each set, in
-- the order of time, and how many sets there are.
local function sets(stats, items, describe)
  local buckets, times = {}, {}
  for _, item in ipairs(items) do
    local time = figures.bucket(item.expires_now_ms, stats.config.tick_time_ms)
    if not buckets[time] then
      buckets[time] = {}
      times[#times + 1] = time
    end
    table.insert(buckets[time], describe(item))
  end
  table.sort(times)
  local lines = {}
  for _, time in ipairs(times) do
    local date = figures.date(stats.wall_ms + (time - stats.now_ms))
    lines[#lines + 1] = ("%d expire at %s:\n"):format(#buckets[time], date)
    lines[#lines + 1] = table.concat(buckets[time])
  end
  return table.concat(lines), #times
end

local function collect(iterator)
  local list = {}
  for item in iterator do
    list[#list + 1] = item
  end
  return list
end

local function connection_items(stats, sessions)
  local expires = {}
  for _, session in ipairs(sessions) do
    expires[session.id] = session.expires_now_ms
  end
  local items = collect(stats:connections())
  for _, connection in ipairs(items) do
    local id = connection.has_session and connection.session_id or 0
    connection.session_id = id
    connection.expires_now_ms = expires[id] or stats.now_ms + stats.config.handshake_timeout_ms
  end
  return items
end

return {
  name = "dump",
  help = "sessions, their ephemeral znodes, and when they would expire",
  run = function(stats)
    local sessions = collect(stats:sessions())
    local session_text, session_sets = sets(stats, sessions, function(session)
      return ("\t%s\n"):format(figures.hex(session.id))
    end)
    local owners, owner_count = {}, 0
    for session_id, paths in stats:ephemerals() do
      owner_count = owner_count + 1
      owners[owner_count] = ("%s:\n\t%s\n"):format(figures.hex(session_id), table.concat(paths,
        "\n\t"))
    end
    local connections = connection_items(stats, sessions)
    local connection_text, connection_sets = sets(stats, connections, function(connection)
      return ("\tip: /%s sessionId: %s\n"):format(figures.endpoint(connection),
        figures.hex(connection.session_id))
    end)
    return table.concat {
      "SessionTracker dump:\n",
      ("Session Sets (%d)/(%d):\n"):format(session_sets, #sessions), session_text,
      "ephemeral nodes dump:\n",
      ("Sessions with Ephemerals (%d):\n"):format(owner_count), table.concat(owners),
      "Connections dump:\n",
      ("Connections Sets (%d)/(%d):\n"):format(connection_sets, #connections), connection_text,
    }
  end,
}
