-- SPDX-License-Identifier: MIT
-- Every opcode of the client protocol, one row each. C gets enum mk_op and a table of it, the Lua
-- client makes its calls of it.
--
-- number, name   as Apache ZooKeeper calls it
-- kind           write (ordered by the leader, one zxid), read (answered from committed state),
--                barrier (ordered, but not logged), connection (answered by the connection layer),
--                internal (never accepted from a client)
-- request, response, txn   names of records; nil when there is none. "multi" is a list of
--                MultiHeader + record, which code reads part by part
-- permission     what the ACL of `on` (node, parent, config) must allow; nil for none
-- multi          "write" or "read": may be a part of multi or of multiRead
-- since          first release that knows it

local rows = {
  { 1, "create", "write", request = "CreateRequest", response = "CreateResponse", txn = "CreateTxn",
    permission = "Create", on = "parent", multi = "write", since = "3.0",
    doc = "create a znode, answer its path" },
  { 2, "delete", "write", request = "DeleteRequest", txn = "DeleteTxn",
    permission = "Delete", on = "parent", multi = "write", since = "3.0", doc = "delete a znode" },
  { 3, "exists", "read", request = "ExistsRequest", response = "ExistsResponse",
    permission = "Read", on = "node", since = "3.0", doc = "state of a znode, if it is there" },
  { 4, "getData", "read", request = "GetDataRequest", response = "GetDataResponse",
    permission = "Read", on = "node", multi = "read", since = "3.0",
    doc = "data and state of a znode" },
  { 5, "setData", "write", request = "SetDataRequest", response = "SetDataResponse",
    txn = "SetDataTxn", permission = "Write", on = "node", multi = "write", since = "3.0",
    doc = "replace the data of a znode" },
  { 6, "getACL", "read", request = "GetACLRequest", response = "GetACLResponse",
    permission = "Read|Admin", on = "node", since = "3.0", doc = "ACL and state of a znode" },
  { 7, "setACL", "write", request = "SetACLRequest", response = "SetACLResponse", txn = "SetACLTxn",
    permission = "Admin", on = "node", since = "3.0", doc = "replace the ACL of a znode" },
  { 8, "getChildren", "read", request = "GetChildrenRequest", response = "GetChildrenResponse",
    permission = "Read", on = "node", multi = "read", since = "3.0",
    doc = "names of the children" },
  { 9, "sync", "barrier", request = "SyncRequest", response = "SyncResponse", since = "3.0",
    doc = "wait for all that the leader had committed" },
  { 11, "ping", "read", since = "3.0", doc = "heartbeat" },
  { 12, "getChildren2", "read", request = "GetChildren2Request", response = "GetChildren2Response",
    permission = "Read", on = "node", since = "3.3", doc = "names of the children, and state" },
  { 13, "check", "write", request = "CheckVersionRequest", txn = "CheckVersionTxn",
    permission = "Read", on = "node", multi = "write", since = "3.4",
    doc = "check a version, inside multi only" },
  { 14, "multi", "write", request = "multi", response = "multi", txn = "MultiTxn", since = "3.4",
    doc = "several writes, all or none" },
  { 15, "create2", "write", request = "CreateRequest", response = "Create2Response",
    txn = "CreateTxn", permission = "Create", on = "parent", multi = "write", since = "3.5.0",
    doc = "create a znode, answer path and state" },
  { 16, "reconfig", "write", request = "ReconfigRequest", response = "ReconfigResponse",
    txn = "SetDataTxn", permission = "Write", on = "config", since = "3.5.0",
    doc = "change the members of the ensemble" },
  { 17, "checkWatches", "read", request = "CheckWatchesRequest", since = "3.5.0",
    doc = "is there such a watch?" },
  { 18, "removeWatches", "read", request = "RemoveWatchesRequest", since = "3.5.0",
    doc = "remove watches" },
  { 19, "createContainer", "write", request = "CreateRequest", response = "Create2Response",
    txn = "CreateContainerTxn", permission = "Create", on = "parent", multi = "write",
    since = "3.5.1", doc = "create a container" },
  { 20, "deleteContainer", "internal", request = "DeleteContainerRequest", txn = "DeleteTxn",
    since = "3.5.1", doc = "reap an empty container or a TTL znode" },
  { 21, "createTTL", "write", request = "CreateTTLRequest", response = "Create2Response",
    txn = "CreateTTLTxn", permission = "Create", on = "parent", multi = "write", since = "3.5.3",
    doc = "create a znode with a time to live" },
  { 22, "multiRead", "read", request = "multi", response = "multi", since = "3.6.0",
    doc = "several reads in one request" },
  { 100, "auth", "connection", request = "AuthPacket", since = "3.0",
    doc = "add an identity to the connection" },
  { 101, "setWatches", "read", request = "SetWatches", since = "3.0",
    doc = "re-establish one-shot watches" },
  { 102, "sasl", "connection", request = "GetSASLRequest", response = "SetSASLResponse",
    since = "3.4", doc = "one step of a SASL exchange" },
  { 103, "getEphemerals", "read", request = "GetEphemeralsRequest",
    response = "GetEphemeralsResponse", since = "3.6.0", doc = "ephemerals of this session" },
  { 104, "getAllChildrenNumber", "read", request = "GetAllChildrenNumberRequest",
    response = "GetAllChildrenNumberResponse", permission = "Read", on = "node", since = "3.6.0",
    doc = "number of descendants" },
  { 105, "setWatches2", "read", request = "SetWatches2", since = "3.6.0",
    doc = "re-establish watches of all modes" },
  { 106, "addWatch", "read", request = "AddWatchRequest", response = "ErrorResponse",
    since = "3.6.0", doc = "set a persistent watch" },
  { 107, "whoAmI", "read", response = "WhoAmIResponse", since = "3.7.0",
    doc = "identities of the connection" },
  { -10, "createSession", "internal", txn = "CreateSessionTxn", since = "3.0",
    doc = "a session begins" },
  { -11, "closeSession", "write", txn = "CloseSessionTxn", since = "3.0", doc = "a session ends" },
  { -1, "error", "internal", txn = "ErrorTxn", since = "3.0",
    doc = "failed request in the log, failed part of a multi" },
}

local M = { list = {}, by_name = {}, by_number = {} }

for index, row in ipairs(rows) do
  local entry = { number = row[1], name = row[2], kind = row[3], request = row.request,
    response = row.response, txn = row.txn, permission = row.permission, on = row.on,
    multi = row.multi, since = row.since, doc = row.doc }
  M.list[index] = entry
  M.by_name[entry.name] = entry
  M.by_number[entry.number] = entry
end

return M
