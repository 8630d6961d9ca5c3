-- SPDX-License-Identifier: MIT
-- The checkers, one per type of option, at their limits.

local check = require "moonkeeper.server.check"

local CONTEXT <const> = { words = { "ruok", "srvr" } }

local function good(kind, value, row, expected)
  local result, wish = check[kind](value, row or {}, CONTEXT)
  assert.is_nil(wish)
  assert.are.same(expected == nil and value or expected, result)
end

local function bad(kind, value, row, expected)
  local result, wish = check[kind](value, row or {}, CONTEXT)
  assert.is_nil(result)
  assert.are.equal(expected, wish)
end

describe("showing a value", function()
  it("is one short line of plain text", function()
    assert.are.equal('"a b"', check.show "a b")
    assert.are.equal('"\\x00\\x0a\\x7f\\x22\\x5c"', check.show "\0\n\127\"\\")
    assert.are.equal(62, #check.show(("x"):rep(1000)))
    assert.are.equal("5", check.show(5))
    assert.are.equal("0.5", check.show(0.5))
    assert.are.equal("nil", check.show(nil))
    assert.are.equal("true", check.show(true))
    assert.are.equal("a table", check.show {})
    assert.are.equal("a function", check.show(print))
    assert.are.equal("a thread", check.show(coroutine.create(print)))
  end)
end)

describe("the checker of", function()
  it("strings", function()
    local wish = "must be a string that is not empty and has no zero byte"
    good("string", "x")
    bad("string", 5, nil, "must be a string")
    bad("string", "", nil, wish)
    bad("string", "a\0b", nil, wish)
    good("string", "ab", { pattern = "^a" })
    bad("string", "b", { pattern = "^a", pattern_text = "an a" }, "must be an a")
  end)

  it("integers", function()
    local row = { min = -2, max = 5, unit = "bytes" }
    local wish = "must be an integer from -2 to 5 (bytes)"
    good("integer", -2, row)
    good("integer", 5, row)
    good("integer", 5.0, row, 5)
    assert.are.equal("integer", math.type(check.integer(5.0, row)))
    for _, value in ipairs { -3, 6, 0.5, 1 / 0, -1 / 0, 0 / 0, 2 ^ 63, math.mininteger, {}, true,
      "x", "" } do
      bad("integer", value, row, wish)
    end
    bad("integer", "5", row, wish .. ", without quotes")
    bad("integer", "0x5", row, wish .. ", without quotes")
    good("integer", math.maxinteger)
    row.check = function(value)
      return value ~= 3, "must not be 3"
    end
    good("integer", 4, row)
    bad("integer", 3, row, "must not be 3")
  end)

  it("booleans", function()
    good("boolean", true)
    assert.is_false(check.boolean(false))
    for _, value in ipairs { 0, 1, "true", "", {} } do
      bad("boolean", value, nil, "must be true or false")
    end
  end)

  it("enums", function()
    local row = { values = { "text", "json" } }
    good("enum", "json", row)
    bad("enum", "jsno", row, "must be one of text, json, did you mean json?")
    bad("enum", "JSON", row, "must be one of text, json, did you mean json?")
    bad("enum", {}, row, "must be one of text, json")
  end)

  it("addresses", function()
    local wish = 'must be "host:port" or "[v6 address]:port", or a list of them'
    good("addresses", "a:1", nil, { { host = "a", port = 1 } })
    good("addresses", { "a:0", "a:0" }, nil, { { host = "a", port = 0 }, { host = "a", port = 0 } })
    good("addresses", "[::]:65535", nil, { { host = "::", port = 65535 } })
    for _, value in ipairs { "a", "a:", ":1", "a:-1", "a:1x", "[::1]", "[]:1", "[g::1]:1", "::1:1",
      "a\n:1", "a:1\n", 1, true, { { "a:1" } }, { "a:1", x = "b:1" }, { [2] = "a:1" },
      { "a:1", nil, "b:1" }, ("a"):rep(256) .. ":1" } do
      bad("addresses", value, nil, wish)
    end
    bad("addresses", "a:65536", nil, "must have a port from 0 to 65535")
    bad("addresses", "a:0000000001", nil, "must have a port from 0 to 65535")
    bad("addresses", {}, nil, "must name 1 to 64 addresses")
    local many = {}
    for index = 1, 65 do
      many[index] = "a:" .. index
    end
    bad("addresses", many, nil, "must name 1 to 64 addresses")
    many[65] = nil
    assert.are.equal(64, #check.addresses(many))
  end)

  it("words", function()
    local wish = 'must be a list of four-letter words, or "*"'
    good("words", "*")
    good("words", {})
    good("words", { "srvr", "ruok" }, nil, { "ruok", "srvr" })
    bad("words", "ruok", nil, wish)
    bad("words", { 5 }, nil, wish)
    bad("words", { ruok = true }, nil, wish)
    bad("words", { "abcd" }, nil, wish .. ': there is no word "abcd"')
  end)

  it("own words", function()
    local wish = "must be a table of functions by name, each name four lower-case letters"
    good("commands", {})
    good("commands", { hiya = print })
    bad("commands", print, nil, wish)
    bad("commands", { Hiya = print }, nil, wish .. ', not "Hiya"')
    bad("commands", { print }, nil, wish .. ", not 1")
    bad("commands", { hiya = "x" }, nil, wish .. ': hiya is "x"')
    bad("commands", { zzzz = 1, aaaa = 2 }, nil, wish .. ": aaaa is 2")
  end)
end)
