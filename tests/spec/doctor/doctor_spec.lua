-- SPDX-License-Identifier: MIT
-- `moonkeeper doctor` on answers of real servers, as they came and changed in one point each: what
-- it understands, finds and says. Without sockets: ask_spec.lua has those.

local answers = require "moonkeeper.doctor.answers"
local captured = dofile "tests/spec/doctor/captured.lua"
local ensembles = require "moonkeeper.doctor.ensemble"
local figures = require "moonkeeper.doctor.figures"
local findings = require "moonkeeper.doctor.findings"
local json = require "moonkeeper.doctor.json"
local report = require "moonkeeper.doctor.report"

-- A server with the answers of a captured role; `changes` are pairs of a plain text that must be
-- in one of them and what stands there instead.
local function server(kind, role, changes)
  local said = {}
  local unused = changes and { table.unpack(changes) } or {}
  for word, text in pairs(captured[kind][role]) do
    for _, change in ipairs(changes or {}) do
      local before, after = text:find(change[1], 1, true)
      if before then
        text = text:sub(1, before - 1) .. change[2] .. text:sub(after + 1)
        for index, other in ipairs(unused) do
          if other == change then
            table.remove(unused, index)
          end
        end
      end
    end
    said[word] = { text = text }
  end
  assert(#unused == 0, unused[1] and unused[1][1] .. " is nowhere")
  return said
end

local function silent(reason, stage)
  local said = {}
  for _, word in ipairs(answers.WORDS) do
    said[word] = { error = reason or "connection refused", stage = stage or "connect" }
  end
  return said
end

-- Of a captured follower (server 1) the one that would be server 2.
local SECOND <const> = { "serverId=1\n", "serverId=2\n" }

local function examine(...)
  local servers = {}
  for index, said in ipairs { ... } do
    servers[index] = answers.read(("10.0.0.%d:2181"):format(index), said)
  end
  local ensemble = ensembles.see(servers)
  local found = findings.find(ensemble)
  figures.find(ensemble, found)
  local codes = {}
  for index, finding in ipairs(found) do
    assert(#finding.text > 0 and #finding.advice > 0 and #finding.servers > 0)
    codes[index] = finding.code
  end
  table.sort(codes)
  return codes, report.text(ensemble, found), ensemble, found
end

local function contains(text, part)
  assert(text:find(part, 1, true), ("%q is not in\n%s"):format(part, text))
end

describe("doctor", function()
  for _, kind in ipairs { "moonkeeper", "apache" } do
    it("reads what a member of " .. kind .. " says", function()
      local found = answers.read("10.0.0.3:2181", server(kind, "leader"))
      assert.are.equal("leader", found.state)
      assert.are.equal(3, found.id)
      assert.are.equal(kind == "moonkeeper", found.ours)
      assert.are.equal(kind == "moonkeeper" and "0.1.0" or "3.8.0", found.version)
      assert.are.equal(kind == "moonkeeper" and 0 or 0x100000000, found.zxid)
      assert.are.equal(2, found.figures.synced_followers)
      assert.are.equal(4, #found.list.members)
      assert.is_true(found.list.members[4].observer)
      assert.are.equal("looking", answers.read("x:1", server(kind, "alone")).state)
      assert.are.same({ "mntr", "conf", "isro", "ruok" },
        answers.read("x:1", server(kind, "closed")).closed)
    end)

    it("sees a quorum of " .. kind, function()
      local _, text, ensemble = examine(server(kind, "follower"),
        server(kind, "follower", { SECOND }), server(kind, "leader"), server(kind, "observer"))
      contains(text, "server 3 (10.0.0.3:2181) leads in epoch 1 with 2 followers and 1 "
        .. "observer, zxid 0x")
      contains(text, "server 1 (10.0.0.1:2181) follows, up to date")
      contains(text, "server 4 (10.0.0.4:2181) observes, up to date")
      contains(text, "There is a quorum: of 3 participants 3 are up, and 2 are needed; 1 more may "
        .. "be lost.")
      assert.are.same({}, ensemble.unasked)
    end)
  end

  local leader, follower = server("moonkeeper", "leader"), server("moonkeeper", "follower")
  local second = server("moonkeeper", "follower", { SECOND })
  local leader_of_one = { "synced_followers\t2", "synced_followers\t1" }

  it("finds nothing in a healthy ensemble", function()
    local codes, text = examine(follower, second, leader)
    assert.are.same({}, codes)
    contains(text, "Nothing is wrong.")
    contains(text, "Not asked: server 4 (127.0.0.1:56245:35473, observer).")
  end)

  it("takes a single server for what it is", function()
    local codes, text = examine(server("moonkeeper", "closed"))
    assert.are.same({}, codes)
    contains(text, "A single server, no ensemble")
    contains(text, 'four_letter_words = { "srvr", "conf", "isro", "mntr", "ruok" }')
    codes, text = examine(server("apache", "closed"))
    assert.are.same({}, codes)
    contains(text, "4lw.commands.whitelist=srvr,conf,isro,mntr,ruok in a zoo.cfg")
  end)

  it("names who does not answer, by its id when only one is left", function()
    local codes, text = examine(follower, silent(), server("moonkeeper", "leader",
      { leader_of_one }), server("moonkeeper", "observer"))
    assert.are.same({ "no_answer" }, codes)
    contains(text, "server 2 (10.0.0.2:2181) does not answer: connection refused")
    contains(text, "of 3 participants 2 are up, and 2 are needed; none may be lost.")
    codes, text = examine(follower, silent("the name is not known", "name"), leader)
    assert.are.same({ "no_answer" }, codes)
    contains(text, "1 server asked here did not tell which it is")
    contains(text, "Correct the name")
  end)

  it("finds a member that nobody asked and the leader lacks", function()
    local codes, text = examine(follower, server("moonkeeper", "leader", { leader_of_one }))
    assert.are.same({ "member_missing" }, codes)
    contains(text, "leads with 1 follower of 2: 1 participant is missing, of server 2 (127.")
    assert.are.same({}, (examine(follower, leader)))
  end)

  it("finds that nobody leads, and how many are lacking", function()
    local looking = server("moonkeeper", "alone")
    local codes, text = examine(looking, silent(), silent())
    assert.are.same({ "no_answer", "no_answer", "no_leader" }, codes)
    contains(text, "There is no quorum: of 3 participants named here 1 is up, and 2 must agree")
    contains(text, "Start 1 server more.")
    codes, text = examine(looking, looking, silent())
    assert.are.same({ "no_answer", "no_leader" }, codes)
    contains(text, "Enough of them run.")
    codes, text = examine(looking)
    assert.are.same({ "not_serving" }, codes)
    contains(text, "Whether there is a quorum cannot be told from here.")
  end)

  it("says how many are lacking for those that serve reads only", function()
    local changes = { { "Mode: leader", "Mode: read-only" } }
    local alone = server("moonkeeper", "leader", changes)
    local codes, text = examine(silent(), silent(), alone)
    assert.are.same({ "no_answer", "no_answer", "no_leader" }, codes)
    contains(text, "of 3 participants 1 answers, and a quorum is 2.")
    contains(text, "Start 1 server more, and name all members here.") -- the observer
    changes[2] = { "version=0", "group.1=1:2:3\nweight.1=1\nversion=0" }
    codes, text = examine(silent(), silent(), server("moonkeeper", "leader", changes))
    assert.are.equal(3, #codes)
    contains(text, "of 3 participants 1 answers.")
    contains(text, "more than half of the weight")
  end)

  it("takes of two leaders the one of the later epoch", function()
    local old = server("moonkeeper", "leader", { { "serverId=3", "serverId=1" },
      { "Zxid: 0x0", "Zxid: 0x100000005" } })
    local new = server("moonkeeper", "leader", { { "current_epoch\t1", "current_epoch\t2" },
      { "Zxid: 0x0", "Zxid: 0x100000004" } })
    local _, _, ensemble = examine(old, new)
    assert.are.equal("10.0.0.2:2181", ensemble.leaders[1].address)
    assert.are.same({ 2, 1 }, { ensembles.epoch(ensemble.leaders[1]),
      ensembles.epoch(ensemble.leaders[2]) })
  end)

  it("finds one that is not with the others", function()
    local codes, text = examine(follower, server("moonkeeper", "alone"),
      server("moonkeeper", "leader", { leader_of_one }))
    assert.are.same({ "not_serving" }, codes)
    contains(text, "10.0.0.2:2181 answers, but serves no clients: it is with no quorum.")
    local read_only = { "Mode: follower", "Mode: read-only" }
    codes, text = examine(server("apache", "follower", { read_only,
      { " UTC\nLatency", " UTC\nREAD-ONLY mode; serving only read-only clients\nLatency" } }),
      follower, leader)
    assert.are.same({ "duplicate_id", "hazard_4643", "lists_differ", "not_serving" }, codes)
    contains(text, "serves reads only")
  end)

  it("finds that followers have a leader which does not answer", function()
    local codes, text = examine(follower, second, silent("no answer within 5 s", "answer"))
    assert.are.same({ "leader_unseen", "no_answer" }, codes)
    contains(text, "There is a quorum")
    contains(text, "the process may be stopped")
    assert.are.same({}, (examine(follower, second)))
  end)

  it("finds two leaders", function()
    local codes, text = examine(server("moonkeeper", "leader", { { "serverId=3", "serverId=1" } }),
      leader)
    assert.are.same({ "two_leaders" }, codes)
    contains(text, "leads, as it says, in epoch 1 with 2 followers")
    contains(text, "Ask again in a moment")
    codes, text = examine(server("moonkeeper", "leader", { { "serverId=3", "serverId=1" },
      { "server.2=127.0.0.1:", "server.2=127.0.0.9:" } }), leader)
    assert.are.same({ "lists_differ", "two_leaders" }, codes)
    contains(text, "Stop one of them now")
  end)

  it("finds one that runs alone", function()
    local codes = examine(follower, server("moonkeeper", "closed"), leader)
    assert.are.same({ "standalone" }, codes)
  end)

  it("finds lists, ids and settings that disagree", function()
    local codes, text = examine(server("moonkeeper", "follower",
      { { "server.4=", "server.5=" } }), second, leader)
    assert.are.same({ "lists_differ" }, codes)
    contains(text, "Only there: server.5=127.0.0.1:56245:35473:observer. Missing there: server.4=")
    codes = examine(server("moonkeeper", "follower", { { "version=0", "version=100000003" } }),
      second, leader)
    assert.are.same({ "list_version_differs" }, codes)
    codes, text = examine(follower, follower, leader)
    assert.are.same({ "duplicate_id" }, codes)
    contains(text, "10.0.0.1:2181 and 10.0.0.2:2181 all say that they are server 1.")
    codes, text = examine(server("moonkeeper", "follower", { { "syncLimit=8", "syncLimit=5" } }),
      second, leader)
    assert.are.same({ "settings_differ" }, codes)
    contains(text, "has syncLimit=5, and server 2 (10.0.0.2:2181) has 8.")
  end)

  it("finds one that is too many", function()
    local codes, text = examine(follower, second, leader, server("moonkeeper", "observer"),
      server("moonkeeper", "alone"))
    assert.are.same({ "not_a_member" }, codes)
    contains(text, "10.0.0.5:2181 answers, but serves no clients, and all members of the list are")
  end)

  it("does not mind what a member is for clients", function()
    local codes = examine(server("moonkeeper", "follower",
      { { "45459:56467:participant", "45459:56467:participant;0.0.0.0:2181" } }), second, leader)
    assert.are.same({}, codes)
  end)

  it("knows releases that hurt an ensemble", function()
    local function of(...)
      local made = { server("apache", "follower"), server("apache", "follower", { SECOND }),
        server("apache", "leader") }
      for index, version in ipairs { ... } do
        local srvr = made[index].srvr
        srvr.text = srvr.text:gsub("3%.8%.0%-", version .. "-")
      end
      return examine(table.unpack(made))
    end
    assert.are.same({ "hazard_4643" }, (of("3.8.0", "3.8.0", "3.8.0")))
    assert.are.same({ "hazard_4643" }, (of("3.8.4", "3.8.5", "3.8.6")))
    assert.are.same({}, (of("3.8.5", "3.8.6", "3.9.2")))
    assert.are.same({}, (of("3.9.4", "3.9.4", "3.9.5")))
    assert.are.same({ "hazard_4925" }, (of("3.9.4", "3.9.3", "3.9.4")))
    assert.are.same({ "hazard_4643", "hazard_create2" }, (of("3.8.1", "3.8.6", "3.8.6")))
    assert.are.same({ "hazard_4643" }, (of("3.9.1", "3.9.4", "3.9.4")))
    assert.are.same({ "old_version" }, (of("3.7.2", "3.8.6", "3.8.6")))
    local _, text = of("3.9.4", "3.8.6", "3.8.6")
    contains(text, "Several releases are together: Apache 3.8.6 and Apache 3.9.4.")
  end)

  it("tells how far behind a follower is", function()
    local function at(zxid)
      return { "Zxid: 0x0\n", ("Zxid: %s\n"):format(zxid) }
    end
    local ahead = server("moonkeeper", "leader", { at "0x20000002a" })
    local late = server("moonkeeper", "follower", { at "0x200000028" })
    local older = server("moonkeeper", "follower", { SECOND, at "0x100000033" })
    local codes, text, ensemble = examine(late, older, ahead)
    assert.are.same({}, codes) -- a moment is no lag
    contains(text, "follows, 2 transactions behind, zxid 0x200000028")
    contains(text, "follows, still in epoch 1, the leader in 2")
    assert.are.same({ ensemble.servers[1], ensemble.servers[2] }, ensembles.behind(ensemble))
    ensemble.servers[1].lagging = 1
    local found = findings.find(ensemble)
    assert.are.equal("lagging", found[1].code)
    assert.are.equal(1, #found)
    -- the leader's first zxid of an epoch is no transaction
    local _
    _, text, ensemble = examine(follower, second, server("moonkeeper", "leader",
      { at "0x200000000" }))
    contains(text, "server 1 (10.0.0.1:2181) follows, up to date")
    assert.are.same({}, ensembles.behind(ensemble))
  end)

  it("reads the figures of each server", function()
    local function one(...)
      return examine(server("apache", "leader", { { "3.8.0-", "3.8.6-" }, ... }))
    end
    assert.are.same({}, (one()))
    local rows = {
      slow_disk = { "max_fsynctime\t0", "max_fsynctime\t1000" },
      many_outstanding = { "Outstanding: 0", "Outstanding: 1000" },
      few_descriptors = { "open_file_descriptor_count\t45", "open_file_descriptor_count\t16000" },
      digest_mismatch = { "digest_mismatches_count\t0", "digest_mismatches_count\t1" },
      internal_error = { "unrecoverable_error_count\t0", "unrecoverable_error_count\t1" },
      many_elections = { "looking_count\t1", "looking_count\t5" },
      follows_without_vote = { "synced_non_voting_followers\t0", "synced_non_voting_followers\t1" },
      quota_exceeded = { "zk_learners\t3", "zk_a_quota_count_usage_per_namespace\t3\n"
        .. "zk_a_quota_count_limit_per_namespace\t2" },
    }
    for code, change in pairs(rows) do
      assert.are.same({ code }, (one(change)))
    end
    assert.are.same({ "slow_disk" }, (one { "avg_fsynctime\t0.0", "avg_fsynctime\t50.0" }))
    local below = {
      { "max_fsynctime\t0", "max_fsynctime\t999" }, { "avg_fsynctime\t0.0", "avg_fsynctime\t49.9" },
      { "Outstanding: 0", "Outstanding: 999" },
      { "open_file_descriptor_count\t45", "open_file_descriptor_count\t15999" },
      { "looking_count\t1", "looking_count\t4" },
      { "zk_learners\t3", "zk_a_quota_count_usage_per_namespace\t3\n"
        .. "zk_a_quota_count_limit_per_namespace\t-1" },
    }
    assert.are.same({}, (one(table.unpack(below))))
  end)

  it("is not misled by other programs", function()
    local said = silent()
    for _, word in ipairs(answers.WORDS) do
      said[word] = { text = "HTTP/1.1 400 Bad\27[2J Request\n\nzk_uptime\tx\nserver.1=\n" }
    end
    local codes = examine(said, follower, leader)
    assert.are.same({ "no_zookeeper" }, codes)
    said.srvr = { text = "Zookeeper version: \27[2J\nMode: odd\n" }
    assert.are.same({ "no_zookeeper" }, (examine(said)))
    local _, text = examine(said, follower, leader)
    assert.is_nil(text:find "\27")
  end)

  it("tells programs the same", function()
    local _, _, ensemble, found = examine(follower, silent(), server("moonkeeper", "leader",
      { leader_of_one }), server("moonkeeper", "observer"))
    local told = require "cjson".decode(json.encode(report.table(ensemble, found)))
    assert.is_false(told.healthy)
    assert.is_true(told.quorum)
    assert.are.equal(3, told.participants)
    assert.are.equal(2, told.participants_up)
    assert.are.equal("no_answer", told.findings[1].code)
    assert.are.same({ "10.0.0.2:2181" }, told.findings[1].servers)
    assert.are.equal("silent", told.servers[2].state)
    assert.are.equal(2, told.servers[2].id)
    assert.are.equal("0x0", told.servers[1].zxid)
    assert.are.equal('{\n  "a": "\\u001b\\"\\\\\\n?",\n  "b": []\n}',
      json.encode { b = { array = true }, a = '\27"\\\n\xff' })
  end)
end)
