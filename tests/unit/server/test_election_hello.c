/* SPDX-License-Identifier: MIT */
/* The first words on an election connection, byte by byte as captured from Apache 3.8, and which
 * of two servers keeps it (quorum-protocol reference, 1.1 to 1.3). */
#include "server/election_hello.h"
#include "wire/errors.gen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const uint8_t captured[] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0,   0,   0,   0,   0,   0,   0,   2,   0,  0,
    0,    15,   '1',  '2',  '7',  '.',  '0',  '.',  '0', '.', '1', ':', '2', '5', '1', '8', '2'};

static int read_all(const void *data, size_t size, struct election_hello *hello)
{
    const char *reason = NULL;
    uint8_t *exact = malloc(size ? size : 1); /* the sanitizer sees a byte too far */
    memcpy(exact, data, size);
    int result = election_hello_read(exact, size, hello, &reason);
    assert_true((result < 0) == (reason != NULL));
    if (result > 0 && hello->addresses.data)
        hello->addresses.data =
            (const uint8_t *)data + (hello->addresses.data - exact); /* outlives the copy */
    free(exact);
    return result;
}

static void test_captured(void **state)
{
    (void)state;
    struct election_hello hello;
    for (size_t size = 0; size < sizeof captured; size++)
        assert_int_equal(read_all(captured, size, &hello), 0);
    assert_int_equal(read_all(captured, sizeof captured, &hello), (int)sizeof captured);
    assert_int_equal(hello.id, 2);
    assert_true(mk_bytes_equal_string(hello.addresses, "127.0.0.1:25182"));

    struct mk_buffer written = MK_BUFFER_EMPTY;
    election_hello_write(&written, 2, "127.0.0.1", 25182);
    assert_int_equal(written.length, sizeof captured);
    assert_memory_equal(written.data, captured, sizeof captured);
    mk_buffer_fini(&written);
}

static void test_old_and_new_versions(void **state)
{
    (void)state;
    struct election_hello hello;
    const uint8_t old[8] = {0, 0, 0, 0, 0, 0, 0, 7};
    assert_int_equal(read_all(old, 8, &hello), 8);
    assert_int_equal(hello.id, 7);
    assert_int_equal(mk_bytes_size(hello.addresses), 0);

    uint8_t several[64];
    memcpy(several, captured, 20);
    several[7] = 1; /* version 2 */
    const char *text = "10.0.0.1:3888|[fe80::2]:3889";
    several[19] = (uint8_t)strlen(text);
    memcpy(several + 20, text, strlen(text));
    assert_int_equal(read_all(several, 20 + strlen(text), &hello), (int)(20 + strlen(text)));
    assert_true(mk_bytes_equal_string(hello.addresses, text));
}

static void test_refused(void **state)
{
    (void)state;
    struct election_hello hello;
    uint8_t bytes[20];
    memcpy(bytes, captured, 20);
    bytes[7] = 2; /* -65534 */
    assert_int_equal(read_all(bytes, 20, &hello), MK_ERR_CORRUPT);
    assert_int_equal(read_all("GET / HTTP/1.1\r\n", 16, &hello), 8); /* an id that nobody has */
    assert_true(hello.id > 255);
    for (int32_t length = -1; length <= 2049; length += 2050 / 2) {
        memcpy(bytes, captured, 20);
        mk_store_u32(bytes + 16, (uint32_t)length);
        bool good = length >= 1 && length <= 2048;
        assert_int_equal(read_all(bytes, 20, &hello), good ? 0 : MK_ERR_CORRUPT);
    }
    const int32_t lengths[] = {-1, 0, 2049, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < MK_ARRAY_LENGTH(lengths); i++) {
        mk_store_u32(bytes + 16, (uint32_t)lengths[i]);
        assert_int_equal(read_all(bytes, 20, &hello), MK_ERR_CORRUPT);
    }
}

static void expect_addresses(const char *text, const char *expected)
{
    struct mk_bytes rest = mk_bytes_of_string(text);
    struct mk_buffer found = MK_BUFFER_EMPTY;
    char host[64];
    uint16_t port;
    while (election_hello_next_address(&rest, host, sizeof host, &port))
        mk_buffer_print(&found, "%s %u;", host, port);
    assert_true(mk_bytes_equal_string(mk_buffer_bytes(&found), expected));
    mk_buffer_fini(&found);
}

static void test_addresses(void **state)
{
    (void)state;
    expect_addresses("a.example:3888", "a.example 3888;");
    expect_addresses("a:1|[::1]:2|b:65535", "a 1;::1 2;b 65535;");
    expect_addresses("0.0.0.0:3888|[::]:3888|[0:0:0:0:0:0:0:0]:1|c:3", "c 3;");
    expect_addresses("a|a:|:1|a:0|a:65536|a:-1|a:1x|a:123456||d:4|", "d 4;");
    expect_addresses("a b:1|a\x01:2|e:5", "e 5;");
    expect_addresses("[]:1|[f]:6", "f 6;");
    expect_addresses("0123456789012345678901234567890123456789012345678901234567890123:1|g:7",
                     "g 7;");
    expect_addresses("", "");
}

static void test_who_keeps_it(void **state)
{
    (void)state;
    const struct {
        bool dialled;
        int64_t own, other;
        enum election_tie tie;
    } table[] = {
        {true, 1, 2, ELECTION_WAIT},     {true, 2, 1, ELECTION_KEEP},
        {false, 1, 2, ELECTION_KEEP},    {false, 2, 1, ELECTION_DIAL_BACK},
        {false, 2, 2, ELECTION_SAME_ID}, {true, 2, 2, ELECTION_SAME_ID},
        {false, 3, 254, ELECTION_KEEP},  {true, 254, 3, ELECTION_KEEP},
    };
    for (size_t i = 0; i < MK_ARRAY_LENGTH(table); i++)
        assert_int_equal(election_tie(table[i].dialled, table[i].own, table[i].other),
                         table[i].tie);
    /* Whoever dials, exactly one of the two servers of a pair keeps a dialled connection. */
    for (int64_t a = 1; a < 5; a++)
        for (int64_t b = 1; b < 5; b++)
            if (a != b)
                assert_int_equal(election_tie(true, a, b) == ELECTION_KEEP,
                                 election_tie(false, b, a) == ELECTION_KEEP);
}

static void test_messages(void **state)
{
    (void)state;
    struct mk_bytes message = MK_BYTES_NULL;
    const uint8_t two[] = {0, 0, 0, 3, 'a', 'b', 'c', 0, 0, 0, 1, 'd'};
    for (size_t size = 0; size < 7; size++)
        assert_int_equal(election_message_read(two, size, &message), 0);
    assert_int_equal(election_message_read(two, sizeof two, &message), 7);
    assert_true(mk_bytes_equal_string(message, "abc"));
    assert_int_equal(election_message_read(two + 7, 5, &message), 5);
    assert_true(mk_bytes_equal_string(message, "d"));
    const uint32_t lengths[] = {0, 524289, INT32_MAX, 0x80000000, UINT32_MAX};
    for (size_t i = 0; i < MK_ARRAY_LENGTH(lengths); i++) {
        uint8_t bytes[4];
        mk_store_u32(bytes, lengths[i]);
        assert_int_equal(election_message_read(bytes, 4, &message), MK_ERR_CORRUPT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_captured),     cmocka_unit_test(test_old_and_new_versions),
        cmocka_unit_test(test_refused),      cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_who_keeps_it), cmocka_unit_test(test_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
