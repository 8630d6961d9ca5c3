/* SPDX-License-Identifier: MIT */
/* The requests and expectations of replica_fixture.h; included at the end of
 * replica_fixture.c. */
#include "tests/lib/replica_fixture.h"

/* --- requests
 * -------------------------------------------------------------------------------------- */

void request_write(struct mk_buffer *buffer, int32_t xid, int32_t op, struct mk_bytes body)
{
    size_t begin = mk_frame_begin(buffer);
    mk_request_header_write(buffer, &(struct mk_request_header){.xid = xid, .type = op});
    mk_buffer_append_bytes(buffer, body);
    mk_frame_end(buffer, begin);
}

static void send_with_xid(struct world *world, uint32_t number, int32_t xid, int32_t op,
                          struct mk_bytes body)
{
    struct mk_buffer frame = MK_BUFFER_EMPTY;
    request_write(&frame, xid, op, body);
    peer_send(world, number, frame.data, frame.length);
    mk_buffer_fini(&frame);
}

int32_t send_raw(struct world *world, uint32_t number, int32_t op, struct mk_bytes body)
{
    int32_t xid = ++world->peers[number].xid;
    send_with_xid(world, number, xid, op, body);
    return xid;
}

/* Frees the body. */
static int32_t send_body(struct world *world, uint32_t number, int32_t op, struct mk_buffer *body)
{
    int32_t xid = send_raw(world, number, op, mk_buffer_bytes(body));
    mk_buffer_fini(body);
    mk_arena_reset(&world->arena);
    return xid;
}

static struct mk_bytes text_of(const char *text)
{
    return text ? mk_bytes_of_string(text) : MK_BYTES_NULL;
}

/* "perms:scheme:id,..." */
struct mk_acl_vector acl_parse(struct world *world, const char *list)
{
    struct mk_acl_vector acl = {0, mk_arena_alloc(&world->arena, 16 * sizeof(struct mk_acl))};
    char *copy = mk_arena_copy(&world->arena, list, strlen(list) + 1);
    for (char *entry = copy, *next; entry && *entry; entry = next) {
        char *scheme = strchr(entry, ':') + 1, *id = strchr(scheme, ':');
        *id++ = 0;
        next = strchr(id, ',');
        if (next)
            *next++ = 0;
        assert_true(acl.count < 16);
        acl.items[acl.count++] = (struct mk_acl){
            (int32_t)strtol(entry, NULL, 10), {mk_bytes_of_string(scheme), mk_bytes_of_string(id)}};
    }
    return acl;
}

int32_t send_create(struct world *world, uint32_t number, const char *path, const char *data,
                    int32_t flags)
{
    struct mk_buffer body = MK_BUFFER_EMPTY;
    mk_create_request_write(&body, &(struct mk_create_request){text_of(path), text_of(data),
                                                               acl_parse(world, OPEN_ACL), flags});
    return send_body(world, number, MK_OP_CREATE, &body);
}

int32_t send_create_acl(struct world *world, uint32_t number, const char *path, const char *acl)
{
    struct mk_buffer body = MK_BUFFER_EMPTY;
    mk_create_request_write(
        &body, &(struct mk_create_request){text_of(path), MK_BYTES("x"), acl_parse(world, acl), 0});
    return send_body(world, number, MK_OP_CREATE, &body);
}

int32_t send_create_op(struct world *world, uint32_t number, int32_t op, const char *path,
                       int32_t flags, int64_t ttl)
{
    struct mk_buffer body = MK_BUFFER_EMPTY;
    struct mk_create_ttl_request request = {text_of(path), MK_BYTES("x"),
                                            acl_parse(world, OPEN_ACL), flags, ttl};
    mk_create_ttl_request_write(&body, &request); /* the others ignore what follows */
    return send_body(world, number, op, &body);
}

int32_t send_delete(struct world *world, uint32_t number, const char *path)
{
    struct mk_buffer body = MK_BUFFER_EMPTY;
    mk_delete_request_write(&body, &(struct mk_delete_request){text_of(path), -1});
    return send_body(world, number, MK_OP_DELETE, &body);
}

int32_t send_set(struct world *world, uint32_t number, const char *path, const char *data,
                 int32_t version)
{
    struct mk_buffer body = MK_BUFFER_EMPTY;
    mk_set_data_request_write(&body,
                              &(struct mk_set_data_request){text_of(path), text_of(data), version});
    return send_body(world, number, MK_OP_SET_DATA, &body);
}

int32_t send_set_acl(struct world *world, uint32_t number, const char *path, const char *acl)
{
    struct mk_buffer body = MK_BUFFER_EMPTY;
    mk_set_acl_request_write(
        &body, &(struct mk_set_acl_request){text_of(path), acl_parse(world, acl), -1});
    return send_body(world, number, MK_OP_SET_ACL, &body);
}

static int32_t send_watching(struct world *world, uint32_t number, int32_t op, const char *path,
                             bool watch)
{
    struct mk_buffer body = MK_BUFFER_EMPTY;
    mk_get_data_request_write(&body, &(struct mk_get_data_request){text_of(path), watch});
    return send_body(world, number, op, &body);
}

int32_t send_get(struct world *world, uint32_t number, const char *path, bool watch)
{
    return send_watching(world, number, MK_OP_GET_DATA, path, watch);
}

int32_t send_exists(struct world *world, uint32_t number, const char *path, bool watch)
{
    return send_watching(world, number, MK_OP_EXISTS, path, watch);
}

int32_t send_children(struct world *world, uint32_t number, const char *path, bool watch)
{
    return send_watching(world, number, MK_OP_GET_CHILDREN, path, watch);
}

int32_t send_add_watch(struct world *world, uint32_t number, const char *path, int32_t mode)
{
    struct mk_buffer body = MK_BUFFER_EMPTY;
    mk_add_watch_request_write(&body, &(struct mk_add_watch_request){text_of(path), mode});
    return send_body(world, number, MK_OP_ADD_WATCH, &body);
}

int32_t send_sync(struct world *world, uint32_t number, const char *path)
{
    struct mk_buffer body = MK_BUFFER_EMPTY;
    mk_sync_request_write(&body, &(struct mk_sync_request){text_of(path)});
    return send_body(world, number, MK_OP_SYNC, &body);
}

void send_ping(struct world *world, uint32_t number)
{
    send_with_xid(world, number, MK_XID_PING, MK_OP_PING, MK_BYTES_NULL);
}

int32_t send_close(struct world *world, uint32_t number)
{
    return send_raw(world, number, MK_OP_CLOSE_SESSION, MK_BYTES_NULL);
}

void send_auth(struct world *world, uint32_t number, const char *scheme, const char *credentials)
{
    struct mk_buffer body = MK_BUFFER_EMPTY;
    mk_auth_packet_write(&body, &(struct mk_auth_packet){0, text_of(scheme), text_of(credentials)});
    send_with_xid(world, number, MK_XID_AUTH, MK_OP_AUTH, mk_buffer_bytes(&body));
    mk_buffer_fini(&body);
}

/* --- replies
 * ----------------------------------------------------------------------------------------- */

static struct mk_reply_header receive_header(struct world *world, uint32_t number)
{
    struct mk_reply_header header = {0, 0, 0};
    if (!peer_receive(world, number))
        fail_msg("connection %u: no frame", number);
    mk_reader_init(&world->body, world->frame.data, world->frame.length, &world->arena);
    mk_reply_header_read(&world->body, &header);
    assert_int_equal(world->body.error, 0);
    return header;
}

int64_t expect_reply(struct world *world, uint32_t number, int32_t xid, int32_t error)
{
    struct mk_reply_header header = receive_header(world, number);
    assert_int_equal(header.xid, xid);
    assert_int_equal(header.err, error);
    if (error)
        expect_end_of_body(world);
    return header.zxid;
}

void expect_end_of_body(struct world *world)
{
    assert_int_equal(world->body.error, 0);
    assert_int_equal(mk_reader_left(&world->body), 0);
}

int64_t expect_event(struct world *world, uint32_t number, int32_t type, const char *path)
{
    struct mk_reply_header header = receive_header(world, number);
    struct mk_watcher_event event;
    mk_watcher_event_read(&world->body, &event);
    expect_end_of_body(world);
    assert_int_equal(header.xid, -1);
    assert_int_equal(header.err, 0);
    assert_int_equal(event.type, type);
    assert_int_equal(event.state, 3);
    if (!mk_bytes_equal_string(event.path, path))
        fail_msg("event for %.*s, not %s", (int)event.path.length, (const char *)event.path.data,
                 path);
    return header.zxid;
}

int64_t expect_data(struct world *world, uint32_t number, int32_t xid, const char *text)
{
    int64_t zxid = expect_reply(world, number, xid, 0);
    struct mk_get_data_response response;
    mk_get_data_response_read(&world->body, &response);
    expect_end_of_body(world);
    if (!mk_bytes_equal_string(response.data, text))
        fail_msg("data \"%.*s\", not \"%s\"", (int)response.data.length,
                 (const char *)response.data.data, text);
    return zxid;
}

int64_t create(struct world *world, uint32_t number, const char *path, int32_t flags)
{
    return expect_reply(world, number, send_create(world, number, path, "x", flags), 0);
}

int64_t set(struct world *world, uint32_t number, const char *path, const char *data)
{
    return expect_reply(world, number, send_set(world, number, path, data, -1), 0);
}

bool tree_has(struct world *world, const char *path)
{
    return tree_find(replica_tree(world->replica), mk_bytes_of_string(path)) != NULL;
}
