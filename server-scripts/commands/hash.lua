-- SPDX-License-Identifier: MIT
-- hash: the digest of the tree at every 128th transaction, to compare servers.

return {
  name = "hash",
  help = "digests of the tree by zxid",
  run = function(stats)
    for zxid, digest in stats:digests() do
      stats:write(("%x: %d\n"):format(zxid, digest))
    end
    return ""
  end,
}
