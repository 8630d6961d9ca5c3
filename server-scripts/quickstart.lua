-- SPDX-License-Identifier: MIT
-- The server of `make run`: one server on 127.0.0.1:2181, its data in ./data/quickstart, every
-- four-letter word allowed, since only this machine can reach it. Copy it and change it; every
-- option is in moonkeeper.conf.lua beside this file.
return {
  data_dir = os.getenv("MOONKEEPER_DATA_DIR") or "data/quickstart",
  client_address = "127.0.0.1:2181",
  four_letter_words = "*",
  log_level = "warn",
  start_message = [[

moonkeeper is up. Any ZooKeeper client can use {address}; in another terminal, try:

  python3    from kazoo.client import KazooClient
             zk = KazooClient("{address}"); zk.start()
             zk.ensure_path("/greeting"); print(zk.get("/greeting"))
  zkCli      /usr/share/zookeeper/bin/zkCli.sh -server {address}
  look       echo srvr | nc {host} {port}
             echo mntr | nc {host} {port}

Stop it with Ctrl-C: what was acknowledged is on disk.]],
}
