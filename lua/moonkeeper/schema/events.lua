-- SPDX-License-Identifier: MIT
-- The small sets of numbers of the protocol: event types, keeper states, watcher types, add-watch
-- modes, create modes, permissions, special xids, packet types. For C each set becomes an enum
-- (`c` is the prefix of its members); for Lua see the result of require "moonkeeper.schema.events":
-- a list of sets, and each set by name with `value[name]` and `name_of[value]`.

local sets = {
  { name = "event_type", c = "MK_EVENT", doc = "What a watch event tells; only 1 to 4 travel.",
    { "None", -1, "change of the session's state" },
    { "NodeCreated", 1, "znode created" },
    { "NodeDeleted", 2, "znode deleted" },
    { "NodeDataChanged", 3, "data changed" },
    { "NodeChildrenChanged", 4, "list of children changed" },
    { "DataWatchRemoved", 5, "made by clients when a data watch is removed" },
    { "ChildWatchRemoved", 6, "made by clients when a child watch is removed" },
    { "PersistentWatchRemoved", 7, "made by clients when a persistent watch is removed" } },
  { name = "keeper_state", c = "MK_STATE", doc = "State of a session; only 3 travels.",
    { "Expired", -112, "session is over" },
    { "Unknown", -1, "obsolete" },
    { "Disconnected", 0, "no server" },
    { "NoSyncConnected", 1, "obsolete" },
    { "SyncConnected", 3, "connected" },
    { "AuthFailed", 4, "authentication was refused" },
    { "ConnectedReadOnly", 5, "connected to a server in read-only mode" },
    { "SaslAuthenticated", 6, "SASL exchange is complete" },
    { "Closed", 7, "closed by the client" } },
  { name = "watcher_type", c = "MK_WATCHER", doc = "Which watches a request means.",
    { "Children", 1, "one-shot child watches" },
    { "Data", 2, "one-shot data watches" },
    { "Any", 3, "all watches on the path" },
    { "Persistent", 4, "persistent watches" },
    { "PersistentRecursive", 5, "persistent recursive watches" } },
  { name = "add_watch_mode", c = "MK_ADD_WATCH", doc = "Mode of addWatch.",
    { "Persistent", 0, "stays after an event" },
    { "PersistentRecursive", 1, "stays, and covers all descendants" } },
  { name = "create_mode", c = "MK_CREATE", doc = "Flags of the create requests.",
    { "Persistent", 0, "stays until deleted" },
    { "Ephemeral", 1, "vanishes with its session" },
    { "PersistentSequential", 2, "gets the parent's counter appended" },
    { "EphemeralSequential", 3, "both" },
    { "Container", 4, "vanishes some time after its last child" },
    { "PersistentWithTTL", 5, "vanishes when unchanged and childless for its time to live" },
    { "PersistentSequentialWithTTL", 6, "same, with the parent's counter appended" } },
  { name = "perms", c = "MK_PERM", doc = "Bits of an ACL entry.",
    { "Read", 1, "getData, getChildren, exists, check, watch events" },
    { "Write", 2, "setData" },
    { "Create", 4, "create a child" },
    { "Delete", 8, "delete a child" },
    { "Admin", 16, "setACL, getACL in full" },
    { "All", 31, "all of them" } },
  { name = "xid", c = "MK_XID", doc = "Special xids of the client protocol.",
    { "Notification", -1, "watch event, server to client" },
    { "Ping", -2, "ping; the reply always carries it" },
    { "Auth", -4, "auth as most clients send it" },
    { "SetWatches", -8, "setWatches as the C client sends it" } },
  { name = "packet_type", c = "MK_PACKET", doc = "Types of QuorumPacket.",
    { "Request", 1, "learner forwards a client's request" },
    { "Proposal", 2, "leader proposes a transaction" },
    { "Ack", 3, "learner has it on disk" },
    { "Commit", 4, "leader says it is committed" },
    { "Ping", 5, "heartbeat, the reply lists sessions heard of" },
    { "Revalidate", 6, "does this session live?" },
    { "Sync", 7, "answer to a sync" },
    { "Inform", 8, "committed transaction for observers" },
    { "CommitAndActivate", 9, "commit of a reconfig" },
    { "NewLeader", 10, "end of the leader's history" },
    { "FollowerInfo", 11, "first packet of a follower" },
    { "UpToDate", 12, "learner may serve clients" },
    { "Diff", 13, "proposals follow" },
    { "Trunc", 14, "learner must cut its log" },
    { "Snap", 15, "a snapshot follows" },
    { "ObserverInfo", 16, "first packet of an observer" },
    { "LeaderInfo", 17, "leader proposes an epoch" },
    { "AckEpoch", 18, "learner accepts the epoch" },
    { "InformAndActivate", 19, "reconfig for observers" } },
  { name = "server_state", c = "MK_SERVER", doc = "State in election notifications.",
    { "Looking", 0, "no leader" },
    { "Following", 1, "follower" },
    { "Leading", 2, "leader" },
    { "Observing", 3, "observer" } },
}

local M = { list = {} }

for _, set in ipairs(sets) do
  local entry = { name = set.name, c = set.c, doc = set.doc, members = {}, value = {},
    name_of = {} }
  for _, member in ipairs(set) do
    entry.members[#entry.members + 1] = { name = member[1], value = member[2], doc = member[3] }
    entry.value[member[1]] = member[2]
    entry.name_of[member[2]] = member[1]
  end
  M.list[#M.list + 1] = entry
  M[set.name] = entry
end

return M
