/* SPDX-License-Identifier: MIT */
/* What the files of the script layer share. */
#ifndef SCRIPT_SCRIPT_INT_H
#define SCRIPT_SCRIPT_INT_H

#include "base/buffer.h"
#include "base/trace.h"
#include "script/script.h"
#include "server/logger.h"
#include "server/server.h"

struct script {
    struct script_options options;
    struct lua_State *L;
    uv_loop_t loop;
    struct logger *logger; /* of the server that runs; NULL before */
    /* memory of the state: allocator in state.c */
    size_t memory_used;
    size_t memory_limit; /* 0: none */
    bool memory_refused;
    /* the call that runs under a budget: door.c */
    bool budget_running;
    int64_t instructions_left;
    uint64_t ends_ns; /* on the monotonic clock, 0: no limit of time */
    uint64_t processor_ends_ns;
    bool spent;        /* instructions or time */
    char spent_at[80]; /* file:line, or empty */
    /* the slice that runs */
    struct lua_State *sliced; /* its coroutine; NULL: none */
    uint64_t slice_ends_ns;
    bool paused; /* by us, not by a yield of its own */
};

/* door.c: true when the time of the call that runs is over. Cheap before that. */
bool script_time_is_over(struct script *script);

/* door.c: for a C function that may work for long: if the slice of the coroutine that calls it is
 * over, it pauses here (this call does not return), and goes on by calling `again`, which finds
 * the same arguments. */
void script_pause_if_over(struct lua_State *L, int (*again)(struct lua_State *L));

/* core.c: luaopen function of moonkeeper.core */
int script_open_core(struct lua_State *L);

/* door.c: an error of script_call as one line of the log: the message and Lua's traceback up to
 * where C called, each level behind a "<". */
void script_log_error(struct script *script, const char *component, const char *what,
                      const char *error);

/* config.c: fills `options` from the checked table at `index` (names as in the schema). Strings
 * stay owned by that table. `addresses` are allocated: free them with config_fini. */
void config_read(struct lua_State *L, int index, struct server_options *options);
void config_fini(struct server_options *options);

/* run.c: core.open_log, core.log, core.serve */
int run_lua_open_log(struct lua_State *L);
int run_lua_log(struct lua_State *L);
int run_lua_serve(struct lua_State *L);
/* check.c: core.check */
int check_lua_check(struct lua_State *L);

struct command;

struct command_list {
    struct command *first, *last;
};

/* The server that runs, as its commands see it. */
struct host {
    struct script *script;
    struct server *server;
    int answer_ref;                       /* function(word, stats) -> text, in the registry */
    int config_ref;                       /* the table of options in force */
    struct script_budget own_budget;      /* of words that the script defines */
    struct script_budget built_in_budget; /* memory only: they end, however big the server is */
    struct command_list waiting, running; /* words that are not answered yet */
    size_t memory_base;                   /* before the first of them */
    uint64_t renewed_ns, new_left_ns;     /* the share of this turn for new ones */
    uint64_t trace_mask;                  /* gtmk, stmk */
    uv_signal_t terminate, interrupt;
    int signals_open;
    bool stopping;
    int exit_code;
};

struct listing;

/* api_stats.c: the object `stats` that a command gets: a full userdata with fields and methods.
 * It reads the server until stats_close; after that its use raises an error. */
struct stats {
    struct host *host;        /* NULL: closed */
    struct mk_buffer text;    /* written, and not handed over yet */
    struct listing *listings; /* that are not at their end */
    uint32_t connection;      /* that asks */
    uint64_t argument;        /* the mask behind stmk */
    bool figures_known;
    struct server_figures figures;
};
/* Pushes one; it must be kept until stats_close. */
struct stats *stats_push(struct lua_State *L, struct host *host, uint32_t connection,
                         uint64_t argument);
void stats_close(struct stats *stats);
/* api_stats_ensemble.c: pushes a field of a member of an ensemble; false: there is none of this
 * name, and nothing is pushed. */
bool stats_push_member(struct lua_State *L, struct stats *stats, const char *name);
/* api_stats_lists.c: ends all iterators. */
void stats_close_listings(struct stats *stats);
/* api_stats_lists.c: the methods that list connections, sessions, watches, ...; to be set into
 * the method table at the top of the stack. */
void stats_list_methods(struct lua_State *L);
struct stats *stats_check(struct lua_State *L); /* argument 1, alive */

/* commands.c: server_callbacks.command and .again; context is the host. */
void commands_run(void *context, struct server *server, uint32_t connection, const char *word,
                  uint64_t mask);
void commands_again(void *context, struct server *server);
/* Forgets all that are not answered yet, before the server is freed. */
void commands_stop(struct host *host);

#endif
