-- SPDX-License-Identifier: MIT
-- A server script is a Lua program that returns a table of options. Here is every option;
-- what is behind -- holds anyway, unless it is called an example. Copy this file, change
-- what you need, delete the rest, and start it: moonkeeper run FILE. A misspelt or
-- impossible option stops the start and names its line. `moonkeeper help options` prints
-- this text.
return {

  -- Data --------------------------------------------------------------------------------------

  -- Where snapshots are kept, in the subdirectory version-2; made if missing. Apache's
  -- directories are read and written as they are. Needed unless memory_only is true.
  data_dir = "data/1",

  -- Where the transaction log is kept, in the subdirectory version-2. A disk of its own makes
  -- writes faster. Default: data_dir.
  -- data_log_dir = "/fast-disk/moonkeeper", -- an example

  -- Writes nothing to disk: all is lost when the server stops. For tests.
  -- memory_only = false,

  -- A write is acknowledged only when it is on stable storage. False loses acknowledged writes
  -- when the machine crashes.
  -- force_sync = true,

  -- The log grows in steps of this size, written ahead as zeros, so that a sync of a write
  -- changes no metadata. In bytes.
  -- log_preallocate_bytes = 4 << 20,

  -- The log is written past the page cache (O_DIRECT), which costs less processor time. Where
  -- the file system cannot do that, it is written through it all the same.
  -- log_direct = true,

  -- A new log file begins at this size. 0: only a snapshot begins one. In bytes.
  -- log_file_bytes_max = 0,

  -- A snapshot is taken after a random number of transactions between half of this and this. 0:
  -- not by count. In transactions.
  -- snapshot_transactions = 100000,

  -- A snapshot is taken after so many bytes in the log, a random number between half of this
  -- and this. 0: not by size. In bytes.
  -- snapshot_log_bytes = 4 << 30,

  -- Two snapshots begin at least this far apart, however much is written. In ms.
  -- snapshot_interval_min_ms = 1000,

  -- Writes snapshots no faster than this, so that the log keeps its disk. 0: no limit. In bytes
  -- per second.
  -- snapshot_bytes_per_second = 64 << 20,

  -- After a new snapshot was verified, older ones beyond this number and the logs that only
  -- they need are deleted. At least 3. 0: nothing is ever deleted. From 0 to 1000 (snapshots).
  -- snapshots_retained = 3,

  -- A sync of the log that takes longer is worth a line in the server's log. In ms.
  -- slow_sync_warning_ms = 1000,

  -- Starts from logs alone when there is no snapshot. For directories of ZooKeeper 3.4, for one
  -- start: otherwise a lost snapshot would look like lost data.
  -- trust_empty_snapshot = false,

  -- Drops a damaged last record of the log that may or may not have been acknowledged, instead
  -- of refusing to start. For one start, after reading what `moonkeeper check` says.
  -- drop_damaged_last_record = false,

  -- Clients -----------------------------------------------------------------------------------

  -- Where clients connect: "host:port", "[v6 address]:port", or a list of them. Port 0 is any
  -- free one; the server prints it. 0.0.0.0 and [::] stand for all addresses.
  client_address = "127.0.0.1:2181",

  -- How many connections the system may keep waiting until they are accepted. From 1 to 65535
  -- (connections).
  -- listen_backlog = 1024,

  -- How many connections may be open. 0: as many as the limit of file descriptors allows. From
  -- 0 to 1000000 (connections).
  -- connections_max = 0,

  -- How many connections may come from one address; the next is accepted and closed at once. 0:
  -- no limit. From 0 to 1000000 (connections).
  -- connections_per_address_max = 60,

  -- The longest request. A longer one closes its connection. Clients have the same limit for
  -- replies, so change both. From 1024 to 64 << 20 (bytes).
  -- frame_bytes_max = 1048575,

  -- A connection that has not opened a session by then is closed. At least 100 (ms).
  -- handshake_timeout_ms = 10000,

  -- A connection with so many unanswered requests is not read until some are answered. From 1
  -- to 1000000 (requests).
  -- requests_in_flight_max = 4096,

  -- With so many writes not yet on disk, connections are not read until it has caught up. From
  -- 1 to 100000000 (transactions).
  -- outstanding_max = 100000,

  -- With so many bytes of writes not yet on disk, connections are not read until it has caught
  -- up. At least 1 << 20 (bytes).
  -- outstanding_bytes_max = 64 << 20,

  -- A connection with so many unsent bytes of replies is not read until they are sent. At least
  -- 4096 (bytes).
  -- output_pause_bytes = 1 << 20,

  -- A connection whose client reads so slowly that this much is unsent is closed; its session
  -- lives on. At least 1 << 20 (bytes). Default: 64 << 20, or 2 * frame_bytes_max where that is
  -- more.
  -- output_close_bytes = 256 << 20, -- an example

  -- How much all connections together may hold: unsent replies, requests that wait, beginnings
  -- of requests, identities. Beyond it those that hold the most are closed at once, until an
  -- eighth is free; their sessions live on. At least 8 * frame_bytes_max. At least 1 << 20
  -- (bytes).
  -- buffers_total_bytes = 512 << 20,

  -- How many watches one connection may have; one that has more is closed. In watches.
  -- watches_per_connection_max = 1000000,

  -- How much memory the watches of one connection may take: 40 bytes and the path for each. A
  -- request to watch more is refused with BadArguments (-8); setWatches, which clients send
  -- after a reconnect, closes the connection. At least 4096 (bytes).
  -- watch_bytes_per_connection_max = 128 << 20,

  -- How much memory the watches of all connections may take; a path that many watch counts once
  -- here. At the limit the same happens. At least 4096 (bytes).
  -- watch_bytes_total_max = 512 << 20,

  -- How long a server that stops lets accepted requests be answered. From 0 to 600000 (ms).
  -- stop_timeout_ms = 5000,

  -- Sessions ----------------------------------------------------------------------------------

  -- The number of this server: the high byte of the ids of its sessions (255 marks TTL nodes).
  -- In an ensemble it is its number in servers, and must be said. From 0 to 254.
  -- id = 1,

  -- The base unit of time: the bounds of session timeouts follow from it. From 1 to 1000000
  -- (ms).
  -- tick_time_ms = 2000,

  -- A client that asks for a shorter session timeout gets this. In ms.
  -- session_timeout_min_ms = 2 * tick_time_ms,

  -- A client that asks for a longer session timeout gets this. In ms.
  -- session_timeout_max_ms = 20 * tick_time_ms,

  -- How many sessions that were opened from one address may be alive, connected or not; a
  -- connection that asks for one more is closed without an answer. Sessions from before a
  -- restart count for the address that first resumes them. 0: no limit. From 0 to 100000000
  -- (sessions).
  -- sessions_per_address_max = 100000,

  -- Znodes ------------------------------------------------------------------------------------

  -- TTL nodes may be created. Apache needs extendedTypesEnabled=true to read a data directory
  -- that has some.
  -- extended_types = true,

  -- Writes beyond a hard quota are refused. Those beyond a soft one only make a line in the
  -- log, whether this is on or not.
  -- enforce_quota = false,

  -- How often empty containers and expired TTL nodes are looked for. In ms.
  -- container_check_interval_ms = 60000,

  -- How many empty containers and expired TTL nodes may be deleted in a minute. In znodes.
  -- container_checks_per_minute_max = 10000,

  -- A container that never had a child is deleted after this time. 0: never. In ms.
  -- container_never_used_ms = 300000,

  -- Keeps a checksum over all znodes, writes it to log and snapshots, and compares it when the
  -- server starts.
  -- tree_digest = true,

  -- Whether the operation reconfig is open at all. One server alone answers it with an error in
  -- either case; in an ensemble true is refused, since the members cannot be changed while it
  -- runs in this version.
  -- reconfig_enabled = false,

  -- Security ----------------------------------------------------------------------------------

  -- Which four-letter words (echo ruok | nc host 2181) are answered: a list, or "*" for all.
  -- srvr always is. Some tell addresses, paths and sessions to everyone who can connect, and
  -- some are slow on a big server.
  -- four_letter_words = { "srvr", "ruok" },

  -- Clients may authenticate with scheme digest (user and password).
  -- digest_auth = true,

  -- Who authenticates by digest as this user with this password may do everything. The value is
  -- "USER:" and the base64 of the SHA-1 of "USER:PASSWORD", where USER is any name, mostly
  -- super.
  -- super_digest = "super:...", -- an example

  -- Everyone may do everything, whatever the ACLs say. To get at data whose owner is lost.
  -- skip_acl = false,

  -- Log lines ---------------------------------------------------------------------------------

  -- Lines less important than this are not written. One of error, warn, info, debug.
  -- log_level = "info",

  -- A line of text, or a JSON object a line with time, level, component and text. One of text,
  -- json.
  -- log_format = "text",

  -- Lines are appended to this file. Default: standard error.
  -- log_file = "moonkeeper.log", -- an example

  -- Printed to standard output once clients can connect. {address}, {host} and {port} stand for
  -- the first address that is listened on.
  -- start_message = "clients may connect to {address}", -- an example

  -- Lua ---------------------------------------------------------------------------------------

  -- Own four-letter words: a table of functions by name, four lower-case letters each. A
  -- function gets the statistics of the server and returns the text to send. A built-in word of
  -- that name is replaced; own words need no entry in four_letter_words.
  -- commands = { hiya = function(stats) return "a " .. stats.role end }, -- an example

  limits = {
    -- An own word that runs longer is stopped with an error. Words run in slices of 2 ms, and
    -- others are served between. The default takes an empty loop 20 to 50 ms. At least 10000
    -- (instructions of the Lua machine).
    -- command_instructions = 5000000,

    -- An own word that takes more processor time is stopped likewise: this sees the work on
    -- long strings and big tables too. It cannot interrupt one long call of a C function, such
    -- as a pattern that matches slowly; nobody is served meanwhile. From 1 to 3600000 (ms).
    -- command_time_ms = 50,

    -- A four-letter word, own or built-in, that needs more memory on top of what Lua had is
    -- stopped likewise. Words that run at the same time share it. At least 1 << 20 (bytes).
    -- lua_memory_bytes = 64 << 20,
  },

  -- Ensemble ----------------------------------------------------------------------------------

  -- The members of an ensemble by their ids, 1 to 254; the option id says which one this server
  -- is. Each has the addresses where it leads (quorum) and where it votes (election),
  -- "host:port" or "[v6 address]:port" with one host for both, as in server.N of a zoo.cfg. It
  -- may have a role (participant, which is the default, or observer: one that does not vote),
  -- client (the address that clients use, for others to know), and group and weight of a
  -- hierarchical quorum. The list is the same on all members. One member alone, or none, is a
  -- single server.
  -- servers = { [1] = { quorum = "127.0.0.1:2881", election = "127.0.0.1:3881" } }, -- an example

  -- How long it may take a server to connect to a new leader and to get what it lacks. More
  -- when the data is big. From 1 to 1000000 (ticks).
  -- init_limit_ticks = 10,

  -- How long the leader and another server may hear nothing of each other before they part.
  -- From 1 to 1000000 (ticks).
  -- sync_limit_ticks = 5,

  -- The quorum and the election port are opened on all addresses of this machine, not only on
  -- the one that servers says.
  -- quorum_listen_on_all = false,

  -- A member that has looked for a leader for two seconds (or a tick, if that is more) serves
  -- what it has to clients that accept a read-only server; they may not write or sync.
  -- read_only_mode = false,

  -- How long one attempt to connect to another server may take. In ms.
  -- election_connect_timeout_ms = 5000,
}
