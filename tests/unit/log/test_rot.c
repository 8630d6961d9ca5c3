/* SPDX-License-Identifier: MIT */
/* Rot, loss and misdirected writes (reliability catalogue D5-D9): whatever happens to one byte,
 * sector or file, recovery gives exactly the acknowledged history or refuses with the file's
 * name; never another history, never a shorter one without the operator's word. */
#include "tests/unit/log/machine.h"

#include "log/index.h"

/* Three files, two snapshots, 40 transactions; the process was killed after the last sync. */
static void live(struct machine *machine, bool padded)
{
    machine_init(machine, memory_store_new(1));
    must(machine_recover(machine), machine);
    must(machine_snapshot(machine), machine);
    must(machine_open(machine, 4711, padded ? 8192 : 0), machine);
    for (int i = 0; i < 20; i++) {
        must(machine_append(machine, (uint64_t)i, (size_t)(i * 37 % 300)), machine);
        must(machine_append(machine, (uint64_t)i, 3), machine);
        must(txnlog_flush(machine->log, &machine->error), machine);
        if (i == 6)
            must(machine_snapshot(machine), machine);
        if (i == 6 || i == 13)
            must(txnlog_roll(machine->log, &machine->error), machine);
    }
    txnlog_free(machine->log);
    machine->log = NULL;
    memory_store_kill(machine->memory);
}

enum fate { FATE_SAME, FATE_REFUSED, FATE_SHORTER };

/* What a recovery of the changed disk gives; anything else fails the test. */
static enum fate fate_of(const struct machine *machine, struct memory_store *changed,
                         const char *file)
{
    struct machine other;
    machine_init(&other, changed);
    int result = machine_recover(&other);
    enum fate fate = FATE_SAME;
    if (result < 0) {
        fate = FATE_REFUSED;
        assert_int_equal(result, MK_ERR_CORRUPT);
        assert_non_null(strstr(other.error.text, "What to do"));
        assert_non_null(strstr(other.error.text, file));
    } else if (other.last_zxid < machine->last_zxid) {
        fate = FATE_SHORTER;
        assert_true(other.hash == machine->expected[other.last_zxid]);
    } else {
        assert_int_equal(other.last_zxid, machine->last_zxid);
        assert_true(other.hash == machine->hash);
    }
    machine_fini(&other);
    return fate;
}

static const char *const log_files[] = {"log.1", "log.f", "log.1d"};

static void flip_all(bool padded, bool mark, int fates[3])
{
    struct machine machine;
    live(&machine, padded);
    if (!mark)
        assert_true(memory_store_delete(machine.memory, LOG_INDEX_NAME));
    for (size_t i = 0; i < MK_ARRAY_LENGTH(log_files); i++) {
        size_t size;
        assert_non_null(memory_store_get(machine.memory, log_files[i], &size));
        for (size_t at = 0; at < size; at++) {
            struct memory_store *changed = memory_store_clone(machine.memory, at);
            size_t same;
            memory_store_get(changed, log_files[i], &same)[at] ^= (uint8_t)(1 << at % 8);
            fates[fate_of(&machine, changed, log_files[i])]++;
        }
    }
    machine_fini(&machine);
}

static void test_every_flip(void **state)
{
    (void)state;
    for (int padded = 0; padded < 2; padded++) {
        int fates[3] = {0};
        flip_all(padded, true, fates);
        assert_int_equal(fates[FATE_SHORTER], 0);
        assert_true(fates[FATE_REFUSED] > 4000);
    }
    /* Without the mark the last batch alone rests on its own bytes; a flip is no torn write. */
    int fates[3] = {0};
    flip_all(true, false, fates);
    assert_int_equal(fates[FATE_SHORTER], 0);
    assert_true(fates[FATE_REFUSED] > 4000);
}

static void test_flips_elsewhere(void **state)
{
    (void)state;
    struct machine machine;
    live(&machine, true);
    static const char *const files[] = {LOG_INDEX_NAME, "snapshot.e", "snapshot.0"};
    for (size_t i = 0; i < MK_ARRAY_LENGTH(files); i++) {
        size_t size;
        assert_non_null(memory_store_get(machine.memory, files[i], &size));
        for (size_t at = 0; at < size; at++) {
            struct memory_store *changed = memory_store_clone(machine.memory, at);
            size_t same;
            memory_store_get(changed, files[i], &same)[at] ^= (uint8_t)(1 << at % 8);
            assert_int_equal(fate_of(&machine, changed, ""), FATE_SAME);
        }
    }
    machine_fini(&machine);
}

/* Zeroed sectors: seen as damage wherever entries were (D6), also at the very end. */
static void test_zeroed_sectors(void **state)
{
    (void)state;
    struct machine machine;
    live(&machine, true);
    int refused = 0;
    for (size_t i = 0; i < MK_ARRAY_LENGTH(log_files); i++) {
        size_t size;
        const uint8_t *data = memory_store_get(machine.memory, log_files[i], &size);
        for (size_t at = 0; at < size; at += 512) {
            size_t part = MK_MIN(size - at, (size_t)512), same;
            bool entries = false;
            for (size_t k = 0; k < part; k++)
                entries |= data[at + k] != 0;
            struct memory_store *changed = memory_store_clone(machine.memory, at);
            memset(memory_store_get(changed, log_files[i], &same) + at, 0, part);
            /* log.1 is covered by the snapshot and not read at all */
            bool needed = entries && i > 0;
            enum fate fate = fate_of(&machine, changed, needed ? log_files[i] : "");
            assert_int_equal(fate, needed ? FATE_REFUSED : FATE_SAME);
            refused += fate == FATE_REFUSED;
        }
    }
    assert_true(refused >= 9); /* every sector of the two files that are read */
    machine_fini(&machine);
}

/* A file that is gone or shorter (D8). */
static void test_lost_files(void **state)
{
    (void)state;
    struct machine machine;
    live(&machine, true);
    for (size_t i = 1; i < MK_ARRAY_LENGTH(log_files); i++) {
        struct memory_store *changed = memory_store_clone(machine.memory, 1);
        assert_true(memory_store_delete(changed, log_files[i]));
        assert_int_equal(fate_of(&machine, changed, ""), FATE_REFUSED);
        size_t size;
        const uint8_t *data = memory_store_get(machine.memory, log_files[i], &size);
        size_t end = size;
        while (data[end - 1] == 0)
            end--;
        for (size_t cut = 0; cut < end; cut++) {
            changed = memory_store_clone(machine.memory, 1);
            memory_store_put(changed, log_files[i], data, cut);
            assert_int_equal(fate_of(&machine, changed, ""), FATE_REFUSED);
        }
        changed = memory_store_clone(machine.memory, 1);
        memory_store_put(changed, log_files[i], data, end);
        assert_int_equal(fate_of(&machine, changed, ""), FATE_SAME);
    }
    machine_fini(&machine);
}

/* A good file in the wrong place: an older incarnation, or another server's (D9). */
static void test_misdirected(void **state)
{
    (void)state;
    struct machine machine, twin;
    live(&machine, true);
    live(&twin, true); /* the same bytes, but then: */
    size_t size, twin_size;
    struct memory_store *changed = memory_store_clone(machine.memory, 1);
    uint8_t *data = memory_store_get(changed, "log.1d", &size);
    /* Entries of log.f copied over the same offsets of log.1d. */
    const uint8_t *other = memory_store_get(twin.memory, "log.f", &twin_size);
    memcpy(data + 16, other + 16, 1024);
    assert_int_equal(fate_of(&machine, changed, "log.1d"), FATE_REFUSED);
    /* The whole file under another name. */
    changed = memory_store_clone(machine.memory, 1);
    memory_store_put(changed, "log.1d", other, twin_size);
    assert_int_equal(fate_of(&machine, changed, "log.1d"), FATE_REFUSED);
    /* An entry moved within its file, its Adler-32 and CRC-32C good. */
    changed = memory_store_clone(machine.memory, 1);
    data = memory_store_get(changed, "log.1d", &size);
    uint32_t first = mk_load_u32(data + 16 + 8) + TXNLOG_FRAME_BYTES;
    memmove(data + 16, data + 16 + first, size - 16 - first);
    assert_int_equal(fate_of(&machine, changed, "log.1d"), FATE_REFUSED);
    machine_fini(&machine);
    machine_fini(&twin);
}

/* Damage at the end that cannot be told from a lost acknowledgement: refused, then dropped at the
 * operator's word, and the next start is an ordinary one. */
static void test_operator_drops_tail(void **state)
{
    (void)state;
    struct machine machine;
    live(&machine, false);
    size_t size;
    assert_true(memory_store_delete(machine.memory, LOG_INDEX_NAME));
    memory_store_get(machine.memory, "log.1d", &size)[size - 20] ^= 1;
    assert_int_equal(machine_recover(&machine), MK_ERR_CORRUPT);
    assert_non_null(strstr(machine.error.text, "drop_damaged_last_record"));
    must(machine_recover_with(
             &machine, (struct log_recover_options){.clean_up = true, .drop_damaged_tail = true}),
         &machine);
    assert_int_equal(machine.last_zxid, 39);
    must(machine_open(&machine, 3, 0), &machine);
    must(machine_append(&machine, 123, 5), &machine);
    must(txnlog_flush(machine.log, &machine.error), &machine);
    must(machine_recover(&machine), &machine);
    assert_int_equal(machine.last_zxid, 40);
    assert_true(machine.hash == machine.expected[40]);
    machine_fini(&machine);
}

/* With the mark the same damage is known to be of an acknowledged entry: no option helps. */
static void test_mark_overrules(void **state)
{
    (void)state;
    struct machine machine;
    live(&machine, false);
    size_t size;
    memory_store_get(machine.memory, "log.1d", &size)[size - 20] ^= 1;
    struct log_recover_options options = {.drop_damaged_tail = true};
    assert_int_equal(machine_recover_with(&machine, options), MK_ERR_CORRUPT);
    assert_non_null(strstr(machine.error.text, "acknowledged"));
    machine_fini(&machine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_flip),     cmocka_unit_test(test_flips_elsewhere),
        cmocka_unit_test(test_zeroed_sectors), cmocka_unit_test(test_lost_files),
        cmocka_unit_test(test_misdirected),    cmocka_unit_test(test_operator_drops_tail),
        cmocka_unit_test(test_mark_overrules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
