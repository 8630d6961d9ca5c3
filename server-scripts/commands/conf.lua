-- SPDX-License-Identifier: MIT
-- conf: what the server runs with, under the names of a zoo.cfg; in an ensemble its members too.

local members = require "moonkeeper.server.members"

-- Apache ends without a line end here.
local function ensemble_lines(config)
  local own = members.find(config.servers, config.id)
  return table.concat {
    ("initLimit=%d\n"):format(config.init_limit_ticks),
    ("syncLimit=%d\n"):format(config.sync_limit_ticks),
    "electionAlg=3\n",
    ("electionPort=%d\n"):format(own.election_port),
    ("quorumPort=%d\n"):format(own.quorum_port),
    ("peerType=%d\n"):format(own.observer and 1 or 0),
    "membership: \n",
    members.text(config.servers),
  }
end

return {
  name = "conf",
  help = "the configuration in use",
  run = function(stats)
    local config = stats.config
    local data_dir = config.data_dir and not config.memory_only and config.data_dir ..
      "/version-2" or ""
    local log_dir = config.data_log_dir and not config.memory_only and config.data_log_dir ..
      "/version-2" or data_dir
    return table.concat {
      ("clientPort=%d\n"):format(stats.client_port),
      "secureClientPort=-1\n",
      ("dataDir=%s\n"):format(data_dir),
      ("dataDirSize=%d\n"):format(stats.data_dir_bytes),
      ("dataLogDir=%s\n"):format(log_dir),
      ("dataLogSize=%d\n"):format(stats.log_dir_bytes),
      ("tickTime=%d\n"):format(config.tick_time_ms),
      ("maxClientCnxns=%d\n"):format(config.connections_per_address_max),
      ("minSessionTimeout=%d\n"):format(config.session_timeout_min_ms),
      ("maxSessionTimeout=%d\n"):format(config.session_timeout_max_ms),
      ("clientPortListenBacklog=%d\n"):format(config.listen_backlog),
      ("serverId=%d\n"):format(config.id),
      #(config.servers or {}) > 1 and ensemble_lines(config) or "",
    }
  end,
}
