-- SPDX-License-Identifier: MIT
-- Every option of a server, once. server/config.lua checks scripts with it, server/zoo_cfg.lua
-- finds the keys of a zoo.cfg in it, native/gen/emit_options.lua makes the table from which
-- native/script/config.c fills struct server_options, and the commented sample
-- server-scripts/moonkeeper.conf.lua is written from it.
--
-- Fields of a row:
--   name      what a script writes; units and limits come last. A dot means a table in a table.
--   type      string, integer, boolean, enum, addresses, words, commands, servers
--   default   what holds when it is absent; default_text says it in words when it is derived
--   derive    function(values): the default, when it depends on other options; nil when they
--             are not right themselves
--   min, max  inclusive range of an integer;  unit  ms, bytes, ...
--   values    of an enum
--   doc       one or more sentences, plain ASCII
--   c         member of struct server_options (native/server/server.h) that it sets
--   example   a value for the sample when there is no default
--   example_code  the same as Lua code, where the value is a table of tables
--   warning   { value, text }: with this value each start prints the line; the text says the effect
--             and what to do
--   zoo       the key of a zoo.cfg: { key, convert =, apache =, only = }. `apache` is Apache's
-- default
--             where it differs from ours: it holds when a zoo.cfg does not say. See zoo_cfg.lua
--             for the conversions.
--   ensemble  only has a meaning in an ensemble: a zoo.cfg of a single server gets a line that says
--             so

local M = {}

local INT32_MAX <const> = (1 << 31) - 1
local KIB <const>, MIB <const>, GIB <const> = 1 << 10, 1 << 20, 1 << 30
local SIZE_MAX <const> = 1 << 50

M.sections = {
  {
    title = "Data",
    {
      name = "data_dir", type = "string", c = "data_dir", example = "data/1",
      doc = "Where snapshots are kept, in the subdirectory version-2; made if missing. " ..
        "Apache's directories are read and written as they are. Needed unless memory_only is " ..
        "true.",
      zoo = { "dataDir" },
    },
    {
      name = "data_log_dir", type = "string", c = "data_log_dir", default_text = "data_dir",
      example = "/fast-disk/moonkeeper",
      doc = "Where the transaction log is kept, in the subdirectory version-2. A disk of its " ..
        "own makes writes faster.",
      zoo = { "dataLogDir" },
    },
    {
      name = "memory_only", type = "boolean", c = "memory_only", default = false,
      doc = "Writes nothing to disk: all is lost when the server stops. For tests.",
    },
    {
      name = "force_sync", type = "boolean", c = "force_sync", default = true,
      doc = "A write is acknowledged only when it is on stable storage. False loses " ..
        "acknowledged writes when the machine crashes.",
      warning = { false, "replies do not wait for the disk, and a power cut loses writes that " ..
        "were acknowledged; take it out unless all data may be lost" },
      zoo = { "forceSync", convert = "unless_no" },
    },
    {
      name = "log_preallocate_bytes", type = "integer", c = "log_preallocate_bytes",
      default = 4 * MIB, min = 0, max = 4 * GIB, unit = "bytes",
      doc = "The log grows in steps of this size, written ahead as zeros, so that a sync of a " ..
        "write changes no metadata.",
      zoo = { "preAllocSize", convert = "kib" },
    },
    {
      name = "log_direct", type = "boolean", c = "log_direct", default = true,
      doc = "The log is written past the page cache (O_DIRECT), which costs less processor " ..
        "time. Where the file system cannot do that, it is written through it all the same.",
    },
    {
      name = "log_file_bytes_max", type = "integer", c = "log_file_bytes_max",
      default = 0, min = 0, max = SIZE_MAX, unit = "bytes",
      doc = "A new log file begins at this size. 0: only a snapshot begins one.",
      zoo = { "txnLogSizeLimitInKb", convert = "kib_or_off" },
    },
    {
      name = "snapshot_transactions", type = "integer", c = "replica.snapshot_transactions",
      default = 100000, min = 0, max = INT32_MAX, unit = "transactions",
      doc = "A snapshot is taken after a random number of transactions between half of this " ..
        "and this. 0: not by count.",
      zoo = { "snapCount", convert = "integer" },
    },
    {
      name = "snapshot_log_bytes", type = "integer", c = "replica.snapshot_log_bytes",
      default = 4 * GIB, min = 0, max = SIZE_MAX, unit = "bytes",
      doc = "A snapshot is taken after so many bytes in the log, a random number between half " ..
        "of this and this. 0: not by size.",
      zoo = { "snapSizeLimitInKb", convert = "kib_or_off" },
    },
    {
      name = "snapshot_interval_min_ms", type = "integer",
      c = "replica.snapshot_interval_min_ms",
      default = 1000, min = 0, max = INT32_MAX, unit = "ms",
      doc = "Two snapshots begin at least this far apart, however much is written.",
    },
    {
      name = "snapshot_bytes_per_second", type = "integer", c = "snapshot_bytes_per_second",
      default = 64 * MIB, min = 0, max = SIZE_MAX, unit = "bytes per second",
      doc = "Writes snapshots no faster than this, so that the log keeps its disk. 0: no " ..
        "limit.",
    },
    {
      name = "snapshots_retained", type = "integer", c = "snapshots_retained",
      default = 3, min = 0, max = 1000, unit = "snapshots",
      check = function(value)
        return value == 0 or value >= 3, "must be 0 (keep all) or at least 3"
      end,
      doc = "After a new snapshot was verified, older ones beyond this number and the logs " ..
        "that only they need are deleted. At least 3. 0: nothing is ever deleted.",
      zoo = { "autopurge.snapRetainCount", convert = "retain" },
    },
    {
      name = "slow_sync_warning_ms", type = "integer", c = "slow_sync_warning_ms",
      default = 1000, min = 1, max = INT32_MAX, unit = "ms",
      doc = "A sync of the log that takes longer is worth a line in the server's log.",
      zoo = { "fsync.warningthresholdms", convert = "integer" },
    },
    {
      name = "trust_empty_snapshot", type = "boolean", c = "trust_empty_snapshot", default = false,
      doc = "Starts from logs alone when there is no snapshot. For directories of ZooKeeper " ..
        "3.4, for one start: otherwise a lost snapshot would look like lost data.",
      warning = { true, "logs without any snapshot are taken for all there was, so a lost " ..
        "snapshot is not noticed; take it out after this start" },
      zoo = { "snapshot.trust.empty", convert = "boolean" },
    },
    {
      name = "drop_damaged_last_record", type = "boolean", c = "drop_damaged_last_record",
      default = false,
      doc = "Drops a damaged last record of the log that may or may not have been " ..
        "acknowledged, instead of refusing to start. For one start, after reading what " ..
        "`moonkeeper check` says.",
      warning = { true, "a write that was acknowledged may be dropped; take it out after this " ..
        "start" },
    },
  },
  {
    title = "Clients",
    {
      name = "client_address", type = "addresses", default = "127.0.0.1:2181",
      doc = 'Where clients connect: "host:port", "[v6 address]:port", or a list of them. Port ' ..
        "0 is any free one; the server prints it. 0.0.0.0 and [::] stand for all addresses.",
      zoo = { "clientPort", convert = "client_port" },
    },
    {
      name = "listen_backlog", type = "integer", c = "listen_backlog",
      default = 1024, min = 1, max = 65535, unit = "connections",
      doc = "How many connections the system may keep waiting until they are accepted.",
      zoo = { "clientPortListenBacklog", convert = "integer_or_default" },
    },
    {
      name = "connections_max", type = "integer", c = "connections_max",
      default = 0, min = 0, max = 1000000, unit = "connections",
      doc = "How many connections may be open. 0: as many as the limit of file descriptors " ..
        "allows.",
      zoo = { "maxCnxns", convert = "integer" },
    },
    {
      name = "connections_per_address_max", type = "integer", c = "connections_per_address_max",
      default = 60, min = 0, max = 1000000, unit = "connections",
      doc = "How many connections may come from one address; the next is accepted and closed at " ..
        "once. 0: no limit.",
      zoo = { "maxClientCnxns", convert = "integer" },
    },
    {
      name = "frame_bytes_max", type = "integer", c = "replica.frame_bytes_max",
      default = 1048575, min = 1024, max = 64 * MIB, unit = "bytes", -- a snapshot's limit too
      doc = "The longest request. A longer one closes its connection. Clients have the same " ..
        "limit for replies, so change both.",
      zoo = { "jute.maxbuffer", convert = "integer" },
    },
    {
      name = "handshake_timeout_ms", type = "integer", c = "replica.handshake_timeout_ms",
      default = 10000, min = 100, max = INT32_MAX, unit = "ms",
      doc = "A connection that has not opened a session by then is closed.",
      zoo = { "nio.sessionlessCnxnTimeout", convert = "integer" },
    },
    {
      name = "requests_in_flight_max", type = "integer", c = "replica.requests_in_flight_max",
      default = 4096, min = 1, max = 1000000, unit = "requests",
      doc = "A connection with so many unanswered requests is not read until some are " ..
        "answered.",
    },
    {
      name = "outstanding_max", type = "integer", c = "replica.outstanding_max",
      default = 100000, min = 1, max = 100000000, unit = "transactions",
      doc = "With so many writes not yet on disk, connections are not read until it has " ..
        "caught up.",
      zoo = { "globalOutstandingLimit", convert = "integer" },
    },
    {
      name = "outstanding_bytes_max", type = "integer", c = "replica.outstanding_bytes_max",
      default = 64 * MIB, min = MIB, max = SIZE_MAX, unit = "bytes",
      doc = "With so many bytes of writes not yet on disk, connections are not read until it " ..
        "has caught up.",
    },
    {
      name = "output_pause_bytes", type = "integer", c = "replica.output_pause_bytes",
      default = MIB, min = 4 * KIB, max = SIZE_MAX, unit = "bytes",
      doc = "A connection with so many unsent bytes of replies is not read until they are " ..
        "sent.",
    },
    {
      name = "output_close_bytes", type = "integer", c = "replica.output_close_bytes",
      default_text = "64 << 20, or 2 * frame_bytes_max where that is more",
      example = 256 * MIB,
      derive = function(values)
        return values.frame_bytes_max and math.max(64 * MIB, 2 * values.frame_bytes_max)
      end,
      min = MIB, max = SIZE_MAX, unit = "bytes",
      doc = "A connection whose client reads so slowly that this much is unsent is closed; " ..
        "its session lives on.",
    },
    {
      name = "buffers_total_bytes", type = "integer", c = "replica.buffers_total_bytes",
      default = 512 * MIB, min = MIB, max = SIZE_MAX, unit = "bytes",
      doc = "How much all connections together may hold: unsent replies, requests that wait, " ..
        "beginnings of requests, identities. Beyond it those that hold the most are closed at " ..
        "once, until an eighth is free; their sessions live on. At least 8 * frame_bytes_max.",
    },
    {
      name = "watches_per_connection_max", type = "integer",
      c = "replica.watches_per_connection_max",
      default = 1000000, min = 1, max = INT32_MAX, unit = "watches",
      doc = "How many watches one connection may have; one that has more is closed.",
    },
    {
      name = "watch_bytes_per_connection_max", type = "integer",
      c = "replica.watch_bytes_per_connection_max",
      default = 128 * MIB, min = 4 * KIB, max = SIZE_MAX, unit = "bytes",
      doc = "How much memory the watches of one connection may take: 40 bytes and the path for " ..
        "each. A request to watch more is refused with BadArguments (-8); setWatches, which " ..
        "clients send after a reconnect, closes the connection.",
    },
    {
      name = "watch_bytes_total_max", type = "integer", c = "replica.watch_bytes_total_max",
      default = 512 * MIB, min = 4 * KIB, max = SIZE_MAX, unit = "bytes",
      doc = "How much memory the watches of all connections may take; a path that many watch " ..
        "counts once here. At the limit the same happens.",
    },
    {
      name = "stop_timeout_ms", type = "integer", c = "stop_timeout_ms",
      default = 5000, min = 0, max = 600000, unit = "ms",
      doc = "How long a server that stops lets accepted requests be answered.",
      zoo = { "request_throttler.shutdownTimeout", convert = "integer" },
    },
  },
  {
    title = "Sessions",
    {
      name = "id", type = "integer", c = "replica.server_id", default = 1, min = 0, max = 254,
      doc = "The number of this server: the high byte of the ids of its sessions (255 marks TTL " ..
        "nodes). In an ensemble it is its number in servers, and must be said.",
      zoo = { "myid", convert = "myid" },
    },
    {
      name = "tick_time_ms", type = "integer", c = "replica.tick_time_ms",
      default = 2000, min = 1, max = 1000000, unit = "ms",
      doc = "The base unit of time: the bounds of session timeouts follow from it.",
      zoo = { "tickTime", convert = "integer", apache = 3000 },
    },
    {
      name = "session_timeout_min_ms", type = "integer", c = "replica.session_timeout_min_ms",
      default_text = "2 * tick_time_ms", min = 1, max = INT32_MAX, unit = "ms",
      derive = function(values)
        return values.tick_time_ms and 2 * values.tick_time_ms
      end,
      doc = "A client that asks for a shorter session timeout gets this.",
      zoo = { "minSessionTimeout", convert = "integer_or_default" },
    },
    {
      name = "session_timeout_max_ms", type = "integer", c = "replica.session_timeout_max_ms",
      default_text = "20 * tick_time_ms", min = 1, max = INT32_MAX, unit = "ms",
      derive = function(values)
        return values.tick_time_ms and 20 * values.tick_time_ms
      end,
      doc = "A client that asks for a longer session timeout gets this.",
      zoo = { "maxSessionTimeout", convert = "integer_or_default" },
    },
    {
      name = "sessions_per_address_max", type = "integer",
      c = "replica.sessions_per_address_max",
      default = 100000, min = 0, max = 100000000, unit = "sessions",
      doc = "How many sessions that were opened from one address may be alive, connected or " ..
        "not; a connection that asks for one more is closed without an answer. Sessions from " ..
        "before a restart count for the address that first resumes them. 0: no limit.",
    },
  },
  {
    title = "Znodes",
    {
      name = "extended_types", type = "boolean", c = "replica.operations.extended_types",
      default = true,
      doc = "TTL nodes may be created. Apache needs extendedTypesEnabled=true to read a data " ..
        "directory that has some.",
      zoo = { "extendedTypesEnabled", convert = "boolean", apache = false },
    },
    {
      name = "enforce_quota", type = "boolean", c = "replica.operations.enforce_quota",
      default = false,
      doc = "Writes beyond a hard quota are refused. Those beyond a soft one only make a line " ..
        "in the log, whether this is on or not.",
      zoo = { "enforceQuota", convert = "boolean" },
    },
    {
      name = "container_check_interval_ms", type = "integer",
      c = "replica.container_check_interval_ms",
      default = 60000, min = 1, max = INT32_MAX, unit = "ms",
      doc = "How often empty containers and expired TTL nodes are looked for.",
      zoo = { "znode.container.checkIntervalMs", convert = "integer" },
    },
    {
      name = "container_checks_per_minute_max", type = "integer",
      c = "replica.container_checks_per_minute_max",
      default = 10000, min = 1, max = INT32_MAX, unit = "znodes",
      doc = "How many empty containers and expired TTL nodes may be deleted in a minute.",
      zoo = { "znode.container.maxPerMinute", convert = "integer" },
    },
    {
      name = "container_never_used_ms", type = "integer", c = "replica.container_never_used_ms",
      default = 300000, min = 0, max = SIZE_MAX, unit = "ms",
      doc = "A container that never had a child is deleted after this time. 0: never.",
      zoo = { "znode.container.maxNeverUsedIntervalMs", convert = "integer", apache = 0 },
    },
    {
      name = "tree_digest", type = "boolean", c = "replica.tree_digest_enabled", default = true,
      doc = "Keeps a checksum over all znodes, writes it to log and snapshots, and compares " ..
        "it when the server starts.",
      zoo = { "digest.enabled", convert = "boolean" },
    },
    {
      name = "reconfig_enabled", type = "boolean", c = "replica.operations.reconfig_enabled",
      default = false,
      doc = "Whether the operation reconfig is open at all. One server alone answers it with " ..
        "an error in either case; in an ensemble true is refused, since the members cannot be " ..
        "changed while it runs in this version.",
      zoo = { "reconfigEnabled", convert = "boolean" },
    },
  },
  {
    title = "Security",
    {
      name = "four_letter_words", type = "words", default = { "srvr", "ruok" },
      doc = 'Which four-letter words (echo ruok | nc host 2181) are answered: a list, or "*" ' ..
        "for all. srvr always is. Some tell addresses, paths and sessions to everyone who can " ..
        "connect, and some are slow on a big server.",
      zoo = { "4lw.commands.whitelist", convert = "words", apache = { "srvr" } },
    },
    {
      name = "digest_auth", type = "boolean", c = "replica.digest_enabled", default = true,
      doc = "Clients may authenticate with scheme digest (user and password).",
      zoo = { "DigestAuthenticationProvider.enabled", convert = "boolean" },
    },
    {
      name = "super_digest", type = "string", c = "replica.super_digest", secret = true,
      example = "super:...",
      pattern = "^[^:%c]+:" .. ("[%w+/]"):rep(26) .. "[AEIMQUYcgkosw048]=$",
      pattern_text = '"USER:" and the base64 of the SHA-1 of "USER:PASSWORD", 28 characters ' ..
        "that end in =: printf %s USER:PASSWORD | openssl dgst -sha1 -binary | base64",
      doc = "Who authenticates by digest as this user with this password may do everything. The " ..
        'value is "USER:" and the base64 of the SHA-1 of "USER:PASSWORD", where USER is any ' ..
        "name, mostly super.",
      zoo = { "DigestAuthenticationProvider.superDigest" },
    },
    {
      name = "skip_acl", type = "boolean", c = "replica.operations.skip_acl", default = false,
      doc = "Everyone may do everything, whatever the ACLs say. To get at data whose owner is " ..
        "lost.",
      warning = { true, "everyone who can connect may read, change and delete everything, " ..
        "whatever the ACLs say; take it out once the data has an owner again" },
      zoo = { "skipACL", convert = "if_yes" },
    },
  },
  {
    title = "Log lines",
    {
      name = "log_level", type = "enum", values = { "error", "warn", "info", "debug" },
      default = "info",
      doc = "Lines less important than this are not written.",
    },
    {
      name = "log_format", type = "enum", values = { "text", "json" }, default = "text",
      doc = "A line of text, or a JSON object a line with time, level, component and text.",
    },
    {
      name = "log_file", type = "string", example = "moonkeeper.log",
      default_text = "standard error",
      doc = "Lines are appended to this file.",
    },
    {
      name = "start_message", type = "string", example = "clients may connect to {address}",
      doc = "Printed to standard output once clients can connect. {address}, {host} and " ..
        "{port} stand for the first address that is listened on.",
    },
  },
  {
    title = "Lua",
    {
      name = "commands", type = "commands",
      example = { hiya = 'function(stats) return "a " .. stats.role end' },
      doc = "Own four-letter words: a table of functions by name, four lower-case letters " ..
        "each. A function gets the statistics of the server and returns the text to send. A " ..
        "built-in word of that name is replaced; own words need no entry in " ..
        "four_letter_words.",
    },
    {
      name = "limits.command_instructions", type = "integer", default = 5000000,
      min = 10000, max = 1 << 40, unit = "instructions of the Lua machine",
      doc = "An own word that runs longer is stopped with an error. Words run in slices of " ..
        "2 ms, and others are served between. The default takes an empty loop 20 to 50 ms.",
    },
    {
      name = "limits.command_time_ms", type = "integer", default = 50,
      min = 1, max = 3600000, unit = "ms",
      doc = "An own word that takes more processor time is stopped likewise: this sees the " ..
        "work on long strings and big tables too. It cannot interrupt one long call of a C " ..
        "function, such as a pattern that matches slowly; nobody is served meanwhile.",
    },
    {
      name = "limits.lua_memory_bytes", type = "integer", default = 64 * MIB,
      min = MIB, max = SIZE_MAX, unit = "bytes",
      doc = "A four-letter word, own or built-in, that needs more memory on top of what Lua " ..
        "had is stopped likewise. Words that run at the same time share it.",
    },
  },
  {
    title = "Ensemble",
    {
      name = "servers", type = "servers",
      example_code = '{ [1] = { quorum = "127.0.0.1:2881", election = "127.0.0.1:3881" } }',
      doc = "The members of an ensemble by their ids, 1 to 254; the option id says which one " ..
        "this server is. Each has the addresses where it leads (quorum) and where it votes " ..
        '(election), "host:port" or "[v6 address]:port" with one host for both, as in server.N ' ..
        "of a zoo.cfg. It may have a role (participant, which is the default, or observer: one " ..
        "that does not vote), client (the address that clients use, for others to know), and " ..
        "group and weight of a hierarchical quorum. The list is the same on all members. One " ..
        "member alone, or none, is a single server.",
    },
    {
      name = "init_limit_ticks", type = "integer", c = "init_limit_ticks", ensemble = true,
      default = 10, min = 1, max = 1000000, unit = "ticks",
      doc = "How long it may take a server to connect to a new leader and to get what it lacks. " ..
        "More when the data is big.",
      zoo = { "initLimit", convert = "integer" },
    },
    {
      name = "sync_limit_ticks", type = "integer", c = "sync_limit_ticks", ensemble = true,
      default = 5, min = 1, max = 1000000, unit = "ticks",
      doc = "How long the leader and another server may hear nothing of each other before they " ..
        "part.",
      zoo = { "syncLimit", convert = "integer" },
    },
    {
      name = "quorum_listen_on_all", type = "boolean", c = "quorum_listen_on_all",
      ensemble = true, default = false,
      doc = "The quorum and the election port are opened on all addresses of this machine, not " ..
        "only on the one that servers says.",
      warning = { true, "other servers are not asked for a password, so whoever reaches these " ..
        "ports can read and change everything; a firewall must let in only the members" },
      zoo = { "quorumListenOnAllIPs", convert = "boolean" },
    },
    {
      name = "read_only_mode", type = "boolean", c = "replica.read_only_enabled", ensemble = true,
      default = false,
      doc = "A member that has looked for a leader for two seconds (or a tick, if that is more) " ..
        "serves what it has to clients that accept a read-only server; they may not write or sync.",
    },
    {
      name = "election_connect_timeout_ms", type = "integer", c = "election_connect_timeout_ms",
      ensemble = true, default = 5000, min = 1, max = INT32_MAX, unit = "ms",
      doc = "How long one attempt to connect to another server may take.",
      zoo = { "cnxTimeout", convert = "integer" },
    },
  },
}

-- What design promises for later versions: named, so that the refusal can say so.
M.later = {
  hooks = "hooks",
  procedures = "procedures",
  timers = "timers",
  authenticate = "own authentication schemes",
}

M.list = {}
M.by_name = {}
M.by_zoo_key = {}
for _, section in ipairs(M.sections) do
  for _, row in ipairs(section) do
    row.section = section.title
    M.list[#M.list + 1] = row
    M.by_name[row.name] = row
    if row.zoo then
      M.by_zoo_key[row.zoo[1]] = row
    end
  end
end

return M
