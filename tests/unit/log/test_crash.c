/* SPDX-License-Identifier: MIT */
/* Power cuts and dying processes at every I/O call of long random lives (reliability catalogue
 * D3, D4, D10, D14): what was acknowledged is there, what is there was written, in order. */
#include "tests/unit/log/machine.h"

#include "log/purge.h"

struct life {
    struct machine machine;
    struct mk_rand rand;
    int64_t acknowledged;
};

/* One step of a server's life; negative when the disk gave up. */
static int step(struct life *life)
{
    struct machine *machine = &life->machine;
    uint64_t dice = mk_rand_below(&life->rand, 100);
    struct log_stores stores = {machine->store, machine->store};
    int result = 0;
    if (dice < 70) {
        uint64_t count = 1 + mk_rand_below(&life->rand, 6);
        for (uint64_t i = 0; i < count && result == 0; i++) {
            size_t size = (size_t)mk_rand_below(&life->rand, dice < 10 ? 3000 : 200);
            result = machine_append(machine, mk_rand_next(&life->rand), size);
        }
        if (result == 0)
            result = txnlog_flush(machine->log, &machine->error);
        if (result == 0)
            life->acknowledged = machine->last_zxid;
    } else if (dice < 78) {
        result = txnlog_roll(machine->log, &machine->error);
    } else if (dice < 86) {
        bool more;
        result = txnlog_idle(machine->log, &more, &machine->error);
    } else if (dice < 94) {
        result = machine_snapshot(machine);
    } else {
        struct log_purge_result purged;
        result = log_purge(&stores, 3, INT64_MAX, &purged, &machine->error);
    }
    return result;
}

static int revive(struct life *life)
{
    struct machine *machine = &life->machine;
    txnlog_free(machine->log);
    machine->log = NULL;
    int result = machine_recover(machine);
    if (result < 0)
        return result;
    if (machine->last_zxid < life->acknowledged) {
        snprintf(machine->error.text, sizeof machine->error.text, "acknowledged %lld, found %lld",
                 (long long)life->acknowledged, (long long)machine->last_zxid);
        return -1;
    }
    if (machine->last_zxid && machine->hash != machine->expected[machine->last_zxid]) {
        snprintf(machine->error.text, sizeof machine->error.text, "another history at %lld",
                 (long long)machine->last_zxid);
        return -1;
    }
    return 0;
}

/* Recovery and opening may be cut off too; then the next one has to manage. */
static void run_lives(uint64_t seed, int lives, int *cuts)
{
    struct life life = {.acknowledged = 0};
    mk_rand_init(&life.rand, seed);
    machine_init(&life.machine, memory_store_new(seed));
    static const uint32_t blocks[] = {0, LOG_SECTOR_BYTES, 4096};
    memory_store_set_block(life.machine.memory, blocks[seed % 3]);
    struct machine *machine = &life.machine;
    for (int i = 0; i < lives; i++) {
        struct memory_faults *faults = memory_store_faults(machine->memory);
        uint64_t at = memory_store_calls(machine->memory) + 1 + mk_rand_below(&life.rand, 60);
        if (mk_rand_below(&life.rand, 4) == 0)
            faults->fail_call = at;
        else
            faults->crash_call = at;
        int result = revive(&life);
        static const uint64_t steps_ahead[] = {0, 1024, 16384, 1 << 20};
        if (result == 0)
            result = machine_open(machine, mk_rand_next(&life.rand),
                                  steps_ahead[mk_rand_below(&life.rand, 4)]);
        if (result == 0) /* what recovery found may be served now */
            life.acknowledged = machine->last_zxid;
        while (result == 0)
            result = step(&life);
        ++*cuts;
        static const unsigned keep[] = {0, 10, 50, 90, 100};
        if (mk_rand_below(&life.rand, 5) == 0)
            memory_store_kill(machine->memory);
        else
            memory_store_crash(machine->memory, keep[mk_rand_below(&life.rand, 5)]);
        result = revive(&life);
        if (result < 0)
            print_error("seed %llu, life %d: %s\n", (unsigned long long)seed, i,
                        machine->error.text);
        assert_int_equal(result, 0);
    }
    machine_fini(machine);
}

static void test_random_lives(void **state)
{
    (void)state;
    int cuts = 0;
    for (uint64_t seed = 1; seed <= 150; seed++)
        run_lives(seed, 40, &cuts);
    assert_int_equal(cuts, 150 * 40);
}

/* The same short life, cut at its first call, its second, and so on, each with many outcomes. */
static void script(struct life *life)
{
    struct machine *machine = &life->machine;
    int result = machine_recover(machine);
    if (result == 0)
        result = machine_open(machine, 5, 2048);
    for (int i = 0; result == 0 && i < 12; i++) {
        for (int k = 0; result == 0 && k < 1 + i % 3; k++)
            result = machine_append(machine, (uint64_t)i, (size_t)(i * 97 % 1500));
        if (result == 0)
            result = txnlog_flush(machine->log, &machine->error);
        if (result == 0)
            life->acknowledged = machine->last_zxid;
        if (result == 0 && i == 5)
            result = machine_snapshot(machine);
        if (result == 0 && i % 4 == 3)
            result = txnlog_roll(machine->log, &machine->error);
    }
    if (result == 0)
        result = txnlog_close(machine->log, &machine->error);
}

static void cut_every_call(uint32_t block_bytes)
{
    uint64_t calls = 0;
    for (uint64_t call = 1;; call++) {
        bool cut = false;
        for (uint64_t outcome = 0; outcome < 30; outcome++) {
            struct life life = {.acknowledged = 0};
            machine_init(&life.machine, memory_store_new(call * 1000 + outcome));
            memory_store_set_block(life.machine.memory, block_bytes);
            memory_store_faults(life.machine.memory)->crash_call = call;
            script(&life);
            calls = memory_store_calls(life.machine.memory);
            cut = calls >= call;
            memory_store_crash(life.machine.memory, (unsigned)(outcome * 100 / 29));
            int result = revive(&life);
            if (result < 0)
                print_error("call %llu, outcome %llu: %s\n", (unsigned long long)call,
                            (unsigned long long)outcome, life.machine.error.text);
            assert_int_equal(result, 0);
            machine_fini(&life.machine);
        }
        if (!cut)
            break;
    }
    assert_true(calls > 60);
}

static void test_every_call(void **state)
{
    (void)state;
    cut_every_call(0);
    cut_every_call(LOG_SECTOR_BYTES);
    cut_every_call(4096);
}

/* Every failing read during recovery is an error, never an emptier state. */
static void test_failing_reads(void **state)
{
    (void)state;
    struct life life = {.acknowledged = 0};
    machine_init(&life.machine, memory_store_new(3));
    script(&life);
    struct machine *machine = &life.machine;
    for (uint64_t read = 1;; read++) {
        struct machine other;
        machine_init(&other, memory_store_clone(machine->memory, read));
        memory_store_faults(other.memory)->fail_read = read;
        int result = machine_recover(&other);
        bool reached = other.memory->reads >= read;
        if (result == 0) {
            assert_int_equal(other.last_zxid, machine->last_zxid);
            assert_true(other.hash == machine->hash);
        }
        machine_fini(&other);
        if (!reached)
            break;
    }
    machine_fini(machine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_lives),
        cmocka_unit_test(test_every_call),
        cmocka_unit_test(test_failing_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
