-- SPDX-License-Identifier: MIT
-- What the four-letter words of a server say, of Apache's and of ours, as one table for each
-- server. Called by cli/doctor.lua; findings.lua and report.lua read the tables. Pure.

local M = {}

M.WORDS = { "srvr", "mntr", "conf", "isro", "ruok" }

local MODES <const> = { leader = true, follower = true, observer = true, standalone = true,
  ["read-only"] = true }
local NOT_SERVING <const> = "This ZooKeeper instance is not currently serving requests"

---@class doctor.server
---@field address string as it was named
---@field state string "leader", "follower", "observer", "standalone", "read-only"; "looking": it
---  answers and serves nobody; "silent": no answer; "stranger": no ZooKeeper; "closed": srvr is
---@field reason string? why it is silent
---@field stage string? where it fell silent: "name", "connect" or "answer"
---@field closed string[] the words that it does not execute
---@field version string? "3.8.0"; of moonkeeper its own
---@field ours boolean
---@field zxid integer?
---@field outstanding integer?
---@field id integer? from conf
---@field conf table<string, string>? key and value
---@field list doctor.list? the members as it knows them
---@field figures table<string, number> from mntr, without zk_

---@class doctor.member
---@field id integer
---@field address string "host:quorum:election"
---@field observer boolean
---@field client string?

---@class doctor.list
---@field members doctor.member[] by id
---@field groups string[] the lines of a hierarchical quorum
---@field version string?
---@field key string equal for lists that mean the same

local function is_closed(text)
  return text:find("is not executed because it is not in the whitelist", 1, true) ~= nil
end

local function read_srvr(server, text)
  local version = text:match "Zookeeper version: ([^\n,]*)"
  local mode = text:match "\nMode: ([%w-]+)"
  if not version or not MODES[mode] then
    return false
  end
  server.ours = version:find("moonkeeper", 1, true) ~= nil
  server.version = server.ours and version:match "moonkeeper%-([%d.]+%d)"
    or version:match "^[%d.]*%d" or version
  server.state = mode
  if text:find("READ-ONLY mode", 1, true) then
    server.state = "read-only"
  end
  server.zxid = math.tointeger(tonumber(text:match "\nZxid: (0x%x+)"))
  server.outstanding = math.tointeger(tonumber(text:match "\nOutstanding: (%d+)"))
  return true
end

-- "server.3=10.0.0.3:2888:3888:participant;0.0.0.0:2181". Where a server has several addresses,
-- they are divided by "|".
local function read_member(id, value)
  local place, client = value:match "^([^;]*);?(.*)$"
  local address, role = place:match "^(.-):(%a+)$"
  return {
    id = math.tointeger(tonumber(id)), address = (address or place):lower(),
    observer = role == "observer", client = client ~= "" and client or nil,
  }
end

-- What a member is for clients differs from server to server with Apache, and is left out.
local function key_of(list)
  local parts = {}
  for _, member in ipairs(list.members) do
    parts[#parts + 1] = ("%d=%s:%s"):format(member.id, member.address, tostring(member.observer))
  end
  table.move(list.groups, 1, #list.groups, #parts + 1, parts)
  return table.concat(parts, "\n")
end

local function read_conf(server, text)
  local conf, list = {}, { members = {}, groups = {} }
  for name, value in text:gmatch "([%w.]+)=([^\n]*)" do
    local id = name:match "^server%.(%d+)$"
    if id then
      list.members[#list.members + 1] = read_member(id, value)
    elseif name:find "^group%." or name:find "^weight%." then
      list.groups[#list.groups + 1] = name .. "=" .. value
    elseif name == "version" then
      list.version = value
    else
      conf[name] = value
    end
  end
  if not conf.clientPort then
    return
  end
  server.conf, server.id = conf, math.tointeger(tonumber(conf.serverId))
  if #list.members > 0 then
    table.sort(list.members, function(a, b)
      return a.id < b.id
    end)
    table.sort(list.groups)
    list.key = key_of(list)
    server.list = list
  end
end

local function read_mntr(server, text)
  for name, value in text:gmatch "zk_([^\t\n]+)\t([^\n]*)" do
    server.figures[name] = tonumber(value)
  end
end

---@param address string
---@param answers table<string, doctor.answer>
---@return doctor.server
function M.read(address, answers)
  local server = { address = address, closed = {}, figures = {}, ours = false, state = "silent" }
  local text = {}
  for _, word in ipairs(M.WORDS) do
    local answer = answers[word]
    text[word] = answer.text
    if answer.text and is_closed(answer.text) then
      server.closed[#server.closed + 1] = word
      text[word] = nil
    end
  end
  local srvr = answers.srvr
  if srvr.error then
    server.reason, server.stage = srvr.error, srvr.stage
  elseif not text.srvr then
    server.state = "closed"
  elseif text.srvr:find(NOT_SERVING, 1, true) then
    server.state = "looking"
  elseif not read_srvr(server, text.srvr) then
    server.state = "stranger"
  end
  read_mntr(server, text.mntr or "")
  read_conf(server, text.conf or "")
  if server.state == "closed" and text.isro == "null" then
    server.state = "looking"
  end
  return server
end

---The last zxid in an answer of srvr.
---@param answer doctor.answer
---@return integer?
function M.zxid(answer)
  local found = { figures = {} }
  read_srvr(found, answer.text or "")
  return found.zxid
end

return M
