-- SPDX-License-Identifier: MIT
-- The members of an ensemble, as the option `servers` of a script or the server lines of a zoo.cfg
-- name them: checks each and all together, as Apache does and a little more strictly, and brings
-- them into the form that native/script/config.c reads. Called by server/config.lua. Pure: names
-- are not resolved here, the server does that anew whenever it dials.

local check = require "moonkeeper.server.check"
local nearest = require "moonkeeper.server.nearest"

local M = {}

---@class moonkeeper.Member
---@field id integer 1 to 254
---@field host string of quorum and election port, without brackets
---@field quorum_port integer
---@field election_port integer
---@field observer boolean
---@field group integer 0 for none
---@field weight integer
---@field client string "host:port" where the line says one, or ""

local FIELDS <const> = { "quorum", "election", "role", "client", "group", "weight" }
local ROLES <const> = { "participant", "observer" }
local ID_MAX <const> = 254
local COUNT_MAX <const> = 64
local GROUP_MAX <const> = math.maxinteger // 2
local WEIGHT_MAX <const> = (1 << 31) - 1

---"host:port", an IPv6 host in brackets.
---@param host string
---@param port integer
---@return string
function M.join(host, port)
  return (host:find(":", 1, true) and "[%s]:%d" or "%s:%d"):format(host, port)
end

---"1, 2 and 3"
---@param items (string|integer)[]
---@return string
function M.enumerate(items)
  if #items < 2 then
    return tostring(items[1])
  end
  return table.concat(items, ", ", 1, #items - 1) .. " and " .. items[#items]
end

local function address(text)
  local found, wish = check.address(text)
  if found and found.port == 0 then
    return nil, "must have a port from 1 to 65535"
  elseif type(text) == "table" or not found and wish:find("list of them", 1, true) then
    return nil, 'must be "host:port" or "[v6 address]:port"'
  end
  return found, wish
end

local function integer(value, low, high)
  local number = type(value) == "number" and math.tointeger(value)
  if not number or number < low or number > high then
    return nil, ("must be an integer from %d to %d"):format(low, high)
  end
  return number
end

local read = {
  quorum = address,
  election = address,
  client = address,
  role = function(value)
    return check.enum(value, { values = ROLES })
  end,
  group = function(value)
    return integer(value, 1, GROUP_MAX)
  end,
  weight = function(value)
    return integer(value, 0, WEIGHT_MAX)
  end,
}

-- One member, or nil when something is wrong with it.
local function read_member(id, raw, complain)
  local good, found = true, {}
  local function bad(...)
    good = false
    complain(id, ...)
  end
  if type(raw) ~= "table" then
    bad("is %s, but must be a table with quorum and election", check.show(raw))
    return nil
  end
  for _, name in ipairs(check.sorted_keys(raw)) do
    local reader = read[name]
    if not reader then
      bad("has no field %s%s", check.name(tostring(name)), type(name) == "string" and
        nearest.hint(name, FIELDS) or "")
    else
      local value, wish = reader(raw[name])
      if value == nil then
        bad(".%s is %s, but %s", name, check.show(raw[name]), wish)
      end
      found[name] = value
    end
  end
  for _, name in ipairs { "quorum", "election" } do
    if raw[name] == nil then
      bad('has no %s address: %s = "host:port"', name, name)
    end
  end
  if not good then
    return nil
  elseif found.quorum.host:lower() ~= found.election.host:lower() then
    bad("quorum is on %s and election on %s, but a server has one host for both",
      found.quorum.host, found.election.host)
    return nil
  end
  return {
    id = id, host = found.quorum.host,
    quorum_port = found.quorum.port, election_port = found.election.port,
    observer = found.role == "observer",
    client = found.client and M.join(found.client.host, found.client.port) or "",
    group = found.group or 0, weight = found.weight or 1,
  }
end

local function check_addresses(list, complain)
  local owner = {}
  for _, member in ipairs(list) do
    local uses = { { "quorum", M.join(member.host, member.quorum_port) },
      { "election", M.join(member.host, member.election_port) } }
    if member.client ~= "" then
      uses[3] = { "client", member.client }
    end
    for _, use in ipairs(uses) do
      local key = use[2]:lower()
      local other = owner[key]
      if other then
        complain(member.id, "has the %s address %s, which is also the %s address of server %d",
          use[1], use[2], other[1], other[2])
      else
        owner[key] = { use[1], member.id }
      end
    end
  end
end

-- What groups weigh: all of it, and what can be present. Observers weigh in their groups, as with
-- Apache, but are never present.
local function weigh(list)
  local groups, order = {}, {}
  for _, member in ipairs(list) do
    if member.group ~= 0 then
      local group = groups[member.group]
      if not group then
        group = { all = 0, present = 0 }
        groups[member.group] = group
        order[#order + 1] = member.group
      end
      group.all = group.all + member.weight
      group.present = group.present + (member.observer and 0 or member.weight)
    end
  end
  local count, won = 0, 0
  for _, number in ipairs(order) do
    local group = groups[number]
    count = count + (group.all > 0 and 1 or 0)
    won = won + (group.present > group.all // 2 and 1 or 0)
  end
  return count, won
end

local function is_hierarchical(raw)
  for _, member in pairs(raw) do
    if type(member) == "table" and (member.group ~= nil or member.weight ~= nil) then
      return true
    end
  end
  return false
end

local function check_groups(list, complain)
  local good = true
  for _, member in ipairs(list) do
    if not member.observer and member.group == 0 then
      complain(member.id, "is in no group: with groups or weights, each participant is in one")
      good = false
    end
  end
  local count, won = weigh(list)
  if good and won <= count // 2 then
    complain(nil, "can never reach a quorum: too few groups have participants with a weight")
  end
end

local function check_all(list, hierarchical, complain)
  local voters = 0
  for _, member in ipairs(list) do
    voters = voters + (member.observer and 0 or 1)
  end
  if #list > 0 and voters == 0 then
    complain(nil, "has observers only: at least one participant is needed")
  elseif hierarchical then
    check_groups(list, complain)
  end
  check_addresses(list, complain)
end

---Checks the table of servers by id.
---@param raw any
---@param complain fun(id: integer?, format: string, ...) about one member, or all of them; the text
---  goes on behind its name, or behind its field
---@return moonkeeper.Member[]? members sorted by id, with the field `hierarchical`; nil after a
---  complaint about one of them
function M.check(raw, complain)
  if type(raw) ~= "table" then
    complain(nil, "is %s, but must be a table of servers by id", check.show(raw))
    return nil
  end
  local list, good = {}, true
  local ids = check.sorted_keys(raw)
  if #ids > COUNT_MAX then
    complain(nil, "has %d servers, but must have %d at most", #ids, COUNT_MAX)
    return nil
  end
  for _, id in ipairs(ids) do
    if math.type(id) ~= "integer" or id < 1 or id > ID_MAX then
      complain(nil, "must be a table by id, a number from 1 to %d, not %s", ID_MAX, check.show(id))
      good = false
    else
      local member = read_member(id, raw[id], complain)
      good = good and member ~= nil
      list[#list + 1] = member
    end
  end
  if not good then
    return nil
  end
  table.sort(list, function(a, b)
    return a.id < b.id
  end)
  list.hierarchical = is_hierarchical(raw)
  check_all(list, list.hierarchical, complain)
  return list
end

---The member with this id, or nil.
---@param list moonkeeper.Member[]
---@param id integer
---@return moonkeeper.Member?
function M.find(list, id)
  for _, member in ipairs(list) do
    if member.id == id then
      return member
    end
  end
  return nil
end

---The members as text, as it is told to other servers and in /zookeeper/config.
---@param list moonkeeper.Member[]
---@return string without a line end
function M.text(list)
  local lines, groups, order = {}, {}, {}
  for index, member in ipairs(list) do
    local host = member.host:find(":", 1, true) and "[" .. member.host .. "]" or member.host
    lines[index] = ("server.%d=%s:%d:%d:%s%s"):format(member.id, host, member.quorum_port,
      member.election_port, member.observer and "observer" or "participant",
      member.client ~= "" and ";" .. member.client or "")
    if member.group ~= 0 then
      if not groups[member.group] then
        groups[member.group] = {}
        order[#order + 1] = member.group
      end
      table.insert(groups[member.group], member.id)
    end
  end
  table.sort(order)
  for _, group in ipairs(order) do
    lines[#lines + 1] = ("group.%d=%s"):format(group, table.concat(groups[group], ":"))
  end
  if list.hierarchical then
    for _, member in ipairs(list) do
      lines[#lines + 1] = ("weight.%d=%d"):format(member.id, member.weight)
    end
  end
  lines[#lines + 1] = ("version=%x"):format(list.version or 0)
  return table.concat(lines, "\n")
end

---All ids, sorted.
---@param list moonkeeper.Member[]
---@return integer[]
function M.ids(list)
  local ids = {}
  for index, member in ipairs(list) do
    ids[index] = member.id
  end
  return ids
end

local function is_loopback(host)
  return host:find("^127%.") ~= nil or host == "::1" or host:lower() == "localhost"
end

local function add_quorum_warning(list, lines)
  local voters = 0
  for _, member in ipairs(list) do
    voters = voters + (member.observer and 0 or 1)
  end
  if list.hierarchical then
    local count = weigh(list)
    if count == 2 then
      lines[#lines + 1] = "2 groups need each other: when one is lost, nobody is served; take 3"
    end
  elseif voters == 1 then
    lines[#lines + 1] = "1 participant: when it is away, nobody is served; 3 let one be away"
  elseif voters == 2 then
    lines[#lines + 1] = "2 participants need each other: when either is away, nobody is served; " ..
      "3 let one be away"
  elseif voters % 2 == 0 then
    lines[#lines + 1] = ("%d participants let %d be away, as %d do: the last one adds work, but " ..
      "no safety"):format(voters, voters // 2 - 1, voters - 1)
  end
end

---What is allowed, but surprises.
---@param list moonkeeper.Member[] two at least
---@return string[] lines without a place
function M.warnings(list)
  local lines, near, far = {}, nil, nil
  add_quorum_warning(list, lines)
  for _, member in ipairs(list) do
    if is_loopback(member.host) then
      near = near or member
    else
      far = far or member
    end
    if member.observer and member.group ~= 0 then
      lines[#lines + 1] = ("server %d is an observer in group %d: its weight counts there as if " ..
        "it were always away"):format(member.id, member.group)
    end
  end
  if near and far then
    lines[#lines + 1] = ("server %d is %s, which is another machine for each of the others, and " ..
      "server %d is %s: they will not find each other"):format(near.id, near.host, far.id,
      far.host)
  end
  return lines
end

return M
