/* SPDX-License-Identifier: MIT */
/* A tree with its view, watches and one caller, and short ways to send requests to native/ops as
 * a server does: prepare, apply, commit, reply. Included by tests/unit/ops; header only, each
 * test has its own copy. Every write checks that the digest that was promised when it was
 * prepared is the digest that the tree has afterwards. */
#ifndef TESTS_LIB_OP_FIXTURE_H
#define TESTS_LIB_OP_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ops/op.h"

#define UNUSED __attribute__((unused))
#define SESSION 0x100000000000001
#define OPEN_ACL "31:world:anyone"

struct fixture {
    struct tree *tree;
    struct view *view;
    struct watch_table *watches;
    struct op_settings settings;
    struct mk_arena arena;
    struct mk_id ids[8];
    struct mk_id_vector identities;
    int64_t session_id;
    int64_t zxid, time_ms;
    struct op_changes changes, events;
    struct mk_buffer request, txn, reply;
    int32_t txn_type;
    bool undecodable;
    struct mk_bytes create2_parts;        /* of the last prepare, in the arena */
    const struct op_quota_excess *excess; /* of the last prepare, in the arena */
    size_t reply_bytes_max;               /* of reads; 0: the default */
    uint64_t steps;                       /* of the last read */
};

static UNUSED void fixture_init(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    struct tree_options options = {.hash_seed = 42, .digest_enabled = true};
    f->tree = tree_new(&options);
    f->view = view_new(f->tree, &options);
    f->watches = watch_table_new(43);
    f->settings.extended_types = true;
    mk_arena_init(&f->arena);
    f->ids[0] = (struct mk_id){MK_BYTES("ip"), MK_BYTES("127.0.0.1")};
    f->identities = (struct mk_id_vector){1, f->ids};
    f->session_id = SESSION;
    f->zxid = 0x10;
    f->time_ms = 1000;
    tree_session_add(f->tree, SESSION, 30000);
}

static UNUSED void fixture_fini(struct fixture *f)
{
    tree_check(f->tree);
    op_changes_fini(&f->changes, tree_acls(f->tree));
    op_changes_fini(&f->events, tree_acls(f->tree));
    view_free(f->view);
    tree_free(f->tree);
    watch_table_free(f->watches);
    mk_arena_fini(&f->arena);
    mk_buffer_fini(&f->request);
    mk_buffer_fini(&f->txn);
    mk_buffer_fini(&f->reply);
}

static UNUSED void add_identity(struct fixture *f, const char *scheme, const char *id)
{
    f->ids[f->identities.count++] =
        (struct mk_id){mk_bytes_of_string(scheme), mk_bytes_of_string(id)};
}

/* Only the address is left. */
static UNUSED void forget_identities(struct fixture *f)
{
    f->identities.count = 1;
}

/* --- writing requests --------------------------------------------------------------------- */

static UNUSED struct mk_bytes text(const char *string)
{
    return string ? mk_bytes_of_string(string) : MK_BYTES_NULL;
}

/* "perms:scheme:id,perms:scheme:id" or NULL for a null list; "" is an empty one. An id "(null)"
 * or scheme "(null)" is null. */
static UNUSED struct mk_acl_vector acl_of(struct fixture *f, const char *list)
{
    if (!list)
        return (struct mk_acl_vector){-1, NULL};
    struct mk_acl_vector acl = {0, mk_arena_alloc(&f->arena, 64 * sizeof(struct mk_acl))};
    char *copy = mk_arena_copy(&f->arena, list, strlen(list) + 1);
    for (char *entry = copy, *next; entry && *entry; entry = next) {
        char *scheme = strchr(entry, ':') + 1, *id = strchr(scheme, ':');
        *id++ = 0;
        next = strchr(id, ',');
        if (next)
            *next++ = 0;
        acl.items[acl.count++] =
            (struct mk_acl){(int32_t)strtol(entry, NULL, 10),
                            {strcmp(scheme, "(null)") ? mk_bytes_of_string(scheme) : MK_BYTES_NULL,
                             strcmp(id, "(null)") ? mk_bytes_of_string(id) : MK_BYTES_NULL}};
    }
    return acl;
}

static UNUSED void put_create(struct fixture *f, const char *path, const char *data,
                              const char *acl, int32_t flags)
{
    mk_create_request_write(&f->request, &(struct mk_create_request){
                                             .path = text(path),
                                             .data = text(data),
                                             .acl = acl_of(f, acl),
                                             .flags = flags,
                                         });
}

static UNUSED void put_create_ttl(struct fixture *f, const char *path, int32_t flags, int64_t ttl)
{
    mk_create_ttl_request_write(&f->request, &(struct mk_create_ttl_request){
                                                 .path = text(path),
                                                 .data = text("x"),
                                                 .acl = acl_of(f, OPEN_ACL),
                                                 .flags = flags,
                                                 .ttl = ttl,
                                             });
}

static UNUSED void put_path(struct fixture *f, const char *path)
{
    mk_write_bytes(&f->request, text(path));
}

static UNUSED void put_path_int(struct fixture *f, const char *path, int32_t number)
{
    put_path(f, path);
    mk_write_int(&f->request, number);
}

static UNUSED void put_set_data(struct fixture *f, const char *path, const char *data,
                                int32_t version)
{
    put_path(f, path);
    mk_write_bytes(&f->request, text(data));
    mk_write_int(&f->request, version);
}

static UNUSED void put_set_acl(struct fixture *f, const char *path, const char *acl,
                               int32_t version)
{
    mk_set_acl_request_write(&f->request,
                             &(struct mk_set_acl_request){text(path), acl_of(f, acl), version});
}

static UNUSED void put_watch_read(struct fixture *f, const char *path, bool watch)
{
    put_path(f, path);
    mk_write_boolean(&f->request, watch);
}

/* Header of the next part of a multi; type -1 ends it. */
static UNUSED void put_part(struct fixture *f, int32_t type)
{
    mk_multi_header_write(&f->request, &(struct mk_multi_header){type, type == -1, -1});
}

/* --- sending them ------------------------------------------------------------------------- */

/* Only the first half of a write; the transaction is in f->txn. */
static UNUSED int prepare(struct fixture *f, int32_t op)
{
    struct op_prepare prepare = {
        .view = f->view,
        .tree = f->tree,
        .settings = &f->settings,
        .caller = {f->session_id, &f->identities},
        .zxid = ++f->zxid,
        .time_ms = f->time_ms,
        .arena = &f->arena,
    };
    struct mk_bytes request = mk_bytes_of(
        mk_arena_copy(&f->arena, f->request.data, f->request.length), f->request.length);
    struct mk_reader reader;
    mk_reader_init_bytes(&reader, request, &f->arena);
    mk_buffer_clear(&f->request);
    mk_buffer_clear(&f->txn);
    uint64_t digest = view_digest(f->view), size = view_size(f->view);
    int error = op_prepare(&prepare, op, &reader, &f->txn, &f->txn_type);
    f->undecodable = prepare.undecodable;
    f->create2_parts = prepare.create2_parts;
    f->excess = prepare.excess;
    if (error) {
        assert_int_equal(f->txn.length, 0);
        assert_true(digest == view_digest(f->view));
        assert_int_equal(size, view_size(f->view));
    }
    return error;
}

static UNUSED void apply_bytes(struct fixture *f, const struct mk_txn_header *header,
                               struct mk_bytes txn, struct op_result *result)
{
    struct op_apply apply = {.tree = f->tree, .arena = &f->arena, .changes = &f->changes};
    struct mk_reader reader;
    mk_reader_init_bytes(&reader, txn, &f->arena);
    assert_int_equal(op_apply(&apply, header, &reader, result), 0);
    assert_int_equal(mk_reader_left(&reader), 0);
}

/* Prepares, applies, commits; f->changes holds the changes, f->reply the reply record. */
static UNUSED int send_write(struct fixture *f, int32_t op)
{
    op_changes_clear(&f->changes, tree_acls(f->tree));
    mk_buffer_clear(&f->reply);
    int error = prepare(f, op);
    if (error)
        return error;
    uint64_t promised = view_digest(f->view);
    struct mk_txn_header header = {f->session_id, 1, f->zxid, f->time_ms, f->txn_type};
    struct op_result result;
    struct mk_bytes txn =
        mk_bytes_of(mk_arena_copy(&f->arena, f->txn.data, f->txn.length), f->txn.length);
    apply_bytes(f, &header, txn, &result);
    view_committed(f->view, f->zxid);
    assert_true(promised == tree_digest(f->tree));
    assert_true(promised == view_digest(f->view));
    assert_int_equal(view_size(f->view), 0);
    result.create2_parts = f->create2_parts;
    op_write_reply(&f->reply, op, &result);
    return result.error;
}

static UNUSED int send_read(struct fixture *f, int32_t op)
{
    op_changes_clear(&f->events, tree_acls(f->tree));
    mk_buffer_clear(&f->reply);
    struct op_read read = {
        .tree = f->tree,
        .settings = &f->settings,
        .caller = {f->session_id, &f->identities},
        .arena = &f->arena,
        .watches = f->watches,
        .watcher = 7,
        .events = &f->events,
        .reply_bytes_max = f->reply_bytes_max,
    };
    struct mk_bytes request = mk_bytes_of(
        mk_arena_copy(&f->arena, f->request.data, f->request.length), f->request.length);
    struct mk_reader reader;
    mk_reader_init_bytes(&reader, request, &f->arena);
    mk_buffer_clear(&f->request);
    int error = op_read(&read, op, &reader, &f->reply);
    f->steps = read.steps;
    return error;
}

/* --- short forms -------------------------------------------------------------------------- */

static UNUSED int create_with(struct fixture *f, const char *path, const char *acl, int32_t flags)
{
    put_create(f, path, "x", acl, flags);
    return send_write(f, MK_OP_CREATE);
}

static UNUSED int create(struct fixture *f, const char *path)
{
    return create_with(f, path, OPEN_ACL, MK_CREATE_PERSISTENT);
}

static UNUSED int delete_node(struct fixture *f, const char *path, int32_t version)
{
    put_path_int(f, path, version);
    return send_write(f, MK_OP_DELETE);
}

static UNUSED int set_data(struct fixture *f, const char *path, const char *data, int32_t version)
{
    put_set_data(f, path, data, version);
    return send_write(f, MK_OP_SET_DATA);
}

static UNUSED int set_acl(struct fixture *f, const char *path, const char *acl, int32_t version)
{
    put_set_acl(f, path, acl, version);
    return send_write(f, MK_OP_SET_ACL);
}

static UNUSED struct mk_stat stat_of(struct fixture *f, const char *path)
{
    struct mk_stat stat = {0};
    const struct znode *node = tree_find(f->tree, text(path));
    assert_non_null(node);
    tree_stat(f->tree, node, &stat);
    return stat;
}

static UNUSED bool is_there(struct fixture *f, const char *path)
{
    return tree_find(f->tree, text(path)) != NULL;
}

static UNUSED bool has_watch(struct fixture *f, const char *path, int32_t type)
{
    return watch_has(f->watches, 7, text(path), type);
}

/* Compares with hex digits; blanks in `hex` do not count. */
static UNUSED void assert_hex(const struct mk_buffer *buffer, const char *hex)
{
    static char seen[65536];
    static char wanted[65536];
    size_t length = 0;
    assert_true(buffer->length * 2 < sizeof seen && strlen(hex) < sizeof wanted);
    for (size_t i = 0; i < buffer->length; i++)
        snprintf(seen + 2 * i, 3, "%02x", buffer->data[i]);
    seen[2 * buffer->length] = 0;
    for (; *hex; hex++)
        if (*hex != ' ')
            wanted[length++] = *hex;
    wanted[length] = 0;
    assert_string_equal(seen, wanted);
}

/* The reply is one string. */
static UNUSED void assert_reply_path(struct fixture *f, const char *path)
{
    struct mk_reader reader;
    mk_reader_init(&reader, f->reply.data, f->reply.length, NULL);
    struct mk_bytes seen = mk_read_bytes(&reader);
    assert_int_equal(reader.error, 0);
    assert_true(mk_bytes_equal_string(seen, path));
}

/* "type path, type path": what the changes or events are, in order. */
static UNUSED void assert_changes(const struct op_changes *changes, const char *wanted)
{
    struct mk_buffer seen = MK_BUFFER_EMPTY;
    for (size_t i = 0; i < changes->count; i++)
        mk_buffer_print(&seen, "%s%d %.*s", i ? ", " : "", changes->items[i].event_type,
                        (int)changes->items[i].path.length, changes->items[i].path.data);
    mk_buffer_append(&seen, "", 1);
    assert_string_equal((const char *)seen.data, wanted);
    mk_buffer_fini(&seen);
}

#endif
