/* SPDX-License-Identifier: MIT */
/* Directories of real servers, cut at each of their transactions: what is left is a prefix, byte
 * for byte, no snapshot of later things stays, and a start ends where the cut was. */
#include "tests/unit/log/files.h"

#include "log/cut.h"
#include "log/names.h"

#define ENTRIES_MAX 200

/* Of each entry: its zxid, and a hash over it and all before. */
struct history {
    size_t count;
    int64_t zxids[ENTRIES_MAX];
    uint64_t hashes[ENTRIES_MAX];
};

static void history_read(struct memory_store *memory, struct history *history)
{
    struct txnlog_scan_options options = {.base_zxid = -1};
    struct txnlog_scan *scan;
    struct txnlog_entry entry;
    uint64_t hash = 0;
    int result;
    history->count = 0;
    assert_int_equal(txnlog_scan_open(memory_store_of(memory), &options, &scan, NULL), 0);
    while ((result = txnlog_scan_next(scan, &entry, NULL)) == 1) {
        assert_true(history->count < ENTRIES_MAX);
        hash = machine_hash(hash, entry.data, entry.length);
        history->zxids[history->count] = entry.zxid;
        history->hashes[history->count++] = hash;
    }
    assert_int_equal(result, 0);
    txnlog_scan_free(scan);
}

static void check_snapshots(struct memory_store *memory, int64_t zxid)
{
    struct log_names names;
    assert_int_equal(log_names_list(memory_store_of(memory), LOG_KIND_SNAPSHOT, &names, NULL), 0);
    assert_true(names.count > 0);
    for (size_t i = 0; i < names.count; i++) {
        struct snapfile_walk walk;
        struct snapfile_info info;
        snapfile_walk_init(&walk);
        assert_int_equal(snapfile_read(memory_store_of(memory), names.items[i].name,
                                       snapfile_walk_body, &walk, &info, NULL),
                         0);
        assert_true(info.zxid <= zxid && info.seal.digest_zxid <= zxid);
    }
    log_names_fini(&names);
}

static void cut_at(const char *directory, const struct history *all, int64_t zxid)
{
    struct memory_store *memory = vectors_load(directory);
    struct store *store = memory_store_of(memory);
    struct log_stores stores = {store, store};
    struct txnlog_tail tail;
    struct log_error error;
    size_t left = 0;
    while (left < all->count && all->zxids[left] <= zxid)
        left++;
    int64_t last = left ? all->zxids[left - 1] : 0;
    if (log_truncate(&stores, zxid, &tail, &error) < 0)
        fail_msg("%s at %llx: %s", directory, (unsigned long long)zxid, error.text);
    assert_int_equal(tail.last_zxid, last);
    memory_store_crash(memory, 50);
    struct history now;
    history_read(memory, &now);
    assert_int_equal(now.count, left);
    if (left)
        assert_true(now.hashes[left - 1] == all->hashes[left - 1]);
    check_snapshots(memory, zxid);
    struct replay replay;
    struct log_recover_result recovered;
    assert_int_equal(replay_all(memory, (struct log_recover_options){.clean_up = true}, &replay,
                                &recovered, NULL, &error),
                     0);
    assert_int_equal(recovered.last_zxid, last);
    memory_store_free(memory);
}

static void test_cut_everywhere(void **state)
{
    (void)state;
    static const char *const directories[] = {
        "ensemble-3.8.0/version-2", "ensemble-3.8.0-leader/version-2", "minimal-3.8.0/version-2"};
    size_t cuts = 0;
    for (size_t i = 0; i < MK_ARRAY_LENGTH(directories); i++) {
        struct memory_store *memory = vectors_load(directories[i]);
        struct history all;
        history_read(memory, &all);
        memory_store_free(memory);
        cut_at(directories[i], &all, 0);
        for (size_t k = 0; k < all.count; k++, cuts++) {
            cut_at(directories[i], &all, all.zxids[k]);
            if (k + 1 < all.count && all.zxids[k + 1] > all.zxids[k] + 1)
                cut_at(directories[i], &all, all.zxids[k] + 1);
        }
    }
    assert_true(cuts > 100);
}

/* What is read from the end of a file is what a whole reading finds. */
static void test_reach(void **state)
{
    (void)state;
    static const char *const directories[] = {
        "ensemble-3.8.0/version-2", "ensemble-3.8.0-leader/version-2", "minimal-3.8.0/version-2",
        "snapshot-variants", "snapshot-variants/3.9.4"};
    size_t seen = 0;
    for (size_t i = 0; i < MK_ARRAY_LENGTH(directories); i++) {
        struct memory_store *memory = vectors_load(directories[i]);
        struct log_names names;
        assert_int_equal(log_names_list(memory_store_of(memory), LOG_KIND_SNAPSHOT, &names, NULL),
                         0);
        for (size_t k = 0; k < names.count; k++, seen++) {
            struct snapfile_walk walk;
            struct snapfile_info info;
            int64_t reach;
            snapfile_walk_init(&walk);
            assert_int_equal(snapfile_read(memory_store_of(memory), names.items[k].name,
                                           snapfile_walk_body, &walk, &info, NULL),
                             0);
            assert_int_equal(
                snapfile_reach(memory_store_of(memory), names.items[k].name, &reach, NULL), 1);
            assert_int_equal(reach, MK_MAX(info.seal.digest_zxid, info.seal.last_zxid));
        }
        log_names_fini(&names);
        memory_store_free(memory);
    }
    assert_int_equal(seen, 11);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_everywhere),
        cmocka_unit_test(test_reach),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
