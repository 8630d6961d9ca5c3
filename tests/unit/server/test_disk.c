/* SPDX-License-Identifier: MIT */
/* The disk side of a server: what was acknowledged is there after a stop and after a kill,
 * snapshots are taken and purged, a directory has one owner, a failing log ends the process
 * before anything of the batch is acknowledged, a failing snapshot does not. */
#include "tests/lib/server_fixture.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct world {
    struct server_address address;
    struct server_options options;
    struct fixture fixture;
    char directory[64];
};

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    fixture_options_init(&world->options, &world->address);
    directory_make(world->directory);
    world->options.memory_only = false;
    world->options.data_dir = world->directory;
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    directory_remove(world->directory);
    free(world);
    return 0;
}

static void start(struct world *world)
{
    if (!fixture_start(&world->fixture, &world->options))
        fail_msg("not started: %s", world->fixture.error);
}

static int files_with(const struct world *world, const char *prefix)
{
    char path[128];
    snprintf(path, sizeof path, "%s/version-2", world->directory);
    DIR *directory = opendir(path);
    int count = 0;
    struct dirent *entry;
    while (directory && (entry = readdir(directory)) != NULL)
        count += strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
    if (directory)
        closedir(directory);
    return count;
}

static void create(struct client *client, const char *prefix, int number)
{
    char path[64];
    snprintf(path, sizeof path, "/%s%d", prefix, number);
    assert_true(send_create(client, path, "0123456789", 10, 0));
    assert_int_equal(reply_error(client), 0);
}

static int get(struct client *client, const char *prefix, int number)
{
    char path[64];
    snprintf(path, sizeof path, "/%s%d", prefix, number);
    assert_true(send_get(client, path));
    return reply_error(client);
}

static void test_fresh_directory(void **state)
{
    struct world *world = *state;
    start(world);
    assert_int_equal(files_with(world, "snapshot.0"), 1);
    assert_int_equal(fixture_stop(&world->fixture), 0);
    assert_int_equal(files_with(world, "log."), 0);
    assert_int_equal(files_with(world, "snapshot.0.tmp"), 0);
}

static void test_restart_keeps_data_and_sessions(void **state)
{
    struct world *world = *state;
    struct client client = {0};
    for (int round = 0; round < 3; round++) {
        start(world);
        assert_true(client_connect(&client, world->fixture.port)); /* resumes from round 1 on */
        for (int i = 0; i < round * 20; i++)
            assert_int_equal(get(&client, "n", i), 0);
        for (int i = round * 20; i < round * 20 + 20; i++)
            create(&client, "n", i);
        close(client.socket);
        int code = round % 2 ? fixture_kill(&world->fixture) : fixture_stop(&world->fixture);
        assert_int_equal(code, round % 2 ? 1000 + SIGKILL : 0);
    }
    client_close(&client);
}

/* kill -9 into a pipelined load: each acknowledged write is there after the restart. */
static void test_kill_under_load(void **state)
{
    struct world *world = *state;
    world->options.log_file_bytes_max = 20000; /* rolls often */
    int acknowledged = 0, next = 0;
    for (int round = 0; round < 5; round++) {
        start(world);
        struct client client = {0};
        assert_true(client_connect(&client, world->fixture.port));
        for (int i = 0; i < acknowledged; i++)
            assert_int_equal(get(&client, "k", i), 0);
        int first = next, begin_xid = client.xid;
        for (int i = 0; i < 400; i++, next++) {
            char path[64];
            snprintf(path, sizeof path, "/k%d", next);
            assert_true(send_create(&client, path, "x", 1, 0));
        }
        struct mk_reply_header header;
        struct mk_reader body;
        for (int i = 0; i < 100 + 50 * round; i++) {
            assert_true(reply_receive(&client, &header, &body));
            assert_int_equal(header.xid, begin_xid + 1 + i);
            /* what the last round sent without an answer may be there */
            assert_true(header.err == 0 || header.err == MK_ERR_NODE_EXISTS);
            acknowledged = MK_MAX(acknowledged, first + i + 1);
        }
        assert_int_equal(fixture_kill(&world->fixture), 1000 + SIGKILL);
        next = acknowledged;
        client_close(&client);
    }
}

/* Writes that are in the log's hands at the stop are answered before the connection ends. */
static void test_stop_with_pending_writes(void **state)
{
    struct world *world = *state;
    start(world);
    struct client client = {0};
    assert_true(client_connect(&client, world->fixture.port));
    for (int i = 0; i < 200; i++) {
        char path[64];
        snprintf(path, sizeof path, "/p%d", i);
        assert_true(send_create(&client, path, "x", 1, 0));
    }
    usleep(20000);
    fixture_order(&world->fixture, 'q');
    int answered = 0;
    struct mk_reply_header header;
    struct mk_reader body;
    while (reply_receive(&client, &header, &body)) {
        assert_int_equal(header.err, 0);
        assert_int_equal(header.xid, ++answered);
    }
    client_close(&client);
    assert_int_equal(fixture_wait(&world->fixture), 0);
    assert_true(answered > 0);
    start(world);
    struct client after = {0};
    assert_true(client_connect(&after, world->fixture.port));
    for (int i = 0; i < answered; i++)
        assert_int_equal(get(&after, "p", i), 0);
    if (answered < 200)
        assert_int_equal(get(&after, "p", answered), MK_ERR_NO_NODE);
    client_close(&after);
    assert_int_equal(fixture_stop(&world->fixture), 0);
}

/* Reads between writes: those turns are the log thread's, writes alone are often the loop's. */
static void test_reads_between_writes(void **state)
{
    struct world *world = *state;
    start(world);
    struct client client = {0};
    assert_true(client_connect(&client, world->fixture.port));
    for (int round = 0; round < 20; round++) {
        int32_t first = client.xid;
        for (int i = 0; i < 100; i++) {
            char path[64];
            snprintf(path, sizeof path, "/m%d", round * 100 + i);
            assert_true(send_create(&client, path, "x", 1, 0));
            for (int reads = 0; reads < round % 3; reads++)
                assert_true(send_get(&client, path));
        }
        for (int32_t xid = first + 1; xid <= client.xid; xid++) {
            struct mk_reply_header header;
            struct mk_reader body;
            assert_true(reply_receive(&client, &header, &body));
            assert_int_equal(header.xid, xid);
            assert_int_equal(header.err, 0);
        }
    }
    client_close(&client);
    assert_int_equal(fixture_kill(&world->fixture), 1000 + SIGKILL);
    start(world);
    struct client after = {0};
    assert_true(client_connect(&after, world->fixture.port));
    for (int i = 0; i < 2000; i++)
        assert_int_equal(get(&after, "m", i), 0);
    client_close(&after);
    assert_int_equal(fixture_stop(&world->fixture), 0);
}

static long long last_snapshot(const struct world *world)
{
    char answer[128];
    long long rejected, zxid;
    assert_true(word_ask(world->fixture.port, "mntr", answer, sizeof answer) > 0);
    assert_int_equal(sscanf(answer, "%lld %lld", &rejected, &zxid), 2);
    return zxid;
}

static void test_snapshots_are_taken_and_purged(void **state)
{
    struct world *world = *state;
    world->options.replica.snapshot_transactions = 100;
    world->options.replica.snapshot_interval_min_ms = 0;
    start(world);
    struct client client = {0};
    assert_true(client_connect(&client, world->fixture.port));
    for (int i = 0; i < 1500; i++)
        create(&client, "s", i);
    for (int i = 0; i < 100 && last_snapshot(world) < 1300; i++)
        usleep(50000);
    assert_true(last_snapshot(world) >= 1300);
    usleep(200000); /* the purge comes behind the snapshot */
    assert_in_range(files_with(world, "snapshot."), 3, 5);
    assert_in_range(files_with(world, "log."), 1, 8);
    client_close(&client);
    assert_int_equal(fixture_kill(&world->fixture), 1000 + SIGKILL);
    start(world);
    struct client after = {0};
    assert_true(client_connect(&after, world->fixture.port));
    for (int i = 0; i < 1500; i++)
        assert_int_equal(get(&after, "s", i), 0);
    client_close(&after);
    assert_int_equal(fixture_stop(&world->fixture), 0);
}

/* Snapshots on order while a load goes on, one of them cut off by a stop. */
static void test_snapshot_under_load(void **state)
{
    struct world *world = *state;
    world->options.snapshot_bytes_per_second = 100000; /* slow: the stop falls into one */
    start(world);
    struct client client = {0};
    assert_true(client_connect(&client, world->fixture.port));
    for (int i = 0; i < 3000; i++) {
        create(&client, "l", i);
        if (i == 1000)
            fixture_order(&world->fixture, 's');
    }
    client_close(&client);
    assert_int_equal(fixture_stop(&world->fixture), 0);
    start(world);
    struct client after = {0};
    assert_true(client_connect(&after, world->fixture.port));
    for (int i = 0; i < 3000; i += 7)
        assert_int_equal(get(&after, "l", i), 0);
    client_close(&after);
    assert_int_equal(fixture_stop(&world->fixture), 0);
    assert_int_equal(files_with(world, "snapshot.") > 0, 1);
}

static void test_two_servers_on_one_directory(void **state)
{
    struct world *world = *state;
    start(world);
    struct fixture second;
    assert_false(fixture_start(&second, &world->options));
    assert_non_null(strstr(second.error, world->directory));
    assert_int_equal(fixture_wait(&second), 3);
    assert_int_equal(fixture_stop(&world->fixture), 0);
    start(world); /* the lock is free again */
    assert_int_equal(fixture_stop(&world->fixture), 0);
}

static void test_separate_log_directory(void **state)
{
    struct world *world = *state;
    char logs[64];
    directory_make(logs);
    world->options.data_log_dir = logs;
    start(world);
    struct client client = {0};
    assert_true(client_connect(&client, world->fixture.port));
    create(&client, "d", 1);
    assert_int_equal(fixture_stop(&world->fixture), 0);
    assert_int_equal(files_with(world, "log."), 0);
    start(world);
    close(client.socket);
    assert_true(client_connect(&client, world->fixture.port)); /* resumes */
    assert_int_equal(get(&client, "d", 1), 0);
    assert_int_equal(fixture_stop(&world->fixture), 0);
    /* The two exchanged: must not bring up a server without the log. */
    struct fixture wrong;
    world->options.data_dir = logs;
    world->options.data_log_dir = world->directory;
    assert_false(fixture_start(&wrong, &world->options));
    assert_non_null(strstr(wrong.error, "a transaction log lies in the snapshot directory"));
    assert_int_equal(fixture_wait(&wrong), 3);
    client_close(&client);
    directory_remove(logs);
}

static void small_files(void)
{
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {.rlim_cur = 40000, .rlim_max = 40000};
    setrlimit(RLIMIT_FSIZE, &limit);
}

/* The log cannot grow: the process ends with the code for input and output errors, and what it
 * acknowledged is there. */
static void test_failing_log_ends_the_process(void **state)
{
    struct world *world = *state;
    world->options.log_preallocate_bytes = 0;
    if (!fixture_start_with(&world->fixture, &world->options, small_files))
        fail_msg("not started: %s", world->fixture.error);
    struct client client = {0};
    assert_true(client_connect(&client, world->fixture.port));
    int acknowledged = 0;
    for (;; acknowledged++) {
        char path[64];
        snprintf(path, sizeof path, "/f%d", acknowledged);
        if (!send_create(&client, path, "0123456789", 10, 0) || reply_error(&client) != 0)
            break;
    }
    client_close(&client);
    assert_int_equal(fixture_wait(&world->fixture), 74);
    assert_in_range(acknowledged, 20, 400);
    start(world);
    struct client after = {0};
    assert_true(client_connect(&after, world->fixture.port));
    for (int i = 0; i < acknowledged; i++)
        assert_int_equal(get(&after, "f", i), 0);
    client_close(&after);
    assert_int_equal(fixture_stop(&world->fixture), 0);
}

/* A snapshot that does not fit is given up; the server goes on. */
static void test_failing_snapshot_does_not(void **state)
{
    struct world *world = *state;
    world->options.log_preallocate_bytes = 0;
    world->options.log_file_bytes_max = 10000;
    if (!fixture_start_with(&world->fixture, &world->options, small_files))
        fail_msg("not started: %s", world->fixture.error);
    struct client client = {0};
    assert_true(client_connect(&client, world->fixture.port));
    for (int i = 0; i < 600; i++)
        create(&client, "g", i);
    fixture_order(&world->fixture, 's');
    usleep(300000);
    assert_int_equal(last_snapshot(world), -1);
    assert_int_equal(files_with(world, "snapshot."), 1); /* snapshot.0; no leftover */
    create(&client, "g", 600);
    client_close(&client);
    assert_int_equal(fixture_stop(&world->fixture), 0);
}

static void test_without_sync(void **state)
{
    struct world *world = *state;
    world->options.force_sync = false;
    start(world);
    struct client client = {0};
    assert_true(client_connect(&client, world->fixture.port));
    for (int i = 0; i < 100; i++)
        create(&client, "u", i);
    client_close(&client);
    assert_int_equal(fixture_kill(&world->fixture), 1000 + SIGKILL); /* not a power cut */
    start(world);
    struct client after = {0};
    assert_true(client_connect(&after, world->fixture.port));
    for (int i = 0; i < 100; i++)
        assert_int_equal(get(&after, "u", i), 0);
    client_close(&after);
    assert_int_equal(fixture_stop(&world->fixture), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_fresh_directory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_restart_keeps_data_and_sessions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kill_under_load, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stop_with_pending_writes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reads_between_writes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_snapshots_are_taken_and_purged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_snapshot_under_load, setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_servers_on_one_directory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_separate_log_directory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failing_log_ends_the_process, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failing_snapshot_does_not, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_sync, setup, teardown),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
