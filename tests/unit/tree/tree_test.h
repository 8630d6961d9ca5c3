/* SPDX-License-Identifier: MIT */
/* What the tests of the tree share: building trees, comparing two of them completely, reading
 * files, and applying the transactions of a log with the tree's own primitives. */
#ifndef TESTS_UNIT_TREE_TREE_TEST_H
#define TESTS_UNIT_TREE_TREE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tree/path.h"
#include "tree/snapshot.h"
#include "tree/tree.h"
#include "wire/errors.gen.h"
#include "wire/ops.gen.h"

#define STORAGE_VECTORS MK_SOURCE_DIR "/tests/vectors/storage/"

static inline struct mk_bytes text(const char *string)
{
    return string ? mk_bytes_of_string(string) : MK_BYTES_NULL;
}

static inline struct tree *new_tree(void)
{
    struct tree_options options = {.hash_seed = 42, .digest_enabled = true};
    return tree_new(&options);
}

/* A list with one entry, interned; the caller releases it. */
static inline uint32_t intern_one(struct tree *tree, int32_t perms, const char *scheme,
                                  const char *id)
{
    struct mk_acl item = {perms, {text(scheme), text(id)}};
    struct mk_acl_vector acl = {1, &item};
    return acl_intern(tree_acls(tree), &acl);
}

static inline int create_as(struct tree *tree, const char *path, const char *data, int64_t owner,
                            int64_t zxid)
{
    uint32_t acl = intern_one(tree, 31, "world", "anyone");
    struct tree_create create = {.path = text(path),
                                 .data = text(data),
                                 .acl = acl,
                                 .owner = owner,
                                 .parent_cversion = -1,
                                 .zxid = zxid,
                                 .time_ms = 1000 + zxid};
    int result = tree_create(tree, &create);
    acl_release(tree_acls(tree), acl);
    return result;
}

static inline int create(struct tree *tree, const char *path, const char *data, int64_t zxid)
{
    return create_as(tree, path, data, 0, zxid);
}

static inline struct mk_stat stat_of(const struct tree *tree, const char *path)
{
    struct mk_stat stat;
    const struct znode *node = tree_find(tree, text(path));
    assert_non_null(node);
    tree_stat(tree, node, &stat);
    return stat;
}

static inline void assert_bytes(struct mk_bytes actual, const char *expected)
{
    assert_int_equal(actual.length, text(expected).length);
    if (expected)
        assert_memory_equal(actual.data, expected, (size_t)actual.length);
}

/* --- whole trees ------------------------------------------------------------------------- */

static inline void assert_acl_equal(const struct tree *a, uint32_t acl_a, const struct tree *b,
                                    uint32_t acl_b)
{
    const struct mk_acl_vector *x = acl_get(tree_acls(a), acl_a);
    const struct mk_acl_vector *y = acl_get(tree_acls(b), acl_b);
    assert_non_null(x);
    assert_non_null(y);
    assert_int_equal(x->count, y->count);
    for (int32_t i = 0; i < x->count; i++) {
        assert_int_equal(x->items[i].perms, y->items[i].perms);
        assert_true(mk_bytes_equal(x->items[i].id.scheme, y->items[i].id.scheme));
        assert_true(mk_bytes_equal(x->items[i].id.id, y->items[i].id.id));
    }
}

static inline bool is_volatile(struct mk_bytes path)
{
    return mk_bytes_equal_string(path_name(path), "zookeeper_stats");
}

/* Every node of `a` is in `b` with the same data, ACL and Stat. */
static inline void assert_contained(const struct tree *a, const struct tree *b)
{
    struct mk_buffer path = MK_BUFFER_EMPTY;
    const struct znode *node = tree_root(a);
    while (node) {
        mk_buffer_clear(&path);
        tree_append_path(a, node, &path);
        const struct znode *other = tree_find(b, mk_buffer_bytes(&path));
        if (!other)
            fail_msg("missing: %.*s", (int)path.length, (const char *)path.data);
        struct mk_stat_persisted x;
        struct mk_stat_persisted y;
        tree_stat_persisted(a, node, &x);
        tree_stat_persisted(b, other, &y);
        if (mk_bytes_equal_string(mk_buffer_bytes(&path), "/zookeeper/config"))
            x.mtime = y.mtime; /* local to each server */
        if (memcmp(&x, &y, sizeof x) != 0)
            fail_msg("Stat differs: %.*s", (int)path.length, (const char *)path.data);
        assert_true(is_volatile(mk_buffer_bytes(&path)) ||
                    mk_bytes_equal(znode_data(node), znode_data(other)));
        assert_acl_equal(a, znode_acl(node), b, znode_acl(other));
        assert_int_equal(tree_child_count(a, node), tree_child_count(b, other));
        const struct znode *next = tree_first_child(a, node);
        while (!next && node) {
            next = tree_next_sibling(a, node);
            node = tree_parent(a, node);
        }
        node = next;
    }
    mk_buffer_fini(&path);
}

struct session_check {
    const struct tree *other;
};

static inline void assert_session(void *context, int64_t session_id, int32_t timeout_ms)
{
    const struct session_check *check = context;
    int32_t other_timeout_ms;
    assert_true(tree_session_find(check->other, session_id, &other_timeout_ms));
    assert_int_equal(timeout_ms, other_timeout_ms);
}

static inline void assert_trees_equal(const struct tree *a, const struct tree *b)
{
    assert_int_equal(tree_node_count(a), tree_node_count(b));
    assert_contained(a, b);
    assert_int_equal(tree_session_count(a), tree_session_count(b));
    struct session_check check = {b};
    tree_session_visit(a, assert_session, &check);
    assert_int_equal(tree_digest(a), tree_digest(b));
    assert_int_equal(tree_ephemeral_count(a), tree_ephemeral_count(b));
}

/* --- files and snapshots ----------------------------------------------------------------- */

static inline struct mk_buffer read_file(const char *path)
{
    struct mk_buffer content = MK_BUFFER_EMPTY;
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t count;
    do {
        count = fread(mk_buffer_reserve(&content, 65536), 1, 65536, file);
        content.length += count;
    } while (count > 0);
    fclose(file);
    return content;
}

/* Feeds a body in slices of at most `slice` new bytes; the result of the last feed. */
static inline int load_body(struct tree *tree, const uint8_t *data, size_t size, size_t slice,
                            size_t *consumed)
{
    struct tree_loader *loader = tree_loader_begin(tree);
    const char *reason = NULL;
    size_t start = 0;
    size_t end = 0;
    int result = 0;
    while (result == 0 && end < size) {
        size_t taken;
        end = MK_MIN(size, end + slice);
        result = tree_loader_feed(loader, data + start, end - start, &taken, &reason);
        start += taken;
    }
    tree_loader_end(loader);
    if (result < 0)
        assert_non_null(reason);
    *consumed = start;
    return result;
}

/* --- transactions ------------------------------------------------------------------------ */

struct txn_context {
    struct tree *tree;
    struct mk_txn_header header;
    struct mk_arena arena;
};

static inline void apply_create(struct txn_context *context, struct mk_bytes path,
                                struct mk_bytes data, const struct mk_acl_vector *acl,
                                int32_t parent_cversion, int64_t owner)
{
    uint32_t reference = acl_intern(tree_acls(context->tree), acl);
    struct tree_create create = {.path = path,
                                 .data = data,
                                 .acl = reference,
                                 .owner = owner,
                                 .parent_cversion = parent_cversion,
                                 .zxid = context->header.zxid,
                                 .time_ms = context->header.time};
    (void)tree_create(context->tree, &create); /* replay: what is there already stays */
    acl_release(tree_acls(context->tree), reference);
}

static inline void apply_set_acl(struct txn_context *context, const struct mk_set_acl_txn *txn)
{
    uint32_t reference = acl_intern(tree_acls(context->tree), &txn->acl);
    (void)tree_set_acl(context->tree, txn->path, reference, txn->version);
    acl_release(tree_acls(context->tree), reference);
}

static inline void apply_multi(struct txn_context *context, struct mk_reader *reader);

static inline void apply_close_session(struct txn_context *context, struct mk_reader *reader)
{
    struct mk_close_session_txn txn;
    mk_close_session_txn_read(reader, &txn);
    for (int32_t i = 0; i < txn.paths_to_delete.count; i++)
        (void)tree_delete(context->tree, txn.paths_to_delete.items[i], context->header.zxid);
    tree_session_remove(context->tree, context->header.client_id);
}

static inline void apply_create_of(struct txn_context *context, int32_t type,
                                   struct mk_reader *reader)
{
    if (type == MK_OP_CREATE_CONTAINER) {
        struct mk_create_container_txn txn;
        mk_create_container_txn_read(reader, &txn);
        apply_create(context, txn.path, txn.data, &txn.acl, txn.parent_cversion,
                     TREE_OWNER_CONTAINER);
    } else if (type == MK_OP_CREATE_TTL) {
        struct mk_create_ttl_txn txn;
        mk_create_ttl_txn_read(reader, &txn);
        apply_create(context, txn.path, txn.data, &txn.acl, txn.parent_cversion,
                     TREE_OWNER_TTL_MASK | txn.ttl);
    } else {
        struct mk_create_txn txn;
        mk_create_txn_read(reader, &txn);
        apply_create(context, txn.path, txn.data, &txn.acl, txn.parent_cversion,
                     txn.ephemeral ? context->header.client_id : 0);
    }
}

static inline void apply_txn(struct txn_context *context, int32_t type, struct mk_reader *reader)
{
    struct mk_delete_txn delete_txn;
    struct mk_set_data_txn set_data;
    struct mk_set_acl_txn set_acl;
    struct mk_create_session_txn create_session;
    switch (type) {
    case MK_OP_CREATE:
    case MK_OP_CREATE2:
    case MK_OP_CREATE_CONTAINER:
    case MK_OP_CREATE_TTL:
        apply_create_of(context, type, reader);
        break;
    case MK_OP_DELETE:
    case MK_OP_DELETE_CONTAINER:
        mk_delete_txn_read(reader, &delete_txn);
        (void)tree_delete(context->tree, delete_txn.path, context->header.zxid);
        break;
    case MK_OP_SET_DATA:
    case MK_OP_RECONFIG:
        mk_set_data_txn_read(reader, &set_data);
        (void)tree_set_data(context->tree, set_data.path, set_data.data, set_data.version,
                            context->header.zxid, context->header.time);
        break;
    case MK_OP_SET_ACL:
        mk_set_acl_txn_read(reader, &set_acl);
        apply_set_acl(context, &set_acl);
        break;
    case MK_OP_MULTI:
        apply_multi(context, reader);
        break;
    case MK_OP_CREATE_SESSION:
        mk_create_session_txn_read(reader, &create_session);
        tree_session_add(context->tree, context->header.client_id, create_session.timeout);
        break;
    case MK_OP_CLOSE_SESSION:
        apply_close_session(context, reader);
        break;
    default:
        assert_true(type == MK_OP_CHECK || type == MK_OP_ERROR);
    }
    assert_int_equal(reader->error, 0);
}

static inline void apply_multi(struct txn_context *context, struct mk_reader *reader)
{
    struct mk_multi_txn multi;
    mk_multi_txn_read(reader, &multi);
    for (int32_t i = 0; i < multi.txns.count; i++)
        if (multi.txns.items[i].type == MK_OP_ERROR)
            return; /* a failed multi changes nothing */
    for (int32_t i = 0; i < multi.txns.count; i++) {
        struct mk_reader part;
        mk_reader_init_bytes(&part, multi.txns.items[i].data, &context->arena);
        apply_txn(context, multi.txns.items[i].type, &part);
    }
}

#endif
