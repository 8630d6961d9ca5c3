-- SPDX-License-Identifier: MIT
-- What the figures of each server alone tell (srvr and mntr): a slow disk, waiting requests, few
-- free descriptors, quotas, damage, elections without end. Called by cli/doctor.lua. Pure.

local ensembles = require "moonkeeper.doctor.ensemble"

local M = {}

-- A sync on a good disk takes a few ms at most; 1000 ms is what servers themselves warn of.
local SYNC_MEAN_MS <const>, SYNC_MAX_MS <const> = 50, 1000
-- As many make an Apache server stop reading (globalOutstandingLimit).
local OUTSTANDING <const> = 1000
local DESCRIPTORS_SHARE <const> = 0.8
local ELECTIONS <const>, ELECTION_EVERY_MS <const> = 5, 600000

local function disk(server, figures, add)
  local mean, longest = figures.avg_fsynctime or 0, figures.max_fsynctime or 0
  if mean < SYNC_MEAN_MS and longest < SYNC_MAX_MS then
    return
  end
  add("slow_disk", server, ("has a slow disk: a sync of the log took %.0f ms in the mean and up to "
    .. "%.0f ms, counted since it started or since srst."):format(mean, longest),
    "Every write waits for it. Give the log a disk of its own (data_log_dir, dataLogDir), or a "
    .. "faster one; see who else writes there. srst begins the count anew.")
end

local function outstanding(server, figures, add)
  local count = server.outstanding or figures.outstanding_requests or 0
  if count >= OUTSTANDING then
    add("many_outstanding", server, ("has %d requests that wait for an answer."):format(count),
      "It gets more than it can do. See its disk and its followers' first; the word cons shows "
      .. "which clients send most.")
  end
end

local function descriptors(server, figures, add)
  local open, most = figures.open_file_descriptor_count, figures.max_file_descriptor_count
  if open and most and most > 0 and open / most >= DESCRIPTORS_SHARE then
    add("few_descriptors", server, ("has %.0f of %.0f file descriptors in use: soon it can take no "
      .. "connection and open no log."):format(open, most),
      "Raise the limit (LimitNOFILE of systemd, ulimit -n) and restart it; see with cons who opens "
      .. "so many connections.")
  end
end

local function damage(server, figures, add)
  local mismatches = figures.digest_mismatches_count or 0
  if mismatches > 0 then
    add("digest_mismatch", server, ("found %.0f times that its tree is not what the transactions "
      .. "should have made of it."):format(mismatches),
      "Its tree differs from the others', and so do its answers. Stop it, move its data directory "
      .. "away and start it empty while all the others are up: it gets the leader's tree.")
  end
  local errors = figures.unrecoverable_error_count or 0
  if errors > 0 then
    add("internal_error", server, ("had %.0f errors after which it cannot go on well."):format(
      errors), "Restart it, and see its log.")
  end
end

local function elections(server, figures, add)
  local count, uptime = figures.looking_count or 0, figures.uptime or 0
  if count >= ELECTIONS and uptime / count < ELECTION_EVERY_MS then
    add("many_elections", server, ("looked for a leader %.0f times within %.0f s."):format(count,
      uptime / 1000), "See in its log why it lost the leader each time: pauses, the network, a "
      .. "slow disk.")
  end
end

local function voters(server, figures, add)
  local count = figures.synced_non_voting_followers or 0
  if count > 0 then
    add("follows_without_vote", server, ("is followed by %.0f that its list of servers does not "
      .. "have."):format(count), "They have no vote. Give all members one list, and restart those "
      .. "that have another.")
  end
end

local units <const> = { count = "znodes", bytes = "bytes" }

local function quotas(server, figures, add)
  local namespaces = {}
  for name in pairs(figures) do
    local namespace, kind = name:match "^(.+)_quota_(%l+)_usage_per_namespace$"
    if namespace and units[kind] then
      namespaces[#namespaces + 1] = { namespace, kind }
    end
  end
  table.sort(namespaces, function(a, b)
    return a[1] .. a[2] < b[1] .. b[2]
  end)
  for _, pair in ipairs(namespaces) do
    local namespace, kind = pair[1], pair[2]
    local used = figures[("%s_quota_%s_usage_per_namespace"):format(namespace, kind)]
    local limit = figures[("%s_quota_%s_limit_per_namespace"):format(namespace, kind)] or -1
    if limit >= 0 and used > limit then
      add("quota_exceeded", server, ("counts %.0f %s below /%s, and its quota allows %.0f."):format(
        used, units[kind], namespace, limit), "Delete what is not needed there, or raise the quota "
        .. "(setquota).")
    end
  end
end

---@param ensemble doctor.ensemble
---@param found doctor.finding[] to which it adds
function M.find(ensemble, found)
  local has_quotas = false -- they are the same everywhere: one server tells them
  local function add(code, server, text, advice)
    found[#found + 1] = { code = code, servers = { server.address }, advice = advice,
      text = ensembles.name(server) .. " " .. text }
  end
  for _, servers in ipairs { ensemble.leaders, ensemble.servers } do
    for _, server in ipairs(servers) do
      if not has_quotas and next(server.figures) then
        quotas(server, server.figures, add)
        has_quotas = true
      end
    end
  end
  for _, server in ipairs(ensemble.servers) do
    for _, find in ipairs { disk, outstanding, descriptors, damage, elections, voters } do
      find(server, server.figures, add)
    end
  end
end

return M
