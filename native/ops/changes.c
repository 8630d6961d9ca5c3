/* SPDX-License-Identifier: MIT */
/* The list of changes that applying a transaction makes for the watchers (op.h). Each item is
 * a user of the ACLs that decide who may see it, so they outlive the node. */
#include "ops/op_int.h"

#include "base/mem.h"

static struct op_change *changes_add(struct op_changes *changes)
{
    if (changes->count == changes->capacity) {
        changes->capacity = changes->capacity ? changes->capacity * 2 : 16;
        changes->items = mk_realloc(changes->items, changes->capacity * sizeof *changes->items);
    }
    return &changes->items[changes->count++];
}

void op_change_add(struct op_apply *apply, int32_t event_type, struct mk_bytes path, uint32_t acl,
                   uint32_t parent_acl)
{
    if (!apply->changes || apply->unwatched)
        return;
    struct acl_table *acls = tree_acls(apply->tree);
    acl_retain(acls, acl);
    acl_retain(acls, parent_acl);
    *changes_add(apply->changes) = (struct op_change){event_type, path, acl, parent_acl};
}

void op_event_add(struct op_changes *events, struct acl_table *acls, int32_t event_type,
                  struct mk_bytes path, uint32_t acl)
{
    acl_retain(acls, acl);
    *changes_add(events) = (struct op_change){event_type, path, acl, ACL_OPEN_UNSAFE};
}

void op_changes_clear(struct op_changes *changes, struct acl_table *acls)
{
    for (size_t i = 0; i < changes->count; i++) {
        acl_release(acls, changes->items[i].acl);
        acl_release(acls, changes->items[i].parent_acl);
    }
    changes->count = 0;
}

void op_changes_fini(struct op_changes *changes, struct acl_table *acls)
{
    op_changes_clear(changes, acls);
    mk_free(changes->items);
    *changes = (struct op_changes){NULL, 0, 0};
}
