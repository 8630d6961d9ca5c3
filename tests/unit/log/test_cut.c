/* SPDX-License-Identifier: MIT */
/* TRUNC and SNAP on a data directory, with the power cut at every call: recovery gives exactly the
 * old state or exactly the new one, the new one once the call returned 0, and the log goes on
 * behind either (reliability catalogue D3, D4; protocol hazards T1, T2, 1549, 2846). */
#include "tests/unit/log/machine.h"

#include "base/checksum.h"
#include "log/check.h"
#include "log/cut.h"
#include "log/names.h"
#include "log/pending.h"

#define LAST 30 /* where the old state ends */
#ifndef OUTCOMES
#define OUTCOMES 6 /* tried of each cut; a soak sets more */
#endif

/* --- the old state ------------------------------------------------------------------------------
 */

enum shape {
    SHAPE_CLOSED, /* our logs, after a clean stop */
    SHAPE_KILLED, /* zeros behind the last entry, the mark not synced */
    SHAPE_APACHE, /* no trailers, padded files, no mark */
    SHAPES
};

struct scene {
    enum shape shape;
    bool two; /* directories */
    uint32_t block_bytes;
    uint64_t seed;
};

static bool machine_has(const struct memory_store *memory, const char *name)
{
    size_t size;
    return memory_store_get((struct memory_store *)memory, name, &size) != NULL;
}

/* Rewrites our logs as Apache would have written them. */
static void make_apache(struct machine *machine)
{
    struct log_names names;
    assert_int_equal(log_names_list(machine->log_store, LOG_KIND_LOG, &names, NULL), 0);
    for (size_t i = 0; i < names.count; i++) {
        size_t size;
        const uint8_t *data = memory_store_get(machine->log_memory, names.items[i].name, &size);
        struct mk_buffer file = MK_BUFFER_EMPTY;
        mk_buffer_append(&file, data, LOG_HEADER_BYTES);
        for (size_t at = LOG_HEADER_BYTES; at + TXNLOG_FRAME_BYTES < size;) {
            uint32_t length = mk_load_u32(data + at + 8);
            if (length == 0)
                break;
            const uint8_t *payload = data + at + TXNLOG_PREFIX_BYTES;
            uint8_t prefix[TXNLOG_PREFIX_BYTES], last = TXNLOG_LAST_BYTE;
            mk_store_u64(prefix, mk_adler32(1, payload, length - TRAILER_BYTES));
            mk_store_u32(prefix + 8, length - TRAILER_BYTES);
            mk_buffer_append(&file, prefix, sizeof prefix);
            mk_buffer_append(&file, payload, length - TRAILER_BYTES);
            mk_buffer_append(&file, &last, 1);
            at += TXNLOG_FRAME_BYTES + length;
        }
        size_t zeros = 2000;
        memset(mk_buffer_reserve(&file, zeros), 0, zeros);
        file.length += zeros;
        memory_store_put(machine->log_memory, names.items[i].name, file.data, file.length);
        mk_buffer_fini(&file);
    }
    log_names_fini(&names);
    assert_true(memory_store_delete(machine->log_memory, LOG_INDEX_NAME));
}

/* Snapshots 0, 10 and 20, entries 1 to LAST in files of seven. */
static void build(struct machine *machine, const struct scene *scene)
{
    if (scene->two)
        machine_init_two(machine, memory_store_new(scene->seed), memory_store_new(scene->seed + 1));
    else
        machine_init(machine, memory_store_new(scene->seed));
    memory_store_set_block(machine->memory, scene->block_bytes);
    memory_store_set_block(machine->log_memory, scene->block_bytes);
    must(machine_recover(machine), machine);
    must(machine_snapshot(machine), machine);
    must(machine_open(machine, 77, 2048), machine);
    for (int i = 1; i <= LAST; i++) {
        must(machine_append(machine, 1, (size_t)(i * 53 % 400)), machine);
        if (i % 2 == 0 || i == LAST)
            must(txnlog_flush(machine->log, &machine->error), machine);
        if (i % 10 == 0 && i < LAST)
            must(machine_snapshot(machine), machine);
        if (i % 7 == 0)
            must(txnlog_roll(machine->log, &machine->error), machine);
    }
    if (scene->shape == SHAPE_CLOSED)
        must(txnlog_close(machine->log, &machine->error), machine);
    txnlog_free(machine->log);
    machine->log = NULL;
    if (scene->shape == SHAPE_APACHE)
        make_apache(machine);
}

/* --- crashes ------------------------------------------------------------------------------------
 */

struct cut_off {
    bool in_logs;   /* with two directories: which one's calls are counted */
    uint64_t call;  /* from now on; 0: never */
    bool fails;     /* the call fails and the process ends, but the power stays */
    unsigned keep;  /* percent that survives */
    uint64_t again; /* recovery itself is cut off at this call; 0: it is not */
};

static void arm(struct machine *machine, const struct cut_off *cut)
{
    struct memory_store *memory = cut->in_logs ? machine->log_memory : machine->memory;
    uint64_t call = cut->call ? memory_store_calls(memory) + cut->call : 0;
    if (cut->fails)
        memory_store_faults(memory)->fail_call = call;
    else
        memory_store_faults(memory)->crash_call = call;
}

static void crash(struct machine *machine, const struct cut_off *cut)
{
    struct memory_store *both[] = {machine->memory, machine->log_memory};
    for (int i = 0; i < (both[0] == both[1] ? 1 : 2); i++) {
        if (cut->fails)
            memory_store_kill(both[i]);
        else
            memory_store_crash(both[i], cut->keep);
    }
}

static void recover_after(struct machine *machine, const struct cut_off *cut)
{
    crash(machine, cut);
    if (cut->again) {
        struct memory_store *memory = cut->again % 2 ? machine->log_memory : machine->memory;
        memory_store_faults(memory)->crash_call = memory_store_calls(memory) + cut->again;
        (void)machine_recover(machine);
        crash(machine, cut);
    }
    must(machine_recover(machine), machine);
    assert_false(machine_has(machine->memory, LOG_PENDING_NAME));
    assert_false(machine_has(machine->memory, SNAPFILE_RECEIVED_NAME));
}

/* The log goes on from here: other entries under the same numbers, then a crash. */
static void go_on(struct machine *machine)
{
    must(machine_open(machine, 99, 1024), machine);
    for (int i = 0; i < 3; i++)
        must(machine_append(machine, 2, 100), machine);
    must(txnlog_flush(machine->log, &machine->error), machine);
    int64_t last = machine->last_zxid;
    uint64_t hash = machine->hash;
    txnlog_free(machine->log);
    machine->log = NULL;
    memory_store_crash(machine->memory, 50);
    if (machine->log_memory != machine->memory)
        memory_store_crash(machine->log_memory, 50);
    must(machine_recover(machine), machine);
    assert_int_equal(machine->last_zxid, last);
    assert_true(machine->hash == hash);
}

/* --- truncate -----------------------------------------------------------------------------------
 */

/* One cut, cut off. Returns whether it got to its end. */
static bool truncate_once(const struct scene *scene, int64_t zxid, const struct cut_off *cut)
{
    struct machine machine;
    build(&machine, scene);
    struct log_stores stores = machine_stores(&machine);
    uint64_t old = machine.expected[LAST], new = machine.expected[zxid];
    arm(&machine, cut);
    int result = log_truncate(&stores, zxid, &machine.recovered.tail, &machine.error);
    if (result == 0) {
        assert_int_equal(machine.recovered.tail.last_zxid, zxid);
        if (cut->call == 0) { /* the same process goes on */
            machine.last_zxid = zxid;
            machine.hash = zxid ? new : 0;
            go_on(&machine);
            machine_fini(&machine);
            return true;
        }
    }
    recover_after(&machine, cut);
    bool is_old = machine.last_zxid == LAST && machine.hash == old;
    bool is_new = machine.last_zxid == zxid && machine.hash == (zxid ? new : 0);
    if ((!is_old && !is_new) || (result == 0 && !is_new))
        print_error("cut at %lld, call %llu: ends at %lld\n", (long long)zxid,
                    (unsigned long long)cut->call, (long long)machine.last_zxid);
    assert_true(is_new || (is_old && result < 0));
    go_on(&machine);
    machine_fini(&machine);
    return result == 0;
}

typedef bool once(const struct scene *scene, int64_t zxid, const struct cut_off *cut);

static uint64_t cut_every_call(const struct scene *like, int64_t zxid, once *try_once)
{
    static const unsigned keeps[] = {0, 20, 50, 80, 100};
    uint64_t calls = 0;
    struct cut_off never = {0};
    assert_true(try_once(like, zxid, &never));
    for (int in_logs = 0; in_logs <= like->two; in_logs++) {
        bool done = false;
        for (uint64_t call = 1; !done; call++, calls++) {
            for (uint64_t i = 0; i < OUTCOMES; i++) {
                struct scene scene = *like;
                struct cut_off cut = {.in_logs = in_logs,
                                      .call = call,
                                      .fails = i == 0,
                                      .keep = keeps[i % 5],
                                      .again = i % 3 == 2 ? 1 + i % 13 : 0};
                scene.seed = like->seed + call * 4096 + i;
                done = try_once(&scene, zxid, &cut);
            }
        }
    }
    return calls;
}

static void every_shape(const int64_t *zxids, size_t count, once *try_once)
{
    for (int shape = 0; shape < SHAPES; shape++) {
        for (size_t i = 0; i < count; i++) {
            struct scene scene = {.shape = (enum shape)shape,
                                  .two = (shape + i) % 2,
                                  .block_bytes = i % 3 == 2 ? 4096 : 0,
                                  .seed = 1000 * i + 100000u * (unsigned)shape};
            cut_every_call(&scene, zxids[i], try_once);
        }
    }
}

static void test_truncate_every_call(void **state)
{
    (void)state;
    static const int64_t zxids[] = {0, 1, 5, 7, 10, 14, 15, 20, 25, 28, 29};
    every_shape(zxids, MK_ARRAY_LENGTH(zxids), truncate_once);
}

/* Nothing beyond: nothing is touched. */
static void test_truncate_at_the_end(void **state)
{
    (void)state;
    for (int shape = 0; shape < SHAPES; shape++) {
        struct machine machine;
        struct scene scene = {.shape = (enum shape)shape, .seed = 3};
        build(&machine, &scene);
        struct log_stores stores = machine_stores(&machine);
        uint64_t calls = memory_store_calls(machine.memory);
        must(log_truncate(&stores, LAST, &machine.recovered.tail, &machine.error), &machine);
        assert_int_equal(machine.recovered.tail.last_zxid, LAST);
        assert_int_equal(memory_store_calls(machine.memory), calls);
        go_on(&machine);
        machine_fini(&machine);
    }
}

static void delete_named(struct machine *machine, const char *name)
{
    assert_true(memory_store_delete(machine->memory, name));
}

/* Hazard T1: the zxid itself is not in the log. The log ends before it, never behind it. */
static void test_truncate_between(void **state)
{
    (void)state;
    struct machine machine;
    struct scene scene = {.shape = SHAPE_APACHE, .seed = 5};
    build(&machine, &scene);
    struct log_stores stores = machine_stores(&machine);
    /* log {15..21} and {22..28}, {29, 30}; without the first, snapshot 20 is the beginning: 21 is
     * in no file. */
    for (int i = 0; i < 3; i++)
        delete_named(&machine, i == 0 ? "log.1" : i == 1 ? "log.8" : "log.f");
    machine.any_start = true;
    assert_int_equal(machine_recover(&machine), MK_ERR_CORRUPT); /* 21 is missing */
    assert_int_equal(log_truncate(&stores, 25, &machine.recovered.tail, &machine.error),
                     MK_ERR_CORRUPT);
    must(log_truncate(&stores, 20, &machine.recovered.tail, &machine.error), &machine);
    must(machine_recover(&machine), &machine);
    assert_int_equal(machine.last_zxid, 20);
    machine_fini(&machine);

    build(&machine, &scene);
    stores = machine_stores(&machine);
    must(log_truncate(&stores, 25, &machine.recovered.tail, &machine.error), &machine);
    must(log_truncate(&stores, 27, &machine.recovered.tail, &machine.error), &machine);
    assert_int_equal(machine.recovered.tail.last_zxid, 25);
    machine_fini(&machine);
}

/* What would leave no state is refused, and nothing is changed. */
static void test_truncate_refuses(void **state)
{
    (void)state;
    struct machine machine;
    struct scene scene = {.shape = SHAPE_CLOSED, .seed = 6};
    build(&machine, &scene);
    struct log_stores stores = machine_stores(&machine);
    delete_named(&machine, "snapshot.0");
    delete_named(&machine, "snapshot.a");
    delete_named(&machine, "log.1");
    uint64_t calls = memory_store_calls(machine.memory);
    assert_int_equal(log_truncate(&stores, 15, &machine.recovered.tail, &machine.error),
                     MK_ERR_CORRUPT);
    assert_non_null(strstr(machine.error.text, "cannot be cut"));
    assert_int_equal(memory_store_calls(machine.memory), calls);
    must(machine_recover(&machine), &machine);
    assert_int_equal(machine.last_zxid, LAST);
    machine_fini(&machine);

    /* Damage in front of the cut: what is left would not be the whole. */
    build(&machine, &scene);
    stores = machine_stores(&machine);
    size_t size;
    memory_store_get(machine.memory, "log.16", &size)[60] ^= 1;
    assert_int_equal(log_truncate(&stores, 26, &machine.recovered.tail, &machine.error),
                     MK_ERR_CORRUPT);
    /* Damage behind it goes with the rest. */
    must(log_truncate(&stores, 21, &machine.recovered.tail, &machine.error), &machine);
    must(machine_recover(&machine), &machine);
    assert_int_equal(machine.last_zxid, 21);
    machine_fini(&machine);
}

/* The only snapshot at or below the cut is rotten: the older one is proven before a newer goes. */
static void test_truncate_reads_the_base(void **state)
{
    (void)state;
    struct machine machine;
    struct scene scene = {.shape = SHAPE_CLOSED, .seed = 8};
    build(&machine, &scene);
    struct log_stores stores = machine_stores(&machine);
    size_t size;
    memory_store_get(machine.memory, "snapshot.a", &size)[70] ^= 1;
    must(log_truncate(&stores, 15, &machine.recovered.tail, &machine.error), &machine);
    uint64_t hash = machine.expected[15];
    must(machine_recover(&machine), &machine);
    assert_int_equal(machine.last_zxid, 15);
    assert_true(machine.hash == hash);
    assert_int_equal(machine.recovered.snapshot_zxid, 0);
    machine_fini(&machine);

    /* The older one has not all of its log: nothing is changed. */
    build(&machine, &scene);
    stores = machine_stores(&machine);
    memory_store_get(machine.memory, "snapshot.a", &size)[70] ^= 1;
    delete_named(&machine, "log.1");
    assert_int_equal(log_truncate(&stores, 15, &machine.recovered.tail, &machine.error),
                     MK_ERR_CORRUPT);
    must(machine_recover(&machine), &machine);
    assert_int_equal(machine.last_zxid, LAST);
    machine_fini(&machine);
}

/* --- fuzzy snapshots --- */

static void write_snapshot(struct machine *machine, int64_t name_zxid, struct snapfile_seal seal)
{
    struct mk_buffer body = MK_BUFFER_EMPTY;
    struct snapfile_writer *writer;
    machine_body(machine, &body);
    must(snapfile_begin(machine->store, name_zxid, &writer, &machine->error), machine);
    must(snapfile_write(writer, body.data, body.length, &machine->error), machine);
    must(snapfile_finish(writer, &seal, NULL, &machine->error), machine);
    mk_buffer_fini(&body);
}

static void test_reach(void **state)
{
    (void)state;
    struct machine machine;
    machine_init(&machine, memory_store_new(1));
    int64_t zxid;
    write_snapshot(&machine, 1, (struct snapfile_seal){.has_digest = false});
    assert_int_equal(snapfile_reach(machine.store, "snapshot.1", &zxid, NULL), 0);
    struct snapfile_seal seal = {.has_digest = true, .digest_zxid = 9, .digest_version = 2};
    write_snapshot(&machine, 2, seal);
    assert_int_equal(snapfile_reach(machine.store, "snapshot.2", &zxid, NULL), 1);
    assert_int_equal(zxid, 9);
    seal.has_last_zxid = true;
    seal.last_zxid = 12;
    write_snapshot(&machine, 3, seal);
    assert_int_equal(snapfile_reach(machine.store, "snapshot.3", &zxid, NULL), 1);
    assert_int_equal(zxid, 12);
    memory_store_put(machine.memory, "snapshot.4", "", 0);
    assert_int_equal(snapfile_reach(machine.store, "snapshot.4", &zxid, NULL), 0);
    assert_int_equal(snapfile_reach(machine.store, "snapshot.5", &zxid, NULL), MK_ERR_NOT_FOUND);
    machine_fini(&machine);
}

/* Hazard 1549: named in front of the cut, with transactions from behind it. */
static void test_truncate_drops_fuzzy_snapshots(void **state)
{
    (void)state;
    for (int64_t zxid = 12; zxid <= 14; zxid++) {
        struct machine machine;
        struct scene scene = {.shape = SHAPE_CLOSED, .seed = 9};
        build(&machine, &scene);
        struct log_stores stores = machine_stores(&machine);
        write_snapshot(
            &machine, 12,
            (struct snapfile_seal){.has_digest = true, .digest_zxid = 14, .digest_version = 2});
        must(log_truncate(&stores, zxid, &machine.recovered.tail, &machine.error), &machine);
        assert_int_equal(machine_has(machine.memory, "snapshot.c"), zxid == 14);
        assert_true(machine_has(machine.memory, "snapshot.a"));
        assert_false(machine_has(machine.memory, "snapshot.14"));
        machine_fini(&machine);
    }
}

/* --- install ------------------------------------------------------------------------------------
 */

#define OTHER 0xabcdef /* the leader's state, for the toy machine */

static int receive(struct machine *machine, int64_t zxid)
{
    struct machine leader = {.last_zxid = zxid, .hash = OTHER};
    struct snapfile_writer *writer;
    struct snapfile_seal seal = {.has_digest = true,
                                 .digest_zxid = zxid,
                                 .digest_version = 2,
                                 .has_last_zxid = true,
                                 .last_zxid = zxid};
    struct mk_buffer body = MK_BUFFER_EMPTY;
    machine_body(&leader, &body);
    int result = snapfile_begin_received(machine->store, &writer, &machine->error);
    if (result == 0) {
        result = snapfile_write(writer, body.data, body.length, &machine->error);
        if (result < 0)
            snapfile_abort(writer);
        else
            result = snapfile_finish(writer, &seal, NULL, &machine->error);
    }
    mk_buffer_fini(&body);
    return result;
}

static size_t count_kind(struct store *store, enum log_kind kind)
{
    struct log_names names;
    assert_int_equal(log_names_list(store, kind, &names, NULL), 0);
    size_t count = names.count;
    log_names_fini(&names);
    return count;
}

static bool install_once(const struct scene *scene, int64_t zxid, const struct cut_off *cut)
{
    struct machine machine;
    build(&machine, scene);
    struct log_stores stores = machine_stores(&machine);
    uint64_t old = machine.expected[LAST];
    arm(&machine, cut);
    int result = receive(&machine, zxid);
    if (result == 0)
        result = log_install_snapshot(&stores, zxid, &machine.recovered.tail, &machine.error);
    if (result == 0 && cut->call == 0) { /* the same process goes on */
        machine.last_zxid = zxid;
        machine.hash = OTHER;
        go_on(&machine);
        assert_int_equal(count_kind(machine.log_store, LOG_KIND_LOG), 1);
        machine_fini(&machine);
        return true;
    }
    recover_after(&machine, cut);
    bool is_old = machine.last_zxid == LAST && machine.hash == old;
    bool is_new = machine.last_zxid == zxid && machine.hash == OTHER;
    if ((!is_old && !is_new) || (result == 0 && !is_new))
        print_error("install %lld, call %llu: ends at %lld\n", (long long)zxid,
                    (unsigned long long)cut->call, (long long)machine.last_zxid);
    assert_true(is_new || (is_old && result < 0));
    if (is_new) {
        assert_int_equal(count_kind(machine.store, LOG_KIND_SNAPSHOT), 1);
        assert_int_equal(count_kind(machine.log_store, LOG_KIND_LOG), 0);
    }
    go_on(&machine);
    machine_fini(&machine);
    return result == 0;
}

static void test_install_every_call(void **state)
{
    (void)state;
    /* Below the old end (hazard T2), at an old snapshot, at the end, beyond. */
    static const int64_t zxids[] = {3, 8, 10, 20, 25, LAST, 41};
    every_shape(zxids, MK_ARRAY_LENGTH(zxids), install_once);
}

/* A directory that is empty, damaged, or holds compressed snapshots of the same zxid. */
static void test_install_over_anything(void **state)
{
    (void)state;
    struct machine machine;
    machine_init(&machine, memory_store_new(1));
    struct log_stores stores = machine_stores(&machine);
    must(receive(&machine, 9), &machine);
    must(log_install_snapshot(&stores, 9, &machine.recovered.tail, &machine.error), &machine);
    memory_store_crash(machine.memory, 0);
    must(machine_recover(&machine), &machine);
    assert_int_equal(machine.last_zxid, 9);
    go_on(&machine);
    machine_fini(&machine);

    struct scene scene = {.shape = SHAPE_KILLED, .seed = 2};
    build(&machine, &scene);
    stores = machine_stores(&machine);
    memory_store_put(machine.memory, "snapshot.19.gz", "nonsense", 8);
    memory_store_put(machine.memory, "snapshot.ffff", "nonsense", 8);
    size_t size;
    memory_store_get(machine.memory, "log.16", &size)[60] ^= 1;
    memory_store_get(machine.memory, LOG_INDEX_NAME, &size)[60] ^= 1;
    assert_int_equal(machine_recover(&machine), MK_ERR_CORRUPT);
    must(receive(&machine, 25), &machine);
    must(log_install_snapshot(&stores, 25, &machine.recovered.tail, &machine.error), &machine);
    memory_store_crash(machine.memory, 0);
    must(machine_recover(&machine), &machine);
    assert_int_equal(machine.last_zxid, 25);
    assert_int_equal(count_kind(machine.store, LOG_KIND_SNAPSHOT), 1);
    go_on(&machine);
    machine_fini(&machine);
}

/* A new epoch's first entry follows whatever comes before it; were an older snapshot left, it would
 * pass for the beginning when the installed one rots. */
static void test_install_leaves_no_other_beginning(void **state)
{
    (void)state;
    struct machine machine;
    struct scene scene = {.shape = SHAPE_CLOSED, .seed = 2};
    int64_t zxid = mk_zxid_make(2, 0);
    build(&machine, &scene);
    struct log_stores stores = machine_stores(&machine);
    must(receive(&machine, zxid), &machine);
    must(log_install_snapshot(&stores, zxid, &machine.recovered.tail, &machine.error), &machine);
    must(machine_recover(&machine), &machine);
    must(machine_open(&machine, 5, 0), &machine);
    struct mk_buffer payload = MK_BUFFER_EMPTY;
    machine_payload(&payload, zxid + 1, 1, 10);
    must(txnlog_append(machine.log, zxid + 1, payload.data, payload.length, &machine.error),
         &machine);
    mk_buffer_fini(&payload);
    must(txnlog_close(machine.log, &machine.error), &machine);
    must(machine_recover(&machine), &machine);
    assert_int_equal(machine.last_zxid, zxid + 1);
    size_t size;
    memory_store_get(machine.memory, "snapshot.200000000", &size)[70] ^= 1;
    assert_int_equal(machine_recover(&machine), MK_ERR_CORRUPT);
    machine_fini(&machine);
}

/* --- what Apache would find ---------------------------------------------------------------------
 */

/* Its server knows neither the note nor the mark. After a crash at any call it must find the old
 * state, the new one, or for a cut one in between; never a hole, never entries on top of the
 * snapshot. */
static void look_without_note(struct machine *machine, int64_t zxid, uint64_t new)
{
    static const char *const ours[] = {LOG_PENDING_NAME, LOG_INDEX_NAME, SNAPFILE_RECEIVED_NAME};
    uint64_t old[LAST + 1];
    for (int i = 0; i <= LAST; i++)
        old[i] = i ? machine->expected[i] : 0;
    for (size_t i = 0; i < MK_ARRAY_LENGTH(ours); i++)
        memory_store_delete(machine->memory, ours[i]);
    int result =
        machine_recover_with(machine, (struct log_recover_options){.snapshot_alone = true});
    must(result, machine);
    int64_t last = machine->last_zxid;
    bool is_new = last == zxid && machine->hash == new;
    bool is_old = last <= LAST && machine->hash == old[last];
    assert_true(is_new || is_old);
    assert_true(last >= MK_MIN(zxid, LAST));
}

static void test_without_note(void **state)
{
    (void)state;
    static const int64_t zxids[] = {0, 5, 10, 15, 25, 29, LAST, 41};
    for (size_t i = 0; i < 2 * MK_ARRAY_LENGTH(zxids); i++) {
        int64_t zxid = zxids[i / 2];
        bool is_cut = i % 2, done = false;
        for (uint64_t call = 1; !done && (!is_cut || zxid <= LAST); call++) {
            for (uint64_t outcome = 0; outcome < OUTCOMES; outcome++) {
                struct machine machine;
                struct scene scene = {.shape = SHAPE_CLOSED, .seed = call * 4096 + outcome};
                struct cut_off cut = {.call = call, .keep = (unsigned)(outcome * 100 / OUTCOMES)};
                build(&machine, &scene);
                struct log_stores stores = machine_stores(&machine);
                struct txnlog_tail tail;
                arm(&machine, &cut);
                int result;
                if (is_cut)
                    result = log_truncate(&stores, zxid, &tail, &machine.error);
                else if ((result = receive(&machine, zxid)) == 0)
                    result = log_install_snapshot(&stores, zxid, &tail, &machine.error);
                done = result == 0;
                crash(&machine, &cut);
                look_without_note(&machine, zxid, is_cut ? machine.expected[zxid] : OTHER);
                machine_fini(&machine);
            }
        }
    }
}

/* --- the note -----------------------------------------------------------------------------------
 */

static void test_pending_note(void **state)
{
    (void)state;
    struct memory_store *memory = memory_store_new(1);
    struct store *store = memory_store_of(memory);
    struct log_error error;
    struct log_pending pending = {LOG_PENDING_INSTALL, 0x100000012}, read = {0};
    assert_int_equal(log_pending_read(store, &read, &error), 0);
    assert_int_equal(log_pending_write(store, &pending, &error), 0);
    memory_store_crash(memory, 0);
    assert_int_equal(log_pending_read(store, &read, &error), 1);
    assert_int_equal(read.type, LOG_PENDING_INSTALL);
    assert_int_equal(read.zxid, 0x100000012);
    size_t size;
    uint8_t *line = memory_store_get(memory, LOG_PENDING_NAME, &size);
    for (size_t i = 0; i < size * 8; i++) {
        line[i / 8] ^= (uint8_t)(1 << i % 8);
        assert_int_equal(log_pending_read(store, &read, &error), MK_ERR_CORRUPT);
        line[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    memory_store_put(memory, LOG_PENDING_NAME, line, size - 1);
    assert_int_equal(log_pending_read(store, &read, &error), MK_ERR_CORRUPT);
    memory_store_free(memory);
}

/* Whoever may not write says so; whoever has the wrong log directory destroys nothing. */
static void test_interrupted(void **state)
{
    (void)state;
    struct machine machine;
    struct scene scene = {.shape = SHAPE_CLOSED, .two = true, .seed = 4};
    build(&machine, &scene);
    struct log_stores stores = machine_stores(&machine);
    memory_store_faults(machine.log_memory)->fail_call = memory_store_calls(machine.log_memory) + 3;
    assert_true(log_truncate(&stores, 15, &machine.recovered.tail, &machine.error) < 0);
    memory_store_kill(machine.log_memory);
    assert_true(machine_has(machine.memory, LOG_PENDING_NAME));

    assert_int_equal(machine_recover_with(&machine, (struct log_recover_options){0}),
                     MK_ERR_CORRUPT);
    assert_non_null(strstr(machine.error.text, "a start of the server completes it"));
    struct log_check_result checked;
    struct mk_buffer text = MK_BUFFER_EMPTY;
    must(log_check(&stores, false, &checked, &machine.report, &text, &machine.error), &machine);
    assert_true(checked.usable);
    mk_buffer_append(&text, "", 1);
    assert_non_null(strstr((const char *)text.data, "the log is being cut at zxid 0xf"));
    mk_buffer_fini(&text);

    struct machine astray;
    machine_init_two(&astray, memory_store_clone(machine.memory, 1), memory_store_new(2));
    assert_int_equal(machine_recover(&astray), MK_ERR_CORRUPT);
    assert_non_null(strstr(astray.error.text, "set data_log_dir"));
    assert_true(machine_has(astray.memory, LOG_PENDING_NAME));
    machine_fini(&astray);

    must(machine_recover(&machine), &machine);
    assert_int_equal(machine.last_zxid, 15);
    go_on(&machine);
    machine_fini(&machine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_truncate_every_call),
        cmocka_unit_test(test_truncate_at_the_end),
        cmocka_unit_test(test_truncate_between),
        cmocka_unit_test(test_truncate_refuses),
        cmocka_unit_test(test_truncate_reads_the_base),
        cmocka_unit_test(test_reach),
        cmocka_unit_test(test_truncate_drops_fuzzy_snapshots),
        cmocka_unit_test(test_install_every_call),
        cmocka_unit_test(test_install_over_anything),
        cmocka_unit_test(test_install_leaves_no_other_beginning),
        cmocka_unit_test(test_without_note),
        cmocka_unit_test(test_pending_note),
        cmocka_unit_test(test_interrupted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
