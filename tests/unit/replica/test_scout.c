/* SPDX-License-Identifier: MIT */
/* Looking ahead at pipelined frames (scout.c) changes no answer: in a tree that is large enough for
 * it, batches of good, odd and broken requests get the answers that each would get alone, and
 * random ones those of a server that never looks ahead. */
#include "tests/lib/replica_fixture.c"

#include "base/rand.h"

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

/* --- random batches --------------------------------------------------------------------------- */

static const int32_t random_ops[] = {
    MK_OP_CREATE,       MK_OP_CREATE2,       MK_OP_DELETE, MK_OP_SET_DATA,   MK_OP_EXISTS,
    MK_OP_GET_DATA,     MK_OP_GET_CHILDREN2, MK_OP_SYNC,   MK_OP_CREATE_TTL, MK_OP_MULTI,
    MK_OP_SET_WATCHES2, MK_OP_GET_ACL,       MK_OP_CHECK,  MK_OP_WHO_AM_I,   12345};

static void random_path(struct mk_rand *rand, char *path, size_t size)
{
    static const char *const odd[] = {"/", "", "/n", "n0", "/n0//", "/zookeeper/quota", "/n1/"};
    if (mk_rand_below(rand, 8) == 0)
        snprintf(path, size, "%s", odd[mk_rand_below(rand, MK_ARRAY_LENGTH(odd))]);
    else
        snprintf(path, size, "/n%d", (int)mk_rand_below(rand, 20));
}

/* A create's record serves all: they begin with a path, and what does not fit is an error. */
static void random_request(struct mk_rand *rand, struct world *world, struct mk_buffer *batch,
                           int32_t xid)
{
    char path[64];
    random_path(rand, path, sizeof path);
    int32_t op = random_ops[mk_rand_below(rand, MK_ARRAY_LENGTH(random_ops))];
    struct mk_buffer body = MK_BUFFER_EMPTY;
    if (op == MK_OP_SET_DATA)
        mk_set_data_request_write(
            &body, &(struct mk_set_data_request){mk_bytes_of_string(path), MK_BYTES("new"), -1});
    else
        mk_create_request_write(&body,
                                &(struct mk_create_request){mk_bytes_of_string(path), MK_BYTES("x"),
                                                            acl_parse(world, OPEN_ACL), 0});
    if (mk_rand_below(rand, 16) == 0) /* a lie about a length, or the record cut short */
        body.data[mk_rand_below(rand, 4)] ^= (uint8_t)(1u << mk_rand_below(rand, 8));
    if (mk_rand_below(rand, 16) == 0)
        body.length = mk_rand_below(rand, body.length);
    request_write(batch, xid, op, mk_buffer_bytes(&body));
    mk_buffer_fini(&body);
}

/* The answers, all of them. */
static void receive_all(struct world *world, struct mk_buffer *answers)
{
    while (peer_receive(world, 0))
        mk_buffer_append(answers, world->frame.data, world->frame.length);
}

static void test_random_batches(void **state)
{
    struct world *worlds[2];
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        void *prepared;
        assert_int_equal(world_prepare(&prepared), 0);
        worlds[i] = prepared;
        worlds[i]->options.scout_znodes_min = i == 0 ? 0 : UINT32_MAX;
        world_start(worlds[i]);
    }
    struct mk_rand rand;
    mk_rand_init(&rand, 20);
    size_t answered = 0;
    for (int round = 0; round < 400; round++) {
        for (size_t i = 0; i < 2; i++) {
            if (!worlds[i]->peers[0].open)
                session_open(worlds[i], 0);
        }
        struct mk_buffer batch = MK_BUFFER_EMPTY, answers[2] = {MK_BUFFER_EMPTY, MK_BUFFER_EMPTY};
        int count = 1 + (int)mk_rand_below(&rand, 40);
        for (int i = 0; i < count; i++)
            random_request(&rand, worlds[0], &batch, round * 100 + i + 1);
        for (size_t i = 0; i < 2; i++) {
            peer_send(worlds[i], 0, batch.data, batch.length);
            receive_all(worlds[i], &answers[i]);
        }
        assert_int_equal(worlds[0]->peers[0].open, worlds[1]->peers[0].open);
        assert_int_equal(answers[0].length, answers[1].length);
        if (answers[0].length > 0)
            assert_memory_equal(answers[0].data, answers[1].data, answers[0].length);
        answered += answers[0].length;
        mk_buffer_fini(&batch);
        mk_buffer_fini(&answers[0]);
        mk_buffer_fini(&answers[1]);
    }
    assert_true(answered > 50000);
    assert_true(tree_digest(replica_tree(worlds[0]->replica)) ==
                tree_digest(replica_tree(worlds[1]->replica)));
    for (size_t i = 0; i < 2; i++) {
        void *finished = worlds[i];
        world_teardown(&finished);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_batches, world_setup, world_teardown),
        cmocka_unit_test(test_random_batches),
        cmocka_unit_test_setup_teardown(test_odd_paths, world_setup, world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
