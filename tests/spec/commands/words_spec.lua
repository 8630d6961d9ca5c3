-- SPDX-License-Identifier: MIT
-- The answer of every four-letter word over made-up statistics, byte for byte as monitoring tools
-- read them; the registry with its allow list.

local commands = require "moonkeeper.server.commands"
local figures = require "moonkeeper.server.figures"
local schema = require "moonkeeper.schema.metrics"

local DIRECTORY <const> = "server-scripts/commands/"

local function load_word(word)
  return dofile(DIRECTORY .. word .. ".lua")
end

local function each(list, pair)
  return function()
    local index = 0
    return function()
      index = index + 1
      if pair and list[index] then
        return list[index][1], list[index][2]
      end
      return list[index]
    end
  end
end

local function summary(count, sum, min, max, quantiles)
  local made = { count = count, sum = sum, min = min, max = max }
  for name, value in pairs(quantiles or {}) do
    made[name] = value
  end
  return made
end

-- What stats:metrics() gives: every row that is kept, empty unless said otherwise.
local function metrics(changes)
  local made = {}
  for _, row in ipairs(schema.list) do
    if row.replica or row.host then
      made[row.name] = row.kind == "counter" and 0
        or summary(0, 0, 0, 0, { p50 = 0, p95 = 0, p99 = 0, p999 = 0 })
    end
  end
  for name, value in pairs(changes) do
    made[name] = value
  end
  return made
end

-- Fields that a single server, or a server in another role, does not have.
local OPTIONAL <const> = { epoch = true, leader_id = true }
for _, row in ipairs(schema.list) do
  if row.optional then
    OPTIONAL[row.field] = true
  end
end

-- A member of an ensemble of three and an observer, in this role.
local function member_config(own)
  local servers = { hierarchical = false, version = 0 }
  for id = 1, 4 do
    servers[id] = { id = id, host = id == 2 and "::1" or "10.0.0." .. id, quorum_port = 2880 + id,
      election_port = 3880 + id, observer = id == 4, group = 0, weight = 1,
      client = id == 3 and "10.0.0.3:2183" or "" }
  end
  return { data_dir = "/d", tick_time_ms = 2000, connections_per_address_max = 60,
    session_timeout_min_ms = 4000, session_timeout_max_ms = 40000, listen_backlog = 1024, id = own,
    handshake_timeout_ms = 10000, init_limit_ticks = 10, sync_limit_ticks = 5, servers = servers }
end

local function stats(changes)
  local made = {
    version = "3.9.4-moonkeeper-0.1.0, built on 2026-05-24 12:00 UTC", role = "standalone",
    read_only = false, serving = true, latency_min_ms = 0, latency_avg_ms = 14 / 3,
    latency_max_ms = 11,
    packets_received = 9, packets_sent = 8, bytes_received = 274, reply_bytes = 176,
    connection_count = 3, outstanding_requests = 2, last_zxid = 0x100000003, znode_count = 7,
    watch_count = 3, watch_memory_bytes = 206, buffer_bytes = 9000, ephemeral_count = 1,
    session_count = 1, data_bytes = 51,
    data_dir_bytes = 4096, log_dir_bytes = 8192, file_descriptors_open = 20,
    file_descriptors_max = 1024, uptime_ms = 4810, auth_failed_count = 0,
    connection_rejected_count = 4, connection_drop_count = 5, sessions_expired_count = 6,
    local_session_count = 0, response_last_bytes = 16, response_max_bytes = 84,
    response_min_bytes = 16, trace_mask = 306, argument = 257, client_port = 2181,
    now_ms = 100000, wall_ms = 1779624000000, config = {
      data_dir = "/d", data_log_dir = "/l", tick_time_ms = 2000, connections_per_address_max = 60,
      session_timeout_min_ms = 4000, session_timeout_max_ms = 40000, listen_backlog = 1024, id = 3,
      handshake_timeout_ms = 10000,
    },
    connections = each {
      {
        address = "10.0.0.7", port = 47862, asking = false, has_session = true,
        session_id = 0x1000012c4160000, timeout_ms = 10000, queued = 1, received = 6, sent = 5,
        last_op = 3, last_xid = 5, last_zxid = 3, established_wall_ms = 1795518017243,
        last_response_now_ms = 1234110, last_latency_ms = 1, latency_min_ms = 0,
        latency_avg_ms = 4.9, latency_max_ms = 11,
      },
      {
        address = "::1", port = 2, asking = true, has_session = false, session_id = 0,
        queued = 0, received = 1, sent = 0,
      },
    },
    sessions = each { { id = 0x1000012c4160000, timeout_ms = 10000, expires_now_ms = 103999 } },
    ephemerals = each({ { 0x1000012c4160000, "/a/e" }, { 0x1000012c4160000, "/b" } }, true),
    ephemeral_owner_count = 1,
    watches_by_session = each({ { 1, "/a" }, { 1, "/b" }, { -2, "/a" } }, true),
    watches = each({ { "/a", 1 }, { "/a", -2 }, { "/b", 1 } }, true),
    quotas = each {},
    digests = each({ { 128, 1371985504 }, { 256, -1 } }, true),
    watch_summary = function()
      return 1, 2, 3
    end,
    metrics = function()
      return metrics {
        connection_request_count = 7, watch_bytes = 36,
        fsynctime = summary(3, 4500, 250, 2999), snapshottime = summary(1, 3, 3, 3),
        readlatency = summary(4, 5, 0, 3, { p50 = 1, p95 = 3, p99 = 3, p999 = 3 }),
        propagation_latency = summary(2, 3, 1, 2, { p50 = 1, p95 = 2, p99 = 2, p999 = 2 }),
        sync_processor_queue_flush_time_ms = summary(3, 4500, 250, 2999,
          { p50 = 1251, p95 = 2999, p99 = 2999, p999 = 2999 }),
      }
    end,
    op_counts = function()
      return { [1] = 1, [2] = 0, [4] = 5, [8] = 2, [12] = 3, [15] = 4 }
    end,
    environment = function()
      return { ["host.name"] = "here", ["os.name"] = "Linux" }
    end,
    written = "",
    write = function(self, ...)
      self.written = self.written .. table.concat { ... }
    end,
    reset = function(self)
      self.was_reset = true
    end,
    reset_connections = function(self)
      self.connections_were_reset = true
    end,
    set_trace_mask = function(self, mask)
      self.trace_mask = mask
    end,
  }
  for name, value in pairs(changes or {}) do
    made[name] = value
  end
  return setmetatable(made, {
    __index = function(_, name)
      if OPTIONAL[name] then
        return nil
      end
      error("stats has no field " .. name)
    end,
  })
end

local function run(word, made)
  made = made or stats()
  local rest = load_word(word).run(made)
  return made.written .. rest
end

local SERVER_LINES <const> = "Latency min/avg/max: 0/4.6667/11\nReceived: 9\nSent: 8\n"
  .. "Connections: 3\nOutstanding: 2\nZxid: 0x100000003\nMode: standalone\nNode count: 7\n"
local VERSION_LINE <const> = "Zookeeper version: 3.9.4-moonkeeper-0.1.0, "
  .. "built on 2026-05-24 12:00 UTC\n"

describe("every word", function()
  local words = {}
  for path in assert(io.popen("ls " .. DIRECTORY .. "*.lua")):lines() do
    words[#words + 1] = path:match("(%w+)%.lua$")
  end

  it("says its name and what it is for, and answers a text", function()
    assert.are.equal(18, #words)
    for _, word in ipairs(words) do
      local command = load_word(word)
      assert.are.equal(word, command.name)
      assert.is_truthy(command.name:find("^%l%l%l%l$"))
      assert.is_true(#command.help > 10 and not command.help:find("\n"), word)
      assert.are.equal("string", type(command.run(stats())))
    end
  end)

  it("leaves no globals behind", function()
    local before = {}
    for name in pairs(_G) do
      before[name] = true
    end
    for _, word in ipairs(words) do
      load_word(word).run(stats())
    end
    for name in pairs(_G) do
      assert.is_true(before[name], tostring(name))
    end
  end)
end)

describe("the answers", function()
  it("of ruok and isro have no line end", function()
    assert.are.equal("imok", run "ruok")
    assert.are.equal("rw", run "isro")
    assert.are.equal("ro", run("isro", stats { read_only = true }))
    assert.are.equal("null", run("isro", stats { serving = false }))
  end)

  it("of srvr", function()
    assert.are.equal(VERSION_LINE .. SERVER_LINES, run "srvr")
    assert.are.equal(VERSION_LINE .. "READ-ONLY mode; serving only read-only clients\n"
      .. SERVER_LINES, run("srvr", stats { read_only = true }))
  end)

  it("of srvr and stat in an ensemble", function()
    for _, role in ipairs { "follower", "observer" } do
      assert.are.equal(VERSION_LINE .. SERVER_LINES:gsub("standalone", role),
        run("srvr", stats { role = role }))
    end
    local sizes = { role = "leader", proposal_last_bytes = 48, proposal_min_bytes = 47,
      proposal_max_bytes = 96 }
    local lines = SERVER_LINES:gsub("standalone", "leader") ..
      "Proposal sizes last/min/max: 48/47/96\n"
    assert.are.equal(VERSION_LINE .. lines, run("srvr", stats(sizes)))
    assert.is_truthy(run("stat", stats(sizes)):find(lines, 1, true))
  end)

  it("of srvr can be parsed as clients do", function()
    local text = run "srvr"
    assert.is_truthy(text:find("^Zookeeper version: ([%w.-]+), built on "))
    assert.is_truthy(text:find("\nMode: %a+\n"))
    assert.are.equal("3.9.4", text:match("^Zookeeper version: (%d+%.%d+%.%d+)%-"))
  end)

  it("of stat", function()
    assert.are.equal(VERSION_LINE .. "Clients:\n"
      .. " /10.0.0.7:47862[1](queued=1,recved=6,sent=5)\n"
      .. " /[::1]:2[0](queued=0,recved=1,sent=0)\n\n" .. SERVER_LINES, run "stat")
  end)

  it("of cons", function()
    assert.are.equal(" /10.0.0.7:47862[1](queued=1,recved=6,sent=5,sid=0x1000012c4160000,"
      .. "lop=EXIS,est=1795518017243,to=10000,lcxid=0x5,lzxid=0x3,lresp=1234110,llat=1,minlat=0,"
      .. "avglat=4,maxlat=11)\n /[::1]:2[0](queued=0,recved=1,sent=0)\n\n", run "cons")
  end)

  it("of cons leaves out what there is not yet", function()
    local made = stats()
    local connection = made.connections()()
    connection.last_op, connection.last_xid, connection.last_zxid = 0, 0, 0
    assert.is_truthy(run("cons", made):find(",lop=NA,est=1795518017243,to=10000,lzxid=0x0,", 1,
      true))
  end)

  it("of crst and srst", function()
    local made = stats()
    assert.are.equal("Connection stats reset.\n", run("crst", made))
    assert.is_true(made.connections_were_reset)
    made = stats()
    assert.are.equal("Server stats reset.\n", run("srst", made))
    assert.is_true(made.was_reset)
  end)

  it("of conf", function()
    assert.are.equal("clientPort=2181\nsecureClientPort=-1\ndataDir=/d/version-2\n"
      .. "dataDirSize=4096\ndataLogDir=/l/version-2\ndataLogSize=8192\ntickTime=2000\n"
      .. "maxClientCnxns=60\nminSessionTimeout=4000\nmaxSessionTimeout=40000\n"
      .. "clientPortListenBacklog=1024\nserverId=3\n", run "conf")
    local made = stats()
    made.config.data_log_dir = nil
    assert.is_truthy(run("conf", made):find("\ndataLogDir=/d/version-2\n", 1, true))
    made.config.memory_only = true
    assert.is_truthy(run("conf", made):find("\ndataDir=\n", 1, true))
  end)

  it("of conf in an ensemble", function()
    assert.are.equal("serverId=2\ninitLimit=10\nsyncLimit=5\nelectionAlg=3\nelectionPort=3882\n"
      .. "quorumPort=2882\npeerType=0\nmembership: \n"
      .. "server.1=10.0.0.1:2881:3881:participant\nserver.2=[::1]:2882:3882:participant\n"
      .. "server.3=10.0.0.3:2883:3883:participant;10.0.0.3:2183\n"
      .. "server.4=10.0.0.4:2884:3884:observer\nversion=0",
      run("conf", stats { config = member_config(2) }):match("serverId.*"))
    local config = member_config(4)
    config.servers.hierarchical, config.servers.version = true, 1 << 32
    for id, group in pairs { 7, 5, 7 } do
      config.servers[id].group = group
    end
    config.servers[1].weight = 3
    assert.are.equal("group.5=2\ngroup.7=1:3\nweight.1=3\nweight.2=1\nweight.3=1\nweight.4=1\n"
      .. "version=100000000", run("conf", stats { config = config }):match("group.*"))
    assert.is_truthy(run("conf", stats { config = config }):find("\npeerType=1\n", 1, true))
    config.servers = { config.servers[4] }
    assert.is_nil(run("conf", stats { config = config }):find("initLimit", 1, true))
  end)

  it("of dirs", function()
    assert.are.equal("datadir_size: 4096\nlogdir_size: 8192\n", run "dirs")
  end)

  it("of dump", function()
    assert.are.equal("SessionTracker dump:\nSession Sets (1)/(1):\n"
      .. "1 expire at Sun May 24 12:00:04 UTC 2026:\n\t0x1000012c4160000\n"
      .. "ephemeral nodes dump:\nSessions with Ephemerals (1):\n0x1000012c4160000:\n\t/a/e\n\t/b\n"
      .. "Connections dump:\nConnections Sets (2)/(2):\n"
      .. "1 expire at Sun May 24 12:00:04 UTC 2026:\n"
      .. "\tip: /10.0.0.7:47862 sessionId: 0x1000012c4160000\n"
      .. "1 expire at Sun May 24 12:00:12 UTC 2026:\n\tip: /[::1]:2 sessionId: 0x0\n",
      run "dump")
  end)

  it("of dump on a server that does not lead", function()
    for _, role in ipairs { "follower", "observer" } do
      assert.is_truthy(run("dump", stats { role = role }):find("^SessionTracker dump:\n"
        .. "Global Sessions%(1%):\n0x1000012c4160000\t10000ms\nephemeral nodes dump:\n"))
    end
  end)

  it("of envi begins with the version", function()
    assert.are.equal("Environment:\nzookeeper.version=" .. stats().version
      .. "\nhost.name=here\nos.name=Linux\n", run "envi")
  end)

  it("of gtmk and stmk", function()
    assert.are.equal("306", run "gtmk")
    local made = stats()
    assert.are.equal("257", run("stmk", made))
    assert.are.equal(257, made.trace_mask)
  end)

  it("of wchs, wchc and wchp", function()
    assert.are.equal("1 connections watching 2 paths\nTotal watches:3\n", run "wchs")
    assert.are.equal("0x1\n\t/a\n\t/b\n0xfffffffffffffffe\n\t/a\n\n", run "wchc")
    assert.are.equal("/a\n\t0x1\n\t0xfffffffffffffffe\n/b\n\t0x1\n\n", run "wchp")
    assert.are.equal("\n", run("wchc", stats { watches_by_session = each({}, true) }))
    assert.are.equal("\n", run("wchp", stats { watches = each({}, true) }))
  end)

  it("of hash", function()
    assert.are.equal("80: 1371985504\n100: -1\n", run "hash")
  end)

  it("of mntr are lines of name, tab, value", function()
    local values, count = {}, 0
    for line in run "mntr":gmatch("([^\n]*)\n") do
      local name, value = line:match("^(zk_[%l%d_]+)\t(.+)$")
      assert.is_truthy(name, line)
      assert.is_nil(values[name], "twice: " .. name)
      values[name] = value
      count = count + 1
    end
    assert.is_true(count > 150)
    for name, value in pairs {
      zk_version = stats().version, zk_server_state = "standalone", zk_avg_latency = "4.6667",
      zk_min_latency = "0", zk_max_latency = "11", zk_packets_received = "9",
      zk_packets_sent = "8", zk_num_alive_connections = "3", zk_outstanding_requests = "2",
      zk_znode_count = "7", zk_watch_count = "3",
      zk_watch_memory_bytes = "206", zk_watches_refused = "0",
      zk_buffer_bytes = "9000", zk_ephemerals_count = "1",
      zk_approximate_data_size = "51", zk_open_file_descriptor_count = "20",
      zk_max_file_descriptor_count = "1024", zk_uptime = "4810", zk_global_sessions = "1",
      zk_connection_rejected = "4", zk_connection_drop_count = "5",
      zk_stale_sessions_expired = "6", zk_avg_fsynctime = "1.5", zk_max_fsynctime = "2",
      zk_min_fsynctime = "0", zk_cnt_fsynctime = "3", zk_sum_fsynctime = "4",
      zk_avg_snapshottime = "3.0", zk_avg_readlatency = "1.25", zk_min_readlatency = "0",
      zk_max_readlatency = "3", zk_cnt_readlatency = "4", zk_sum_readlatency = "5",
      zk_p50_readlatency = "1", zk_p95_readlatency = "3", zk_p99_readlatency = "3",
      zk_p999_readlatency = "3", zk_avg_updatelatency = "0.0",
      zk_p50_sync_processor_queue_flush_time_ms = "1",
      zk_p99_sync_processor_queue_flush_time_ms = "2",
      zk_cnt_sync_processor_queue_and_flush_time_ms = "2", zk_local_sessions = "0",
      zk_connection_request_count = "7", zk_watch_bytes = "36", zk_large_requests_rejected = "0",
      zk_last_client_response_size = "16", zk_max_client_response_size = "84",
      zk_op_count_create = "5", zk_op_count_get_children = "5", zk_op_count_get_data = "5",
      zk_op_count_delete = "0", zk_op_count_total = "15",
    } do
      assert.are.equal(value, values[name], name)
    end
    assert.is_nil(values.zk_p50_fsynctime, "Apache has no quantiles of it")
  end)

  it("of mntr have the lines of a role only in it", function()
    local function names(changes)
      local found = {}
      for name, value in run("mntr", stats(changes)):gmatch("([^\n\t]*)\t([^\n]*)\n") do
        found[name] = value
      end
      return found
    end
    local alone = names()
    for _, name in ipairs { "peer_state", "current_epoch", "quorum_size", "learners",
      "leader_uptime", "last_proposal_size", "synced_followers", "observer_master_id" } do
      assert.is_nil(alone["zk_" .. name], name)
    end
    assert.are.equal("0", alone.zk_proposal_count)
    assert.are.equal("0", alone.zk_cnt_election_time)
    local leader = names { role = "leader", peer_state = "leading - broadcast", epoch = 7,
      quorum_size = 3, learner_count = 3, synced_follower_count = 2, synced_observer_count = 1,
      synced_non_voting_count = 0, pending_sync_count = 0, leader_uptime_ms = 7,
      proposal_last_bytes = 48, proposal_min_bytes = 47, proposal_max_bytes = 96 }
    for name, value in pairs { server_state = "leader", peer_state = "leading - broadcast",
      current_epoch = "7", quorum_size = "3", learners = "3", synced_followers = "2",
      synced_observers = "1", synced_non_voting_followers = "0", pending_syncs = "0",
      leader_uptime = "7",
      last_proposal_size = "48", min_proposal_size = "47", max_proposal_size = "96" } do
      assert.are.equal(value, leader["zk_" .. name], name)
    end
  end)

  it("of mntr tell the quotas of each namespace", function()
    local text = run("mntr", stats { quotas = each {
      { name = "a", count_limit = 3, bytes_limit = -1, count_used = 2, bytes_used = 10 },
      { name = "\xc3\xa9 b\xc2\x85", count_limit = 6, bytes_limit = 5, count_used = -1,
        bytes_used = -1 },
    } })
    assert.are.equal("zk_a_quota_count_limit_per_namespace\t3\n"
      .. "zk_a_quota_bytes_limit_per_namespace\t-1\n"
      .. "zk_a_quota_count_usage_per_namespace\t2\nzk_a_quota_bytes_usage_per_namespace\t10\n"
      .. "zk_\xc3\xa9 b\\xc2\\x85_quota_count_limit_per_namespace\t6\n"
      .. "zk_\xc3\xa9 b\\xc2\\x85_quota_bytes_limit_per_namespace\t5\n",
      text:match("\nzk_op_count_total[^\n]*\n(.*)$"))
  end)

  it("of mntr before the first request divide by nothing", function()
    local text = run("mntr", stats { latency_avg_ms = 0, metrics = function()
      return metrics {}
    end })
    assert.is_truthy(text:find("\nzk_avg_latency\t0.0\n", 1, true))
    assert.is_truthy(text:find("\nzk_avg_fsynctime\t0.0\n", 1, true))
  end)
end)

describe("figures", function()
  it("are decimals as Java prints them", function()
    for value, text in pairs { [0] = "0.0", [1] = "1.0", [0.5] = "0.5", [1 / 3] = "0.3333",
      [2.99999] = "3.0", [10] = "10.0", [1234567.25] = "1234567.25" } do
      assert.are.equal(text, figures.decimal(value))
    end
  end)

  it("put moments into buckets of a tick", function()
    assert.are.equal(4000, figures.bucket(2000, 2000))
    assert.are.equal(4000, figures.bucket(3999, 2000))
  end)
end)

describe("the registry", function()
  local function new(allowed, own)
    return commands.new { words = { "mntr", "ruok", "srvr" }, load = load_word, own = own,
      allowed = allowed }
  end

  it("answers allowed words and srvr, and says so for others", function()
    local registry = new { "ruok" }
    assert.are.equal("imok", registry:answer("ruok", stats()))
    assert.is_truthy(registry:answer("srvr", stats()):find("^Zookeeper version: "))
    assert.are.equal("mntr is not executed because it is not in the whitelist.\n",
      registry:answer("mntr", stats()))
    assert.is_truthy(new("*"):answer("mntr", stats()):find("^zk_version\t"))
    assert.is_truthy(new({}):answer("srvr", stats()):find("^Zookeeper version: "))
  end)

  it("knows own words, which may replace others", function()
    local registry = new({}, {
      hiya = function(made)
        return "hi from " .. made.role
      end,
      ruok = function()
        return "really"
      end,
    })
    assert.are.same({ "hiya", "mntr", "ruok", "srvr" }, registry:words())
    assert.are.equal("hi from standalone", registry:answer("hiya", stats()))
    assert.are.equal("really", registry:answer("ruok", stats()))
  end)

  it("answers few words while no clients are served, as Apache does", function()
    local words = {}
    for path in assert(io.popen("ls " .. DIRECTORY .. "*.lua")):lines() do
      words[#words + 1] = path:match("(%w+)%.lua$")
    end
    local registry = commands.new { words = words, load = load_word, allowed = "*", own = {
      hiya = function(made)
        return made.role
      end,
    } }
    local answered = {}
    for _, word in ipairs(registry:words()) do
      local text = registry:answer(word, stats { serving = false, role = "looking" })
      if text ~= "This ZooKeeper instance is not currently serving requests\n" then
        answered[#answered + 1] = word
      end
    end
    assert.are.same({ "envi", "gtmk", "hiya", "isro", "ruok", "stmk" }, answered)
  end)

  it("raises when a word answers no text", function()
    local registry = new({}, {
      nope = function()
        return 5
      end,
    })
    assert.has_error(function()
      registry:answer("nope", stats())
    end, "the command nope returned number, not a text")
  end)

  it("loads a word once, when it is asked for", function()
    local loads = 0
    local registry = commands.new { words = { "ruok" }, allowed = "*", load = function(word)
      loads = loads + 1
      return load_word(word)
    end }
    assert.are.equal(0, loads)
    registry:answer("ruok", stats())
    registry:answer("ruok", stats())
    assert.are.equal(1, loads)
  end)
end)
