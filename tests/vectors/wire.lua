-- SPDX-License-Identifier: MIT
-- Golden bytes of the wire and disk records, most of them recorded from Apache ZooKeeper 3.8.0.
-- Both codecs are tested with them: spec/wire/vectors_spec.lua loads this file and compares
-- values; unit/wire/test_vectors.c reads it as text, so keep its shape: each row says `records =`
-- "names in order", then either `hex =` (bare records) or `frame =` (with the length prefix), as
-- one or more quoted strings of hexadecimal digits and blanks that end in a comma.

local function bytes(hex)
  return (hex:gsub("%s", ""):gsub("%x%x", function(pair)
    return string.char(tonumber(pair, 16))
  end))
end

local zeros = ("\0"):rep(16)
local open_acl = { { perms = 31, id = { scheme = "world", id = "anyone" } } }

return {
  bytes = bytes,

  -- Client protocol: handshake
  { name = "connect request of a new client, 10 s", records = "ConnectRequest",
    frame = "0000002d 00000000 0000000000000000 00002710 0000000000000000" ..
      "00000010 00000000000000000000000000000000 00",
    values = { { protocol_version = 0, last_zxid_seen = 0, timeout = 10000, session_id = 0,
      password = zeros, read_only = false } } },
  { name = "connect request without the read-only byte", records = "ConnectRequest",
    frame = "0000002c 00000000 0000000000000007 00007530 0100000f2e850000" ..
      "00000010 51920c1c0a44102a17c0469363bc8ae2",
    values = { { protocol_version = 0, last_zxid_seen = 7, timeout = 30000,
      session_id = 0x100000f2e850000, password = bytes "51920c1c0a44102a17c0469363bc8ae2" } } },
  { name = "connect response", records = "ConnectResponse",
    frame = "00000025 00000000 00002710 0100000f2e850000" ..
      "00000010 51920c1c0a44102a17c0469363bc8ae2 00",
    values = { { protocol_version = 0, timeout = 10000, session_id = 0x100000f2e850000,
      password = bytes "51920c1c0a44102a17c0469363bc8ae2", read_only = false } } },
  { name = "connect response to a client that sent no read-only byte", records = "ConnectResponse",
    frame = "00000024 00000000 00002710 0100000f2e850000" ..
      "00000010 51920c1c0a44102a17c0469363bc8ae2",
    values = { { protocol_version = 0, timeout = 10000, session_id = 0x100000f2e850000,
      password = bytes "51920c1c0a44102a17c0469363bc8ae2" } } },
  { name = "rejected connect response", records = "ConnectResponse",
    frame = "00000025 00000000 00000000 0000000000000000" ..
      "00000010 00000000000000000000000000000000 00",
    values = { { protocol_version = 0, timeout = 0, session_id = 0, password = zeros,
      read_only = false } } },

  -- Client protocol: requests, replies, events
  { name = "ping", records = "RequestHeader",
    frame = "00000008 fffffffe 0000000b",
    values = { { xid = -2, type = 11 } } },
  { name = "ping reply at zxid 7", records = "ReplyHeader",
    frame = "00000010 fffffffe 0000000000000007 00000000",
    values = { { xid = -2, zxid = 7, err = 0 } } },
  { name = "create /a", records = "RequestHeader CreateRequest",
    frame = "00000032 00000001 00000001 00000002 2f61 00000001 78" ..
      "00000001 0000001f 00000005 776f726c64 00000006 616e796f6e65 00000000",
    values = { { xid = 1, type = 1 }, { path = "/a", data = "x", acl = open_acl, flags = 0 } } },
  { name = "reply to create /a", records = "ReplyHeader CreateResponse",
    frame = "00000016 00000001 0000000000000008 00000000 00000002 2f61",
    values = { { xid = 1, zxid = 8, err = 0 }, { path = "/a" } } },
  { name = "exists on a missing node", records = "ReplyHeader",
    frame = "00000010 00000002 0000000000000008 ffffff9b",
    values = { { xid = 2, zxid = 8, err = -101 } } },
  { name = "event NodeDeleted of /w/x", records = "ReplyHeader WatcherEvent",
    frame = "00000020 ffffffff ffffffffffffffff 00000000 00000002 00000003 00000004 2f772f78",
    values = { { xid = -1, zxid = -1, err = 0 }, { type = 2, state = 3, path = "/w/x" } } },
  { name = "empty multi reply", records = "MultiHeader",
    hex = "ffffffff 01 ffffffff",
    values = { { type = -1, done = true, err = -1 } } },
  { name = "failed multi: create would do, check fails, delete skipped",
    records = "MultiHeader ErrorResponse MultiHeader ErrorResponse " ..
      "MultiHeader ErrorResponse MultiHeader",
    hex = "ffffffff 00 00000000 00000000 ffffffff 00 ffffff99 ffffff99" ..
      "ffffffff 00 fffffffe fffffffe ffffffff 01 ffffffff",
    values = { { type = -1, done = false, err = 0 }, { err = 0 },
      { type = -1, done = false, err = -103 }, { err = -103 },
      { type = -1, done = false, err = -2 }, { err = -2 },
      { type = -1, done = true, err = -1 } } },
  { name = "setData part of a successful multi", records = "MultiHeader SetDataResponse",
    hex = "00000005 00 00000000 0000000000000013 0000000000000014 000001a200d83903" ..
      "000001a200d8390c 00000001 00000002 00000003 0100000f2e850000 00000004 00000005" ..
      "0000000000000016",
    values = { { type = 5, done = false, err = 0 }, { stat = { czxid = 0x13, mzxid = 0x14,
      ctime = 1795310500099, mtime = 1795310500108, version = 1, cversion = 2, aversion = 3,
      ephemeral_owner = 0x100000f2e850000, data_length = 4, num_children = 5, pzxid = 0x16 } } } },
  { name = "stat of a node that was created at zxid 0x13", records = "Stat",
    hex = "0000000000000013 0000000000000013 000001a200d83903 000001a200d83903 00000000" ..
      "00000000 00000000 0000000000000000 00000000 00000000 0000000000000013",
    values = { { czxid = 0x13, mzxid = 0x13, ctime = 1795310500099, mtime = 1795310500099,
      version = 0, cversion = 0, aversion = 0, ephemeral_owner = 0, data_length = 0,
      num_children = 0, pzxid = 0x13 } } },
  { name = "open ACL in a reply to getACL", records = "GetACLResponse",
    hex = "00000001 0000001f 00000005 776f726c64 00000006 616e796f6e65" ..
      "0000000000000013 0000000000000013 000001a200d83903 000001a200d83903 00000000" ..
      "00000000 00000000 0000000000000000 00000000 00000000 0000000000000013",
    values = { { acl = open_acl, stat = { czxid = 0x13, mzxid = 0x13, ctime = 1795310500099,
      mtime = 1795310500099, version = 0, cversion = 0, aversion = 0, ephemeral_owner = 0,
      data_length = 0, num_children = 0, pzxid = 0x13 } } } },
  { name = "children with an empty list", records = "GetChildrenResponse",
    hex = "00000000", values = { { children = {} } } },
  { name = "null data", records = "SetDataRequest",
    hex = "00000002 2f61 ffffffff ffffffff",
    values = { { path = "/a", version = -1 } } },
  { name = "setWatches2 with all lists empty but one", records = "SetWatches2",
    hex = "0000000000000009 00000000 00000000 00000002 00000002 2f61 00000002 2f62" ..
      "00000000 00000000",
    values = { { relative_zxid = 9, data_watches = {}, exist_watches = {},
      child_watches = { "/a", "/b" }, persistent_watches = {},
      persistent_recursive_watches = {} } } },
  { name = "ACL of scheme auth with null id, as kazoo sends it", records = "SetACLRequest",
    hex = "00000002 2f61 00000001 0000001f 00000004 61757468 ffffffff ffffffff",
    values = { { path = "/a", version = -1,
      acl = { { perms = 31, id = { scheme = "auth" } } } } } },

  -- Peer protocol
  { name = "FOLLOWERINFO of a fresh follower", records = "QuorumPacket",
    hex = "0000000b 0000000000000000 00000014 0000000000000001 00010000 0000000000000000 ffffffff",
    values = { { type = 11, zxid = 0,
      data = bytes "0000000000000001 00010000 0000000000000000" } } },
  { name = "learner info in it", records = "LearnerInfo",
    hex = "0000000000000004 00010000 0000000100000003",
    values = { { server_id = 4, protocol_version = 0x10000, config_version = 0x100000003 } } },
  { name = "DIFF", records = "QuorumPacket",
    hex = "0000000d 0000000100000010 ffffffff ffffffff",
    values = { { type = 13, zxid = 0x100000010 } } },
  { name = "PING reply without sessions has empty data, not null", records = "QuorumPacket",
    hex = "00000005 0000000100000000 00000000 ffffffff",
    values = { { type = 5, zxid = 0x100000000, data = "" } } },
  { name = "sessions in a PING reply", records = "SessionTouch SessionTouch SessionTouch",
    hex = "01000016b9b50000 00002710 02000016b9ce0000 00002710 04000016c4fb0000 00002710",
    values = { { session_id = 0x1000016b9b50000, timeout = 10000 },
      { session_id = 0x2000016b9ce0000, timeout = 10000 },
      { session_id = 0x4000016c4fb0000, timeout = 10000 } } },
  { name = "REQUEST with two identities", records = "QuorumPacket",
    hex = "00000001 ffffffffffffffff 00000023 01000016b9b50000 00000005 00000005" ..
      "00000002 2f61 00000005 776f726c64 ffffffff 00000002 00000006 646967657374" ..
      "00000020 626f623a696b49614b73627447776561486e622f6a4b6e374f487162756e4d3d" ..
      "00000002 6970 00000009 3132372e302e302e31",
    values = { { type = 1, zxid = -1,
      data = bytes("01000016b9b50000 00000005 00000005 00000002 2f61 00000005 776f726c64 ffffffff"),
      authinfo = { { scheme = "digest", id = "bob:ikIaKsbtGweaHnb/jKn7OHqbunM=" },
        { scheme = "ip", id = "127.0.0.1" } } } } },
  { name = "data of a REQUEST", records = "RequestForward SetDataRequest",
    hex = "01000016b9b50000 00000005 00000005 00000002 2f61 00000005 776f726c64 ffffffff",
    values = { { session_id = 0x1000016b9b50000, cxid = 5, type = 5 },
      { path = "/a", data = "world", version = -1 } } },
  { name = "data of a REVALIDATE reply", records = "RevalidateReply",
    hex = "01000016b9b50000 01",
    values = { { session_id = 0x1000016b9b50000, valid = true } } },
  { name = "ACKEPOCH of a follower that accepted but did not catch up", records = "QuorumPacket",
    hex = "00000012 000000010000000c 00000004 ffffffff ffffffff",
    values = { { type = 18, zxid = 0x10000000c, data = bytes "ffffffff" } } },
  { name = "election hello", records = "ElectionHello",
    hex = "ffffffffffff0000 0000000000000002 0000000f 3132372e302e302e313a3235313832",
    values = { { protocol_version = -65536, server_id = 2, address = "127.0.0.1:25182" } } },
  { name = "notification", records = "Notification",
    frame = "00000035 00000002 0000000000000002 0000000000000000 0000000000000001" ..
      "0000000000000001 00000002 00000009 76657273696f6e3d30",
    values = { { state = 2, leader = 2, zxid = 0, election_epoch = 1, peer_epoch = 1, version = 2,
      config = "version=0" } } },

  -- Transaction log of a standalone server: bytes between entry header and end byte
  { name = "log file header", records = "FileHeader",
    hex = "5a4b4c47 00000002 0000000000000000",
    values = { { magic = 0x5a4b4c47, version = 2, dbid = 0 } } },
  { name = "log entry: createSession",
    records = "LogEntryHeader TxnHeader CreateSessionTxn TxnDigest",
    hex = "00000000bbed09fa 00000030 01000033f72f0000 00000000 0000000000000001" ..
      "000001a200d83903 fffffff6 00007530 00000002 0000000051c6d660",
    values = { { checksum = 0xbbed09fa, length = 48 },
      { client_id = 0x1000033f72f0000, cxid = 0, zxid = 1, time = 1795310500099, type = -10 },
      { timeout = 30000 }, { version = 2, tree_digest = 1371985504 } } },
  { name = "log entry: create /a", records = "LogEntryHeader TxnHeader CreateTxn TxnDigest",
    hex = "00000000a56f0b71 00000058 01000033f72f0000 00000001 0000000000000002" ..
      "000001a200d8390c 00000001 00000002 2f61 00000002 6869 00000001 0000001f" ..
      "00000005 776f726c64 00000006 616e796f6e65 00 00000001 00000002 00000000869bb834",
    values = { { checksum = 0xa56f0b71, length = 88 },
      { client_id = 0x1000033f72f0000, cxid = 1, zxid = 2, time = 1795310500108, type = 1 },
      { path = "/a", data = "hi", acl = open_acl, ephemeral = false, parent_cversion = 1 },
      { version = 2, tree_digest = 2258352180 } } },
  { name = "log entry: error", records = "LogEntryHeader TxnHeader ErrorTxn",
    hex = "00000000650b0ad8 00000024 01000033f72f0000 00000002 0000000000000003" ..
      "000001a200d83939 ffffffff ffffff92",
    values = { { checksum = 0x650b0ad8, length = 36 },
      { client_id = 0x1000033f72f0000, cxid = 2, zxid = 3, time = 1795310500153, type = -1 },
      { err = -110 } } },
  { name = "log entry: create ephemeral /e with null data",
    records = "LogEntryHeader TxnHeader CreateTxn TxnDigest",
    hex = "0000000010c20c8c 00000054 01000033f72f0000 00000003 0000000000000004" ..
      "000001a200d8393c 00000001 00000002 2f65 ffffffff 00000001 0000001f" ..
      "00000006 646967657374 00000003 753a78 01 00000002 00000002 0000000142292f37",
    values = { { checksum = 0x10c20c8c, length = 84 },
      { client_id = 0x1000033f72f0000, cxid = 3, zxid = 4, time = 1795310500156, type = 1 },
      { path = "/e", acl = { { perms = 31, id = { scheme = "digest", id = "u:x" } } },
        ephemeral = true, parent_cversion = 2 }, { version = 2, tree_digest = 5404962615 } } },
  { name = "log entry: setData", records = "LogEntryHeader TxnHeader SetDataTxn TxnDigest",
    hex = "00000000daa40803 0000003f 01000033f72f0000 00000004 0000000000000005" ..
      "000001a200d83948 00000005 00000002 2f61 00000005 68656c6c6f 00000001" ..
      "00000002 000000018ed72664",
    values = { { checksum = 0xdaa40803, length = 63 },
      { client_id = 0x1000033f72f0000, cxid = 4, zxid = 5, time = 1795310500168, type = 5 },
      { path = "/a", data = "hello", version = 1 }, { version = 2, tree_digest = 6691432036 } } },
  { name = "log entry: multi of check and delete",
    records = "LogEntryHeader TxnHeader MultiTxn TxnDigest",
    hex = "00000000029d074b 00000050 01000033f72f0000 00000005 0000000000000006" ..
      "000001a200d83959 0000000e 00000002 0000000d 0000000a 00000002 2f61 00000002" ..
      "00000002 00000006 00000002 2f61 00000002 00000001d2c614d4",
    values = { { checksum = 0x029d074b, length = 80 },
      { client_id = 0x1000033f72f0000, cxid = 5, zxid = 6, time = 1795310500185, type = 14 },
      { txns = { { type = 13, data = bytes "00000002 2f61 00000002" },
        { type = 2, data = bytes "00000002 2f61" } } },
      { version = 2, tree_digest = 7831164116 } } },
  { name = "parts of that multi", records = "CheckVersionTxn DeleteTxn",
    hex = "00000002 2f61 00000002 00000002 2f61",
    values = { { path = "/a", version = 2 }, { path = "/a" } } },
  { name = "proposal of a closeSession", records = "TxnHeader CloseSessionTxn",
    hex = "01000016b9b50000 00000002 000000010000000a 000001a200bba0be fffffff5" ..
      "00000001 00000006 2f612f657068",
    values = { { client_id = 0x1000016b9b50000, cxid = 2, zxid = 0x10000000a,
      time = 1795308626110, type = -11 }, { paths_to_delete = { "/a/eph" } } } },
  { name = "closeSession of an old log has no record", records = "TxnHeader CloseSessionTxn",
    hex = "01000016b9b50000 00000002 000000010000000a 000001a200bba0be fffffff5",
    values = { { client_id = 0x1000016b9b50000, cxid = 2, zxid = 0x10000000a,
      time = 1795308626110, type = -11 }, {} } },

  -- Snapshot of the same server
  { name = "start of a snapshot", records = "FileHeader",
    hex = "5a4b534e 00000002 ffffffffffffffff",
    values = { { magic = 0x5a4b534e, version = 2, dbid = -1 } } },
  { name = "snapshot: session and ACL", records = "SnapshotSession SnapshotACL",
    hex = "01000033f72f0000 00007530 0000000000000003 00000001 0000001f" ..
      "00000006 646967657374 00000003 753a78",
    values = { { session_id = 0x1000033f72f0000, timeout = 30000 },
      { reference = 3, acl = { { perms = 31, id = { scheme = "digest", id = "u:x" } } } } } },
  { name = "snapshot: node /e", records = "SnapshotNode",
    hex = "00000002 2f65 ffffffff 0000000000000003 0000000000000004 0000000000000004" ..
      "000001a200d8393c 000001a200d8393c 00000000 00000000 00000000 01000033f72f0000" ..
      "0000000000000004",
    values = { { path = "/e", acl_reference = 3, stat = { czxid = 4, mzxid = 4,
      ctime = 1795310500156, mtime = 1795310500156, version = 0, cversion = 0, aversion = 0,
      ephemeral_owner = 0x1000033f72f0000, pzxid = 4 } } } },
  { name = "snapshot: seal, digest, seal", records = "SnapshotSeal SnapshotDigest SnapshotSeal",
    hex = "000000009ad54b00 00000001 2f 0000000000000006 00000002 00000001d2c614d4" ..
      "0000000081fe4f73 00000001 2f",
    values = { { checksum = 0x9ad54b00, path = "/" },
      { zxid = 6, version = 2, tree_digest = 7831164116 },
      { checksum = 0x81fe4f73, path = "/" } } },
}
