-- SPDX-License-Identifier: MIT
-- The page of all figures is up to date, and tells the keys that mntr has.

local metrics = require "moonkeeper.schema.metrics"
local page = require "moonkeeper.server.metrics_page".text()

local PATH <const> = "docs/reference/metrics.md"

describe("the reference of figures", function()
  it("is up to date (build/moonkeeper help metrics > " .. PATH .. ")", function()
    local file = assert(io.open(PATH))
    local text = file:read("a")
    file:close()
    assert.are.equal(page, text)
  end)

  it("has a row of three cells for every figure, in order", function()
    local from = 1
    for _, row in ipairs(metrics.list) do
      local first, last, line = page:find("\n(| `" .. row.name .. "` | " .. row.kind
        .. " | [^\n|]+ |)\n", from)
      assert.is_truthy(first, row.name)
      assert.is_truthy(#line < 200, line)
      from = last
    end
  end)

  it("has the figures of quotas", function()
    for _, row in ipairs(metrics.per_namespace) do
      assert.is_truthy(page:find("\n| `zk_ZNODE_" .. row.name .. "` | [^\n|]+ |\n"), row.name)
    end
  end)

  it("names the requests of a count", function()
    assert.is_truthy(page:find("\n| `op_count_create` | counter | create, create2, "
      .. "createContainer, createTTL |\n", 1, true))
  end)

  it("explains every kind", function()
    for _, row in ipairs(metrics.list) do
      assert.is_truthy(page:find("\n| " .. row.kind .. " | `", 1, true), row.kind)
    end
  end)
end)
