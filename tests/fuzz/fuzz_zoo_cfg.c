/* SPDX-License-Identifier: MIT */
/* Fuzzes the reading of a zoo.cfg, from properties to checked options, and the search for lines in
 * a script: whatever the text, the Lua code raises nothing, each problem is one line of text
 * with a line of the file, and there are options exactly if there is no problem. */
#include "script/script.h"

#include <lauxlib.h>
#include <lua.h>

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_BYTES_MAX ((size_t)16 << 10)

static const char driver[] =
    "local config = require 'moonkeeper.server.config'\n"
    "local source = require 'moonkeeper.server.source'\n"
    "local zoo_cfg = require 'moonkeeper.server.zoo_cfg'\n"
    "local words = {'ruok', 'srvr'}\n"
    "return function(text)\n"
    "  local lines = select(2, text:gsub('[\\r\\n]', '')) + 1\n"
    "  local zoo = zoo_cfg.read(text, 'zoo.cfg', {words = words,\n"
    "    read_file = function() return text end, exists = function() return #text % 2 == 0 end})\n"
    "  local values, problems = config.check(zoo.values, {file = 'zoo.cfg', words = words,\n"
    "    label = zoo.label, line = function(name) return zoo.lines[name] end})\n"
    "  assert((values == nil) == (#problems > 0))\n"
    "  for _, list in ipairs {zoo.problems, problems} do\n"
    "    for _, problem in ipairs(list) do\n"
    "      assert(problem.text ~= '' and #problem.text < 2000 + #text)\n"
    "      assert(not problem.line or (problem.line >= 1 and problem.line <= lines))\n"
    "    end\n"
    "    assert(#config.format(list) >= #list)\n"
    "  end\n"
    "  config.is_zoo_cfg('x', text)\n"
    "  local masked = source.mask(text)\n"
    "  assert(#masked == #text)\n"
    "  source.line(masked, 'limits.lua_memory_bytes')\n"
    "end\n";

/* The checkout, from this file's own name. */
static const char *source_directory(void)
{
    static char directory[1024];
    snprintf(directory, sizeof directory, "%s", __FILE__);
    char *end = strstr(directory, "/tests/fuzz/");
    MK_ASSERT(end != NULL);
    *end = '\0';
    return directory;
}

static const struct script_budget unlimited = {0};

static struct script *open_script(void)
{
    static struct script_options options = {.version = "1", .build_date = "now"};
    options.bundle.disk_path = source_directory();
    struct script *script = script_new(&options);
    lua_State *L = script_state(script);
    int status = luaL_loadbuffer(L, driver, sizeof driver - 1, "=driver");
    MK_ASSERT(status == LUA_OK);
    enum script_outcome outcome = script_call(script, L, 0, 1, &unlimited);
    MK_ASSERT(outcome == SCRIPT_DONE);
    return script;
}

static struct script *script;

static void close_script(void)
{
    script_free(script);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > INPUT_BYTES_MAX)
        return 0;
    if (!script) {
        script = open_script();
        atexit(close_script);
    }
    lua_State *L = script_state(script);
    lua_pushvalue(L, 1);
    lua_pushlstring(L, (const char *)data, size);
    if (script_call(script, L, 1, 0, &unlimited) != SCRIPT_DONE) {
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
        abort();
    }
    return 0;
}
