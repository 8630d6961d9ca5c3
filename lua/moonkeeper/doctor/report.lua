-- SPDX-License-Identifier: MIT
-- An ensemble and what was found, as sentences for people and as a table for programs. Called by
-- cli/doctor.lua. Pure.

local check = require "moonkeeper.server.check"
local ensembles = require "moonkeeper.doctor.ensemble"
local figures = require "moonkeeper.server.figures"
local members = require "moonkeeper.server.members"

local M = {}

local function plural(count, one)
  return ("%d %s%s"):format(count, one, count == 1 and "" or "s")
end

local states <const> = {
  looking = "answers, but serves no clients", stranger = "is no ZooKeeper server",
  closed = "runs, but does not say how it is", standalone = "runs alone",
  ["read-only"] = "serves reads only, without a quorum",
}

local function zxid(server)
  return server.zxid and ", zxid " .. figures.hex(server.zxid) or ""
end

local function program(server)
  return server.version and (", %s %s"):format(server.ours and "moonkeeper" or "Apache",
    server.version) or ""
end

local function leader_text(ensemble, server)
  local counts = server.figures
  local with = ""
  if counts.synced_followers then
    with = (" with %s%s"):format(plural(math.tointeger(counts.synced_followers), "follower"),
      (counts.synced_observers or 0) > 0 and " and "
      .. plural(math.tointeger(counts.synced_observers), "observer") or "")
  end
  local epoch = ensembles.epoch(server)
  return ("leads%s%s%s"):format(#ensemble.leaders > 1 and ", as it says," or "",
    epoch and (" in epoch %d"):format(epoch) or "", with)
end

---What a server does, in words, without its name.
---@param ensemble doctor.ensemble
---@param server doctor.server
---@return string
local function describe(ensemble, server)
  local text
  local leader = ensemble.leaders[1]
  if server.state == "silent" then
    return "does not answer: " .. server.reason
  elseif server.state == "leader" then
    text = leader_text(ensemble, server)
  elseif ensembles.serves(server) then
    local distance = leader and ensembles.distance(leader, server)
    text = (server.state == "observer" and "observes" or "follows")
      .. (leader and ", " .. (distance or "up to date") or "")
  else
    text = states[server.state]
  end
  return text .. zxid(server) .. program(server)
end

local function quorum_text(ensemble)
  if ensemble.alone then
    return "A single server, no ensemble: it is all there is."
  elseif ensemble.quorum == nil then
    return "Whether there is a quorum cannot be told from here."
  end
  local of = ("of %s%s %d %s up"):format(plural(ensemble.participants, "participant"),
    ensemble.participants_known and "" or " named here",
    ensemble.quorum and ensemble.up or ensemble.answering,
    (ensemble.quorum and ensemble.up or ensemble.answering) == 1 and "is" or "are")
  if not ensemble.quorum then
    return ("There is no quorum: %s%s."):format(of,
      ensemble.needed and (", and %d must agree on a leader"):format(ensemble.needed) or "")
  elseif not ensemble.needed then
    return ("There is a quorum, a hierarchical one: %s."):format(of)
  elseif not ensemble.participants_known then
    return "There is a quorum: clients are served."
  end
  local spare = ensemble.up - ensemble.needed
  return ("There is a quorum: %s, and %d are needed; %s."):format(of, ensemble.needed,
    spare > 0 and plural(spare, "more") .. " may be lost" or "none may be lost")
end

local function closed_note(ensemble)
  local servers, words, seen, ours, apache = {}, {}, {}, false, false
  for _, server in ipairs(ensemble.servers) do
    if #server.closed > 0 then
      servers[#servers + 1] = ensembles.name(server)
      ours, apache = ours or server.ours, apache or not server.ours
      for _, word in ipairs(server.closed) do
        words[#words + 1] = not seen[word] and word or nil
        seen[word] = true
      end
    end
  end
  if #servers == 0 then
    return nil
  end
  table.sort(words)
  local how = {}
  if ours then
    how[#how + 1] = ('four_letter_words = { "srvr", "%s" } in moonkeeper\'s script'):format(
      table.concat(words, '", "'))
  end
  if apache or ours then
    how[#how + 1] = ("4lw.commands.whitelist=srvr,%s in a zoo.cfg"):format(
      table.concat(words, ","):gsub("srvr,", ""))
  end
  local what = #words == 1 and ("word %s is"):format(words[1])
    or ("words %s are"):format(members.enumerate(words))
  return ("%s: the %s closed, so less can be seen (mntr: disk, quotas, descriptors; conf: ids and "
    .. "lists). To open: %s."):format(members.enumerate(servers), what, table.concat(how, ", "))
end

local function unasked_note(ensemble)
  local list = {}
  for _, member in ipairs(ensemble.unasked) do
    list[#list + 1] = ("server %d (%s%s)"):format(member.id, member.address,
      member.observer and ", observer" or "")
  end
  if #list == 0 then
    return nil
  elseif ensemble.unnamed > 0 then
    return ("The list of servers also has %s; %s asked here did not tell which %s."):format(
      members.enumerate(list), plural(ensemble.unnamed, "server"),
      ensemble.unnamed == 1 and "it is" or "they are")
  end
  return ("Not asked: %s. Name their client addresses to see them too."):format(
    members.enumerate(list))
end

local function mixed_note(ensemble)
  local seen, list = {}, {}
  for _, server in ipairs(ensemble.servers) do
    local version = program(server):sub(3)
    if version ~= "" and not seen[version] then
      seen[version] = true
      list[#list + 1] = version
    end
  end
  table.sort(list)
  return #list > 1 and ("Several releases are together: %s."):format(members.enumerate(list))
    or nil
end

---What is no fault, but worth knowing.
---@param ensemble doctor.ensemble
---@return string[]
function M.notes(ensemble)
  local notes = {}
  for _, note in ipairs { mixed_note, unasked_note, closed_note } do
    notes[#notes + 1] = note(ensemble)
  end
  return notes
end

---@param ensemble doctor.ensemble
---@param found doctor.finding[]
---@return string
function M.text(ensemble, found)
  local lines = {}
  local function add(format, ...)
    lines[#lines + 1] = check.printable(format:format(...))
  end
  for _, server in ipairs(ensemble.servers) do
    add("%s %s", ensembles.name(server), describe(ensemble, server))
  end
  add("%s", quorum_text(ensemble))
  lines[#lines + 1] = ""
  if #found == 0 then
    add("Nothing is wrong.")
  else
    add("%s:", plural(#found, "finding"))
  end
  for index, finding in ipairs(found) do
    add("%3d. %s", index, finding.text)
    add("     %s", finding.advice)
  end
  for _, note in ipairs(M.notes(ensemble)) do
    add("Note: %s", note)
  end
  return table.concat(lines, "\n") .. "\n"
end

---@param ensemble doctor.ensemble
---@param found doctor.finding[]
---@return table for json.encode
function M.table(ensemble, found)
  local servers = { array = true }
  for index, server in ipairs(ensemble.servers) do
    local leader = ensemble.leaders[1]
    servers[index] = {
      address = server.address, id = server.id, state = server.state, version = server.version,
      moonkeeper = server.version and server.ours, text = describe(ensemble, server),
      zxid = server.zxid and figures.hex(server.zxid), epoch = ensembles.epoch(server),
      behind = leader and ensembles.serves(server) and ensembles.distance(leader, server),
      outstanding_requests = server.outstanding, reason = server.reason,
      closed_words = { array = true, table.unpack(server.closed) },
    }
  end
  local findings = { array = true }
  for index, finding in ipairs(found) do
    findings[index] = { code = finding.code, text = finding.text, advice = finding.advice,
      servers = { array = true, table.unpack(finding.servers) } }
  end
  return {
    healthy = #found == 0, quorum = ensemble.quorum, quorum_text = quorum_text(ensemble),
    participants = not ensemble.alone and ensemble.participants_known and ensemble.participants
      or nil,
    participants_up = not ensemble.alone and ensemble.up or nil, servers = servers,
    findings = findings, notes = { array = true, table.unpack(M.notes(ensemble)) },
  }
end

return M
