-- SPDX-License-Identifier: MIT
-- Sends four-letter words to servers over plain TCP, to all of them at once, and waits for the
-- answers. Called by cli/doctor.lua. Uses luv on the loop of the command line, which nothing else
-- runs; every handle is closed before it returns.

local uv = require "luv"

local M = {}

-- A longer answer is cut off: mntr has 30 KB, and a stranger may send without end.
local ANSWER_BYTES_MAX <const> = 1 << 20

local REASONS <const> = {
  ECONNREFUSED = "connection refused", ECONNRESET = "the connection was reset",
  EHOSTUNREACH = "no route to the host", ENETUNREACH = "no route to the network",
  EAI_NONAME = "the name is not known", EAI_AGAIN = "the name server does not answer",
  ETIMEDOUT = "no connection in time",
}

---@class doctor.answer
---@field text string? all that came until the server closed the connection
---@field error string? why there is no text, in words
---@field stage string? where it failed: "name", "connect" or "answer"

-- luv of Debian tells "NAME: text" in one string, or only the name.
local function reason(failed)
  local name = tostring(failed):match "^[%u_%d]+" or ""
  return REASONS[name] or tostring(failed)
end

-- One word to one address; finish(answer) is called exactly once.
local function ask_word(address, word, timeout_ms, finish)
  local socket, timer = uv.new_tcp(), uv.new_timer()
  local pieces, bytes, stage, done = {}, 0, "connect", false
  local function stop(failed)
    if done then
      return
    end
    done = true
    timer:close()
    socket:close()
    if failed and bytes == 0 then
      finish { error = failed, stage = stage }
    else
      finish { text = table.concat(pieces) }
    end
  end
  local function on_read(failed, data)
    if data and bytes + #data <= ANSWER_BYTES_MAX then
      pieces[#pieces + 1] = data
      bytes = bytes + #data
      return
    end
    stop(failed and reason(failed) or data and "the answer has no end"
      or bytes == 0 and "it closed the connection without an answer" or nil)
  end
  timer:start(timeout_ms, 0, function()
    stop(("no %s within %g s"):format(stage == "connect" and "connection" or "answer",
      timeout_ms / 1000))
  end)
  local started, why = socket:connect(address.ip, address.port, function(failed)
    if done then
      return
    elseif failed then
      return stop(reason(failed))
    end
    stage = "answer"
    socket:write(word)
    socket:read_start(on_read)
  end)
  if not started then
    stop(reason(why))
  end
end

local function failed_all(words, answer)
  local answers = {}
  for _, word in ipairs(words) do
    answers[word] = answer
  end
  return answers
end

-- The first word shows whether the others are worth a connection: a server that is frozen costs
-- one timeout.
local function ask_server(address, words, timeout_ms, finish)
  ask_word(address, words[1], timeout_ms, function(first)
    if first.error or #words == 1 then
      return finish(failed_all(words, first))
    end
    local answers, open = { [words[1]] = first }, #words - 1
    for index = 2, #words do
      ask_word(address, words[index], timeout_ms, function(answer)
        answers[words[index]] = answer
        open = open - 1
        if open == 0 then
          finish(answers)
        end
      end)
    end
  end)
end

local function resolve(address, words, timeout_ms, finish)
  local done, request = false, nil
  local timer = uv.new_timer()
  local function stop(ip, message)
    if done then
      return
    end
    done = true
    timer:close()
    if not ip then
      return finish(failed_all(words, { error = message, stage = "name" }))
    end
    ask_server({ ip = ip, port = address.port }, words, timeout_ms, finish)
  end
  timer:start(timeout_ms, 0, function()
    if request then
      uv.cancel(request)
    end
    stop(nil, REASONS.EAI_AGAIN)
  end)
  local why
  request, why = uv.getaddrinfo(address.host, nil, { socktype = "stream" },
    function(failed, found)
      stop(found and found[1] and found[1].addr, failed and reason(failed) or REASONS.EAI_NONAME)
    end)
  if not request then
    stop(nil, reason(why))
  end
end

---@param addresses { host: string, port: integer }[]
---@param words string[]
---@param timeout_ms integer for each word, and for the look-up of a name
---@return table<string, doctor.answer>[] answers by word, in the order of the addresses
function M.ask(addresses, words, timeout_ms)
  local all, open = {}, #addresses
  -- a server that closes before it is asked must not end this process
  local broken_pipe = uv.new_signal()
  broken_pipe:start("sigpipe", function() end)
  for index, address in ipairs(addresses) do
    resolve(address, words, timeout_ms, function(answers)
      all[index] = answers
      open = open - 1
    end)
  end
  while open > 0 do
    uv.run "once"
  end
  uv.run "nowait" -- what was closed last
  broken_pipe:close()
  uv.run "nowait"
  return all
end

---@param milliseconds integer
function M.wait(milliseconds)
  uv.sleep(milliseconds)
end

return M
