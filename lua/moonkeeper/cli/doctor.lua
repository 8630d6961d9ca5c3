-- SPDX-License-Identifier: MIT
-- moonkeeper doctor HOST:PORT[,HOST:PORT...] ...: asks (doctor/ask.lua), understands
-- (doctor/answers.lua, ensemble.lua), judges (findings.lua, figures.lua) and tells (report.lua).

local check = require "moonkeeper.server.check"

local SERVERS_MAX <const> = 64
local SECONDS_MAX <const> = 600
-- A learner that has what the leader had this long ago does not lag.
local LAG_MS <const> = 1000

local M = {
  usage = "moonkeeper doctor HOST:PORT[,HOST:PORT ...] [--json] [--timeout SECONDS]",
  summary = "how an ensemble is, what is wrong, what to do",
  positionals = { { name = "HOST:PORT", key = "hosts", many = true } },
  options = {
    ["--json"] = { key = "json" },
    ["--timeout"] = { key = "timeouts", value = "SECONDS", pattern = "^%d+%.?%d*$" },
  },
  help = [[
Asks servers, moonkeeper's or Apache ZooKeeper's, by four-letter words on their client ports, and
says who leads and who follows how closely, who is away, whether there is a quorum; then what is
wrong, with what to do about it. Name all members: addresses divided by commas, or several
arguments. Nothing is changed.

It makes the best of srvr, which servers answer by default. With mntr, conf and isro open it also
sees slow disks, quotas, descriptors, ids and lists of servers that disagree; a note says what is
closed. --json prints one object for programs. --timeout is how long one answer may take, 5 seconds
if it is not said.

Exit code 0: nothing is wrong. 1: there are findings. 2: wrong usage.]],
}

---@param arguments string[]
---@return { host: string, port: integer, text: string }[]? addresses each once; nil: wrong
---@return string? message
local function read_addresses(arguments)
  local addresses, seen = {}, {}
  for _, argument in ipairs(arguments) do
    for text in (argument .. ","):gmatch "%s*([^,]-)%s*," do
      local address = check.address(text)
      if not address or address.port == 0 then
        return nil, ("%s is no HOST:PORT"):format(check.show(text))
      elseif not seen[text] then
        seen[text] = true
        address.text = text
        addresses[#addresses + 1] = address
      end
    end
  end
  if #addresses > SERVERS_MAX then
    return nil, ("these are more than %d servers"):format(SERVERS_MAX)
  end
  return addresses
end

-- Asks those that were behind again, after a moment: only then it is a lag.
local function find_lag(ask, answers, ensembles, ensemble, addresses, timeout_ms)
  local behind = ensembles.behind(ensemble)
  if #behind == 0 then
    return
  end
  ask.wait(LAG_MS)
  local places = {}
  for index, server in ipairs(behind) do
    for _, address in ipairs(addresses) do
      if address.text == server.address then
        places[index] = address
      end
    end
  end
  local again = ask.ask(places, { "srvr" }, timeout_ms)
  for index, server in ipairs(behind) do
    local zxid = answers.zxid(again[index].srvr)
    if zxid and zxid < ensemble.leaders[1].zxid then
      server.zxid, server.lagging = zxid, LAG_MS / 1000
    elseif zxid then
      server.zxid = zxid
    end
  end
end

---@param addresses { host: string, port: integer, text: string }[]
---@param timeout_ms integer
---@return doctor.ensemble
---@return doctor.finding[]
local function examine(addresses, timeout_ms)
  local ask = require "moonkeeper.doctor.ask"
  local answers = require "moonkeeper.doctor.answers"
  local ensembles = require "moonkeeper.doctor.ensemble"
  local servers = {}
  for index, found in ipairs(ask.ask(addresses, answers.WORDS, timeout_ms)) do
    servers[index] = answers.read(addresses[index].text, found)
  end
  local ensemble = ensembles.see(servers)
  find_lag(ask, answers, ensembles, ensemble, addresses, timeout_ms)
  local found = require "moonkeeper.doctor.findings".find(ensemble)
  require "moonkeeper.doctor.figures".find(ensemble, found)
  return ensemble, found
end

local function wrong(message)
  io.stderr:write(("moonkeeper doctor: %s\nusage: %s\n"):format(message, M.usage))
  return 2
end

---@param parsed { hosts: string[], json: boolean, timeouts: string[] }
---@return integer exit_code
function M.run(parsed)
  local addresses, message = read_addresses(parsed.hosts)
  if not addresses then
    return wrong(message)
  end
  local seconds = tonumber(parsed.timeouts[#parsed.timeouts] or 5)
  if seconds < 0.001 or seconds > SECONDS_MAX then
    return wrong(("--timeout is from 0.001 to %d seconds"):format(SECONDS_MAX))
  elseif not pcall(require, "luv") then
    io.stderr:write("moonkeeper doctor: this executable was built without luv, which it needs\n")
    return 1
  end
  local ensemble, found = examine(addresses, math.ceil(seconds * 1000))
  local report = require "moonkeeper.doctor.report"
  if parsed.json then
    io.write(require "moonkeeper.doctor.json".encode(report.table(ensemble, found)), "\n")
  else
    io.write(report.text(ensemble, found))
  end
  return #found == 0 and 0 or 1
end

return M
