/* SPDX-License-Identifier: MIT */
/* Summaries and histograms: exact figures, and quantiles within the promised bound of the true
 * ones, on values of every size. */
#include "base/rand.h"
#include "base/summary.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_summary(void **state)
{
    (void)state;
    struct mk_summary summary = {0};
    assert_int_equal(mk_summary_min(&summary), 0);
    mk_summary_add(&summary, 7);
    assert_int_equal(mk_summary_min(&summary), 7);
    mk_summary_add(&summary, 0);
    mk_summary_add(&summary, 9);
    assert_int_equal(summary.count, 3);
    assert_int_equal(summary.sum, 16);
    assert_int_equal(summary.max, 9);
    assert_int_equal(mk_summary_min(&summary), 0);
}

static void test_buckets_are_in_order(void **state)
{
    (void)state;
    uint32_t last = 0;
    for (uint64_t value = 0; value < 1u << 20; value++) {
        uint32_t bucket = mk_histogram_bucket(value);
        assert_true(bucket == last || bucket == last + 1);
        last = bucket;
    }
    assert_int_equal(mk_histogram_bucket(((uint64_t)1 << MK_HISTOGRAM_BITS) - 1),
                     MK_HISTOGRAM_BUCKETS - 1);
    assert_int_equal(mk_histogram_bucket((uint64_t)1 << MK_HISTOGRAM_BITS),
                     MK_HISTOGRAM_BUCKETS - 1);
    assert_int_equal(mk_histogram_bucket(UINT64_MAX), MK_HISTOGRAM_BUCKETS - 1);
}

static void test_quantiles_of_few(void **state)
{
    (void)state;
    struct mk_histogram histogram = {0};
    assert_int_equal(mk_histogram_quantile(&histogram, 500), 0);
    mk_histogram_add(&histogram, 1000);
    for (uint32_t thousandths = 0; thousandths <= 1000; thousandths += 100)
        assert_int_equal(mk_histogram_quantile(&histogram, thousandths), 1000);
    for (int i = 0; i < 98; i++)
        mk_histogram_add(&histogram, 2);
    mk_histogram_add(&histogram, 5);
    assert_int_equal(mk_histogram_quantile(&histogram, 500), 2);
    assert_int_equal(mk_histogram_quantile(&histogram, 980), 2);
    assert_int_equal(mk_histogram_quantile(&histogram, 990), 5);
    assert_int_equal(mk_histogram_quantile(&histogram, 999), 1000);
    mk_histogram_add(&histogram, UINT64_MAX);
    assert_true(mk_histogram_quantile(&histogram, 1000) == UINT64_MAX);
}

static int compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

static void test_quantiles_are_bounded(void **state)
{
    (void)state;
    static uint64_t values[5000];
    static struct mk_histogram histogram;
    struct mk_rand rand;
    mk_rand_init(&rand, 11);
    for (int round = 0; round < 30; round++) {
        histogram = (struct mk_histogram){0};
        for (size_t i = 0; i < 5000; i++) {
            values[i] = mk_rand_next(&rand) >> (25 + mk_rand_next(&rand) % 39);
            mk_histogram_add(&histogram, values[i]);
        }
        qsort(values, 5000, sizeof *values, compare);
        static const uint32_t asked[] = {1, 500, 950, 990, 999, 1000};
        for (size_t i = 0; i < MK_ARRAY_LENGTH(asked); i++) {
            uint64_t truth = values[5 * asked[i] - 1];
            uint64_t told = mk_histogram_quantile(&histogram, asked[i]);
            assert_true(told >= truth);
            assert_true(told <= truth + truth / 8);
            if (truth < MK_HISTOGRAM_EXACT)
                assert_true(told == truth);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_summary),
        cmocka_unit_test(test_buckets_are_in_order),
        cmocka_unit_test(test_quantiles_of_few),
        cmocka_unit_test(test_quantiles_are_bounded),
    };
    return cmocka_run_group_tests_name("summary", tests, NULL, NULL);
}
