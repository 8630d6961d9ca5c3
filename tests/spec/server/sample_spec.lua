-- SPDX-License-Identifier: MIT
-- The commented sample has every option once, is up to date, and is right when everything in it is
-- switched on.

local config = require "moonkeeper.server.config"
local options = require "moonkeeper.schema.options"
local sample = require "moonkeeper.server.sample"

local PATH <const> = "server-scripts/moonkeeper.conf.lua"
local WORDS <const> = { "ruok", "srvr" }

local function contents(path)
  local file = assert(io.open(path))
  local text = file:read("a")
  file:close()
  return text
end

local function load_text(text)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
  os.rename(path, path .. ".lua")
  local loaded, problems = config.load(path .. ".lua", { words = WORDS })
  os.remove(path .. ".lua")
  return loaded and loaded.values, problems and config.format(problems)
end

describe("the sample", function()
  local text = sample.text()

  it("is up to date (build/moonkeeper help options > " .. PATH .. ")", function()
    assert.are.equal(text, contents(PATH))
  end)

  it("has every option once", function()
    for _, row in ipairs(options.list) do
      local name = row.name:match("[^.]+$")
      local count = 0
      for line in text:gmatch("[^\n]+") do
        if line:find("^%s*" .. name .. " = ") or line:find("^%s*%-%- " .. name .. " = ") then
          count = count + 1
        end
      end
      assert.are.equal(1, count, row.name)
    end
  end)

  it("starts a server as it is", function()
    local values, message = load_text(text)
    assert.is_nil(message)
    assert.are.equal("data/1", values.data_dir)
  end)

  it("says the defaults", function()
    local as_it_is = assert(load_text(text))
    -- Options without a default have an example, or a text that is no Lua.
    local switched = text:gsub("\n(%s+)%-%- (%l[%w_]* = [^\n]*)", function(indent, code)
      if code:find("an example", 1, true) or code:find("tick_time_ms,", 1, true) then
        return nil
      end
      return "\n" .. indent .. code
    end)
    assert.are_not.equal(text, switched)
    local values, message = load_text(switched)
    assert.is_nil(message)
    assert.are.same(as_it_is, values)
  end)

  it("has examples that are valid, but for the password", function()
    local switched = text:gsub("%-%- (%l[%w_]* = [^\n]*, )%-%- an example", "%1")
    local values, message = load_text((switched:gsub("super_digest = [^\n]*", "")))
    assert.is_nil(message)
    assert.are.equal("moonkeeper.log", values.log_file)
    assert.are.equal("function", type(values.commands.hiya))
    local _, refusal = load_text(switched)
    assert.is_truthy(refusal:find("super_digest is not of the right form", 1, true))
  end)
end)
