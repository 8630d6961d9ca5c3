/* SPDX-License-Identifier: MIT */
/* Proves that the jute reader stays inside its input, keeps its first error, reads odd counts
 * and lengths as Apache does, and never allocates what the input cannot hold; and that the
 * writer puts down exactly the bytes that it said it would. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/errors.gen.h"
#include "wire/records.gen.h"

static void reads_primitives_in_order(void **state)
{
    (void)state;
    static const uint8_t data[] = {0x07, 0xff, 0xff, 0xff, 0xfe, 0x80, 0, 0,   0,  0,
                                   0,    0,    0x01, 0,    0,    0,    2, 'h', 'i'};
    struct mk_reader reader;
    mk_reader_init(&reader, data, sizeof data, NULL);
    assert_true(mk_read_boolean(&reader));
    assert_int_equal(mk_read_int(&reader), -2);
    assert_true(mk_read_long(&reader) == INT64_MIN + 1);
    assert_int_equal(mk_reader_rest(&reader).length, 6);
    assert_true(mk_bytes_equal_string(mk_read_bytes(&reader), "hi"));
    assert_int_equal(mk_reader_left(&reader), 0);
    assert_int_equal(reader.error, 0);
}

static void bytes_borrow_from_the_input(void **state)
{
    (void)state;
    static const uint8_t data[] = {0, 0, 0, 1, 'x'};
    struct mk_reader reader;
    mk_reader_init(&reader, data, sizeof data, NULL);
    assert_ptr_equal(mk_read_bytes(&reader).data, data + 4);
}

static void error_is_sticky(void **state)
{
    (void)state;
    static const uint8_t data[] = {0, 0, 0, 9, 'a', 'b', 0, 0, 0, 1};
    struct mk_reader reader;
    mk_reader_init(&reader, data, sizeof data, NULL);
    assert_int_equal(mk_read_bytes(&reader).length, 0);
    assert_int_equal(reader.error, MK_ERR_MARSHALLING);
    assert_int_equal(mk_reader_left(&reader), 0);
    assert_int_equal(mk_read_int(&reader), 0);
    assert_true(mk_read_long(&reader) == 0);
    assert_false(mk_read_boolean(&reader));
    assert_int_equal(mk_read_bytes(&reader).length, 0);
    mk_reader_fail(&reader, MK_ERR_TOO_LARGE);
    assert_int_equal(reader.error, MK_ERR_MARSHALLING);
}

static void short_input_fails_at_every_length(void **state)
{
    (void)state;
    static const uint8_t data[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    for (size_t length = 0; length <= sizeof data; length++) {
        struct mk_reader reader;
        mk_reader_init(&reader, data, length, NULL);
        int64_t value = mk_read_long(&reader);
        assert_int_equal(reader.error, length < 8 ? MK_ERR_MARSHALLING : 0);
        assert_true(value == (length < 8 ? 0 : 0x0102030405060708));
    }
}

static struct mk_bytes read_with_length(int32_t length, int32_t length_max, int *error)
{
    uint8_t data[4 + 6] = {0, 0, 0, 0, 'a', 'b', 'c', 'd', 'e', 'f'};
    struct mk_reader reader;
    mk_store_int(data, length);
    mk_reader_init(&reader, data, sizeof data, NULL);
    reader.length_max = length_max;
    struct mk_bytes bytes = mk_read_bytes(&reader);
    *error = reader.error;
    bytes.data = NULL; /* points into this frame */
    return bytes;
}

static void length_of_bytes_is_checked(void **state)
{
    (void)state;
    int error;
    assert_int_equal(read_with_length(-1, INT32_MAX, &error).length, -1);
    assert_int_equal(error, 0);
    assert_int_equal(read_with_length(0, INT32_MAX, &error).length, 0);
    assert_int_equal(error, 0);
    assert_int_equal(read_with_length(6, INT32_MAX, &error).length, 6);
    assert_int_equal(error, 0);
    static const int32_t bad[] = {-2, INT32_MIN, 7, INT32_MAX};
    for (size_t i = 0; i < MK_ARRAY_LENGTH(bad); i++) {
        assert_int_equal(read_with_length(bad[i], INT32_MAX, &error).length, 0);
        assert_int_equal(error, MK_ERR_MARSHALLING);
    }
    assert_int_equal(read_with_length(5, 5, &error).length, 5);
    assert_int_equal(error, 0);
    assert_int_equal(read_with_length(6, 5, &error).length, 0);
    assert_int_equal(error, MK_ERR_TOO_LARGE);
}

static int32_t read_count(int32_t count, size_t left, size_t element_bytes_min, int *error)
{
    uint8_t data[4 + 64] = {0};
    struct mk_reader reader;
    mk_store_int(data, count);
    mk_reader_init(&reader, data, 4 + left, NULL);
    int32_t result = mk_read_count(&reader, element_bytes_min);
    *error = reader.error;
    return result;
}

static void count_is_bounded_by_what_is_left(void **state)
{
    (void)state;
    int error;
    assert_int_equal(read_count(-1, 0, 4, &error), -1);
    assert_int_equal(error, 0);
    assert_int_equal(read_count(-2, 0, 4, &error), 0);
    assert_int_equal(error, 0);
    assert_int_equal(read_count(INT32_MIN, 0, 4, &error), 0);
    assert_int_equal(error, 0);
    assert_int_equal(read_count(16, 64, 4, &error), 16);
    assert_int_equal(error, 0);
    assert_int_equal(read_count(17, 64, 4, &error), 0);
    assert_int_equal(error, MK_ERR_MARSHALLING);
    assert_int_equal(read_count(INT32_MAX, 64, 1, &error), 0);
    assert_int_equal(error, MK_ERR_MARSHALLING);
}

/* An arena is not given at all: a huge count must fail before anything is allocated. */
static void huge_counts_allocate_nothing(void **state)
{
    (void)state;
    uint8_t data[4 + 64] = {0x7f, 0xff, 0xff, 0xff};
    struct mk_reader reader;
    struct mk_bytes_vector strings;
    struct mk_acl_vector acl;
    struct mk_txn_vector txns;
    mk_reader_init(&reader, data, sizeof data, NULL);
    mk_bytes_vector_read(&reader, &strings);
    assert_int_equal(reader.error, MK_ERR_MARSHALLING);
    assert_int_equal(strings.count, 0);
    mk_store_int(data, 6); /* 6 * 12 bytes do not fit in 64 */
    mk_reader_init(&reader, data, sizeof data, NULL);
    mk_acl_vector_read(&reader, &acl);
    assert_int_equal(reader.error, MK_ERR_MARSHALLING);
    assert_int_equal(acl.count, 0);
    mk_store_int(data, 9); /* 9 * 8 bytes do not fit in 64 */
    mk_reader_init(&reader, data, sizeof data, NULL);
    mk_txn_vector_read(&reader, &txns);
    assert_int_equal(reader.error, MK_ERR_MARSHALLING);
    assert_int_equal(txns.count, 0);
}

static void vectors_read_into_the_arena(void **state)
{
    (void)state;
    struct mk_arena arena;
    struct mk_reader reader;
    struct mk_buffer buffer = MK_BUFFER_EMPTY;
    struct mk_bytes items[3] = {MK_BYTES("a"), MK_BYTES_NULL, MK_BYTES("")};
    struct mk_bytes_vector vector = {3, items}, result;
    mk_arena_init(&arena);
    mk_bytes_vector_write(&buffer, &vector);
    assert_int_equal(buffer.length, 4 + 5 + 4 + 4);
    mk_reader_init_bytes(&reader, mk_buffer_bytes(&buffer), &arena);
    mk_bytes_vector_read(&reader, &result);
    assert_int_equal(reader.error, 0);
    assert_int_equal(result.count, 3);
    for (int i = 0; i < 3; i++)
        assert_true(mk_bytes_equal(result.items[i], items[i]));
    mk_arena_fini(&arena);
    mk_buffer_fini(&buffer);
}

static void null_and_empty_vectors_differ(void **state)
{
    (void)state;
    struct mk_buffer buffer = MK_BUFFER_EMPTY;
    struct mk_acl_vector vector = {-1, NULL};
    mk_acl_vector_write(&buffer, &vector);
    vector.count = 0;
    mk_acl_vector_write(&buffer, &vector);
    static const uint8_t expected[] = {0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0};
    assert_int_equal(buffer.length, sizeof expected);
    assert_memory_equal(buffer.data, expected, sizeof expected);
    mk_buffer_fini(&buffer);
}

static void writers_append(void **state)
{
    (void)state;
    struct mk_buffer buffer = MK_BUFFER_EMPTY;
    mk_write_boolean(&buffer, true);
    mk_write_int(&buffer, -2);
    mk_write_long(&buffer, 3);
    mk_write_string(&buffer, "hi");
    mk_write_string(&buffer, NULL);
    mk_write_bytes(&buffer, MK_BYTES(""));
    static const uint8_t expected[] = {1,   0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 0,
                                       0,   0,    0,    3,    0,    0, 0, 2, 'h',
                                       'i', 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0};
    assert_int_equal(buffer.length, sizeof expected);
    assert_memory_equal(buffer.data, expected, sizeof expected);
    mk_buffer_fini(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_primitives_in_order),
        cmocka_unit_test(bytes_borrow_from_the_input),
        cmocka_unit_test(error_is_sticky),
        cmocka_unit_test(short_input_fails_at_every_length),
        cmocka_unit_test(length_of_bytes_is_checked),
        cmocka_unit_test(count_is_bounded_by_what_is_left),
        cmocka_unit_test(huge_counts_allocate_nothing),
        cmocka_unit_test(vectors_read_into_the_arena),
        cmocka_unit_test(null_and_empty_vectors_differ),
        cmocka_unit_test(writers_append),
    };
    return cmocka_run_group_tests_name("wire/jute", tests, NULL, NULL);
}
