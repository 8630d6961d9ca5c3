-- SPDX-License-Identifier: MIT
-- The reference of all options, written from the schema: one option as text for
-- `moonkeeper help OPTION`, all of them as the page docs/reference/options.md, of which a spec
-- keeps the copy up to date. Pure.

local options = require "moonkeeper.schema.options"
local sample = require "moonkeeper.server.sample"
local zoo_keys = require "moonkeeper.server.zoo_keys"

local M = {}

-- What an option accepts, in words.
local function kind(row)
  if row.type == "enum" then
    return "one of " .. table.concat(row.values, ", ")
  elseif row.type == "integer" then
    local range = sample.range(row)
    return "an integer" .. (range ~= "" and ", " .. range:sub(1, 1):lower() .. range:sub(2, -2) or
      "")
  elseif row.type == "boolean" then
    return "true or false"
  elseif row.type == "addresses" then
    return "an address or a list of addresses"
  elseif row.type == "words" then
    return 'a list of words, or "*"'
  elseif row.type == "commands" then
    return "a table of functions by name"
  elseif row.type == "servers" then
    return "a table of members by id"
  end
  return "a string"
end

local function default(row)
  if row.default ~= nil then
    return sample.literal(row.default)
  elseif row.default_text then
    return row.default_text
  elseif row.name == "data_dir" then
    return "none: it must be said"
  end
  return "none"
end

local CONVERSIONS <const> = {
  kib = "in KiB", kib_or_off = "in KiB", unless_no = "yes or no", if_yes = "yes or no",
}

-- The key of a zoo.cfg, and what differs there.
local function zoo(row)
  if not row.zoo then
    return nil
  elseif row.zoo[1] == "myid" then
    return "the file myid in dataDir"
  end
  local parts = { row.zoo[1] }
  if CONVERSIONS[row.zoo.convert] then
    parts[#parts + 1] = CONVERSIONS[row.zoo.convert]
  end
  if row.zoo.apache ~= nil then
    parts[#parts + 1] = "default there " .. sample.literal(row.zoo.apache)
  end
  return table.concat(parts, ", ")
end

-- What becomes of a key of a zoo.cfg that is no option of ours.
local function key(name)
  local found = zoo_keys.find(name)
  if not found then
    return nil
  elseif found.kind == "special" then
    return name .. " is a key of a zoo.cfg that is read as Apache does.\n"
  elseif found.kind == "ignored" then
    return ("%s is a key of a zoo.cfg that is ignored: %s.\n"):format(name, found.why)
  elseif found.kind == "ensemble" then
    local fate = not found.refused and "ignored" or found.harmless and
      "refused, unless it is " .. table.concat(found.harmless, " or ") or "refused"
    return ("%s is a key of a zoo.cfg for ensembles; it is %s there: %s.\n")
      :format(name, fate, found.why)
  end
  return ("%s is a key of a zoo.cfg that is refused%s: %s.\n"):format(name, found.harmless and
    ", unless it is " .. table.concat(found.harmless, " or ") or "", found.why)
end

---One option as lines of text, or what becomes of a key of a zoo.cfg, or nil when there is none.
---@param name string
---@return string?
function M.option(name)
  name = name:gsub("^zookeeper%.", "")
  local row = options.by_name[name] or options.by_zoo_key[name]
  if not row then
    return key(name)
  end
  local lines = { row.name, "" }
  sample.wrap(row.doc, "  ", lines)
  lines[#lines + 1] = ""
  lines[#lines + 1] = "  value     " .. kind(row)
  lines[#lines + 1] = "  default   " .. default(row)
  if row.example ~= nil then
    lines[#lines + 1] = "  example   " .. row.name:match("[^.]+$") .. " = " ..
      sample.literal(row.example)
  elseif row.example_code then
    lines[#lines + 1] = "  example   " .. row.name .. " = " .. row.example_code
  end
  if row.warning then
    sample.wrap(("WARNING when it is %s: %s."):format(sample.literal(row.warning[1]),
      row.warning[2]), "  ", lines)
  end
  if zoo(row) then
    lines[#lines + 1] = "  zoo.cfg   " .. zoo(row)
  end
  return table.concat(lines, "\n") .. "\n"
end

local function cell(text)
  return (text:gsub("|", "\\|"))
end

local function code(text)
  return text and "`" .. text .. "`" or ""
end

local function add_row(row, lines)
  local shown = default(row)
  if row.default ~= nil then
    shown = code(shown)
  end
  local there = zoo(row)
  if there and row.zoo[1] ~= "myid" then
    there = there:gsub("^[^,]+", code)
  end
  lines[#lines + 1] = ("| %s | %s | %s | %s | %s |"):format(code(row.name), cell(kind(row)),
    cell(shown), cell(there or ""), cell(row.doc))
end

---The page docs/reference/options.md.
---@return string
function M.page()
  local lines = {
    "# Options of a server",
    "",
    "Written from `lua/moonkeeper/schema/options.lua` by `moonkeeper help reference`; do not edit.",
    "",
    "A server script returns a table of these; `--set name=value` on the command line overrides",
    "one. A name with a dot is a table in the table: `limits = { lua_memory_bytes = 1 << 26 }`.",
    "The column zoo.cfg has the key by which a classic configuration file sets the same; every",
    "other key that Apache documents is ignored with a line that says why, or refused where acting",
    "as if it were not there would be unsafe. `moonkeeper help OPTION` shows one option,",
    "`moonkeeper help options` a commented script with all of them.",
  }
  for _, section in ipairs(options.sections) do
    lines[#lines + 1] = "\n## " .. section.title .. "\n"
    lines[#lines + 1] = "| option | value | default | zoo.cfg | what it does |"
    lines[#lines + 1] = "|---|---|---|---|---|"
    for _, row in ipairs(section) do
      add_row(row, lines)
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

return M
