-- SPDX-License-Identifier: MIT
-- luahost gen.lua SOURCE_DIR OUTPUT_DIR: loads the schema, checks it, and lets every emitter
-- write its C files. The same schema always gives the same bytes, and a file whose content did
-- not change is not touched. To add an emitter, write native/gen/emit_<what>.lua that returns
-- function(schema, output), add its name to `emitters` below and its files to outputs.cmake.
--   schema.<name>               the table of lua/moonkeeper/schema/<name>.lua
--   output.write(path, text)    writes OUTPUT_DIR/path

local emitters = {
  "emit_records",
  "emit_tables",
  "emit_fuzz",
  "emit_options",
  "emit_metrics",
}

local source_dir, output_dir = ...
assert(output_dir, "usage: luahost gen.lua SOURCE_DIR OUTPUT_DIR")
package.path = source_dir .. "/lua/?.lua;" .. source_dir .. "/native/gen/?.lua"

local make_directory = rawget(_G, "make_directory")

local function make_directories(path)
  local position = 1
  while true do
    local slash = path:find("/", position, true)
    if not slash then
      return
    end
    if slash > 1 then
      assert(make_directory(path:sub(1, slash - 1)))
    end
    position = slash + 1
  end
end

local output = {}

---Writes OUTPUT_DIR/path unless it has that content already.
---@param path string
---@param text string
function output.write(path, text)
  local full = output_dir .. "/" .. path
  local old = io.open(full, "rb")
  if old then
    local content = old:read("a")
    old:close()
    if content == text then
      return
    end
  end
  make_directories(full)
  local file = assert(io.open(full, "wb"))
  assert(file:write(text))
  assert(file:close())
end

local schema = setmetatable({}, {
  __index = function(self, name)
    local facts = require("moonkeeper.schema." .. name)
    rawset(self, name, facts)
    return facts
  end,
})

require("check")(schema)
for _, name in ipairs(emitters) do
  require(name)(schema, output)
end
