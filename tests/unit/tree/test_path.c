/* SPDX-License-Identifier: MIT */
/* Which paths are valid (client-protocol reference, 4.3, with every edge of the forbidden code
 * points in UTF-8), parents and names, sequence suffixes (4.4). */
#include "tests/unit/tree/tree_test.h"

static void test_plain_paths(void **state)
{
    (void)state;
    static const char *const valid[] = {"/",   "/a",   "/a/b", "/...", "/a/...", "/.a",
                                        "/a.", "/..a", "/ ",   "/a b", "/~",     "/a/.b"};
    static const char *const invalid[] = {"",      "a",      "a/b",     "/a/",   "//",    "//a",
                                          "/a//b", "/.",     "/..",     "/./a",  "/../a", "/a/.",
                                          "/a/..", "/a/./b", "/a/../b", "/\x1f", "/\x7f", "/a\n"};
    for (size_t i = 0; i < MK_ARRAY_LENGTH(valid); i++)
        assert_true(path_is_valid(text(valid[i])));
    for (size_t i = 0; i < MK_ARRAY_LENGTH(invalid); i++)
        if (path_is_valid(text(invalid[i])))
            fail_msg("valid: %s", invalid[i]);
    assert_false(path_is_valid(MK_BYTES_NULL));
    assert_false(path_is_valid(MK_BYTES("/a\0b")));
}

struct utf8_case {
    const char *bytes;
    bool valid;
};

/* Each in front, in the middle and at the end of a name. */
static void test_utf8_edges(void **state)
{
    (void)state;
    static const struct utf8_case cases[] = {
        {"\xc2\x80", false},
        {"\xc2\x9f", false},
        {"\xc2\xa0", true},
        {"\xc3\xa9", true},
        {"\xdf\xbf", true},
        {"\xe0\xa0\x80", true},
        {"\xe2\x82\xac", true},
        {"\xed\x9f\xbf", true},
        {"\xed\xa0\x80", false},
        {"\xed\xbf\xbf", false},
        {"\xee\x80\x80", false},
        {"\xef\xa3\xbf", false},
        {"\xef\xa4\x80", true},
        {"\xef\xbf\xaf", true},
        {"\xef\xbf\xb0", false},
        {"\xef\xbf\xbd", false},
        {"\xef\xbf\xbf", false},
        {"\xf0\x9f\x98\x80", false},
        {"\xf0\x90\x80\x80", false},
        {"\xf4\x8f\xbf\xbf", false},
        {"\xf8\x88\x80\x80\x80", false},
        /* malformed: lone continuation, overlong, cut off, no continuation, bad lead */
        {"\x80", false},
        {"\xbf", false},
        {"\xc0\x80", false},
        {"\xc0\xaf", false},
        {"\xc1\xbf", false},
        {"\xe0\x80\x80", false},
        {"\xe0\x9f\xbf", false},
        {"\xc3", false},
        {"\xe2\x82", false},
        {"\xe2", false},
        {"\xc3\x28", false},
        {"\xe2\x28\xac", false},
        {"\xe2\x82\x28", false},
        {"\xff", false},
        {"\xfe", false},
    };
    static const char *const frames[] = {"/%s", "/%sb", "/a%s", "/a%sb", "/x/%s/y"};
    for (size_t i = 0; i < MK_ARRAY_LENGTH(cases); i++) {
        for (size_t j = 0; j < MK_ARRAY_LENGTH(frames); j++) {
            char path[64];
            snprintf(path, sizeof path, frames[j], cases[i].bytes);
            if (path_is_valid(text(path)) != cases[i].valid)
                fail_msg("case %zu in frame %zu", i, j);
        }
    }
}

/* The rule itself, code point by code point over the whole basic plane. */
static void test_every_code_point(void **state)
{
    (void)state;
    for (uint32_t c = 1; c <= 0xffff; c++) {
        uint8_t path[8] = {'/'};
        size_t length = 1;
        if (c < 0x80) {
            path[length++] = (uint8_t)c;
        } else if (c < 0x800) {
            path[length++] = (uint8_t)(0xc0 | c >> 6);
            path[length++] = (uint8_t)(0x80 | (c & 0x3f));
        } else {
            path[length++] = (uint8_t)(0xe0 | c >> 12);
            path[length++] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
            path[length++] = (uint8_t)(0x80 | (c & 0x3f));
        }
        bool forbidden = c <= 0x1f || (c >= 0x7f && c <= 0x9f) || (c >= 0xd800 && c <= 0xf8ff) ||
                         c >= 0xfff0 || c == '/' || c == '.';
        if (path_is_valid(mk_bytes_of(path, length)) == forbidden)
            fail_msg("U+%04X", c);
    }
}

static void test_parents(void **state)
{
    (void)state;
    static const char *const rows[][3] = {
        {"/a", "", "a"},   {"/a/b", "/a", "b"}, {"foo/bar", "foo", "bar"},
        {"/a/", "/a", ""}, {"/", "", ""},       {"/a//b", "/a/", "b"}};
    for (size_t i = 0; i < MK_ARRAY_LENGTH(rows); i++) {
        assert_true(path_has_parent(text(rows[i][0])));
        assert_bytes(path_parent(text(rows[i][0])), rows[i][1]);
        assert_bytes(path_name(text(rows[i][0])), rows[i][2]);
    }
    assert_bytes(path_name(text("foo")), "foo");
    assert_false(path_has_parent(text("foo")));
    assert_false(path_has_parent(text("")));
    assert_false(path_has_parent(MK_BYTES_NULL));
    assert_false(path_has_parent(MK_BYTES("/a\0")));
}

static void test_sequence(void **state)
{
    (void)state;
    static const struct {
        int32_t counter;
        const char *suffix;
    } rows[] = {{0, "0000000000"},          {7, "0000000007"},  {INT32_MAX, "2147483647"},
                {INT32_MIN, "-2147483648"}, {-1, "-000000001"}, {-123456789, "-123456789"}};
    for (size_t i = 0; i < MK_ARRAY_LENGTH(rows); i++) {
        struct mk_buffer buffer = MK_BUFFER_EMPTY;
        mk_buffer_append_string(&buffer, "/q/n-");
        path_append_sequence(&buffer, rows[i].counter);
        assert_memory_equal(buffer.data, "/q/n-", 5);
        assert_int_equal(buffer.length, 5 + strlen(rows[i].suffix));
        assert_memory_equal(buffer.data + 5, rows[i].suffix, strlen(rows[i].suffix));
        mk_buffer_fini(&buffer);
    }
}

static void test_system_paths(void **state)
{
    (void)state;
    assert_true(path_is_system(text("/")));
    assert_true(path_is_system(text("/zookeeper")));
    assert_true(path_is_system(text("/zookeeper/quota")));
    assert_true(path_is_system(text("/zookeeper/config")));
    assert_false(path_is_system(text("/zookeeper/quota/a")));
    assert_false(path_is_system(text("/zookeepe")));
    assert_false(path_is_system(text("")));
    assert_false(path_is_system(MK_BYTES_NULL));
}

/* Paths are read eight bytes at a time: every byte at every place of them counts. */
static void test_every_byte_at_every_place(void **state)
{
    (void)state;
    for (size_t at = 1; at < 20; at++) {
        for (int byte = 0; byte < 256; byte++) {
            char path[] = "/aaaaaaaaaaaaaaaaaaa";
            path[at] = (char)byte;
            /* neither after nor before another '/', nor at the end */
            bool slash_is_fine = at > 1 && at < 19;
            bool plain = byte >= 0x20 && byte < 0x7f && (byte != '/' || slash_is_fine);
            assert_int_equal(path_is_valid(mk_bytes_of(path, 20)), plain);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_paths),
        cmocka_unit_test(test_utf8_edges),
        cmocka_unit_test(test_every_code_point),
        cmocka_unit_test(test_parents),
        cmocka_unit_test(test_sequence),
        cmocka_unit_test(test_system_paths),
        cmocka_unit_test(test_every_byte_at_every_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
