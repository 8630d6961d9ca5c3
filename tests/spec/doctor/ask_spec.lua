-- SPDX-License-Identifier: MIT
-- The questions of `moonkeeper doctor` over real sockets, to servers that answer well, in pieces,
-- not at all, without an end; and the command itself over them.

local ask = require "moonkeeper.doctor.ask"
local captured = dofile "tests/spec/doctor/captured.lua"
local uv = require "luv"

-- luacheck: ignore 122
local real_stderr, real_write = io.stderr, io.write

describe("doctor's questions", function()
  local opened

  -- A server on loopback that calls behave(socket, word) for each; its address.
  local function serve(behave)
    local listener = uv.new_tcp()
    assert(listener:bind("127.0.0.1", 0))
    opened[#opened + 1] = listener
    assert(listener:listen(16, function()
      local socket = uv.new_tcp()
      listener:accept(socket)
      opened[#opened + 1] = socket
      socket:read_start(function(_, data)
        if data then
          behave(socket, data)
        end
      end)
    end))
    return { host = "127.0.0.1", port = listener:getsockname().port }
  end

  local function answering(role)
    return serve(function(socket, word)
      socket:write(captured.moonkeeper[role][word])
      socket:shutdown()
    end)
  end

  local function close_all()
    for _, handle in ipairs(opened) do
      if not handle:is_closing() then
        handle:close()
      end
    end
    uv.run "nowait"
  end

  local function broken_pipes_are_caught()
    local caught = false
    uv.walk(function(handle)
      caught = caught or uv.handle_get_type(handle) == "signal" and handle:is_active()
    end)
    return caught
  end

  before_each(function()
    opened = {}
  end)

  after_each(function()
    io.stderr, io.write = real_stderr, real_write
    close_all()
  end)

  -- Nothing may stay open of those that ask.
  local function handles()
    local count = 0
    uv.walk(function(handle)
      count = count + (handle:is_closing() and 0 or 1)
    end)
    return count
  end

  it("bring each answer of each server", function()
    local before = handles()
    local places = { answering "leader", answering "follower" }
    local found = ask.ask(places, { "srvr", "mntr", "ruok" }, 5000)
    for index, role in ipairs { "leader", "follower" } do
      for _, word in ipairs { "srvr", "mntr", "ruok" } do
        assert.are.equal(captured.moonkeeper[role][word], found[index][word].text)
      end
    end
    close_all()
    assert.are.equal(before, handles())
  end)

  it("put pieces together", function()
    local place = serve(function(socket)
      local rest = { "o", "k" }
      socket:write "im"
      local timer = uv.new_timer()
      opened[#opened + 1] = timer
      timer:start(5, 5, function()
        if #rest == 0 then
          timer:stop()
          socket:shutdown()
        else
          socket:write(table.remove(rest, 1))
        end
      end)
    end)
    assert.are.equal("imok", ask.ask({ place }, { "ruok" }, 5000)[1].ruok.text)
  end)

  it("tell why there is no answer", function()
    local free = serve(function() end)
    opened[1]:close()
    uv.run "nowait"
    local mute = serve(function() end)
    local shut = serve(function(socket)
      socket:shutdown()
    end)
    local found = ask.ask({ free, mute, shut, { host = "no-such-name.invalid", port = 1 } },
      { "srvr", "ruok" }, 300)
    assert.are.same({ error = "connection refused", stage = "connect" }, found[1].srvr)
    assert.are.same({ error = "no answer within 0.3 s", stage = "answer" }, found[2].srvr)
    assert.are.same(found[2].srvr, found[2].ruok) -- asked once
    assert.are.same({ error = "it closed the connection without an answer", stage = "answer" },
      found[3].srvr)
    assert.are.equal("name", found[4].srvr.stage)
  end)

  it("take no answer without end", function()
    local piece, before = ("x"):rep(65536), uv.hrtime()
    local caught
    local place = serve(function(socket)
      if caught == nil then -- who writes to what is closed would end this process
        caught = broken_pipes_are_caught()
        local own = uv.new_signal()
        own:start("sigpipe", function() end)
        opened[#opened + 1] = own
      end
      local function more(failed)
        if not failed and not socket:is_closing() then
          socket:write(piece, more)
        end
      end
      more()
    end)
    local text = ask.ask({ place }, { "srvr" }, 5000)[1].srvr.text
    assert.is_true(#text <= 1 << 20)
    assert.is_true(caught)
    assert.is_true(uv.hrtime() - before < 5e9)
  end)

  local function run(...)
    local out, err = {}, {}
    io.write = function(...)
      out[#out + 1] = table.concat { ... }
    end
    io.stderr = { write = function(self, ...)
      err[#err + 1] = table.concat { ... }
      return self
    end }
    local doctor = require "moonkeeper.cli.doctor"
    local parsed = assert(require "moonkeeper.cli.arguments".parse({ ... }, doctor))
    local code = doctor.run(parsed)
    io.write, io.stderr = real_write, real_stderr
    return code, table.concat(out), table.concat(err)
  end

  local function text(place)
    return place.host .. ":" .. place.port
  end

  it("are the command's", function()
    local leader, follower = text(answering "leader"), text(answering "follower")
    local code, out, err = run(leader .. "," .. follower, leader)
    assert.are.equal("", err)
    assert.are.equal(0, code, out)
    assert.is_truthy(out:find(("^server 3 %%(%s%%) leads"):format(leader)))
    local _, count = out:gsub(leader, "")
    assert.are.equal(1, count)
    code, out = run("--json", "--timeout=0.5", leader, text(serve(function() end)))
    assert.are.equal(1, code)
    assert.are.equal("silent", require "cjson".decode(out).servers[2].state)
  end)

  it("go to followers again that seem behind", function()
    local zxid = 8
    local function at(role, now)
      return text(serve(function(socket, word)
        local answer = captured.moonkeeper[role][word]:gsub("Zxid: 0x0", "Zxid: " .. now(word))
        socket:write(answer)
        socket:shutdown()
      end))
    end
    local leader = at("leader", function()
      return "0x10000000a"
    end)
    local follower = at("follower", function(word)
      zxid = zxid + (word == "srvr" and 1 or 0)
      return ("0x1%08x"):format(zxid)
    end)
    local code, out = run(leader, follower) -- 9, then 10
    assert.are.equal(0, code, out)
    assert.is_truthy(out:find("follows, up to date, zxid 0x10000000a", 1, true))
    zxid = 3
    code, out = run(leader, follower) -- 4, then 5
    assert.are.equal(1, code)
    assert.is_truthy(out:find("it still lacks transactions that the leader had before (5 trans",
      1, true), out)
  end)

  it("want addresses and a time", function()
    for _, wrong in ipairs { { "localhost" }, { "a:0" }, { "a:1,," }, { "a:1", "--timeout=0" },
      { "a:1", "--timeout=601" } } do
      local code, out, err = run(table.unpack(wrong))
      assert.are.equal(2, code)
      assert.are.equal("", out)
      assert.is_truthy(err:find "^moonkeeper doctor: .*\nusage: moonkeeper doctor HOST:PORT")
    end
  end)
end)
