/* SPDX-License-Identifier: MIT */
/* Purging; see purge.h and the storage reference, section 10. Snapshots go before logs and old
 * ones before new ones, with a directory sync in between: whatever a crash leaves, every
 * snapshot that is still there and was to be kept has its log. */
#include "log/purge.h"

#include "log/names.h"
#include "log/snapfile.h"
#include "wire/errors.gen.h"

static int verify(struct store *snapshots, const char *name, struct log_error *error)
{
    struct snapfile_walk walk;
    struct snapfile_info info;
    snapfile_walk_init(&walk);
    return snapfile_read(snapshots, name, snapfile_walk_body, &walk, &info, error);
}

static int remove_counted(struct store *store, const char *name, uint64_t *count, uint64_t *bytes,
                          struct log_error *error)
{
    struct store_file *file;
    int64_t size = 0;
    if (store_open(store, name, STORE_READ, &file, NULL) == 0) {
        size = store_size(file, NULL);
        store_close(file);
    }
    int result = store_remove(store, name, error);
    if (result == 0) {
        *bytes += size > 0 ? (uint64_t)size : 0;
        ++*count;
    }
    return result;
}

/* *oldest = zxid of the oldest snapshot to keep, -1 if there are not more than `keep`. */
static int choose(struct store *snapshots, const struct log_names *names, int keep,
                  int64_t committed_zxid, int64_t *oldest, struct log_error *error)
{
    int kept = 0;
    *oldest = -1;
    for (size_t i = names->count; i > 0; i--) {
        const struct log_name *name = &names->items[i - 1];
        if (name->zxid > committed_zxid)
            continue;
        int result = snapfile_looks_valid(snapshots, name->name, error);
        if (result < 0)
            return result;
        if (result == 0)
            continue;
        if (kept == 0) {
            result = verify(snapshots, name->name, error);
            if (result < 0)
                return result;
        }
        if (++kept == keep) {
            *oldest = name->zxid;
            break;
        }
    }
    return 0;
}

static int purge_snapshots(const struct log_stores *stores, const struct log_names *names,
                           struct log_purge_result *result, struct log_error *error)
{
    int status = 0;
    for (size_t i = 0; i < names->count && status == 0; i++) {
        if (names->items[i].zxid < result->oldest_kept_zxid)
            status = remove_counted(stores->snapshots, names->items[i].name, &result->snapshots,
                                    &result->bytes, error);
    }
    if (status == 0 && result->snapshots)
        status = store_sync_directory(stores->snapshots, error);
    return status;
}

static int purge_logs(const struct log_stores *stores, struct log_purge_result *result,
                      struct log_error *error)
{
    struct log_names names;
    int status = log_names_list(stores->logs, LOG_KIND_LOG, &names, error);
    /* The newest log that begins at or below the oldest snapshot may reach beyond it. */
    for (size_t i = 0; status == 0 && i + 1 < names.count; i++) {
        if (names.items[i + 1].zxid > result->oldest_kept_zxid)
            break;
        status =
            remove_counted(stores->logs, names.items[i].name, &result->logs, &result->bytes, error);
    }
    log_names_fini(&names);
    if (status == 0 && result->logs)
        status = store_sync_directory(stores->logs, error);
    return status;
}

int log_purge(const struct log_stores *stores, int keep, int64_t committed_zxid,
              struct log_purge_result *result, struct log_error *error)
{
    struct log_names names;
    *result = (struct log_purge_result){.oldest_kept_zxid = -1};
    int status = log_names_list(stores->snapshots, LOG_KIND_SNAPSHOT, &names, error);
    if (status < 0)
        return status;
    status = choose(stores->snapshots, &names, MK_MAX(keep, LOG_PURGE_KEEP_MIN), committed_zxid,
                    &result->oldest_kept_zxid, error);
    /* What stands in the directory must be durable before what it replaces goes. */
    if (status == 0 && result->oldest_kept_zxid >= 0)
        status = store_sync_directory(stores->snapshots, error);
    if (status == 0 && result->oldest_kept_zxid >= 0) {
        status = purge_snapshots(stores, &names, result, error);
        if (status == 0)
            status = purge_logs(stores, result, error);
    }
    log_names_fini(&names);
    return status;
}
