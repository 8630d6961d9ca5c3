/* SPDX-License-Identifier: MIT */
/* From the ACL that a client asks for to the one that is stored (client-protocol reference,
 * 8.5): create and setACL call it before anything else is looked at. Knows the built-in
 * schemes world, auth, digest and ip; every other one is refused. Owns nothing; results are
 * in the request's arena. */
#include "ops/op_int.h"

#include <stdlib.h>

/* A list is bounded by the frame it came in, its expansion by this. */
#define STORED_BYTES_MAX (1u << 20)

struct acl_entry {
    const struct mk_acl *acl;
    int32_t position;
    bool duplicate;
};

static int bytes_compare(struct mk_bytes a, struct mk_bytes b)
{
    if (a.length != b.length)
        return a.length < b.length ? -1 : 1;
    return a.length > 0 ? memcmp(a.data, b.data, (size_t)a.length) : 0;
}

static int content_compare(const struct mk_acl *a, const struct mk_acl *b)
{
    if (a->perms != b->perms)
        return a->perms < b->perms ? -1 : 1;
    int order = bytes_compare(a->id.scheme, b->id.scheme);
    return order ? order : bytes_compare(a->id.id, b->id.id);
}

static int entry_by_content(const void *left, const void *right)
{
    const struct acl_entry *a = left, *b = right;
    int order = content_compare(a->acl, b->acl);
    return order ? order : (a->position > b->position) - (a->position < b->position);
}

static int entry_by_position(const void *left, const void *right)
{
    const struct acl_entry *a = left, *b = right;
    return (a->position > b->position) - (a->position < b->position);
}

/* Marks all but the first of equal entries, in n log n: the list comes from outside. */
static struct acl_entry *find_duplicates(const struct mk_acl_vector *wanted, struct mk_arena *arena)
{
    size_t count = (size_t)wanted->count;
    struct acl_entry *entries = mk_arena_alloc(arena, count * sizeof *entries);
    for (size_t i = 0; i < count; i++)
        entries[i] = (struct acl_entry){&wanted->items[i], (int32_t)i, false};
    if (count == 1)
        return entries;
    qsort(entries, count, sizeof *entries, entry_by_content);
    for (size_t i = 1; i < count; i++)
        entries[i].duplicate = content_compare(entries[i - 1].acl, entries[i].acl) == 0;
    qsort(entries, count, sizeof *entries, entry_by_position);
    return entries;
}

/* "user:hash": two parts, the second not empty; colons at the end do not count. */
static bool digest_id_is_valid(struct mk_bytes id)
{
    size_t length = mk_bytes_size(id);
    while (length && id.data[length - 1] == ':')
        length--;
    size_t colons = 0;
    for (size_t i = 0; i < length; i++)
        colons += id.data[i] == ':';
    return colons == 1;
}

/* An entry of any scheme but "auth". */
static int check_entry(const struct mk_id *id)
{
    if (mk_bytes_equal_string(id->scheme, "world")) {
        if (id->id.length < 0)
            return MK_ERR_MARSHALLING;
        return mk_bytes_equal_string(id->id, "anyone") ? 0 : MK_ERR_INVALID_ACL;
    }
    bool digest = mk_bytes_equal_string(id->scheme, "digest");
    if (!digest && !mk_bytes_equal_string(id->scheme, "ip"))
        return MK_ERR_INVALID_ACL;
    if (id->id.length < 0)
        return MK_ERR_MARSHALLING;
    bool valid = digest ? digest_id_is_valid(id->id) : acl_ip_is_valid(id->id);
    return valid ? 0 : MK_ERR_INVALID_ACL;
}

/* Identities that scheme "auth" stands for: those that were proved, so neither the address
 * nor the mark of a super user. */
static bool is_proved(const struct mk_id *identity)
{
    return !mk_bytes_equal_string(identity->scheme, "ip") &&
           !mk_bytes_equal_string(identity->scheme, "world") &&
           !mk_bytes_equal_string(identity->scheme, "super");
}

static int32_t count_proved(const struct mk_id_vector *identities)
{
    int32_t count = 0;
    for (int32_t i = 0; i < identities->count; i++)
        count += is_proved(&identities->items[i]);
    return count;
}

int op_fixup_acl(const struct mk_acl_vector *wanted, const struct mk_id_vector *identities,
                 struct mk_arena *arena, struct mk_acl_vector *stored)
{
    if (wanted->count <= 0)
        return MK_ERR_INVALID_ACL;
    const struct acl_entry *entries = find_duplicates(wanted, arena);
    int32_t proved = count_proved(identities);
    size_t proved_bytes = mk_id_vector_size(identities);
    size_t count = 0, bytes = 0;
    for (int32_t i = 0; i < wanted->count; i++) {
        const struct mk_id *id = &entries[i].acl->id;
        if (entries[i].duplicate)
            continue;
        if (id->scheme.length < 0)
            return MK_ERR_INVALID_ACL;
        if (!mk_bytes_equal_string(id->scheme, "auth")) {
            int error = check_entry(id);
            if (error)
                return error;
            count++;
            bytes += mk_acl_size(entries[i].acl);
            continue;
        }
        count += (size_t)proved;
        bytes += (size_t)proved * 4 + proved_bytes;
        if (!proved || bytes > STORED_BYTES_MAX)
            return MK_ERR_INVALID_ACL;
    }

    struct mk_acl *items = mk_arena_alloc(arena, count * sizeof *items);
    size_t used = 0;
    for (int32_t i = 0; i < wanted->count; i++) {
        const struct mk_acl *acl = entries[i].acl;
        if (entries[i].duplicate)
            continue;
        if (!mk_bytes_equal_string(acl->id.scheme, "auth")) {
            items[used++] = *acl;
            continue;
        }
        for (int32_t j = 0; j < identities->count; j++)
            if (is_proved(&identities->items[j]))
                items[used++] = (struct mk_acl){acl->perms, identities->items[j]};
    }
    MK_ASSERT(used == count);
    *stored = (struct mk_acl_vector){(int32_t)count, items};
    return 0;
}
