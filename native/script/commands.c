/* SPDX-License-Identifier: MIT */
/* Four-letter words: the server hands one over, moonkeeper.server.commands answers it in Lua
 * within the budget, and the text goes back. A word runs as a coroutine in slices, one or a few in
 * a turn of the loop, so that however much it tells, the others are served between. Those that
 * need several slices take turns; new ones get a small share at once, so that short answers do not
 * wait for long ones. A word that fails costs its asker the answer
 * and leaves a line in the log; the server goes on. */
#include "base/buffer.h"
#include "base/mem.h"
#include "script/script_int.h"

#include <lauxlib.h>
#include <lua.h>

/* Of one turn of the loop: all words together, the new ones of these, and each new one. */
#define TURN_NS 2000000u
#define TURN_NEW_NS 1000000u
#define NEW_NS 500000u
/* Words that come in one turn come within this time. */
#define RENEWAL_NS 5000000u

struct command {
    struct command *next;
    struct host *host;
    struct server *server;
    uint32_t connection;
    uint64_t mask;
    char word[5];
    const struct script_budget *budget;
    struct script_slices slices;
    lua_State *coroutine; /* NULL: not begun */
    int coroutine_ref, stats_ref;
    struct stats *stats;
};

/* Protected, so that everything which may raise is inside. Leaves the coroutine with the function
 * that answers and its arguments. */
static int prepare(lua_State *L)
{
    struct command *command = lua_touserdata(L, 1);
    lua_State *coroutine = lua_newthread(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, command->host->answer_ref);
    lua_pushstring(L, command->word);
    struct stats *stats = stats_push(L, command->host, command->connection, command->mask);
    lua_pushvalue(L, -1);
    command->stats_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    command->stats = stats;
    lua_xmove(L, coroutine, 3);
    /* stack: command, coroutine */
    command->coroutine_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    command->coroutine = coroutine;
    return 0;
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

static void list_append(struct command_list *list, struct command *command)
{
    command->next = NULL;
    if (list->first)
        list->last->next = command;
    else
        list->first = command;
    list->last = command;
}

static struct command *list_take(struct command_list *list)
{
    struct command *command = list->first;
    list->first = command->next;
    return command;
}

/* It is in no list, and answered or not waited for any more. */
static void command_free(struct command *command)
{
    lua_State *L = command->host->script->L;
    if (command->stats) {
        stats_close(command->stats);
        luaL_unref(L, LUA_REGISTRYINDEX, command->stats_ref);
    }
    if (command->coroutine)
        luaL_unref(L, LUA_REGISTRYINDEX, command->coroutine_ref);
    mk_free(command);
}

/* The error is at the top of the state's stack. */
static void answer_failure(struct command *command, enum script_outcome outcome)
{
    struct script *script = command->host->script;
    script_log_error(script, "commands", command->word, lua_tostring(script->L, -1));
    lua_pop(script->L, 1);
    struct mk_buffer answer = MK_BUFFER_EMPTY;
    mk_buffer_print(&answer, "%s failed: %s\n", command->word, short_reason(outcome));
    server_answer(command->server, command->connection, mk_buffer_bytes(&answer));
    mk_buffer_fini(&answer);
}

/* Hands over what the word has written. False when nobody waits for it any more. */
static bool hand_over(struct command *command)
{
    struct mk_buffer *text = &command->stats->text;
    bool waits = server_answer_part(command->server, command->connection, mk_buffer_bytes(text));
    mk_buffer_fini(text);
    return waits;
}

/* Runs one that is in no list until the time, and frees it if that was all; else it waits behind
 * the others. */
static void command_run(struct command *command, uint64_t ends_ns)
{
    struct script *script = command->host->script;
    enum script_outcome outcome = SCRIPT_DONE;
    int arguments = 0;
    if (!command->coroutine) {
        arguments = 2; /* word, stats */
        lua_pushcfunction(script->L, prepare);
        lua_pushlightuserdata(script->L, command);
        outcome = script_call(script, script->L, 1, 0, command->budget);
    }
    if (outcome == SCRIPT_DONE)
        outcome = script_resume(script, command->coroutine, arguments, command->budget,
                                &command->slices, ends_ns);
    bool waits = !command->coroutine || hand_over(command);
    if (outcome == SCRIPT_PAUSED && waits) {
        list_append(&command->host->running, command);
        return;
    }
    if (outcome == SCRIPT_DONE) {
        size_t length;
        const char *text = lua_tolstring(command->coroutine, -1, &length);
        MK_ASSERT(text != NULL); /* see lua/moonkeeper/server/commands.lua */
        server_answer(command->server, command->connection, mk_bytes_of(text, length));
    } else if (outcome == SCRIPT_PAUSED) {
        server_answer(command->server, command->connection, MK_BYTES(""));
    } else {
        answer_failure(command, outcome);
    }
    command_free(command);
    if (outcome == SCRIPT_OUT_OF_MEMORY)
        lua_gc(script->L, LUA_GCCOLLECT);
}

static void run_new(struct host *host)
{
    while (host->new_left_ns > 0 && host->waiting.first) {
        uint64_t begin_ns = uv_hrtime();
        command_run(list_take(&host->waiting), begin_ns + MK_MIN(NEW_NS, host->new_left_ns));
        host->new_left_ns -= MK_MIN(uv_hrtime() - begin_ns, host->new_left_ns);
    }
}

static bool is_idle(const struct host *host)
{
    return !host->waiting.first && !host->running.first;
}

static void renew(struct host *host, uint64_t now_ns)
{
    host->renewed_ns = now_ns;
    host->new_left_ns = TURN_NEW_NS;
}

void commands_run(void *context, struct server *server, uint32_t connection, const char *word,
                  uint64_t mask)
{
    struct host *host = context;
    if (is_idle(host)) /* the memory of all that run is bounded together */
        host->memory_base = host->script->memory_used;
    struct command *command = mk_alloc(sizeof *command);
    *command = (struct command){.host = host,
                                .server = server,
                                .connection = connection,
                                .mask = mask,
                                .budget = budget_of(host, word),
                                .slices = {.memory_base = host->memory_base}};
    memcpy(command->word, word, sizeof command->word);
    list_append(&host->waiting, command);
    uint64_t now_ns = uv_hrtime();
    if (now_ns - host->renewed_ns > RENEWAL_NS)
        renew(host, now_ns);
    run_new(host);
    if (!is_idle(host))
        server_call_again(server);
}

void commands_again(void *context, struct server *server)
{
    struct host *host = context;
    uint64_t begin_ns = uv_hrtime();
    renew(host, begin_ns);
    run_new(host);
    while (host->running.first && uv_hrtime() < begin_ns + TURN_NS)
        command_run(list_take(&host->running), begin_ns + TURN_NS);
    if (!is_idle(host))
        server_call_again(server);
}

void commands_stop(struct host *host)
{
    while (host->waiting.first)
        command_free(list_take(&host->waiting));
    while (host->running.first)
        command_free(list_take(&host->running));
}
