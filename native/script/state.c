/* SPDX-License-Identifier: MIT */
/* The Lua state: its allocator, which can be capped for the time of a call, its libraries and the
 * way to the bundled files. See script.h. */
#include "base/mem.h"
#include "script/script_int.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

/* From this size on an allocation is a moment to look at the clock. */
#define LARGE_BYTES ((size_t)16 << 10)

/* Lua's allocator. Beyond the cap it answers NULL, and Lua raises a memory error; beyond what
 * the machine has, the process ends like everywhere else (mem.h). Shrinking never fails. A large
 * allocation is refused too when the time of the call is over: what string.rep or table.concat
 * cost is not seen in instructions. */
static void *allocate(void *context, void *block, size_t old_size, size_t new_size)
{
    struct script *script = context;
    size_t old = block ? old_size : 0; /* without a block, old_size is a type tag */
    if (new_size == 0) {
        mk_free(block);
        script->memory_used -= old;
        return NULL;
    }
    if (new_size > old) {
        if (new_size >= LARGE_BYTES && script_time_is_over(script))
            return NULL;
        if (script->memory_limit && script->memory_used + (new_size - old) > script->memory_limit) {
            script->memory_refused = true;
            return NULL;
        }
    }
    void *moved = mk_realloc(block, new_size);
    script->memory_used += new_size - old;
    return moved;
}

static void preload(lua_State *L, const char *name, lua_CFunction open)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushcfunction(L, open);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
}

struct script *script_new(const struct script_options *options)
{
    struct script *script = mk_calloc(1, sizeof *script);
    script->options = *options;
    int error = uv_loop_init(&script->loop);
    MK_ASSERT(error == 0);
    lua_State *L = lua_newstate(allocate, script);
    MK_ASSERT(L != NULL);
    script->L = L;
    /* coroutines copy this from the main thread */
    *(struct script **)lua_getextraspace(L) = script;
    luaL_openlibs(L);
    bundle_install(L, &script->options.bundle);
    preload(L, "moonkeeper.core", script_open_core);
    if (options->open_luv)
        preload(L, "luv", options->open_luv);
    return script;
}

/* Handles that a script opened through luv and left open. */
static void close_handle(uv_handle_t *handle, void *context)
{
    (void)context;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

void script_free(struct script *script)
{
    if (!script)
        return;
    /* before Lua goes: the collector frees what luv made, but only once it is closed */
    uv_walk(&script->loop, close_handle, NULL);
    uv_run(&script->loop, UV_RUN_DEFAULT);
    lua_close(script->L);
    int error = uv_loop_close(&script->loop);
    MK_ASSERT(error == 0);
    logger_free(script->logger);
    mk_free(script);
}

lua_State *script_state(struct script *script)
{
    return script->L;
}

uv_loop_t *script_loop(struct script *script)
{
    return &script->loop;
}

struct script *script_of(lua_State *L)
{
    return *(struct script **)lua_getextraspace(L);
}
