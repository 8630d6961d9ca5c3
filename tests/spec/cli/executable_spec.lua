-- SPDX-License-Identifier: MIT
-- The real executable as a user meets it: commands, checks of real and damaged data directories,
-- a server from its start to SIGTERM. Skipped where it has not been built; MK_BUILD_DIR says
-- where it is, when not in build/.

local uv = require "luv"

local EXECUTABLE <const> = (os.getenv "MK_BUILD_DIR" or "build") .. "/moonkeeper"
local WAIT_MS <const> = 20000
local VECTORS <const> = "tests/vectors/storage"

-- Runs the loop until `done` says so; false after WAIT_MS.
local function wait(done)
  local late = false
  local timer = uv.new_timer()
  timer:start(WAIT_MS, 0, function()
    late = true
  end)
  while not done() and not late do
    uv.run "once"
  end
  timer:close()
  return not late
end

local running = {}

-- A process with its output: { stdout, stderr, code }, growing while the loop runs.
local function start(...)
  local process = { stdout = "", stderr = "" }
  local out, err = uv.new_pipe(), uv.new_pipe()
  local open = 3
  process.handle = assert(uv.spawn(EXECUTABLE, { args = { ... }, stdio = { nil, out, err } },
    function(code, signal)
      process.code, process.signal, open = code, signal, open - 1
    end))
  for name, pipe in pairs { stdout = out, stderr = err } do
    pipe:read_start(function(_, data)
      if data then
        process[name] = process[name] .. data
      else
        pipe:close()
        open = open - 1
      end
    end)
  end
  function process.ended()
    return open == 0
  end
  running[process] = true
  return process
end

local function finish(process)
  assert.is_true(wait(process.ended), "it does not end: " .. process.stderr)
  process.handle:close()
  running[process] = nil
  return process.code, process.stdout, process.stderr
end

local function run(...)
  return finish(start(...))
end

-- Starts a server on `count` addresses; its ports are in `ports`.
local function serve(count, ...)
  local server = start("run", ...)
  server.ports = {}
  assert.is_true(wait(function()
    local _, lines = server.stdout:gsub("listening on [^\n]+\n", "")
    return lines >= count or server.ended()
  end))
  for host, port in server.stdout:gmatch "listening on (%S+):(%d+)\n" do
    server.ports[#server.ports + 1] = { host = host:gsub("[%[%]]", ""), port = tonumber(port) }
  end
  assert.are.equal(count, #server.ports, server.stderr)
  return server
end

local function ask(server, word, number)
  local place = server.ports[number or 1]
  local socket, answer, closed = uv.new_tcp(), "", false
  socket:connect(place.host, place.port, function(failed)
    assert(not failed, failed)
    socket:write(word)
    socket:read_start(function(_, data)
      if data then
        answer = answer .. data
      else
        socket:close()
        closed = true
      end
    end)
  end)
  assert.is_true(wait(function()
    return closed
  end))
  return answer
end

local function stop(server)
  server.handle:kill "sigterm"
  local code, _, log = finish(server)
  assert.are.equal(0, code, log)
  return log
end

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("a")
  file:close()
  return text
end

local function write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

local there = io.open(EXECUTABLE) ~= nil
local test = there and it or pending

describe("the executable", function()
  local folder

  local function script(text)
    write(folder .. "/server.lua", text)
    return folder .. "/server.lua"
  end

  local function vector(name)
    assert(os.execute(("cp -r %s/%s %s/%s"):format(VECTORS, name, folder, name)))
    return folder .. "/" .. name
  end

  before_each(function()
    folder = os.tmpname()
    os.remove(folder)
    assert(uv.fs_mkdir(folder, 448))
  end)

  after_each(function()
    for process in pairs(running) do
      process.handle:kill "sigkill"
      finish(process)
    end
    os.execute("rm -rf " .. folder)
    uv.run() -- what was closed must be gone before Lua ends
  end)

  test("tells its version and its commands", function()
    local code, out = run "version"
    assert.are.equal(0, code)
    assert.is_truthy(out:find("^moonkeeper %d+%.%d+%.%d+, built on 20%d%d%-"))
    code, out = run "help"
    assert.are.equal(0, code)
    assert.is_truthy(out:find("\n  moonkeeper run FILE", 1, true))
    code, out = run("help", "words")
    assert.are.equal(0, code)
    assert.are.equal(18, select(2, out:gsub("\n", "")))
  end)

  test("carries the sample and the reference of this checkout", function()
    assert.are.equal(read "server-scripts/moonkeeper.conf.lua", select(2, run("help", "options")))
    assert.are.equal(read "docs/reference/options.md", select(2, run("help", "reference")))
    assert.are.equal(read "docs/reference/metrics.md", select(2, run("help", "metrics")))
  end)

  test("refuses wrong usage with 2", function()
    for _, arguments in ipairs { {}, { "frobnicate" }, { "run" }, { "check" },
      { "help", "frobnicate" }, { "run", "x", "--what" }, { "version", "x" }, { "--lua-path" } } do
      local code, out, err = run(table.unpack(arguments))
      assert.are.equal(2, code)
      assert.are.equal("", out)
      assert.is_truthy(#err > 10)
    end
  end)

  test("only checks with --check", function()
    local path = script('return { data_dir = "' .. folder .. '/data" }')
    local code, out = run("run", path, "--check")
    assert.are.equal(0, code)
    assert.are.equal(path .. " is right\n", out)
    assert.is_nil(uv.fs_stat(folder .. "/data"))
    code = run("run", "--check", "server-scripts/moonkeeper.conf.lua")
    assert.are.equal(0, code)
  end)

  test("names what is wrong in a script, a line each", function()
    local path = script "return {\n  data_dir = 5,\n  tick_tim_ms = 7,\n}\n"
    local code, out, err = run("run", path)
    assert.are.equal(1, code)
    assert.are.equal("", out)
    assert.are.equal(path .. ":2: data_dir is 5, but must be a string\n" .. path
      .. ":3: there is no option tick_tim_ms (value 7), did you mean tick_time_ms?\n", err)
  end)

  test("checks real data directories", function()
    write(folder .. "/initialize", "") -- for snapshot-variants, which has no logs
    for name, zxid in pairs { ["minimal-3.8.0"] = "0x6", ["ensemble-3.8.0"] = "0x200000008",
      ["ensemble-3.8.0-leader"] = "0x200000008", ["snapshot-variants"] = "0x200000008" } do
      local directory = vector(name)
      local before = io.popen("ls -lR --full-time " .. directory):read "a"
      local code, out, err = run("check", directory)
      assert.are.equal("", err)
      assert.are.equal(0, code)
      assert.is_truthy(out:find("A server starts from this directory at zxid " .. zxid, 1, true))
      assert.are.equal(before, io.popen("ls -lR --full-time " .. directory):read "a")
    end
  end)

  test("tells damage with file and offset", function()
    local directory = vector "ensemble-3.8.0"
    local path = directory .. "/version-2/log.100000014"
    local bytes = read(path)
    write(path, bytes:sub(1, 300) .. "\xff" .. bytes:sub(302))
    local code, out = run("check", directory)
    assert.are.equal(1, code)
    assert.is_truthy(out:find("\nDAMAGE: log.100000014, byte 286: ", 1, true))
    assert.is_truthy(out:find("\nA server refuses to start from this directory: ", 1, true))
    local served, _, log = run("run", script(
      ('return { client_address = "127.0.0.1:0", data_dir = %q }'):format(directory)))
    assert.are.equal(1, served)
    assert.is_truthy(log:find("the server did not start: ", 1, true))
    assert.is_truthy(log:find("version-2/log.100000014, byte 286: ", 1, true))
  end)

  test("starts from what an older snapshot and the logs still hold", function()
    local directory = vector "minimal-3.8.0"
    local path = directory .. "/version-2/snapshot.6"
    write(path, read(path):sub(1, 100))
    local code, out = run("check", directory)
    assert.are.equal(0, code)
    assert.is_truthy(out:find("\nsnapshot.6: not usable\n", 1, true))
    assert.is_truthy(out:find("(snapshot.0 and 6 transactions)", 1, true))
  end)

  test("refuses a snapshot whose logs are nowhere, unless told once that they are", function()
    local directory = vector "minimal-3.8.0"
    assert(os.execute(("mkdir %s/log && mv %s/version-2 %s/log/ && mkdir %s/version-2 && "
      .. "mv %s/log/version-2/snapshot.* %s/version-2/"):format(folder, directory, folder,
      directory, folder, directory)))
    local path = script(('return { data_dir = %q, client_address = "127.0.0.1:0" }')
      :format(directory))
    local code, out, err = run("run", path)
    assert.are.equal(1, code)
    assert.are.equal("", out)
    for _, part in ipairs { directory .. "/version-2/snapshot.6", "data_log_dir", "initialize" } do
      assert.is_truthy(err:find(part, 1, true), err)
    end
    code, out = run("check", directory)
    assert.are.equal(1, code)
    assert.is_truthy(out:find("refuses to start .*data_log_dir"), out)
    assert.are.equal(0, (run("check", directory, folder .. "/log")))

    local copy = folder .. "/copy"
    assert(os.execute(("cp -r %s %s"):format(directory, copy)))
    write(directory .. "/initialize", "")
    code, out = run("check", directory)
    assert.are.equal(0, code)
    assert.is_truthy(out:find("(snapshot.6 and 0 transactions)", 1, true), out)
    stop(serve(1, path))
    assert.is_nil(uv.fs_stat(directory .. "/initialize"))
    stop(serve(1, path)) -- its own now

    write(folder .. "/log/initialize", "") -- where Apache looks; both go, needed or not
    write(copy .. "/initialize", "")
    stop(serve(1, path, "--set", "data_dir=" .. copy, "--set", "data_log_dir=" .. folder .. "/log"))
    assert.is_nil(uv.fs_stat(folder .. "/log/initialize"))
    assert.is_nil(uv.fs_stat(copy .. "/initialize"))
  end)

  test("says that a directory holds no data", function()
    local code, out, err = run("check", folder)
    assert.are.equal(2, code)
    assert.are.equal(folder .. " holds no data: there is nothing to check. A server would start "
      .. "afresh here; is it the right directory?\n", out)
    assert.are.equal("", err)
  end)

  test("says what is lost when all logs are gone", function()
    local path = script(('return { data_dir = %q, client_address = "127.0.0.1:0" }')
      :format(folder .. "/data"))
    local server = serve(1, path)
    local socket, answered = uv.new_tcp(), false
    socket:connect("127.0.0.1", server.ports[1].port, function()
      socket:write(("\0"):rep(3) .. "\x2c" .. ("\0"):rep(14) .. "\x75\x30" .. ("\0"):rep(11)
        .. "\x10" .. ("\0"):rep(16))
      socket:read_start(function()
        answered = true
      end)
    end)
    assert.is_true(wait(function()
      return answered
    end))
    socket:close()
    stop(server)
    os.execute("rm " .. folder .. "/data/version-2/log.*")
    local code, out = run("check", folder .. "/data")
    assert.are.equal(1, code)
    assert.is_nil(out:find("0xffff", 1, true), out)
    assert.is_truthy(out:find("what is left ends at 0x0: acknowledged transactions are lost", 1,
      true), out)
  end)

  test("says that there is no such directory", function()
    local code, out, err = run("check", folder .. "/nothing")
    assert.are.equal(1, code)
    assert.are.equal("", out)
    assert.are.equal("moonkeeper check: cannot open the directory " .. folder
      .. "/nothing: No such file or directory\n", err)
  end)

  test("serves on a free port until SIGTERM", function()
    local path = script(([[
      return { data_dir = %q, client_address = "127.0.0.1:0", four_letter_words = { "mntr" },
        commands = { hiya = function(stats) return "I am " .. stats.role end } }
    ]]):format(folder .. "/data"))
    local server = serve(1, path)
    assert.are.equal("I am standalone", ask(server, "hiya"))
    assert.is_truthy(ask(server, "srvr"):find("\nMode: standalone\n", 1, true))
    assert.is_truthy(ask(server, "mntr"):find("\nzk_znode_count\t5\n", 1, true))
    assert.are.equal("ruok is not executed because it is not in the whitelist.\n",
      ask(server, "ruok"))
    assert.is_truthy(uv.fs_stat(folder .. "/data/version-2"))
    local log = stop(server)
    assert.is_truthy(log:find("stopping because of SIGTERM", 1, true))
  end)

  test("lets nobody else open its directory", function()
    local path = script(('return { data_dir = %q, client_address = "127.0.0.1:0" }')
      :format(folder .. "/data"))
    local server = serve(1, path)
    local code, out, err = run("run", path)
    assert.are.equal(1, code)
    assert.are.equal("", out)
    assert.is_truthy(err:find("the server did not start: .*" .. folder:gsub("%p", "%%%0")
      .. "/data.*another process"), err)
    assert.is_truthy(ask(server, "srvr"):find("Mode: standalone", 1, true))
    stop(server)
    stop(serve(1, path))
  end)

  test("says that a port is taken", function()
    local server = serve(1, script 'return { memory_only = true, client_address = "127.0.0.1:0" }')
    local port = server.ports[1].port
    local code, _, err = run("run", folder .. "/server.lua", "--set",
      "client_address=127.0.0.1:" .. port)
    assert.are.equal(1, code)
    assert.is_truthy(err:find("cannot listen on 127.0.0.1 port " .. port .. ": address already in "
      .. "use", 1, true), err)
    stop(server)
  end)

  test("listens on several addresses, IPv6 too", function()
    local list = { '"127.0.0.1:0"', '"localhost:0"' }
    if io.open "/proc/net/if_inet6" then
      table.insert(list, '"[::1]:0"')
    end
    local server = serve(#list, script(("return { memory_only = true, client_address = { %s } }")
      :format(table.concat(list, ", "))))
    server.ports[2].host = "127.0.0.1"
    for number in ipairs(list) do
      assert.are.equal("imok", ask(server, "ruok", number))
    end
    stop(server)
  end)

  test("writes its log where and how it is told", function()
    local path = script(([[
      return { memory_only = true, client_address = "127.0.0.1:0", log_format = "json",
        log_file = %q, log_level = "info" }
    ]]):format(folder .. "/moonkeeper.log"))
    local server = serve(1, path)
    assert.are.equal("", stop(server))
    local first = read(folder .. "/moonkeeper.log")
    for line in first:gmatch "[^\n]+" do
      assert.is_truthy(line:find('^{"time":"[%d:.TZ-]+","level":"INFO","component":"%l+",'
        .. '"text":".*"}$'), line)
    end
    server = serve(1, path, "--set", "log_level=error")
    assert.are.equal("", stop(server))
    assert.are.equal(first, read(folder .. "/moonkeeper.log"))
    server = serve(1, path, "--set", "log_level=warn", "--set", "memory_only=false", "--set",
      "data_dir=" .. folder .. "/data", "--set", "log_format=text")
    assert.are.equal("", stop(server))
    local _, count = read(folder .. "/moonkeeper.log"):sub(#first + 1):gsub(" INFO ", "")
    assert.are.equal(0, count)
  end)

  test("refuses in the format of its log", function()
    write(folder .. "/zoo.cfg", ("dataDir=%s\ninitLimit=5\nclientPort=0\n"
      .. "clientPortAddress=127.0.0.1\n"):format(folder .. "/zoo.cfg")) -- no directory
    local code, out, err, last
    code, out, err = run("run", folder .. "/zoo.cfg", "--set", "log_format=json")
    assert.are.equal(1, code)
    assert.are.equal("", out)
    for line in err:gmatch "[^\n]+" do
      assert.is_truthy(line:find('^{"time":"[%d:.TZ-]+","level":"%u+","component":"%l+",'
        .. '"text":".*"}$'), line)
      last = line
    end
    assert.is_truthy(err:find("zoo.cfg:2: initLimit: ignored", 1, true))
    assert.is_truthy(last:find('"level":"ERROR","component":"server","text":"the server did not '
      .. 'start: ', 1, true), last)
    code, out, err = run("run", folder .. "/zoo.cfg", "--set", "log_file=" .. folder .. "/no/log",
      "--set", "log_format=json")
    assert.are.equal(1, code)
    assert.are.equal("", out)
    assert.is_truthy(err:find("^{.*the server did not start: log_file: cannot open .*}\n$"), err)
  end)

  test("says that it could not print", function()
    local command = ("%s help options >/dev/full 2>%s/err"):format(EXECUTABLE, folder)
    local _, _, code = os.execute(command)
    assert.are.equal(1, code)
    assert.is_truthy(read(folder .. "/err"):find("^moonkeeper help: cannot write to stdout: "))
  end)

  test("runs a zoo.cfg", function()
    write(folder .. "/zoo.cfg", ("tickTime=2000\ninitLimit=5\ndataDir=%s\nclientPort=0\n"
      .. "clientPortAddress=127.0.0.1\n4lw.commands.whitelist=*\n"):format(folder))
    write(folder .. "/myid", "7\n")
    local server = serve(1, folder .. "/zoo.cfg")
    local conf = ask(server, "conf")
    assert.is_truthy(conf:find("\nserverId=7\n", 1, true), conf)
    local log = stop(server)
    assert.is_truthy(log:find("/zoo.cfg:2: initLimit: ignored", 1, true))
  end)

  test("goes on when an own word loops, eats memory or raises", function()
    local server = serve(1, script [[
      return { memory_only = true, client_address = "127.0.0.1:0", commands = {
        loop = function() while true do end end,
        rept = function() while true do local _ = ("x"):rep(1 << 20) end end,
        bomb = function() local t = {} for i = 1, 1e9 do t[i] = ("x"):rep(1e6) .. i end end,
        fail = function() error "no reason" end,
      }, limits = { lua_memory_bytes = 8 << 20 } }
    ]])
    assert.is_truthy(ask(server, "loop"):find("^loop failed: it ran for too long"))
    assert.is_truthy(ask(server, "rept"):find("^rept failed: it ran for too long"))
    assert.is_truthy(ask(server, "bomb"):find("^bomb failed: "))
    assert.are.equal("fail failed: it raised an error, see the server's log\n",
      ask(server, "fail"))
    assert.are.equal("imok", ask(server, "ruok"))
    local log = stop(server)
    assert.is_truthy(log:find("server.lua:5: no reason", 1, true))
    assert.is_truthy(log:find("server.lua:2: stopped: it ran for too long", 1, true))
  end)
end)
