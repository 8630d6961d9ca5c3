-- SPDX-License-Identifier: MIT
-- The command line over a made-up moonkeeper.core: exit codes, what goes to stdout and what to
-- stderr, and what `run` hands to the core.

-- luacheck: ignore 122
local real_stderr, real_write, real_path = io.stderr, io.write, package.path

describe("the command line", function()
  local out, err, served, main, serve_result, check_result

  local function bundle_list(prefix)
    local paths = {}
    for path in assert(io.popen("ls " .. prefix .. "*.lua")):lines() do
      paths[#paths + 1] = path
    end
    return paths
  end

  local function bundle_read(path)
    local file = io.open(path)
    local text = file and file:read("a")
    if file then
      file:close()
    end
    return text
  end

  local function forget()
    for name in pairs(package.loaded) do
      if name:find("^moonkeeper%.cli%.") or name == "moonkeeper.core" then
        package.loaded[name] = nil
      end
    end
  end

  before_each(function()
    out, err, served = {}, {}, nil
    serve_result, check_result = { 0 }, { "all is well\n", true }
    forget()
    package.loaded["moonkeeper.core"] = {
      version = "9.8.7", build_date = "2026-05-24 12:00 UTC", bundle_list = bundle_list,
      bundle_read = bundle_read,
      serve = function(config, words, answer, on_started)
        served = { config = config, words = words, answer = answer }
        if serve_result[1] then
          on_started { { host = "127.0.0.1", port = 4711 }, { host = "::1", port = 4712 } }
        end
        return table.unpack(serve_result, 1, 2)
      end,
      check = function(...)
        served = { ... }
        return table.unpack(check_result, 1, 3)
      end,
    }
    io.stderr = { write = function(self, ...)
      err[#err + 1] = table.concat { ... }
      return self
    end }
    io.write = function(...)
      out[#out + 1] = table.concat { ... }
    end
    _G.print = function(...)
      out[#out + 1] = table.concat({ ... }, "\t") .. "\n"
    end
    main = require "moonkeeper.cli.main"
  end)

  local real_print = print
  after_each(function()
    io.stderr, io.write, _G.print = real_stderr, real_write, real_print
    package.path = real_path -- a script may require what lies beside it
    forget()
  end)

  local function run(...)
    local code = main { ... }
    return code, table.concat(out), table.concat(err)
  end

  local function with_file(text, suffix, body)
    local path = os.tmpname()
    os.remove(path)
    path = path .. suffix
    local file = assert(io.open(path, "w"))
    file:write(text)
    file:close()
    local good, message = pcall(body, path)
    os.remove(path)
    assert(good, message)
  end

  it("without a command says what there is, as wrong usage", function()
    local code, stdout, stderr = run()
    assert.are.equal(2, code)
    assert.are.equal("", stdout)
    assert.is_truthy(stderr:find("moonkeeper run FILE", 1, true))
  end)

  it("offers only what there is", function()
    local _, stdout = run "help"
    for _, name in ipairs { "run", "check", "version", "help" } do
      assert.is_truthy(stdout:find("\n  moonkeeper " .. name, 1, true))
    end
    assert.is_nil(stdout:find("shell", 1, true))
  end)

  it("names the nearest command", function()
    local code, _, stderr = run "chekc"
    assert.are.equal(2, code)
    assert.is_truthy(stderr:find("there is no command chekc, did you mean check?", 1, true))
    code, _, stderr = run "frobnicate"
    assert.are.equal(2, code)
    assert.is_truthy(stderr:find("there is no command frobnicate\n", 1, true))
  end)

  it("tells its version", function()
    for _, word in ipairs { "version", "--version", "-V" } do
      out = {}
      local code, stdout = run(word)
      assert.are.equal(0, code)
      assert.are.equal("moonkeeper 9.8.7, built on 2026-05-24 12:00 UTC, Lua 5.4\n", stdout)
    end
  end)

  it("has help on each command, on words and on options", function()
    for _, name in ipairs { "run", "check", "version", "help" } do
      out = {}
      local code, stdout = run("help", name)
      assert.are.equal(0, code)
      assert.is_truthy(stdout:find("^usage: moonkeeper " .. name))
    end
    out = {}
    local _, stdout = run("help", "words")
    assert.is_truthy(stdout:find("  ruok  imok", 1, true))
    out = {}
    _, stdout = run("help", "options")
    assert.are.equal(require "moonkeeper.server.sample".text(), stdout)
    out = {}
    _, stdout = run("help", "reference")
    assert.are.equal(require "moonkeeper.server.reference".page(), stdout)
    assert.are.equal(2, (run("help", "nothing")))
  end)

  it("has help behind each command", function()
    for _, flag in ipairs { "--help", "-h" } do
      out = {}
      local code, stdout = run("run", flag)
      assert.are.equal(0, code)
      assert.is_truthy(stdout:find("^usage: moonkeeper run FILE"))
    end
  end)

  it("has help on each option, by either name", function()
    for _, name in ipairs { "tick_time_ms", "tickTime", "zookeeper.tickTime" } do
      out = {}
      local code, stdout = run("help", name)
      assert.are.equal(0, code)
      assert.is_truthy(stdout:find("^tick_time_ms\n"))
      assert.is_truthy(stdout:find("default   2000\n", 1, true))
    end
    local code, _, stderr = run("help", "tick_time_sm")
    assert.are.equal(2, code)
    assert.is_truthy(stderr:find("did you mean tick_time_ms?", 1, true))
  end)

  it("checks a directory", function()
    local code, stdout = run("check", "/data", "/log")
    assert.are.equal(0, code)
    assert.are.equal("all is well\n", stdout)
    assert.are.same({ "/data", "/log" }, served)
    check_result = { "rot\n", false }
    assert.are.equal(1, (run("check", "/data")))
    check_result = { "no data\n", true, true }
    assert.are.equal(2, (run("check", "/data")))
    check_result = { nil, "/data: no such directory" }
    local failed, _, stderr = run("check", "/data")
    assert.are.equal(1, failed)
    assert.are.equal("moonkeeper check: /data: no such directory\n", stderr)
    assert.are.equal(2, (run "check"))
    assert.are.equal(2, (run("check", "--what")))
  end)

  it("runs a script, and prints where it listens", function()
    with_file('return { data_dir = "d", start_message = "go to {address} {port} {host} {x}" }',
      ".lua", function(path)
        local code, stdout, stderr = run("run", path, "--set", "tick_time_ms=100",
          "--set=id=7")
        assert.are.equal("", stderr)
        assert.are.equal(0, code)
        assert.are.equal("listening on 127.0.0.1:4711\nlistening on [::1]:4712\n"
          .. "go to 127.0.0.1:4711 4711 127.0.0.1 {x}\n", stdout)
        assert.are.equal(100, served.config.tick_time_ms)
        assert.are.equal(7, served.config.id)
        assert.are.equal(18, #served.words)
        assert.are.equal("imok", served.answer("ruok", {}))
        assert.is_truthy(served.answer("mntr", {}):find("not in the whitelist", 1, true))
      end)
  end)

  it("runs a zoo.cfg and tells what it ignores", function()
    with_file("dataDir=/d\nclientPort=2181\ninitLimit=5\n", ".cfg", function(path)
      local code, _, stderr = run("run", path)
      assert.are.equal(0, code)
      assert.is_truthy(stderr:find(path .. ":3: initLimit: ignored", 1, true))
      assert.is_truthy(stderr:find("WARNING: clients can connect from everywhere", 1, true))
    end)
  end)

  it("runs the scripts that it carries", function()
    local code = run("run", "server-scripts/quickstart.lua")
    assert.are.equal(0, code)
    assert.are.equal("*", served.config.four_letter_words)
    assert.are.same({ { host = "127.0.0.1", port = 2181 } }, served.config.client_address)
  end)

  it("lets a script require what lies beside it", function()
    with_file('return { port = "0" }', "neighbour.lua", function(neighbour)
      local name = neighbour:match("([^/]+)%.lua$")
      with_file(('return { data_dir = "d", client_address = "127.0.0.1:" .. require(%q).port }')
        :format(name), ".lua", function(path)
          local code, _, stderr = run("run", path)
          assert.are.equal("", stderr)
          assert.are.equal(0, code)
          assert.are.equal(0, served.config.client_address[1].port)
        end)
    end)
  end)

  it("starts nothing when the file is wrong", function()
    with_file("return { tick_time_ms = 0 }", ".lua", function(path)
      local code, stdout, stderr = run("run", path)
      assert.are.equal(1, code)
      assert.are.equal("", stdout)
      assert.is_truthy(stderr:find(path .. ":1: tick_time_ms is 0", 1, true))
      assert.is_nil(served)
    end)
  end)

  it("only checks with --check", function()
    with_file("return { memory_only = true }", ".lua", function(path)
      local code, stdout = run("run", "--check", path)
      assert.are.equal(0, code)
      assert.are.equal(path .. " is right\n", stdout)
      assert.is_nil(served)
    end)
  end)

  it("says why a server did not start", function()
    serve_result = { nil, "cannot listen on 127.0.0.1 port 1" }
    with_file("return { memory_only = true }", ".lua", function(path)
      local code, _, stderr = run("run", path)
      assert.are.equal(1, code)
      assert.is_truthy(stderr:find("did not start: cannot listen on 127.0.0.1 port 1", 1, true))
    end)
  end)

  it("takes wrong usage of run for 2", function()
    assert.are.equal(2, (run "run"))
    assert.are.equal(2, (run("run", "a", "b")))
    assert.are.equal(2, (run("run", "--what", "a")))
    assert.are.equal(2, (run("run", "a", "--set")))
    assert.is_nil(served)
  end)
end)
