-- SPDX-License-Identifier: MIT
-- hash: the digest of the tree at every 128th transaction, to compare servers.

return {
  name = "hash",
  help = "digests of the tree by zxid",
  run = function(stats)
    local lines = {}
    for zxid, digest in stats:digests() do
      lines[#lines + 1] = ("%x: %d\n"):format(zxid, digest)
    end
    return table.concat(lines)
  end,
}
