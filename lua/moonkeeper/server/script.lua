-- SPDX-License-Identifier: MIT
-- Runs the text of a server script and takes its errors apart: what is wrong, in one line, and in
-- which line of the script. Used by server/config.lua.

local check = require "moonkeeper.server.check"

local M = {}

-- True when Lua's name for a file in messages, cut at the front when it is long, means `path`.
local function is_name_of(shown, path)
  return shown == path or
    (shown:sub(1, 3) == "..." and #shown > 3 and path:sub(3 - #shown) == shown:sub(4))
end

-- "server.lua:3: text" as Lua says it: text and line; of another file: all of it.
local function split(path, message)
  local shown, line, text = message:match("^([^\n]-):(%d+): (.*)$")
  if shown and is_name_of(shown, path) then
    return text, math.tointeger(tonumber(line))
  end
  return message
end

local function as_text(message)
  if message == nil then
    return "the script raised an error without a message"
  elseif type(message) == "string" then
    return message
  end
  local meta = getmetatable(message)
  local good, text = pcall(tostring, message)
  if good and type(meta) == "table" and meta.__tostring then
    return text
  end
  return "the script raised " .. check.show(message)
end

-- Lua lists every place where it looked for a module: a screen full.
local function shortened(text)
  local missing = text:match("^(.-module '[^']*' not found):\n")
  if missing then
    text = missing .. "; it was looked for beside the script and along package.path"
  end
  return (text:gsub("%s*\n%s*", " "))
end

-- The places in Lua files between the error and the call of the script, the innermost first.
local function places()
  local found = {}
  for level = 3, 100 do
    local frame = debug.getinfo(level, "Slf")
    if not frame or frame.func == xpcall then
      break
    elseif frame.currentline > 0 and frame.source:sub(1, 1) == "@" then
      found[#found + 1] = { file = frame.source:sub(2), line = frame.currentline }
    end
  end
  return found
end

-- The message handler: keeps what is only known while the stack is there.
local function handler(path)
  return function(message)
    local text, line = split(path, shortened(as_text(message)))
    local way = {}
    for _, place in ipairs(places()) do
      if not line and #way == 0 and place.file == path then
        line = place.line
      elseif not (#way == 0 and place.file == path and place.line == line) then
        way[#way + 1] = ("%s:%d"):format(place.file, place.line)
      end
    end
    if #way > 0 then
      text = ("%s (called from %s)"):format(text, table.concat(way, ", from ", 1,
        math.min(#way, 10)))
    end
    return { text = text, line = line }
  end
end

---Runs a script.
---@param path string its name, for messages
---@param text string
---@return table? options what it returned
---@return string? problem one line
---@return integer? line
function M.run(path, text)
  local chunk, message = load(text, "@" .. path, "t")
  if not chunk then
    return nil, split(path, message)
  end
  local good, result = xpcall(chunk, handler(path), path)
  if not good then
    if type(result) ~= "table" then -- the handler itself ran out of stack or memory
      return nil, as_text(result)
    end
    return nil, result.text, result.line
  elseif type(result) ~= "table" then
    return nil, "the script returned " .. check.show(result) ..
      ", but it must return the table of options: return { data_dir = \"data\", ... }"
  end
  return result
end

return M
