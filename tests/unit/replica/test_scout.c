/* SPDX-License-Identifier: MIT */
/* Looking ahead at pipelined frames (scout.c) changes no answer: in a tree that is large enough for
 * it, batches of good, odd and broken requests get the answers that each would get alone. */
#include "tests/lib/replica_fixture.c"

#define ZNODES 20100 /* beyond the bound from which it looks ahead */

static void make_znodes(struct world *world)
{
    char path[64];
    for (int i = 0; i < ZNODES; i++) {
        snprintf(path, sizeof path, "/n%05d", i);
        create(world, 0, path, 0);
    }
}

static void add_get(struct mk_buffer *batch, int32_t xid, struct mk_bytes path)
{
    struct mk_buffer body = MK_BUFFER_EMPTY;
    mk_get_data_request_write(&body, &(struct mk_get_data_request){.path = path});
    request_write(batch, xid, MK_OP_GET_DATA, mk_buffer_bytes(&body));
    mk_buffer_fini(&body);
}

static void add_set(struct mk_buffer *batch, int32_t xid, const char *path, const char *text)
{
    struct mk_buffer body = MK_BUFFER_EMPTY;
    mk_set_data_request_write(&body, &(struct mk_set_data_request){.path = mk_bytes_of_string(path),
                                                                   .data = mk_bytes_of_string(text),
                                                                   .version = -1});
    request_write(batch, xid, MK_OP_SET_DATA, mk_buffer_bytes(&body));
    mk_buffer_fini(&body);
}

/* More frames than one look ahead covers, in one piece. */
static void test_batches(void **state)
{
    struct world *world = *state;
    session_open(world, 0);
    make_znodes(world);
    char path[64], text[64];
    int32_t xid = 1000, first = 1000;
    for (int round = 0; round < 50; round++) {
        struct mk_buffer batch = MK_BUFFER_EMPTY;
        for (int i = 0; i < 20; i++) {
            snprintf(path, sizeof path, "/n%05d", (round * 977 + i * 13) % ZNODES);
            snprintf(text, sizeof text, "%d-%d", round, i);
            add_set(&batch, xid++, path, text);
            add_get(&batch, xid++, mk_bytes_of_string(path));
        }
        peer_send(world, 0, batch.data, batch.length);
        mk_buffer_fini(&batch);
        for (int i = 0; i < 20; i++) {
            snprintf(text, sizeof text, "%d-%d", round, i);
            expect_reply(world, 0, first++, 0);
            expect_data(world, 0, first++, text);
        }
    }
}

static void test_odd_paths(void **state)
{
    static const char *const odd[] = {"",      "/",  "foo",      "foo/bar",
                                      "/a//b", "//", "/n00001/", "/none"};
    struct world *world = *state;
    session_open(world, 0);
    make_znodes(world);
    struct mk_buffer batch = MK_BUFFER_EMPTY;
    int32_t xid = 1000, first = 1000;
    for (size_t i = 0; i < MK_ARRAY_LENGTH(odd); i++)
        add_get(&batch, xid++, mk_bytes_of_string(odd[i]));
    add_get(&batch, xid++, MK_BYTES_NULL);
    request_write(&batch, xid++, MK_OP_GET_DATA, MK_BYTES("\x7f\xff\xff\xff/")); /* a lie */
    request_write(&batch, xid++, MK_OP_SET_DATA, MK_BYTES(""));
    peer_send(world, 0, batch.data, batch.length);
    mk_buffer_fini(&batch);
    for (size_t i = 0; i < MK_ARRAY_LENGTH(odd); i++) {
        bool is_root = strcmp(odd[i], "") == 0 || strcmp(odd[i], "/") == 0;
        expect_reply(world, 0, first++, is_root ? 0 : MK_ERR_NO_NODE);
    }
    for (int i = 0; i < 3; i++)
        expect_reply(world, 0, first++, MK_ERR_MARSHALLING);
    tree_check(replica_tree(world->replica));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_batches, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_odd_paths, world_setup, world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
