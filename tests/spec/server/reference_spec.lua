-- SPDX-License-Identifier: MIT
-- The page of all options is up to date, and every option and key has its help.

local options = require "moonkeeper.schema.options"
local reference = require "moonkeeper.server.reference"
local zoo_keys = require "moonkeeper.server.zoo_keys"

local PATH <const> = "docs/reference/options.md"

describe("the reference of options", function()
  local page = reference.page()

  it("is up to date (build/moonkeeper help reference > " .. PATH .. ")", function()
    local file = assert(io.open(PATH))
    local text = file:read("a")
    file:close()
    assert.are.equal(page, text)
  end)

  it("has a row of five cells for every option", function()
    for _, row in ipairs(options.list) do
      local line = page:match("\n(| `" .. row.name:gsub("%p", "%%%0") .. "` |[^\n]*)\n")
      assert.is_truthy(line, row.name)
      local _, bars = line:gsub("\\|", ""):gsub("|", "|")
      assert.are.equal(6, bars, line)
    end
  end)

  it("tells about one option", function()
    for _, row in ipairs(options.list) do
      assert.are.equal(row.name, reference.option(row.name):match("^[^\n]+"))
      if row.zoo then
        assert.are.equal(reference.option(row.name), reference.option(row.zoo[1]))
      end
    end
    assert.are.equal("enforce_quota\n\n  Writes beyond a hard quota are refused. "
      .. "Those beyond a soft one only make a line in the log,\n  whether this is on or not.\n\n"
      .. "  value     true or false\n"
      .. "  default   false\n  zoo.cfg   enforceQuota\n",
      reference.option "enforce_quota")
    assert.is_nil(reference.option "frobnicate")
  end)

  it("tells what becomes of a key of a zoo.cfg", function()
    assert.are.equal("leaderServes is a key of a zoo.cfg for ensembles; it is ignored there: "
      .. "the leader serves clients too.\n", reference.option "zookeeper.leaderServes")
    assert.are.equal("electionAlg is a key of a zoo.cfg for ensembles; it is refused, unless it is "
      .. "3 there: only elections of type 3 are known.\n", reference.option "electionAlg")
    assert.are.equal(reference.option "init_limit_ticks", reference.option "zookeeper.initLimit")
    assert.are.equal("audit.enable is a key of a zoo.cfg that is refused, unless it is false: "
      .. "this version has no audit log, and you asked for one.\n", reference.option "audit.enable")
    assert.is_truthy(reference.option "autopurge.purgeInterval")
    for _, name in ipairs(zoo_keys.names()) do
      assert.is_truthy(reference.option(name), name)
    end
  end)
end)
