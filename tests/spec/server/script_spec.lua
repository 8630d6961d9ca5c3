-- SPDX-License-Identifier: MIT
-- Running the text of a server script: each way to fail is one line with the line of the script.

local script = require "moonkeeper.server.script"

local function fails(text, message, line, path)
  local options, problem, where = script.run(path or "server.lua", text)
  assert.is_nil(options)
  assert.are.equal(message, problem)
  assert.are.equal(line, where)
end

describe("a server script", function()
  it("returns its table, and knows its name", function()
    assert.are.same({ a = "s.lua" }, script.run("s.lua", "return { a = ... }"))
  end)

  it("with a wrong syntax", function()
    fails("return {\n,", "unexpected symbol near ','", 2)
    fails("\27Lua", "attempt to load a binary chunk (mode is 't')")
  end)

  it("that raises an error", function()
    fails("\nerror 'no disk'", "no disk", 2)
    fails("local x\nreturn x.y", "attempt to index a nil value (local 'x')", 2)
    fails("local function f()\n error 'no disk'\nend\n\nf()",
      "no disk (called from server.lua:5)", 2)
    fails("error('no disk', 0)", "no disk", 1)
    fails("error('two\\nlines', 0)", "two lines", 1)
  end)

  it("that raises something else", function()
    fails("error()", "the script raised an error without a message", 1)
    fails("\nerror({})", "the script raised a table", 2)
    fails("error(5)", "the script raised 5", 1)
    fails("error(setmetatable({}, { __tostring = function() return 'E!' end }))", "E!", 1)
    fails("error(setmetatable({}, { __tostring = function() error 'x' end }))",
      "the script raised a table", 1)
  end)

  it("that wants a module which is not there", function()
    fails("require 'no.such'", "module 'no.such' not found; it was looked for beside the script "
      .. "and along package.path", 1)
  end)

  it("that returns no table", function()
    local wish = ", but it must return the table of options: return { data_dir = \"data\", ... }"
    fails("", "the script returned nil" .. wish)
    fails("return 'x'", 'the script returned "x"' .. wish)
  end)

  it("that never stops calling itself", function()
    local options, problem = script.run("s.lua", "local function f() return 1 + f() end return f()")
    assert.is_nil(options)
    assert.is_truthy(problem:find("stack overflow", 1, true))
    assert.is_nil(problem:find("\n", 1, true))
  end)

  it("with a name that Lua cuts", function()
    local path = ("directory/"):rep(9) .. "server.lua"
    fails("return {\n,", "unexpected symbol near ','", 2, path)
    fails("\nerror 'no disk'", "no disk", 2, path)
  end)
end)
