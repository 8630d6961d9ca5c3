/* SPDX-License-Identifier: MIT */
/* Comparing bytes: the same verdict as memcmp for every length, wherever the difference is, and no
 * byte beyond the length counts. */
#include "base/mk.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define LENGTH_MAX 40

static void test_same(void **state)
{
    (void)state;
    for (size_t length = 0; length <= LENGTH_MAX; length++) {
        uint8_t a[LENGTH_MAX + 1], b[LENGTH_MAX + 1];
        for (size_t i = 0; i <= LENGTH_MAX; i++)
            a[i] = b[i] = (uint8_t)(i * 37 + length);
        b[length] ^= 0x80;
        assert_true(mk_is_same(a, b, length));
        b[length] ^= 0x80;
        for (size_t i = 0; i < length; i++) {
            b[i] ^= 1;
            assert_false(mk_is_same(a, b, length));
            b[i] ^= 1;
        }
    }
}

static void test_null_equals_only_null(void **state)
{
    (void)state;
    assert_true(mk_bytes_equal(MK_BYTES_NULL, MK_BYTES_NULL));
    assert_false(mk_bytes_equal(MK_BYTES_NULL, MK_BYTES("")));
    assert_true(mk_bytes_equal(MK_BYTES(""), MK_BYTES("")));
    assert_true(mk_bytes_equal_string(MK_BYTES("world"), "world"));
    assert_false(mk_bytes_equal_string(MK_BYTES("world"), "worlds"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_null_equals_only_null),
    };
    return cmocka_run_group_tests_name("bytes", tests, NULL, NULL);
}
