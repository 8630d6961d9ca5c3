/* SPDX-License-Identifier: MIT */
/* The data directory of a server: opened, locked, recovered into the replica at start, given
 * back at the end. Called by server.c on the loop's thread, before and after everything
 * else. Refuses with the whole story (what, which file, where, what to do) rather than
 * start from less than what is there. */
#include "server/server_int.h"

#include "base/mem.h"
#include "log/epochs.h"
#include "log/recover.h"
#include "server/disk.h"
#include "server/snapshots.h"
#include "server/store_ahead.h"
#include "server/store_filter.h"
#include "server/store_posix.h"
#include "tree/snapshot.h"
#include "wire/errors.gen.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

#define VERSION_DIRECTORY "version-2"
#define PATH_BYTES 4096
#define PROGRESS_EVERY_NS (5ull * 1000 * 1000 * 1000)

static int fail(struct server_error *error, const struct log_error *cause)
{
    error->code = cause->code;
    snprintf(error->text, sizeof error->text, "%s", cause->text);
    return cause->code;
}

/* --- opening --------------------------------------------------------------------------------- */

static int open_directory(const char *parent, struct store **store, struct log_error *cause)
{
    char path[PATH_BYTES];
    if (snprintf(path, sizeof path, "%s/" VERSION_DIRECTORY, parent) >= (int)sizeof path)
        return log_error_set(cause, MK_ERR_BAD_CONFIG,
                             "the name of the data directory is longer than %d bytes", PATH_BYTES);
    int code = store_posix_open(path, true, store, cause);
    if (code != 0) {
        *store = NULL;
        return code;
    }
    code = store_lock(*store, cause);
    if (code != 0) {
        store_posix_free(*store);
        *store = NULL;
    }
    return code;
}

struct misplaced {
    const char *prefix;
    char name[64];
};

static void find_misplaced(void *context, const char *name)
{
    struct misplaced *misplaced = context;
    if (strncmp(name, misplaced->prefix, strlen(misplaced->prefix)) == 0)
        snprintf(misplaced->name, sizeof misplaced->name, "%.63s", name);
}

/* Logs beside the snapshots when data_log_dir is elsewhere (or the other way round) were
 * written under another configuration: starting would leave them out, silently. */
static int check_places(struct server *server, struct log_error *cause)
{
    if (server->snapshot_store == server->log_store)
        return 0;
    struct misplaced log = {.prefix = "log."}, snapshot = {.prefix = "snapshot."};
    int code = store_list(server->snapshot_store, find_misplaced, &log, cause);
    if (code == 0)
        code = store_list(server->log_store, find_misplaced, &snapshot, cause);
    if (code != 0)
        return code;
    if (log.name[0])
        return log_error_set(cause, MK_ERR_BAD_CONFIG,
                             "%s/%s: a transaction log lies in the snapshot directory, but "
                             "data_log_dir is %s; was data_log_dir changed? Move all log.* files "
                             "there, or set it back",
                             server->snapshot_store->path, log.name, server->log_store->path);
    if (snapshot.name[0])
        return log_error_set(
            cause, MK_ERR_BAD_CONFIG,
            "%s/%s: a snapshot lies in the log directory, but data_dir is %s; move "
            "all snapshot.* files there, or set data_log_dir back",
            server->log_store->path, snapshot.name, server->snapshot_store->path);
    return 0;
}

static int open_stores(struct server *server, struct log_error *cause)
{
    const struct server_options *options = &server->options;
    int code = open_directory(options->data_dir, &server->snapshot_store, cause);
    if (code != 0)
        return code;
    const char *log_dir = options->data_log_dir ? options->data_log_dir : options->data_dir;
    struct stat first, second;
    bool same = strcmp(log_dir, options->data_dir) == 0 ||
                (stat(log_dir, &second) == 0 && stat(options->data_dir, &first) == 0 &&
                 first.st_dev == second.st_dev && first.st_ino == second.st_ino);
    if (same) {
        server->log_store = server->snapshot_store;
        return 0;
    }
    code = open_directory(log_dir, &server->log_store, cause);
    return code != 0 ? code : check_places(server, cause);
}

static void close_stores(struct server *server)
{
    store_filter_free(server->log_filter);
    store_ahead_free(server->log_ahead);
    server->log_filter = server->log_ahead = NULL;
    if (server->log_store != server->snapshot_store)
        store_posix_free(server->log_store);
    store_posix_free(server->snapshot_store);
    server->log_store = server->snapshot_store = NULL;
}

/* --- the file `initialize` ----------------------------------------------------------------------
 */

/* Apache looks for it in the directory of the logs only, its documentation names the data
 * directory: it counts in either. `each`: 0 to go on. */
static int each_initialize(const struct server *server,
                           int (*each)(const struct server *server, struct store *directory))
{
    const char *directories[] = {server->options.data_dir, server->options.data_log_dir};
    int result = 0;
    for (size_t i = 0; i < MK_ARRAY_LENGTH(directories) && result == 0; i++) {
        struct store *store;
        if (!directories[i] || store_posix_open(directories[i], false, &store, NULL) != 0)
            continue;
        result = each(server, store);
        store_posix_free(store);
    }
    return result;
}

static int initialize_is_there(const struct server *server, struct store *directory)
{
    (void)server;
    struct store_file *file;
    if (store_open(directory, LOG_INITIALIZE_NAME, STORE_READ, &file, NULL) != 0)
        return 0;
    store_close(file);
    return 1;
}

static int initialize_remove(const struct server *server, struct store *directory)
{
    struct log_error cause;
    int code = store_remove(directory, LOG_INITIALIZE_NAME, &cause);
    if (code == 0)
        code = store_sync_directory(directory, &cause);
    if (code == 0)
        mk_trace(server->trace, MK_LEVEL_INFO, "recovery",
                 "%s/" LOG_INITIALIZE_NAME " is removed: it counted for this start only",
                 directory->path);
    else if (code != MK_ERR_NOT_FOUND)
        mk_trace(server->trace, MK_LEVEL_WARN, "recovery",
                 LOG_INITIALIZE_NAME " counts for one start, but: %s; remove it", cause.text);
    return 0;
}

/* --- recovery -------------------------------------------------------------------------------- */

struct restoring {
    struct server *server;
    uint64_t last_progress_ns;
    uint64_t loaded_ns; /* when the snapshot was in the tree; 0: there was none */
};

static void restore_reset(void *context)
{
    struct restoring *restoring = context;
    replica_restore_reset(restoring->server->replica);
}

static int restore_body(void *context, const uint8_t *data, size_t size, size_t *consumed,
                        const char **reason)
{
    struct restoring *restoring = context;
    return replica_restore_body(restoring->server->replica, data, size, consumed, reason);
}

static int restore_snapshot_done(void *context, const struct snapfile_info *info,
                                 const char **reason)
{
    struct restoring *restoring = context;
    restoring->loaded_ns = uv_hrtime();
    bool has_digest = info->seal.has_digest && info->seal.digest_version == 2;
    return replica_restore_snapshot_done(restoring->server->replica, info->zxid,
                                         has_digest ? info->seal.digest_zxid : 0, info->seal.digest,
                                         reason);
}

static int restore_transaction(void *context, const struct txnlog_entry *entry, const char **reason)
{
    struct restoring *restoring = context;
    return replica_restore_transaction(restoring->server->replica, entry->data, entry->length,
                                       reason);
}

static void restore_progress(void *context, uint64_t done_bytes, uint64_t total_bytes)
{
    struct restoring *restoring = context;
    uint64_t now_ns = uv_hrtime();
    if (now_ns - restoring->last_progress_ns < PROGRESS_EVERY_NS || total_bytes == 0)
        return;
    restoring->last_progress_ns = now_ns;
    mk_trace(restoring->server->trace, MK_LEVEL_INFO, "recovery", "%llu of %llu MiB read (%d %%)",
             (unsigned long long)(done_bytes >> 20), (unsigned long long)(total_bytes >> 20),
             (int)((double)done_bytes * 100 / (double)total_bytes));
}

static void trace_report(const struct server *server, const struct log_report *report)
{
    for (size_t i = 0; i < report->count; i++) {
        const struct log_finding *finding = &report->findings[i];
        enum mk_level level = finding->severity == LOG_NOTE      ? MK_LEVEL_INFO
                              : finding->severity == LOG_WARNING ? MK_LEVEL_WARN
                                                                 : MK_LEVEL_ERROR;
        char where[96] = "";
        if (finding->file[0] && finding->offset >= 0)
            snprintf(where, sizeof where, "%s at byte %lld: ", finding->file,
                     (long long)finding->offset);
        else if (finding->file[0])
            snprintf(where, sizeof where, "%s: ", finding->file);
        const char *advice = finding->advice ? finding->advice : "";
        mk_trace(server->trace, level, "recovery", "%s%s%s%s", where, finding->text,
                 advice[0] ? "; " : "", advice);
    }
    if (report->dropped)
        mk_trace(server->trace, MK_LEVEL_WARN, "recovery", "%zu further findings are not listed",
                 report->dropped);
}

static void trace_result(const struct server *server, const struct log_recover_result *result,
                         uint64_t started_ns)
{
    if (result->empty) {
        mk_trace(server->trace, MK_LEVEL_INFO, "recovery", "%s is empty: a fresh server",
                 server->snapshot_store->path);
        return;
    }
    mk_trace(server->trace, MK_LEVEL_INFO, "recovery",
             "restored up to zxid %llx from %s (%llu bytes) and %llu log entries (%llu bytes) in "
             "%llu ms",
             (unsigned long long)result->last_zxid,
             result->snapshot_zxid >= 0 ? result->snapshot_file : "no snapshot",
             (unsigned long long)result->snapshot_bytes, (unsigned long long)result->transactions,
             (unsigned long long)result->log_bytes,
             (unsigned long long)((uv_hrtime() - started_ns) / 1000000));
}

static void count_restore(struct server *server, const struct log_recover_result *result,
                          uint64_t started_ns, uint64_t loaded_ns)
{
    uint64_t now_ns = uv_hrtime();
    if (loaded_ns)
        mk_summary_add(&server->snapshot_load_ms, (loaded_ns - started_ns) / 1000000);
    mk_summary_add(&server->replay_ms, (now_ns - MK_MAX(loaded_ns, started_ns)) / 1000000);
    mk_summary_add(&server->replayed_transactions, result->transactions);
    mk_summary_add(&server->restore_ms, (now_ns - started_ns) / 1000000);
}

static int recover(struct server *server, struct log_recover_result *result,
                   struct log_error *cause)
{
    struct log_stores stores = {.snapshots = server->snapshot_store, .logs = server->log_store};
    struct log_recover_options options = {
        .trust_empty = server->options.trust_empty_snapshot,
        .snapshot_alone = each_initialize(server, initialize_is_there) != 0,
        .drop_damaged_tail = server->options.drop_damaged_last_record,
        .clean_up = !server->disk, /* the log thread's files are its own */
    };
    static const struct log_recover_calls calls = {
        .reset = restore_reset,
        .snapshot_body = restore_body,
        .snapshot_done = restore_snapshot_done,
        .transaction = restore_transaction,
        .progress = restore_progress,
    };
    uint64_t started_ns = uv_hrtime();
    struct restoring restoring = {.server = server, .last_progress_ns = started_ns};
    struct log_report report;
    log_report_init(&report);
    int code = log_recover(&stores, &options, &calls, &restoring, result, &report, cause);
    trace_report(server, &report);
    log_report_fini(&report);
    if (code != 0)
        return code;
    count_restore(server, result, started_ns, restoring.loaded_ns);
    trace_result(server, result, started_ns);
    uint64_t dangling = tree_dangling_acls(replica_tree(server->replica));
    if (dangling > 0)
        mk_trace(server->trace, MK_LEVEL_WARN, "recovery",
                 "%llu znodes name an ACL that neither snapshot nor log has (a snapshot of an old "
                 "Apache server); only the super user may use them: set their ACL anew",
                 (unsigned long long)dangling);
    return 0;
}

/* A member's epochs (quorum-protocol reference, 9). */
static int read_epochs(struct server *server, const struct log_recover_result *result,
                       struct log_error *cause)
{
    if (!server->ensemble)
        return 0;
    server->data_is_whole = true;
    server->snapshot_zxid = result->snapshot_zxid;
    struct log_report report;
    log_report_init(&report);
    bool vouched = result->empty || each_initialize(server, initialize_is_there) != 0;
    int code = log_epochs_read(server->snapshot_store, result->last_zxid, vouched,
                               &server->accepted_epoch, &server->current_epoch, &report, cause);
    trace_report(server, &report);
    log_report_fini(&report);
    return code;
}

/* A member whose data is damaged has the ensemble: it takes part in no vote until it was given the
 * leader's tree (quorum-protocol reference, 9.6), and what is damaged stays as it is until then. */
static int distrust(struct server *server, struct log_recover_result *result, int code,
                    const struct log_error *cause)
{
    if (!server->ensemble || code != MK_ERR_CORRUPT)
        return code;
    mk_trace(server->trace, MK_LEVEL_ERROR, "recovery",
             "this member cannot trust its data: %s. It neither votes nor leads until a leader has "
             "sent it the whole tree, which takes the place of all that is here; copy %s now if "
             "you want to look into it",
             cause->text, server->snapshot_store->path);
    replica_restore_reset(server->replica);
    server->data_is_whole = false;
    server->accepted_epoch = server->current_epoch = 0;
    struct log_error ignored;
    if (log_epoch_read(server->snapshot_store, LOG_EPOCH_ACCEPTED, &server->accepted_epoch,
                       &ignored) != 1)
        server->accepted_epoch = 0;
    *result = (struct log_recover_result){0};
    return 0;
}

int storage_reload(struct server *server, int64_t *last_zxid, struct server_error *error)
{
    struct log_error cause = {0};
    struct log_recover_result result;
    int code = recover(server, &result, &cause);
    if (code == MK_ERR_CORRUPT && !server->data_is_whole) { /* as it was at the start */
        replica_restore_reset(server->replica);
        *last_zxid = -1;
        return 0;
    }
    if (code != 0)
        return fail(error, &cause);
    *last_zxid = result.last_zxid;
    return 0;
}

/* What the log writes through. */
static struct store *log_front(struct server *server)
{
    if (server->log_filter || server->log_ahead)
        return server->log_filter ? server->log_filter : server->log_ahead;
    if (!server->options.force_sync) {
        struct store_filter_options no_sync = {.skip_sync = true};
        mk_trace(server->trace, MK_LEVEL_WARN, "log",
                 "replies do not wait for the disk (force_sync is off): a power cut loses "
                 "acknowledged writes");
        return server->log_filter = store_filter_new(server->log_store, &no_sync);
    }
    if (server->options.log_preallocate_bytes > 0)
        return server->log_ahead = store_ahead_new(server->log_store);
    return server->log_store;
}

int storage_open_log(struct server *server, const struct txnlog_tail *tail, struct txnlog **log,
                     struct log_error *error)
{
    struct txnlog_options options;
    txnlog_options_init(&options);
    options.preallocate_bytes = server->options.log_preallocate_bytes;
    options.identity =
        uv_hrtime() ^ (uint64_t)server->options.replica.seed << 20 ^ (uint64_t)uv_os_getpid() << 44;
    return txnlog_open(log_front(server), &options, tail, log, error);
}

int storage_open(struct server *server, struct server_error *error)
{
    if (server->options.memory_only) {
        replica_restore_reset(server->replica);
        return 0;
    }
    struct log_error cause = {0};
    if (!server->options.data_dir || !server->options.data_dir[0]) {
        log_error_set(&cause, MK_ERR_BAD_CONFIG, "no data directory is given");
        return fail(error, &cause);
    }
    struct log_recover_result result;
    int code = open_stores(server, &cause);
    if (code == 0 && server->options.log_direct && server->options.force_sync)
        store_posix_direct(server->log_store);
    if (code == 0)
        code = recover(server, &result, &cause);
    if (code == 0)
        code = read_epochs(server, &result, &cause);
    code = distrust(server, &result, code, &cause);
    if (code == 0 && (!server->ensemble || server->data_is_whole))
        code = storage_open_log(server, &result.tail, &server->log, &cause);
    if (code != 0) {
        close_stores(server);
        return fail(error, &cause);
    }
    server->fresh = result.empty;
    return 0;
}

/* --- the first snapshot ------------------------------------------------------------------------
 */

static int write_slices(struct server *server, struct snapfile_writer **writer,
                        struct log_error *cause)
{
    struct replica_update *update = &server->update;
    struct log_stores stores = {.snapshots = server->snapshot_store, .logs = server->log_store};
    for (;;) {
        if (update->snapshot_begin) {
            int code = snapfile_begin(stores.snapshots, update->snapshot_zxid, writer, cause);
            if (code != 0)
                return code;
        }
        MK_ASSERT(*writer);
        int code = snapfile_write(*writer, update->snapshot_body.data, update->snapshot_body.length,
                                  cause);
        if (code != 0)
            return code;
        if (update->snapshot_finish) {
            struct snapfile_seal seal = snapshots_seal(server, update);
            uint64_t file_bytes;
            struct snapfile_writer *finished = *writer;
            *writer = NULL;
            return snapfile_finish(finished, &seal, &file_bytes, cause);
        }
        update->snapshot_begin = false;
        mk_buffer_clear(&update->snapshot_body);
        server_feed_simple(server, REPLICA_SNAPSHOT_NEXT, 0);
    }
}

/* Apache starts a directory with snapshot.0 too: later, logs without any snapshot are then
 * known as damage. */
int storage_first_snapshot(struct server *server, struct server_error *error)
{
    if (!server->fresh)
        return 0;
    struct log_error cause = {0};
    struct snapfile_writer *writer = NULL;
    server_feed_simple(server, REPLICA_SNAPSHOT_NOW, 0);
    int code = write_slices(server, &writer, &cause);
    snapfile_abort(writer);
    server->update.snapshot_begin = server->update.snapshot_finish = false;
    mk_buffer_clear(&server->update.snapshot_body);
    struct replica_event done = {.type = REPLICA_SNAPSHOT_DONE, .error = code};
    server_feed(server, &done);
    return code != 0 ? fail(error, &cause) : 0;
}

/* --- threads
 * --------------------------------------------------------------------------------------- */

int storage_start(struct server *server, struct server_error *error)
{
    if (server->options.memory_only)
        return 0;
    int code = disk_new(server, server->log, &server->disk);
    if (code == 0) {
        server->log = NULL; /* the thread's from here on */
        code = snapshots_new(server, &server->snapshots);
    }
    if (code != 0) {
        error->code = MK_ERR_SYSTEM;
        snprintf(error->text, sizeof error->text, "a thread for the disk cannot be started: %s",
                 uv_strerror(code));
        return error->code;
    }
    each_initialize(server, initialize_remove);
    return 0;
}

void storage_stop(struct server *server)
{
    if (server->disk) {
        disk_stop(server->disk);
        disk_close(server->disk);
    }
    if (server->snapshots) {
        snapshots_stop(server->snapshots);
        snapshots_close(server->snapshots);
    }
}

void storage_close(struct server *server)
{
    disk_free(server->disk);
    snapshots_free(server->snapshots);
    txnlog_free(server->log);
    server->disk = NULL;
    server->snapshots = NULL;
    server->log = NULL;
    if (server->snapshot_store)
        close_stores(server);
}

uint64_t storage_directory_bytes(const struct store *store)
{
    DIR *directory = store ? opendir(store->path) : NULL;
    uint64_t total = 0;
    struct dirent *entry;
    while (directory && (entry = readdir(directory)) != NULL) {
        struct stat status;
        if (fstatat(dirfd(directory), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(status.st_mode))
            total += (uint64_t)status.st_size;
    }
    if (directory)
        closedir(directory);
    return total;
}
