-- SPDX-License-Identifier: MIT
-- "Did you mean ...?": the name nearest to a misspelt one. Used by the checks of configuration
-- and by the command line. Depends on nothing.

local M = {}

---How many letters must be changed, added, dropped or swapped with their neighbour to get from
---one word to the other (upper and lower case count as the same).
---@param a string
---@param b string
---@param limit integer? stop as soon as it is certainly more than this
---@return number distance math.huge when it is more than `limit`
function M.distance(a, b, limit)
  a, b = a:lower(), b:lower()
  local before, above, row = {}, {}, {}
  for j = 0, #b do
    above[j] = j
  end
  for i = 1, #a do
    row[0] = i
    local least = i
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      local best = math.min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (same and 0 or 1))
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        best = math.min(best, before[j - 2] + 1)
      end
      row[j] = best
      least = best < least and best or least
    end
    -- also right with swaps: they look back one row more, but cost one more than it
    if limit and least > limit then
      return math.huge
    end
    before, above, row = above, row, before
  end
  return above[#b]
end

---The nearest of `names` to `word`, or nil when none is near enough to be meant. Of equally
---near ones the first in alphabetical order.
---@param word string
---@param names string[]
---@return string?
function M.find(word, names)
  if #word > 100 then
    return nil
  end
  local best, best_distance
  local limit = math.max(1, #word // 3)
  for _, name in ipairs(names) do
    -- the distance is at least what one is longer than the other
    local far = math.abs(#name - #word) > (best_distance or limit)
    local distance = far and math.huge or M.distance(word, name, best_distance or limit)
    if distance <= limit and (not best or distance < best_distance or
        (distance == best_distance and name < best)) then
      best, best_distance = name, distance
    end
  end
  return best
end

---A sentence to append to an error message: ", did you mean NAME?" or nothing.
---@param word string
---@param names string[]
---@return string
function M.hint(word, names)
  local name = M.find(word, names)
  return name and (", did you mean " .. name .. "?") or ""
end

return M
