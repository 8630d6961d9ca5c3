/* SPDX-License-Identifier: MIT */
/* Four-letter words: the server hands one over, moonkeeper.server.commands answers it in Lua
 * within the budget, and the text goes back. A word that fails costs its asker the answer and
 * leaves a line in the log; the server goes on. */
#include "base/buffer.h"
#include "script/script_int.h"

#include <lauxlib.h>
#include <lua.h>

struct command {
    struct host *host;
    uint32_t connection;
    uint64_t mask;
    const char *word;
};

/* Runs under the budget, so that everything which may raise is inside. */
static int run(lua_State *L)
{
    struct command *command = lua_touserdata(L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, command->host->answer_ref);
    lua_pushstring(L, command->word);
    stats_push(L, command->host, command->connection, command->mask);
    lua_call(L, 2, 1);
    luaL_checkstring(L, -1);
    return 1;
}

/* The words of the script have a shorter budget than ours. */
static const struct script_budget *budget_of(struct host *host, const char *word)
{
    lua_State *L = host->script->L;
    int top = lua_gettop(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, host->config_ref);
    lua_getfield(L, -1, "commands");
    bool own = false;
    if (lua_istable(L, -1)) {
        lua_pushstring(L, word);
        own = lua_rawget(L, -2) != LUA_TNIL;
    }
    lua_settop(L, top);
    return own ? &host->own_budget : &host->built_in_budget;
}

static const char *short_reason(enum script_outcome outcome)
{
    switch (outcome) {
    case SCRIPT_TOO_LONG:
        return "it ran for too long (limits.command_time_ms, limits.command_instructions)";
    case SCRIPT_OUT_OF_MEMORY:
        return "it needed too much memory (limits.lua_memory_bytes)";
    default:
        return "it raised an error, see the server's log";
    }
}

void commands_run(void *context, struct server *server, uint32_t connection, const char *word,
                  uint64_t mask)
{
    struct host *host = context;
    lua_State *L = host->script->L;
    struct command command = {host, connection, mask, word};
    const struct script_budget *budget = budget_of(host, word);
    lua_pushcfunction(L, run);
    lua_pushlightuserdata(L, &command);
    /* stack: run, command */
    enum script_outcome outcome = script_call(host->script, L, 1, 1, budget);
    stats_close(host->script);
    size_t length;
    const char *text = lua_tolstring(L, -1, &length);
    if (outcome == SCRIPT_DONE) {
        server_answer(server, connection, mk_bytes_of(text, length));
    } else {
        script_log_error(host->script, "commands", word, text);
        struct mk_buffer answer = MK_BUFFER_EMPTY;
        mk_buffer_print(&answer, "%s failed: %s\n", word, short_reason(outcome));
        server_answer(server, connection, mk_buffer_bytes(&answer));
        mk_buffer_fini(&answer);
    }
    lua_pop(L, 1);
    if (outcome == SCRIPT_OUT_OF_MEMORY)
        lua_gc(L, LUA_GCCOLLECT);
}
