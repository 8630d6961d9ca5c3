-- SPDX-License-Identifier: MIT
-- What is known of Apache ZooKeeper's releases that can hurt an ensemble. findings.lua asks for
-- it. Facts from Apache's issues of the given numbers and from trials with 3.8.0 and 3.9.4. Pure.

local M = {}

local UPGRADE <const> = "Upgrade Apache to 3.8.6, or to 3.9.4 or later, one server after another."

-- 3.8.2 -> { 3, 8, 2 }; nil when it is something else.
local function parts(version)
  local major, minor, patch = version:match "^(%d+)%.(%d+)%.?(%d*)"
  if major then
    return math.tointeger(tonumber(major)), math.tointeger(tonumber(minor)),
      math.tointeger(tonumber(patch)) or 0
  end
end

-- Of a multi that another release wrote, 3.8.0 and 3.8.1 skip create2 without an error.
local function knows_create2_in_multi(minor, patch)
  return minor > 8 or minor == 8 and patch >= 2
end

local function loses_synced_history(minor, patch)
  return minor == 8 and patch < 5 or minor == 9 and patch < 2
end

---@param versions table<string, doctor.server[]> Apache servers by their version
---@return { code: string, servers: doctor.server[], text: string, advice: string }[]
function M.hazards(versions)
  local found, order, modern = {}, {}, nil
  for version in pairs(versions) do
    local major, minor, patch = parts(version)
    if major == 3 then
      order[#order + 1] = { version = version, minor = minor, patch = patch }
      modern = modern or knows_create2_in_multi(minor, patch) and version
    end
  end
  table.sort(order, function(a, b)
    return a.version < b.version
  end)
  for _, release in ipairs(order) do
    local version, minor, patch = release.version, release.minor, release.patch
    local function add(code, text)
      found[#found + 1] = { code = code, servers = versions[version], advice = UPGRADE,
        text = ("Apache %s %s"):format(version, text) }
    end
    if minor < 8 then
      add("old_version", "is older than 3.8: it gets no fixes any more, and was never tried with "
        .. "moonkeeper.")
    elseif minor == 9 and patch == 3 then
      add("hazard_4925", "must not be in an ensemble: when it leads, it can leave out transactions "
        .. "that its followers need, and they lose data (ZOOKEEPER-4925).")
    elseif loses_synced_history(minor, patch) then
      add("hazard_4643", "acknowledges a new leader before its history is on disk: a crash after "
        .. "an election can lose acknowledged writes (ZOOKEEPER-4643, 4646, 4785).")
    end
    if modern and minor == 8 and not knows_create2_in_multi(minor, patch) then
      add("hazard_create2", ("is together with %s: it skips a create2 within a multi that the "
        .. "newer one logs, and its tree differs from then on."):format(modern))
    end
  end
  return found
end

return M
