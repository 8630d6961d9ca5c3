/* SPDX-License-Identifier: MIT */
/* The single place where C calls Lua: protected, with a traceback, under a budget of
 * instructions, time and memory. See script.h. */
#include "base/buffer.h"
#include "script/script_int.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <time.h>

#define HOOK_EVERY 1000

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* The monotonic clock is cheap to read; only when it has run out, processor time decides, so that
 * a busy machine does not count against a script. */
bool script_time_is_over(struct script *script)
{
    if (script->spent)
        return true;
    if (script->ends_ns == 0)
        return false;
    uint64_t now = clock_ns(CLOCK_MONOTONIC);
    if (now < script->ends_ns)
        return false;
    uint64_t used = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    if (used < script->processor_ends_ns) {
        script->ends_ns = now + (script->processor_ends_ns - used);
        return false;
    }
    script->spent = true;
    script->memory_limit = 1;
    return true;
}

/* The slice of this coroutine is over, and it can be cut here. */
static bool is_cut_here(const struct script *script, lua_State *L)
{
    return L == script->sliced && lua_isyieldable(L) &&
           clock_ns(CLOCK_MONOTONIC) >= script->slice_ends_ns;
}

static int go_on(lua_State *L, int status, lua_KContext again)
{
    (void)status;
    return ((lua_CFunction)again)(L);
}

void script_pause_if_over(lua_State *L, lua_CFunction again)
{
    struct script *script = script_of(L);
    if (!is_cut_here(script, L))
        return;
    script->paused = true;
    lua_yieldk(L, 0, (lua_KContext)again, go_on);
}

/* Runs every HOOK_EVERY instructions. Once they are spent it runs at every instruction, so that a
 * pcall inside the script cannot catch the error and go on. The error is a refused allocation:
 * unlike lua_error it calls no message handler, which would run with hooks off and might never
 * end. (A __gc metamethod that never ends cannot be stopped: Lua runs it with hooks off.) */
static void on_count(lua_State *L, lua_Debug *activation)
{
    struct script *script = script_of(L);
    if (!script->budget_running)
        return; /* a coroutine made under an earlier budget */
    script->instructions_left -= HOOK_EVERY;
    if (script->instructions_left > 0 && !script_time_is_over(script)) {
        if (is_cut_here(script, L)) {
            script->paused = true;
            lua_yield(L, 0); /* takes effect when the hook returns */
        }
        return;
    }
    script->spent = true;
    if (!script->spent_at[0]) {
        lua_getinfo(L, "Sl", activation);
        snprintf(script->spent_at, sizeof script->spent_at, "%s:%d: ", activation->short_src,
                 activation->currentline);
    }
    lua_sethook(L, on_count, LUA_MASKCOUNT, 1);
    script->memory_limit = 1;
    lua_newuserdatauv(L, 1, 0);
}

static int as_text(lua_State *L)
{
    if (lua_isstring(L, 1) || (luaL_callmeta(L, 1, "__tostring") && lua_type(L, -1) == LUA_TSTRING))
        return 1;
    lua_pushfstring(L, "(an error that is %s)", luaL_typename(L, 1));
    return 1;
}

static int with_traceback(lua_State *L)
{
    as_text(L);
    luaL_traceback(L, L, lua_tostring(L, -1), 1);
    return 1;
}

static void budget_begin(struct script *script, const struct script_budget *budget)
{
    script->budget_running = budget->instructions || budget->time_ms || budget->memory_bytes;
    script->memory_refused = false;
    script->spent_at[0] = '\0';
    script->instructions_left = budget->instructions ? budget->instructions : INT64_MAX;
    if (budget->time_ms) {
        uint64_t span = (uint64_t)budget->time_ms * 1000000;
        script->ends_ns = clock_ns(CLOCK_MONOTONIC) + span;
        script->processor_ends_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) + span;
    }
    if (budget->memory_bytes)
        script->memory_limit = script->memory_used + budget->memory_bytes;
}

static void budget_end(struct script *script)
{
    script->budget_running = false;
    script->memory_limit = 0;
    script->ends_ns = 0;
    script->spent = false;
}

/* The error is at the top of the stack; leaves it as text. */
static enum script_outcome failed(struct script *script, lua_State *L, int status, bool spent)
{
    if (spent) {
        lua_pop(L, 1);
        lua_pushfstring(L, "%sstopped: it ran for too long", script->spent_at);
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

enum script_outcome script_call(struct script *script, lua_State *L, int arguments, int results,
                                const struct script_budget *budget)
{
    int handler = lua_gettop(L) - arguments;
    lua_pushcfunction(L, with_traceback);
    lua_insert(L, handler);
    bool inner = script->budget_running;
    bool hooked = !inner && (budget->instructions || budget->time_ms);
    if (!inner)
        budget_begin(script, budget);
    if (hooked)
        lua_sethook(L, on_count, LUA_MASKCOUNT, HOOK_EVERY);
    int status = lua_pcall(L, arguments, results, handler);
    bool spent = script->spent;
    if (hooked)
        lua_sethook(L, NULL, 0, 0);
    if (!inner)
        budget_end(script);
    lua_remove(L, handler);
    if (status == LUA_OK && !spent)
        return SCRIPT_DONE;
    if (spent)
        lua_settop(L, handler);
    return failed(script, L, status, spent);
}

static void slice_begin(struct script *script, const struct script_budget *budget,
                        const struct script_slices *slices)
{
    script->budget_running = true;
    if (budget->memory_bytes)
        script->memory_limit = slices->memory_base + budget->memory_bytes;
    if (!slices->begun)
        return;
    script->instructions_left = slices->instructions_left;
    if (budget->time_ms) {
        script->ends_ns = clock_ns(CLOCK_MONOTONIC) + slices->processor_left_ns;
        script->processor_ends_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) + slices->processor_left_ns;
    }
}

static void slice_end(const struct script *script, struct script_slices *slices)
{
    slices->begun = true;
    slices->instructions_left = script->instructions_left;
    if (script->ends_ns) {
        uint64_t now = clock_ns(CLOCK_THREAD_CPUTIME_ID);
        slices->processor_left_ns =
            script->processor_ends_ns - MK_MIN(now, script->processor_ends_ns);
    }
}

/* The error is on top of the coroutine's stack, which is as it was when it was raised. */
static void push_error(struct script *script, lua_State *coroutine,
                       const struct script_budget *budget)
{
    lua_State *L = script->L;
    lua_pushcfunction(L, as_text);
    lua_xmove(coroutine, L, 1);
    bool memory_refused = script->memory_refused;
    if (script_call(script, L, 1, 1, budget) == SCRIPT_DONE)
        luaL_traceback(L, coroutine, lua_tostring(L, -1), 0);
    else
        lua_pushvalue(L, -1);
    lua_remove(L, -2);
    script->memory_refused = memory_refused;
}

enum script_outcome script_resume(struct script *script, lua_State *coroutine, int arguments,
                                  const struct script_budget *budget, struct script_slices *slices,
                                  uint64_t slice_ends_ns)
{
    MK_ASSERT(!script->budget_running);
    budget_begin(script, budget);
    if (!slices->begun) /* and it stays: Lua goes on counting where it was cut */
        lua_sethook(coroutine, on_count, LUA_MASKCOUNT, HOOK_EVERY);
    slice_begin(script, budget, slices);
    script->sliced = coroutine;
    script->slice_ends_ns = slice_ends_ns;
    script->paused = false;
    int count = 0;
    int status = lua_resume(coroutine, script->L, arguments, &count);
    bool spent = script->spent;
    slice_end(script, slices);
    budget_end(script);
    script->sliced = NULL;
    if (status == LUA_OK && !spent)
        return SCRIPT_DONE;
    if (status == LUA_YIELD && script->paused)
        return SCRIPT_PAUSED;
    if (status == LUA_OK || status == LUA_YIELD)
        lua_pushliteral(coroutine, "a yield outside of a coroutine");
    if (spent)
        lua_pushnil(script->L); /* what its place takes says it all */
    else
        push_error(script, coroutine, budget);
    return failed(script, script->L, status, spent);
}

void script_log_error(struct script *script, const char *component, const char *what,
                      const char *error)
{
    struct mk_buffer line = MK_BUFFER_EMPTY;
    const char *end = strstr(error, "\n\t[C]: in ?");
    size_t length = end ? (size_t)(end - error) : strlen(error);
    for (size_t i = 0; i < length; i++) {
        if (strncmp(error + i, "\nstack traceback:", 17) == 0)
            i += 16;
        else if (strncmp(error + i, "\n\t", 2) == 0)
            mk_buffer_append_string(&line, i++ ? " < " : "");
        else
            mk_buffer_append(&line, error + i, 1);
    }
    if (script->logger)
        mk_trace(logger_trace(script->logger), MK_LEVEL_ERROR, component, "%s failed: %.*s", what,
                 (int)line.length, (const char *)line.data);
    else
        fprintf(stderr, "moonkeeper: %s failed: %.*s\n", what, (int)line.length,
                (const char *)line.data);
    mk_buffer_fini(&line);
}

int script_luv_call(lua_State *L, int arguments, int results, int flags)
{
    static const struct script_budget unlimited = {0};
    (void)flags;
    int below = lua_gettop(L) - arguments - 1;
    struct script *script = script_of(L);
    if (script_call(script, L, arguments, results, &unlimited) == SCRIPT_DONE)
        return lua_gettop(L) - below;
    script_log_error(script, "luv", "a callback", lua_tostring(L, -1));
    lua_settop(L, below);
    return -LUA_ERRRUN;
}

int script_main(struct script *script, const char *module, int argument_count, char **arguments)
{
    lua_State *L = script->L;
    static const struct script_budget unlimited = {0};
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
