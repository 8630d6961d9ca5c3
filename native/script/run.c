/* SPDX-License-Identifier: MIT */
/* core.serve: starts a server from a checked table of options and runs the loop until it has
 * stopped. Signals: SIGTERM and SIGINT stop it gracefully, a second one ends the process. */
#include "base/mem.h"
#include "script/script_int.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lua.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define COMMAND_WORD_BYTES 4
#define TRACE_MASK_DEFAULT 306 /* Apache's; gtmk tells it */

static const char *string_field(lua_State *L, int index, const char *name)
{
    lua_getfield(L, index, name);
    const char *value = lua_tostring(L, -1); /* the table keeps it alive */
    lua_pop(L, 1);
    return value;
}

static lua_Integer integer_field(lua_State *L, int index, const char *name)
{
    lua_getfield(L, index, name);
    lua_Integer value = lua_tointeger(L, -1);
    lua_pop(L, 1);
    return value;
}

static enum mk_level level_of(const char *name)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    for (size_t i = 0; name && i < MK_ARRAY_LENGTH(names); i++) {
        if (strcmp(name, names[i]) == 0)
            return (enum mk_level)i;
    }
    return MK_LEVEL_INFO;
}

/* 0, or an errno; then stderr takes the lines. */
static int open_logger(lua_State *L, int config, struct script *script)
{
    const char *path = string_field(L, config, "log_file");
    int descriptor = STDERR_FILENO, error = 0;
    if (path) {
        descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
        if (descriptor < 0) {
            error = errno;
            descriptor = STDERR_FILENO;
        }
    }
    const char *format = string_field(L, config, "log_format");
    logger_free(script->logger);
    script->logger =
        logger_new(descriptor, format && strcmp(format, "json") == 0 ? LOGGER_JSON : LOGGER_TEXT,
                   level_of(string_field(L, config, "log_level")));
    return error;
}

/* core.open_log(config) -> true | nil, message. Whatever it returns, core.log works from now on. */
int run_lua_open_log(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    int error = open_logger(L, 1, script_of(L));
    if (error) {
        lua_pushnil(L);
        lua_pushfstring(L, "log_file: cannot open %s: %s", string_field(L, 1, "log_file"),
                        strerror(error));
        return 2;
    }
    lua_pushboolean(L, true);
    return 1;
}

/* core.log(level, component, text): a line of the log that open_log opened. */
int run_lua_log(lua_State *L)
{
    const char *level = luaL_checkstring(L, 1), *component = luaL_checkstring(L, 2);
    const char *text = luaL_checkstring(L, 3);
    struct script *script = script_of(L);
    luaL_argcheck(L, script->logger, 1, "no log is open");
    mk_trace(logger_trace(script->logger), level_of(level), component, "%s", text);
    return 0;
}

/* The words as replica_options wants them: 4 bytes each, one after another. */
static char *join_words(lua_State *L, int index)
{
    size_t count = (size_t)luaL_len(L, index);
    char *words = mk_calloc(count * COMMAND_WORD_BYTES + 1, 1);
    size_t used = 0;
    for (size_t i = 1; i <= count; i++) {
        size_t length;
        lua_rawgeti(L, index, (lua_Integer)i);
        const char *word = lua_tolstring(L, -1, &length);
        if (word && length == COMMAND_WORD_BYTES)
            memcpy(words + COMMAND_WORD_BYTES * used++, word, COMMAND_WORD_BYTES);
        lua_pop(L, 1);
    }
    return words;
}

static void on_signal_closed(uv_handle_t *handle)
{
    struct host *host = handle->data;
    host->signals_open--;
}

static void close_signals(struct host *host)
{
    uv_close((uv_handle_t *)&host->terminate, on_signal_closed);
    uv_close((uv_handle_t *)&host->interrupt, on_signal_closed);
}

static void on_stopped(void *context, struct server *server, int error)
{
    (void)server;
    struct host *host = context;
    commands_stop(host);
    host->server = NULL;
    host->exit_code = error ? 1 : 0;
    close_signals(host);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct host *host = handle->data;
    if (host->stopping)
        _exit(128 + number);
    host->stopping = true;
    mk_trace(logger_trace(host->script->logger), MK_LEVEL_INFO, "server",
             "stopping because of %s; again to end at once",
             number == SIGTERM ? "SIGTERM" : "SIGINT");
    server_stop(host->server);
}

static void open_signal(struct host *host, uv_signal_t *handle, int number)
{
    int error = uv_signal_init(&host->script->loop, handle);
    MK_ASSERT(error == 0);
    handle->data = host;
    error = uv_signal_start(handle, on_signal, number);
    MK_ASSERT(error == 0);
    host->signals_open++;
}

/* on_started({ { host, port }, ... }): the addresses as bound. */
static void tell_started(lua_State *L, const struct host *host, int on_started)
{
    const struct server_options *options = server_options(host->server);
    lua_pushvalue(L, on_started);
    lua_createtable(L, (int)options->address_count, 0);
    for (size_t i = 0; i < options->address_count; i++) {
        lua_createtable(L, 0, 2);
        lua_pushstring(L, options->addresses[i].host);
        lua_setfield(L, -2, "host");
        lua_pushinteger(L, server_port(host->server, i));
        lua_setfield(L, -2, "port");
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    static const struct script_budget unlimited = {0};
    if (script_call(host->script, L, 1, 0, &unlimited) != SCRIPT_DONE) {
        script_log_error(host->script, "server", "telling the addresses", lua_tostring(L, -1));
        lua_pop(L, 1);
    }
}

static int start(lua_State *L, struct host *host, struct server_error *error)
{
    struct server_options options;
    uint64_t seed;
    int code = uv_random(NULL, NULL, &seed, sizeof seed, 0, NULL);
    if (code) {
        error->code = code;
        snprintf(error->text, sizeof error->text,
                 "the system gives no random numbers (%s); without them clients could choose keys "
                 "that slow the tables down",
                 uv_strerror(code));
        return code;
    }
    config_read(L, 1, &options);
    char *words = join_words(L, 2);
    options.replica.seed = seed;
    options.replica.command_words = words;
    options.replica.trace = logger_trace(host->script->logger);
    struct server_callbacks callbacks = {
        .context = host, .command = commands_run, .again = commands_again, .stopped = on_stopped};
    code = server_start(&host->script->loop, &options, &callbacks, &host->server, error);
    config_fini(&options);
    mk_free(words);
    return code;
}

/* core.serve(config, words, answer, on_started) -> exit code | nil, message
 * After core.open_log. config: values by full name; words: all four-letter words that are commands;
 * answer(word, stats)
 * -> text. */
int run_lua_serve(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checktype(L, 2, LUA_TTABLE);
    luaL_checktype(L, 3, LUA_TFUNCTION);
    luaL_checktype(L, 4, LUA_TFUNCTION);
    struct script *script = script_of(L);
    luaL_argcheck(L, script->logger, 1, "no log is open");
    signal(SIGPIPE, SIG_IGN);
    struct host *host = lua_newuserdatauv(L, sizeof *host, 0);
    *host = (struct host){.script = script, .trace_mask = TRACE_MASK_DEFAULT};
    host->own_budget = (struct script_budget){
        .instructions = integer_field(L, 1, "limits.command_instructions"),
        .time_ms = integer_field(L, 1, "limits.command_time_ms"),
        .memory_bytes = (size_t)integer_field(L, 1, "limits.lua_memory_bytes")};
    host->built_in_budget.memory_bytes = host->own_budget.memory_bytes;
    lua_pushvalue(L, 1);
    host->config_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushvalue(L, 3);
    host->answer_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    struct server_error error = {0, ""};
    if (start(L, host, &error)) {
        uv_run(&script->loop, UV_RUN_DEFAULT); /* what the attempt opened closes */
        lua_pushnil(L);
        lua_pushstring(L, error.text);
        return 2;
    }
    open_signal(host, &host->terminate, SIGTERM);
    open_signal(host, &host->interrupt, SIGINT);
    tell_started(L, host, 4);
    lua_gc(L, LUA_GCCOLLECT); /* what starting left behind */
    /* until the server has stopped, whatever else a script left running on the loop */
    while (host->server || host->signals_open > 0)
        uv_run(&script->loop, UV_RUN_ONCE);
    lua_pushinteger(L, host->exit_code);
    return 1;
}
