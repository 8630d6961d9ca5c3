/* SPDX-License-Identifier: MIT */
/* The epoch files: what is read, what is refused, and that a crash at any call leaves the old
 * number or the new one, for Apache's server too (hazards 2354, 1653, 4643; storage reference 7.2).
 */
#include "tests/unit/log/machine.h"

#include "log/check.h"
#include "log/epochs.h"

static void test_files(void **state)
{
    (void)state;
    struct memory_store *memory = memory_store_new(1);
    struct store *store = memory_store_of(memory);
    struct log_error error;
    int64_t epoch = -1;
    assert_int_equal(log_epoch_read(store, LOG_EPOCH_CURRENT, &epoch, &error), 0);
    assert_int_equal(log_epoch_write(store, LOG_EPOCH_CURRENT, 2, &error), 0);
    memory_store_crash(memory, 0);
    assert_int_equal(log_epoch_read(store, LOG_EPOCH_CURRENT, &epoch, &error), 1);
    assert_int_equal(epoch, 2);
    static const char *const good[] = {"7", "7\n", "7\r\n", "7\nmore"};
    for (size_t i = 0; i < MK_ARRAY_LENGTH(good); i++) {
        memory_store_put(memory, LOG_EPOCH_CURRENT, good[i], strlen(good[i]));
        assert_int_equal(log_epoch_read(store, LOG_EPOCH_CURRENT, &epoch, &error), 1);
        assert_int_equal(epoch, 7);
    }
    static const char *const bad[] = {"", "x", "-1", "7x", "99999999999999999999", "2147483648"};
    for (size_t i = 0; i < MK_ARRAY_LENGTH(bad); i++) {
        memory_store_put(memory, LOG_EPOCH_CURRENT, bad[i], strlen(bad[i]));
        assert_int_equal(log_epoch_read(store, LOG_EPOCH_CURRENT, &epoch, &error), MK_ERR_CORRUPT);
    }
    /* A crash at any call leaves the old number or the new one. */
    for (uint64_t call = 1; call < 9; call++) {
        memory_store_put(memory, LOG_EPOCH_ACCEPTED, "5", 1);
        memory_store_faults(memory)->crash_call = memory_store_calls(memory) + call;
        int result = log_epoch_write(store, LOG_EPOCH_ACCEPTED, 6, &error);
        memory_store_crash(memory, (unsigned)(call * 37 % 100));
        assert_int_equal(log_epoch_read(store, LOG_EPOCH_ACCEPTED, &epoch, &error), 1);
        assert_true(epoch == 6 || (epoch == 5 && result < 0));
    }
    memory_store_free(memory);
}

/* --- at start -----------------------------------------------------------------------------------
 */

#define NONE (-1)
#define REFUSED (-2)

struct start {
    const char *what;
    int64_t accepted, current; /* files; NONE: missing */
    int64_t last_zxid;
    bool derive;
    int64_t then_accepted, then_current; /* REFUSED */
};

static const struct start starts[] = {
    {"fresh", NONE, NONE, 0, false, 0, 0},
    {"untrusted data", NONE, NONE, -1, false, 0, 0},
    {"a standalone server", NONE, NONE, 0x1234, false, 0, 0},
    {"a member without its files", NONE, NONE, 0x300000001, false, REFUSED, REFUSED},
    {"the operator vouches", NONE, NONE, 0x300000001, true, 3, 3},
    {"in order", 3, 3, 0x300000001, false, 3, 3},
    {"promised, not synchronized", 4, 3, 0x300000001, false, 4, 3},
    {"synchronized, no transaction yet", 4, 4, 0x300000001, false, 4, 4},
    {"interrupted synchronization", 4, 3, 0x400000001, false, 4, 4},
    {"and another promise since", 6, 3, 0x400000001, false, 6, 4},
    {"interrupted derivation", 0, NONE, 7, false, 0, 0},
    {"current lost, but known", 3, NONE, 0x300000001, false, 3, 3},
    {"current lost", 4, NONE, 0x300000001, false, REFUSED, REFUSED},
    {"current lost, vouching does not help", 4, NONE, 0x300000001, true, REFUSED, REFUSED},
    {"accepted lost", NONE, 3, 0x300000001, false, REFUSED, REFUSED},
    {"accepted lost, vouching does not help", NONE, 3, 0x300000001, true, REFUSED, REFUSED},
    {"accepted lost in epoch 0", NONE, 0, 5, false, REFUSED, REFUSED},
    {"never promised", 3, 3, 0x400000001, false, REFUSED, REFUSED},
    {"accepted below current", 2, 3, 0x200000001, false, REFUSED, REFUSED},
};

static void put_epoch(struct memory_store *memory, const char *name, int64_t epoch)
{
    char text[32];
    memory_store_delete(memory, name);
    int length = snprintf(text, sizeof text, "%lld", (long long)epoch);
    if (epoch >= 0)
        memory_store_put(memory, name, text, (size_t)length);
}

static int64_t get_epoch(struct memory_store *memory, const char *name)
{
    int64_t epoch;
    int result = log_epoch_read(memory_store_of(memory), name, &epoch, NULL);
    assert_true(result >= 0);
    return result == 1 ? epoch : NONE;
}

static void test_starts(void **state)
{
    (void)state;
    for (size_t i = 0; i < MK_ARRAY_LENGTH(starts); i++) {
        const struct start *start = &starts[i];
        struct memory_store *memory = memory_store_new(i);
        struct log_error error = {0};
        int64_t accepted, current;
        put_epoch(memory, LOG_EPOCH_ACCEPTED, start->accepted);
        put_epoch(memory, LOG_EPOCH_CURRENT, start->current);
        int result = log_epochs_read(memory_store_of(memory), start->last_zxid, start->derive,
                                     &accepted, &current, NULL, &error);
        if ((start->then_accepted == REFUSED) != (result == MK_ERR_CORRUPT))
            print_error("%s: %d %s\n", start->what, result, error.text);
        memory_store_crash(memory, 0); /* what it returned is durable */
        if (start->then_accepted == REFUSED) {
            assert_int_equal(result, MK_ERR_CORRUPT);
            assert_int_equal(get_epoch(memory, LOG_EPOCH_ACCEPTED), start->accepted);
            assert_int_equal(get_epoch(memory, LOG_EPOCH_CURRENT), start->current);
        } else {
            assert_int_equal(result, 0);
            assert_int_equal(accepted, start->then_accepted);
            assert_int_equal(current, start->then_current);
            assert_int_equal(get_epoch(memory, LOG_EPOCH_ACCEPTED), accepted);
            assert_int_equal(get_epoch(memory, LOG_EPOCH_CURRENT), current);
        }
        memory_store_free(memory);
    }
    struct memory_store *memory = memory_store_new(1);
    struct log_error error;
    int64_t accepted, current;
    put_epoch(memory, LOG_EPOCH_ACCEPTED, 3);
    memory_store_put(memory, LOG_EPOCH_CURRENT, "x", 1);
    assert_int_equal(
        log_epochs_read(memory_store_of(memory), 0, true, &accepted, &current, NULL, &error),
        MK_ERR_CORRUPT);
    memory_store_free(memory);
}

/* The start itself cut off: the next one comes to the same. */
static void test_starts_cut_off(void **state)
{
    (void)state;
    for (size_t i = 0; i < MK_ARRAY_LENGTH(starts); i++) {
        const struct start *start = &starts[i];
        bool done = start->then_accepted == REFUSED;
        for (uint64_t call = 1; !done; call++) {
            for (uint64_t outcome = 0; outcome < 20; outcome++) {
                struct memory_store *memory = memory_store_new(call * 100 + outcome);
                int64_t accepted, current;
                put_epoch(memory, LOG_EPOCH_ACCEPTED, start->accepted);
                put_epoch(memory, LOG_EPOCH_CURRENT, start->current);
                memory_store_faults(memory)->crash_call = call;
                done = log_epochs_read(memory_store_of(memory), start->last_zxid, start->derive,
                                       &accepted, &current, NULL, NULL) == 0;
                memory_store_crash(memory, (unsigned)(outcome * 100 / 19));
                assert_int_equal(log_epochs_read(memory_store_of(memory), start->last_zxid,
                                                 start->derive, &accepted, &current, NULL, NULL),
                                 0);
                assert_int_equal(accepted, start->then_accepted);
                assert_int_equal(current, start->then_current);
                memory_store_free(memory);
            }
        }
    }
}

/* --- two copies ---------------------------------------------------------------------------------
 */

#define COPY(name) LOG_EPOCH_COPY name
#define BAD (-3) /* the file is there, but not what was written */

struct copies {
    const char *what;
    int64_t apaches, ours, then; /* of acceptedEpoch; NONE, BAD; REFUSED */
};

static const struct copies copies[] = {
    {"the same", 5, 5, 5},
    {"Apache's server went on", 7, 5, 7},
    {"an old file was put back", 5, 7, 7},
    {"Apache's is missing", NONE, 5, 5},
    {"Apache's is damaged", BAD, 5, 5},
    {"ours is missing", 5, NONE, 5},
    {"ours is damaged", 5, BAD, 5},
    {"both are damaged", BAD, BAD, REFUSED},
    {"one damaged, one missing", BAD, NONE, REFUSED},
    {"one missing, one damaged", NONE, BAD, REFUSED},
    {"both are missing", NONE, NONE, REFUSED},
};

static void put_copies(struct memory_store *memory, const struct copies *want)
{
    struct log_error error;
    struct store *store = memory_store_of(memory);
    size_t size;
    assert_int_equal(log_epoch_write(store, LOG_EPOCH_CURRENT, 3, &error), 0);
    assert_int_equal(log_epoch_write(store, LOG_EPOCH_ACCEPTED, MK_MAX(want->ours, 5), &error), 0);
    uint8_t *data = memory_store_get(memory, COPY(LOG_EPOCH_ACCEPTED), &size);
    assert_non_null(data);
    if (want->ours == BAD)
        data[0]++;
    else if (want->ours == NONE)
        memory_store_delete(memory, COPY(LOG_EPOCH_ACCEPTED));
    if (want->apaches == BAD)
        memory_store_put(memory, LOG_EPOCH_ACCEPTED, "?", 1);
    else
        put_epoch(memory, LOG_EPOCH_ACCEPTED, want->apaches);
}

static void test_two_copies(void **state)
{
    (void)state;
    for (size_t i = 0; i < MK_ARRAY_LENGTH(copies); i++) {
        const struct copies *want = &copies[i];
        struct memory_store *memory = memory_store_new(i);
        struct log_error error = {0};
        struct log_report report;
        int64_t accepted, current;
        put_copies(memory, want);
        log_report_init(&report);
        int result = log_epochs_read(memory_store_of(memory), 0x300000001, false, &accepted,
                                     &current, &report, &error);
        memory_store_crash(memory, 0);
        if (result != (want->then == REFUSED ? MK_ERR_CORRUPT : 0))
            print_error("%s: %d %s\n", want->what, result, error.text);
        assert_int_equal(result, want->then == REFUSED ? MK_ERR_CORRUPT : 0);
        if (want->then != REFUSED) {
            assert_int_equal(accepted, want->then);
            assert_int_equal(current, 3);
            assert_int_equal(get_epoch(memory, LOG_EPOCH_ACCEPTED), want->then);
            bool lost = want->apaches < 0 || want->ours == BAD;
            assert_int_equal(report.count, lost ? 1 : 0);
            /* Mended: now the other one may be lost. */
            memory_store_delete(memory, LOG_EPOCH_ACCEPTED);
            assert_int_equal(log_epochs_read(memory_store_of(memory), 0x300000001, false, &accepted,
                                             &current, NULL, &error),
                             0);
            assert_int_equal(accepted, want->then);
        }
        log_report_fini(&report);
        memory_store_free(memory);
    }
}

/* Our copy is believed only whole. */
static void test_copy_rots(void **state)
{
    (void)state;
    struct memory_store *memory = memory_store_new(1);
    struct store *store = memory_store_of(memory);
    struct log_error error;
    int64_t accepted, current;
    size_t size;
    assert_int_equal(log_epoch_write(store, LOG_EPOCH_ACCEPTED, 12, &error), 0);
    uint8_t *data = memory_store_get(memory, COPY(LOG_EPOCH_ACCEPTED), &size), saved[64];
    memcpy(saved, data, size);
    for (size_t i = 0; i < size * 8; i++) {
        memcpy(data, saved, size);
        data[i / 8] ^= (uint8_t)(1 << i % 8);
        memory_store_put(memory, COPY(LOG_EPOCH_ACCEPTED), data, size);
        data = memory_store_get(memory, COPY(LOG_EPOCH_ACCEPTED), &size);
        memory_store_delete(memory, LOG_EPOCH_ACCEPTED);
        assert_int_equal(
            log_epochs_read(store, 12ll << 32, true, &accepted, &current, NULL, &error),
            MK_ERR_CORRUPT);
    }
    memory_store_free(memory);
}

static void check_says(struct memory_store *memory, const char *line)
{
    struct store *store = memory_store_of(memory);
    struct log_stores stores = {store, store};
    struct log_check_result result;
    struct log_error error;
    struct log_report report;
    struct mk_buffer text = MK_BUFFER_EMPTY;
    log_report_init(&report);
    assert_int_equal(log_check(&stores, false, &result, &report, &text, &error), 0);
    log_report_fini(&report);
    mk_buffer_append(&text, "", 1);
    if (!strstr((const char *)text.data, line))
        fail_msg("not '%s' in: %s", line, (const char *)text.data);
    mk_buffer_fini(&text);
}

static void test_checker(void **state)
{
    (void)state;
    struct memory_store *memory = memory_store_new(1);
    struct store *store = memory_store_of(memory);
    size_t size;
    assert_int_equal(log_epoch_write(store, LOG_EPOCH_ACCEPTED, 4, NULL), 0);
    check_says(memory,
               "acceptedEpoch 4, second copy 4\ncurrentEpoch missing, second copy missing\n");
    assert_int_equal(log_epoch_write(store, LOG_EPOCH_CURRENT, 3, NULL), 0);
    memory_store_get(memory, COPY(LOG_EPOCH_CURRENT), &size)[0]++;
    memory_store_delete(memory, LOG_EPOCH_ACCEPTED);
    check_says(memory,
               "acceptedEpoch missing, second copy 4\ncurrentEpoch 3, second copy damaged\n");
    memory_store_free(memory);
}

/* --- a synchronization --------------------------------------------------------------------------
 */

/* Apache starts when the last transaction is not of a later epoch than currentEpoch, or
 * currentEpoch.tmp makes up for it. */
static void assert_apache_starts(struct memory_store *memory, int64_t data)
{
    int64_t current = get_epoch(memory, LOG_EPOCH_CURRENT);
    if (data > current) {
        current = get_epoch(memory, LOG_EPOCH_PREPARED);
        assert_true(current >= data);
    }
    assert_true(get_epoch(memory, LOG_EPOCH_ACCEPTED) >= current);
}

/* Promise, note, (transactions,) epoch, twice; cut off at each call. */
static int synchronize(struct store *store, int64_t *data)
{
    for (int64_t epoch = 4; epoch <= 5; epoch++) {
        int result = log_epoch_write(store, LOG_EPOCH_ACCEPTED, epoch, NULL);
        if (result == 0)
            result = log_epoch_write(store, LOG_EPOCH_PREPARED, epoch, NULL);
        if (result == 0) {
            *data = epoch;  /* durable from here on */
            if (epoch == 5) /* the first one never got so far */
                result = log_epoch_write(store, LOG_EPOCH_CURRENT, epoch, NULL);
        }
        if (result < 0)
            return result;
    }
    return 0;
}

static void test_synchronization(void **state)
{
    (void)state;
    bool done = false;
    uint64_t call;
    for (call = 1; !done; call++) {
        for (uint64_t outcome = 0; outcome < 30; outcome++) {
            struct memory_store *memory = memory_store_new(call * 100 + outcome);
            int64_t data = 3, accepted, current;
            put_epoch(memory, LOG_EPOCH_ACCEPTED, 3);
            put_epoch(memory, LOG_EPOCH_CURRENT, 3);
            memory_store_faults(memory)->crash_call = call;
            done = synchronize(memory_store_of(memory), &data) == 0;
            memory_store_crash(memory, (unsigned)(outcome * 100 / 29));
            assert_apache_starts(memory, data);
            assert_int_equal(log_epochs_read(memory_store_of(memory), data << 32 | 1, false,
                                             &accepted, &current, NULL, NULL),
                             0);
            assert_true(current >= data && accepted >= current && accepted <= 5);
            if (done) {
                assert_int_equal(current, 5);
                assert_int_equal(get_epoch(memory, LOG_EPOCH_PREPARED), NONE);
            }
            memory_store_free(memory);
        }
    }
    assert_true(call > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),           cmocka_unit_test(test_starts),
        cmocka_unit_test(test_starts_cut_off),  cmocka_unit_test(test_two_copies),
        cmocka_unit_test(test_copy_rots),       cmocka_unit_test(test_checker),
        cmocka_unit_test(test_synchronization),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
