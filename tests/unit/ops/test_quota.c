/* SPDX-License-Identifier: MIT */
/* Quotas (client-protocol reference, section 9): what is refused, what is not, what the operator
 * is told, and that the check looks at what is committed. */
#include "tests/lib/op_fixture.h"

/* Limits for /q, then the node that holds the usage. */
static void limit(struct fixture *f, const char *limits)
{
    assert_int_equal(create(f, "/q"), 0);
    assert_int_equal(create(f, "/zookeeper/quota/q"), 0);
    put_create(f, "/zookeeper/quota/q/zookeeper_limits", limits, OPEN_ACL, 0);
    assert_int_equal(send_write(f, MK_OP_CREATE), 0);
    assert_int_equal(create(f, "/zookeeper/quota/q/zookeeper_stats"), 0);
}

static void test_count(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    f.settings.enforce_quota = true;
    limit(&f, "count=-1,bytes=-1=;countHardLimit=3");
    assert_int_equal(create(&f, "/q/a"), 0);
    assert_int_equal(create(&f, "/q/b"), 0);
    assert_int_equal(create(&f, "/q/c"), MK_ERR_QUOTA_EXCEEDED);
    assert_int_equal(create(&f, "/q/a/c"), MK_ERR_QUOTA_EXCEEDED);
    assert_int_equal(create(&f, "/other"), 0);
    assert_int_equal(set_data(&f, "/q/a", "a long value", -1), 0);
    assert_int_equal(delete_node(&f, "/q/b", -1), 0);
    assert_int_equal(create(&f, "/q/c"), 0);
    f.settings.enforce_quota = false;
    assert_int_equal(create(&f, "/q/d"), 0);
    fixture_fini(&f);
}

static void test_bytes(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    f.settings.enforce_quota = true;
    limit(&f, "count=-1,bytes=-1=;byteHardLimit=10");
    put_create(&f, "/q/a", "12345678", OPEN_ACL, 0); /* 1 + 8 */
    assert_int_equal(send_write(&f, MK_OP_CREATE), 0);
    put_create(&f, "/q/b", "12", OPEN_ACL, 0);
    assert_int_equal(send_write(&f, MK_OP_CREATE), MK_ERR_QUOTA_EXCEEDED);
    put_create(&f, "/q/b", NULL, OPEN_ACL, 0);
    assert_int_equal(send_write(&f, MK_OP_CREATE), 0);
    assert_int_equal(set_data(&f, "/q/a", "123456789", 0), 0);
    /* Over the limit comes before a wrong version; the same size is always fine. */
    assert_int_equal(set_data(&f, "/q/a", "1234567890", 7), MK_ERR_QUOTA_EXCEEDED);
    assert_int_equal(set_data(&f, "/q/a", "abcdefghi", 1), 0);
    fixture_fini(&f);
}

static void test_soft_and_missing(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    f.settings.enforce_quota = true;
    limit(&f, "count=1,bytes=1");
    assert_int_equal(create(&f, "/q/a"), 0);
    assert_int_equal(set_data(&f, "/q/a", "many bytes", -1), 0);
    /* A hard limit takes the place of the soft one, also where it is higher. */
    assert_int_equal(set_data(&f, "/zookeeper/quota/q/zookeeper_limits",
                              "count=1,bytes=1=;byteHardLimit=100;countHardLimit=3", -1),
                     0);
    assert_int_equal(create(&f, "/q/b"), 0);
    assert_int_equal(create(&f, "/q/c"), MK_ERR_QUOTA_EXCEEDED);
    assert_int_equal(delete_node(&f, "/zookeeper/quota/q/zookeeper_limits", -1), 0);
    assert_int_equal(create(&f, "/q/c"), 0);
    fixture_fini(&f);
}

static void test_unreadable_limits(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    f.settings.enforce_quota = true;
    limit(&f, "count=many");
    assert_int_equal(create(&f, "/q/a"), MK_ERR_MARSHALLING);
    assert_int_equal(set_data(&f, "/q", "y", -1), MK_ERR_MARSHALLING);
    assert_int_equal(create(&f, "/other"), 0);
    f.settings.enforce_quota = false;
    assert_int_equal(create(&f, "/q/a"), 0);
    fixture_fini(&f);
}

/* The check is against committed usage: one multi can overshoot, as upstream. */
static void test_multi_overshoots(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    f.settings.enforce_quota = true;
    limit(&f, "count=-1,bytes=-1=;countHardLimit=2");
    static const char *const paths[] = {"/q/a", "/q/b", "/q/c"};
    for (size_t i = 0; i < MK_ARRAY_LENGTH(paths); i++) {
        put_part(&f, MK_OP_CREATE);
        put_create(&f, paths[i], "", OPEN_ACL, 0);
    }
    put_part(&f, -1);
    assert_int_equal(send_write(&f, MK_OP_MULTI), 0);
    assert_true(is_there(&f, "/q/c"));
    put_part(&f, MK_OP_CREATE);
    put_create(&f, "/q/d", "", OPEN_ACL, 0);
    put_part(&f, -1);
    assert_int_equal(send_write(&f, MK_OP_MULTI), 0);
    assert_hex(&f.reply, "ffffffff 00 ffffff83 ffffff83 ffffffff 01 ffffffff");
    fixture_fini(&f);
}

static void assert_excess(const struct op_quota_excess *excess, bool hard, bool of_bytes,
                          int64_t value, int64_t limit)
{
    assert_non_null(excess);
    assert_true(mk_bytes_equal(excess->path, text("/q")));
    assert_int_equal(excess->hard, hard);
    assert_int_equal(excess->of_bytes, of_bytes);
    assert_int_equal(excess->value, value);
    assert_int_equal(excess->limit, limit);
}

static void test_excess_is_told(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    limit(&f, "count=2,bytes=4=;countHardLimit=3"); /* /q has 1 znode, create() writes 1 byte */
    assert_int_equal(create(&f, "/q/a"), 0);
    assert_null(f.excess);
    assert_int_equal(create(&f, "/q/b"), 0);
    assert_excess(f.excess, false, false, 3, 2);
    assert_null(f.excess->next);
    assert_int_equal(set_data(&f, "/q/b", "1234", -1), 0);
    assert_excess(f.excess, false, true, 6, 4);
    assert_int_equal(set_data(&f, "/q/b", "5678", -1), 0); /* not more than it had */
    assert_null(f.excess);
    assert_int_equal(create(&f, "/other"), 0);
    assert_null(f.excess);
    put_create(&f, "/q/c", "12", OPEN_ACL, 0);
    assert_int_equal(send_write(&f, MK_OP_CREATE), 0); /* the hard limit is not enforced */
    assert_excess(f.excess, false, true, 8, 4);
    assert_excess(f.excess->next, false, false, 4, 2);
    assert_null(f.excess->next->next);
    f.settings.enforce_quota = true;
    assert_int_equal(create(&f, "/q/d"), MK_ERR_QUOTA_EXCEEDED);
    assert_excess(f.excess, true, false, 5, 3);
    assert_null(f.excess->next);
    assert_int_equal(set_data(&f, "/q/b", "12345678", 77), MK_ERR_BAD_VERSION);
    assert_null(f.excess); /* nothing was written */
    fixture_fini(&f);
}

/* Of a multi that fails only what it failed for is told. */
static void test_excess_in_multi(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    f.settings.enforce_quota = true;
    limit(&f, "count=1,bytes=5=;byteHardLimit=10");
    for (int i = 0; i < 40; i++) {
        char path[16];
        snprintf(path, sizeof path, "/q/%d", i);
        put_part(&f, MK_OP_CREATE);
        put_create(&f, path, "", OPEN_ACL, 0);
    }
    put_part(&f, -1);
    assert_int_equal(send_write(&f, MK_OP_MULTI), 0);
    assert_excess(f.excess, false, false, 2, 1);
    assert_null(f.excess->next);
    put_part(&f, MK_OP_SET_DATA);
    put_set_data(&f, "/q/1", "12345", -1);
    put_part(&f, MK_OP_SET_DATA);
    put_set_data(&f, "/q/2", "1234567890", -1);
    put_part(&f, -1);
    assert_int_equal(send_write(&f, MK_OP_MULTI), 0);
    assert_excess(f.excess, true, true, 11, 10);
    assert_null(f.excess->next);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_count),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_soft_and_missing),
        cmocka_unit_test(test_unreadable_limits),
        cmocka_unit_test(test_multi_overshoots),
        cmocka_unit_test(test_excess_is_told),
        cmocka_unit_test(test_excess_in_multi),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
