/* SPDX-License-Identifier: MIT */
/* The single place where C calls Lua: protected, with a traceback, under a budget of
 * instructions and memory. See script.h. */
#include "script/script_int.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>

#define HOOK_EVERY 1000

/* Runs every HOOK_EVERY instructions. Once they are spent it runs at every instruction, so that a
 * pcall inside the script cannot catch the error and go on. The error is a refused allocation:
 * unlike lua_error it calls no message handler, which would run with hooks off and might never
 * end. (A __gc metamethod that never ends cannot be stopped: Lua runs it with hooks off.) */
static void on_count(lua_State *L, lua_Debug *activation)
{
    struct script *script = script_of(L);
    if (script->instructions_left <= 0 && !script->instructions_spent)
        return; /* a coroutine made under an earlier budget */
    script->instructions_left -= HOOK_EVERY;
    if (script->instructions_left > 0)
        return;
    if (!script->instructions_spent) {
        script->instructions_spent = true;
        lua_getinfo(L, "Sl", activation);
        snprintf(script->spent_at, sizeof script->spent_at, "%s:%d", activation->short_src,
                 activation->currentline);
    }
    lua_sethook(L, on_count, LUA_MASKCOUNT, 1);
    script->memory_limit = 1;
    lua_newuserdatauv(L, 1, 0);
}

static int with_traceback(lua_State *L)
{
    const char *message = lua_tostring(L, 1);
    if (!message) {
        if (luaL_callmeta(L, 1, "__tostring") && lua_type(L, -1) == LUA_TSTRING)
            message = lua_tostring(L, -1);
        else
            message = lua_pushfstring(L, "(an error that is %s)", luaL_typename(L, 1));
    }
    luaL_traceback(L, L, message, 1);
    return 1;
}

enum script_outcome script_call(struct script *script, lua_State *L, int arguments, int results,
                                const struct script_budget *budget)
{
    int handler = lua_gettop(L) - arguments;
    lua_pushcfunction(L, with_traceback);
    lua_insert(L, handler);
    script->memory_refused = false;
    script->instructions_spent = false;
    script->instructions_left = budget->instructions;
    if (budget->instructions)
        lua_sethook(L, on_count, LUA_MASKCOUNT, HOOK_EVERY);
    if (budget->memory_bytes)
        script->memory_limit = script->memory_used + budget->memory_bytes;
    int status = lua_pcall(L, arguments, results, handler);
    script->memory_limit = 0;
    if (budget->instructions)
        lua_sethook(L, NULL, 0, 0);
    script->instructions_left = 0;
    bool spent = script->instructions_spent;
    script->instructions_spent = false;
    lua_remove(L, handler);
    if (status == LUA_OK && !spent)
        return SCRIPT_DONE;
    if (spent) {
        lua_settop(L, handler - 1);
        lua_pushfstring(L, "%s: stopped: it ran for too long", script->spent_at);
        return SCRIPT_TOO_LONG;
    }
    if (!lua_isstring(L, -1)) {
        lua_pop(L, 1);
        lua_pushliteral(L, "an error without text");
    }
    if (status == LUA_ERRMEM || script->memory_refused)
        return SCRIPT_OUT_OF_MEMORY;
    return SCRIPT_FAILED;
}

int script_main(struct script *script, const char *module, int argument_count, char **arguments)
{
    lua_State *L = script->L;
    static const struct script_budget unlimited = {0, 0};
    lua_getglobal(L, "require");
    lua_pushstring(L, module);
    enum script_outcome outcome = script_call(script, L, 1, 1, &unlimited);
    if (outcome == SCRIPT_DONE) {
        lua_createtable(L, argument_count, 0);
        for (int i = 0; i < argument_count; i++) {
            lua_pushstring(L, arguments[i]);
            lua_rawseti(L, -2, i + 1);
        }
        outcome = script_call(script, L, 1, 1, &unlimited);
    }
    int code = 1;
    if (outcome == SCRIPT_DONE)
        code = (int)lua_tointeger(L, -1);
    else
        fprintf(stderr, "moonkeeper: %s\n", lua_tostring(L, -1));
    lua_pop(L, 1);
    return code;
}
