-- SPDX-License-Identifier: MIT
-- dump: sessions and connections by the time of their expiry, and the ephemerals of each session.

local figures = require "moonkeeper.server.figures"

-- Lines in sets by the end of the tick in which something expires. All are kept until the number
-- of sets is known, which comes first; so it is lines that are kept, not tables.
local function new_sets()
  return { count = 0, times = {}, lines = {} }
end

local function add(sets, time, line)
  local lines = sets.lines[time]
  if not lines then
    lines = {}
    sets.lines[time] = lines
    sets.times[#sets.times + 1] = time
  end
  lines[#lines + 1] = line
  sets.count = sets.count + 1
end

local function write(stats, sets)
  table.sort(sets.times)
  for _, time in ipairs(sets.times) do
    local date = figures.date(stats.wall_ms + (time - stats.now_ms))
    stats:write(("%d expire at %s:\n"):format(#sets.lines[time], date))
    for _, line in ipairs(sets.lines[time]) do
      stats:write(line)
    end
  end
end

-- Only the leader knows when a session expires.
local function write_global(stats, timeouts)
  stats:write(("Global Sessions(%d):\n"):format(#timeouts))
  for _, line in ipairs(timeouts) do
    stats:write(line)
  end
end

return {
  name = "dump",
  help = "sessions, their ephemeral znodes, and when they would expire",
  run = function(stats)
    local tick_ms, handshake_ms = stats.config.tick_time_ms, stats.config.handshake_timeout_ms
    local times, sessions, timeouts = {}, new_sets(), {}
    for session in stats:sessions() do
      local time = figures.bucket(session.expires_now_ms, tick_ms)
      times[session.id] = time
      timeouts[#timeouts + 1] = ("%s\t%dms\n"):format(figures.hex(session.id), session.timeout_ms)
      add(sessions, time, ("\t%s\n"):format(figures.hex(session.id)))
    end
    stats:write("SessionTracker dump:\n")
    if stats.role == "follower" or stats.role == "observer" then
      write_global(stats, timeouts)
    else
      stats:write(("Session Sets (%d)/(%d):\n"):format(#sessions.times, sessions.count))
      write(stats, sessions)
    end

    stats:write("ephemeral nodes dump:\n",
      ("Sessions with Ephemerals (%d):\n"):format(stats.ephemeral_owner_count))
    local last
    for session_id, path in stats:ephemerals() do
      if session_id ~= last then
        stats:write(figures.hex(session_id), ":\n")
        last = session_id
      end
      stats:write("\t", path, "\n")
    end

    local connections = new_sets()
    for connection in stats:connections() do
      local id = connection.has_session and connection.session_id or 0
      add(connections, times[id] or figures.bucket(stats.now_ms + handshake_ms, tick_ms),
        ("\tip: /%s sessionId: %s\n"):format(figures.endpoint(connection), figures.hex(id)))
    end
    stats:write("Connections dump:\n",
      ("Connections Sets (%d)/(%d):\n"):format(#connections.times, connections.count))
    write(stats, connections)
    return ""
  end,
}
