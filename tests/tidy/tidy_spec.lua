-- SPDX-License-Identifier: MIT
-- The rules of the house as tests: which layer may include which, which calls each layer may
-- make, how long files and functions may be, and that every fact of the schema is used.

local LAYERS = {
  base = {}, wire = { "base" }, tree = { "base", "wire" }, log = { "base", "wire" },
  zab = { "base", "wire" }, ops = { "base", "wire", "tree" },
  replica = { "base", "wire", "tree", "log", "zab", "ops" },
  server = { "base", "wire", "tree", "log", "zab", "ops", "replica" },
  script = { "base", "wire", "tree", "log", "zab", "ops", "replica", "server" },
  luamod = { "base", "wire", "tree", "log", "zab", "ops", "replica", "server", "script" },
}

-- Layers without clock, socket, thread, environment, file or chance of their own.
local PURE = { base = true, wire = true, tree = true, log = true, zab = true, ops = true,
  replica = true }
local BANNED_IN_PURE = {
  "time", "clock_gettime", "gettimeofday", "fopen", "open", "socket", "read", "write", "pread",
  "pwrite", "fsync", "fdatasync", "rename", "unlink", "getenv", "rand", "random", "srand",
  "getrandom", "pthread_create", "sleep", "usleep", "nanosleep", "printf", "system", "fork",
}
-- Never, anywhere: unbounded, or with a hidden state.
local BANNED = { "strcpy", "strcat", "sprintf", "vsprintf", "gets", "alloca", "strtok", "atoi",
  "setjmp", "longjmp" }
-- Memory is taken through base/mem.h alone.
local ALLOCATORS = { "malloc", "calloc", "realloc", "free", "strdup", "strndup" }
local ALLOCATORS_ALLOWED = { ["native/base/mem.c"] = true }

local LINES_MAX = 700
local FUNCTION_LINES_MAX = 75

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("a")
  file:close()
  return text
end

local function files(pattern)
  local found = {}
  local pipe = assert(io.popen("find native lua server-scripts tests examples -type f -name '"
    .. pattern .. "' 2>/dev/null | sort"))
  for path in pipe:lines() do
    if not path:find("/corpus/", 1, true) and not path:find("/vectors/storage/", 1, true) then
      found[#found + 1] = path
    end
  end
  pipe:close()
  return found
end

--- The text without comments, strings and character constants; line breaks stay.
local function code_only(text)
  local function blank(s) return (s:gsub("[^\n]", " ")) end
  text = text:gsub("/%*.-%*/", blank)
  text = text:gsub("\\[\\\"']", "  ")
  text = text:gsub('"[^"\n]*"', blank)
  text = text:gsub("'[^'\n]*'", blank)
  return (text:gsub("//[^\n]*", blank))
end

local function line_of(text, position)
  local _, count = text:sub(1, position):gsub("\n", "")
  return count + 1
end

local function fail_with(list)
  assert.is_true(#list == 0, "\n  " .. table.concat(list, "\n  "))
end

local function c_files()
  local all = files("*.c")
  for _, path in ipairs(files("*.h")) do all[#all + 1] = path end
  return all
end

describe("tidy", function()
  it("layers include themselves and lower ones only", function()
    local bad = {}
    for _, path in ipairs(c_files()) do
      local layer = path:match("^native/([%w_]+)/")
      if layer and LAYERS[layer] then
        local allowed = { [layer] = true }
        for _, lower in ipairs(LAYERS[layer]) do allowed[lower] = true end
        for header in read(path):gmatch('#include "([^"]+)"') do
          local other = header:match("^([%w_]+)/")
          if not other then
            bad[#bad + 1] = path .. ": include \"" .. header .. "\" does not name its layer"
          elseif not allowed[other] then
            bad[#bad + 1] = path .. ": layer " .. layer .. " must not include " .. header
          end
        end
      end
    end
    fail_with(bad)
  end)

  it("uv.h stays in server and above, lua.h in script and above", function()
    local bad = {}
    for _, path in ipairs(c_files()) do
      local layer = path:match("^native/([%w_]+)/")
      local text = read(path)
      if layer and text:find("#include <uv.h>", 1, true) and layer ~= "server"
        and layer ~= "script" and layer ~= "luamod" then
        bad[#bad + 1] = path .. ": only server/, script/ and luamod/ may see uv.h"
      end
      if layer and text:find("#include <lua", 1, true) and layer ~= "script"
        and layer ~= "luamod" and layer ~= "gen" then
        bad[#bad + 1] = path .. ": only script/, luamod/ and gen/ may see lua.h"
      end
    end
    fail_with(bad)
  end)

  it("calls that a layer must not make are not made", function()
    local bad = {}
    local function look(path, text, names, why)
      for _, name in ipairs(names) do
        local from = 1
        while true do
          local at, last, before = text:find("([^%w_.>])" .. name .. "%s*%(", from)
          if not at then break end
          -- A definition or a member of a vtable has a type or an arrow before it.
          if before ~= "*" then
            bad[#bad + 1] = ("%s:%d: %s() %s"):format(path, line_of(text, at + 1), name, why)
          end
          from = last
        end
      end
    end
    for _, path in ipairs(c_files()) do
      local layer = path:match("^native/([%w_]+)/")
      local text = code_only(read(path))
      look(path, text, BANNED, "is never used here")
      if layer and not ALLOCATORS_ALLOWED[path] and layer ~= "gen" then
        look(path, text, ALLOCATORS, "belongs to base/mem.c")
      end
      if layer and PURE[layer] and path ~= "native/base/mem.c" then
        look(path, text, BANNED_IN_PURE, "is I/O, clock or chance in a pure layer")
      end
    end
    fail_with(bad)
  end)

  it("files open with their licence and are not too long", function()
    local bad = {}
    local function check(path, comment)
      local text = read(path)
      if not text:find("^" .. comment .. " SPDX%-License%-Identifier: MIT") and
        not text:find("^#![^\n]*\n" .. comment .. " SPDX%-License%-Identifier: MIT") then
        bad[#bad + 1] = path .. ": the first line is not the SPDX line"
      end
      local _, lines = text:gsub("\n", "")
      if lines > LINES_MAX then
        bad[#bad + 1] = ("%s: %d lines (at most %d)"):format(path, lines, LINES_MAX)
      end
    end
    for _, path in ipairs(c_files()) do check(path, "/%*") end
    for _, path in ipairs(files("*.lua")) do check(path, "%-%-") end
    for _, path in ipairs(files("*.py")) do check(path, "#") end
    fail_with(bad)
  end)

  it("functions fit a screen", function()
    local bad = {}
    for _, path in ipairs(files("*.c")) do
      if path:find("^native/") then
        local number, began = 0, nil
        for line in (read(path) .. "\n"):gmatch("(.-)\n") do
          number = number + 1
          if line == "{" then
            began = number
          elseif line == "}" and began then
            if number - began > FUNCTION_LINES_MAX then
              bad[#bad + 1] = ("%s:%d: a function of %d lines (at most %d)"):format(path, began,
                number - began, FUNCTION_LINES_MAX)
            end
            began = nil
          end
        end
      end
    end
    fail_with(bad)
  end)

  it("every opcode of the schema is handled or refused by name in the replica", function()
    local ops = dofile("lua/moonkeeper/schema/ops.lua")
    local list = ops.list or ops
    local dispatch = read("native/replica/request.c")
    local missing, seen = {}, 0
    for _, op in ipairs(list) do
      seen = seen + 1
      local name = "MK_OP_" .. op.name:gsub("(%l)(%u)", "%1_%2"):gsub("TTL", "TTL"):upper()
      local client_may = op.kind == "write" or op.kind == "read" or op.kind == "barrier"
        or op.kind == "connection"
      local refused = op.name == "check" or op.name == "deleteContainer"
        or op.name == "createSession" or op.name == "error"
      if client_may and not refused and not dispatch:find(name .. ":", 1, true) then
        missing[#missing + 1] = op.name .. " (" .. name .. ")"
      end
    end
    assert.is_true(seen >= 30, "the schema lists " .. seen .. " opcodes")
    fail_with(missing)
  end)

  it("nothing tracked names a path of one machine", function()
    local pipe = assert(io.popen(
      "git grep -nIE '/(work|home)/[a-z]' -- . ':!tests/tidy' 2>/dev/null"))
    local found = pipe:read("a")
    pipe:close()
    assert.are.equal("", found)
  end)
end)
