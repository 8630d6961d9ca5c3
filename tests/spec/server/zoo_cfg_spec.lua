-- SPDX-License-Identifier: MIT
-- A zoo.cfg: every documented key has a fate, values are converted, what is ignored is said, what
-- would be unsafe to ignore is refused.

local config = require "moonkeeper.server.config"
local options = require "moonkeeper.schema.options"
local zoo_cfg = require "moonkeeper.server.zoo_cfg"
local zoo_keys = require "moonkeeper.server.zoo_keys"

local WORDS <const> = { "isro", "mntr", "ruok", "srvr", "stat" }
local BASE <const> = "dataDir=/data\nclientPort=2181\nclientPortAddress=127.0.0.1\n"

local function read(text, files, exists)
  return zoo_cfg.read(text, "zoo.cfg", {
    words = WORDS,
    read_file = function(path)
      return files and files[path]
    end,
    exists = exists or function()
      return false
    end,
  })
end

-- All through the checks, as `moonkeeper run zoo.cfg` goes.
local function load_text(text, overrides)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
  os.rename(path, path .. ".cfg")
  path = path .. ".cfg"
  local loaded, problems = config.load(path, { words = WORDS, overrides = overrides })
  os.remove(path)
  if loaded then
    return loaded.values, loaded.notes
  end
  return nil, (config.format(problems):gsub(path:gsub("%p", "%%%0"), "zoo.cfg"))
end

local function value_of(line, name)
  local result = read(BASE .. line)
  assert.are.same({}, result.problems, line)
  return result.values[name]
end

local function problem_of(line, files)
  local result = read(BASE .. line, files)
  assert.are.equal(1, #result.problems, line)
  return config.format(result.problems)
end

local function notes_of(line)
  local result = read(BASE .. line)
  assert.are.same({}, result.problems, line)
  return table.concat(result.notes, "\n")
end

describe("every documented key of a zoo.cfg", function()
  local file = assert(io.open("tests/spec/server/zoo_keys.txt"))
  local keys = {}
  for line in file:lines() do
    if line:find("^%w") then
      keys[#keys + 1] = line
    end
  end
  file:close()

  it("is honoured, ignored or refused", function()
    assert.is_true(#keys > 240, #keys .. " keys")
    local undecided = {}
    for _, key in ipairs(keys) do
      local honoured = options.by_zoo_key[key] ~= nil
      local decided = zoo_keys.find(key) ~= nil
      if honoured == decided then
        undecided[#undecided + 1] = key .. (honoured and " (twice)" or "")
      end
    end
    assert.are.same({}, undecided)
  end)

  it("is known with zookeeper. in front, and never called a typo", function()
    for _, key in ipairs(keys) do
      for _, prefix in ipairs { "", "zookeeper." } do
        local result = read(prefix .. key .. "=x")
        for _, problem in ipairs(result.problems) do
          assert.is_nil(problem.text:find("there is no key", 1, true), problem.text)
        end
      end
    end
  end)

  it("has a reason when it is not honoured", function()
    for _, list in ipairs { zoo_keys.ignored, zoo_keys.refused, zoo_keys.ensemble_ignored,
      zoo_keys.ensemble_refused } do
      for _, row in ipairs(list) do
        assert.is_true(#row[1] > 10)
      end
    end
  end)
end)

describe("honoured keys", function()
  it("are converted", function()
    assert.are.equal(3000, value_of("tickTime=3000", "tick_time_ms"))
    assert.are.equal(65536 * 1024, value_of("preAllocSize=65536", "log_preallocate_bytes"))
    assert.are.equal(2048, value_of("txnLogSizeLimitInKb=2", "log_file_bytes_max"))
    assert.are.equal(0, value_of("txnLogSizeLimitInKb=-1", "log_file_bytes_max"))
    assert.are.equal(0, value_of("snapSizeLimitInKb=0", "snapshot_log_bytes"))
    assert.is_false(value_of("forceSync=no", "force_sync"))
    assert.is_true(value_of("forceSync=yes", "force_sync"))
    assert.is_true(value_of("skipACL=yes", "skip_acl"))
    assert.is_true(value_of("extendedTypesEnabled=TRUE", "extended_types"))
    assert.are.equal(10485759, value_of("jute.maxbuffer=0x9fffff", "frame_bytes_max"))
    assert.are.equal(5, value_of("zookeeper.maxCnxns=5", "connections_max"))
    assert.are.equal(0, value_of("maxClientCnxns=0", "connections_per_address_max"))
    assert.are.equal(7, value_of("snapCount= 7 ", "snapshot_transactions"))
    assert.is_nil(value_of("minSessionTimeout=-1", "session_timeout_min_ms"))
    assert.are.equal("/log", value_of("dataLogDir=/log", "data_log_dir"))
    assert.is_false(value_of("zookeeper.digest.enabled=false", "tree_digest"))
    assert.are.equal("super:abc=", value_of(
      "zookeeper.DigestAuthenticationProvider.superDigest=super:abc=", "super_digest"))
  end)

  it("of which there are two count by the last", function()
    assert.are.equal(5, value_of("snapCount=3\nzookeeper.snapCount=5", "snapshot_transactions"))
  end)

  it("have Apache's default where it differs", function()
    local values = read(BASE).values
    assert.are.equal(3000, values.tick_time_ms)
    assert.is_false(values.extended_types)
    assert.are.same({ "srvr" }, values.four_letter_words)
    assert.are.equal(0, values.container_never_used_ms)
    assert.are.equal(0, values.snapshots_retained)
  end)

  it("refuse wrong values with key, line and value", function()
    assert.are.equal('zoo.cfg:4: snapCount is "x", but must be an integer',
      problem_of("snapCount=x"))
    assert.are.equal('zoo.cfg:4: enforceQuota is "yes", but must be true or false',
      problem_of("enforceQuota=yes"))
    assert.are.equal('zoo.cfg:4: forceSync is "true", but must be yes or no',
      problem_of("forceSync=true"))
    assert.are.equal("zoo.cfg:4: zookeeper.snapCount is \"\", but must be an integer",
      problem_of("zookeeper.snapCount="))
    assert.are.equal('zoo.cfg:4: snapCount is "99999999999999999999", but must be an integer',
      problem_of("snapCount=99999999999999999999"))
  end)

  it("are checked like options, under their own names", function()
    local _, message = load_text(BASE .. "tickTime=0\npreAllocSize=99999999")
    assert.are.equal("zoo.cfg:4: tickTime (tick_time_ms) is 0, "
      .. "but must be an integer from 1 to 1000000 (ms)\n"
      .. "zoo.cfg:5: preAllocSize (log_preallocate_bytes) is 102399998976, "
      .. "but must be an integer from 0 to 4294967296 (bytes)", message)
    _, message = load_text(BASE .. "minSessionTimeout=100000")
    assert.are.equal("zoo.cfg:4: minSessionTimeout (session_timeout_min_ms) is 100000, "
      .. "more than maxSessionTimeout, which is 60000: no session could be opened", message)
    _, message = load_text("clientPort=2181\n")
    assert.are.equal("zoo.cfg: dataDir is missing: where shall the data be kept?", message)
  end)
end)

describe("clientPort", function()
  it("listens on its address", function()
    assert.are.equal("127.0.0.1:2181", read(BASE).values.client_address)
    local result = read("dataDir=/d\nclientPort=2181\nclientPortAddress=::1")
    assert.are.equal("[::1]:2181", result.values.client_address)
  end)

  it("without an address is open on all, with a loud line", function()
    local result = read("dataDir=/d\nclientPort=2181")
    assert.are.equal("0.0.0.0:2181", result.values.client_address)
    assert.is_truthy(result.notes[1]:find("zoo.cfg:2: WARNING: clients can connect from everywhere",
      1, true))
    result = read("dataDir=/d\nclientPort=2181", nil, function(path)
      return path == "/proc/net/if_inet6"
    end)
    assert.are.equal("[::]:2181", result.values.client_address)
  end)

  it("must be there and be a port", function()
    assert.are.equal("zoo.cfg: clientPort is missing: where shall clients connect?",
      config.format(read("dataDir=/d").problems))
    assert.are.equal("zoo.cfg:2: clientPortAddress is set, but clientPort is not",
      config.format(read("dataDir=/d\nclientPortAddress=::1").problems))
    local problems = read("dataDir=/d\nclientPort=70000").problems
    assert.are.equal('zoo.cfg:2: clientPort is "70000", but must be a port from 0 to 65535',
      problems[1].file .. ":" .. problems[1].line .. ": " .. problems[1].text)
  end)

  it("that is wrong is not called missing too", function()
    assert.are.equal('zoo.cfg:2: clientPort is "abc", but must be a port from 0 to 65535',
      config.format(read("dataDir=/d\nclientPort=abc").problems))
    assert.are.equal('zoo.cfg:2: clientPort is "abc", but must be a port from 0 to 65535',
      config.format(read("dataDir=/d\nclientPort=abc\nclientPortAddress=::1").problems))
  end)

  it("on every address is a warning, however it is said", function()
    for _, address in ipairs { "0.0.0.0", "::", "[::]" } do
      local result = read("dataDir=/d\nclientPort=2181\nclientPortAddress=" .. address)
      assert.is_truthy(result.notes[1]:find("zoo.cfg:3: WARNING: clientPortAddress is " .. address
        .. ": clients can connect from everywhere", 1, true))
      assert.is_truthy(result.notes[1]:find("say clientPortAddress=127.0.0.1", 1, true))
    end
  end)

  it("goes through to the listed addresses", function()
    local values = assert(load_text(BASE))
    assert.are.same({ { host = "127.0.0.1", port = 2181 } }, values.client_address)
  end)
end)

describe("notes", function()
  it("warn of what Apache does silently", function()
    local good = "autopurge.purgeInterval=1\n"
    local _, notes = load_text(BASE .. good .. "skipACL=yes\nforceSync=no\n"
      .. "snapshot.trust.empty=true")
    local text = table.concat(notes, "\n")
    assert.is_truthy(text:find("%.cfg:5: WARNING: skipACL %(skip_acl%) is true: everyone"), text)
    assert.is_truthy(text:find("%.cfg:6: WARNING: forceSync %(force_sync%) is false: "), text)
    assert.is_truthy(text:find("%.cfg:7: WARNING: snapshot.trust.empty .-take it out after"), text)
    _, notes = load_text(BASE .. good .. "skipACL=no\nforceSync=yes\nsnapshot.trust.empty=false")
    assert.are.equal(1, #notes) -- about autopurge
    _, notes = load_text(BASE .. good .. "skipACL=yes", { "skip_acl=false" })
    assert.are.equal(1, #notes)
  end)

  it("about an option that --set changed are not given", function()
    local text = "dataDir=/d\nclientPort=2181\n"
    local _, notes = load_text(text)
    assert.are.equal(2, #notes)
    _, notes = load_text(text, { "client_address=127.0.0.1:2181" })
    assert.are.equal(1, #notes)
    assert.is_truthy(notes[1]:find("autopurge", 1, true))
    _, notes = load_text(text, { "snapshots_retained=3", "client_address=127.0.0.1:2181" })
    assert.are.same({}, notes)
  end)
end)

describe("four-letter words", function()
  it("are a list with blanks, or all", function()
    assert.are.same({ "ruok", "stat" },
      value_of("4lw.commands.whitelist=ruok, stat ,", "four_letter_words"))
    assert.are.equal("*", value_of("4lw.commands.whitelist=*", "four_letter_words"))
    assert.are.equal("*", value_of("4lw.commands.whitelist=ruok, *", "four_letter_words"))
  end)

  it("that do not exist are ignored with a line", function()
    assert.is_truthy(notes_of("4lw.commands.whitelist=ruok,rouk"):find(
      "zoo.cfg:4: 4lw.commands.whitelist: ignored rouk, there is no such word, "
      .. "did you mean ruok?", 1, true))
  end)

  it("include isro when read-only mode is on", function()
    assert.are.same({ "srvr", "isro" },
      value_of("readonlymode.enabled=true", "four_letter_words"))
    assert.are.same({ "ruok", "isro" },
      value_of("4lw.commands.whitelist=ruok\nreadonlymode.enabled=true", "four_letter_words"))
    assert.are.same({ "srvr" }, value_of("readonlymode.enabled=false", "four_letter_words"))
    assert.is_truthy(problem_of("readonlymode.enabled=1"):find("must be true or false", 1, true))
  end)
end)

describe("purging", function()
  it("is off unless there is an interval, as with Apache", function()
    assert.are.equal(0, value_of("autopurge.snapRetainCount=5", "snapshots_retained"))
    assert.are.equal(0, value_of("autopurge.snapRetainCount=5\nautopurge.purgeInterval=0",
      "snapshots_retained"))
    assert.is_truthy(notes_of(""):find("autopurge is off", 1, true))
  end)

  it("keeps what autopurge says, three at least", function()
    assert.are.equal(5, value_of("autopurge.snapRetainCount=5\nautopurge.purgeInterval=1",
      "snapshots_retained"))
    assert.is_nil(value_of("autopurge.purgeInterval=12h", "snapshots_retained"))
    assert.are.equal(3, value_of("autopurge.snapRetainCount=1\nautopurge.purgeInterval=1",
      "snapshots_retained"))
    assert.is_truthy(problem_of("autopurge.purgeInterval=often"):find(
      "must be hours, or a number with ms, s, m, h or d", 1, true))
  end)
end)

describe("what is ignored", function()
  it("is said with its line", function()
    assert.is_truthy(notes_of("initLimit=10"):find(
      "zoo.cfg:4: initLimit: ignored, it only has a meaning in an ensemble", 1, true))
    assert.is_truthy(notes_of("oraclePath=/x"):find(
      "zoo.cfg:4: oraclePath: ignored, it only has a meaning in an ensemble", 1, true))
    assert.is_truthy(notes_of("zookeeper.admin.serverPort=8080"):find(
      "zookeeper.admin.serverPort: ignored", 1, true))
    assert.is_truthy(notes_of("authProvider.x=org.example.Provider"):find(
      "authProvider.x: ignored", 1, true))
  end)

  it("includes a list of one server", function()
    local values, notes = load_text(BASE .. "server.1=a:2888:3888")
    assert.are.equal(1, values.servers[1].id)
    assert.is_truthy(table.concat(notes, "\n"):find(":4: server.1: ignored", 1, true))
  end)
end)

describe("what is refused", function()
  local function refused(line, reason)
    assert.is_truthy(problem_of(line):find(reason, 1, true), line)
  end

  it("because it asks for protection that is not there", function()
    refused("secureClientPort=2182", "no TLS")
    refused("sslQuorum=true", "no TLS")
    refused("client.portUnification=true", "no TLS")
    refused("sessionRequireClientSASLAuth=true", "could not be enforced")
    refused("zookeeper.enforce.auth.enabled=true", "could not be enforced")
    refused("audit.enable=true", "audit log")
    refused("DigestAuthenticationProvider.digestAlg=SHA-256", "only SHA1")
    refused("emulate353TTLNodes=true", "TTL nodes")
  end)

  it("because it needs an ensemble", function()
    refused("peerType=observer", "ensemble")
    refused("standaloneEnabled=false", "single server")
  end)

  it("unless the value asks for nothing", function()
    for _, line in ipairs { "sslQuorum=false", "audit.enable=False", "peerType=participant",
      "enforce.auth.enabled=false", "standaloneEnabled=true", "emulate353TTLNodes=false",
      "zookeeper.DigestAuthenticationProvider.digestAlg=SHA1" } do
      assert.are.same({}, read(BASE .. line).problems, line)
    end
  end)

  it("because the directory shall not be made", function()
    local function exists(path)
      return path == "/data/version-2"
    end
    assert.are.equal(1, #read(BASE .. "datadir.autocreate=false").problems)
    assert.are.same({}, read(BASE .. "datadir.autocreate=false", nil, exists).problems)
    assert.are.equal(1,
      #read(BASE .. "datadir.autocreate=false\ndataLogDir=/log", nil, exists).problems)
    assert.are.same({}, read(BASE .. "datadir.autocreate=true").problems)
  end)
end)

describe("typing errors", function()
  it("name the nearest key", function()
    assert.are.equal('zoo.cfg:4: there is no key tickTim (value "2000"), did you mean tickTime?',
      problem_of("tickTim=2000"))
    assert.are.equal('zoo.cfg:4: there is no key zookeeper.snapCont (value "5"), '
      .. "did you mean snapCount?", problem_of("zookeeper.snapCont=5"))
    assert.are.equal('zoo.cfg:4: there is no key purgeInterval (value "1"), '
      .. "did you mean autopurge.purgeInterval?", problem_of("purgeInterval=1"))
    assert.are.equal('zoo.cfg:4: there is no key tick_time_ms (value "1"): '
      .. "tick_time_ms is an option of a Lua script, not of a zoo.cfg",
      problem_of("tick_time_ms=1"))
    assert.are.equal('zoo.cfg:4: there is no key frobnicate.all (value "1")',
      problem_of("frobnicate.all=1"))
  end)

  it("and all else from the file is shown without control bytes", function()
    for _, line in ipairs { "a\27[2Jb=1", "tick\\u001bTim=1", "tick\\u009bTim=1",
      "snapCount=\27[2J", "authProvider.\27c=x", "secureClientPort=\27c", "server.\27c=x:1:2",
      "4lw.commands.whitelist=\27c", "server.1=\27c:1:2", "clientPortAddress=\27c" } do
      local result = read(BASE .. line)
      local text = config.format(result.problems) .. table.concat(result.notes)
      assert.is_nil(text:gsub("\n", ""):find("%c"), line)
      assert.is_nil(text:find("\xc2\x9b", 1, true), line)
    end
    assert.are.equal('zoo.cfg:4: there is no key a\\x1b[2Jb (value "1")', problem_of("a\27[2Jb=1"))
    assert.is_true(#problem_of(("x"):rep(100000) .. "=1") < 150)
  end)

  it("are not looked up without end", function()
    local lines = {}
    for number = 1, 100 do
      lines[number] = "tickTim=" .. number .. "\nzookeeper.x" .. number .. ".tickTim=1"
    end
    local result = read(BASE .. table.concat(lines, "\n"))
    local hints = 0
    for _, problem in ipairs(result.problems) do
      hints = hints + (problem.text:find("did you mean", 1, true) and 1 or 0)
    end
    assert.are.equal(101, #result.problems) -- the last tickTim, and all others
    assert.is_true(hints <= 20)
  end)

  it("do not show what may be a password", function()
    assert.is_nil(problem_of("ssl.passphrase=secret"):find("secret", 1, true))
    assert.is_nil(problem_of("superDigest=secret"):find("secret", 1, true))
    assert.is_nil(problem_of("my.password=secret"):find("secret", 1, true))
  end)

  it("in escapes are reported by line", function()
    assert.are.equal("zoo.cfg:4: \\u must be followed by four hex digits",
      problem_of("snapCount=\\u1"))
  end)
end)

describe("myid", function()
  it("is read from the data directory", function()
    assert.are.equal(7, read(BASE, { ["/data/myid"] = " 7\n" }).values.id)
    assert.are.equal(7, read(BASE, { ["/data/myid"] = "7\r\nnot read\n" }).values.id)
    assert.is_nil(read(BASE).values.id)
  end)

  it("must hold a number that fits", function()
    for _, text in ipairs { "x", "", "255", "-1", "1 2" } do
      assert.are.equal("/data/myid: must hold a number from 0 to 254",
        problem_of("", { ["/data/myid"] = text }))
    end
  end)
end)
