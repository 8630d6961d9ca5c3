/* SPDX-License-Identifier: MIT */
/* The public door of the script layer: a Lua state on a libuv loop that can run the command line
 * and, through it, a server. main.c opens one; tests open small ones. Everything runs on one
 * thread. Nothing below this layer knows Lua. */
#ifndef SCRIPT_SCRIPT_H
#define SCRIPT_SCRIPT_H

#include "script/bundle.h"

#include <uv.h>

struct script;

struct script_options {
    struct bundle bundle;
    const char *version;    /* "0.1.0" */
    const char *build_date; /* "05/24/2026 12:00 GMT", as Apache's version line has it */
    /* Opens the Lua module luv on the loop; called when a script first asks for it. NULL: there is
     * no luv. */
    int (*open_luv)(struct lua_State *L);
};

/* The strings of the options must outlive the script. */
struct script *script_new(const struct script_options *options);
void script_free(struct script *script);
struct lua_State *script_state(struct script *script);
uv_loop_t *script_loop(struct script *script);
/* The script of a state (also of its coroutines). */
struct script *script_of(struct lua_State *L);

/* Runs require(module)(arguments) and returns the exit code that it returns: an integer. An error
 * that it raises goes to stderr with a traceback, and gives 1. */
int script_main(struct script *script, const char *module, int argument_count, char **arguments);

/* What a call may use. 0 means without limit. */
struct script_budget {
    int64_t instructions;
    size_t memory_bytes; /* on top of what the state has now */
    int64_t time_ms;     /* of this thread's processor time; looked at every 1000 instructions and
                          * before each larger allocation, so that strings and tables count too */
};

enum script_outcome {
    SCRIPT_DONE,          /* the results are on the stack */
    SCRIPT_FAILED,        /* an error was raised */
    SCRIPT_TOO_LONG,      /* the instructions or the time ran out */
    SCRIPT_OUT_OF_MEMORY, /* the memory ran out */
    SCRIPT_PAUSED         /* script_resume only: its slice is over, there is more to do */
};

/* The only way from C into Lua: calls the function below its arguments on the stack, under the
 * budget. Whatever happens, function and arguments are gone; after SCRIPT_DONE there are
 * `results` values in their place, otherwise one: the error as text, with a traceback. A call
 * within a call that has a budget runs under that one. */
enum script_outcome script_call(struct script *script, struct lua_State *L, int arguments,
                                int results, const struct script_budget *budget);

/* What a call in slices has left of its budget; zeroed before the first slice. */
struct script_slices {
    bool begun;
    size_t memory_base; /* set by the caller: what its memory is on top of */
    int64_t instructions_left;
    uint64_t processor_left_ns;
};

/* The other way in: runs a coroutine whose function and arguments are on its stack, until it ends
 * or until about `slice_ends_ns` (uv_hrtime); then it is called again, without arguments, to go
 * on. Only code of the coroutine itself is cut, at any instruction: what it calls through C
 * (sort, gsub, its own coroutines) is not. After SCRIPT_DONE the results are on the coroutine's
 * stack; after a failure the error as text, with a traceback, is on the state's. */
enum script_outcome script_resume(struct script *script, struct lua_State *coroutine, int arguments,
                                  const struct script_budget *budget, struct script_slices *slices,
                                  uint64_t slice_ends_ns);

/* For luv_set_callback: callbacks of luv go through the same door, without a budget. An error is a
 * line in the log (luv itself would end the process). Returns the number of results, or a
 * negative status with nothing on the stack. */
int script_luv_call(struct lua_State *L, int arguments, int results, int flags);

#endif
