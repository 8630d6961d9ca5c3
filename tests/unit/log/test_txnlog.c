/* SPDX-License-Identifier: MIT */
/* The log writer: what it writes, when it syncs, and that a failure is final. */
#include "tests/unit/log/machine.h"

#include "base/checksum.h"
#include "log/index.h"

static void start(struct machine *machine, uint64_t preallocate_bytes)
{
    machine_init(machine, memory_store_new(1));
    must(machine_recover(machine), machine);
    assert_true(machine->recovered.empty);
    must(machine_open(machine, 77, preallocate_bytes), machine);
}

static void test_layout(void **state)
{
    (void)state;
    struct machine machine;
    start(&machine, 0);
    must(machine_append(&machine, 5, 20), &machine);
    must(machine_append(&machine, 6, 0), &machine);
    size_t size;
    assert_null(memory_store_get(machine.memory, "log.1", &size));
    assert_int_equal(txnlog_durable_zxid(machine.log), 0);
    must(txnlog_flush(machine.log, &machine.error), &machine);
    assert_int_equal(txnlog_durable_zxid(machine.log), 2);
    const uint8_t *file = memory_store_get(machine.memory, "log.1", &size);
    assert_non_null(file);
    assert_int_equal(size, 16 + 2 * (13 + 40 + 32) + 20);
    assert_int_equal(size, txnlog_file_bytes(machine.log));
    assert_int_equal(mk_load_u32(file), TXNLOG_MAGIC);
    assert_int_equal(mk_load_u32(file + 4), 2);
    assert_int_equal(mk_load_u64(file + 8), 0);
    const uint8_t *entry = file + 16;
    assert_int_equal(mk_load_u32(entry + 8), 92);
    assert_int_equal(mk_load_u64(entry), mk_adler32(1, entry + 12, 92));
    assert_int_equal(entry[12 + 92], 0x42);
    const uint8_t *trailer = entry + 12 + 52;
    assert_int_equal(mk_load_u32(trailer), 0);
    assert_int_equal(mk_load_u32(trailer + 4), TRAILER_MAGIC);
    assert_int_equal(mk_load_u64(trailer + 16), 16);
    assert_int_equal(mk_load_u64(trailer + 24), 16);
    assert_int_equal(mk_load_u32(trailer + 32), 0);
    assert_int_equal(mk_load_u32(trailer + 36), mk_crc32c(0, entry + 12, 88));
    const uint8_t *second = entry + 13 + 92;
    assert_int_equal(mk_load_u32(second + 12 + 32 + 32), mk_load_u32(trailer + 36));
    assert_int_equal(mk_load_u64(second + 12 + 32 + 16), second - file);
    machine_fini(&machine);
}

static void test_one_write_one_sync(void **state)
{
    (void)state;
    struct machine machine;
    start(&machine, 64 << 10);
    must(machine_append(&machine, 1, 100), &machine);
    must(txnlog_flush(machine.log, &machine.error), &machine);
    uint64_t writes = memory_store_count(machine.memory, MEMORY_WRITE);
    uint64_t syncs = memory_store_count(machine.memory, MEMORY_SYNC);
    uint64_t zeros = memory_store_count(machine.memory, MEMORY_ZEROS);
    for (int i = 0; i < 50; i++)
        must(machine_append(&machine, 2, 100), &machine);
    must(txnlog_flush(machine.log, &machine.error), &machine);
    /* the batch, and the durable mark, which is not synced */
    assert_int_equal(memory_store_count(machine.memory, MEMORY_WRITE), writes + 2);
    assert_int_equal(memory_store_count(machine.memory, MEMORY_SYNC), syncs + 1);
    assert_int_equal(memory_store_count(machine.memory, MEMORY_ZEROS), zeros);
    must(txnlog_flush(machine.log, &machine.error), &machine);
    assert_int_equal(memory_store_count(machine.memory, MEMORY_SYNC), syncs + 1);
    machine_fini(&machine);
}

/* Whole blocks: the same files as without, but for zeros behind the last entry. */
static void test_blocks(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 100, 386, 387, 4000, 9000, 5, 300, 70000, 7};
    struct machine plain, blocks;
    start(&plain, 0);
    machine_init(&blocks, memory_store_new(1));
    memory_store_set_block(blocks.memory, 512);
    must(machine_recover(&blocks), &blocks);
    must(machine_open(&blocks, 77, 0), &blocks);
    for (size_t i = 0; i < MK_ARRAY_LENGTH(sizes); i++) {
        struct machine *machines[] = {&plain, &blocks};
        size_t lengths[2];
        const uint8_t *files[2];
        for (int k = 0; k < 2; k++) {
            for (size_t n = 0; n < 1 + i % 3; n++)
                must(machine_append(machines[k], i, sizes[i]), machines[k]);
            must(txnlog_flush(machines[k]->log, &machines[k]->error), machines[k]);
            files[k] = memory_store_get(machines[k]->memory, "log.1", &lengths[k]);
            assert_non_null(files[k]);
        }
        assert_int_equal(lengths[0], txnlog_file_bytes(plain.log));
        assert_int_equal(lengths[0], txnlog_file_bytes(blocks.log));
        assert_int_equal(lengths[1], (lengths[0] + 511) / 512 * 512);
        assert_memory_equal(files[0], files[1], lengths[0]);
        for (size_t at = lengths[0]; at < lengths[1]; at++)
            assert_int_equal(files[1][at], 0);
    }
    size_t size;
    uint64_t length = txnlog_file_bytes(blocks.log);
    must(txnlog_roll(blocks.log, &blocks.error), &blocks);
    assert_non_null(memory_store_get(blocks.memory, "log.1", &size));
    assert_int_equal(size, length);
    must(machine_append(&blocks, 3, 100), &blocks);
    must(txnlog_close(blocks.log, &blocks.error), &blocks);
    must(machine_recover(&blocks), &blocks);
    assert_true(blocks.hash == blocks.expected[blocks.last_zxid]);
    machine_fini(&plain);
    machine_fini(&blocks);
}

static void test_roll_and_reopen(void **state)
{
    (void)state;
    struct machine machine;
    start(&machine, 64 << 10);
    for (int i = 0; i < 10; i++)
        must(machine_append(&machine, 3, 50), &machine);
    must(txnlog_roll(machine.log, &machine.error), &machine);
    size_t size;
    assert_non_null(memory_store_get(machine.memory, "log.1", &size));
    assert_int_equal(size, 16 + 10 * (13 + 40 + 32 + 50)); /* no padding is left */
    assert_int_equal(txnlog_file_bytes(machine.log), 0);
    must(machine_append(&machine, 4, 50), &machine);
    must(txnlog_flush(machine.log, &machine.error), &machine);
    assert_non_null(memory_store_get(machine.memory, "log.b", &size));
    uint64_t hash = machine.hash;
    for (int round = 0; round < 3; round++) { /* each start begins a new file */
        txnlog_free(machine.log);
        machine.log = NULL;
        memory_store_kill(machine.memory);
        must(machine_recover(&machine), &machine);
        assert_int_equal(machine.last_zxid, 11 + round);
        assert_true(machine.hash == hash);
        assert_true(machine.recovered.tail.chained);
        must(machine_open(&machine, 78 + (uint64_t)round, 64 << 10), &machine);
        must(machine_append(&machine, 9, 500), &machine);
        must(txnlog_flush(machine.log, &machine.error), &machine);
        hash = machine.hash;
    }
    assert_non_null(memory_store_get(machine.memory, "log.c", &size));
    assert_non_null(memory_store_get(machine.memory, "log.e", &size));
    must(txnlog_close(machine.log, &machine.error), &machine);
    machine_fini(&machine);
}

static void test_idle(void **state)
{
    (void)state;
    struct machine machine;
    start(&machine, 1 << 20);
    must(machine_append(&machine, 1, 10), &machine);
    must(txnlog_flush(machine.log, &machine.error), &machine);
    bool more = true;
    int rounds = 0;
    while (more) {
        must(txnlog_idle(machine.log, &more, &machine.error), &machine);
        assert_true(++rounds < 20);
    }
    size_t size;
    assert_non_null(memory_store_get(machine.memory, "log.1", &size));
    assert_in_range(size, 512 << 10, 2 << 20);
    memory_store_crash(machine.memory, 0);
    struct log_mark mark;
    assert_int_equal(log_index_read(machine.store, &mark, &machine.error), 1);
    assert_int_equal(mark.zxid, 1);
    assert_int_equal(mark.file_zxid, 1);
    assert_int_equal(mark.offset, 16 + 13 + 40 + 32 + 10);
    machine_fini(&machine);
}

/* Whatever call fails, the log refuses everything after it, with the first cause. */
static void test_failure_is_final(void **state)
{
    (void)state;
    int failures = 0;
    for (uint64_t call = 1; call < 40; call++) {
        struct machine machine;
        start(&machine, 4096);
        memory_store_faults(machine.memory)->fail_call = memory_store_calls(machine.memory) + call;
        int result = 0;
        for (int i = 0; i < 4 && result == 0; i++) {
            must(machine_append(&machine, 1, 900), &machine);
            result = i == 2 ? txnlog_roll(machine.log, &machine.error)
                            : txnlog_flush(machine.log, &machine.error);
        }
        if (result < 0) {
            failures++;
            int64_t durable = txnlog_durable_zxid(machine.log);
            uint64_t calls = memory_store_calls(machine.memory);
            struct log_error again;
            bool more;
            uint8_t bytes[32] = {0};
            assert_int_equal(result, MK_ERR_IO);
            assert_int_equal(txnlog_flush(machine.log, &again), MK_ERR_IO);
            assert_string_equal(again.text, machine.error.text);
            assert_int_equal(txnlog_append(machine.log, 99, bytes, 32, &again), MK_ERR_IO);
            assert_int_equal(txnlog_roll(machine.log, &again), MK_ERR_IO);
            assert_int_equal(txnlog_idle(machine.log, &more, &again), MK_ERR_IO);
            assert_int_equal(txnlog_durable_zxid(machine.log), durable);
            assert_int_equal(memory_store_calls(machine.memory), calls);
        }
        machine_fini(&machine);
    }
    assert_in_range(failures, 12, 39);
}

/* No space for zeros ahead is no reason to stop; no space for entries is. */
static void test_full_disk(void **state)
{
    (void)state;
    struct machine machine;
    start(&machine, 4 << 20);
    memory_store_faults(machine.memory)->bytes_max = 80000;
    int result = 0;
    int64_t acknowledged = 0;
    while (result == 0) {
        must(machine_append(&machine, 1, 900), &machine);
        result = txnlog_flush(machine.log, &machine.error);
        acknowledged = txnlog_durable_zxid(machine.log);
    }
    assert_int_equal(result, MK_ERR_NO_SPACE);
    assert_in_range(acknowledged, 70, 85);
    txnlog_free(machine.log);
    machine.log = NULL;
    memory_store_crash(machine.memory, 50);
    must(machine_recover(&machine), &machine);
    assert_in_range(machine.last_zxid, acknowledged, acknowledged + 1);
    assert_true(machine.hash == machine.expected[machine.last_zxid]);
    machine_fini(&machine);
}

static void test_limits(void **state)
{
    (void)state;
    struct machine machine;
    start(&machine, 0);
    uint8_t header[TXN_HEADER_BYTES] = {0};
    mk_store_u64(header + TXN_HEADER_ZXID_AT, 1);
    assert_int_equal(
        txnlog_append(machine.log, 1, header, (size_t)TXNLOG_ENTRY_BYTES_MAX + 1, &machine.error),
        MK_ERR_TOO_LARGE);
    must(machine_append(&machine, 1, 3 << 20), &machine); /* larger than any window */
    must(machine_append(&machine, 1, 10), &machine);
    must(txnlog_flush(machine.log, &machine.error), &machine);
    uint64_t hash = machine.hash;
    must(machine_recover(&machine), &machine);
    assert_true(machine.hash == hash);
    assert_int_equal(machine.last_zxid, 2);
    machine_fini(&machine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout),    cmocka_unit_test(test_one_write_one_sync),
        cmocka_unit_test(test_blocks),    cmocka_unit_test(test_roll_and_reopen),
        cmocka_unit_test(test_idle),      cmocka_unit_test(test_failure_is_final),
        cmocka_unit_test(test_full_disk), cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
