/* SPDX-License-Identifier: MIT */
/* The C module moonkeeper.core: what the bundled Lua files need of C. Opened by require in a
 * state that script_new made; nothing here is for use by server scripts. */
#include "script/script_int.h"

#include <lauxlib.h>
#include <lua.h>
#include <unistd.h>

/* core.is_terminal(descriptor) -> boolean */
static int lua_is_terminal(lua_State *L)
{
    lua_pushboolean(L, isatty((int)luaL_checkinteger(L, 1)));
    return 1;
}

static void add_bundle_function(lua_State *L, const char *name, lua_CFunction function)
{
    lua_pushlightuserdata(L, &script_of(L)->options.bundle);
    lua_pushcclosure(L, function, 1);
    lua_setfield(L, -2, name);
}

int script_open_core(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"open_log", run_lua_open_log},   {"log", run_lua_log},
        {"serve", run_lua_serve},         {"check", check_lua_check},
        {"is_terminal", lua_is_terminal}, {NULL, NULL},
    };
    luaL_newlib(L, functions);
    add_bundle_function(L, "bundle_read", bundle_lua_read);
    add_bundle_function(L, "bundle_list", bundle_lua_list);
    lua_pushstring(L, script_of(L)->options.version);
    lua_setfield(L, -2, "version");
    lua_pushstring(L, script_of(L)->options.build_date);
    lua_setfield(L, -2, "build_date");
    return 1;
}
