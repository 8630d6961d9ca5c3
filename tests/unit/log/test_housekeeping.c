/* SPDX-License-Identifier: MIT */
/* Names, purge, recovery's tidying, and the checker. */
#include "tests/unit/log/files.h"

#include "log/check.h"
#include "log/names.h"
#include "log/purge.h"

static void test_names(void **state)
{
    (void)state;
    int64_t zxid;
    char name[LOG_NAME_BYTES];
    assert_true(log_name_parse(LOG_KIND_LOG, "log.100000014", &zxid));
    assert_int_equal(zxid, 0x100000014);
    assert_true(log_name_parse(LOG_KIND_LOG, "log.7fffffffffffffff", &zxid));
    assert_true(log_name_parse(LOG_KIND_SNAPSHOT, "snapshot.0.gz", &zxid));
    assert_true(log_name_parse(LOG_KIND_SNAPSHOT, "snapshot.aB.snappy", &zxid));
    static const char *const none[] = {"log.",
                                       "log.x",
                                       "log.1.gz",
                                       "log.5.old",
                                       "logs.1",
                                       "snapshot.1",
                                       "log.00000000000000001",
                                       "log.-1",
                                       "log.8000000000000000",
                                       "log"};
    for (size_t i = 0; i < MK_ARRAY_LENGTH(none); i++)
        assert_false(log_name_parse(LOG_KIND_LOG, none[i], &zxid));
    assert_false(log_name_parse(LOG_KIND_SNAPSHOT, "snapshot.1.tmp", &zxid));
    log_name_make(LOG_KIND_SNAPSHOT, 0x10000000a, name);
    assert_string_equal(name, "snapshot.10000000a");
}

/* --- purge --------------------------------------------------------------------------------------
 */

static void live(struct machine *machine, int snapshots)
{
    machine_init(machine, memory_store_new(7));
    must(machine_recover(machine), machine);
    must(machine_snapshot(machine), machine);
    must(machine_open(machine, 3, 0), machine);
    for (int i = 1; i < snapshots; i++) {
        for (int k = 0; k < 10; k++)
            must(machine_append(machine, (uint64_t)k, 40), machine);
        must(txnlog_flush(machine->log, &machine->error), machine);
        must(machine_snapshot(machine), machine);
        must(machine_append(machine, 1, 40), machine); /* still in the old file, as Apache does */
        must(txnlog_roll(machine->log, &machine->error), machine);
    }
}

static bool has(struct machine *machine, const char *name)
{
    size_t size;
    return memory_store_get(machine->memory, name, &size) != NULL;
}

static void test_purge(void **state)
{
    (void)state;
    struct machine machine;
    live(&machine, 7); /* snapshots 0, a, 15, 20, 2b, 36, 41; logs 1, c, 17, 22, 2d, 38 */
    struct log_stores stores = {machine.store, machine.store};
    struct log_purge_result result;
    assert_int_equal(log_purge(&stores, 1, INT64_MAX, &result, &machine.error), 0);
    assert_int_equal(result.oldest_kept_zxid, 0x2b);
    assert_int_equal(result.snapshots, 4);
    assert_int_equal(result.logs, 3);
    assert_true(result.bytes > 1000);
    assert_false(has(&machine, "snapshot.20"));
    assert_true(has(&machine, "snapshot.2b"));
    assert_false(has(&machine, "log.17"));
    assert_true(has(&machine, "log.22")); /* begins before the snapshot and reaches beyond it */
    assert_int_equal(log_purge(&stores, 3, INT64_MAX, &result, &machine.error), 0);
    assert_int_equal(result.snapshots + result.logs, 0);
    /* Every kept snapshot alone gives the whole state. */
    static const char *const kept[] = {"snapshot.2b", "snapshot.36", "snapshot.41"};
    for (int only = 0; only < 3; only++) {
        struct machine other;
        machine_init(&other, memory_store_clone(machine.memory, 1));
        for (int i = 0; i < 3; i++) {
            if (i != only)
                assert_true(memory_store_delete(other.memory, kept[i]));
        }
        must(machine_recover(&other), &other);
        assert_int_equal(other.last_zxid, machine.last_zxid);
        assert_true(other.hash == machine.hash);
        machine_fini(&other);
    }
    machine_fini(&machine);
}

/* A newest snapshot that is damaged purges nothing; uncommitted ones do not count. */
static void test_purge_is_careful(void **state)
{
    (void)state;
    struct machine machine;
    live(&machine, 6);
    struct log_stores stores = {machine.store, machine.store};
    struct log_purge_result result;
    size_t size;
    memory_store_get(machine.memory, "snapshot.36", &size)[50] ^= 1;
    assert_int_equal(log_purge(&stores, 3, INT64_MAX, &result, &machine.error), MK_ERR_CORRUPT);
    assert_true(has(&machine, "snapshot.0"));
    assert_true(has(&machine, "log.1"));
    memory_store_get(machine.memory, "snapshot.36", &size)[50] ^= 1;
    assert_int_equal(log_purge(&stores, 3, 0x20, &result, &machine.error), 0);
    assert_int_equal(result.oldest_kept_zxid, 0xa); /* a, 15, 20 are the newest committed ones */
    assert_int_equal(result.snapshots, 1);
    /* Too few to purge. */
    assert_int_equal(log_purge(&stores, 100, INT64_MAX, &result, &machine.error), 0);
    assert_int_equal(result.oldest_kept_zxid, -1);
    assert_int_equal(result.snapshots, 0);
    machine_fini(&machine);
}

/* --- tidying ------------------------------------------------------------------------------------
 */

static void test_leftovers(void **state)
{
    (void)state;
    struct machine machine;
    live(&machine, 2);
    memory_store_put(machine.memory, "moonkeeper.snapshot.9.tmp", "x", 1);
    memory_store_put(machine.memory, "snapshot.9.tmp", "x", 1);
    memory_store_put(machine.memory, "moonkeeper.newlog.tmp", "x", 1);
    memory_store_put(machine.memory, "currentEpoch.tmp", "3", 1);
    memory_store_put(machine.memory, "log.1.bak", "x", 1);
    txnlog_free(machine.log);
    machine.log = NULL;
    must(machine_recover_with(&machine, (struct log_recover_options){.clean_up = false}), &machine);
    assert_true(has(&machine, "snapshot.9.tmp"));
    must(machine_recover(&machine), &machine);
    assert_int_equal(machine.last_zxid, 11);
    assert_false(has(&machine, "moonkeeper.snapshot.9.tmp"));
    assert_false(has(&machine, "snapshot.9.tmp"));
    assert_false(has(&machine, "moonkeeper.newlog.tmp"));
    assert_true(has(&machine, "currentEpoch.tmp")); /* recovery of the epoch needs it */
    assert_true(has(&machine, "log.1.bak"));
    assert_int_equal(log_report_worst(&machine.report)->severity, LOG_WARNING);
    machine_fini(&machine);
}

/* --- the checker --------------------------------------------------------------------------------
 */

static void check(struct memory_store *memory, struct log_check_result *result,
                  struct mk_buffer *text)
{
    struct log_stores stores = {memory_store_of(memory), memory_store_of(memory)};
    struct log_report report;
    struct log_error error;
    log_report_init(&report);
    uint64_t calls = memory_store_calls(memory);
    assert_int_equal(log_check(&stores, false, result, &report, text, &error), 0);
    assert_int_equal(memory_store_calls(memory), calls); /* it changes nothing */
    mk_buffer_append(text, "", 1);
    log_report_fini(&report);
}

static void test_check(void **state)
{
    (void)state;
    struct memory_store *memory = vectors_load("ensemble-3.8.0/version-2");
    struct log_check_result result;
    struct mk_buffer text = MK_BUFFER_EMPTY;
    check(memory, &result, &text);
    assert_true(result.usable);
    assert_int_equal(result.snapshots, 3);
    assert_int_equal(result.snapshots_bad, 0);
    assert_int_equal(result.logs, 3);
    assert_int_equal(result.entries, 60);
    assert_int_equal(result.first_zxid, 0x100000001);
    assert_int_equal(result.last_zxid, 0x200000008);
    assert_int_equal(result.best_snapshot_zxid, 0x100000022);
    assert_non_null(strstr((char *)text.data, "starts from this directory at zxid 0x200000008"));
    assert_non_null(strstr((char *)text.data, "log.100000014: 16 transactions"));
    assert_null(strstr((char *)text.data, "DAMAGE"));

    size_t size;
    memory_store_get(memory, "snapshot.100000022", &size)[100] ^= 1;
    memory_store_get(memory, "log.100000014", &size)[100] ^= 1;
    mk_buffer_clear(&text);
    check(memory, &result, &text);
    assert_false(result.usable);
    assert_int_equal(result.snapshots_bad, 1);
    assert_int_equal(result.best_snapshot_zxid, 0x100000012);
    assert_non_null(strstr((char *)text.data, "DAMAGE: log.100000014, byte 65: "));
    assert_non_null(strstr((char *)text.data, "refuses to start"));
    assert_int_equal(result.last_zxid, 0x200000008); /* it went on behind the damage */
    memory_store_free(memory);

    memory = memory_store_new(1);
    mk_buffer_clear(&text);
    check(memory, &result, &text);
    assert_true(result.usable);
    assert_int_equal(result.last_zxid, -1);
    assert_non_null(strstr((char *)text.data, "holds no data"));
    memory_store_free(memory);
    mk_buffer_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_purge),
        cmocka_unit_test(test_purge_is_careful),
        cmocka_unit_test(test_leftovers),
        cmocka_unit_test(test_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
