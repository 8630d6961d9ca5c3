/* SPDX-License-Identifier: MIT */
/* Checks that several operations make: permissions, quotas, versions. Called while a write is
 * prepared or a read answered; owns nothing. */
#include "ops/op_int.h"

bool op_permits(const struct tree *tree, const struct op_settings *settings,
                const struct op_caller *caller, uint32_t acl, int32_t permissions)
{
    if (acl == ACL_OPEN_UNSAFE || settings->skip_acl)
        return true;
    return acl_permits(acl_get(tree_acls(tree), acl), permissions, caller->identities);
}

int op_check_quota(const struct op_prepare *prepare, struct mk_bytes path, int64_t count_more,
                   int64_t bytes_more)
{
    if (!prepare->settings->enforce_quota)
        return 0;
    struct mk_bytes prefix;
    struct tree_quota quota;
    int64_t used_count, used_bytes;
    bool valid;
    if (!tree_quota_find(prepare->tree, path, &prefix, &quota, &used_count, &used_bytes, &valid))
        return 0;
    if (!valid)
        return MK_ERR_MARSHALLING;
    if (count_more && quota.count_hard >= 0 && used_count + count_more > quota.count_hard)
        return MK_ERR_QUOTA_EXCEEDED;
    if (bytes_more && quota.bytes_hard >= 0 && used_bytes + bytes_more > quota.bytes_hard)
        return MK_ERR_QUOTA_EXCEEDED;
    return 0;
}

int op_next_version(int32_t current, int32_t expected, int32_t *next)
{
    if (expected != -1 && expected != current)
        return MK_ERR_BAD_VERSION;
    int32_t version = (int32_t)((uint32_t)current + 1);
    *next = version == -1 ? 0 : version;
    return 0;
}
