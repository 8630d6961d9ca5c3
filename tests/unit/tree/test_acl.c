/* SPDX-License-Identifier: MIT */
/* Lists of permissions: interning, references as snapshots have them, who is let in
 * (client-protocol reference, section 8), address prefixes of both families. */
#include "tests/unit/tree/tree_test.h"

static struct mk_acl entry(int32_t perms, const char *scheme, const char *id)
{
    return (struct mk_acl){perms, {text(scheme), text(id)}};
}

static void test_interning(void **state)
{
    (void)state;
    struct acl_table *table = acl_table_new(1);
    struct mk_acl ab[] = {entry(1, "world", "anyone"), entry(31, "digest", "a:b")};
    struct mk_acl ba[] = {ab[1], ab[0]};
    struct mk_acl_vector first = {2, ab};
    struct mk_acl_vector second = {2, ba};
    struct mk_acl_vector empty = {0, ab};
    assert_int_equal(acl_intern(table, &first), 1);
    assert_int_equal(acl_intern(table, &second), 2); /* order matters */
    assert_int_equal(acl_intern(table, &first), 1);
    assert_int_equal(acl_intern(table, &empty), 3);
    assert_int_equal(acl_user_count(table, 1), 2);
    assert_int_equal(acl_count(table), 3);
    const struct mk_acl_vector *got = acl_get(table, 1);
    assert_int_equal(got->count, 2);
    assert_bytes(got->items[1].id.id, "a:b");
    assert_int_equal(got->items[1].perms, 31);
    acl_release(table, 2);
    assert_null(acl_get(table, 2));
    assert_int_equal(acl_intern(table, &second), 4); /* numbers only grow */
    acl_release(table, 1);
    assert_non_null(acl_get(table, 1));
    acl_release(table, 1);
    assert_null(acl_get(table, 1));
    acl_release(table, 77);
    acl_release(table, ACL_OPEN_UNSAFE);
    assert_false(acl_retain(table, 77));
    assert_true(acl_retain(table, ACL_OPEN_UNSAFE));
    acl_table_free(table);
}

static void test_null_and_empty_differ(void **state)
{
    (void)state;
    struct acl_table *table = acl_table_new(1);
    struct mk_acl null_id[] = {entry(1, "auth", NULL)};
    struct mk_acl empty_id[] = {entry(1, "auth", "")};
    struct mk_acl_vector a = {1, null_id};
    struct mk_acl_vector b = {1, empty_id};
    assert_int_equal(acl_intern(table, &a), 1);
    assert_int_equal(acl_intern(table, &b), 2);
    assert_int_equal(acl_get(table, 1)->items[0].id.id.length, -1);
    assert_int_equal(acl_get(table, 2)->items[0].id.id.length, 0);
    acl_table_free(table);
}

static void test_open_list(void **state)
{
    (void)state;
    struct acl_table *table = acl_table_new(1);
    const struct mk_acl_vector *open = acl_get(table, ACL_OPEN_UNSAFE);
    assert_int_equal(open->count, 1);
    assert_int_equal(open->items[0].perms, 31);
    assert_bytes(open->items[0].id.scheme, "world");
    assert_bytes(open->items[0].id.id, "anyone");
    assert_int_equal(acl_count(table), 0);
    assert_int_equal(acl_intern(table, open), 1); /* given by a client it gets a number */
    acl_table_free(table);
}

static void test_loading(void **state)
{
    (void)state;
    struct acl_table *table = acl_table_new(1);
    struct mk_acl item = entry(31, "world", "anyone");
    struct mk_acl other = entry(1, "ip", "10.0.0.0/8");
    struct mk_acl_vector open = {1, &item};
    struct mk_acl_vector read = {1, &other};
    acl_define(table, 6, &open);
    acl_define(table, 2, &read);
    acl_reserve(table, 9);
    assert_true(acl_retain(table, 6));
    acl_collect(table);
    assert_int_equal(acl_count(table), 1);
    assert_null(acl_get(table, 2));
    assert_int_equal(acl_intern(table, &open), 6);
    assert_int_equal(acl_intern(table, &read), 10);
    acl_table_free(table);
}

struct visited {
    uint32_t last;
    uint32_t count;
};

static void note(void *context, uint32_t reference, const struct mk_acl_vector *acl)
{
    struct visited *visited = context;
    assert_true(reference > visited->last);
    assert_int_equal(acl->count, 1);
    visited->last = reference;
    visited->count++;
}

static void test_many(void **state)
{
    (void)state;
    struct acl_table *table = acl_table_new(5);
    char id[32];
    for (int i = 0; i < 5000; i++) {
        snprintf(id, sizeof id, "user%d:x", i);
        struct mk_acl item = entry(31, "digest", id);
        struct mk_acl_vector acl = {1, &item};
        assert_int_equal(acl_intern(table, &acl), i + 1);
    }
    for (uint32_t i = 1; i <= 5000; i += 2)
        acl_release(table, i);
    struct visited visited = {0, 0};
    acl_visit(table, note, &visited);
    assert_int_equal(visited.count, 2500);
    for (uint32_t i = 2; i <= 5000; i += 2) {
        snprintf(id, sizeof id, "user%u:x", i - 1);
        assert_bytes(acl_get(table, i)->items[0].id.id, id);
    }
    acl_table_free(table);
}

static bool permits(const struct mk_acl *items, int32_t count, int32_t perms, const char *scheme,
                    const char *id)
{
    struct mk_id identity[] = {{text("ip"), text("192.168.1.7")}, {text(scheme), text(id)}};
    struct mk_id_vector identities = {scheme ? 2 : 1, identity};
    struct mk_acl_vector acl = {count, (struct mk_acl *)(uintptr_t)items};
    bool permitted = acl_permits(&acl, perms, &identities);
    struct acl_table *table = acl_table_new(1);
    uint32_t reference = acl_intern(table, &acl);
    assert_int_equal(acl_allows(table, reference, perms, &identities), permitted);
    acl_table_free(table);
    return permitted;
}

static void test_permission(void **state)
{
    (void)state;
    struct mk_acl items[] = {
        entry(MK_PERM_READ, "world", "anyone"), entry(MK_PERM_WRITE, "digest", "u:x"),
        entry(MK_PERM_ADMIN, "world", "someone"), entry(MK_PERM_CREATE, "ip", "192.168.0.0/16")};
    assert_true(permits(items, 4, MK_PERM_READ, NULL, NULL));
    assert_false(permits(items, 4, MK_PERM_WRITE, NULL, NULL));
    assert_true(permits(items, 4, MK_PERM_WRITE, "digest", "u:x"));
    assert_false(permits(items, 4, MK_PERM_WRITE, "digest", "u:y"));
    assert_false(permits(items, 4, MK_PERM_WRITE, "sasl", "u:x"));
    assert_false(permits(items, 4, MK_PERM_ADMIN, NULL, NULL));
    assert_true(permits(items, 4, MK_PERM_READ | MK_PERM_ADMIN, NULL, NULL));
    assert_true(permits(items, 4, MK_PERM_CREATE, NULL, NULL));
    assert_false(permits(items, 3, MK_PERM_CREATE, NULL, NULL));
    assert_false(permits(items, 4, MK_PERM_DELETE, "digest", "u:x"));
    assert_true(permits(items, 4, MK_PERM_DELETE, "super", ""));
    assert_true(permits(items, 0, MK_PERM_DELETE, NULL, NULL)); /* empty: everyone */
    struct mk_id super = {text("super"), text("")};
    struct mk_id_vector none = {0, &super};
    struct mk_id_vector one = {1, &super};
    assert_false(acl_permits(NULL, 31, &none)); /* a dangling reference */
    assert_true(acl_permits(NULL, 31, &one));
    struct acl_table *table = acl_table_new(1);
    assert_false(acl_allows(table, 7, 31, &none));
    assert_true(acl_allows(table, 7, 31, &one));
    assert_true(acl_allows(table, ACL_OPEN_UNSAFE, 31, &none));
    acl_table_free(table);
}

static void test_addresses(void **state)
{
    (void)state;
    static const char *const valid[] = {"1.2.3.4",         "0.0.0.0/0", "255.255.255.255/32",
                                        "10.0.0.0/8",      "::1",       "fe80::/10",
                                        "2001:db8::1/128", "::/0",      "::ffff:1.2.3.4"};
    static const char *const invalid[] = {
        "",           "1.2.3",      "1.2.3.4.5",  "256.1.1.1",   "1.2.3.4/",
        "1.2.3.4/33", "1.2.3.4/-1", "1.2.3.4/x",  "1.2.3.4/8/8", "::1/129",
        ":::1",       "localhost",  "1.2.3.4/ 8", "/8",          "1.2.3.4/0008"};
    for (size_t i = 0; i < MK_ARRAY_LENGTH(valid); i++)
        if (!acl_ip_is_valid(text(valid[i])))
            fail_msg("refused: %s", valid[i]);
    for (size_t i = 0; i < MK_ARRAY_LENGTH(invalid); i++)
        if (acl_ip_is_valid(text(invalid[i])))
            fail_msg("accepted: %s", invalid[i]);
    assert_false(acl_ip_is_valid(MK_BYTES_NULL));
    assert_false(acl_ip_is_valid(MK_BYTES("1.2.3.4\0")));
}

static bool address_matches(const char *address, const char *prefix)
{
    struct mk_acl item = entry(1, "ip", prefix);
    struct mk_acl_vector acl = {1, &item};
    struct mk_id identity = {text("ip"), text(address)};
    struct mk_id_vector identities = {1, &identity};
    return acl_permits(&acl, 1, &identities);
}

static void test_prefixes(void **state)
{
    (void)state;
    assert_true(address_matches("10.1.2.3", "10.1.2.3"));
    assert_true(address_matches("10.1.2.3", "10.1.2.3/32"));
    assert_true(address_matches("10.1.2.3", "10.0.0.0/8"));
    assert_true(address_matches("10.1.2.3", "10.1.2.0/30"));
    assert_false(address_matches("10.1.2.4", "10.1.2.0/30"));
    assert_true(address_matches("10.1.2.3", "0.0.0.0/0"));
    assert_false(address_matches("11.1.2.3", "10.0.0.0/8"));
    assert_true(address_matches("11.1.2.3", "10.0.0.0/7"));
    assert_true(address_matches("2001:db8::5", "2001:db8::/32"));
    assert_true(address_matches("2001:DB8:0:0::5", "2001:db8::5"));
    assert_false(address_matches("2001:db9::5", "2001:db8::/32"));
    assert_true(address_matches("2001:db9::5", "2001:db8::/31"));
    assert_true(address_matches("::1", "::/0"));
    assert_false(address_matches("1.2.3.4", "::/0")); /* families must agree */
    assert_false(address_matches("::1", "0.0.0.0/0"));
    assert_false(address_matches("garbage", "0.0.0.0/0"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_interning), cmocka_unit_test(test_null_and_empty_differ),
        cmocka_unit_test(test_open_list), cmocka_unit_test(test_loading),
        cmocka_unit_test(test_many),      cmocka_unit_test(test_permission),
        cmocka_unit_test(test_addresses), cmocka_unit_test(test_prefixes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
