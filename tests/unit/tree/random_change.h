/* SPDX-License-Identifier: MIT */
/* Random transactions as a leader would have prepared them for the tree at hand: they apply
 * without error there, and can be kept and replayed. The namespace is small, so that nodes come
 * and go under the same names. */
#ifndef TESTS_UNIT_TREE_RANDOM_CHANGE_H
#define TESTS_UNIT_TREE_RANDOM_CHANGE_H

#include "base/rand.h"
#include "tests/unit/tree/tree_test.h"

enum change_type {
    CHANGE_CREATE,
    CHANGE_DELETE,
    CHANGE_DATA,
    CHANGE_ACL,
    CHANGE_OPEN,
    CHANGE_CLOSE
};

#define CHANGE_PATH_MAX 64
#define CHANGE_DATA_MAX 40
#define CHANGE_SESSIONS 6

struct change {
    enum change_type type;
    char path[CHANGE_PATH_MAX];
    char data[CHANGE_DATA_MAX];
    int32_t data_length;
    int32_t perms;   /* of the only entry of the list; makes lists differ */
    int64_t owner;   /* or session */
    int32_t version; /* new version, or the parent's new count of creates */
    int64_t zxid;
    int64_t time_ms;
};

static inline struct mk_bytes change_path(const struct change *change)
{
    return mk_bytes_of_string(change->path);
}

static inline uint32_t change_acl(struct tree *tree, const struct change *change)
{
    if (change->perms < 0)
        return ACL_OPEN_UNSAFE;
    return intern_one(tree, change->perms, "digest", "user:secret");
}

struct ephemeral_paths {
    const struct tree *tree;
    struct mk_buffer paths; /* zero-terminated strings */
};

static inline void note_ephemeral(void *context, const struct znode *node)
{
    struct ephemeral_paths *list = context;
    tree_append_path(list->tree, node, &list->paths);
    mk_buffer_append(&list->paths, "", 1);
}

static inline void delete_ephemerals(struct tree *tree, int64_t session_id, int64_t zxid)
{
    struct ephemeral_paths list = {tree, MK_BUFFER_EMPTY};
    tree_ephemeral_visit(tree, session_id, note_ephemeral, &list);
    for (size_t at = 0; at < list.paths.length;) {
        const char *path = (const char *)list.paths.data + at;
        assert_int_equal(tree_delete(tree, text(path), zxid), 0);
        at += strlen(path) + 1;
    }
    mk_buffer_fini(&list.paths);
}

/* Applies a change. `result` is what the primitive said; 0 for sessions. */
static inline int apply_change(struct tree *tree, const struct change *change)
{
    struct mk_bytes data = {(const uint8_t *)change->data, change->data_length};
    uint32_t acl;
    int result = 0;
    switch (change->type) {
    case CHANGE_CREATE:
        acl = change_acl(tree, change);
        struct tree_create create = {.path = change_path(change),
                                     .data = data,
                                     .acl = acl,
                                     .owner = change->owner,
                                     .parent_cversion = change->version,
                                     .zxid = change->zxid,
                                     .time_ms = change->time_ms};
        result = tree_create(tree, &create);
        acl_release(tree_acls(tree), acl);
        break;
    case CHANGE_DELETE:
        result = tree_delete(tree, change_path(change), change->zxid);
        break;
    case CHANGE_DATA:
        result = tree_set_data(tree, change_path(change), data, change->version, change->zxid,
                               change->time_ms);
        break;
    case CHANGE_ACL:
        acl = change_acl(tree, change);
        result = tree_set_acl(tree, change_path(change), acl, change->version);
        acl_release(tree_acls(tree), acl);
        break;
    case CHANGE_OPEN:
        tree_session_add(tree, change->owner, change->version);
        break;
    case CHANGE_CLOSE:
        delete_ephemerals(tree, change->owner, change->zxid);
        tree_session_remove(tree, change->owner);
        break;
    }
    return result;
}

static inline void random_path(struct mk_rand *rand, char *path)
{
    size_t depth = 1 + mk_rand_below(rand, 4);
    for (size_t i = 0; i < depth; i++) {
        *path++ = '/';
        *path++ = (char)('a' + mk_rand_below(rand, 5));
    }
    *path = '\0';
}

static inline void random_data(struct mk_rand *rand, struct change *change)
{
    change->data_length = (int32_t)mk_rand_below(rand, CHANGE_DATA_MAX + 1) - 1;
    for (int32_t i = 0; i < change->data_length; i++)
        change->data[i] = (char)mk_rand_next(rand);
}

static inline int64_t random_owner(struct mk_rand *rand)
{
    switch (mk_rand_below(rand, 6)) {
    case 0:
        return TREE_OWNER_CONTAINER;
    case 1:
        return TREE_OWNER_TTL_MASK | (int64_t)(1 + mk_rand_below(rand, 1000));
    case 2:
    case 3:
        return 1 + (int64_t)mk_rand_below(rand, CHANGE_SESSIONS);
    default:
        return 0;
    }
}

/* Fills in what depends on the tree; false when the change cannot be. */
static inline bool change_fits(const struct tree *tree, struct change *change)
{
    struct mk_stat_persisted stat;
    int32_t timeout_ms;
    const struct znode *node = tree_find(tree, change_path(change));
    const struct znode *parent = tree_find(tree, path_parent(change_path(change)));
    switch (change->type) {
    case CHANGE_CREATE:
        if (node || !parent || tree_kind(tree_owner(tree, parent)) == ZNODE_EPHEMERAL)
            return false;
        tree_stat_persisted(tree, parent, &stat);
        change->version = stat.cversion + 1;
        return tree_kind(change->owner) != ZNODE_EPHEMERAL ||
               tree_session_find(tree, change->owner, &timeout_ms);
    case CHANGE_DELETE:
        return node && tree_child_count(tree, node) == 0;
    case CHANGE_DATA:
    case CHANGE_ACL:
        if (!node)
            return false;
        tree_stat_persisted(tree, node, &stat);
        change->version = 1 + (change->type == CHANGE_DATA ? stat.version : stat.aversion);
        return true;
    case CHANGE_OPEN:
        return !tree_session_find(tree, change->owner, &timeout_ms);
    case CHANGE_CLOSE:
        return tree_session_find(tree, change->owner, &timeout_ms);
    }
    return false;
}

static inline struct change random_change(const struct tree *tree, struct mk_rand *rand,
                                          int64_t zxid)
{
    static const enum change_type weights[] = {
        CHANGE_CREATE, CHANGE_CREATE, CHANGE_CREATE, CHANGE_CREATE, CHANGE_DELETE, CHANGE_DELETE,
        CHANGE_DELETE, CHANGE_DATA,   CHANGE_DATA,   CHANGE_ACL,    CHANGE_OPEN,   CHANGE_CLOSE};
    for (;;) {
        struct change change = {.type = weights[mk_rand_below(rand, MK_ARRAY_LENGTH(weights))],
                                .zxid = zxid,
                                .time_ms = 1000000 + zxid};
        if (change.type == CHANGE_CLOSE && mk_rand_below(rand, 3))
            continue;
        random_path(rand, change.path);
        random_data(rand, &change);
        change.perms = (int32_t)mk_rand_below(rand, 40) - 1;
        change.owner = random_owner(rand);
        if (change.type == CHANGE_OPEN || change.type == CHANGE_CLOSE) {
            change.owner = 1 + (int64_t)mk_rand_below(rand, CHANGE_SESSIONS);
            change.version = (int32_t)mk_rand_below(rand, 100000);
        }
        if (change_fits(tree, &change))
            return change;
    }
}

#endif
