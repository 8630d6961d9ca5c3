/* SPDX-License-Identifier: MIT */
/* The door into Lua: outcomes, tracebacks, and budgets that no script can step around. */
#include "tests/lib/script_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <time.h>

#include <cmocka.h>

/* Long by instructions, short by time. */
#define QUICK ((struct script_budget){.time_ms = 20, .memory_bytes = (size_t)256 << 20})
#define UNLIMITED ((struct script_budget){0})
#define SHORT ((struct script_budget){.instructions = 100000})
#define SMALL ((struct script_budget){.memory_bytes = (size_t)1 << 20})

static int setup(void **state)
{
    *state = script_fixture();
    return 0;
}

static int teardown(void **state)
{
    struct script *script = *state;
    assert_int_equal(lua_gettop(script_state(script)), 0);
    script_free(script);
    return 0;
}

static const char *top(struct script *script)
{
    return lua_tostring(script_state(script), -1);
}

static void pop(struct script *script)
{
    lua_settop(script_state(script), 0);
}

static void test_results(void **state)
{
    assert_int_equal(script_run_text(*state, "return 6 * 7", UNLIMITED), SCRIPT_DONE);
    assert_string_equal(top(*state), "42");
    pop(*state);
    assert_int_equal(script_run_text(*state, "", SHORT), SCRIPT_DONE);
    assert_true(lua_isnil(script_state(*state), -1));
    pop(*state);
}

static void test_errors_have_a_traceback(void **state)
{
    assert_int_equal(script_run_text(*state,
                                     "local function inner()\n error('broken')\nend\n"
                                     "local x = inner()\nreturn x",
                                     UNLIMITED),
                     SCRIPT_FAILED);
    assert_non_null(strstr(top(*state), "test:2: broken"));
    assert_non_null(strstr(top(*state), "stack traceback:"));
    assert_non_null(strstr(top(*state), "test:4:"));
    pop(*state);
}

static void test_errors_that_are_no_text(void **state)
{
    static const char *const texts[] = {
        "error({})", "error(nil)",
        "error(setmetatable({}, {__tostring = function() return 5 end}))", "error(print)",
        "error(setmetatable({}, {__tostring = function() error('again') end}))"};
    for (size_t i = 0; i < MK_ARRAY_LENGTH(texts); i++) {
        assert_int_equal(script_run_text(*state, texts[i], SHORT), SCRIPT_FAILED);
        assert_non_null(top(*state));
        pop(*state);
    }
    assert_int_equal(script_run_text(*state,
                                     "error(setmetatable({}, "
                                     "{__tostring = function() return 'told' end}))",
                                     SHORT),
                     SCRIPT_FAILED);
    assert_int_equal(strncmp(top(*state), "told", 4), 0);
    pop(*state);
}

static void test_too_long(void **state)
{
    static const char *const texts[] = {
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "while true do pcall(error) end",
        "local function f() return f() end return f()",
        "coroutine.wrap(function() while true do end end)()",
        "while true do coroutine.wrap(function() pcall(function() while true do end end) end)() "
        "end",
        "setmetatable({}, {__index = function() while true do end end}).x()",
        "while true do xpcall(error, function() while true do end end) end",
    };
    for (size_t i = 0; i < MK_ARRAY_LENGTH(texts); i++) {
        assert_int_equal(script_run_text(*state, texts[i], SHORT), SCRIPT_TOO_LONG);
        pop(*state);
    }
    /* the budget is gone with its call */
    assert_int_equal(
        script_run_text(*state, "local n = 0 for i = 1, 3e6 do n = n + 1 end return n", UNLIMITED),
        SCRIPT_DONE);
    pop(*state);
}

static void test_long_enough(void **state)
{
    assert_int_equal(
        script_run_text(*state, "local n = 0 for i = 1, 20000 do n = n + 1 end return n", SHORT),
        SCRIPT_DONE);
    assert_string_equal(top(*state), "20000");
    pop(*state);
}

/* A coroutine that was made under a budget and is resumed later, without one. */
static void test_a_coroutine_outlives_its_budget(void **state)
{
    assert_int_equal(script_run_text(*state,
                                     "co = coroutine.create(function() while true do "
                                     "for i = 1, 1e5 do end coroutine.yield('alive') end end)",
                                     SHORT),
                     SCRIPT_DONE);
    pop(*state);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(
            script_run_text(*state, "return select(2, coroutine.resume(co))", UNLIMITED),
            SCRIPT_DONE);
        assert_string_equal(top(*state), "alive");
        pop(*state);
    }
}

static void test_out_of_memory(void **state)
{
    struct script *script = *state;
    static const char *const texts[] = {
        "local t = {} for i = 1, 1e8 do t[i] = {} end",
        "return ('x'):rep(1e9)",
        "local s = 'x' while true do s = s .. s end",
        "while true do pcall(string.rep, 'x', 1e8) keep = keep and keep .. keep or 'xxxxxxxx' end",
    };
    for (size_t i = 0; i < MK_ARRAY_LENGTH(texts); i++) {
        assert_int_equal(script_run_text(script, texts[i], SMALL), SCRIPT_OUT_OF_MEMORY);
        pop(script);
        lua_gc(script_state(script), LUA_GCCOLLECT);
        assert_true(script->memory_used < (size_t)4 << 20);
        assert_int_equal(script_run_text(script, "keep = nil return 1", SMALL), SCRIPT_DONE);
        pop(script);
    }
    /* without a budget there is no cap */
    assert_int_equal(script_run_text(script, "return #('x'):rep(8e6)", UNLIMITED), SCRIPT_DONE);
    assert_string_equal(top(script), "8000000");
    pop(script);
}

static int64_t processor_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* What costs few instructions is stopped by time, also where every error is caught. */
static void test_out_of_time(void **state)
{
    struct script *script = *state;
    static const char *const texts[] = {
        "while true do end",
        "while true do local s = ('x'):rep(1 << 20) end",
        "while true do pcall(string.rep, 'x', 1 << 20) end",
        "local s = ('x'):rep(1 << 16) while true do s:gsub('x', 'y') end",
        "local t = {} for i = 1, 1e4 do t[i] = 'word' end while true do table.concat(t) end",
        "coroutine.wrap(function() while true do local s = ('x'):rep(1 << 20) end end)()",
    };
    for (size_t i = 0; i < MK_ARRAY_LENGTH(texts); i++) {
        int64_t began = processor_ms();
        assert_int_equal(script_run_text(script, texts[i], QUICK), SCRIPT_TOO_LONG);
        assert_in_range(processor_ms() - began, 19, 500); /* sanitizers are slow */
        assert_non_null(strstr(top(script), "stopped: it ran for too long"));
        pop(script);
    }
    /* and it is gone with its call */
    assert_int_equal(script_run_text(script,
                                     "local s for i = 1, 100 do s = ('x'):rep(1 << 20) end "
                                     "return 'done'",
                                     UNLIMITED),
                     SCRIPT_DONE);
    assert_string_equal(top(script), "done");
    pop(script);
}

static void test_memory_is_counted(void **state)
{
    struct script *script = *state;
    lua_gc(script_state(script), LUA_GCCOLLECT);
    size_t before = script->memory_used;
    assert_int_equal(script_run_text(script, "big = ('x'):rep(1e6) return 1", UNLIMITED),
                     SCRIPT_DONE);
    assert_in_range(script->memory_used - before, 1000000, 2100000);
    pop(script);
    assert_int_equal(script_run_text(script, "big = nil return 1", UNLIMITED), SCRIPT_DONE);
    pop(script);
    lua_gc(script_state(script), LUA_GCCOLLECT);
    lua_gc(script_state(script), LUA_GCCOLLECT);
    assert_true(script->memory_used < before + 100000);
}

static int call_without_budget(lua_State *L)
{
    lua_pushvalue(L, 1);
    return script_luv_call(L, 0, LUA_MULTRET, 0) < 0 ? 0 : lua_gettop(L) - 1;
}

/* What luv does when a script runs its loop inside a word. */
static void test_a_call_within_a_call(void **state)
{
    struct script *script = *state;
    lua_register(script_state(script), "call", call_without_budget);
    assert_int_equal(script_run_text(script, "return call(function() return 1, 2 end)", SHORT),
                     SCRIPT_DONE);
    assert_string_equal(top(script), "1");
    pop(script);
    assert_int_equal(script_run_text(script, "call(function() end) while true do end", SHORT),
                     SCRIPT_TOO_LONG);
    pop(script);
    assert_int_equal(
        script_run_text(script, "while true do call(function() while true do end end) end", SHORT),
        SCRIPT_TOO_LONG);
    pop(script);
    assert_int_equal(
        script_run_text(script, "call(function() error('oh') end) return 5", UNLIMITED),
        SCRIPT_DONE);
    assert_string_equal(top(script), "5");
    pop(script);
}

static void test_main(void **state)
{
    /* a module that is not there */
    assert_int_equal(script_main(*state, "moonkeeper.nothing", 0, NULL), 1);
    char version[] = "version", wrong[] = "wrongg";
    char *arguments[] = {version};
    assert_int_equal(script_main(*state, "moonkeeper.cli.main", 1, arguments), 0);
    arguments[0] = wrong;
    assert_int_equal(script_main(*state, "moonkeeper.cli.main", 1, arguments), 2);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_results),
        TEST(test_errors_have_a_traceback),
        TEST(test_errors_that_are_no_text),
        TEST(test_too_long),
        TEST(test_long_enough),
        TEST(test_a_coroutine_outlives_its_budget),
        TEST(test_out_of_memory),
        TEST(test_out_of_time),
        TEST(test_memory_is_counted),
        TEST(test_a_call_within_a_call),
        TEST(test_main),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
