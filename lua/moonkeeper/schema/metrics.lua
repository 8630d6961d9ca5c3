-- SPDX-License-Identifier: MIT
-- The figures that the word mntr tells, one row each, in its order. Names are Apache ZooKeeper's,
-- because monitoring tools ask for them (client-protocol reference, 11.3). native/gen makes the
-- enums of those that the replica keeps, server-scripts/commands/mntr.lua prints all of them,
-- docs/reference/metrics.md lists them. A new figure is a new row here.
--   kind      text, gauge, counter: one value; summary: avg, min, max, cnt, sum; histogram:
--             those and p50, p95, p99, p999
--   field     a field of the object that a command gets has the value
--   replica   the replica keeps it: metric_counter, metric_summary or metric_histogram
--   host      the server around the replica keeps it (server_figures, native/script/api_stats.c)
--   ops       the sum of the requests with these opcodes
--   same_as   the row whose values it shows
--   divide    the value is kept in units of 1/divide
--   optional  the field may be nil: then there is no line
--   decimal   a fraction, written with a point even when it is whole

local M = {}

local function field(kind, name, from, doc)
  return { name = name, kind = kind, field = from, doc = doc }
end

-- Only a member of an ensemble has it, and some only in one role.
local function member(kind, name, from, doc)
  local row = field(kind, name, from, doc)
  row.optional = true
  return row
end

local function replica(kind, name, doc)
  return { name = name, kind = kind, replica = true, doc = doc }
end

local function host(kind, name, doc, divide)
  return { name = name, kind = kind, host = true, doc = doc, divide = divide }
end

local function ops(name, ...)
  return { name = "op_count_" .. name, kind = "counter", ops = { ... },
    doc = "requests of this kind" }
end

M.list = {
  field("text", "version", "version", "the version, in the form that clients parse"),
  field("text", "server_state", "role", "standalone, leader, follower or observer"),
  member("text", "peer_state", "peer_state",
    "leading, following or observing, and how far it has come: broadcast when all is well"),
  member("gauge", "current_epoch", "epoch",
    "the epoch of the leader that it follows, or in which it leads (not in Apache)"),
  { name = "avg_latency", kind = "gauge", field = "latency_avg_ms", decimal = true,
    doc = "ms from a request read to its answer written, the mean" },
  field("gauge", "max_latency", "latency_max_ms", "the longest, ms"),
  field("gauge", "min_latency", "latency_min_ms", "the shortest, ms"),
  field("gauge", "packets_received", "packets_received", "frames read from clients"),
  field("gauge", "packets_sent", "packets_sent", "frames written to clients, events too"),
  field("gauge", "num_alive_connections", "connection_count",
    "open connections, with or without a session"),
  field("gauge", "outstanding_requests", "outstanding_requests",
    "requests that are read and not answered"),
  field("gauge", "znode_count", "znode_count", "znodes; the root counts twice, as in Apache"),
  field("gauge", "watch_count", "watch_count",
    "watches for data and for children, one for each connection and path"),
  field("gauge", "watch_memory_bytes", "watch_memory_bytes",
    "what watches count against watch_bytes_total_max (not in Apache)"),
  field("gauge", "ephemerals_count", "ephemeral_count", "ephemeral znodes"),
  field("gauge", "approximate_data_size", "data_bytes", "bytes of paths and data of all znodes"),
  field("gauge", "buffer_bytes", "buffer_bytes",
    "what connections count against buffers_total_bytes (not in Apache)"),
  field("gauge", "open_file_descriptor_count", "file_descriptors_open", "descriptors in use"),
  field("gauge", "max_file_descriptor_count", "file_descriptors_max",
    "the limit of the process"),
  field("gauge", "uptime", "uptime_ms", "ms since the server was started"),
  member("gauge", "quorum_size", "quorum_size", "members that vote"),
  member("gauge", "leader_uptime", "leader_uptime_ms", "leader: ms since it serves as leader"),
  member("gauge", "learners", "learner_count", "leader: servers that are connected to it"),
  member("gauge", "synced_followers", "synced_follower_count",
    "leader: followers that have its history"),
  member("gauge", "synced_non_voting_followers", "synced_non_voting_count",
    "leader: those that are no members"),
  member("gauge", "synced_observers", "synced_observer_count", "leader: observers likewise"),
  member("gauge", "pending_syncs", "pending_sync_count",
    "leader: syncs that wait for what was proposed before them"),
  member("gauge", "last_proposal_size", "proposal_last_bytes",
    "leader: bytes of the last transaction that it proposed; -1 before the first"),
  member("gauge", "max_proposal_size", "proposal_max_bytes", "leader: of the largest"),
  member("gauge", "min_proposal_size", "proposal_min_bytes", "leader: of the smallest"),
  member("gauge", "observer_master_id", "observer_master_id",
    "observer: the number of the server that it follows"),
  field("gauge", "global_sessions", "session_count", "sessions that every server knows"),
  field("gauge", "local_sessions", "local_session_count", "sessions that only this server knows"),
  field("gauge", "auth_failed_count", "auth_failed_count", "addauth requests that were refused"),
  field("gauge", "last_client_response_size", "response_last_bytes",
    "bytes of the last frame to a client without its length; -1 before the first"),
  field("gauge", "max_client_response_size", "response_max_bytes", "of the largest"),
  field("gauge", "min_client_response_size", "response_min_bytes", "of the smallest"),

  replica("counter", "connection_request_count", "connect requests"),
  replica("counter", "connection_revalidate_count",
    "connect requests that named the session to go on with"),
  field("counter", "connection_rejected", "connection_rejected_count",
    "connections over the limits of all or of one address"),
  field("counter", "connection_drop_count", "connection_drop_count",
    "connections that the server ended"),
  replica("counter", "sessionless_connections_expired",
    "connections that asked for no session in time"),
  field("counter", "stale_sessions_expired", "sessions_expired_count",
    "sessions whose client fell silent"),
  field("counter", "bytes_received_count", "bytes_received", "bytes read from clients"),
  field("counter", "response_bytes", "reply_bytes",
    "bytes of replies, without the length in front of each; not of events"),
  replica("counter", "watch_bytes", "bytes of events, without the length in front of each"),
  replica("counter", "large_requests_rejected", "requests longer than frame_bytes_max"),
  replica("counter", "buffer_connections_closed",
    "connections closed as the greatest under buffers_total_bytes (not in Apache)"),
  replica("counter", "sessions_refused",
    "sessions not opened, as their address has too many (not in Apache)"),
  replica("counter", "watches_refused",
    "watches for which the limits of bytes had no room (not in Apache)"),
  replica("counter", "request_throttle_wait_count",
    "times that reading from a connection was put off, by a limit on requests or on output"),
  replica("counter", "sync_processor_request_queued", "transactions handed to the log"),
  replica("counter", "looking_count", "times that this server began to look for a leader"),
  replica("counter", "proposal_count", "transactions proposed as leader"),
  replica("counter", "commit_count", "transactions committed as leader"),
  replica("counter", "diff_count", "learners that were sent what they lacked"),
  replica("counter", "snap_count", "learners that were sent the whole tree"),
  replica("counter", "learner_proposal_received_count", "proposals received as follower"),
  replica("counter", "learner_commit_received_count", "commits received as follower or observer"),

  replica("summary", "node_created_watch_count", "watchers told of one created znode"),
  replica("summary", "node_deleted_watch_count", "watchers told of one deleted znode"),
  replica("summary", "node_changed_watch_count", "watchers told of one change of data"),
  replica("summary", "node_children_watch_count", "watchers told of one change of children"),
  replica("summary", "requests_in_session_queue",
    "unanswered requests of a connection, when one more has to wait"),
  replica("summary", "sync_processor_queue_size",
    "transactions that the log has not made durable, when one more comes"),
  host("summary", "sync_processor_batch_size", "transactions that shared one write and sync"),
  replica("summary", "election_time", "ms from looking for a leader to knowing it"),
  replica("summary", "unavailable_time", "ms without serving clients, when it is over"),
  replica("summary", "leader_unavailable_time", "likewise, where this server became the leader"),
  replica("summary", "follower_sync_time", "ms from knowing the leader to serving as follower"),
  replica("summary", "observer_sync_time", "likewise as observer"),
  host("summary", "fsynctime", "ms of one write and sync of the log", 1000),
  host("summary", "snapshottime", "ms of one snapshot, from its begin to its end"),
  host("summary", "dbinittime", "ms from the start until the data was restored"),
  host("summary", "startup_snap_load_time", "ms to load the snapshot at the start"),
  host("summary", "startup_txns_load_time", "ms to replay the log at the start"),
  host("summary", "startup_txns_loaded", "transactions replayed at the start"),

  replica("histogram", "readlatency", "ms from a read request to its answer, pings too"),
  replica("histogram", "updatelatency", "ms from a write request to its answer"),
  replica("histogram", "propagation_latency",
    "ms from the time in a transaction until it is applied"),
  { name = "sync_processor_queue_and_flush_time_ms", kind = "histogram",
    same_as = "propagation_latency",
    doc = "ms from a transaction's way into the log until it is durable: on one server the same" },
  host("histogram", "sync_processor_queue_flush_time_ms",
    "ms of one write and sync of the log", 1000),

  -- as Apache's newest versions group them
  ops("add_watch", 106), ops("check_watches", 17), ops("create", 1, 15, 19, 21), ops("delete", 2),
  ops("exists", 3), ops("get_acl", 6), ops("get_all_children_number", 104),
  ops("get_children", 8, 12), ops("get_data", 4), ops("get_ephemerals", 103), ops("multi", 14),
  ops("multi_read", 22), ops("ping", 11), ops("reconfig", 16), ops("remove_watches", 18),
  ops("set_acl", 7), ops("set_data", 5), ops("set_watches", 101, 105), ops("sync", 9),
  ops("who_am_i", 107),
  { name = "op_count_total", kind = "counter", total = true, doc = "all of these" },
}

-- For each top-level znode with quotas, below it too, a gauge NAMESPACE_<name>: `field` of what
-- stats:quotas() gives. -1 is left out where `optional`.
M.per_namespace = {
  { name = "quota_count_limit_per_namespace", field = "count_limit",
    doc = "znodes that its quotas allow, hard limits before soft ones; -1: any number" },
  { name = "quota_bytes_limit_per_namespace", field = "bytes_limit",
    doc = "bytes that they allow; -1: any number" },
  { name = "quota_count_usage_per_namespace", field = "count_used", optional = true,
    doc = "znodes that they count" },
  { name = "quota_bytes_usage_per_namespace", field = "bytes_used", optional = true,
    doc = "bytes that they count" },
}

return M
