/* SPDX-License-Identifier: MIT */
/* Lua files inside the executable: found by path, listed by prefix, loaded by require, and passed
 * over for a file on disk. */
#include "tests/lib/script_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define UNLIMITED ((struct script_budget){0})
#define FILE_ROW(path, text)                                                                       \
    {                                                                                              \
        path, text, sizeof(text) - 1                                                               \
    }

/* Sorted, as the generator writes them. */
static const struct bundle_file files[] = {
    FILE_ROW("lua/bad.lua", "return return"),
    FILE_ROW("lua/deep/inner/leaf.lua", "return 'leaf of ' .. ..."),
    FILE_ROW("lua/pack/init.lua", "return 'pack'"),
    FILE_ROW("lua/top.lua", "local name, place = ... return name .. ' at ' .. place"),
    FILE_ROW("scripts/a.lua", "return 'a\0b'"),
    FILE_ROW("scripts/b.lua", ""),
};

static struct script *open_script(const char *disk_path)
{
    struct script_options options = {
        .bundle = {.files = files, .count = MK_ARRAY_LENGTH(files), .disk_path = disk_path},
        .version = "1",
        .build_date = "now"};
    return script_new(&options);
}

static void assert_gives(struct script *script, const char *text, const char *expected)
{
    assert_int_equal(script_run_text(script, text, UNLIMITED), SCRIPT_DONE);
    assert_string_equal(lua_tostring(script_state(script), -1), expected);
    lua_settop(script_state(script), 0);
}

static void test_require(void **state)
{
    (void)state;
    struct script *script = open_script(NULL);
    assert_gives(script, "return require 'top'", "top at lua/top.lua");
    assert_gives(script, "return require 'deep.inner.leaf'", "leaf of deep.inner.leaf");
    assert_gives(script, "return require 'pack'", "pack");
    script_free(script);
}

static void test_require_failures(void **state)
{
    (void)state;
    struct script *script = open_script(NULL);
    assert_int_equal(script_run_text(script, "return require 'nothing.here'", UNLIMITED),
                     SCRIPT_FAILED);
    assert_non_null(strstr(lua_tostring(script_state(script), -1),
                           "no file 'lua/nothing/here.lua' in the executable"));
    assert_int_equal(script_run_text(script, "return require 'bad'", UNLIMITED), SCRIPT_FAILED);
    assert_non_null(strstr(lua_tostring(script_state(script), -1), "lua/bad.lua:1:"));
    script_free(script);
}

static void test_read_and_list(void **state)
{
    (void)state;
    struct script *script = open_script(NULL);
    assert_gives(script, "return #require('moonkeeper.core').bundle_read('scripts/a.lua')", "12");
    assert_gives(script, "return #require('moonkeeper.core').bundle_read('scripts/b.lua')", "0");
    assert_gives(script, "return tostring(require('moonkeeper.core').bundle_read('scripts/c.lua'))",
                 "nil");
    assert_gives(script,
                 "return table.concat(require('moonkeeper.core').bundle_list('scripts/'), ' ')",
                 "scripts/a.lua scripts/b.lua");
    assert_gives(script, "return #require('moonkeeper.core').bundle_list('none')", "0");
    assert_gives(script, "return require('moonkeeper.core').version", "1");
    script_free(script);
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void test_disk_goes_first(void **state)
{
    (void)state;
    char folder[] = "/tmp/moonkeeper-bundle-XXXXXX", lua[64], file[80];
    assert_non_null(mkdtemp(folder));
    snprintf(lua, sizeof lua, "%s/lua", folder);
    snprintf(file, sizeof file, "%s/top.lua", lua);
    assert_int_equal(mkdir(lua, 0700), 0);
    write_text(file, "return 'from disk'");
    struct script *script = open_script(folder);
    assert_gives(script, "return require 'top'", "from disk");
    assert_gives(script, "return require 'pack'", "pack");
    script_free(script);
    unlink(file);
    rmdir(lua);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_require),
        cmocka_unit_test(test_require_failures),
        cmocka_unit_test(test_read_and_list),
        cmocka_unit_test(test_disk_goes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
