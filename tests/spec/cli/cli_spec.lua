-- SPDX-License-Identifier: MIT
-- The command line over a made-up moonkeeper.core: exit codes, what goes to stdout and what to
-- stderr, and what `run` hands to the core.

-- luacheck: ignore 122
local real_stderr, real_write, real_path = io.stderr, io.write, package.path

describe("the command line", function()
  local out, err, served, main, serve_result, check_result, logged, log_problem

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
    out, err, served, logged, log_problem = {}, {}, nil, nil, nil
    serve_result, check_result = { 0 }, { "all is well\n", true }
    forget()
    package.loaded["moonkeeper.core"] = {
      version = "9.8.7", build_date = "2026-05-24 12:00 UTC", bundle_list = bundle_list,
      bundle_read = bundle_read,
      open_log = function()
        logged = {}
        return not log_problem or nil, log_problem
      end,
      log = function(level, component, text)
        table.insert(logged, { level, component, text })
      end,
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
    for _, name in ipairs { "run", "check", "doctor", "version", "help" } do
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
    for _, name in ipairs { "run", "check", "doctor", "version", "help" } do
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

  it("tells what it has to tell in the log where stderr is one for machines", function()
    serve_result = { nil, "no reason" }
    with_file("dataDir=/d\nclientPort=2181\ninitLimit=5\n", ".cfg", function(path)
      local code, _, stderr = run("run", path, "--set", "log_format=json")
      assert.are.equal(1, code)
      assert.are.equal("", stderr)
      assert.are.same({ "error", "server", "the server did not start: no reason" }, logged[#logged])
      assert.are.equal("info", logged[1][1])
      assert.are.equal(path .. ":3: initLimit: ignored", logged[1][3]:match("^.-ignored"))
      assert.are.equal("warn", logged[2][1])

      run("run", path, "--set", "log_format=json", "--set", "log_file=/l")
      assert.are.same({ "error", "server", "the server did not start: no reason" }, logged[#logged])
      -- and for whoever looks at the terminal
      assert.is_truthy(table.concat(err):find("moonkeeper: the server did not start: no reason\n",
        1, true))

      log_problem, served = "log_file: cannot open /l: no such thing", nil
      run("run", path, "--set", "log_format=json", "--set", "log_file=/l")
      local refusal = { "error", "server", "the server did not start: " .. log_problem }
      assert.are.same({ refusal }, logged)
      assert.is_nil(served)
    end)
  end)

  it("has help wherever it is asked for", function()
    for _, words in ipairs { { "run", "x.lua", "--help" }, { "run", "--set", "a=b", "-h" },
      { "check", "dir", "--help" }, { "check", "a", "b", "c", "-h" }, { "version", "-h" },
      { "help", "--help" }, { "run", "--what", "--help" } } do
      out, err = {}, {}
      local code, stdout, stderr = run(table.unpack(words))
      assert.are.equal(0, code)
      assert.are.equal("", stderr)
      assert.is_truthy(stdout:find("^usage: moonkeeper " .. words[1]))
    end
    assert.is_nil(served)
  end)

  it("names what is wrong with the arguments", function()
    for words, message in pairs {
      ["run"] = "run: FILE is missing",
      ["run a b"] = "run: FILE is the last argument, there can be no b",
      ["run --chekc a"] = "run: there is no option --chekc, did you mean --check?",
      ["run a --check=1"] = "run: --check takes no value",
      ["run a --set"] = "run: --set wants name=value",
      ["run a --set x"] = 'run: --set wants name=value, not "x"',
      ["run a --set="] = 'run: --set wants name=value, not ""',
      ["run a --set =1"] = 'run: --set wants name=value, not "=1"',
      ["run --"] = "run: FILE is missing",
      ["check"] = "check: DIR is missing",
      ["check a b c"] = "check: LOG_DIR is the last argument, there can be no c",
      ["check --quick a"] = "check: there is no option --quick",
      ["version x"] = "version: it takes no arguments, but here is x",
      ["help run check"] = "help: TOPIC is the last argument, there can be no check",
    } do
      out, err = {}, {}
      local arguments = {}
      for word in words:gmatch "%S+" do
        arguments[#arguments + 1] = word
      end
      local code, stdout, stderr = run(table.unpack(arguments))
      assert.are.equal(2, code, words)
      assert.are.equal("", stdout)
      assert.are.equal("moonkeeper " .. message, stderr:match("^[^\n]*"))
      assert.is_truthy(stderr:find("\nusage: moonkeeper " .. arguments[1], 1, true))
    end
    out, err = {}, {}
    assert.is_truthy(select(3, run("run", "")):find("^moonkeeper run: FILE is empty\n"))
    assert.is_nil(served)
  end)

  it("takes what stands behind -- as it is", function()
    run("check", "--", "-dir", "--help")
    assert.are.same({ "-dir", "--help" }, served)
  end)

  it("names the nearest option", function()
    local code, _, stderr = run "--verson"
    assert.are.equal(2, code)
    assert.is_truthy(stderr:find("there is no option --verson, did you mean --version?", 1, true))
    _, _, stderr = run "--lua-path"
    assert.is_truthy(stderr:find("it wants DIR", 1, true))
  end)

  it("takes wrong usage of run for 2", function()
    assert.are.equal(2, (run "run"))
    assert.are.equal(2, (run("run", "a", "b")))
    assert.are.equal(2, (run("run", "--what", "a")))
    assert.are.equal(2, (run("run", "a", "--set")))
    assert.is_nil(served)
  end)
end)
