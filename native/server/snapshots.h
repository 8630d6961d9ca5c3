/* SPDX-License-Identifier: MIT */
/* The snapshot worker: takes slices of the tree's walk from the loop and writes them to a
 * snapshot file, paced, then seals, syncs, verifies, and purges what is no longer needed. At
 * most two slices are in memory: one being written, one waiting. Trouble with a snapshot
 * (a full disk, say) is traced and given up; the next trigger tries again. */
#ifndef SERVER_SNAPSHOTS_H
#define SERVER_SNAPSHOTS_H

#include "log/snapfile.h"
#include "server/server_int.h"

struct snapshots_figures {
    struct mk_summary elapsed_ms; /* from begin to end, finished ones */
    int64_t last_zxid;            /* -1: none since the start */
    int64_t last_wall_ms;
};

/* Starts the thread; `stores` of the server must stay open until snapshots_stop. */
int snapshots_new(struct server *server, struct snapshots **snapshots);
/* What an update says about the snapshot; takes the body's memory. */
void snapshots_submit(struct snapshots *snapshots, struct replica_update *update);
/* What stands behind the body of the snapshot that this update finishes. */
struct snapfile_seal snapshots_seal(const struct server *server,
                                    const struct replica_update *update);
/* For the log thread, while it changes the directory's history: waits until the worker stands still
 * and keeps it so; a snapshot that is not finished is given up. `snapshots` may be NULL. */
void snapshots_hold(struct snapshots *snapshots);
void snapshots_release(struct snapshots *snapshots);
/* A snapshot that is not finished is given up; ends the thread. */
void snapshots_stop(struct snapshots *snapshots);
void snapshots_close(struct snapshots *snapshots);
void snapshots_free(struct snapshots *snapshots);
void snapshots_figures(struct snapshots *snapshots, struct snapshots_figures *figures);
void snapshots_figures_reset(struct snapshots *snapshots); /* not the last one */

#endif
