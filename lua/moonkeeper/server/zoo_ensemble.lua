-- SPDX-License-Identifier: MIT
-- What a zoo.cfg says of an ensemble: its members (server lines, or those of a dynamicConfigFile),
-- this server's own line, and the keys that only an ensemble has. Called by zoo_cfg.lua with its
-- reader, whose values, notes and problems it adds to; server/members.lua checks the members.

local check = require "moonkeeper.server.check"
local options = require "moonkeeper.schema.options"
local zoo_keys = require "moonkeeper.server.zoo_keys"
local zoo_servers = require "moonkeeper.server.zoo_servers"

local M = {}

-- A problem in the file that has the server lines.
local function member_complaints(reader)
  return function(line, format, ...)
    reader:problem(line, format, ...)
    reader.problems[#reader.problems].file = reader.members_file or reader.file
  end
end

-- Members that are in a file of their own. The end of its name is their version.
local function read_dynamic_file(reader)
  local entry = reader.special["dynamicConfigFile"]
  if not entry then
    return
  elseif reader.server_lines[1] then
    reader:problem(reader.server_lines[1].line,
      "%s must be in %s, since there is a dynamicConfigFile",
      check.name(reader.server_lines[1].key), check.show(entry.value))
    reader.server_lines = {}
    return
  end
  local text, why = reader.context.read_file(entry.value)
  if not text then
    reader:problem(entry.line, "dynamicConfigFile: %s cannot be read%s", check.show(entry.value),
      why and ": " .. why or "")
    return
  elseif reader.context.read_file(reader.file .. ".dynamic.next") then
    reader:problem(entry.line, "there is a file %s.dynamic.next: a change of the members is not " ..
      "finished. Let Apache finish it, or delete the file if it was given up", reader.file)
    return
  end
  reader.members_file = entry.value
  reader.members_version = zoo_servers.version(entry.value)
  reader.server_lines = zoo_servers.dynamic(text, member_complaints(reader))
end

---Reads the members into `servers`. One alone is ignored later, as Apache does; more make an
---ensemble (reader.ensemble).
---@param reader table
function M.servers(reader)
  local before = #reader.problems
  read_dynamic_file(reader)
  local found = zoo_servers.read(reader.server_lines, member_complaints(reader))
  reader.ensemble = found.count > 1
  if #reader.problems > before or found.count == 0 then
    return
  end
  reader:set("servers", found.servers, reader.server_lines[1].line)
  reader.files.servers = reader.members_file
  for id, line in pairs(found.lines) do
    reader.lines["servers." .. id] = line
    reader.files["servers." .. id] = reader.members_file
  end
end

-- The member that this server is, and its id; nil when that is not known.
local function own_member(reader)
  local id = reader.context.id or reader.values.id
  local servers = reader.ensemble and reader.values.servers
  return servers and id and servers[id] or nil, id
end

-- What Apache asks for before it makes an ensemble, beyond what server/members.lua checks.
local function check_ensemble(reader)
  for _, name in ipairs { "init_limit_ticks", "sync_limit_ticks" } do
    local row = options.by_name[name]
    if not reader.seen[row.zoo[1]] then
      reader:problem(nil, "%s is missing: with several servers it must be said; %d is usual",
        row.zoo[1], row.default)
    end
  end
  local observers, participants = 0, 0
  for _, member in pairs(reader.values.servers or {}) do
    if member.role == "observer" then
      observers = observers + 1
    else
      participants = participants + 1
    end
  end
  local standalone = reader.special["standaloneEnabled"]
  if participants == 1 and not (standalone and standalone.value:lower() == "false") then
    reader:problem(reader.lines.servers, "one participant and %d observer%s are no ensemble for " ..
      "Apache, unless standaloneEnabled is false", observers, observers == 1 and "" or "s")
  end
end

-- The list decides who is an observer; peerType can only disagree.
local function check_peer_type(reader)
  local entry = reader.special["peerType"]
  if not entry then
    return
  end
  local word, own = entry.value:lower(), own_member(reader)
  if word ~= "participant" and word ~= "observer" then
    reader:problem(entry.line, "peerType is %s, but must be participant or observer",
      check.show(entry.value))
  elseif not reader.ensemble and word == "observer" then
    reader:problem(entry.line,
      "peerType is observer, but an observer needs an ensemble, and no other servers are named")
  elseif own and (own.role == "observer") ~= (word == "observer") then
    reader:note(entry.line, "peerType: ignored, by its server line this server is %s",
      own.role == "observer" and "an observer" or "a participant")
  end
end

local function check_standalone(reader)
  local entry = reader.special["standaloneEnabled"]
  local word = entry and entry.value:lower()
  if entry and word ~= "true" and word ~= "false" then
    reader:problem(entry.line, "standaloneEnabled is %s, but must be true or false",
      check.show(entry.value))
  elseif word == "false" and not reader.ensemble then
    reader:problem(entry.line, "standaloneEnabled is false, but one server alone is always a " ..
      "single server in this version: name others, or take it out")
  end
end

-- Keys that only an ensemble has: what becomes of them is known once the server lines are read.
local function take_keys(reader)
  for _, entry in ipairs(reader.deferred) do
    local key = entry.key:gsub("^zookeeper%.", "")
    local row, found = options.by_zoo_key[key], zoo_keys.find(key)
    if not reader.ensemble then
      reader:note(entry.line, "%s: ignored, it only has a meaning in an ensemble",
        check.name(entry.key))
    elseif row then
      reader:honour(row, entry)
    elseif found.refused then
      reader:refuse(found, entry)
    else
      reader:note(entry.line, "%s: ignored, %s", check.name(entry.key), found.why)
    end
  end
end

---After the number of this server is known.
---@param reader table
function M.check(reader)
  take_keys(reader)
  if reader.ensemble then
    check_ensemble(reader)
  end
  check_peer_type(reader)
  check_standalone(reader)
end

-- clientPort and clientPortAddress must agree with the own line, as Apache wants it.
local function check_static_address(reader, client, host, port)
  local static, other = reader.values.client_address, reader.special["clientPortAddress"]
  if static and static ~= port then
    reader:problem(reader.lines.client_address, "clientPort is %d, but the line of this server " ..
      "says that clients connect to %s", static, client)
  elseif static and other and not reader.is_wildcard(other.value) and
    other.value ~= host:gsub("[%[%]]", "") then
    reader:problem(other.line, "clientPortAddress is %s, but the line of this server says that " ..
      "clients connect to %s", check.show(other.value), client)
  end
end

---Takes the client address from the own server line.
---@param reader table
---@return boolean found false: clientPort and clientPortAddress say it
function M.client_address(reader)
  local own, id = own_member(reader)
  if reader.ensemble and not id and not reader.values.client_address then
    return true -- that myid is missing is said, and the own line may have it
  elseif not own or not own.client then
    return false
  end
  local host, digits = own.client:match("^(.*):(%d+)$")
  local port = math.tointeger(tonumber(digits))
  local line = reader.lines["servers." .. id]
  check_static_address(reader, own.client, host, port)
  reader:set("client_address", own.client, line)
  if reader.is_wildcard(host) then
    reader:note_about("client_address", line, "WARNING: clients can connect from everywhere, as " ..
      "with Apache: port %d is open on all addresses. Say ;127.0.0.1:%d to keep it to this " ..
      "machine", port, port)
  end
  return true
end

return M
