/* SPDX-License-Identifier: MIT */
/* Log lines that are kept back: the first few pass, the others are told once as a number, and
 * all that happened is either written or counted. */
#include "base/quiet.h"
#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_first_ones_pass(void **state)
{
    (void)state;
    struct mk_quiet quiet = {0};
    for (int i = 0; i < MK_QUIET_LINES; i++)
        assert_true(mk_quiet_pass(&quiet, 1000 + i));
    assert_true(mk_quiet_deadline_ms(&quiet) == INT64_MAX);
    for (int i = 0; i < 1234; i++)
        assert_false(mk_quiet_pass(&quiet, 2000));
    assert_int_equal(mk_quiet_deadline_ms(&quiet), 1000 + MK_QUIET_INTERVAL_MS);
    assert_int_equal(mk_quiet_take(&quiet, 1000 + MK_QUIET_INTERVAL_MS - 1), 0);
    assert_int_equal(mk_quiet_take(&quiet, 1000 + MK_QUIET_INTERVAL_MS), 1234);
    assert_int_equal(mk_quiet_take(&quiet, 1000 + MK_QUIET_INTERVAL_MS), 0);
    assert_true(mk_quiet_deadline_ms(&quiet) == INT64_MAX);
    assert_true(mk_quiet_pass(&quiet, 1000 + MK_QUIET_INTERVAL_MS));
}

/* Few lines, however long apart, are all written. */
static void test_rare_ones_pass(void **state)
{
    (void)state;
    struct mk_quiet quiet = {0};
    for (int64_t now_ms = 0; now_ms < 100 * MK_QUIET_INTERVAL_MS;
         now_ms += MK_QUIET_INTERVAL_MS / 4) {
        assert_int_equal(mk_quiet_take(&quiet, now_ms), 0);
        assert_true(mk_quiet_pass(&quiet, now_ms));
    }
}

static void test_every_line_is_written_or_counted(void **state)
{
    (void)state;
    struct mk_rand rand;
    mk_rand_init(&rand, 7);
    struct mk_quiet quiet = {0};
    int64_t now_ms = 0;
    uint64_t written = 0, told = 0, count = 20000;
    for (uint64_t i = 0; i < count; i++) {
        now_ms += (int64_t)(mk_rand_next(&rand) % 2000);
        told += mk_quiet_take(&quiet, now_ms);
        written += mk_quiet_pass(&quiet, now_ms);
    }
    told += mk_quiet_take(&quiet, now_ms + MK_QUIET_INTERVAL_MS);
    assert_int_equal(written + told, count);
    assert_true(written <= MK_QUIET_LINES * (uint64_t)(now_ms / MK_QUIET_INTERVAL_MS + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_ones_pass),
        cmocka_unit_test(test_rare_ones_pass),
        cmocka_unit_test(test_every_line_is_written_or_counted),
    };
    return cmocka_run_group_tests_name("quiet", tests, NULL, NULL);
}
