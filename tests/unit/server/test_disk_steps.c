/* SPDX-License-Identifier: MIT */
/* zab's steps on the log thread of a real server with a real directory: their order, what lies on
 * the disk when a ticket is told, cutting and installing while the server runs, a snapshot that
 * comes faster than it is written, and the end of the process when a step fails. */
#include "tests/lib/server_fixture.h"

#include "log/epochs.h"
#include "log/format.h"
#include "log/recover.h"
#include "server/disk_int.h"
#include "server/snapshots.h"
#include "server/store_posix.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct world {
    struct server_address address;
    struct server_options options;
    char directory[64];
    uv_loop_t loop;
    struct server *server;
    uint64_t ticket; /* of the last step */
    uint64_t done;
    int drained;
    struct zab_disk_step steps[64];
    size_t count;
    uint8_t payloads[64][TXN_HEADER_BYTES + 8];
};

static void on_ticket(void *context, uint64_t ticket)
{
    struct world *world = context;
    assert_true(ticket > world->done);
    world->done = ticket;
}

static void on_drained(void *context)
{
    struct world *world = context;
    world->drained++;
}

static void start(struct world *world)
{
    struct server_error error = {0};
    struct disk_listener listener = {on_ticket, on_drained, world};
    assert_int_equal(uv_loop_init(&world->loop), 0);
    if (server_start(&world->loop, &world->options, NULL, &world->server, &error) != 0)
        fail_msg("%s", error.text);
    disk_listen(world->server->disk, &listener);
    world->done = world->ticket = 0;
}

static void stop(struct world *world)
{
    server_stop(world->server);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&world->loop), 0);
}

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

/* --- steps --------------------------------------------------------------------------------------
 */

static void add(struct world *world, enum zab_disk_type type, int64_t number)
{
    struct zab_disk_step *step = &world->steps[world->count++];
    *step = (struct zab_disk_step){.ticket = ++world->ticket, .type = type};
    step->zxid = step->epoch = number;
}

/* `salt` makes another transaction of the same number. */
static void add_entry(struct world *world, int64_t zxid, uint8_t salt)
{
    uint8_t *payload = world->payloads[world->count];
    memset(payload, salt, sizeof world->payloads[0]);
    mk_store_u64(payload + TXN_HEADER_ZXID_AT, (uint64_t)zxid);
    add(world, ZAB_DISK_APPEND, 0);
    world->steps[world->count - 1].entry =
        (struct zab_entry){.zxid = zxid, .data = payload, .length = sizeof world->payloads[0]};
}

static void submit(struct world *world, int64_t roll_at_zxid)
{
    disk_submit_steps(world->server->disk, world->steps, world->count, roll_at_zxid);
    while (world->done < world->ticket)
        uv_run(&world->loop, UV_RUN_ONCE);
    world->count = 0;
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

static int64_t epoch_of(struct world *world, const char *name)
{
    int64_t epoch;
    int result = log_epoch_read(world->server->snapshot_store, name, &epoch, NULL);
    return result == 1 ? epoch : -1;
}

/* --- what the directory holds -------------------------------------------------------------------
 */

struct found {
    struct snapfile_walk walk;
    struct log_recover_result recovered;
    uint64_t salts; /* of the transactions, summed */
};

static void found_reset(void *context)
{
    struct found *found = context;
    snapfile_walk_init(&found->walk);
    found->salts = 0;
}

static int found_body(void *context, const uint8_t *data, size_t size, size_t *consumed,
                      const char **reason)
{
    struct found *found = context;
    return snapfile_walk_body(&found->walk, data, size, consumed, reason);
}

static int found_done(void *context, const struct snapfile_info *info, const char **reason)
{
    (void)context;
    (void)info;
    (void)reason;
    return 0;
}

static int found_transaction(void *context, const struct txnlog_entry *entry, const char **reason)
{
    struct found *found = context;
    (void)reason;
    found->salts += entry->data[entry->length - 1];
    return 0;
}

/* Without a server, or beside one whose log is at rest; changes nothing. */
static struct found look(const struct world *world)
{
    static const struct log_recover_calls calls = {.reset = found_reset,
                                                   .snapshot_body = found_body,
                                                   .snapshot_done = found_done,
                                                   .transaction = found_transaction};
    char path[128];
    struct store *store;
    struct found found = {.salts = 0};
    struct log_error error;
    snprintf(path, sizeof path, "%s/version-2", world->directory);
    assert_int_equal(store_posix_open(path, false, &store, &error), 0);
    struct log_stores stores = {store, store};
    struct log_recover_options options = {.clean_up = false};
    if (log_recover(&stores, &options, &calls, &found, &found.recovered, NULL, &error) != 0)
        fail_msg("%s", error.text);
    store_posix_free(store);
    return found;
}

/* --- tests --------------------------------------------------------------------------------------
 */

#define ZXID(epoch, counter) ((int64_t)(epoch) << 32 | (counter))

static void append_ten(struct world *world)
{
    add(world, ZAB_DISK_ACCEPTED_EPOCH, 1);
    add(world, ZAB_DISK_PREPARE_EPOCH, 1);
    for (int i = 1; i <= 10; i++)
        add_entry(world, ZXID(1, i), 1);
    add(world, ZAB_DISK_CURRENT_EPOCH, 1);
    submit(world, 0);
}

static void test_epochs_and_entries(void **state)
{
    struct world *world = *state;
    start(world);
    add(world, ZAB_DISK_ACCEPTED_EPOCH, 1);
    add(world, ZAB_DISK_PREPARE_EPOCH, 1);
    submit(world, 0);
    assert_int_equal(epoch_of(world, LOG_EPOCH_ACCEPTED), 1);
    assert_int_equal(epoch_of(world, LOG_EPOCH_PREPARED), 1);
    assert_int_equal(epoch_of(world, LOG_EPOCH_CURRENT), -1);
    for (int i = 1; i <= 10; i++)
        add_entry(world, ZXID(1, i), 1);
    submit(world, ZXID(1, 4));
    assert_int_equal(files_with(world, "log.100000001"), 1);
    assert_int_equal(files_with(world, "log.100000004"), 1);
    assert_int_equal(files_with(world, "log."), 2);
    struct found found = look(world); /* what is told is there, while the server runs */
    assert_int_equal(found.recovered.last_zxid, ZXID(1, 10));
    assert_int_equal(found.salts, 10);
    add(world, ZAB_DISK_CURRENT_EPOCH, 1);
    submit(world, 0);
    assert_int_equal(epoch_of(world, LOG_EPOCH_CURRENT), 1);
    assert_int_equal(epoch_of(world, LOG_EPOCH_PREPARED), -1);
    struct disk_figures figures;
    disk_figures(world->server->disk, &figures);
    assert_int_equal(figures.sync_batch.count, 1); /* one batch, one sync */
    stop(world);
    assert_int_equal(look(world).recovered.last_zxid, ZXID(1, 10));
}

static void test_truncate(void **state)
{
    struct world *world = *state;
    start(world);
    append_ten(world);
    add(world, ZAB_DISK_TRUNCATE, ZXID(1, 6));
    submit(world, 0);
    assert_int_equal(look(world).recovered.last_zxid, ZXID(1, 6));
    /* Entries before, the cut, and entries under the same numbers: all at once. */
    add_entry(world, ZXID(1, 7), 3);
    add_entry(world, ZXID(1, 8), 3);
    add(world, ZAB_DISK_TRUNCATE, ZXID(1, 7));
    add_entry(world, ZXID(2, 1), 5);
    submit(world, 0);
    struct found found = look(world);
    assert_int_equal(found.recovered.last_zxid, ZXID(2, 1));
    assert_int_equal(found.salts, 6 + 3 + 5);
    stop(world);
    assert_int_equal(look(world).salts, 6 + 3 + 5);
}

/* No sessions, no ACLs, the root, `count` nodes of a megabyte each, the end. */
static void body_make(struct mk_buffer *body, uint32_t count)
{
    uint8_t head[8] = {0}, length[4], stat[68] = {0};
    mk_buffer_append(body, head, 8);
    uint8_t *data = mk_calloc(1, 1 << 20);
    for (uint32_t i = 0; i <= count; i++) {
        mk_store_u32(length, i ? 6 : 0);
        mk_buffer_append(body, length, 4);
        if (i)
            mk_buffer_print(body, "/%05u", i);
        mk_store_u32(length, i ? 1 << 20 : 0);
        mk_buffer_append(body, length, 4);
        mk_buffer_append(body, data, i ? 1 << 20 : 0);
        mk_buffer_append(body, stat, sizeof stat);
    }
    mk_free(data);
    mk_store_u32(length, 1);
    mk_buffer_append(body, length, 4);
    mk_buffer_append(body, "/", 1);
}

/* Waits whenever the writer is behind; returns how often that was. */
static int send_body(struct world *world, const struct mk_buffer *body, size_t piece)
{
    int waits = 0;
    for (size_t at = 0; at < body->length; at += piece) {
        size_t part = MK_MIN(piece, body->length - at);
        int drained = world->drained;
        if (disk_snapshot_body(world->server->disk, mk_bytes_of(body->data + at, part)))
            continue;
        waits++;
        while (world->drained == drained)
            uv_run(&world->loop, UV_RUN_ONCE);
        assert_true(world->server->disk->received.orders.body.length < (4u << 20));
    }
    return waits;
}

static void test_install(void **state)
{
    struct world *world = *state;
    start(world);
    append_ten(world);
    struct disk *disk = world->server->disk;
    struct mk_buffer body = MK_BUFFER_EMPTY;
    struct snapfile_seal seal = {
        .has_digest = true, .digest_zxid = ZXID(2, 0), .digest_version = 2};
    body_make(&body, 3);

    /* Two that break off, one of them complete. */
    disk_snapshot_begin(disk);
    send_body(world, &body, 1000);
    disk_snapshot_abort(disk);
    disk_snapshot_abort(disk);
    disk_snapshot_begin(disk);
    send_body(world, &body, 100000);
    disk_snapshot_end(disk, &seal);
    disk_snapshot_abort(disk);
    add_entry(world, ZXID(1, 11), 1);
    submit(world, 0);
    assert_int_equal(files_with(world, SNAPFILE_RECEIVED_NAME), 0);
    assert_int_equal(look(world).recovered.last_zxid, ZXID(1, 11));

    disk_snapshot_begin(disk);
    send_body(world, &body, 4096);
    disk_snapshot_end(disk, &seal);
    add(world, ZAB_DISK_ACCEPTED_EPOCH, 2);
    add(world, ZAB_DISK_PREPARE_EPOCH, 2);
    add(world, ZAB_DISK_INSTALL_SNAPSHOT, ZXID(2, 0));
    add_entry(world, ZXID(2, 1), 7);
    add_entry(world, ZXID(2, 2), 7);
    add(world, ZAB_DISK_CURRENT_EPOCH, 2);
    submit(world, 0);
    struct found found = look(world);
    assert_int_equal(found.recovered.snapshot_zxid, ZXID(2, 0));
    assert_int_equal(found.recovered.last_zxid, ZXID(2, 2));
    assert_int_equal(found.walk.nodes, 4);
    assert_int_equal(found.walk.data_bytes, 3 << 20);
    assert_int_equal(found.salts, 14);
    assert_int_equal(files_with(world, "snapshot."), 1);
    assert_int_equal(files_with(world, "log."), 1);
    mk_buffer_fini(&body);
    stop(world);
    assert_int_equal(look(world).salts, 14);
}

/* What waits stays bounded, however fast the leader is; a stop in the middle leaves the old. */
static void test_back_pressure(void **state)
{
    struct world *world = *state;
    start(world);
    append_ten(world);
    struct mk_buffer body = MK_BUFFER_EMPTY;
    body_make(&body, 40);
    disk_snapshot_begin(world->server->disk);
    assert_int_equal(send_body(world, &body, 5 << 20), 8); /* more than may wait, each time */
    mk_buffer_fini(&body);
    stop(world);
    assert_int_equal(look(world).recovered.last_zxid, ZXID(1, 10));
}

/* A snapshot of the old history must not appear behind the cut. */
static void test_worker_is_held(void **state)
{
    struct world *world = *state;
    start(world);
    append_ten(world);
    server_feed_simple(world->server, REPLICA_SNAPSHOT_NOW, 0);
    assert_true(world->server->update.snapshot_begin);
    world->server->update.snapshot_finish = false; /* as if the tree were large */
    server_perform(world->server);
    add(world, ZAB_DISK_TRUNCATE, ZXID(1, 6));
    submit(world, 0);
    assert_int_equal(files_with(world, "moonkeeper.snapshot"), 0);
    /* The replica heard of it, and another one goes through. */
    struct snapshots_figures figures = {.last_zxid = -1};
    for (int i = 0; i < 1000 && figures.last_zxid != 0; i++) {
        uv_run(&world->loop, UV_RUN_NOWAIT);
        server_feed_simple(world->server, REPLICA_SNAPSHOT_NOW, 0);
        server_perform(world->server);
        usleep(1000);
        snapshots_figures(world->server->snapshots, &figures);
    }
    assert_int_equal(figures.last_zxid, 0);
    stop(world);
    assert_int_equal(look(world).recovered.last_zxid, ZXID(1, 6));
}

/* Nothing is as old as that: the process ends, nothing was changed, no ticket is told. */
static void test_failing_step_ends_the_process(void **state)
{
    struct world *world = *state;
    char path[128];
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(60);
        start(world);
        append_ten(world);
        snprintf(path, sizeof path, "%s/version-2/snapshot.0", world->directory);
        if (unlink(path) != 0)
            _exit(1);
        add(world, ZAB_DISK_TRUNCATE, ZXID(1, 6));
        submit(world, 0);
        _exit(2); /* the ticket was told */
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 74);
    assert_int_equal(files_with(world, "moonkeeper.pending"), 0);
    assert_int_equal(files_with(world, "log.100000001"), 1);
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(test_epochs_and_entries),
        EACH(test_truncate),
        EACH(test_install),
        EACH(test_back_pressure),
        EACH(test_worker_is_held),
        EACH(test_failing_step_ends_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
