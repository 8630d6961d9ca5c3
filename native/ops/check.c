/* SPDX-License-Identifier: MIT */
/* Checks that several operations make: permissions, quotas, versions. Called while a write is
 * prepared or a read answered; owns nothing. */
#include "ops/op_int.h"

bool op_permits(const struct tree *tree, const struct op_settings *settings,
                const struct op_caller *caller, uint32_t acl, int32_t permissions)
{
    if (acl == ACL_OPEN_UNSAFE || settings->skip_acl)
        return true;
    return acl_allows(tree_acls(tree), acl, permissions, caller->identities);
}

#define EXCESS_LOOKED_AT 4

/* A multi may go beyond the same limit thousands of times. */
static struct op_quota_excess *excess_of(struct op_prepare *prepare,
                                         const struct op_quota_excess *excess)
{
    struct op_quota_excess *known = prepare->excess;
    for (int i = 0; known && i < EXCESS_LOOKED_AT; i++, known = known->next) {
        if (known->hard == excess->hard && known->of_bytes == excess->of_bytes &&
            mk_bytes_equal(known->path, excess->path))
            return known;
    }
    known = mk_arena_alloc(prepare->arena, sizeof *known);
    known->next = prepare->excess;
    prepare->excess = known;
    return known;
}

/* True if there is such a limit, and it is lower; that is noted. */
static bool is_beyond(struct op_prepare *prepare, struct op_quota_excess excess)
{
    if (excess.limit < 0 || excess.value <= excess.limit)
        return false;
    struct op_quota_excess *noted = excess_of(prepare, &excess);
    excess.next = noted->next;
    *noted = excess;
    return true;
}

int op_check_quota(struct op_prepare *prepare, struct mk_bytes path, int64_t count_more,
                   int64_t bytes_more)
{
    struct mk_bytes prefix;
    struct tree_quota quota;
    int64_t count, bytes;
    bool valid, enforced = prepare->settings->enforce_quota;
    if (!tree_quota_find(prepare->tree, path, &prefix, &quota, &count, &bytes, &valid))
        return 0;
    if (!valid)
        return enforced ? MK_ERR_MARSHALLING : 0;
    count += count_more;
    bytes += bytes_more;
    if (enforced &&
        ((count_more && is_beyond(prepare, (struct op_quota_excess){NULL, prefix, false, true,
                                                                    count, quota.count_hard})) ||
         (bytes_more && is_beyond(prepare, (struct op_quota_excess){NULL, prefix, true, true, bytes,
                                                                    quota.bytes_hard}))))
        return MK_ERR_QUOTA_EXCEEDED;
    if (count_more)
        is_beyond(prepare,
                  (struct op_quota_excess){NULL, prefix, false, false, count, quota.count});
    if (bytes_more)
        is_beyond(prepare, (struct op_quota_excess){NULL, prefix, true, false, bytes, quota.bytes});
    return 0;
}

void op_quota_rejected(struct op_prepare *prepare)
{
    struct op_quota_excess **at = &prepare->excess;
    while (*at) {
        if ((*at)->hard)
            at = &(*at)->next;
        else
            *at = (*at)->next;
    }
}

int op_next_version(int32_t current, int32_t expected, int32_t *next)
{
    if (expected != -1 && expected != current)
        return MK_ERR_BAD_VERSION;
    int32_t version = (int32_t)((uint32_t)current + 1);
    *next = version == -1 ? 0 : version;
    return 0;
}
