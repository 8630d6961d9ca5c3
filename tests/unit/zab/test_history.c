/* SPDX-License-Identifier: MIT */
/* Proves that the ring of recent transactions has no hole, finds what it holds, keeps what must be
 * kept, and agrees with a plain list under random use. */
#include "tests/unit/zab/golden.h"

#include "base/rand.h"
#include "base/zxid.h"
#include "zab/history.h"

#define Z(epoch, counter) mk_zxid_make(epoch, counter)

static void append(struct history *history, int64_t zxid)
{
    char text[32];
    snprintf(text, sizeof text, "txn %llx", (unsigned long long)zxid);
    const struct zab_entry *entry = history_append(history, zxid, mk_bytes_of_string(text));
    memset(text, 'x', sizeof text); /* the bytes were copied */
    assert_true(entry->zxid == zxid);
    assert_ptr_equal(entry, history_at(history, history->count - 1));
}

static void check_bytes(const struct zab_entry *entry)
{
    char text[32];
    snprintf(text, sizeof text, "txn %llx", (unsigned long long)entry->zxid);
    assert_int_equal(entry->length, strlen(text));
    assert_memory_equal(entry->data, text, entry->length);
}

static void what_may_follow(void **state)
{
    (void)state;
    struct history history;
    history_init(&history, 100, 1 << 20);
    assert_int_equal(history_last(&history), 0);
    assert_false(history_follows(&history, 0));
    assert_false(history_follows(&history, -1));
    assert_true(history_follows(&history, Z(1, 1)));
    assert_true(history_follows(&history, Z(3, 7))); /* empty: a later epoch begins anywhere */
    assert_false(history_follows(&history, Z(3, 0)));

    append(&history, Z(1, 1));
    assert_false(history_follows(&history, Z(1, 1)));
    assert_true(history_follows(&history, Z(1, 2)));
    assert_false(history_follows(&history, Z(1, 3)));
    assert_true(history_follows(&history, Z(2, 1)));
    assert_true(history_follows(&history, Z(9, 1)));
    assert_false(history_follows(&history, Z(2, 0)));
    assert_false(history_follows(&history, Z(2, 2)));
    assert_false(history_follows(&history, INT64_MIN));

    history_reset(&history, Z(4, 9)); /* inside an epoch: only its next one */
    assert_int_equal(history.count, 0);
    assert_true(history_last(&history) == Z(4, 9));
    assert_true(history_follows(&history, Z(4, 10)));
    assert_false(history_follows(&history, Z(4, 11)));
    assert_false(history_follows(&history, Z(4, 9)));
    assert_true(history_follows(&history, Z(5, 1)));

    history_reset(&history, Z(4, 0)); /* its beginning */
    assert_true(history_follows(&history, Z(4, 1)));
    assert_true(history_follows(&history, Z(4, 5)));
    append(&history, Z(4, 5));
    assert_false(history_follows(&history, Z(4, 7)));

    history_reset(&history, Z(1, UINT32_MAX)); /* the counter never runs into the epoch */
    assert_false(history_follows(&history, Z(2, 0)));
    assert_true(history_follows(&history, Z(2, 1)));

    history_reset(&history, -1); /* nothing that could be trusted */
    assert_true(history_follows(&history, Z(0, 1)));
    assert_true(history_follows(&history, Z(5, 3)));
    history_fini(&history);
}

static void finds_what_it_holds(void **state)
{
    (void)state;
    struct history history;
    history_init(&history, 1000, 1 << 20);
    assert_int_equal(history_after(&history, 0), 0);
    assert_null(history_find(&history, 0));
    for (uint32_t epoch = 1; epoch <= 5; epoch++)
        for (uint32_t counter = 1; counter <= 40; counter++)
            append(&history, Z(epoch, counter));
    assert_int_equal(history.count, 200);
    for (uint32_t i = 0; i < 200; i++) {
        const struct zab_entry *entry = history_at(&history, i);
        assert_true(entry->zxid == Z(1 + i / 40, 1 + i % 40));
        assert_ptr_equal(history_find(&history, entry->zxid), entry);
        assert_int_equal(history_after(&history, entry->zxid), i + 1);
        check_bytes(entry);
    }
    assert_int_equal(history_after(&history, -1), 0);
    assert_int_equal(history_after(&history, Z(3, 0)), 80);
    assert_int_equal(history_after(&history, Z(2, 77)), 80);
    assert_int_equal(history_after(&history, INT64_MAX), 200);
    assert_null(history_find(&history, Z(2, 41)));
    assert_null(history_find(&history, Z(3, 0)));
    history_fini(&history);
}

static void cuts_the_end(void **state)
{
    (void)state;
    struct history history;
    history_init(&history, 1000, 1 << 20);
    history_reset(&history, Z(1, 4));
    for (uint32_t counter = 5; counter <= 20; counter++)
        append(&history, Z(1, counter));
    append(&history, Z(2, 1));
    history_truncate(&history, Z(2, 1));
    assert_true(history_last(&history) == Z(2, 1));
    history_truncate(&history, Z(2, 0));
    assert_true(history_last(&history) == Z(1, 20));
    history_truncate(&history, Z(1, 7));
    assert_int_equal(history.count, 3);
    append(&history, Z(2, 1));
    check_bytes(history_at(&history, 3));
    history_truncate(&history, Z(1, 2)); /* never below the base */
    assert_int_equal(history.count, 0);
    assert_int_equal(history.bytes, 0);
    assert_true(history_last(&history) == Z(1, 4));
    history_fini(&history);
}

static void trims_the_beginning(void **state)
{
    (void)state;
    struct history history;
    history_init(&history, 10, 1 << 20);
    for (uint32_t counter = 1; counter <= 30; counter++)
        append(&history, Z(1, counter));
    history_trim(&history, Z(1, 5)); /* what is above is still wanted */
    assert_int_equal(history.count, 25);
    assert_true(history.base == Z(1, 5));
    history_trim(&history, Z(1, 30));
    assert_int_equal(history.count, 10);
    assert_true(history.base == Z(1, 20));
    assert_true(history_at(&history, 0)->zxid == Z(1, 21));
    history_trim(&history, Z(1, 30));
    assert_int_equal(history.count, 10);

    history.bytes_max = 30; /* "txn 10000001e": 13 bytes each */
    history_trim(&history, Z(1, 30));
    assert_int_equal(history.count, 2);
    history.bytes_max = 0;
    history_trim(&history, Z(1, 30));
    assert_int_equal(history.count, 0);
    assert_true(history_last(&history) == Z(1, 30));
    assert_true(history_follows(&history, Z(1, 31)));
    assert_false(history_follows(&history, Z(1, 32)));
    history_fini(&history);
}

static void empty_transactions(void **state)
{
    (void)state;
    struct history history;
    history_init(&history, 10, 10);
    assert_int_equal(history_append(&history, Z(1, 1), MK_BYTES_NULL)->length, 0);
    assert_int_equal(history_append(&history, Z(1, 2), MK_BYTES(""))->length, 0);
    assert_int_equal(history.bytes, 0);
    history_fini(&history);
}

static void agrees_with_a_list(void **state)
{
    (void)state;
    static int64_t list[100000];
    size_t first = 0, end = 0;
    int64_t base = 0;
    struct mk_rand rand;
    struct history history;
    mk_rand_init(&rand, 9);
    history_init(&history, 50, 1 << 20);
    for (int round = 0; round < 60000; round++) {
        int64_t last = end > first ? list[end - 1] : base;
        uint64_t draw = mk_rand_next(&rand);
        int64_t some = end > first ? list[first + mk_rand_next(&rand) % (end - first)] : base;
        if (draw % 100 < 90) {
            bool epoch = draw / 100 % 20 == 0 || last == 0;
            list[end++] = epoch ? Z(mk_zxid_epoch(last) + 1, 1) : last + 1;
            append(&history, list[end - 1]);
        } else if (draw % 100 < 94) {
            history_truncate(&history, some);
            while (end > first && list[end - 1] > some)
                end--;
        } else {
            history_trim(&history, some);
            for (; end - first > 50 && list[first] <= some; first++)
                base = list[first];
        }
        assert_int_equal(history.count, end - first);
        assert_true(history.base == base);
        assert_true(history_last(&history) == (end > first ? list[end - 1] : base));
        if (end > first) {
            uint32_t index = (uint32_t)(mk_rand_next(&rand) % (end - first));
            assert_true(history_at(&history, index)->zxid == list[first + index]);
            check_bytes(history_at(&history, index));
            assert_int_equal(history_after(&history, list[first + index]), index + 1);
        }
    }
    history_fini(&history);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_may_follow),    cmocka_unit_test(finds_what_it_holds),
        cmocka_unit_test(cuts_the_end),       cmocka_unit_test(trims_the_beginning),
        cmocka_unit_test(empty_transactions), cmocka_unit_test(agrees_with_a_list),
    };
    return cmocka_run_group_tests_name("zab/history", tests, NULL, NULL);
}
