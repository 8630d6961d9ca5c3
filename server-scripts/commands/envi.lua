-- SPDX-License-Identifier: MIT
-- envi: where the server runs. kazoo reads the version from it, which must come first.

local keys <const> = {
  "host.name", "os.name", "os.arch", "os.version", "user.name", "user.home", "user.dir",
    "os.memory.free",
  "os.memory.max", "os.memory.total", "lua.version", "libuv.version",
}

return {
  name = "envi",
  help = "version, host, system, user and memory",
  run = function(stats)
    local environment = stats:environment()
    local lines = { "Environment:", "zookeeper.version=" .. stats.version }
    for _, key in ipairs(keys) do
      if environment[key] then
        lines[#lines + 1] = key .. "=" .. environment[key]
      end
    end
    return table.concat(lines, "\n") .. "\n"
  end,
}
