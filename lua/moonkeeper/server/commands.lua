-- SPDX-License-Identifier: MIT
-- The four-letter words of a server: which exist, which are allowed, and what each answers. A
-- built-in word is the file server-scripts/commands/<word>.lua, loaded when it is first asked
-- for: { name, help, run = function(stats) -> text }; a long answer is written piece by piece with
-- stats:write(text, ...), and what is returned is the rest of it. native/script/commands.c calls
-- `answer` inside its budgets; an error raised by a word is caught there.

local M = {}

---@class moonkeeper.Commands
local Commands = {}
Commands.__index = Commands

-- Answered whether clients are served or not; own words are, too. The others answer as Apache does.
local ALWAYS_RUN <const> = { ruok = true, isro = true, envi = true, gtmk = true, stmk = true }
local NOT_SERVING <const> = "This ZooKeeper instance is not currently serving requests\n"

-- Always allowed: scripts of distributions look for "Mode:" in it.
local ALWAYS <const> = "srvr"

---@param settings { words: string[], load: fun(word: string): table, own: table<string, function>?,
---  allowed: string[]|"*" }
---@return moonkeeper.Commands
function M.new(settings)
  local self = setmetatable({ load = settings.load, own = settings.own or {}, loaded = {},
    known = {} }, Commands)
  for _, word in ipairs(settings.words) do
    self.known[word] = true
  end
  self.allowed = { [ALWAYS] = true }
  for word in pairs(self.own) do
    self.known[word] = true
    self.allowed[word] = true
  end
  for _, word in ipairs(settings.allowed == "*" and settings.words or settings.allowed) do
    self.allowed[word] = true
  end
  return self
end

---Every word there is, allowed or not, sorted.
---@return string[]
function Commands:words()
  local words = {}
  for word in pairs(self.known) do
    words[#words + 1] = word
  end
  table.sort(words)
  return words
end

---The text to send for a word, behind what it wrote with stats:write.
---@param word string
---@param stats table
---@return string
function Commands:answer(word, stats)
  if not self.allowed[word] then
    return word .. " is not executed because it is not in the whitelist.\n"
  end
  local own = self.own[word]
  local text
  if own then
    text = own(stats)
  elseif not ALWAYS_RUN[word] and not stats.serving then
    return NOT_SERVING
  else
    self.loaded[word] = self.loaded[word] or self.load(word)
    text = self.loaded[word].run(stats)
  end
  if type(text) ~= "string" then
    error(("the command %s returned %s, not a text"):format(word, type(text)), 0)
  end
  return text
end

return M
