-- SPDX-License-Identifier: MIT
-- Reads a zoo.cfg into the table that a server script would return. Each key is honoured (rows
-- with a `zoo` field in schema/options.lua), ignored with a line that says so, or refused
-- (zoo_keys.lua); keys may begin with `zookeeper.`, as Java system properties do. What a zoo.cfg
-- does not say is as with Apache where the two differ. Used by server/config.lua, which then
-- checks types and ranges.

local check = require "moonkeeper.server.check"
local nearest = require "moonkeeper.server.nearest"
local options = require "moonkeeper.schema.options"
local properties = require "moonkeeper.server.properties"
local zoo_ensemble = require "moonkeeper.server.zoo_ensemble"
local zoo_keys = require "moonkeeper.server.zoo_keys"
local zoo_servers = require "moonkeeper.server.zoo_servers"

local M = {}

-- The value of an entry in a message; what may be a password is not shown.
local function shown(entry)
  local key = entry.key:lower()
  if key:find("pass", 1, true) or key:find("super", 1, true) then
    return "(not shown)"
  end
  return check.show(entry.value)
end

local Reader = {}
Reader.__index = Reader

function Reader:problem(line, format, ...)
  self.problems[#self.problems + 1] = { file = self.file, line = line, text =
    check.printable(format:format(...)) }
end

function Reader:note(line, format, ...)
  local place = line and ("%s:%d"):format(self.file, line) or self.file
  self.notes[#self.notes + 1] = place .. ": " .. check.printable(format:format(...))
end

-- A note that only holds while option `name` is as the file says, not overridden.
function Reader:note_about(name, line, format, ...)
  self:note(line, format, ...)
  self.about[#self.notes] = name
end

function Reader:set(name, value, line)
  self.values[name] = value
  self.lines[name] = line
end

-- Decimal, or hexadecimal with 0x as Java's system properties allow.
local function integer(text)
  local sign, digits = text:match("^([+-]?)(%d+)$")
  if not digits then
    sign, digits = text:match("^([+-]?)(0[xX]%x+)$")
  end
  if not digits or #digits > 18 then
    return nil
  end
  local number = math.tointeger(tonumber(digits))
  return sign == "-" and -number or number
end

local function whole_number(text)
  local number = integer(text)
  if not number then
    return nil, "must be an integer"
  end
  return number
end

-- text -> value, or nil and what it must be. A second result of `false` means: as if absent.
local convert = {}

function convert.string(text)
  return text
end

convert.integer = whole_number

-- Negative numbers stand for the default.
function convert.integer_or_default(text)
  local number, wish = whole_number(text)
  if number and number < 0 then
    return nil, false
  end
  return number, wish
end

function convert.kib(text)
  local number, wish = whole_number(text)
  return number and number * 1024, wish
end

function convert.kib_or_off(text)
  local number, wish = whole_number(text)
  return number and math.max(number, 0) * 1024, wish
end

function convert.boolean(text)
  local word = text:lower()
  if word == "true" or word == "false" then
    return word == "true"
  end
  return nil, "must be true or false"
end

-- Apache compares with one word and takes everything else for the other; here both are words.
local function yes_or_no(text)
  local word = text:lower()
  if word == "yes" or word == "no" then
    return word == "yes"
  end
  return nil, "must be yes or no"
end

convert.unless_no = yes_or_no
convert.if_yes = yes_or_no

function convert.words(text, reader, line)
  if text == "*" then
    return "*"
  end
  local known, words = {}, {}
  for _, word in ipairs(reader.context.words) do
    known[word] = true
  end
  for word in text:gmatch("[^,]+") do
    word = word:match("^%s*(.-)%s*$")
    if word == "*" then
      return "*"
    elseif known[word] then
      words[#words + 1] = word
    elseif word ~= "" then
      reader:note(line, "4lw.commands.whitelist: ignored %s, there is no such word%s",
        check.name(word),
        nearest.hint(word, reader.context.words))
    end
  end
  return words
end

-- Apache keeps at least three. Without a purge interval nothing is deleted, as with Apache.
function convert.retain(text, reader, line)
  local number, wish = whole_number(text)
  if number and number < 3 then
    reader:note(line, "autopurge.snapRetainCount: 3 are kept at least, not %d", number)
    number = 3
  end
  return number, wish
end

function convert.client_port(text)
  local number = integer(text)
  if not number or number < 0 or number > 65535 then
    return nil, "must be a port from 0 to 65535"
  end
  return number
end

function convert.myid(text)
  return whole_number(text)
end

local wildcards <const> = { ["0.0.0.0"] = true, ["::"] = true, ["[::]"] = true, ["::0"] = true,
  ["0:0:0:0:0:0:0:0"] = true }

function Reader.is_wildcard(host)
  return wildcards[host] == true
end

local function bracketed(host)
  return host:find(":", 1, true) and not host:find("^%[") and "[" .. host .. "]" or host
end

-- clientPort and clientPortAddress become client_address.
function Reader:client_address()
  local port, port_line = self.values.client_address, self.lines.client_address
  local host = self.special["clientPortAddress"]
  if host and not port and not self.refused_port then
    self:problem(host.line, "clientPortAddress is set, but clientPort is not")
  elseif not port and not self.refused_port then
    self:problem(nil, "clientPort is missing: where shall clients connect?")
  elseif port and host then
    self:set("client_address", ("%s:%d"):format(bracketed(host.value), port), port_line)
    if wildcards[host.value] then
      self:note_about("client_address", host.line,
        "WARNING: clientPortAddress is %s: clients can connect from everywhere; say " ..
        "clientPortAddress=127.0.0.1, or the address of one network, unless a firewall decides",
        host.value)
    end
  elseif port then
    local all = self.context.exists("/proc/net/if_inet6") and "[::]" or "0.0.0.0"
    self:set("client_address", ("%s:%d"):format(all, port), port_line)
    self:note_about("client_address", port_line,
      "WARNING: clients can connect from everywhere, as with Apache: clientPort %d is open on " ..
      "all addresses. Say clientPortAddress=127.0.0.1 to keep it to this machine", port)
  end
end

local interval_units <const> = { [""] = 3600000, ms = 1, s = 1000, m = 60000, h = 3600000,
  d = 86400000 }

function Reader:purge()
  local interval = self.special["autopurge.purgeInterval"]
  local number, unit
  if interval then
    number, unit = interval.value:match("^([+-]?%d+)(%a*)$")
    if not number or not interval_units[unit] then
      self:problem(interval.line,
        "autopurge.purgeInterval is %s, but must be hours, or a number with ms, s, m, h or d",
        shown(interval))
      return
    end
  end
  if not number or tonumber(number) <= 0 then
    local line = interval and interval.line or self.lines.snapshots_retained
    self:set("snapshots_retained", 0, line)
    self:note_about("snapshots_retained", line,
      "autopurge is off, as with Apache: old snapshots and logs are never deleted. " ..
      "Say autopurge.purgeInterval=1 to keep the newest autopurge.snapRetainCount")
  else
    self:note(interval.line,
      "autopurge.purgeInterval: old files are deleted whenever a new snapshot is done, " ..
      "not at intervals")
  end
end

-- readonlymode.enabled opens the word isro.
function Reader:read_only_mode()
  local mode = self.special["readonlymode.enabled"]
  if not mode then
    return
  end
  local on, wish = convert.boolean(mode.value)
  if on == nil then
    self:problem(mode.line, "readonlymode.enabled is %s, but %s", shown(mode), wish)
  elseif on then
    if self.ensemble then
      self:set("read_only_mode", true, mode.line)
    else
      self:note(mode.line,
        "readonlymode.enabled: a single server is never read-only; the word isro is answered")
    end
    local words = self.values.four_letter_words or { "srvr" }
    if words ~= "*" then
      words[#words + 1] = "isro"
      self:set("four_letter_words", words, self.lines.four_letter_words or mode.line)
    end
  end
end

function Reader:auto_create()
  local create = self.special["datadir.autocreate"]
  if not create then
    return
  end
  local on, wish = convert.boolean(create.value)
  if on == nil then
    self:problem(create.line, "datadir.autocreate is %s, but %s", shown(create), wish)
  elseif on == false then
    for _, name in ipairs { "data_dir", "data_log_dir" } do
      local directory = self.values[name]
      if directory and not self.context.exists(directory .. "/version-2") then
        self:problem(create.line,
          "datadir.autocreate is false, and there is no directory %s/version-2", directory)
      end
    end
  end
end

-- The number of this server is in the file dataDir/myid; a fresh directory has none.
function Reader:myid()
  local directory = self.values.data_dir
  local text = directory and self.context.read_file(directory .. "/myid")
  if not text then
    return
  end
  local path = directory .. "/myid"
  local number = integer(text:match("^[^\r\n]*"):match("^%s*(.-)%s*$"))
  if not number or number < 0 or number > 254 then
    self.problems[#self.problems + 1] = { file = path, text = "must hold a number from 0 to 254" }
    self.bad_id = true
    return
  end
  self:set("id", number)
  self.files.id = path
end

function Reader:honour(row, entry)
  local how = row.zoo.convert or "string"
  local value, wish = convert[how](entry.value, self, entry.line)
  if value ~= nil then
    self:set(row.name, value, entry.line)
  elseif wish ~= false then
    self:problem(entry.line, "%s is %s, but %s", entry.key, shown(entry), wish)
    self.refused_port = self.refused_port or row.name == "client_address"
  end
end

local function is_harmless(value, harmless)
  for _, word in ipairs(harmless or {}) do
    if value:lower() == word then
      return true
    end
  end
  return false
end

function Reader:refuse(found, entry)
  if not is_harmless(entry.value, found.harmless) then
    self:problem(entry.line, "%s is %s: %s", check.name(entry.key), shown(entry), found.why)
  end
end

-- A file with more unknown keys than this is no zoo.cfg, and looking for names takes time.
local HINTS_MAX <const> = 20

local all_keys

local function unknown_hint(key)
  if not all_keys then
    all_keys = zoo_keys.names()
    for name in pairs(options.by_zoo_key) do
      all_keys[#all_keys + 1] = name
    end
    table.sort(all_keys)
  end
  if options.by_name[key] then
    return (": %s is an option of a Lua script, not of a zoo.cfg"):format(key)
  end
  for _, name in ipairs(all_keys) do
    if name:sub(-#key - 1) == "." .. key then
      return (", did you mean %s?"):format(name)
    end
  end
  return nearest.hint(key, all_keys)
end

function Reader:entry(entry)
  local key = entry.key:gsub("^zookeeper%.", "")
  local row = options.by_zoo_key[key]
  self.seen[key] = true
  if row and row.ensemble then
    self.deferred[#self.deferred + 1] = entry
    return
  elseif row and key ~= "myid" then
    self:honour(row, entry)
    return
  end
  local found = zoo_keys.find(key)
  if not found then
    self.unknown = self.unknown + 1
    self:problem(entry.line, "there is no key %s (value %s)%s", check.name(entry.key), shown(entry),
      self.unknown <= HINTS_MAX and unknown_hint(key) or "")
  elseif found.kind == "ignored" then
    self:note(entry.line, "%s: ignored, %s", check.name(entry.key), found.why)
  elseif found.kind == "refused" then
    self:refuse(found, entry)
    self.refused_port = self.refused_port or key == "secureClientPort"
  elseif found.kind == "ensemble" then
    self.deferred[#self.deferred + 1] = entry
  elseif zoo_servers.is_key(key) then
    self.server_lines[#self.server_lines + 1] = { key = key, value = entry.value,
      line = entry.line }
  else
    self.special[key] = entry
  end
end

-- The last of several lines with one key wins.
local function last_ones(entries)
  local last = {}
  for index, entry in ipairs(entries) do
    last[entry.key:gsub("^zookeeper%.", "")] = index
  end
  local kept = {}
  for index, entry in ipairs(entries) do
    if last[entry.key:gsub("^zookeeper%.", "")] == index then
      kept[#kept + 1] = entry
    end
  end
  return kept
end

local function exists(path)
  local file = io.open(path, "rb")
  if file then
    file:close()
  end
  return file ~= nil
end

---Reads a zoo.cfg.
---@param text string
---@param file string its name, for messages
---@param context { words: string[], read_file: (fun(path: string): string?, string?),
---  exists: (fun(path: string): boolean)?, id: integer? } `id`: what --set says of it
---@return { values: table, lines: table<string, integer>, files: table<string, string>,
---  notes: string[], about: table<integer, string>, problems: moonkeeper.Problem[],
---  label: (fun(name: string): string), id_missing: (fun(ids: string): string|false),
---  members_version: integer? } `files`: of the names whose line is in another file
function M.read(text, file, context)
  local reader = setmetatable({
    file = file,
    context = { words = context.words, read_file = context.read_file, exists = context.exists or
      exists, id = context.id },
    values = {}, lines = {}, files = {}, notes = {}, problems = {}, special = {},
    server_lines = {}, deferred = {}, seen = {}, about = {}, unknown = 0,
  }, Reader)
  local entries, broken = properties.parse(text)
  for _, problem in ipairs(broken) do
    reader:problem(problem.line, "%s", problem.text)
  end
  for _, entry in ipairs(last_ones(entries)) do
    reader:entry(entry)
  end
  zoo_ensemble.servers(reader)
  reader:myid()
  zoo_ensemble.check(reader)
  if not zoo_ensemble.client_address(reader) then
    reader:client_address()
  end
  reader:purge()
  reader:read_only_mode()
  reader:auto_create()
  for _, row in ipairs(options.list) do
    if row.zoo and row.zoo.apache ~= nil and reader.values[row.name] == nil then
      reader.values[row.name] = row.zoo.apache
    end
  end
  function reader.id_missing(ids)
    return not reader.bad_id and ("the file %s/myid is missing: it must hold the number of this " ..
      "server, one of %s"):format(reader.values.data_dir or "dataDir", ids)
  end
  function reader.label(name)
    local id = name:match("^servers%.(%d+)$")
    if id then
      return "server." .. id
    end
    local row = options.by_name[name]
    return row and row.zoo and reader.lines[name] and ("%s (%s)"):format(row.zoo[1], name) or
      row and row.zoo and reader.values[name] == nil and row.zoo[1] or name
  end
  return reader
end

return M
