-- SPDX-License-Identifier: MIT
-- Names and codes of errors, from schema/errors.lua. Operations fail with `nil, err, detail`
-- where err is one of these names; compare with err.NoNode rather than a literal, because a
-- misspelt field of this module raises.

local errors = require "moonkeeper.schema.errors"

local M = {}

---Short name of a code; "Unknown" for codes that are not in the schema.
---@param code integer
---@return string
function M.name(code)
  local row = errors.by_code[code]
  return row and row.name or "Unknown"
end

---Code of a short name, or nil.
---@param name string
---@return integer?
function M.code(name)
  local row = errors.by_name[name]
  return row and row.code
end

---What a short name (or a code) means, in words.
---@param name string|integer
---@return string
function M.text(name)
  local row = errors.by_name[name] or errors.by_code[name]
  return row and row.text or "unknown error"
end

for _, row in ipairs(errors.list) do
  M[row.name] = row.name
end

return setmetatable(M, {
  __index = function(_, name)
    error("no error is called " .. tostring(name), 2)
  end,
})
