-- SPDX-License-Identifier: MIT
-- A zoo.cfg of an ensemble: its server lines, in the file or in a dynamicConfigFile; the number of
-- this server; what Apache asks for; the keys that only an ensemble has.

local config = require "moonkeeper.server.config"
local members = require "moonkeeper.server.members"
local zoo_servers = require "moonkeeper.server.zoo_servers"

local WORDS <const> = { "isro", "ruok", "srvr" }
local BASE <const> = "dataDir=DIR\nclientPort=2181\nclientPortAddress=127.0.0.1\n" ..
  "initLimit=7\nsyncLimit=3\n"
local THREE <const> = "server.1=a:2888:3888\nserver.2=b:2888:3888\nserver.3=c:2888:3888\n"

local directory

local function write(name, text)
  local file = assert(io.open(directory .. "/" .. name, "w"))
  file:write(text)
  file:close()
end

-- As `moonkeeper run zoo.cfg` goes, in a fresh directory with these files.
local function load_text(text, files, overrides)
  directory = os.tmpname()
  os.remove(directory)
  assert(os.execute("mkdir " .. directory))
  for name, contents in pairs(files or { myid = "1\n" }) do
    write(name, contents)
  end
  write("zoo.cfg", (text:gsub("DIR", directory)))
  local loaded, problems = config.load(directory .. "/zoo.cfg", { words = WORDS,
    overrides = overrides })
  os.execute("rm -r " .. directory)
  local function named(message)
    return (message:gsub(directory:gsub("%p", "%%%0"), "DIR"):gsub("%f[^\n\0]DIR/", ""))
  end
  if loaded then
    local notes = {}
    for _, note in ipairs(loaded.notes) do
      notes[#notes + 1] = not note:find("autopurge", 1, true) and named(note) or nil
    end
    return loaded.values, table.concat(notes, "\n")
  end
  return nil, named(config.format(problems))
end

local function right(text, files, overrides)
  local values, notes = load_text(text, files, overrides)
  assert.is_truthy(values, notes)
  return values, notes
end

local function fails(text, expected, files, overrides)
  local values, message = load_text(text, files, overrides)
  assert.is_nil(values)
  assert.are.equal(expected, message)
end

describe("a server line", function()
  it("has the forms that Apache reads", function()
    for text, expected in pairs {
      ["a:1:2"] = { quorum = "a:1", election = "a:2" },
      ["a:1:2:participant"] = { quorum = "a:1", election = "a:2", role = "participant" },
      ["a:1:2:OBSERVER"] = { quorum = "a:1", election = "a:2", role = "observer" },
      ["a:1:2;3"] = { quorum = "a:1", election = "a:2", client = "0.0.0.0:3" },
      ["a:1:2:observer;b.c:3"] = { quorum = "a:1", election = "a:2", role = "observer",
        client = "b.c:3" },
      ["[fe80::1]:1:2;[::]:3"] = { quorum = "[fe80::1]:1", election = "[fe80::1]:2",
        client = "[::]:3" },
    } do
      assert.are.same(expected, zoo_servers.parse_server(text))
    end
  end)

  it("has no other form", function()
    for _, text in ipairs { "", "a", "a:1", ":1:2", "a:1:x", "a:1:2:", "a:1:2:boss",
      "a:1:2:observer:3", "a:0:2", "a:1:65536", "a:1:2;", "a:1:2;x", "a:1:2;b:0", "::1:2:3",
      "[::1:2:3", "[]:1:2", "a b:1:2", "a:1:2;b:c:3" } do
      local member, wish = zoo_servers.parse_server(text)
      assert.is_nil(member, text)
      assert.is_truthy(wish:find("must be host:quorumport:electionport", 1, true), text)
    end
    assert.is_truthy(select(2, zoo_servers.parse_server "a:1:2|b:1:2"):find("one address", 1, true))
    assert.is_truthy(select(2, zoo_servers.parse_server "a:1:2;3;4"):find("no TLS port", 1, true))
  end)
end)

describe("a zoo.cfg with several servers", function()
  it("is an ensemble", function()
    local values, notes = right(BASE .. THREE .. "quorumListenOnAllIPs=true\n" ..
      "zookeeper.cnxTimeout=4000", { myid = "3\n" })
    assert.are.equal(3, values.id)
    assert.are.same({ 1, 2, 3 }, members.ids(values.servers))
    assert.are.equal(7, values.init_limit_ticks)
    assert.are.equal(3, values.sync_limit_ticks)
    assert.are.equal(4000, values.election_connect_timeout_ms)
    assert.is_true(values.quorum_listen_on_all)
    assert.is_truthy(notes:find("zoo.cfg:9: WARNING: quorumListenOnAllIPs", 1, true))
    assert.is_nil(notes:find("initLimit", 1, true))
  end)

  it("has lines in any order, with groups and weights", function()
    local values = right("group.2=3:4\nweight.3=5\nserver.3=c:1:2\ngroup.1= 1 : 2 \n" .. BASE ..
      "server.1=a:1:2\nserver.2=b:1:2\nserver.4=d:1:2\nserver.5=e:1:2:observer\n")
    local found = {}
    for index, member in ipairs(values.servers) do
      found[index] = { member.id, member.group, member.weight, member.observer }
    end
    assert.are.same({ { 1, 1, 1, false }, { 2, 1, 1, false }, { 3, 2, 5, false },
      { 4, 2, 1, false }, { 5, 0, 1, true } }, found)
    assert.is_true(values.servers.hierarchical)
  end)

  it("names what is wrong by file and line", function()
    fails(BASE .. "server.1=a:1:2\nserver.x=a:1:2", "zoo.cfg:7: server.x must be server.N with a "
      .. "number N")
    fails(BASE .. "server.1=a:1:2\nserver.01=b:1:2", "zoo.cfg:7: server.01: server 1 is listed "
      .. "twice")
    fails(BASE .. "server.1=a:1:2\nserver.2=b:1", 'zoo.cfg:7: server.2 is "b:1", but must be '
      .. "host:quorumport:electionport, with :participant or :observer and ;clientport or "
      .. ";clienthost:clientport behind it where they are needed")
    fails(BASE .. "server.1=a:1:2\nserver.255=b:1:2", "zoo.cfg:6: servers must be a table by id, a "
      .. "number from 1 to 254, not 255")
    fails(BASE .. "server.1=a:1:2\nserver.2=a:2:3", "zoo.cfg:7: server.2 has the quorum address "
      .. "a:2, which is also the election address of server 1")
    fails(BASE .. THREE .. "group.1=1:2", "zoo.cfg:8: server.3 is in no group: with groups or "
      .. "weights, each participant is in one")
    fails(BASE .. THREE .. "group.1=1:2:4", "zoo.cfg:9: group.1 names server 4, and there is no "
      .. "such line")
    fails(BASE .. THREE .. "group.1=1:2:3\ngroup.2=3", "zoo.cfg:10: group.2: server 3 is in "
      .. "group 1 "
      .. "already")
    fails(BASE .. THREE .. "group.1=1,2,3", 'zoo.cfg:9: group.1 is "1,2,3", but must be ids of '
      .. 'servers with : between them')
  end)

  it("needs the number of this server", function()
    fails(BASE .. THREE, "zoo.cfg: the file DIR/myid is missing: it must hold the number of this "
      .. "server, one of 1, 2 and 3", {})
    fails(BASE .. THREE, "myid: id is 4, but the servers are 1, 2 and 3", { myid = "4" })
    fails(BASE .. THREE, "myid: must hold a number from 0 to 254", { myid = "one" })
    assert.are.equal(2, right(BASE .. THREE, {}, { "id=2" }).id)
  end)

  it("needs initLimit and syncLimit, as with Apache", function()
    fails("dataDir=DIR\nclientPort=2181\n" .. THREE,
      "zoo.cfg: initLimit is missing: with several servers it must be said; 10 is usual\n" ..
      "zoo.cfg: syncLimit is missing: with several servers it must be said; 5 is usual")
    fails(BASE .. THREE .. "initLimit=0", "zoo.cfg:9: initLimit (init_limit_ticks) is 0, but must "
      .. "be an integer from 1 to 1000000 (ticks)")
  end)

  it("needs more than one participant, unless standaloneEnabled is false", function()
    local text = BASE .. "server.1=a:1:2\nserver.2=b:1:2:observer\n"
    fails(text, "zoo.cfg:6: one participant and 1 observer are no ensemble for Apache, unless "
      .. "standaloneEnabled is false")
    right(text .. "standaloneEnabled=false")
    fails(BASE .. "server.1=a:1:2\nstandaloneEnabled=false", "zoo.cfg:7: standaloneEnabled is "
      .. "false, but one server alone is always a single server in this version: name others, or "
      .. "take it out")
    fails(text .. "standaloneEnabled=no", "zoo.cfg:6: one participant and 1 observer are no "
      .. "ensemble for Apache, unless standaloneEnabled is false\n"
      .. 'zoo.cfg:8: standaloneEnabled is "no", but must be true or false')
  end)

  it("decides who is an observer", function()
    local text = BASE .. THREE .. "server.4=d:1:2:observer\n"
    assert.are.equal("", select(2, right(text .. "peerType=observer", { myid = "4" })))
    assert.are.equal("zoo.cfg:10: peerType: ignored, by its server line this server is a "
      .. "participant", select(2, right(text .. "peerType=observer")))
    fails(text .. "peerType=boss", 'zoo.cfg:10: peerType is "boss", but must be participant or '
      .. "observer")
  end)
end)

describe("the client address", function()
  local function of(lines, id)
    local values, notes = right("dataDir=DIR\ninitLimit=7\nsyncLimit=3\n" .. lines,
      { myid = id or "1" })
    return values.client_address[1].host .. " " .. values.client_address[1].port, notes
  end

  it("may be in the own line", function()
    local lines = "server.1=a:1:2;2181\nserver.2=b:1:2;b:2182\nserver.3=c:1:2;[::1]:2183"
    local address, notes = of(lines)
    assert.are.equal("0.0.0.0 2181", address)
    assert.is_truthy(notes:find("zoo.cfg:4: WARNING: clients can connect from everywhere", 1, true))
    address, notes = of(lines, "2")
    assert.are.equal("b 2182", address)
    assert.is_nil(notes:find("from everywhere", 1, true))
    assert.are.equal("::1 2183", (of(lines, "3")))
  end)

  it("must be the same in clientPort", function()
    assert.are.equal("0.0.0.0 2181", (of("clientPort=2181\nserver.1=a:1:2;2181\nserver.2=b:1:2")))
    fails(BASE .. "server.1=a:1:2;2182\nserver.2=b:1:2", "zoo.cfg:2: clientPort is 2181, but the "
      .. "line of this server says that clients connect to 0.0.0.0:2182")
    fails(BASE .. "server.1=a:1:2;10.0.0.1:2181\nserver.2=b:1:2", "zoo.cfg:3: clientPortAddress is "
      .. '"127.0.0.1", but the line of this server says that clients connect to 10.0.0.1:2181')
  end)

  it("is missing when neither says it", function()
    fails("dataDir=DIR\ninitLimit=7\nsyncLimit=3\nserver.1=a:1:2\nserver.2=b:1:2;2181",
      "zoo.cfg: clientPort is missing: where shall clients connect?")
  end)
end)

describe("a dynamicConfigFile", function()
  local TEXT <const> = BASE .. "dynamicConfigFile=DIR/zoo.cfg.dynamic"

  it("has the members", function()
    local values = right(TEXT, { myid = "2", ["zoo.cfg.dynamic"] = "# members\n" .. THREE })
    assert.are.same({ 1, 2, 3 }, members.ids(values.servers))
    assert.are.equal(0, values.servers.version)
    values = right(TEXT .. ".100000000", { myid = "2", ["zoo.cfg.dynamic.100000000"] = THREE })
    assert.are.equal(1 << 32, values.servers.version)
  end)

  it("is named in problems", function()
    fails(TEXT, 'zoo.cfg:6: dynamicConfigFile: "DIR/zoo.cfg.dynamic" cannot be read: No such file '
      .. "or directory")
    fails(TEXT, "zoo.cfg.dynamic:1: there is no key clientPort in a dynamicConfigFile: it has "
      .. "server.N, group.G and weight.N",
      { myid = "1", ["zoo.cfg.dynamic"] = "clientPort=2181\n" .. THREE })
    fails(TEXT, "zoo.cfg.dynamic:4: version must not be in this file: the end of its name is the "
      .. "version", { myid = "1", ["zoo.cfg.dynamic"] = THREE .. "version=0" })
    fails(TEXT, "zoo.cfg.dynamic:2: server.2 has the quorum address a:2, which is also the "
      .. "election "
      .. "address of server 1",
      { myid = "1", ["zoo.cfg.dynamic"] = "server.1=a:1:2\nserver.2=a:2:3" })
    fails(TEXT .. "\n" .. THREE, 'zoo.cfg:7: server.1 must be in "DIR/zoo.cfg.dynamic", since '
      .. "there is a dynamicConfigFile", { myid = "1", ["zoo.cfg.dynamic"] = THREE })
  end)

  it("is not used while a change of the members is not finished", function()
    fails(TEXT, "zoo.cfg:6: there is a file DIR/zoo.cfg.dynamic.next: a change of the members "
      .. "is not "
      .. "finished. Let Apache finish it, or delete the file if it was given up",
      { myid = "1", ["zoo.cfg.dynamic"] = THREE, ["zoo.cfg.dynamic.next"] = THREE })
  end)
end)

describe("keys of ensembles", function()
  it("that ask for protection are refused", function()
    for _, line in ipairs { "quorum.auth.enableSasl=true", "quorum.auth.serverRequireSasl=true",
      "quorum.auth.learnerRequireSasl=true", "sslQuorum=true", "portUnification=true",
      "reconfigEnabled=true", "oraclePath=/x", "electionAlg=1", "db.autocreate=false" } do
      local _, message = load_text(BASE .. THREE .. line)
      assert.is_truthy(message:find("^zoo.cfg:9: " .. line:match("^[^=]*"):gsub("%p", "%%%0")),
        line .. ": " .. message)
    end
  end)

  it("are accepted with the value that asks for nothing", function()
    for _, line in ipairs { "quorum.auth.enableSasl=false", "sslQuorum=false",
      "reconfigEnabled=false", "electionAlg=3", "db.autocreate=true" } do
      assert.are.equal("", select(2, right(BASE .. THREE .. line)), line)
    end
  end)

  it("make a member read-only without a quorum, where that is wanted", function()
    for value, wanted in pairs { ["true"] = true, ["false"] = false } do
      local values = right(BASE .. THREE .. "readonlymode.enabled=" .. value)
      assert.are.equal(wanted, values.read_only_mode)
    end
  end)

  it("are ignored with a line where that is harmless", function()
    for _, line in ipairs { "leaderServes=no", "observerMasterPort=2191",
      "localSessionsEnabled=true", "multiAddress.enabled=true", "ssl.quorum.keyStore.location=x",
      "zookeeper.leader.maxConcurrentSnapSyncs=5" } do
      local _, notes = right(BASE .. THREE .. line)
      assert.is_truthy(notes:find("zoo.cfg:9: " .. line:match("^[^=]*"), 1, true), line)
    end
  end)
end)
