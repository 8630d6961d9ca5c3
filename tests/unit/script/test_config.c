/* SPDX-License-Identifier: MIT */
/* From the checked table to struct server_options: the schema's defaults are those of the C code,
 * and every option reaches its member. */
#include "tests/lib/script_fixture.h"

#include "script/options.gen.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define UNLIMITED ((struct script_budget){0})

/* Runs `text`, which returns the table of values, and reads it. */
static void read_options(struct script *script, const char *text, struct server_options *options)
{
    if (script_run_text(script, text, UNLIMITED) != SCRIPT_DONE)
        fail_msg("%s", lua_tostring(script_state(script), -1));
    config_read(script_state(script), -1, options);
}

static void test_defaults(void **state)
{
    (void)state;
    struct script *script = script_fixture();
    struct server_options options, expected;
    read_options(
        script,
        "local values = assert(require('moonkeeper.server.config').check({data_dir = 'd'}, "
        "{file = 'f', words = {'srvr', 'ruok'}, line = function() end})) return values",
        &options);
    server_options_init(&expected);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = &option_table[i];
        if (row->kind == OPTION_STRING)
            continue;
        if (memcmp((char *)&options + row->offset, (char *)&expected + row->offset, row->size) != 0)
            fail_msg("the default of %s differs from server_options_init", row->name);
    }
    assert_string_equal(options.data_dir, "d");
    assert_null(options.data_log_dir);
    assert_null(options.replica.super_digest);
    assert_int_equal(options.address_count, 1);
    assert_string_equal(options.addresses[0].host, "127.0.0.1");
    assert_int_equal(options.addresses[0].port, 2181);
    config_fini(&options);
    script_free(script);
}

/* The n-th option gets a value that no other has. */
static void test_every_option_reaches_its_member(void **state)
{
    (void)state;
    struct script *script = script_fixture();
    lua_State *L = script_state(script);
    struct server_options options;
    lua_newtable(L);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = &option_table[i];
        if (row->kind == OPTION_BOOLEAN) {
            bool standard;
            server_options_init(&options);
            memcpy(&standard, (char *)&options + row->offset, sizeof standard);
            lua_pushboolean(L, !standard);
        } else if (row->kind == OPTION_STRING) {
            lua_pushfstring(L, "text %d", (int)i);
        } else {
            lua_pushinteger(L, (lua_Integer)i + 100);
        }
        lua_setfield(L, -2, row->name);
    }
    luaL_loadstring(L, "return {{host = '::1', port = 1}, {host = 'b', port = 65535}}");
    lua_call(L, 0, 1);
    lua_setfield(L, -2, "client_address");
    config_read(L, -1, &options);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = &option_table[i];
        const char *member = (char *)&options + row->offset;
        if (row->kind == OPTION_STRING) {
            char expected[32];
            const char *text;
            snprintf(expected, sizeof expected, "text %d", (int)i);
            memcpy(&text, member, sizeof text);
            assert_string_equal(text, expected);
        } else if (row->kind != OPTION_BOOLEAN) {
            int64_t value = 0;
            memcpy(&value, member, row->size);
            assert_int_equal(value, i + 100);
        }
    }
    assert_true(options.memory_only);
    assert_false(options.force_sync);
    assert_true(options.replica.operations.skip_acl);
    assert_int_equal(options.address_count, 2);
    assert_string_equal(options.addresses[0].host, "::1");
    assert_int_equal(options.addresses[1].port, 65535);
    config_fini(&options);
    script_free(script);
}

static void test_members(void **state)
{
    (void)state;
    struct script *script = script_fixture();
    struct server_options options;
    read_options(
        script,
        "local values, problems = require('moonkeeper.server.config').check({data_dir = 'd', id = "
        "9, servers = {[9] = {quorum = '[::1]:65535', election = '[::1]:1', group = 1 << 61, "
        "weight = (1 << 31) - 1, client = '[::]:2181'}, [254] = {quorum = ('h'):rep(255) .. ':2', "
        "election = ('h'):rep(255) .. ':3', role = 'observer', client = ('c'):rep(255) .. "
        "':65535'}}}, {file = 'f', words = {'srvr', 'ruok'}, line = function() end}) "
        "assert(values, problems[1] and problems[1].text) values.servers.version = 1 << 32 "
        "return values",
        &options);
    assert_int_equal(options.replica.server_id, 9);
    assert_int_equal(options.member_count, 2);
    assert_true(options.hierarchical);
    assert_int_equal(options.members_version, INT64_C(1) << 32);
    const struct server_member *member = &options.members[0];
    assert_int_equal(member->id, 9);
    assert_string_equal(member->host, "::1");
    assert_int_equal(member->quorum_port, 65535);
    assert_int_equal(member->election_port, 1);
    assert_false(member->observer);
    assert_int_equal(member->group, INT64_C(1) << 61);
    assert_int_equal(member->weight, INT32_MAX);
    assert_string_equal(member->client, "[::]:2181");
    member++;
    assert_int_equal(member->id, 254);
    assert_int_equal(strlen(member->host), 255);
    assert_true(member->observer);
    assert_int_equal(member->group, 0);
    assert_int_equal(member->weight, 1);
    assert_int_equal(strlen(member->client), 261);
    assert_string_equal(options.addresses[0].host, "::");
    config_fini(&options);
    assert_null(options.members);
    script_free(script);
}

/* What the schema allows must fit: the extremes of every range. */
static void test_ranges_fit(void **state)
{
    (void)state;
    struct script *script = script_fixture();
    static const char *const bounds[] = {"min", "max"};
    for (size_t i = 0; i < MK_ARRAY_LENGTH(bounds); i++) {
        struct server_options options;
        char text[400];
        snprintf(text, sizeof text,
                 "local values = {client_address = {}} "
                 "for _, row in ipairs(require('moonkeeper.schema.options').list) do "
                 "if row.c and row.type == 'integer' then values[row.name] = row.%s end end "
                 "return values",
                 bounds[i]);
        read_options(script, text, &options);
        assert_int_equal(options.replica.server_id, i == 0 ? 0 : 254);
        assert_true(options.replica.tick_time_ms > 0);
        config_fini(&options);
    }
    script_free(script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_every_option_reaches_its_member),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_ranges_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
