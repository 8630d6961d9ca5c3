-- SPDX-License-Identifier: MIT
-- One of three servers that keep the same data, all on this machine; MOONKEEPER_ID says which:
--
--   MOONKEEPER_ID=1 moonkeeper run server-scripts/ensemble.lua     (and 2, and 3)
--
-- Clients may connect to any of 127.0.0.1:2181, :2182 and :2183. Two of the three must be up. For
-- three machines, give each its own addresses below and in client_address; the list of servers is
-- the same everywhere. Every option is in moonkeeper.conf.lua beside this file.
local id = tonumber(os.getenv("MOONKEEPER_ID") or 1)

return {
  id = id,
  data_dir = (os.getenv("MOONKEEPER_DATA_DIR") or "data/ensemble") .. "/" .. id,
  client_address = "127.0.0.1:" .. (2180 + id),
  servers = {
    [1] = { quorum = "127.0.0.1:2881", election = "127.0.0.1:3881" },
    [2] = { quorum = "127.0.0.1:2882", election = "127.0.0.1:3882" },
    [3] = { quorum = "127.0.0.1:2883", election = "127.0.0.1:3883" },
  },
  four_letter_words = "*", -- only this machine can reach them
}
