-- SPDX-License-Identifier: MIT
-- The syntax of Java properties, rule by rule, and that no text makes the parser fail.

local properties = require "moonkeeper.server.properties"

local function one(text)
  local entries, problems = properties.parse(text)
  assert.are.same({}, problems)
  assert.are.equal(1, #entries)
  return entries[1].key, entries[1].value, entries[1].line
end

describe("properties", function()
  it("parts key and value by =, : or a blank", function()
    for _, text in ipairs { "a=b", "a = b", "a:b", "a : b", "a b", "  a\t=\tb  ", "a   b" } do
      local key, value = one(text)
      assert.are.same({ "a", "b" }, { key, value })
    end
  end)

  it("lets a value hold further separators", function()
    local _, value = one("server.1=host:2888:3888;0.0.0.0:2181")
    assert.are.equal("host:2888:3888;0.0.0.0:2181", value)
    _, value = one("a = = b")
    assert.are.equal("= b", value)
  end)

  it("allows empty values", function()
    local key, value = one("alone")
    assert.are.same({ "alone", "" }, { key, value })
    key, value = one("alone=")
    assert.are.same({ "alone", "" }, { key, value })
  end)

  it("skips blank lines and comments", function()
    assert.are.same({}, (properties.parse("\n  \n# a=b\n  ! c=d\n\t#x\n")))
    local _, value = one("a=b # no comment")
    assert.are.equal("b # no comment", value)
  end)

  it("joins lines at a backslash, and counts from the first", function()
    local key, value, line = one("\n\na = one,\\\n    two\n")
    assert.are.same({ "a", "one,two", 3 }, { key, value, line })
    key, value = one("a = one\\\\")
    assert.are.same({ "a", "one\\" }, { key, value })
    key, value = one("a = end\\")
    assert.are.same({ "a", "end" }, { key, value })
    key, value = one("a = b\\\n# c")
    assert.are.same({ "a", "b# c" }, { key, value })
  end)

  it("undoes escapes in keys and values", function()
    local key, value = one([[a\ b\:c = x\ty\=\u0041\uD83D\uDE00\q]])
    assert.are.same({ "a b:c", "x\ty=A\u{1F600}q" }, { key, value })
  end)

  it("reports an escape that is none", function()
    local entries, problems = properties.parse("a=b\nc=\\u12")
    assert.are.equal(1, #entries)
    assert.are.equal(2, problems[1].line)
  end)

  it("knows the line ends of all systems", function()
    local entries = properties.parse("a=1\r\nb=2\rc=3\n")
    assert.are.same({ "1", "2", "3" }, { entries[1].value, entries[2].value, entries[3].value })
    assert.are.equal(3, entries[3].line)
  end)

  it("survives random bytes", function()
    local seed = 20260524
    math.randomseed(seed)
    local alphabet = "\\\\\\=: \n\r#!au0D\0\255é"
    for _ = 1, 2000 do
      local parts = {}
      for index = 1, math.random(0, 60) do
        local at = math.random(#alphabet)
        parts[index] = alphabet:sub(at, at)
      end
      local entries, problems = properties.parse(table.concat(parts))
      assert.is_true(#entries + #problems <= 61, "seed " .. seed)
    end
  end)
end)
