/* SPDX-License-Identifier: MIT */
/* Log lines that clients can cause: few a minute of each kind, a number for the others, and the
 * limit of identities is named. */
#include "tests/lib/replica_fixture.c"

#include "base/quiet.h"

struct lines {
    int count;
    char last[1024];
};

static struct lines lines;

static void note(void *context, enum mk_level level, const char *component, const char *line)
{
    (void)context;
    (void)component;
    if (level > MK_LEVEL_WARN)
        return;
    lines.count++;
    snprintf(lines.last, sizeof lines.last, "%s", line);
}

static const struct mk_trace trace = {.level = MK_LEVEL_INFO, .write = note};

static void start(struct world *world)
{
    lines.count = 0;
    world->options.trace = &trace;
    world_start(world);
}

static void send_bad_frame(struct world *world)
{
    peer_open(world, 0);
    peer_send(world, 0, "\x7f\xff\xff\xff", 4);
    assert_ended(world, 0);
}

static void test_bad_connections(void **state)
{
    struct world *world = *state;
    start(world);
    for (int i = 0; i < MK_QUIET_LINES + 100; i++)
        send_bad_frame(world);
    assert_int_equal(lines.count, MK_QUIET_LINES);
    world_pass(world, MK_QUIET_INTERVAL_MS); /* nothing more happens, and the number is told */
    assert_int_equal(lines.count, MK_QUIET_LINES + 1);
    assert_non_null(strstr(lines.last, "100 more of this kind"));
    send_bad_frame(world);
    assert_int_equal(lines.count, MK_QUIET_LINES + 2);
    assert_non_null(strstr(lines.last, "frame_bytes_max"));
}

static void test_identities_are_named(void **state)
{
    struct world *world = *state;
    start(world);
    session_open(world, 0);
    char credentials[32];
    bool seen = false;
    for (int i = 0; i < 256 && !seen; i++) {
        snprintf(credentials, sizeof credentials, "user%d:password", i);
        send_auth(world, 0, "digest", credentials);
        seen = lines.count > 0;
        expect_reply(world, 0, MK_XID_AUTH, seen ? MK_ERR_AUTH_FAILED : 0);
    }
    assert_true(seen);
    assert_int_equal(lines.count, 2); /* why, and that the authentication failed */
}

static void note_identities(void *context, enum mk_level level, const char *component,
                            const char *line)
{
    if (strstr(line, "256 identities"))
        note(context, level, component, line);
}

static const struct mk_trace identities_trace = {.level = MK_LEVEL_INFO, .write = note_identities};

static void test_limit_of_identities_is_in_the_line(void **state)
{
    struct world *world = *state;
    lines.count = 0;
    world->options.trace = &identities_trace;
    world_start(world);
    session_open(world, 0);
    char credentials[32];
    for (int i = 0; i < 256; i++) {
        snprintf(credentials, sizeof credentials, "user%d:password", i);
        send_auth(world, 0, "digest", credentials);
    }
    assert_int_equal(lines.count, 1);
}

#define PREPARED(test) cmocka_unit_test_setup_teardown(test, world_prepare, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PREPARED(test_bad_connections),
        PREPARED(test_identities_are_named),
        PREPARED(test_limit_of_identities_is_in_the_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
