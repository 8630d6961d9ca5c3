/* SPDX-License-Identifier: MIT */
/* Log lines that clients can cause: few a minute of each kind, a number for the others, and the
 * limit of identities is named. */
#include "tests/lib/replica_fixture.c"

#include "base/quiet.h"
#include "replica/replica_int.h"

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

static void set_quota(struct world *world, const char *name, const char *limits)
{
    char path[64];
    snprintf(path, sizeof path, "/%s", name);
    create(world, 0, path, 0);
    snprintf(path, sizeof path, "/zookeeper/quota/%s", name);
    create(world, 0, path, 0);
    snprintf(path, sizeof path, "/zookeeper/quota/%s/zookeeper_stats", name);
    create(world, 0, path, 0);
    snprintf(path, sizeof path, "/zookeeper/quota/%s/zookeeper_limits", name);
    create(world, 0, path, 0);
    set(world, 0, path, limits);
}

static void test_soft_quotas(void **state)
{
    struct world *world = *state;
    start(world);
    session_open(world, 0);
    set_quota(world, "a", "count=1,bytes=-1");
    set_quota(world, "b", "count=-1,bytes=5");
    set(world, 0, "/b", "12345");
    assert_int_equal(lines.count, 0);
    create(world, 0, "/a/1", 0);
    assert_int_equal(lines.count, 1);
    assert_string_equal(lines.last, "a write goes beyond the soft quota /zookeeper/quota/a: 2 "
                                    "znodes, its limit is 1");
    create(world, 0, "/a/2", 0);
    assert_int_equal(lines.count, 1);
    set(world, 0, "/b", "123456"); /* another quota has its own line */
    assert_int_equal(lines.count, 2);
    assert_string_equal(lines.last, "a write goes beyond the soft quota /zookeeper/quota/b: 6 "
                                    "bytes, its limit is 5");
    world_pass(world, MK_QUIET_INTERVAL_MS);
    session_open(world, 1);
    create(world, 1, "/a/3", 0);
    assert_int_equal(lines.count, 3);
    assert_non_null(strstr(lines.last, ": 4 znodes"));
}

/* Whoever may set quotas cannot fill the disk with them. */
static void test_many_quotas(void **state)
{
    struct world *world = *state;
    start(world);
    session_open(world, 0);
    int count = QUOTA_LINES + MK_QUIET_LINES + 10;
    char name[64];
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "q%d", i);
        set_quota(world, name, "count=1,bytes=-1");
    }
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "/q%d/1", i);
        create(world, 0, name, 0);
    }
    assert_int_equal(lines.count, QUOTA_LINES + MK_QUIET_LINES);
    world_pass(world, MK_QUIET_INTERVAL_MS);
    assert_int_equal(lines.count, QUOTA_LINES + MK_QUIET_LINES + 1);
    assert_non_null(strstr(lines.last, "10 more of this kind"));
}

#define PREPARED(test) cmocka_unit_test_setup_teardown(test, world_prepare, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PREPARED(test_bad_connections),
        PREPARED(test_identities_are_named),
        PREPARED(test_soft_quotas),
        PREPARED(test_many_quotas),
        PREPARED(test_limit_of_identities_is_in_the_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
