-- SPDX-License-Identifier: MIT
-- What is wrong with an ensemble as a whole, each thing with what to do about it: who is away, who
-- leads, lists and ids that disagree, releases with hazards. figures.lua looks at each server on
-- its own. Called by cli/doctor.lua. Pure.

local ensembles = require "moonkeeper.doctor.ensemble"
local members = require "moonkeeper.server.members"
local versions = require "moonkeeper.doctor.versions"

local M = {}

---@class doctor.finding
---@field code string a short name for programs
---@field servers string[] addresses
---@field text string one or more sentences
---@field advice string what to do

local name = ensembles.name

local function names(servers)
  local list = {}
  for index, server in ipairs(servers) do
    list[index] = name(server)
  end
  return members.enumerate(list)
end

local function addresses(servers)
  local list = {}
  for index, server in ipairs(servers) do
    list[index] = server.address
  end
  return list
end

local function plural(count, one, many)
  return ("%d %s"):format(count, count == 1 and one or many or one .. "s")
end

local function filter(servers, wanted)
  local found = {}
  for _, server in ipairs(servers) do
    if wanted(server) then
      found[#found + 1] = server
    end
  end
  return found
end

local silent_advice <const> = {
  name = "Correct the name here or in the name service.",
  connect = "Start it, or look at the end of its log for why it stopped. If it runs, see on which "
    .. "address and port it says that it listens, and whether a firewall is in between.",
  answer = "The port is open and nobody reads or answers: the process may be stopped, or busy with "
    .. "its disk or memory; see its log. Or the port is one for TLS or of another program.",
}

local function find_silent(ensemble, add)
  for _, server in ipairs(ensemble.servers) do
    if server.state == "silent" then
      add("no_answer", { server }, ("%s does not answer: %s."):format(name(server), server.reason),
        silent_advice[server.stage])
    elseif server.state == "stranger" then
      add("no_zookeeper", { server }, ("%s answers, but not as a ZooKeeper server."):format(
        name(server)), "Name the port for clients, without TLS.")
    elseif server.state == "closed" then
      add("no_srvr", { server }, ("%s runs, but does not execute srvr: its state cannot be seen.")
        :format(name(server)), "Allow the words that the notes below name, and restart it.")
    end
  end
end

-- There is a quorum, or there may be, and these are not with it.
local function find_left_out(ensemble, add)
  if ensemble.quorum == false then
    return
  end
  for _, server in ipairs(ensemble.servers) do
    local away = server.state == "looking" and "answers, but serves no clients"
      or server.state == "read-only" and "serves reads only, to clients that accept that"
    if away and not server.id and ensemble.list and #ensemble.unasked == 0 then
      add("not_a_member", { server }, ("%s %s, and all members of the list are found at other "
        .. "addresses."):format(name(server), away),
        "It is no member, or it has the id of one, and the two drive each other out: compare "
        .. "their ids (`id`, or the file myid), and stop the one that is wrong.")
    elseif away then
      add("not_serving", { server }, ("%s %s: it is with no quorum."):format(name(server), away),
        "If that lasts, see in its log why it looks for a leader. Mostly it is one of these: its "
        .. "quorum and election ports and those of the others cannot reach each other, its list "
        .. "of servers or its id differs, or its data or disk is damaged.")
    end
  end
end

-- Participants that the leader lacks, beyond those that were asked and found away.
local function find_missing(ensemble, add)
  local leader = ensemble.leaders[1]
  if #ensemble.leaders ~= 1 or not leader.figures.synced_followers then
    return
  end
  local away = ensemble.participants - ensemble.up
  local explained = ensemble.answering_or_silent - ensemble.serving
  if away <= explained then
    return
  end
  local missing = {}
  for _, member in ipairs(ensemble.unasked) do
    if not member.observer then
      missing[#missing + 1] = ("server %d (%s)"):format(member.id, member.address)
    end
  end
  add("member_missing", { leader }, ("%s leads with %s of %d: %s missing%s."):format(name(leader),
    plural(ensemble.up - 1, "follower"), ensemble.participants - 1,
    plural(away - explained, "participant is", "participants are"),
    #missing > 0 and ", of " .. members.enumerate(missing) or ""),
    "Start what is missing, and name its client address here to see how it is.")
end

local function advise_election(ensemble)
  local lacking = (ensemble.needed or ensemble.participants) - ensemble.answering
  if not ensemble.needed and lacking > 0 then
    return "Start those that do not answer: more than half of the weight in more than half of the "
      .. "groups must be up. Until then nobody writes, and nothing is lost."
  elseif lacking > 0 then
    return ("Start %s more%s. Until then nobody writes, and nothing is lost."):format(
      plural(lacking, "server"),
      #ensemble.unasked > ensemble.unnamed and ", and name all members here" or "")
  end
  return "Enough of them run. An election takes a moment: ask again. If it stays so, their "
    .. "election or quorum ports cannot reach each other (firewall, wrong addresses), or their "
    .. "lists of servers or ids disagree: compare the files, and the lines `zab` and `peers` of "
    .. "their logs."
end

local function find_no_leader(ensemble, add)
  if #ensemble.leaders > 0 or ensemble.alone then
    return
  end
  if #ensemble.learners > 0 then
    if #ensemble.unasked == 0 or ensemble.unnamed > 0 then
      add("leader_unseen", ensemble.learners, ("Clients are served by %s, so there is a leader, "
        .. "but it did not answer here."):format(names(ensemble.learners)),
        "Ask again in a moment: it may have changed. If it stays so, see to the server that does "
        .. "not answer.")
    end
    return
  end
  local among = filter(ensemble.servers, function(server)
    return server.state ~= "standalone" and server.state ~= "stranger"
  end)
  if ensemble.quorum ~= false then
    return
  end
  local count = ensemble.participants
  local text = ("No server leads, so no client can write: of %s %s%d answer%s%s."):format(
    plural(count, "participant"), ensemble.participants_known and "" or "named here ",
    ensemble.answering, ensemble.answering == 1 and "s" or "",
    ensemble.needed and (", and a quorum is %d"):format(ensemble.needed) or "")
  add("no_leader", among, text, advise_election(ensemble))
end

local function find_two_leaders(ensemble, add)
  local leaders = ensemble.leaders
  if #leaders < 2 then
    return
  end
  local lists = leaders[1].list and leaders[2].list
  local differ = lists and leaders[1].list.key ~= leaders[2].list.key
  add("two_leaders", leaders, ("%s servers say that they lead: %s."):format(#leaders,
    names(leaders)), differ
    and "Their lists of servers differ: they are two ensembles, and each takes writes that the "
    .. "other lacks. Stop one of them now, before clients write more; then give all one list."
    or "Ask again in a moment: one that has just lost its followers notices within a few ticks. If "
    .. "it stays so, they are two ensembles: stop clients, and find out which one has your data.")
end

local function find_alone(ensemble, add)
  local alone = filter(ensemble.servers, function(server)
    return server.state == "standalone"
  end)
  if #alone == 0 or ensemble.alone then
    return
  end
  add("standalone", alone, ("%s run%s alone, in no ensemble: what is written there is nowhere "
    .. "else."):format(names(alone), #alone == 1 and "s" or ""),
    "Name only servers of one ensemble. If it is meant to be a member, its configuration has no "
    .. "list of servers: give it that of the others, an id of its own and an empty data directory.")
end

local function lines(list)
  local all = {}
  for _, member in ipairs(list.members) do
    all[#all + 1] = ("server.%d=%s:%s"):format(member.id, member.address,
      member.observer and "observer" or "participant")
  end
  return table.move(list.groups, 1, #list.groups, #all + 1, all)
end

-- What one list has and the other lacks.
local function beyond(list, other)
  local known, extra = {}, {}
  for _, line in ipairs(lines(other)) do
    known[line] = true
  end
  for _, line in ipairs(lines(list)) do
    if not known[line] then
      extra[#extra + 1] = line
    end
  end
  return #extra > 0 and table.concat(extra, ", ") or "nothing"
end

local function find_lists(ensemble, add)
  for _, server in ipairs(ensemble.servers) do
    local list = server.list
    if list and list.key ~= ensemble.list.key then
      add("lists_differ", { server }, ("%s has another list of servers than %s. Only there: %s. "
        .. "Missing there: %s."):format(name(server),
          #ensemble.leaders > 0 and "the leader" or "most", beyond(list, ensemble.list),
          beyond(ensemble.list, list)),
        "Two lists can make two majorities. Give it the list of the others and restart it.")
    elseif list and list.version ~= ensemble.list.version then
      add("list_version_differs", { server }, ("%s has version %s of the list of servers, the "
        .. "others %s."):format(name(server), list.version, ensemble.list.version),
        "Ask again in a moment. If it stays so, it does not follow: see its log.")
    end
  end
end

local function find_ids(ensemble, add)
  local by_id = {}
  for _, server in ipairs(ensemble.servers) do
    if server.id and server.state ~= "standalone" then
      by_id[server.id] = by_id[server.id] or {}
      table.insert(by_id[server.id], server)
    end
  end
  for id, servers in pairs(by_id) do
    if #servers > 1 then
      add("duplicate_id", servers, ("%s all say that they are server %d."):format(
        members.enumerate(addresses(servers)), id),
        "Unless these are several addresses of one server: stop the one that is wrong, and give it "
        .. "an id of its own (`id`, or the file myid) with an empty data directory.")
    end
  end
end

local SETTINGS <const> = { "tickTime", "initLimit", "syncLimit" }

local function find_settings(ensemble, add)
  for _, setting in ipairs(SETTINGS) do
    local first
    for _, server in ipairs(ensemble.servers) do
      local value = server.list and server.conf[setting]
      first = first or value and { value = value, server = server }
      if value and value ~= first.value then
        add("settings_differ", { first.server, server }, ("%s has %s=%s, and %s has %s."):format(
          name(first.server), setting, first.value, name(server), value),
          "Give all members the same: they expire sessions and give each other up by it.")
        break
      end
    end
  end
end

local function find_versions(ensemble, add)
  local by_version = {}
  for _, server in ipairs(ensemble.servers) do
    if server.version and not server.ours and server.state ~= "standalone" then
      by_version[server.version] = by_version[server.version] or {}
      table.insert(by_version[server.version], server)
    end
  end
  for _, hazard in ipairs(versions.hazards(by_version)) do
    add(hazard.code, hazard.servers, ("%s (%s)"):format(hazard.text, names(hazard.servers)),
      hazard.advice)
  end
end

local function find_lagging(ensemble, add)
  local leader = ensemble.leaders[1]
  for _, server in ipairs(ensemble.servers) do
    if server.lagging then
      add("lagging", { server }, ("%s lags: after %g s it still lacks transactions that the leader "
        .. "had before (%s)."):format(name(server), server.lagging,
          ensembles.distance(leader, server)),
        "See its disk, processor and network, and its log. What it serves is that much older, and "
        .. "if it is lost for long it gets the whole tree again.")
    end
  end
end

-- What find_missing compares with what the leader counts.
local function count_asked(ensemble)
  local asked, serving = 0, 0
  for _, server in ipairs(ensemble.servers) do
    local observer = server.state == "observer"
    for _, member in ipairs(ensemble.list and ensemble.list.members or {}) do
      observer = observer or member.observer and member.id == server.id
    end
    if not observer and server.state ~= "standalone" and server.state ~= "stranger" then
      asked = asked + 1
      serving = serving + (ensembles.serves(server) and 1 or 0)
    end
  end
  ensemble.answering_or_silent, ensemble.serving = asked, serving
end

---@param ensemble doctor.ensemble
---@return doctor.finding[]
function M.find(ensemble)
  local found = {}
  local function add(code, servers, text, advice)
    found[#found + 1] = { code = code, servers = addresses(servers), text = text, advice = advice }
  end
  count_asked(ensemble)
  for _, find in ipairs { find_no_leader, find_two_leaders, find_silent, find_left_out,
    find_missing, find_alone, find_lists, find_ids, find_settings, find_versions, find_lagging } do
    find(ensemble, add)
  end
  return found
end

return M
