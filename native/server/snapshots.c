/* SPDX-License-Identifier: MIT */
/* The snapshot worker; see snapshots.h. Jobs go to the thread through a short list under the
 * mutex, answers come back as flags behind one uv_async. The thread owns the writer. */
#include "server/snapshots.h"

#include "base/mem.h"
#include "log/purge.h"
#include "log/snapfile.h"
#include "server/store_filter.h"
#include "wire/errors.gen.h"

#include <pthread.h>
#include <sys/resource.h>

#define NICENESS 10
#define DIGEST_VERSION 2

struct job {
    struct job *next;
    bool begin, finish;
    bool abandon; /* the tree went away in the middle of the walk */
    int64_t zxid;
    struct mk_buffer body;
    struct snapfile_seal seal;
    int64_t committed_zxid; /* with finish */
};

struct snapshots {
    struct server *server;
    uv_thread_t thread;
    uv_mutex_t mutex;
    uv_cond_t wake, still;
    uv_async_t async;
    bool running; /* the loop's: there is a thread to join */
    /* Under the mutex. */
    struct job *first, *last;
    bool stop;
    bool held, busy;  /* no job may be begun; one is being performed */
    bool next_wanted; /* to be told: REPLICA_SNAPSHOT_NEXT */
    bool done;        /* to be told: REPLICA_SNAPSHOT_DONE with done_error */
    int done_error;
    struct snapshots_figures figures;
    /* The thread's, or of whoever holds it while it is not busy. */
    struct store *paced; /* in front of the snapshot store */
    struct snapfile_writer *writer;
    int64_t zxid;
    uint64_t began_ns;
    bool given_up; /* the rest of this snapshot's jobs is dropped */
};

static bool is_waited_for(void *context)
{
    struct snapshots *snapshots = context;
    uv_mutex_lock(&snapshots->mutex);
    bool stop = snapshots->stop || snapshots->held;
    uv_mutex_unlock(&snapshots->mutex);
    return stop;
}

static void post_next(struct snapshots *snapshots)
{
    uv_mutex_lock(&snapshots->mutex);
    snapshots->next_wanted = true;
    uv_mutex_unlock(&snapshots->mutex);
    uv_async_send(&snapshots->async);
}

static void post_done(struct snapshots *snapshots, int error)
{
    uv_mutex_lock(&snapshots->mutex);
    snapshots->done = true;
    snapshots->done_error = error;
    if (error == 0) {
        struct snapshots_figures *figures = &snapshots->figures;
        uv_timeval64_t wall;
        uv_gettimeofday(&wall);
        mk_summary_add(&figures->elapsed_ms, (uv_hrtime() - snapshots->began_ns) / 1000000);
        figures->last_zxid = snapshots->zxid;
        figures->last_wall_ms = wall.tv_sec * 1000 + wall.tv_usec / 1000;
    }
    uv_mutex_unlock(&snapshots->mutex);
    uv_async_send(&snapshots->async);
}

static void give_up(struct snapshots *snapshots, const struct log_error *error)
{
    mk_trace(snapshots->server->trace,
             error->code == MK_ERR_CANCELLED ? MK_LEVEL_INFO : MK_LEVEL_ERROR, "snapshot",
             "snapshot %llx was given up: %s; the log is kept, the next snapshot will try again",
             (unsigned long long)snapshots->zxid, error->text);
    snapfile_abort(snapshots->writer);
    snapshots->writer = NULL;
    snapshots->given_up = true;
    post_done(snapshots, error->code);
}

static void purge(struct snapshots *snapshots, int64_t committed_zxid)
{
    struct server *server = snapshots->server;
    struct log_stores stores = {.snapshots = snapshots->paced, .logs = server->log_store};
    struct log_purge_result result;
    struct log_error error;
    if (server->options.snapshots_retained == 0)
        return;
    int keep = (int)MK_MAX(server->options.snapshots_retained, (uint32_t)LOG_PURGE_KEEP_MIN);
    if (log_purge(&stores, keep, committed_zxid, &result, &error) != 0) {
        mk_trace(server->trace, MK_LEVEL_WARN, "snapshot",
                 "old snapshots and logs could not be purged: %s", error.text);
    } else if (result.snapshots + result.logs > 0) {
        mk_trace(server->trace, MK_LEVEL_INFO, "snapshot",
                 "purged %llu snapshots and %llu log files, %llu bytes",
                 (unsigned long long)result.snapshots, (unsigned long long)result.logs,
                 (unsigned long long)result.bytes);
    }
}

static void finish(struct snapshots *snapshots, const struct job *job)
{
    struct log_error error;
    uint64_t file_bytes;
    struct snapfile_writer *writer = snapshots->writer;
    snapshots->writer = NULL;
    if (snapfile_finish(writer, &job->seal, &file_bytes, &error) != 0) {
        give_up(snapshots, &error);
        return;
    }
    mk_trace(snapshots->server->trace, MK_LEVEL_INFO, "snapshot",
             "snapshot.%llx is written and verified: %llu bytes in %llu ms",
             (unsigned long long)snapshots->zxid, (unsigned long long)file_bytes,
             (unsigned long long)((uv_hrtime() - snapshots->began_ns) / 1000000));
    post_done(snapshots, 0);
    purge(snapshots, job->committed_zxid);
}

static void abandon(struct snapshots *snapshots, const struct job *job)
{
    if (!snapshots->writer && !job->begin)
        return; /* it was finished, or given up: told already */
    snapfile_abort(snapshots->writer);
    snapshots->writer = NULL;
    post_done(snapshots, MK_ERR_CANCELLED);
}

static void perform(struct snapshots *snapshots, struct job *job)
{
    struct log_error error;
    if (job->abandon) {
        abandon(snapshots, job);
        return;
    }
    if (job->begin) {
        MK_ASSERT(!snapshots->writer);
        snapshots->given_up = false;
        snapshots->zxid = job->zxid;
        snapshots->began_ns = uv_hrtime();
        if (snapfile_begin(snapshots->paced, job->zxid, &snapshots->writer, &error) != 0) {
            snapshots->writer = NULL;
            give_up(snapshots, &error);
        }
    }
    if (snapshots->given_up)
        return;
    if (!job->finish)
        post_next(snapshots); /* the loop walks the next slice while this one is written */
    if (job->body.length > 0 &&
        snapfile_write(snapshots->writer, job->body.data, job->body.length, &error) != 0)
        give_up(snapshots, &error);
    else if (job->finish)
        finish(snapshots, job);
}

static void job_free(struct job *job)
{
    mk_buffer_fini(&job->body);
    mk_free(job);
}

static void run(void *argument)
{
    struct snapshots *snapshots = argument;
    pthread_setname_np(pthread_self(), "mk-snapshot");
    /* On Linux a thread's own niceness: the loop and the log thread go first. */
    (void)setpriority(PRIO_PROCESS, 0, NICENESS);
    uv_mutex_lock(&snapshots->mutex);
    while (!snapshots->stop) {
        struct job *job = snapshots->first;
        if (!job || snapshots->held) {
            uv_cond_wait(&snapshots->wake, &snapshots->mutex);
            continue;
        }
        snapshots->first = job->next;
        snapshots->busy = true;
        uv_mutex_unlock(&snapshots->mutex);
        perform(snapshots, job);
        job_free(job);
        uv_mutex_lock(&snapshots->mutex);
        snapshots->busy = false;
        uv_cond_signal(&snapshots->still);
    }
    uv_mutex_unlock(&snapshots->mutex);
    snapfile_abort(snapshots->writer);
    snapshots->writer = NULL;
}

static void on_progress(uv_async_t *async)
{
    struct snapshots *snapshots = async->data;
    uv_mutex_lock(&snapshots->mutex);
    bool next_wanted = snapshots->next_wanted;
    bool done = snapshots->done;
    int error = snapshots->done_error;
    snapshots->next_wanted = snapshots->done = false;
    uv_mutex_unlock(&snapshots->mutex);
    if (next_wanted && !done)
        server_feed_simple(snapshots->server, REPLICA_SNAPSHOT_NEXT, 0);
    if (done) {
        struct replica_event event = {.type = REPLICA_SNAPSHOT_DONE, .error = error};
        server_feed(snapshots->server, &event);
    }
}

int snapshots_new(struct server *server, struct snapshots **result)
{
    struct snapshots *snapshots = mk_calloc(1, sizeof *snapshots);
    snapshots->server = server;
    snapshots->figures.last_zxid = -1;
    int error = uv_async_init(server->loop, &snapshots->async, on_progress);
    if (error != 0) {
        mk_free(snapshots);
        return error;
    }
    server_handle_opened(server);
    snapshots->async.data = snapshots;
    MK_ASSERT(uv_mutex_init(&snapshots->mutex) == 0);
    MK_ASSERT(uv_cond_init(&snapshots->wake) == 0);
    MK_ASSERT(uv_cond_init(&snapshots->still) == 0);
    struct store_filter_options pace = {
        .write_out = true,
        .bytes_per_second = server->options.snapshot_bytes_per_second,
        .hurry = is_waited_for,
        .context = snapshots,
    };
    snapshots->paced = store_filter_new(server->snapshot_store, &pace);
    error = uv_thread_create(&snapshots->thread, run, snapshots);
    snapshots->running = error == 0;
    *result = snapshots; /* freed with the server, also after a failure */
    return error;
}

struct snapfile_seal snapshots_seal(const struct server *server,
                                    const struct replica_update *update)
{
    bool has_digest = server->options.replica.tree_digest_enabled;
    return (struct snapfile_seal){
        .has_digest = has_digest,
        .digest_zxid = update->snapshot_digest_zxid,
        .digest_version = DIGEST_VERSION,
        .digest = update->snapshot_digest,
        .has_last_zxid = has_digest,               /* a reader finds it only behind a digest */
        .last_zxid = update->snapshot_digest_zxid, /* by now more may be applied */
    };
}

void snapshots_submit(struct snapshots *snapshots, struct replica_update *update)
{
    if (!update->snapshot_begin && !update->snapshot_finish && !update->snapshot_abandon &&
        update->snapshot_body.length == 0)
        return;
    struct job *job = mk_calloc(1, sizeof *job);
    job->begin = update->snapshot_begin;
    job->finish = update->snapshot_finish;
    job->abandon = update->snapshot_abandon;
    job->zxid = update->snapshot_zxid;
    job->body = update->snapshot_body;
    update->snapshot_body = MK_BUFFER_EMPTY;
    job->seal = snapshots_seal(snapshots->server, update);
    job->committed_zxid = replica_last_zxid(snapshots->server->replica);
    uv_mutex_lock(&snapshots->mutex);
    if (snapshots->first)
        snapshots->last->next = job;
    else
        snapshots->first = job;
    snapshots->last = job;
    uv_mutex_unlock(&snapshots->mutex);
    uv_cond_signal(&snapshots->wake);
}

/* With the mutex held. True if the beginning of a snapshot was among them. */
static bool drop_jobs(struct snapshots *snapshots)
{
    bool began = false;
    while (snapshots->first) {
        struct job *job = snapshots->first;
        snapshots->first = job->next;
        if (job->begin) {
            began = true;
            snapshots->zxid = job->zxid;
        }
        job_free(job);
    }
    return began;
}

void snapshots_hold(struct snapshots *snapshots)
{
    if (!snapshots)
        return;
    uv_mutex_lock(&snapshots->mutex);
    snapshots->held = true;
    while (snapshots->busy)
        uv_cond_wait(&snapshots->still, &snapshots->mutex);
    bool unfinished = drop_jobs(snapshots) || snapshots->writer;
    uv_mutex_unlock(&snapshots->mutex);
    struct log_error error = {.code = MK_ERR_CANCELLED,
                              .text = "what it was to hold is being replaced by the leader's"};
    if (unfinished)
        give_up(snapshots, &error);
}

void snapshots_release(struct snapshots *snapshots)
{
    if (!snapshots)
        return;
    uv_mutex_lock(&snapshots->mutex);
    snapshots->held = false;
    uv_mutex_unlock(&snapshots->mutex);
    uv_cond_signal(&snapshots->wake);
}

void snapshots_stop(struct snapshots *snapshots)
{
    if (!snapshots->running)
        return;
    snapshots->running = false;
    uv_mutex_lock(&snapshots->mutex);
    snapshots->stop = true;
    uv_mutex_unlock(&snapshots->mutex);
    uv_cond_signal(&snapshots->wake);
    uv_thread_join(&snapshots->thread);
}

static void on_async_closed(uv_handle_t *handle)
{
    struct snapshots *snapshots = handle->data;
    server_handle_closed(snapshots->server);
}

void snapshots_close(struct snapshots *snapshots)
{
    uv_close((uv_handle_t *)&snapshots->async, on_async_closed);
}

void snapshots_free(struct snapshots *snapshots)
{
    if (!snapshots)
        return;
    drop_jobs(snapshots);
    uv_cond_destroy(&snapshots->wake);
    uv_cond_destroy(&snapshots->still);
    uv_mutex_destroy(&snapshots->mutex);
    store_filter_free(snapshots->paced);
    mk_free(snapshots);
}

void snapshots_figures(struct snapshots *snapshots, struct snapshots_figures *figures)
{
    uv_mutex_lock(&snapshots->mutex);
    *figures = snapshots->figures;
    uv_mutex_unlock(&snapshots->mutex);
}

void snapshots_figures_reset(struct snapshots *snapshots)
{
    uv_mutex_lock(&snapshots->mutex);
    snapshots->figures.elapsed_ms = (struct mk_summary){0};
    uv_mutex_unlock(&snapshots->mutex);
}
