-- SPDX-License-Identifier: MIT
-- Every record that moonkeeper reads or writes, declared once: client protocol, server-to-server
-- protocol, disk formats. The generator makes C structs and codecs of it, wire/codec.lua makes Lua
-- encoders and decoders of it at require time.
--
-- A record is { name, doc, source, fields... } and a field is { name, type, doc }, in wire order.
-- Types: boolean (1 byte), int (4), long (8), string and buffer (int length, -1 = null, bytes),
-- vector<X> (int count, -1 = null, elements), or the name of a record declared ABOVE.
-- A field may also say
--   optional = true   may be absent at the end of the input; C gets a `has_<name>` flag, Lua nil
--   missing = VALUE   may be absent at the end of the input and then reads as VALUE; always written
-- Only the last fields of a record may do so, and such a record is never part of another one.
-- Names are Apache ZooKeeper's own, fields in snake_case.

local list = {}
local by_name = {}

local group, source

---Adds one record to the list, in the current group.
---@param record table
local function add(record)
  local entry = { name = record.name, doc = record.doc, source = record.source or source,
    group = group, fields = {} }
  for index, field in ipairs(record) do
    entry.fields[index] = { name = field[1], type = field[2], doc = field[3],
      optional = field.optional, missing = field.missing }
  end
  list[#list + 1] = entry
  by_name[entry.name] = entry
end

-- Client protocol ---------------------------------------------------------------------------
group, source = "client", "zookeeper.jute, module org.apache.zookeeper.data"

add { name = "Id", doc = "Who: an authentication scheme and an identity in it.",
  { "scheme", "string", "world, auth, digest, ip, x509, sasl, super" },
  { "id", "string", "identity in the form of the scheme; null is accepted for scheme auth only" } }

add { name = "ACL", doc = "One entry of an access control list.",
  { "perms", "int", "bits of perms in schema/events.lua; unknown bits are kept as they are" },
  { "id", "Id", "whom the permissions are given to" } }

add { name = "Stat", doc = "State of a znode as clients see it; 68 bytes.",
  { "czxid", "long", "zxid that created the znode" },
  { "mzxid", "long", "zxid of the last change of its data" },
  { "ctime", "long", "creation time, ms since 1970, clock of the leader" },
  { "mtime", "long", "time of the last change of its data, ms since 1970" },
  { "version", "int", "number of data changes" },
  { "cversion", "int", "number of changes of the list of children" },
  { "aversion", "int", "number of ACL changes" },
  { "ephemeral_owner", "long", "session id of the owner, 0 when the znode is not ephemeral" },
  { "data_length", "int", "bytes of data, 0 when the data is null" },
  { "num_children", "int", "number of children" },
  { "pzxid", "long", "zxid of the last change of the list of children" } }

add { name = "ClientInfo", doc = "One identity of a connection, as told by whoAmI.",
  { "auth_scheme", "string", "authentication scheme" },
  { "user", "string", "name of the user in it, empty when the scheme has no provider" } }

source = "zookeeper.jute, module org.apache.zookeeper.proto"

add { name = "ConnectRequest", doc = "First frame of a client; has no request header.",
  { "protocol_version", "int", "0; ignored by servers" },
  { "last_zxid_seen", "long", "highest zxid of any reply so far, 0 for a new client" },
  { "timeout", "int", "wanted session timeout in ms; the server clamps it" },
  { "session_id", "long", "0 asks for a new session" },
  { "password", "buffer", "16 bytes; anything goes for a new session" },
  { "read_only", "boolean", "client accepts a read-only server; old clients leave it out",
    optional = true } }

add { name = "ConnectResponse", doc = "First frame of a server; has no reply header.",
  { "protocol_version", "int", "always 0" },
  { "timeout", "int", "negotiated session timeout in ms; 0 says refused or expired" },
  { "session_id", "long", "0 when refused" },
  { "password", "buffer", "always 16 bytes, zeros when refused" },
  { "read_only", "boolean", "present exactly when the request had it; 1 on a read-only server",
    optional = true } }

add { name = "RequestHeader", doc = "Starts every later frame of a client.",
  { "xid", "int", "chosen by the client and echoed; negative ones are special" },
  { "type", "int", "opcode" } }

add { name = "ReplyHeader", doc = "Starts every later frame of a server; 16 bytes.",
  { "xid", "int", "xid of the request, -1 for a notification" },
  { "zxid", "long", "zxid of the write, or the last one applied when a read was answered" },
  { "err", "int", "0 or an error code; a record follows only when 0" } }

add { name = "WatcherEvent", doc = "Body of a notification.",
  { "type", "int", "event type" },
  { "state", "int", "keeper state; 3 on the wire" },
  { "path", "string", "changed znode" } }

add { name = "CreateRequest", doc = "create, create2 and createContainer.",
  { "path", "string", "wanted path; a sequential node gets ten digits appended" },
  { "data", "buffer", "null and empty are kept apart" },
  { "acl", "vector<ACL>", "must not be empty" },
  { "flags", "int", "create mode" } }

add { name = "CreateTTLRequest", doc = "createTTL.",
  { "path", "string", "wanted path" },
  { "data", "buffer", "null and empty are kept apart" },
  { "acl", "vector<ACL>", "must not be empty" },
  { "flags", "int", "create mode, one of the two TTL modes" },
  { "ttl", "long", "time to live in ms, 1 to 2^40 - 1" } }

add { name = "CreateResponse", doc = "Reply to create.",
  { "path", "string", "path that was created" } }

add { name = "Create2Response", doc = "Reply to create2, createContainer and createTTL.",
  { "path", "string", "path that was created" },
  { "stat", "Stat", "state of the new znode" } }

add { name = "DeleteRequest", doc = "delete.",
  { "path", "string", "znode to delete" },
  { "version", "int", "expected data version, -1 for any" } }

add { name = "DeleteContainerRequest", doc = "deleteContainer; servers only.",
  { "path", "string", "container or TTL znode to reap" } }

add { name = "ExistsRequest", doc = "exists.",
  { "path", "string", "znode, may be missing" },
  { "watch", "boolean", "set a one-shot data watch" } }

add { name = "ExistsResponse", doc = "Reply to exists.",
  { "stat", "Stat", "state of the znode" } }

add { name = "GetDataRequest", doc = "getData.",
  { "path", "string", "znode" },
  { "watch", "boolean", "set a one-shot data watch" } }

add { name = "GetDataResponse", doc = "Reply to getData.",
  { "data", "buffer", "null when the znode was created with null data" },
  { "stat", "Stat", "state of the znode" } }

add { name = "SetDataRequest", doc = "setData.",
  { "path", "string", "znode" },
  { "data", "buffer", "new data" },
  { "version", "int", "expected data version, -1 for any" } }

add { name = "SetDataResponse", doc = "Reply to setData.",
  { "stat", "Stat", "state after the change" } }

add { name = "GetACLRequest", doc = "getACL.",
  { "path", "string", "znode" } }

add { name = "GetACLResponse", doc = "Reply to getACL.",
  { "acl", "vector<ACL>", "digests are redacted for callers without admin permission" },
  { "stat", "Stat", "state of the znode" } }

add { name = "SetACLRequest", doc = "setACL.",
  { "path", "string", "znode" },
  { "acl", "vector<ACL>", "must not be empty" },
  { "version", "int", "expected ACL version, -1 for any" } }

add { name = "SetACLResponse", doc = "Reply to setACL.",
  { "stat", "Stat", "state after the change" } }

add { name = "GetChildrenRequest", doc = "getChildren.",
  { "path", "string", "znode" },
  { "watch", "boolean", "set a one-shot child watch" } }

add { name = "GetChildrenResponse", doc = "Reply to getChildren.",
  { "children", "vector<string>", "last path components, in no order" } }

add { name = "GetChildren2Request", doc = "getChildren2.",
  { "path", "string", "znode" },
  { "watch", "boolean", "set a one-shot child watch" } }

add { name = "GetChildren2Response", doc = "Reply to getChildren2.",
  { "children", "vector<string>", "last path components, in no order" },
  { "stat", "Stat", "state of the znode" } }

add { name = "SyncRequest", doc = "sync.",
  { "path", "string", "echoed unchecked, may be null" } }

add { name = "SyncResponse", doc = "Reply to sync.",
  { "path", "string", "path of the request" } }

add { name = "CheckVersionRequest", doc = "check, inside multi only.",
  { "path", "string", "znode" },
  { "version", "int", "expected data version, -1 for any" } }

add { name = "ReconfigRequest", doc = "reconfig.",
  { "joining_servers", "string", "comma list of server.N=spec; null or empty for none" },
  { "leaving_servers", "string", "comma list of ids; null or empty for none" },
  { "new_members", "string", "complete member list; null asks for an incremental change" },
  { "cur_config_id", "long", "expected config version, -1 for any" } }

add { name = "ReconfigResponse", doc = "Reply to reconfig: as getData of /zookeeper/config.",
  { "data", "buffer", "text of the new config" },
  { "stat", "Stat", "state of /zookeeper/config" } }

add { name = "CheckWatchesRequest", doc = "checkWatches.",
  { "path", "string", "watched path, exact match" },
  { "type", "int", "watcher type" } }

add { name = "RemoveWatchesRequest", doc = "removeWatches.",
  { "path", "string", "watched path, exact match" },
  { "type", "int", "watcher type" } }

add { name = "AuthPacket", doc = "auth.",
  { "type", "int", "ignored, 0" },
  { "scheme", "string", "authentication scheme" },
  { "auth", "buffer", "credentials in the form of the scheme" } }

add { name = "SetWatches", doc = "setWatches: one-shot watches of a client that reconnected.",
  { "relative_zxid", "long", "last zxid that the client saw" },
  { "data_watches", "vector<string>", "paths" },
  { "exist_watches", "vector<string>", "paths that did not exist" },
  { "child_watches", "vector<string>", "paths" } }

add { name = "SetWatches2", doc = "setWatches2: all watches of a client that reconnected.",
  { "relative_zxid", "long", "last zxid that the client saw" },
  { "data_watches", "vector<string>", "paths" },
  { "exist_watches", "vector<string>", "paths that did not exist" },
  { "child_watches", "vector<string>", "paths" },
  { "persistent_watches", "vector<string>", "paths" },
  { "persistent_recursive_watches", "vector<string>", "paths" } }

add { name = "GetSASLRequest", doc = "sasl.",
  { "token", "buffer", "next token of the mechanism" } }

add { name = "SetSASLResponse", doc = "Reply to sasl.",
  { "token", "buffer", "next token, null when there is none" } }

add { name = "GetEphemeralsRequest", doc = "getEphemerals.",
  { "prefix_path", "string", "string prefix; null, empty or / for all" } }

add { name = "GetEphemeralsResponse", doc = "Reply to getEphemerals.",
  { "ephemerals", "vector<string>", "paths that the calling session owns" } }

add { name = "GetAllChildrenNumberRequest", doc = "getAllChildrenNumber.",
  { "path", "string", "znode" } }

add { name = "GetAllChildrenNumberResponse", doc = "Reply to getAllChildrenNumber.",
  { "total_number", "int", "descendants of the znode" } }

add { name = "AddWatchRequest", doc = "addWatch.",
  { "path", "string", "path, may be missing" },
  { "mode", "int", "add-watch mode" } }

add { name = "WhoAmIResponse", doc = "Reply to whoAmI.",
  { "client_info", "vector<ClientInfo>", "identities of the connection" } }

add { name = "MultiHeader", doc = "Before each part of a multi and of its reply, and at the end.",
  { "type", "int", "opcode; -1 for an error part and for the end" },
  { "done", "boolean", "true only at the end" },
  { "err", "int", "-1 in requests and at the end, else 0 or the error" } }

add { name = "ErrorResponse", doc = "Part of a failed multi; also the reply to addWatch.",
  { "err", "int", "0 or an error code" } }

-- Server-to-server protocol -----------------------------------------------------------------
group, source = "peer", "zookeeper.jute, module org.apache.zookeeper.server.quorum"

add { name = "LearnerInfo", doc = "Data of FOLLOWERINFO and OBSERVERINFO; old peers send less.",
  { "server_id", "long", "id of the learner" },
  { "protocol_version", "int", "0x10000", missing = 0 },
  { "config_version", "long", "version of its config", missing = 0 } }

add { name = "QuorumPacket", doc = "Everything between leader and learner, without length prefix.",
  { "type", "int", "packet type" },
  { "zxid", "long", "meaning depends on the type" },
  { "data", "buffer", "meaning depends on the type" },
  { "authinfo", "vector<Id>", "identities of the client in a REQUEST, else null" } }

source = "Apache ZooKeeper, LearnerHandler and Learner (data of packets, written by hand there)"

add { name = "RequestForward", doc = "Start of the data of REQUEST; the client's record follows.",
  { "session_id", "long", "session of the client" },
  { "cxid", "int", "xid of the client" },
  { "type", "int", "opcode" } }

add { name = "SessionTouch", doc = "One element of the data of a PING reply; data of REVALIDATE.",
  { "session_id", "long", "session that was heard of" },
  { "timeout", "int", "its timeout in ms" } }

add { name = "RevalidateReply", doc = "Data of the leader's answer to REVALIDATE.",
  { "session_id", "long", "session asked about" },
  { "valid", "boolean", "the session lives and belongs to the asking learner now" } }

add { name = "LeaderInfo", doc = "Data of LEADERINFO.",
  { "protocol_version", "int", "0x10000" } }

add { name = "AckEpoch", doc = "Data of ACKEPOCH.",
  { "current_epoch", "int", "current epoch of the learner, or -1" } }

add { name = "DesignatedLeader", doc = "Data of COMMITANDACTIVATE, start of INFORMANDACTIVATE.",
  { "server_id", "long", "server that should lead under the new config" } }

source = "Apache ZooKeeper, QuorumCnxManager and FastLeaderElection (written by hand there)"

add { name = "ElectionHello", doc = "Sent by the side that dials an election connection.",
  { "protocol_version", "long", "-65536, or -65535 when several addresses are listed" },
  { "server_id", "long", "id of the dialler" },
  { "address", "string", "its election address host:port, several joined with |" } }

add { name = "Notification", doc = "Vote of version 2. Older ones end early: read them by hand.",
  { "state", "int", "server state of the sender" },
  { "leader", "long", "proposed leader" },
  { "zxid", "long", "zxid of the proposed leader" },
  { "election_epoch", "long", "round of the sender" },
  { "peer_epoch", "long", "current epoch of the proposed leader" },
  { "version", "int", "2" },
  { "config", "buffer", "config text that the sender last committed" } }

-- Disk formats ------------------------------------------------------------------------------
group, source = "disk", "zookeeper.jute, module org.apache.zookeeper.server.persistence"

add { name = "FileHeader", doc = "First 16 bytes of log files and snapshots.",
  { "magic", "int", "ZKLG or ZKSN" },
  { "version", "int", "2" },
  { "dbid", "long", "0 in logs, -1 in snapshots" } }

add { name = "LogEntryHeader", doc = "Before the bytes of each log entry, which end in 0x42.",
  source = "Apache ZooKeeper, FileTxnLog (written by hand there)",
  { "checksum", "long", "Adler-32 of the entry bytes, zero-extended" },
  { "length", "int", "number of entry bytes; 0 is padding" } }

source = "zookeeper.jute, module org.apache.zookeeper.txn"

add { name = "TxnHeader", doc = "Starts every transaction in logs and proposals.",
  { "client_id", "long", "session id" },
  { "cxid", "int", "xid of the client" },
  { "zxid", "long", "transaction id" },
  { "time", "long", "ms since 1970, clock of the leader" },
  { "type", "int", "opcode" } }

add { name = "TxnDigest", doc = "After the record of a transaction; may be missing.",
  { "version", "int", "2" },
  { "tree_digest", "long", "digest of the tree after this transaction" } }

add { name = "CreateTxn", doc = "Transaction of create and create2.",
  { "path", "string", "created path" },
  { "data", "buffer", "null and empty are kept apart" },
  { "acl", "vector<ACL>", "expanded list" },
  { "ephemeral", "boolean", "owned by the session of the header" },
  { "parent_cversion", "int", "new count of creates of the parent; -1 before 3.4: old + 1",
    missing = -1 } }

add { name = "CreateContainerTxn", doc = "Transaction of createContainer.",
  { "path", "string", "created path" },
  { "data", "buffer", "null and empty are kept apart" },
  { "acl", "vector<ACL>", "expanded list" },
  { "parent_cversion", "int", "new count of creates of the parent" } }

add { name = "CreateTTLTxn", doc = "Transaction of createTTL.",
  { "path", "string", "created path" },
  { "data", "buffer", "null and empty are kept apart" },
  { "acl", "vector<ACL>", "expanded list" },
  { "parent_cversion", "int", "new count of creates of the parent" },
  { "ttl", "long", "time to live in ms" } }

add { name = "DeleteTxn", doc = "Transaction of delete and deleteContainer.",
  { "path", "string", "deleted path" } }

add { name = "SetDataTxn", doc = "Transaction of setData and reconfig.",
  { "path", "string", "changed path" },
  { "data", "buffer", "new data" },
  { "version", "int", "new version" } }

add { name = "CheckVersionTxn", doc = "Part of a multi: a check that passed.",
  { "path", "string", "checked path" },
  { "version", "int", "current version + 1" } }

add { name = "SetACLTxn", doc = "Transaction of setACL.",
  { "path", "string", "changed path" },
  { "acl", "vector<ACL>", "expanded list" },
  { "version", "int", "new ACL version" } }

add { name = "CreateSessionTxn", doc = "Transaction of createSession; the id is in the header.",
  { "timeout", "int", "session timeout in ms" } }

add { name = "CloseSessionTxn", doc = "Transaction of closeSession; empty in old logs.",
  { "paths_to_delete", "vector<string>", "ephemerals of the session", optional = true } }

add { name = "ErrorTxn", doc = "Transaction of a request that failed; changes nothing.",
  { "err", "int", "error code" } }

add { name = "Txn", doc = "Part of a multi.",
  { "type", "int", "opcode" },
  { "data", "buffer", "transaction record of that type, without header" } }

add { name = "MultiTxn", doc = "Transaction of multi.",
  { "txns", "vector<Txn>", "parts in order" } }

source = "Apache ZooKeeper, SerializeUtils and DataTree (snapshot layout, written by hand there)"

add { name = "StatPersisted", doc = "State of a znode as snapshots keep it; 60 bytes.",
  source = "zookeeper.jute, module org.apache.zookeeper.data",
  { "czxid", "long", "zxid that created the znode" },
  { "mzxid", "long", "zxid of the last change of its data" },
  { "ctime", "long", "creation time, ms since 1970" },
  { "mtime", "long", "time of the last change of its data, ms since 1970" },
  { "version", "int", "number of data changes" },
  { "cversion", "int", "number of children ever created" },
  { "aversion", "int", "number of ACL changes" },
  { "ephemeral_owner", "long", "0, session id, or the mark of a container or TTL znode" },
  { "pzxid", "long", "zxid of the last change of the list of children" } }

add { name = "SnapshotSession", doc = "One session in a snapshot.",
  { "session_id", "long", "session id" },
  { "timeout", "int", "session timeout in ms" } }

add { name = "SnapshotACL", doc = "One interned access control list in a snapshot.",
  { "reference", "long", "positive number that nodes refer to" },
  { "acl", "vector<ACL>", "the list" } }

add { name = "SnapshotNode", doc = "One znode in a snapshot, parents before children.",
  { "path", "string", "full path; empty for the root" },
  { "data", "buffer", "null and empty are kept apart" },
  { "acl_reference", "long", "-1 for the built-in open list" },
  { "stat", "StatPersisted", "state" } }

add { name = "SnapshotSeal", doc = "After the nodes and after each later section.",
  { "checksum", "long", "Adler-32 of all bytes before this field" },
  { "path", "string", "/" } }

add { name = "SnapshotDigest", doc = "Digest section of a snapshot.",
  { "zxid", "long", "last transaction applied when writing ended" },
  { "version", "int", "2" },
  { "tree_digest", "long", "digest of the tree at that zxid" } }

return { list = list, by_name = by_name }
