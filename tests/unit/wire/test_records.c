/* SPDX-License-Identifier: MIT */
/* Proves that the generated C codec puts fields where the protocol has them (golden bytes by
 * hand, field by field), what absent fields read as, and that the tables of opcodes and errors
 * answer. All golden bytes: test_vectors.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/errors.gen.h"
#include "wire/ops.gen.h"
#include "wire/records.gen.h"

static void stat_is_a_run_of_stores(void **state)
{
    (void)state;
    static const uint8_t expected[MK_STAT_BYTES] = {
        0, 0,    0,    0, 0,    0,    0, 0x13, 0, 0, 0,    0, 0,    0,    0,    0x14, 0,
        0, 0x01, 0xa2, 0, 0xd8, 0x39, 3, 0,    0, 1, 0xa2, 0, 0xd8, 0x39, 0x0c, 0,    0,
        0, 1,    0,    0, 0,    2,    0, 0,    0, 3, 1,    0, 0,    0x0f, 0x2e, 0x85, 0,
        0, 0,    0,    0, 4,    0,    0, 0,    5, 0, 0,    0, 0,    0,    0,    0,    0x16};
    const struct mk_stat stat = {.czxid = 0x13,
                                 .mzxid = 0x14,
                                 .ctime = 1795310500099,
                                 .mtime = 1795310500108,
                                 .version = 1,
                                 .cversion = 2,
                                 .aversion = 3,
                                 .ephemeral_owner = 0x100000f2e850000,
                                 .data_length = 4,
                                 .num_children = 5,
                                 .pzxid = 0x16};
    struct mk_buffer buffer = MK_BUFFER_EMPTY;
    mk_stat_write(&buffer, &stat);
    assert_int_equal(buffer.length, 68);
    assert_memory_equal(buffer.data, expected, sizeof expected);
    struct mk_reader reader;
    struct mk_stat read;
    mk_reader_init_bytes(&reader, mk_buffer_bytes(&buffer), NULL);
    mk_stat_read(&reader, &read);
    assert_int_equal(reader.error, 0);
    assert_true(read.czxid == stat.czxid && read.mzxid == stat.mzxid);
    assert_true(read.ctime == stat.ctime && read.mtime == stat.mtime);
    assert_true(read.version == 1 && read.cversion == 2 && read.aversion == 3);
    assert_true(read.ephemeral_owner == stat.ephemeral_owner && read.pzxid == 0x16);
    assert_true(read.data_length == 4 && read.num_children == 5);
    mk_reader_init(&reader, buffer.data, 67, NULL);
    mk_stat_read(&reader, &read);
    assert_int_equal(reader.error, MK_ERR_MARSHALLING);
    assert_true(read.czxid == 0 && read.pzxid == 0);
    mk_buffer_fini(&buffer);
}

static void create_request_reads_field_by_field(void **state)
{
    (void)state;
    static const uint8_t frame[] =
        "\0\0\0\x01\0\0\0\x01\0\0\0\x02/a\0\0\0\x01x\0\0\0\x01\0\0\0\x1f\0\0\0\x05world"
        "\0\0\0\x06"
        "anyone\0\0\0\0";
    struct mk_arena arena;
    struct mk_reader reader;
    struct mk_request_header header;
    struct mk_create_request request;
    mk_arena_init(&arena);
    mk_reader_init(&reader, frame, sizeof frame - 1, &arena);
    mk_request_header_read(&reader, &header);
    mk_create_request_read(&reader, &request);
    assert_int_equal(reader.error, 0);
    assert_int_equal(mk_reader_left(&reader), 0);
    assert_int_equal(header.xid, 1);
    assert_int_equal(header.type, MK_OP_CREATE);
    assert_true(mk_bytes_equal_string(request.path, "/a"));
    assert_true(mk_bytes_equal_string(request.data, "x"));
    assert_int_equal(request.acl.count, 1);
    assert_int_equal(request.acl.items[0].perms, MK_PERM_ALL);
    assert_true(mk_bytes_equal_string(request.acl.items[0].id.scheme, "world"));
    assert_true(mk_bytes_equal_string(request.acl.items[0].id.id, "anyone"));
    assert_int_equal(request.flags, MK_CREATE_PERSISTENT);
    assert_int_equal(mk_create_request_size(&request) + MK_REQUEST_HEADER_BYTES, 0x32);
    mk_arena_fini(&arena);
}

static void connect_mirrors_the_read_only_byte(void **state)
{
    (void)state;
    uint8_t password[16] = {0};
    struct mk_connect_response response = {
        .timeout = 10000, .session_id = 1, .password = mk_bytes_of(password, 16)};
    struct mk_connect_request request;
    struct mk_reader reader;
    uint8_t data[45] = {0};
    mk_store_int(data + 24, 16);
    data[44] = 1;
    for (size_t length = 44; length <= 45; length++) {
        mk_reader_init(&reader, data, length, NULL);
        mk_connect_request_read(&reader, &request);
        assert_int_equal(reader.error, 0);
        assert_int_equal(request.has_read_only, length == 45);
        assert_int_equal(request.read_only, length == 45);
        response.has_read_only = request.has_read_only;
        assert_int_equal(mk_connect_response_size(&response), length - 8);
    }
    mk_reader_init(&reader, data, 43, NULL);
    mk_connect_request_read(&reader, &request);
    assert_int_equal(reader.error, MK_ERR_MARSHALLING);
}

static void missing_fields_have_defaults(void **state)
{
    (void)state;
    struct mk_create_txn txn = {.path = MK_BYTES("/a"),
                                .data = MK_BYTES_NULL,
                                .acl = {-1, NULL},
                                .ephemeral = true,
                                .parent_cversion = 7};
    struct mk_create_txn read;
    struct mk_reader reader;
    struct mk_buffer buffer = MK_BUFFER_EMPTY;
    mk_create_txn_write(&buffer, &txn);
    mk_reader_init(&reader, buffer.data, buffer.length, NULL);
    mk_create_txn_read(&reader, &read);
    assert_int_equal(reader.error, 0);
    assert_int_equal(read.parent_cversion, 7);
    assert_int_equal(read.data.length, -1);
    assert_int_equal(read.acl.count, -1);
    mk_reader_init(&reader, buffer.data, buffer.length - 4, NULL);
    mk_create_txn_read(&reader, &read);
    assert_int_equal(reader.error, 0);
    assert_int_equal(read.parent_cversion, -1);
    mk_buffer_fini(&buffer);
}

static void opcodes_are_found(void **state)
{
    (void)state;
    for (unsigned i = 0; i < MK_OP_COUNT; i++) {
        const struct mk_op_info *info = mk_op_at(i);
        assert_ptr_equal(mk_op_find(info->number), info);
    }
    assert_null(mk_op_at(MK_OP_COUNT));
    static const int32_t unknown[] = {0, 10, 23, 99, 108, -2, -9, -12, INT32_MIN, INT32_MAX};
    for (size_t i = 0; i < MK_ARRAY_LENGTH(unknown); i++)
        assert_null(mk_op_find(unknown[i]));
    const struct mk_op_info *create = mk_op_find(1);
    assert_string_equal(create->name, "create");
    assert_int_equal(create->kind, MK_KIND_WRITE);
    assert_int_equal(create->request, MK_RECORD_CREATE_REQUEST);
    assert_int_equal(create->txn, MK_RECORD_CREATE_TXN);
    assert_int_equal(create->permission, MK_PERM_CREATE);
    assert_int_equal(create->subject, MK_SUBJECT_PARENT);
    assert_true(create->in_multi && !create->in_multi_read);
    assert_int_equal(mk_op_find(MK_OP_GET_ACL)->permission, MK_PERM_READ | MK_PERM_ADMIN);
    assert_int_equal(mk_op_find(MK_OP_MULTI)->request, MK_RECORD_NONE);
    assert_int_equal(mk_op_find(MK_OP_CREATE_SESSION)->kind, MK_KIND_INTERNAL);
}

static void errors_have_names(void **state)
{
    (void)state;
    assert_string_equal(mk_error_name(MK_ERR_NO_NODE), "NoNode");
    assert_string_equal(mk_error_name(0), "Ok");
    assert_string_equal(mk_error_text(MK_ERR_BAD_VERSION), "version does not match");
    assert_string_equal(mk_error_name(-4711), "Unknown");
    assert_int_equal(MK_ERR_NO_NODE, -101);
    assert_int_equal(MK_ERR_THROTTLED_OP, -127);
    assert_true(MK_ERR_TRUNCATED < -1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stat_is_a_run_of_stores),
        cmocka_unit_test(create_request_reads_field_by_field),
        cmocka_unit_test(connect_mirrors_the_read_only_byte),
        cmocka_unit_test(missing_fields_have_defaults),
        cmocka_unit_test(opcodes_are_found),
        cmocka_unit_test(errors_have_names),
    };
    return cmocka_run_group_tests_name("wire/records", tests, NULL, NULL);
}
