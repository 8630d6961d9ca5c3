-- SPDX-License-Identifier: MIT
-- Every error code: { code, Lua name, C name without MK_ERR_, text }. Codes down to -999 are
-- ZooKeeper's and go over the wire; codes below -1000 are our own and never do.

local rows = {
  { 0, "Ok", "NONE", "no error" },
  { -1, "SystemError", "SYSTEM", "system error" },
  { -2, "RuntimeInconsistency", "RUNTIME_INCONSISTENCY",
    "skipped because an earlier part of the multi failed" },
  { -3, "DataInconsistency", "DATA_INCONSISTENCY", "data inconsistency" },
  { -4, "ConnectionLoss", "CONNECTION_LOSS",
    "connection lost; a write may or may not have happened" },
  { -5, "MarshallingError", "MARSHALLING", "request or answer cannot be decoded" },
  { -6, "Unimplemented", "UNIMPLEMENTED", "operation is not available on this server" },
  { -7, "OperationTimeout", "OPERATION_TIMEOUT", "operation timed out" },
  { -8, "BadArguments", "BAD_ARGUMENTS", "invalid arguments" },
  { -9, "InvalidState", "INVALID_STATE", "client handle is in a state that cannot do this" },
  { -12, "UnknownSession", "UNKNOWN_SESSION", "session is unknown to the server" },
  { -13, "NewConfigNoQuorum", "NEW_CONFIG_NO_QUORUM",
    "no quorum of the new config is connected and up to date" },
  { -14, "ReconfigInProgress", "RECONFIG_IN_PROGRESS", "another reconfig is not finished" },
  { -15, "SslConnectionError", "SSL_CONNECTION", "TLS connection failed" },
  { -100, "ApiError", "API", "boundary of the API errors" },
  { -101, "NoNode", "NO_NODE", "znode does not exist" },
  { -102, "NoAuth", "NO_AUTH", "permission denied by the ACL" },
  { -103, "BadVersion", "BAD_VERSION", "version does not match" },
  { -108, "NoChildrenForEphemerals", "NO_CHILDREN_FOR_EPHEMERALS",
    "an ephemeral znode cannot have children" },
  { -110, "NodeExists", "NODE_EXISTS", "znode exists already" },
  { -111, "NotEmpty", "NOT_EMPTY", "znode has children" },
  { -112, "SessionExpired", "SESSION_EXPIRED", "session is over" },
  { -113, "InvalidCallback", "INVALID_CALLBACK", "invalid callback" },
  { -114, "InvalidAcl", "INVALID_ACL", "invalid ACL" },
  { -115, "AuthFailed", "AUTH_FAILED", "authentication failed" },
  { -116, "Closing", "CLOSING", "client handle is closing" },
  { -117, "Nothing", "NOTHING", "nothing to do" },
  { -118, "SessionMoved", "SESSION_MOVED", "session has moved to another server" },
  { -119, "NotReadOnly", "NOT_READ_ONLY", "a read-only server cannot do this" },
  { -120, "EphemeralOnLocalSession", "EPHEMERAL_ON_LOCAL_SESSION",
    "a local session cannot own ephemerals here" },
  { -121, "NoWatcher", "NO_WATCHER", "no such watch" },
  { -122, "RequestTimeout", "REQUEST_TIMEOUT", "request timed out in the client" },
  { -123, "ReconfigDisabled", "RECONFIG_DISABLED", "reconfig is switched off" },
  { -124, "SessionClosedRequireSaslAuth", "SESSION_CLOSED_REQUIRE_SASL_AUTH",
    "connection lacks the authentication that this server demands" },
  { -125, "QuotaExceeded", "QUOTA_EXCEEDED", "quota exceeded" },
  { -127, "ThrottledOp", "THROTTLED_OP", "request waited too long in a throttled server" },
  -- our own, never on the wire
  { -1001, "Truncated", "TRUNCATED", "data ends too early" },
  { -1002, "Corrupt", "CORRUPT", "data is damaged" },
  { -1003, "Io", "IO", "input or output failed" },
  { -1004, "NoSpace", "NO_SPACE", "no space left on the device" },
  { -1005, "Locked", "LOCKED", "in use by another process" },
  { -1006, "TooLarge", "TOO_LARGE", "larger than the limit allows" },
  { -1007, "Unsupported", "UNSUPPORTED", "a format or version that is not supported" },
  { -1008, "NotFound", "NOT_FOUND", "not found" },
  { -1009, "BadConfig", "BAD_CONFIG", "configuration is not usable" },
  { -1010, "Timeout", "TIMEOUT", "the time given for this call has passed" },
  { -1011, "Cancelled", "CANCELLED", "cancelled" },
  { -1012, "ScriptError", "SCRIPT", "a Lua script raised an error" },
  { -1013, "BudgetExceeded", "BUDGET_EXCEEDED", "a Lua script used up its instructions or memory" },
}

local M = { list = {}, by_name = {}, by_code = {} }

for index, row in ipairs(rows) do
  local entry = { code = row[1], name = row[2], c = "MK_ERR_" .. row[3], text = row[4],
    wire = row[1] > -1000 }
  M.list[index] = entry
  M.by_name[entry.name] = entry
  M.by_code[entry.code] = entry
end

return M
