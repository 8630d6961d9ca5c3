-- SPDX-License-Identifier: MIT
-- The option `servers` of a script: every member and all together; what goes with an ensemble; the
-- example that is shipped.

local config = require "moonkeeper.server.config"
local members = require "moonkeeper.server.members"

local WORDS <const> = { "ruok", "srvr" }
local A <const> = 'quorum = "a:2881", election = "a:3881"'
local B <const> = 'quorum = "b:2881", election = "b:3881"'
local C <const> = 'quorum = "c:2881", election = "c:3881"'
local D <const> = 'quorum = "d:2881", election = "d:3881"'

local function load_text(text, overrides)
  local path = os.tmpname()
  os.remove(path)
  path = path .. ".lua"
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
  local loaded, problems = config.load(path, { words = WORDS, overrides = overrides })
  os.remove(path)
  local function named(message)
    return (message:gsub(path:gsub("%p", "%%%0"), "server.lua"))
  end
  if loaded then
    return loaded.values, named(table.concat(loaded.notes, "\n"))
  end
  return nil, named(config.format(problems))
end

-- Members by id from line 5 on, and more options in line 3.
local function script(lines, more)
  local text = { 'return {\n  data_dir = "d",\n  ', more or "id = 1,", "\n  servers = {\n" }
  for _, line in ipairs(lines) do
    text[#text + 1] = "    " .. line .. ",\n"
  end
  text[#text + 1] = "  },\n}\n"
  return table.concat(text)
end

local function three(more)
  return script({ ("[1] = { %s }"):format(A), ("[2] = { %s }"):format(B),
    ("[3] = { %s }"):format(C) }, more)
end

local function fails(text, expected, overrides)
  local values, message = load_text(text, overrides)
  assert.is_nil(values)
  assert.are.equal(expected, message)
end

-- What is wrong with member 1, between two right ones.
local function member_fails(fields, expected)
  fails(script { ("[3] = { %s }"):format(C), ("[1] = { %s }"):format(fields),
    ("[2] = { %s }"):format(B) }, "server.lua:6: servers[1]" .. expected)
end

describe("the members of an ensemble", function()
  it("are read with all that they may have", function()
    local values, notes = load_text(script({
      '[7] = { quorum = "[::1]:2881", election = "[::1]:3881", client = "[::1]:2181", group = 2 }',
      ("[2] = { %s, role = 'participant', group = 1, weight = 0 }"):format(B),
      ("[200] = { %s, role = 'observer' }"):format(C),
      ("[3] = { %s, group = 1, weight = 2 }"):format(D),
    }, "id = 3,"))
    assert.is_truthy(notes:find("::1, which is another machine", 1, true))
    local expected = {
      { id = 2, host = "b", quorum_port = 2881, election_port = 3881, observer = false,
        client = "", group = 1, weight = 0 },
      { id = 3, host = "d", quorum_port = 2881, election_port = 3881, observer = false,
        client = "", group = 1, weight = 2 },
      { id = 7, host = "::1", quorum_port = 2881, election_port = 3881, observer = false,
        client = "[::1]:2181", group = 2, weight = 1 },
      { id = 200, host = "c", quorum_port = 2881, election_port = 3881, observer = true,
        client = "", group = 0, weight = 1 },
    }
    expected.hierarchical = true
    assert.are.same(expected, values.servers)
    assert.are.equal(3, values.id)
  end)

  it("need nothing else", function()
    local values, notes = load_text(three())
    assert.are.equal("", notes)
    assert.are.equal(3, #values.servers)
    assert.is_false(values.servers.hierarchical)
    assert.are.equal(10, values.init_limit_ticks)
    assert.are.equal(5, values.sync_limit_ticks)
    assert.are.equal(5000, values.election_connect_timeout_ms)
    assert.is_false(values.quorum_listen_on_all)
  end)

  it("may be given by --set", function()
    local values = load_text('return { data_dir = "d", id = 2 }', {
      ("servers={[1]={%s},[2]={%s},[3]={%s}}"):format(A, B, C) })
    assert.are.equal(3, #values.servers)
  end)

  it("are a table of tables by id", function()
    fails('return { data_dir = "d", servers = 5 }',
      "server.lua:1: servers is 5, but must be a table of servers by id")
    fails(script { "a = {}" },
      'server.lua:4: servers must be a table by id, a number from 1 to 254, not "a"')
    for _, id in ipairs { "0", "255", "1.5" } do
      fails(script { ("[%s] = { %s }"):format(id, A) },
        ("server.lua:4: servers must be a table by id, a number from 1 to 254, not %s"):format(id))
    end
    fails(script { "[1] = 5" },
      "server.lua:5: servers[1] is 5, but must be a table with quorum and election")
  end)

  it("have right fields", function()
    member_fails(A .. ', rle = "observer"', " has no field rle, did you mean role?")
    member_fails(A .. ', role = "observr"', '.role is "observr", but must be one of participant, '
      .. "observer, did you mean observer?")
    member_fails('election = "a:1"', ' has no quorum address: quorum = "host:port"')
    member_fails('quorum = "a:1"', ' has no election address: election = "host:port"')
    member_fails('quorum = "a", election = "a:1"',
      '.quorum is "a", but must be "host:port" or "[v6 address]:port"')
    member_fails('quorum = "::1:2", election = "[::1]:3"',
      '.quorum is "::1:2", but must be "host:port" or "[v6 address]:port"')
    member_fails('quorum = "a:0", election = "a:1"',
      '.quorum is "a:0", but must have a port from 1 to 65535')
    member_fails('quorum = { "a:1" }, election = "a:1"',
      '.quorum is a table, but must be "host:port" or "[v6 address]:port"')
    member_fails('quorum = "a:1", election = "b:2"',
      " quorum is on a and election on b, but a server has one host for both")
    member_fails(A .. ', client = "2181"',
      '.client is "2181", but must be "host:port" or "[v6 address]:port"')
    member_fails(A .. ", group = 0",
      (".group is 0, but must be an integer from 1 to %d"):format(math.maxinteger // 2))
    member_fails(A .. ", weight = -1", ".weight is -1, but must be an integer from 0 to 2147483647")
  end)

  it("have addresses of their own", function()
    member_fails('quorum = "a:1", election = "a:1"',
      " has the election address a:1, which is also the quorum address of server 1")
    fails(script { ("[1] = { %s }"):format(A), ("[2] = { %s }"):format(B),
      '[3] = { quorum = "A:3881", election = "A:3" }' },
      "server.lua:7: servers[3] has the quorum address A:3881, which is also the election "
        .. "address of server 1")
    fails(script { ('[1] = { %s, client = "b:2881" }'):format(A), ("[2] = { %s }"):format(B) },
      "server.lua:6: servers[2] has the quorum address b:2881, which is also the client address "
        .. "of server 1")
  end)

  it("are 64 at most", function()
    local lines = {}
    for id = 1, 65 do
      lines[id] = ('[%d] = { quorum = "a:%d", election = "a:%d" }'):format(id, id, 1000 + id)
    end
    fails(script(lines), "server.lua:4: servers has 65 servers, but must have 64 at most")
    lines[65] = nil
    assert.are.equal(64, #load_text(script(lines)).servers)
  end)

  it("have a participant", function()
    fails(script { ('[1] = { %s, role = "observer" }'):format(A),
      ('[2] = { %s, role = "observer" }'):format(B) },
      "server.lua:4: servers has observers only: at least one participant is needed")
  end)

  it("are each in one group when there are groups", function()
    fails(script { ("[1] = { %s, group = 1 }"):format(A), ("[2] = { %s }"):format(B),
      ('[3] = { %s, role = "observer" }'):format(C) },
      "server.lua:6: servers[2] is in no group: with groups or weights, each participant is in one")
    fails(script { ("[1] = { %s, weight = 2 }"):format(A) },
      "server.lua:5: servers[1] is in no group: with groups or weights, each participant is in one")
  end)

  it("can reach a quorum of groups", function()
    fails(script { ("[1] = { %s, group = 1, weight = 0 }"):format(A),
      ("[2] = { %s, group = 2, weight = 0 }"):format(B) },
      "server.lua:4: servers can never reach a quorum: too few groups have participants with a "
      .. "weight")
    fails(script { ("[1] = { %s, group = 1 }"):format(A),
      ('[2] = { %s, group = 1, role = "observer", weight = 1 }'):format(B) },
      "server.lua:4: servers can never reach a quorum: too few groups have participants with a "
      .. "weight")
  end)
end)

describe("a member of an ensemble", function()
  it("says its id, which is in the list", function()
    fails(three(" "), "server.lua: id is missing: which of the servers 1, 2 and 3 is this one?")
    fails(three("id = 4,"), "server.lua:3: id is 4, but the servers are 1, 2 and 3")
    fails(three(), "--set id=9: id is 9, but the servers are 1, 2 and 3", { "id=9" })
  end)

  it("keeps what it acknowledged", function()
    fails(three("id = 1, memory_only = true,"), "server.lua:3: memory_only is true, but a member "
      .. "of an ensemble must keep what it acknowledged: the others count on it")
  end)

  it("cannot have its members changed yet", function()
    fails(three("id = 1, reconfig_enabled = true,"), "server.lua:3: reconfig_enabled is true, but "
      .. "this version cannot change the members of an ensemble while it runs: say false on all "
      .. "of them")
  end)

  it("listens where it says that clients connect", function()
    local lines = { ('[1] = { %s, client = "10.0.0.1:2185" }'):format(A),
      ('[2] = { %s, client = "10.0.0.2:2185" }'):format(B), ("[3] = { %s }"):format(C) }
    assert.are.same({ { host = "10.0.0.1", port = 2185 } }, load_text(script(lines)).client_address)
    assert.are.same({ { host = "127.0.0.1", port = 2181 } },
      load_text(script(lines, "id = 3,")).client_address)
    assert.are.same({ { host = "0.0.0.0", port = 2185 } },
      load_text(script(lines, 'id = 1, client_address = "0.0.0.0:2185",')).client_address)
    fails(script(lines, 'id = 1, client_address = "0.0.0.0:2181",'), "server.lua:5: servers[1] "
      .. "has the client address 10.0.0.1:2185, whose port is not in client_address")
  end)
end)

describe("a warning", function()
  local function warning(lines, expected)
    local values, notes = load_text(script(lines))
    assert.is_truthy(values, notes)
    assert.are.equal(expected and "server.lua:4: WARNING: " .. expected or "", notes)
  end
  local a, b, c = ("[1] = { %s }"):format(A), ("[2] = { %s }"):format(B), ("[3] = { %s }"):format(C)
  local d = ("[4] = { %s }"):format(D)

  it("is given for a number of participants that helps little", function()
    warning({ a, b, c })
    warning({ a, b }, "2 participants need each other: when either is away, nobody is served; "
      .. "3 let one be away")
    warning({ a, b, c, d }, "4 participants let 1 be away, as 3 do: the last one adds work, but "
      .. "no safety")
    warning({ a, b, c, ('[4] = { %s, role = "observer" }'):format(D) })
    warning({ a, ('[4] = { %s, role = "observer" }'):format(D) },
      "1 participant: when it is away, nobody is served; 3 let one be away")
  end)

  it("is given for groups that cannot lose one", function()
    warning({ ("[1] = { %s, group = 1 }"):format(A), ("[2] = { %s, group = 2 }"):format(B) },
      "2 groups need each other: when one is lost, nobody is served; take 3")
    warning({ ("[1] = { %s, group = 1 }"):format(A), ("[2] = { %s, group = 2 }"):format(B),
      ("[3] = { %s, group = 3 }"):format(C) })
  end)

  it("is given for an observer in a group", function()
    warning({ ("[1] = { %s, group = 1 }"):format(A), ("[2] = { %s, group = 1 }"):format(B),
      ('[3] = { %s, role = "observer", group = 1 }'):format(C) },
      "server 3 is an observer in group 1: its weight counts there as if it were always away")
  end)

  it("is given for a loopback address among others", function()
    warning({ a, b, '[3] = { quorum = "127.0.0.1:2881", election = "127.0.0.1:3881" }' },
      "server 3 is 127.0.0.1, which is another machine for each of the others, and server 1 is a: "
      .. "they will not find each other")
  end)

  it("is given for ports that are open to everyone", function()
    local values, notes = load_text(three("id = 1, quorum_listen_on_all = true,"))
    assert.is_true(values.quorum_listen_on_all)
    assert.is_truthy(notes:find("server.lua:3: WARNING: quorum_listen_on_all is true", 1, true))
  end)
end)

describe("lists", function()
  it("are enumerated", function()
    assert.are.equal("1", members.enumerate { 1 })
    assert.are.equal("1 and 2", members.enumerate { 1, 2 })
    assert.are.equal("1, 2 and 3", members.enumerate { 1, 2, 3 })
  end)
end)

describe("server-scripts/ensemble.lua", function()
  local PATH <const> = "server-scripts/ensemble.lua"

  it("is right for each of its three servers", function()
    local file = assert(io.open(PATH))
    local text = file:read("a")
    file:close()
    for id = 1, 3 do
      -- a spec cannot set the environment: the number is put into the text
      local own, changed = text:gsub('tonumber%(os%.getenv%("MOONKEEPER_ID"%) or 1%)', tostring(id))
      assert.are.equal(1, changed)
      local values, notes = load_text(own)
      assert.is_truthy(values, notes)
      assert.are.equal("", notes)
      assert.are.equal(id, values.id)
      assert.are.same({ 1, 2, 3 }, members.ids(values.servers))
      assert.are.same({ { host = "127.0.0.1", port = 2180 + id } }, values.client_address)
    end
  end)
end)
