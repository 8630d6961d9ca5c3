-- SPDX-License-Identifier: MIT
-- The ensemble that the answers of several servers show: who leads, which list of members holds,
-- who of them is up, whether there is a quorum. Called by cli/doctor.lua. Pure.

local M = {}

---@class doctor.ensemble
---@field servers doctor.server[]
---@field leaders doctor.server[]
---@field learners doctor.server[] followers and observers that serve
---@field list doctor.list? the leader's, else the one that most have
---@field participants integer those of the list, of the leader's mntr, or all asked
---@field participants_known boolean false: it is only the number of those asked
---@field needed integer? for a quorum; nil: a hierarchical one
---@field up integer participants that serve
---@field answering integer those that answer, serving or not
---@field unasked doctor.member[] members of the list that did not say their id
---@field unnamed integer servers asked that did not say their id
---@field alone boolean it is one standalone server
---@field quorum boolean?  nil: not known

---Whether it takes part in an ensemble at this moment.
---@param server doctor.server
---@return boolean
function M.serves(server)
  return server.state == "leader" or server.state == "follower" or server.state == "observer"
end

---"server 3 (10.0.0.3:2181)", or only the address where the id is not known.
---@param server doctor.server
---@return string
function M.name(server)
  return server.id and ("server %d (%s)"):format(server.id, server.address) or server.address
end

---The epoch in which it serves: ours tell it, an Apache leader's is in its last zxid.
---@param server doctor.server
---@return integer?
function M.epoch(server)
  return math.tointeger(server.figures.current_epoch)
    or not server.ours and server.state == "leader" and server.zxid and server.zxid >> 32 or nil
end

local function choose_list(servers, leaders)
  local count, best = {}, nil
  for _, server in ipairs(servers) do
    if server.list then
      local key = server.list.key
      count[key] = (count[key] or 0) + 1
      if not best or count[key] > count[best.key] then
        best = server.list
      end
    end
  end
  return leaders[1] and leaders[1].list or best
end

local function find_unasked(ensemble)
  local asked, silent, unasked = {}, {}, {}
  for _, server in ipairs(ensemble.servers) do
    if server.id then
      asked[server.id] = true
    elseif server.state ~= "stranger" and server.state ~= "standalone" then
      silent[#silent + 1] = server
    end
  end
  for _, member in ipairs(ensemble.list and ensemble.list.members or {}) do
    if not asked[member.id] then
      unasked[#unasked + 1] = member
    end
  end
  -- who does not say its id: there is only one that it can be
  if #silent == 1 and #unasked == 1 then
    silent[1].id, unasked, silent = unasked[1].id, {}, {}
  end
  ensemble.unnamed = #silent
  return unasked
end

local function is_observer(ensemble, server)
  for _, member in ipairs(ensemble.list and ensemble.list.members or {}) do
    if member.id == server.id then
      return member.observer
    end
  end
  return server.state == "observer"
end

local function count_participants(ensemble)
  local list, leader = ensemble.list, ensemble.leaders[1]
  if list then
    local count = 0
    for _, member in ipairs(list.members) do
      count = count + (member.observer and 0 or 1)
    end
    return count, true
  end
  for _, server in ipairs({ leader, table.unpack(ensemble.servers) }) do
    if server.figures.quorum_size then
      return math.tointeger(server.figures.quorum_size), true
    end
  end
  local count = 0
  for _, server in ipairs(ensemble.servers) do
    count = count + (server.state == "observer" and 0 or 1)
  end
  return count, false
end

local function count_up(ensemble)
  local up, answering = 0, 0
  for _, server in ipairs(ensemble.servers) do
    if not is_observer(ensemble, server) then
      local serves = M.serves(server)
      up = up + (serves and 1 or 0)
      answering = answering + ((serves or server.state == "looking" or server.state == "read-only")
        and 1 or 0)
    end
  end
  -- the leader knows better than who was asked
  local leader = ensemble.leaders[1]
  local synced = leader and leader.figures.synced_followers
  if synced and #ensemble.leaders == 1 then
    up = math.tointeger(synced) + 1
  end
  return up, answering
end

---@param servers doctor.server[]
---@return doctor.ensemble
function M.see(servers)
  local ensemble = { servers = servers, leaders = {}, learners = {} }
  for _, server in ipairs(servers) do
    if server.state == "leader" then
      table.insert(ensemble.leaders, server)
    elseif M.serves(server) then
      table.insert(ensemble.learners, server)
    end
  end
  -- of two, the one in the later epoch has the quorum
  table.sort(ensemble.leaders, function(a, b)
    local first, second = M.epoch(a) or 0, M.epoch(b) or 0
    return first > second or first == second and (a.zxid or 0) > (b.zxid or 0)
  end)
  ensemble.list = choose_list(servers, ensemble.leaders)
  ensemble.unasked = find_unasked(ensemble)
  ensemble.participants, ensemble.participants_known = count_participants(ensemble)
  if not (ensemble.list and #ensemble.list.groups > 0) then
    ensemble.needed = ensemble.participants // 2 + 1
  end
  ensemble.up, ensemble.answering = count_up(ensemble)
  ensemble.alone = #servers == 1 and servers[1].state == "standalone"
  if #ensemble.leaders > 0 or #ensemble.learners > 0 then
    ensemble.quorum = true -- nobody serves without one
  elseif #servers > 1 then
    ensemble.quorum = false -- of one server's silence nothing follows
  end
  return ensemble
end

---Those that lack transactions that the leader had when it was asked, if any.
---@param ensemble doctor.ensemble
---@return doctor.server[]
function M.behind(ensemble)
  local leader, behind = ensemble.leaders[1], {}
  -- an epoch without a transaction is told by the leader only
  if not leader or not leader.zxid or leader.zxid & 0xffffffff == 0 then
    return behind
  end
  for _, server in ipairs(ensemble.learners) do
    if server.zxid and server.zxid < leader.zxid then
      behind[#behind + 1] = server
    end
  end
  return behind
end

---How far behind the leader, in words; nil when it is not, or cannot be told.
---@param leader doctor.server
---@param server doctor.server
---@return string?
function M.distance(leader, server)
  if not leader.zxid or not server.zxid or leader.zxid & 0xffffffff == 0
    or server.zxid >= leader.zxid then
    return nil
  elseif server.zxid >> 32 ~= leader.zxid >> 32 then
    return ("still in epoch %d, the leader in %d"):format(server.zxid >> 32, leader.zxid >> 32)
  end
  local count = leader.zxid - server.zxid
  return ("%d transaction%s behind"):format(count, count == 1 and "" or "s")
end

return M
