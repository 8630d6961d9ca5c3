/* SPDX-License-Identifier: MIT */
/* Data directories of real servers: every entry as tests/vectors/storage says, and the table of
 * recovery cases, where we do as 3.9 does. */
#include "tests/unit/log/files.h"

#define ENSEMBLE "ensemble-3.8.0/version-2"
#define NEWEST_LOG "log.100000024"
#define LAST_ENTRY 2741

/* The next number behind `"key": ` (a quoted one is hexadecimal); -1 at the end. */
static int64_t json_next(const char **at, const char *key)
{
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\": ", key);
    const char *found = strstr(*at, quoted);
    if (!found)
        return -1;
    *at = found + strlen(quoted);
    return strtoll(**at == '"' ? *at + 1 : *at, NULL, 0);
}

static size_t compare_entries(const char *directory, const char *json_path)
{
    size_t size, count = 0;
    uint8_t *json = file_load(json_path, &size);
    assert_non_null(json);
    const char *at = (const char *)json;
    struct memory_store *memory = vectors_load(directory);
    struct txnlog_scan_options options = {.base_zxid = -1};
    struct txnlog_scan *scan;
    struct txnlog_entry entry;
    struct log_error error;
    assert_int_equal(txnlog_scan_open(memory_store_of(memory), &options, &scan, &error), 0);
    int result;
    while ((result = txnlog_scan_next(scan, &entry, &error)) == 1) {
        assert_int_equal(json_next(&at, "offset"), entry.offset);
        assert_int_equal(json_next(&at, "length"), entry.length);
        assert_int_equal(json_next(&at, "zxid"), entry.zxid);
        assert_false(entry.has_trailer);
        count++;
    }
    assert_int_equal(result, 0);
    assert_int_equal(json_next(&at, "offset"), -1);
    txnlog_scan_free(scan);
    memory_store_free(memory);
    mk_free(json);
    return count;
}

static void test_entries(void **state)
{
    (void)state;
    const char *base = MK_SOURCE_DIR "/tests/vectors/storage/";
    char path[4096];
    snprintf(path, sizeof path, "%sensemble-3.8.0/txns.json", base);
    assert_int_equal(compare_entries(ENSEMBLE, path), 60);
    snprintf(path, sizeof path, "%sminimal-3.8.0/txns.json", base);
    assert_int_equal(compare_entries("minimal-3.8.0/version-2", path), 6);
}

struct trial {
    int result;
    struct replay replay;
    struct log_recover_result recovered;
    struct log_report report;
    struct log_error error;
};

static struct trial recover_from(struct memory_store *memory, bool drop_damaged_tail,
                                 bool snapshot_alone)
{
    struct trial outcome;
    log_report_init(&outcome.report);
    struct log_recover_options options = {
        .clean_up = true, .drop_damaged_tail = drop_damaged_tail, .snapshot_alone = snapshot_alone};
    outcome.result = replay_all(memory, options, &outcome.replay, &outcome.recovered,
                                &outcome.report, &outcome.error);
    return outcome;
}

static struct trial recover(struct memory_store *memory, bool drop_damaged_tail)
{
    return recover_from(memory, drop_damaged_tail, false);
}

static void test_recovery(void **state)
{
    (void)state;
    static const struct {
        const char *directory;
        int64_t snapshot, last;
        uint64_t transactions;
        uint64_t digest;
    } cases[] = {
        {ENSEMBLE, 0x100000022, 0x200000008, 0, 0},
        {"ensemble-3.8.0-leader/version-2", 0x100000034, 0x200000008, 0, 0},
        {"minimal-3.8.0/version-2", 6, 6, 0, 7831164116},
        {"snapshot-variants", 0x200000008, 0x200000008, 0, 0},
        {"snapshot-variants/3.9.4", 0x200000008, 0x200000008, 0, 0},
    };
    for (size_t i = 0; i < MK_ARRAY_LENGTH(cases); i++) {
        struct memory_store *memory = vectors_load(cases[i].directory);
        bool has_logs = strstr(cases[i].directory, "version-2") != NULL;
        struct trial outcome = recover_from(memory, false, !has_logs);
        if (outcome.result < 0)
            print_error("%s: %s\n", cases[i].directory, outcome.error.text);
        assert_int_equal(outcome.result, 0);
        assert_int_equal(outcome.recovered.snapshot_zxid, cases[i].snapshot);
        assert_int_equal(outcome.recovered.last_zxid, cases[i].last);
        assert_true(outcome.replay.info.seal.has_digest);
        if (cases[i].digest)
            assert_true(outcome.replay.info.seal.digest == cases[i].digest);
        log_report_fini(&outcome.report);
        memory_store_free(memory);
    }
}

/* Plain, gzip and snappy hold the same bytes; 3.9 adds a section. */
static void test_snapshot_variants(void **state)
{
    (void)state;
    struct memory_store *memory = vectors_load("snapshot-variants");
    struct log_error error;
    static const char *const names[] = {"snapshot.200000008", "snapshot.200000008.gz",
                                        "snapshot.200000008.snappy"};
    struct snapfile_info infos[3];
    struct snapfile_walk walks[3];
    for (int i = 0; i < 3; i++) {
        snapfile_walk_init(&walks[i]);
        assert_int_equal(snapfile_looks_valid(memory_store_of(memory), names[i], &error), 1);
        int result = snapfile_read(memory_store_of(memory), names[i], snapfile_walk_body, &walks[i],
                                   &infos[i], &error);
        if (result < 0)
            print_error("%s\n", error.text);
        assert_int_equal(result, 0);
        assert_int_equal(infos[i].body_bytes, infos[0].body_bytes);
        assert_true(infos[i].seal.digest == infos[0].seal.digest);
        assert_int_equal(walks[i].nodes, walks[0].nodes);
        assert_true(walks[i].nodes > 10);
        assert_false(infos[i].seal.has_last_zxid);
    }
    memory_store_free(memory);
    memory = vectors_load("snapshot-variants/3.9.4");
    struct snapfile_walk walk;
    snapfile_walk_init(&walk);
    assert_int_equal(snapfile_read(memory_store_of(memory), names[0], snapfile_walk_body, &walk,
                                   &infos[1], &error),
                     0);
    assert_true(infos[1].seal.has_last_zxid);
    assert_int_equal(infos[1].seal.last_zxid, 0x200000008);
    assert_int_equal(walk.nodes, walks[0].nodes);
    memory_store_free(memory);
}

/* --- the table of recovery cases ----------------------------------------------------------------
 */

static uint8_t *newest_log(struct memory_store *memory, size_t *size)
{
    uint8_t *data = memory_store_get(memory, NEWEST_LOG, size);
    assert_non_null(data);
    return data;
}

static void expect_start(struct memory_store *memory, int64_t last_zxid)
{
    struct trial outcome = recover(memory, false);
    if (outcome.result < 0)
        print_error("%s\n", outcome.error.text);
    assert_int_equal(outcome.result, 0);
    assert_int_equal(outcome.recovered.last_zxid, last_zxid);
    /* and the next server start, after our writer cut and went on */
    struct txnlog_options options;
    struct txnlog *log;
    struct mk_buffer payload = MK_BUFFER_EMPTY;
    txnlog_options_init(&options);
    assert_int_equal(txnlog_open(memory_store_of(memory), &options, &outcome.recovered.tail, &log,
                                 &outcome.error),
                     0);
    machine_payload(&payload, last_zxid + 1, 1, 10);
    assert_int_equal(
        txnlog_append(log, last_zxid + 1, payload.data, payload.length, &outcome.error), 0);
    assert_int_equal(txnlog_flush(log, &outcome.error), 0);
    txnlog_free(log);
    mk_buffer_fini(&payload);
    log_report_fini(&outcome.report);
    outcome = recover(memory, false);
    assert_int_equal(outcome.result, 0);
    assert_int_equal(outcome.recovered.last_zxid, last_zxid + 1);
    log_report_fini(&outcome.report);
    memory_store_free(memory);
}

/* Refused, naming `file`; `droppable`: the operator's option lets it start at that zxid. */
static void expect_refusal(struct memory_store *memory, const char *file, int64_t droppable)
{
    struct trial outcome = recover(memory, false);
    assert_int_equal(outcome.result, MK_ERR_CORRUPT);
    assert_non_null(strstr(outcome.error.text, file));
    assert_non_null(strstr(outcome.error.text, "What to do"));
    log_report_fini(&outcome.report);
    outcome = recover(memory, true);
    if (droppable) {
        assert_int_equal(outcome.result, 0);
        assert_int_equal(outcome.recovered.last_zxid, droppable);
    } else {
        assert_int_equal(outcome.result, MK_ERR_CORRUPT);
    }
    log_report_fini(&outcome.report);
    memory_store_free(memory);
}

static void test_torn_tails(void **state)
{
    (void)state;
    size_t size;
    struct memory_store *memory = vectors_load(ENSEMBLE);
    uint8_t *data = newest_log(memory, &size);
    memory_store_put(memory, NEWEST_LOG, data, LAST_ENTRY + 32);
    expect_start(memory, 0x200000007);

    memory = vectors_load(ENSEMBLE);
    data = newest_log(memory, &size);
    memset(data + LAST_ENTRY + 32, 0, size - LAST_ENTRY - 32);
    expect_start(memory, 0x200000007);

    memory = vectors_load(ENSEMBLE);
    memset(newest_log(memory, &size) + LAST_ENTRY + 8, 0, 4);
    expect_start(memory, 0x200000007);
}

static void test_rot(void **state)
{
    (void)state;
    size_t size;
    for (int bit = 0; bit < 8; bit++) {
        struct memory_store *memory = vectors_load(ENSEMBLE);
        newest_log(memory, &size)[LAST_ENTRY + 20] ^= (uint8_t)(1 << bit);
        expect_refusal(memory, NEWEST_LOG, 0x200000007);
        memory = vectors_load(ENSEMBLE);
        newest_log(memory, &size)[60] ^= (uint8_t)(1 << bit); /* the first entry */
        expect_refusal(memory, NEWEST_LOG, 0x100000023);
    }
    /* Length 0 in the middle: for Apache the silent end of the file, for us damage. */
    struct memory_store *memory = vectors_load(ENSEMBLE);
    memset(newest_log(memory, &size) + 16 + 8, 0, 4);
    expect_refusal(memory, NEWEST_LOG, 0x100000023);
}

static void test_odd_newest_files(void **state)
{
    (void)state;
    size_t size;
    struct memory_store *memory = vectors_load(ENSEMBLE);
    memory_store_put(memory, "log.200000009", "", 0);
    expect_start(memory, 0x200000008);

    memory = vectors_load(ENSEMBLE);
    memory_store_put(memory, "log.200000009", "ZKLG\0\0", 6);
    expect_refusal(memory, "log.200000009", 0);

    memory = vectors_load(ENSEMBLE);
    memory_store_put(memory, "log.200000009", newest_log(memory, &size), 16);
    expect_start(memory, 0x200000008);

    memory = vectors_load(ENSEMBLE);
    memory_store_put(memory, "log.200000009", "ABCD\0\0\0\2\0\0\0\0\0\0\0\0", 16);
    expect_refusal(memory, "log.200000009", 0);
}

static void test_damaged_snapshot(void **state)
{
    (void)state;
    size_t size;
    const char *newest = "snapshot.100000022";
    struct memory_store *memory = vectors_load(ENSEMBLE);
    memory_store_get(memory, newest, &size)[size / 2] ^= 4;
    struct trial outcome = recover(memory, false);
    assert_int_equal(outcome.result, 0);
    assert_int_equal(outcome.recovered.snapshot_zxid, 0x100000012);
    assert_int_equal(outcome.recovered.snapshots_skipped, 1);
    assert_int_equal(outcome.recovered.last_zxid, 0x200000008);
    log_report_fini(&outcome.report);
    memory_store_put(memory, newest, memory_store_get(memory, newest, &size), size - 100);
    expect_start(memory, 0x200000008);

    /* All snapshots bad: refused, never an empty tree. */
    memory = vectors_load(ENSEMBLE);
    static const char *const names[] = {"snapshot.0", "snapshot.100000012", "snapshot.100000022"};
    for (int i = 0; i < 3; i++)
        memory_store_get(memory, names[i], &size)[30] ^= 1;
    outcome = recover(memory, false);
    assert_int_equal(outcome.result, MK_ERR_CORRUPT);
    log_report_fini(&outcome.report);
    for (int i = 1; i <= 3; i++) { /* and without logs too */
        static const char *const logs[] = {"log.100000001", "log.100000014", NEWEST_LOG};
        assert_true(memory_store_delete(memory, logs[i - 1]));
    }
    outcome = recover(memory, false);
    assert_int_equal(outcome.result, MK_ERR_CORRUPT);
    assert_non_null(strstr(outcome.error.text, "none of the 3 snapshots"));
    log_report_fini(&outcome.report);
    memory_store_free(memory);
}

/* A log file is gone: a hole, unless the snapshot covers it. */
static void test_missing_files(void **state)
{
    (void)state;
    struct memory_store *memory = vectors_load(ENSEMBLE);
    assert_true(memory_store_delete(memory, "log.100000014"));
    struct trial outcome = recover(memory, false);
    assert_int_equal(outcome.result, MK_ERR_CORRUPT);
    assert_non_null(strstr(outcome.error.text, "missing"));
    log_report_fini(&outcome.report);
    memory_store_free(memory);

    memory = vectors_load(ENSEMBLE);
    assert_true(memory_store_delete(memory, "log.100000001"));
    expect_start(memory, 0x200000008);

    /* No snapshot at all: refused, unless the operator trusts the emptiness. */
    memory = vectors_load(ENSEMBLE);
    assert_true(memory_store_delete(memory, "snapshot.0"));
    assert_true(memory_store_delete(memory, "snapshot.100000012"));
    assert_true(memory_store_delete(memory, "snapshot.100000022"));
    outcome = recover(memory, false);
    assert_int_equal(outcome.result, MK_ERR_CORRUPT);
    assert_non_null(strstr(outcome.error.text, "snapshot.trust.empty"));
    log_report_fini(&outcome.report);
    struct log_report report;
    log_report_init(&report);
    assert_int_equal(replay_all(memory, (struct log_recover_options){.trust_empty = true},
                                &outcome.replay, &outcome.recovered, &report, &outcome.error),
                     0);
    assert_int_equal(outcome.recovered.transactions, 60);
    log_report_fini(&report);
    memory_store_free(memory);
}

/* A snapshot but no log and no durable mark: a data_log_dir that was forgotten looks like this.
 * Snapshot 0 alone is a server that was never written to; whoever says that the snapshot is all
 * there is, is believed. */
static void test_snapshots_alone(void **state)
{
    (void)state;
    struct memory_store *memory = vectors_load(ENSEMBLE);
    assert_true(memory_store_delete(memory, "log.100000001"));
    assert_true(memory_store_delete(memory, "log.100000014"));
    assert_true(memory_store_delete(memory, NEWEST_LOG));
    struct trial outcome = recover(memory, false);
    assert_int_equal(outcome.result, MK_ERR_CORRUPT);
    assert_non_null(strstr(outcome.error.text, "snapshot.100000022"));
    assert_non_null(strstr(outcome.error.text, "data_log_dir"));
    assert_non_null(strstr(outcome.error.text, "initialize"));
    log_report_fini(&outcome.report);
    outcome = recover_from(memory, false, true);
    assert_int_equal(outcome.result, 0);
    assert_int_equal(outcome.recovered.last_zxid, 0x100000022);
    log_report_fini(&outcome.report);

    /* An older one that is usable does not hide the newest. */
    size_t size;
    memory_store_get(memory, "snapshot.100000022", &size)[100] ^= 1;
    assert_true(memory_store_delete(memory, "snapshot.100000012"));
    outcome = recover(memory, false);
    assert_int_equal(outcome.result, MK_ERR_CORRUPT);
    assert_non_null(strstr(outcome.error.text, "snapshot.100000022"));
    log_report_fini(&outcome.report);
    assert_true(memory_store_delete(memory, "snapshot.100000022"));
    expect_start(memory, 0);

    /* A mark says that this is where the log belongs. */
    memory = vectors_load("minimal-3.8.0/version-2");
    assert_true(memory_store_delete(memory, "log.1"));
    struct log_index *index;
    assert_int_equal(log_index_open(memory_store_of(memory), &index, NULL), 0);
    log_index_free(index);
    expect_start(memory, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_snapshots_alone),  cmocka_unit_test(test_entries),
        cmocka_unit_test(test_recovery),         cmocka_unit_test(test_snapshot_variants),
        cmocka_unit_test(test_torn_tails),       cmocka_unit_test(test_rot),
        cmocka_unit_test(test_odd_newest_files), cmocka_unit_test(test_damaged_snapshot),
        cmocka_unit_test(test_missing_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
