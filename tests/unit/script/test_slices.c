/* SPDX-License-Identifier: MIT */
/* Lua in slices (script_resume): cut anywhere it gives what it gives in one go, and no budget gets
 * longer by being cut. */
#include "tests/lib/script_fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define UNLIMITED ((struct script_budget){0})
#define SHORT ((struct script_budget){.instructions = 100000})
#define SMALL ((struct script_budget){.memory_bytes = (size_t)1 << 20})
#define QUICK ((struct script_budget){.time_ms = 20, .memory_bytes = (size_t)256 << 20})

/* What the state and the coroutine hold is dropped with the fixture. */
struct run {
    struct script *script;
    lua_State *coroutine;
    int slices;
    char text[2048]; /* the result, or the error */
};

static int setup(void **state)
{
    *state = script_fixture();
    return 0;
}

static int teardown(void **state)
{
    script_free(*state);
    return 0;
}

/* Slices as short as they can be: the first look at the clock ends one. */
static enum script_outcome run(struct run *run, struct script *script, const char *text,
                               struct script_budget budget)
{
    lua_State *L = script_state(script);
    lua_settop(L, 0);
    *run = (struct run){.script = script, .coroutine = lua_newthread(L)};
    MK_ASSERT(luaL_loadbuffer(run->coroutine, text, strlen(text), "=test") == LUA_OK);
    struct script_slices slices = {.memory_base = script->memory_used};
    enum script_outcome outcome;
    do {
        outcome = script_resume(script, run->coroutine, 0, &budget, &slices, 0);
        run->slices++;
        assert_false(script->budget_running);
        assert_int_equal(script->memory_limit, 0);
    } while (outcome == SCRIPT_PAUSED);
    lua_State *from = outcome == SCRIPT_DONE ? run->coroutine : L;
    const char *result = lua_tostring(from, -1);
    snprintf(run->text, sizeof run->text, "%s", result ? result : "(none)");
    return outcome;
}

static void test_results(void **state)
{
    static const struct {
        const char *text, *result;
    } rows[] = {
        {"return 'short'", "short"},
        {"local n = 0 for i = 1, 50000 do n = n + i end return n", "1250025000"},
        {"local t = {} for i = 1, 20000 do t[#t + 1] = i % 7 end return table.concat(t):sub(1, 9)",
         "123456012"},
        /* within pcall, metamethods, iterators, coroutines, comparisons and varargs */
        {"local ok, n = pcall(function() local n = 0 for i = 1, 20000 do n = n + 1 end return n "
         "end)"
         " return n",
         "20000"},
        {"local m = setmetatable({}, {__index = function(_, k) local n = 0 for i = 1, k do n = n + "
         "1"
         " end return n end}) return m[10000]",
         "10000"},
        {"local function each(n) return function(_, i) for _ = 1, 50 do end i = i + 1 if i <= n "
         "then return i end end, nil, 0 end local s = 0 for i in each(1000) do s = s + i end "
         "return s",
         "500500"},
        {"local s = 0 for i in coroutine.wrap(function() for i = 1, 9000 do coroutine.yield(i) end "
         "end) do s = s + i end return s",
         "40504500"},
        {"local t = {} for i = 1, 3000 do t[i] = -i end table.sort(t, function(a, b) local n = 0 "
         "for i = 1, 3 do n = n + 1 end return a < b end) return t[1]",
         "-3000"},
        {"local function count(...) return select('#', ...) end local s = 0 for i = 1, 20000 do "
         "s = s + count(i, nil, (('x'):rep(3):gsub('x', 'y'))) end return s",
         "60000"},
        {"local function deep(n) if n == 0 then return 0 end return 1 + deep(n - 1) end "
         "return deep(10000)",
         "10000"},
    };
    for (size_t i = 0; i < MK_ARRAY_LENGTH(rows); i++) {
        struct run made;
        assert_int_equal(run(&made, *state, rows[i].text, UNLIMITED), SCRIPT_DONE);
        assert_string_equal(made.text, rows[i].result);
        if (i > 0)
            assert_true(made.slices > 5);
    }
}

static void test_a_slice_that_is_long_enough(void **state)
{
    struct script *script = *state;
    lua_State *coroutine = lua_newthread(script_state(script));
    const char text[] = "local n = 0 for i = 1, 1e5 do n = n + 1 end return 5";
    MK_ASSERT(luaL_loadbuffer(coroutine, text, strlen(text), "=test") == LUA_OK);
    struct script_slices slices = {.begun = false};
    assert_int_equal(script_resume(script, coroutine, 0, &UNLIMITED, &slices, UINT64_MAX),
                     SCRIPT_DONE);
}

static void test_errors(void **state)
{
    struct run made;
    assert_int_equal(run(&made, *state,
                         "for i = 1, 20000 do end\nlocal function inner()\n error('broken')\nend\n"
                         "local x = inner()\nreturn x",
                         SHORT),
                     SCRIPT_FAILED);
    assert_int_equal(strncmp(made.text, "test:3: broken\nstack traceback:", 31), 0);
    assert_non_null(strstr(made.text, "test:5:"));
    assert_int_equal(run(&made, *state,
                         "error(setmetatable({}, {__tostring = function() "
                         "return 'told' end}))",
                         SHORT),
                     SCRIPT_FAILED);
    assert_int_equal(strncmp(made.text, "told\n", 5), 0);
    static const char *const texts[] = {
        "error({})", "error(nil)",
        "error(setmetatable({}, {__tostring = function() while true do "
        "end end}))",
        "error(setmetatable({}, {__tostring = function() error('again') end}))"};
    for (size_t i = 0; i < MK_ARRAY_LENGTH(texts); i++)
        assert_int_equal(run(&made, *state, texts[i], SHORT), SCRIPT_FAILED);
}

/* It would be asked again for ever, and cost no instructions that are counted. */
static void test_a_yield_of_its_own(void **state)
{
    struct run made;
    assert_int_equal(run(&made, *state, "while true do coroutine.yield() end", SHORT),
                     SCRIPT_FAILED);
    assert_int_equal(strncmp(made.text, "a yield outside of a coroutine\n", 31), 0);
    assert_int_equal(made.slices, 1);
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
        "table.sort({1, 2, 3}, function() while true do end end)",
    };
    struct run made;
    for (size_t i = 0; i < MK_ARRAY_LENGTH(texts); i++) {
        assert_int_equal(run(&made, *state, texts[i], SHORT), SCRIPT_TOO_LONG);
        assert_int_equal(strncmp(made.text, "test:1: stopped", 15), 0);
        assert_true(made.slices <= 101); /* one in a thousand instructions */
    }
    assert_int_equal(
        run(&made, *state, "local n = 0 for i = 1, 20000 do n = n + 1 end return n", SHORT),
        SCRIPT_DONE);
}

static void test_out_of_time(void **state)
{
    static const char *const texts[] = {
        "while true do end",
        "while true do pcall(string.rep, 'x', 1 << 20) end",
        "local s = ('x'):rep(1 << 16) while true do s:gsub('x', 'y') end",
    };
    struct run made;
    for (size_t i = 0; i < MK_ARRAY_LENGTH(texts); i++)
        assert_int_equal(run(&made, *state, texts[i], QUICK), SCRIPT_TOO_LONG);
}

static void test_out_of_memory(void **state)
{
    struct script *script = *state;
    static const char *const texts[] = {
        "local t = {} for i = 1, 1e8 do t[i] = {} end", /* some in each slice */
        "for i = 1, 1e5 do end return ('x'):rep(1e9)",
    };
    struct run made;
    for (size_t i = 0; i < MK_ARRAY_LENGTH(texts); i++) {
        assert_int_equal(run(&made, script, texts[i], SMALL), SCRIPT_OUT_OF_MEMORY);
        assert_true(made.slices > 5);
        lua_settop(script_state(script), 0);
        lua_gc(script_state(script), LUA_GCCOLLECT);
        assert_true(script->memory_used < (size_t)4 << 20);
    }
}

static int wait_a_little(lua_State *L)
{
    lua_Integer left = lua_tointeger(L, 1);
    if (left > 0) {
        lua_pushinteger(L, left - 1);
        lua_replace(L, 1);
        script_pause_if_over(L, wait_a_little);
        return wait_a_little(L); /* not in a sliced coroutine */
    }
    lua_pushinteger(L, lua_tointeger(L, 2));
    return 1;
}

static void test_c_functions_pause(void **state)
{
    struct script *script = *state;
    struct run made;
    lua_register(script_state(script), "wait", wait_a_little);
    assert_int_equal(run(&made, script, "return wait(5, 42)", SHORT), SCRIPT_DONE);
    assert_string_equal(made.text, "42");
    assert_int_equal(made.slices, 6);
    assert_int_equal(
        run(&made, script, "return coroutine.wrap(function() return wait(5, 43) end)()", SHORT),
        SCRIPT_DONE);
    assert_string_equal(made.text, "43");
    assert_int_equal(made.slices, 1);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_results),       TEST(test_a_slice_that_is_long_enough),
        TEST(test_errors),        TEST(test_a_yield_of_its_own),
        TEST(test_too_long),      TEST(test_out_of_time),
        TEST(test_out_of_memory), TEST(test_c_functions_pause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
