/* SPDX-License-Identifier: MIT */
/* A Lua state that reads its files from the checkout, for tests of the script layer. */
#ifndef TESTS_LIB_SCRIPT_FIXTURE_H
#define TESTS_LIB_SCRIPT_FIXTURE_H

#include "script/script_int.h"

#include <lauxlib.h>
#include <lua.h>

static inline struct script *script_fixture(void)
{
    struct script_options options = {.bundle = {.disk_path = MK_SOURCE_DIR},
                                     .version = "1.2.3",
                                     .build_date = "2026-05-24 12:00 UTC"};
    return script_new(&options);
}

/* Runs a chunk under a budget; what it returns, or its error, is at the top of the stack. */
static inline enum script_outcome script_run_text(struct script *script, const char *text,
                                                  struct script_budget budget)
{
    lua_State *L = script_state(script);
    int status = luaL_loadbuffer(L, text, strlen(text), "=test");
    MK_ASSERT(status == LUA_OK);
    return script_call(script, L, 0, 1, &budget);
}

#endif
