/* SPDX-License-Identifier: MIT */
/* Fuzzes the operations: the input is a conversation, each request one byte for the opcode, one
 * for the session (low bits) and how many transactions may wait to be applied (high bits),
 * two for the length, then the record. Asserts that whatever is prepared can be applied with
 * the digest that was promised, that the answer to a multi can be read, that no read changes the
 * tree, and that the tree is sound at the end. */
#include "ops/op.h"
#include "tree/tree.h"

#define SESSION_FIRST 0x100000000000001
#define REQUESTS_MAX 200
#define FLIGHT_MAX 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct flight {
    struct mk_txn_header header;
    struct mk_bytes txn;
    uint64_t digest;
    int32_t op;
    struct mk_bytes create2_parts; /* in the arena */
};

struct conversation {
    struct tree *tree;
    struct view *view;
    struct watch_table *watches;
    struct mk_arena arena;
    struct op_settings settings;
    struct mk_id ids[2];
    struct mk_id_vector identities;
    struct op_changes changes;
    struct mk_buffer txn, reply;
    struct flight queue[FLIGHT_MAX];
    size_t queued;
    int64_t zxid;
};

static const int32_t op_numbers[] = {
    MK_OP_CREATE,        MK_OP_CREATE2,        MK_OP_CREATE_CONTAINER,
    MK_OP_CREATE_TTL,    MK_OP_DELETE,         MK_OP_DELETE_CONTAINER,
    MK_OP_SET_DATA,      MK_OP_SET_ACL,        MK_OP_MULTI,
    MK_OP_RECONFIG,      MK_OP_CLOSE_SESSION,  MK_OP_EXISTS,
    MK_OP_GET_DATA,      MK_OP_GET_ACL,        MK_OP_GET_CHILDREN,
    MK_OP_GET_CHILDREN2, MK_OP_GET_EPHEMERALS, MK_OP_GET_ALL_CHILDREN_NUMBER,
    MK_OP_MULTI_READ,    MK_OP_WHO_AM_I,       MK_OP_SYNC,
    MK_OP_ADD_WATCH,     MK_OP_CHECK_WATCHES,  MK_OP_REMOVE_WATCHES,
    MK_OP_SET_WATCHES,   MK_OP_SET_WATCHES2,   MK_OP_PING,
};

static void begin(struct conversation *c)
{
    struct tree_options options = {.hash_seed = 1, .digest_enabled = true};
    c->tree = tree_new(&options);
    c->view = view_new(c->tree, &options);
    c->watches = watch_table_new(2);
    mk_arena_init(&c->arena);
    c->settings = (struct op_settings){.extended_types = true, .enforce_quota = true};
    c->ids[0] = (struct mk_id){MK_BYTES("ip"), MK_BYTES("127.0.0.1")};
    c->ids[1] = (struct mk_id){MK_BYTES("digest"), MK_BYTES("u:h")};
    c->identities = (struct mk_id_vector){2, c->ids};
    c->zxid = 1;
    for (int i = 0; i < 4; i++)
        tree_session_add(c->tree, SESSION_FIRST + i, 1000);
}

static void end(struct conversation *c)
{
    tree_check(c->tree);
    op_changes_fini(&c->changes, tree_acls(c->tree));
    view_free(c->view);
    tree_free(c->tree);
    watch_table_free(c->watches);
    mk_arena_fini(&c->arena);
    mk_buffer_fini(&c->txn);
    mk_buffer_fini(&c->reply);
}

/* One part, and whether it is what was asked for. */
static void check_part(struct mk_reader *reader, const struct mk_multi_header *header,
                       bool asked_create2)
{
    struct mk_create_response create;
    struct mk_create2_response create2;
    struct mk_set_data_response set_data;
    struct mk_error_response error;
    MK_ASSERT(!asked_create2 || header->type == MK_OP_CREATE2); /* so are TTL nodes told */
    if (header->type == MK_OP_ERROR)
        mk_error_response_read(reader, &error);
    else if (header->type == MK_OP_CREATE)
        mk_create_response_read(reader, &create);
    else if (header->type == MK_OP_CREATE2)
        mk_create2_response_read(reader, &create2);
    else if (header->type == MK_OP_SET_DATA)
        mk_set_data_response_read(reader, &set_data);
    else
        MK_ASSERT(header->type == MK_OP_DELETE || header->type == MK_OP_CHECK);
}

static void check_multi_reply(struct conversation *c, struct mk_bytes create2_parts)
{
    struct mk_reader reader;
    mk_reader_init(&reader, c->reply.data, c->reply.length, &c->arena);
    for (int32_t i = 0;; i++) {
        struct mk_multi_header header;
        mk_multi_header_read(&reader, &header);
        MK_ASSERT(!reader.error);
        if (header.done) {
            MK_ASSERT(create2_parts.length < 0 || create2_parts.length == i);
            break;
        }
        bool failed = header.type == MK_OP_ERROR;
        check_part(&reader, &header,
                   !failed && i < create2_parts.length && create2_parts.data[i] != 0);
    }
    MK_ASSERT(!reader.error && mk_reader_left(&reader) == 0);
}

static void apply_oldest(struct conversation *c)
{
    struct flight *flight = &c->queue[0];
    struct op_apply apply = {.tree = c->tree, .arena = &c->arena, .changes = &c->changes};
    struct op_result result;
    struct mk_reader reader;
    mk_reader_init_bytes(&reader, flight->txn, &c->arena);
    MK_ASSERT(op_apply(&apply, &flight->header, &reader, &result) == 0);
    MK_ASSERT(result.error == 0);
    MK_ASSERT(mk_reader_left(&reader) == 0);
    view_committed(c->view, flight->header.zxid);
    MK_ASSERT(tree_digest(c->tree) == flight->digest);
    mk_buffer_clear(&c->reply);
    result.create2_parts = flight->create2_parts;
    op_write_reply(&c->reply, flight->op, &result);
    if (flight->op == MK_OP_MULTI)
        check_multi_reply(c, flight->create2_parts);
    op_changes_clear(&c->changes, tree_acls(c->tree));
    memmove(c->queue, c->queue + 1, --c->queued * sizeof *c->queue);
}

static void write_request(struct conversation *c, int32_t op, int64_t session_id,
                          struct mk_bytes request)
{
    struct op_prepare prepare = {.view = c->view,
                                 .tree = c->tree,
                                 .settings = &c->settings,
                                 .caller = {session_id, &c->identities},
                                 .zxid = ++c->zxid,
                                 .time_ms = c->zxid * 10,
                                 .arena = &c->arena};
    struct mk_reader reader;
    int32_t type = op;
    int error = 0;
    uint64_t digest = view_digest(c->view);
    mk_buffer_clear(&c->txn);
    mk_reader_init_bytes(&reader, request, &c->arena);
    if (op == MK_OP_CLOSE_SESSION) {
        prepare.create2_parts = MK_BYTES_NULL;
        op_prepare_close_session(&prepare, session_id, &c->txn);
    } else
        error = op_prepare(&prepare, op, &reader, &c->txn, &type);
    if (error) {
        MK_ASSERT(c->txn.length == 0);
        MK_ASSERT(digest == view_digest(c->view));
        return;
    }
    if (c->queued == FLIGHT_MAX)
        apply_oldest(c);
    c->queue[c->queued++] = (struct flight){
        {session_id, 0, c->zxid, c->zxid * 10, type},
        mk_bytes_of(mk_arena_copy(&c->arena, c->txn.data, c->txn.length), c->txn.length),
        view_digest(c->view),
        op,
        prepare.create2_parts};
}

static void read_request(struct conversation *c, int32_t op, int64_t session_id,
                         struct mk_bytes request)
{
    struct op_read read = {.tree = c->tree,
                           .settings = &c->settings,
                           .caller = {session_id, &c->identities},
                           .arena = &c->arena,
                           .watches = c->watches,
                           .watcher = (uint32_t)(session_id & 3),
                           .events = &c->changes};
    struct mk_reader reader;
    uint64_t digest = tree_digest(c->tree);
    mk_buffer_clear(&c->reply);
    mk_reader_init_bytes(&reader, request, &c->arena);
    op_read(&read, op, &reader, &c->reply);
    MK_ASSERT(digest == tree_digest(c->tree));
    op_changes_clear(&c->changes, tree_acls(c->tree));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conversation *c = &(struct conversation){.zxid = 0};
    begin(c);
    for (int count = 0; size >= 4 && count < REQUESTS_MAX; count++) {
        int32_t op = op_numbers[data[0] % MK_ARRAY_LENGTH(op_numbers)];
        int64_t session_id = SESSION_FIRST + (data[1] & 3);
        size_t waiting = data[1] >> 4;
        size_t length = MK_MIN((size_t)(data[2] << 8 | data[3]), size - 4);
        struct mk_bytes request = mk_bytes_of(data + 4, length);
        const struct mk_op_info *info = mk_op_find(op);
        if (info->kind == MK_KIND_READ || info->kind == MK_KIND_BARRIER)
            read_request(c, op, session_id, request);
        else
            write_request(c, op, session_id, request);
        while (c->queued > waiting)
            apply_oldest(c);
        data += 4 + length;
        size -= 4 + length;
    }
    while (c->queued)
        apply_oldest(c);
    end(c);
    return 0;
}
