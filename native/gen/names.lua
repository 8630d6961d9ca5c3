-- SPDX-License-Identifier: MIT
-- Names and comments in generated C: used by every emitter, touches no file.

local M = {}

local keywords = {}
for word in ([[auto break case char const continue default do double else enum extern float for
  goto if inline int long register restrict return short signed sizeof static struct switch
  typedef union unsigned void volatile while bool true false]]):gmatch("%S+") do
  keywords[word] = true
end

---CamelCase to snake_case: CreateTTLTxn to create_ttl_txn, getChildren2 to get_children2.
---@param name string
---@return string
function M.snake(name)
  return (name:gsub("(%l%d*)(%u)", "%1_%2"):gsub("(%u)(%u%l)", "%1_%2"):lower())
end

---@param name string
---@return string
function M.upper(name)
  return M.snake(name):upper()
end

---A member name that is no keyword of C.
---@param name string
---@return string
function M.member(name)
  return keywords[name] and name .. "_" or name
end

---A string literal of C; the text is plain ASCII without control characters.
---@param text string
---@return string
function M.literal(text)
  assert(not text:find("[%c\128-\255]"), "not plain ASCII: " .. text)
  return '"' .. text:gsub('[\\"]', "\\%0") .. '"'
end

---A comment of C, broken into lines of at most 96 columns.
---@param text string
---@param indent string?
---@return string
function M.comment(text, indent)
  indent = indent or ""
  local lines, line = {}, "/*"
  local start = " *"
  for word in (text .. " */"):gmatch("%S+") do
    if #indent + #line + 1 + #word > 96 then
      lines[#lines + 1] = indent .. line
      line = start
    end
    line = line .. " " .. word
  end
  lines[#lines + 1] = indent .. line
  return table.concat(lines, "\n")
end

---First lines of a generated file.
---@param purpose string
---@return string
function M.header(purpose)
  return "/* SPDX-License-Identifier: MIT */\n" ..
    M.comment("Generated from lua/moonkeeper/schema by native/gen: do not edit. " .. purpose) ..
    "\n"
end

---Collects text: call it with a format and arguments to add a line, with nothing to get all.
---@return fun(format: string?, ...): string?
function M.writer()
  local lines = {}
  return function(format, ...)
    if not format then
      return table.concat(lines, "\n") .. "\n"
    end
    lines[#lines + 1] = select("#", ...) > 0 and format:format(...) or format
  end
end

return M
