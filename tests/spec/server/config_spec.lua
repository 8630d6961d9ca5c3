-- SPDX-License-Identifier: MIT
-- Checking a server script: every class of error with file, line, value and nearest name;
-- defaults; `--set`.

local config = require "moonkeeper.server.config"
local options = require "moonkeeper.schema.options"

local WORDS <const> = { "isro", "ruok", "srvr", "stat" }

local function load_text(text, overrides, name)
  name = name or "server.lua"
  local path = os.tmpname()
  os.remove(path)
  path = path .. "-" .. name
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
  local loaded, problems = config.load(path, { words = WORDS, overrides = overrides })
  os.remove(path)
  if loaded then
    return loaded.values, loaded
  end
  return nil, (config.format(problems):gsub(path:gsub("%p", "%%%0"), name))
end

local function fails(text, expected, overrides)
  local values, message = load_text(text, overrides)
  assert.is_nil(values)
  assert.are.equal(expected, message)
end

local function option(line)
  return 'return {\n  data_dir = "d",\n  ' .. line .. "\n}\n"
end

describe("config of a Lua script", function()
  it("fills in every default", function()
    local values = assert(load_text(option ""))
    for _, row in ipairs(options.list) do
      if row.default ~= nil and row.type ~= "addresses" and row.type ~= "words" then
        assert.are.equal(row.default, values[row.name], row.name)
      end
    end
    assert.are.same({ { host = "127.0.0.1", port = 2181 } }, values.client_address)
    assert.are.same({ "ruok", "srvr" }, values.four_letter_words)
    assert.are.equal(4000, values.session_timeout_min_ms)
    assert.are.equal(40000, values.session_timeout_max_ms)
  end)

  it("derives the largest backlog of output from the longest frame", function()
    assert.are.equal(64 << 20, assert(load_text(option "")).output_close_bytes)
    assert.are.equal(80 << 20,
      assert(load_text(option "frame_bytes_max = 40 << 20")).output_close_bytes)
  end)

  it("derives session timeouts from the tick", function()
    local values = assert(load_text(option "tick_time_ms = 100, session_timeout_max_ms = 900"))
    assert.are.equal(200, values.session_timeout_min_ms)
    assert.are.equal(900, values.session_timeout_max_ms)
  end)

  it("names an unknown option with its line and the nearest right name", function()
    fails(option "tick_time = 5",
      "server.lua:3: there is no option tick_time (value 5), did you mean tick_time_ms?")
    fails(option "frobnicate = 5", "server.lua:3: there is no option frobnicate (value 5)")
    fails(option "limits = { lua_memory_byte = 5 }",
      "server.lua:3: there is no option limits.lua_memory_byte (value 5), "
      .. "did you mean limits.lua_memory_bytes?")
  end)

  it("knows the names of a zoo.cfg", function()
    fails(option "tickTime = 5", "server.lua:3: there is no option tickTime (value 5), "
      .. "did you mean tick_time_ms? (tickTime is its name in a zoo.cfg)")
  end)

  it("names a wrong type with the value seen", function()
    fails(option 'tick_time_ms = "2s"', 'server.lua:3: tick_time_ms is "2s", '
      .. "but must be an integer from 1 to 1000000 (ms)")
    fails(option "tick_time_ms = 0.5", "server.lua:3: tick_time_ms is 0.5, "
      .. "but must be an integer from 1 to 1000000 (ms)")
    fails(option "force_sync = 1", "server.lua:3: force_sync is 1, but must be true or false")
    fails("return { data_dir = print }",
      "server.lua:1: data_dir is a function, but must be a string")
    fails("return { data_dir = '' }", "server.lua:1: data_dir is \"\", "
      .. "but must be a string that is not empty and has no zero byte")
    fails(option "limits = 5", "server.lua:3: limits is 5, but must be a table of limits")
  end)

  it("shows control bytes and long strings safely", function()
    local _, message = load_text(option('log_level = "a\\nb\\"' .. ("x"):rep(200) .. '"'))
    assert.is_nil(message:find("a\nb", 1, true))
    assert.is_truthy(message:find("a\\x0ab\\x22x", 1, true))
    assert.is_true(#message < 200)
  end)

  it("shows the names of unknown options safely", function()
    local _, message = load_text(option('["a\\27[2J\\n\\u{9b}1m"] = 1'))
    assert.are.equal("server.lua: there is no option a\\x1b[2J\\x0a\\xc2\\x9b1m (value 1)", message)
    _, message = load_text(option('[("x"):rep(1000)] = 1'))
    assert.is_true(#message < 150)
    _, message = load_text('error("a\\27[2Jb", 0)')
    assert.is_nil(message:find("%c"), message)
  end)

  it("finds the line of an option in brackets", function()
    fails(option '["tick_time_ms"] = 0', "server.lua:3: tick_time_ms is 0, "
      .. "but must be an integer from 1 to 1000000 (ms)")
    fails(option "[ 'frobnicate' ]=5", "server.lua:3: there is no option frobnicate (value 5)")
  end)

  it("warns of what is dangerous to leave on", function()
    local _, loaded = load_text(option 'skip_acl = true,\n  force_sync = false')
    assert.are.equal(2, #loaded.notes)
    local notes = table.concat(loaded.notes, "\n")
    assert.is_truthy(notes:find("server.lua:4: WARNING: force_sync is false: replies do not wait "
      .. "for the disk", 1, true), notes)
    assert.is_truthy(notes:find("server.lua:3: WARNING: skip_acl is true: everyone who can "
      .. "connect may read, change and delete everything", 1, true), notes)
    _, loaded = load_text(option 'skip_acl = true', { "skip_acl=false",
      "trust_empty_snapshot=true" })
    assert.are.equal(1, #loaded.notes)
    assert.is_truthy(loaded.notes[1]:find("^%-%-set trust_empty_snapshot=true: WARNING: "))
    _, loaded = load_text(option "")
    assert.are.same({}, loaded.notes)
  end)

  it("checks ranges, and takes whole floats", function()
    fails(option "tick_time_ms = 0", "server.lua:3: tick_time_ms is 0, "
      .. "but must be an integer from 1 to 1000000 (ms)")
    fails(option "snapshots_retained = 2", "server.lua:3: snapshots_retained is 2, "
      .. "but must be 0 (keep all) or at least 3")
    assert.are.equal(100, assert(load_text(option "tick_time_ms = 1e2")).tick_time_ms)
    for _, value in ipairs { "1/0", "0/0", "-1", "2^63", "math.mininteger" } do
      assert.is_nil((load_text(option("tick_time_ms = " .. value))), value)
    end
  end)

  it("checks enums", function()
    fails(option 'log_level = "inf"', 'server.lua:3: log_level is "inf", '
      .. "but must be one of error, warn, info, debug, did you mean info?")
    fails(option "log_level = 1",
      "server.lua:3: log_level is 1, but must be one of error, warn, info, debug")
  end)

  it("reads addresses", function()
    local values = assert(load_text(option
      'client_address = { "10.0.0.1:2181", "[::1]:0", "[fe80::1%eth0]:1", "host-a.example:80" }'))
    assert.are.same({ { host = "10.0.0.1", port = 2181 }, { host = "::1", port = 0 },
      { host = "fe80::1%eth0", port = 1 }, { host = "host-a.example", port = 80 } },
      values.client_address)
  end)

  it("refuses what is no address", function()
    local wish = 'but must be "host:port" or "[v6 address]:port", or a list of them'
    for _, text in ipairs { "localhost", "::1:2181", "a:b", ":1", "a b:1", "a:1:2" } do
      fails(option(("client_address = %q"):format(text)),
        ('server.lua:3: client_address is "%s", %s'):format(text, wish))
    end
    fails(option "client_address = 2181", "server.lua:3: client_address is 2181, " .. wish)
    fails(option 'client_address = { host = "a:1" }',
      "server.lua:3: client_address is a table, " .. wish)
    fails(option 'client_address = "a:65536"',
      'server.lua:3: client_address is "a:65536", but must have a port from 0 to 65535')
    fails(option 'client_address = { "a:1", "a:1" }',
      "server.lua:3: client_address is a table, but must not name a:1 twice")
    fails(option "client_address = {}",
      "server.lua:3: client_address is a table, but must name 1 to 64 addresses")
  end)

  it("reads the allow list of words", function()
    assert.are.equal("*", assert(load_text(option 'four_letter_words = "*"')).four_letter_words)
    assert.are.same({}, assert(load_text(option "four_letter_words = {}")).four_letter_words)
    fails(option 'four_letter_words = { "rouk" }', "server.lua:3: four_letter_words is a table, "
      .. 'but must be a list of four-letter words, or "*": there is no word "rouk", '
      .. "did you mean ruok?")
    fails(option 'four_letter_words = "ruok"', 'server.lua:3: four_letter_words is "ruok", '
      .. 'but must be a list of four-letter words, or "*"')
  end)

  it("takes own words, which may be listed too", function()
    local values = assert(load_text(option
      'commands = { hiya = function() return "" end }, four_letter_words = { "hiya", "stat" }'))
    assert.are.equal("function", type(values.commands.hiya))
    fails(option "commands = { hello = print }", "server.lua:3: commands is a table, but must be "
      .. 'a table of functions by name, each name four lower-case letters, not "hello"')
    fails(option "commands = { hiya = 1 }", "server.lua:3: commands is a table, but must be "
      .. "a table of functions by name, each name four lower-case letters: hiya is 1")
  end)

  it("refuses what comes with later versions, by name", function()
    for name, what in pairs(options.later) do
      fails(option(name .. " = {}"),
        ("server.lua:3: %s are not supported by this version, take the option %s out")
          :format(what, name))
    end
  end)

  it("ignores a list of one server with a note", function()
    local _, loaded = load_text(option 'servers = { { quorum = "a:1", election = "a:2" } }')
    assert.are.equal(1, #loaded.notes)
  end)

  it("refuses combinations that cannot work", function()
    fails(option "session_timeout_min_ms = 50000", "server.lua:3: session_timeout_min_ms is "
      .. "50000, more than session_timeout_max_ms, which is 40000: no session could be opened")
    fails(option "session_timeout_max_ms = 10", "server.lua:3: session_timeout_min_ms is 4000, "
      .. "more than session_timeout_max_ms, which is 10: no session could be opened")
    fails(option "output_pause_bytes = 2^30 // 1 | 0", "server.lua:3: output_pause_bytes is "
      .. "1073741824, more than output_close_bytes, which is 67108864")
    fails(option "frame_bytes_max = 9 << 20,\n output_close_bytes = 8 << 20", "server.lua:4: "
      .. "frame_bytes_max is 9437184, more than output_close_bytes, which is 8388608: the reply "
      .. "with such a node would close its connection")
    fails(option "buffers_total_bytes = 4 << 20", "server.lua:3: buffers_total_bytes is 4194304, "
      .. "but must be at least 8 * frame_bytes_max, which is 8388600: a few requests of that size "
      .. "would close each other's connections")
    assert.is_truthy(load_text(option "buffers_total_bytes = 8 << 20, frame_bytes_max = 1 << 20"))
    assert.is_truthy(load_text(option "frame_bytes_max = 64 << 20"))
    fails(option "buffers_total_bytes = 256 << 20,\n frame_bytes_max = 33 << 20", "server.lua:3: "
      .. "buffers_total_bytes is 268435456, but must be at least 8 * frame_bytes_max, which is "
      .. "276824064: a few requests of that size would close each other's connections")
    fails("return {}", "server.lua: data_dir is missing: where shall the data be kept?")
    assert.is_truthy(load_text("return { memory_only = true }"))
  end)

  it("checks the super digest without showing it", function()
    local _, message = load_text(option 'super_digest = "secret"')
    assert.is_nil(message:find("secret", 1, true))
    assert.are.equal("server.lua:3: super_digest is not of the right form: it is a text of 6 "
      .. 'characters, but must be "USER:" and the base64 of the SHA-1 of "USER:PASSWORD", 28 '
      .. "characters that end in =: printf %s USER:PASSWORD | openssl dgst -sha1 -binary | base64",
      message)
    local good = "super:D/InIHSb7yEEbrWz8b9l71RjZJU="
    assert.is_truthy(load_text(option(("super_digest = %q"):format(good))))
    assert.is_truthy(load_text(option(("super_digest = %q"):format(good:gsub("super", "admin")))))
    for _, bad in ipairs { "super:secret", "super:c2VjcmV0", good:sub(1, -2), good .. "=",
      good:sub(7), ":" .. good:sub(7), good:gsub("U=$", "V="), good .. "\n" } do
      local values, text = load_text(option(("super_digest = %q"):format(bad)))
      assert.is_nil(values, bad)
      assert.is_truthy(text:find("^server.lua:3: super_digest is not of the right form"), text)
      assert.is_nil(text:find("secret", 1, true))
    end
    _, message = load_text(option 'super_digest = "super:secret"')
    assert.is_truthy(message:find('it is "super:" and 6 characters', 1, true))
    _, message = load_text(option "", { "super_digest=secret" })
    assert.is_nil(message:find("secret", 1, true))
  end)

  it("reports everything at once, in the order of lines", function()
    fails(option 'tick_time_ms = 0,\n  force_sync = 1,\n  idd = 3',
      "server.lua:3: tick_time_ms is 0, but must be an integer from 1 to 1000000 (ms)\n"
      .. "server.lua:4: force_sync is 1, but must be true or false\n"
      .. "server.lua:5: there is no option idd (value 3), did you mean id?")
  end)

  it("hands on Lua's own errors with their line", function()
    fails("return {\n  data_dir = \n}", "server.lua:3: unexpected symbol near '}'")
    local _, message = load_text("local x = nil\nreturn { data_dir = x.y }")
    assert.is_truthy(message:find("^server.lua:2: attempt to index a nil value"))
    _, message = load_text("error('no disk today')")
    assert.is_truthy(message:find("^server.lua:1: no disk today"))
    _, message = load_text("error({})")
    assert.is_truthy(message:find("the script raised a table", 1, true))
    _, message = load_text("error(setmetatable({}, { __tostring = function() return 'E!' end }))")
    assert.is_truthy(message:find("E!", 1, true))
    assert.is_nil((load_text("\27Lua")))
  end)

  it("wants a table", function()
    fails("return 5", "server.lua: the script returned 5, but it must return the table of "
      .. 'options: return { data_dir = "data", ... }')
    local _, message = load_text("data_dir = 'x'")
    assert.is_truthy(message:find("the script returned nil", 1, true))
    fails('return { "data" }', "server.lua: the table has the key 1, but options have names")
  end)

  it("tells a file that is not there", function()
    local loaded, problems = config.load("/nowhere/server.lua", { words = WORDS })
    assert.is_nil(loaded)
    assert.are.equal("/nowhere/server.lua: there is no such file; moonkeeper run takes a Lua "
      .. "script or a zoo.cfg", config.format(problems))
  end)

  it("tells a directory from a file", function()
    local loaded, problems = config.load("lua", { words = WORDS })
    assert.is_nil(loaded)
    assert.are.equal("lua: this is a directory; moonkeeper run takes a Lua script or a zoo.cfg",
      config.format(problems))
  end)

  it("does not show what may be a password", function()
    local _, message = load_text(option 'super_digets = "hunter2"', { "my_password=hunter3" })
    assert.is_nil(message:find("hunter", 1, true))
    assert.is_truthy(message:find("--set my_password=...: there is no option my_password", 1, true))
  end)

  it("says that a number was quoted", function()
    fails(option 'tick_time_ms = "5"', 'server.lua:3: tick_time_ms is "5", '
      .. "but must be an integer from 1 to 1000000 (ms), without quotes")
  end)

  it("wants limits in their table", function()
    fails(option '["limits.lua_memory_bytes"] = 5', "server.lua:3: limits.lua_memory_bytes is "
      .. "written in the table limits: limits = { lua_memory_bytes = ... }")
  end)

  it("notes that a directory is not used by a server in memory", function()
    local _, loaded = load_text(option "memory_only = true")
    assert.are.equal(1, #loaded.notes)
    assert.is_truthy(loaded.notes[1]:find("memory_only is true: d is not used", 1, true))
    assert.are.equal(0, #select(2, load_text("return { memory_only = true }")).notes)
  end)
end)

describe("--set", function()
  local function set(...)
    local values, message = load_text(option "tick_time_ms = 5000", { ... })
    return values or error(message, 0)
  end

  it("overrides what the file says", function()
    assert.are.equal(100, set("tick_time_ms=100").tick_time_ms)
    assert.are.equal(200, set("tick_time_ms=100", "tick_time_ms=200").tick_time_ms)
    assert.is_false(set("force_sync=false").force_sync)
    assert.are.equal(64 << 20, set("output_pause_bytes=64<<20").output_pause_bytes)
    assert.are.equal(5 << 20, set("limits.lua_memory_bytes=5<<20")["limits.lua_memory_bytes"])
  end)

  it("takes text for options that are text", function()
    assert.are.equal("2181", set("data_dir=2181").data_dir)
    assert.are.equal("a b", set("data_dir='a b'").data_dir)
    assert.are.equal("a=b", set("data_dir=a=b").data_dir)
    assert.are.equal("json", set("log_format=json").log_format)
    assert.are.same({ { host = "::1", port = 0 } }, set("client_address=[::1]:0").client_address)
    assert.are.equal(2, #set('client_address={"a:1","b:2"}').client_address)
  end)

  it("takes lists of words", function()
    assert.are.equal("*", set("four_letter_words=*").four_letter_words)
    assert.are.same({ "ruok", "stat" }, set("four_letter_words=stat, ruok").four_letter_words)
    assert.are.same({ "ruok" }, set('four_letter_words={"ruok"}').four_letter_words)
  end)

  it("names itself in errors", function()
    local function message(...)
      local _, text = load_text(option "", { ... })
      return text
    end
    assert.are.equal("--set tick_time_ms=x: tick_time_ms is \"x\", "
      .. "but must be an integer from 1 to 1000000 (ms)", message("tick_time_ms=x"))
    assert.are.equal("--set tick_tim_ms=1: there is no option tick_tim_ms (value 1), "
      .. "did you mean tick_time_ms?", message("tick_tim_ms=1"))
    assert.are.equal("--set nonsense: must be --set name=value", message("nonsense"))
    assert.are.equal("--set client_address={: client_address is \"{\", but must be \"host:port\" "
      .. "or \"[v6 address]:port\", or a list of them", message("client_address={"))
  end)
end)

describe("config files by kind", function()
  it("are told by name, or else by content", function()
    assert.is_true(config.is_zoo_cfg("zoo.cfg", ""))
    assert.is_true(config.is_zoo_cfg("zoo.cfg.dynamic", ""))
    assert.is_true(config.is_zoo_cfg("zk.properties", "return {}"))
    assert.is_false(config.is_zoo_cfg("server.lua", "a=b"))
    assert.is_true(config.is_zoo_cfg("zk", "\n# comment\n"))
    assert.is_true(config.is_zoo_cfg("zk", "tickTime=2000\n"))
    assert.is_false(config.is_zoo_cfg("zk", "-- comment\nreturn {}"))
    assert.is_false(config.is_zoo_cfg("zk", "#!/usr/bin/env moonkeeper\nlocal a = 1"))
    assert.is_false(config.is_zoo_cfg("zk", "local a = 1"))
    assert.is_false(config.is_zoo_cfg("zk", ""))
  end)
end)
