-- SPDX-License-Identifier: MIT
-- The lines of a zoo.cfg, or of its dynamicConfigFile, that name the members of an ensemble:
-- server.N=host:port:port[:role][;[host:]port], group.G=N:N, weight.N=W. Brings them into the table
-- that a script has as `servers`; server/members.lua then checks that. Called by zoo_cfg.lua. Pure.

local check = require "moonkeeper.server.check"
local properties = require "moonkeeper.server.properties"

local M = {}

local FORM <const> = "must be host:quorumport:electionport, with :participant or :observer and " ..
  ";clientport or ;clienthost:clientport behind it where they are needed"

-- Whether a key names members: "server.1", "group.2", "weight.3".
function M.is_key(key)
  return key:find("^server%.") or key:find("^group") or key:find("^weight")
end

local function valid(host, port)
  local text = ("%s:%s"):format(host, port)
  local found = check.address(text)
  return found and found.port > 0 and text
end

-- Behind the semicolon: "2181" or "host:2181".
local function parse_client(text)
  if text:find("^%d+$") then
    return valid("0.0.0.0", text)
  end
  local found = check.address(text)
  return found and found.port > 0 and text
end

---One server line.
---@param text string behind the =
---@return table? member as in a script
---@return string? wish "must be ..."
function M.parse_server(text)
  local address, client = text:match("^([^;]*);?(.*)$")
  if address:find("|", 1, true) then
    return nil, "must have one address: several for one server are not supported by this version"
  elseif client:find(";", 1, true) then
    return nil, "must have one client address: this version has no TLS port"
  end
  local host, rest = address:match("^(%b[])(:.*)$")
  if not host then
    host, rest = address:match("^([^:]*)(:.*)$")
  end
  local quorum, election, role = (rest or ""):match("^:(%d+):(%d+):?([%a]*)$")
  role = role and role:lower()
  if not quorum or role ~= "" and role ~= "participant" and role ~= "observer" or
    text:find(";%s*$") or rest:find(":$") then
    return nil, FORM
  end
  local member = { quorum = valid(host, quorum), election = valid(host, election),
    client = client ~= "" and parse_client(client) or nil, role = role ~= "" and role or nil }
  if not member.quorum or not member.election or client ~= "" and not member.client then
    return nil, FORM .. "; a port is a number from 1 to 65535, an IPv6 host stands in brackets"
  end
  return member
end

local function number_of(entry, word)
  local digits = entry.key:match("^" .. word .. "%.(%d+)$")
  return digits and #digits < 18 and math.tointeger(tonumber(digits)) or nil
end

local function read_server(result, entry, complain)
  local id = number_of(entry, "server")
  if not id then
    complain(entry.line, "%s must be server.N with a number N", check.name(entry.key))
    return
  elseif result.servers[id] then
    complain(entry.line, "%s: server %d is listed twice", check.name(entry.key), id)
    return
  end
  local member, wish = M.parse_server(entry.value)
  if not member then
    complain(entry.line, "%s is %s, but %s", check.name(entry.key), check.show(entry.value), wish)
    return
  end
  result.servers[id] = member
  result.lines[id] = entry.line
end

local function read_group(result, entry, complain)
  local group = number_of(entry, "group")
  if not group or group == 0 then
    complain(entry.line, "%s must be group.G with a number G, 1 or more", check.name(entry.key))
    return
  end
  for part in (entry.value .. ":"):gmatch("([^:]*):") do
    local digits = part:match("^%s*(%d+)%s*$")
    local member = digits and result.servers[math.tointeger(tonumber(digits))]
    if not digits then
      complain(entry.line, "%s is %s, but must be ids of servers with : between them", entry.key,
        check.show(entry.value))
      return
    elseif not member then
      complain(entry.line, "%s names server %s, and there is no such line", entry.key, digits)
    elseif member.group then
      complain(entry.line, "%s: server %s is in group %d already", entry.key, digits, member.group)
    else
      member.group = group
    end
  end
end

local function read_weight(result, entry, complain)
  local id = number_of(entry, "weight")
  local weight = entry.value:match("^%d+$") and #entry.value < 18 and
    math.tointeger(tonumber(entry.value))
  if not id or not result.servers[id] then
    complain(entry.line, "%s must be weight.N with the number of a server that is listed",
      check.name(entry.key))
  elseif not weight then
    complain(entry.line, "%s is %s, but must be a number, 0 or more", entry.key,
      check.show(entry.value))
  else
    result.servers[id].weight = weight
  end
end

local function count_of(map)
  local count = 0
  for _ in pairs(map) do
    count = count + 1
  end
  return count
end

---Reads all lines that name members, in any order.
---@param entries { key: string, value: string, line: integer }[]
---@param complain fun(line: integer, format: string, ...)
---@return { servers: table<integer, table>, lines: table<integer, integer>, count: integer } result
---  `count` includes server lines that were complained of
function M.read(entries, complain)
  local result = { servers = {}, lines = {}, count = 0 }
  for _, entry in ipairs(entries) do
    if entry.key:find("^server%.") then
      result.count = result.count + 1
      read_server(result, entry, complain)
    end
  end
  if count_of(result.lines) < result.count then
    return result -- without all servers, the rest would only be complained of once more
  end
  for _, entry in ipairs(entries) do
    if entry.key:find("^group") then
      read_group(result, entry, complain)
    elseif entry.key:find("^weight") then
      read_weight(result, entry, complain)
    end
  end
  return result
end

---The lines of a dynamicConfigFile.
---@param text string
---@param complain fun(line: integer, format: string, ...)
---@return { key: string, value: string, line: integer }[] entries
function M.dynamic(text, complain)
  local entries, broken = properties.parse(text)
  for _, problem in ipairs(broken) do
    complain(problem.line, "%s", problem.text)
  end
  local kept = {}
  for _, entry in ipairs(entries) do
    if M.is_key(entry.key) then
      kept[#kept + 1] = entry
    elseif entry.key == "version" then
      complain(entry.line, "version must not be in this file: the end of its name is the version")
    else
      complain(entry.line, "there is no key %s in a dynamicConfigFile: it has server.N, group.G " ..
        "and weight.N", check.name(entry.key))
    end
  end
  return kept
end

---The version of the members that the name of a dynamicConfigFile ends in, as Apache writes it, in
---hexadecimal; 0 when there is none.
---@param path string
---@return integer
function M.version(path)
  local digits = path:match("%.(%x+)$")
  return digits and #digits < 16 and math.tointeger(tonumber(digits, 16)) or 0
end

return M
