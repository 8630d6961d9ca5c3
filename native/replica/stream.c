/* SPDX-License-Identifier: MIT */
/* The tree on its way between servers: walked in slices for a learner that needs all of it, and
 * loaded as it comes from the leader (quorum-protocol reference, 6.4). Called by ensemble.c. One
 * walk goes on at a time: the tree allows one, and a server's own snapshot waits for it too. */
#include "replica/replica_int.h"

#include "base/mem.h"

#define SLICE_BYTES ((size_t)64 << 10)
#define UNSENT_BYTES_MAX ((size_t)1 << 20) /* of a link, before the next slice is made */

void stream_add(struct replica *replica, uint32_t link)
{
    struct ensemble *ensemble = replica->ensemble;
    if (ensemble->stream_count == ensemble->stream_capacity) {
        ensemble->stream_capacity = MK_MAX(ensemble->stream_capacity * 2, (size_t)4);
        ensemble->streams =
            mk_realloc(ensemble->streams, ensemble->stream_capacity * sizeof *ensemble->streams);
    }
    ensemble->streams[ensemble->stream_count++] = link;
}

static void next_stream(struct ensemble *ensemble)
{
    if (ensemble->walk)
        tree_snapshot_end(ensemble->walk);
    ensemble->walk = NULL;
    ensemble->stream_count--;
    memmove(ensemble->streams, ensemble->streams + 1,
            ensemble->stream_count * sizeof *ensemble->streams);
}

/* The first link that is still there; those that were closed meanwhile are passed over. */
static struct zab_link *current_link(struct ensemble *ensemble)
{
    while (ensemble->stream_count > 0) {
        struct zab_link *link = zab_link(ensemble->zab, ensemble->streams[0]);
        if (link && !link->closing)
            return link;
        next_stream(ensemble);
    }
    return NULL;
}

static bool has_room(const struct zab_link *link)
{
    return link->output.length + link->unsent_elsewhere < UNSENT_BYTES_MAX;
}

bool stream_is_due(const struct replica *replica)
{
    const struct ensemble *ensemble = replica->ensemble;
    if (!ensemble || ensemble->stream_count == 0)
        return false;
    if (!ensemble->walk && replica->snapshot.walk)
        return false; /* when the own snapshot is done */
    const struct zab_link *link = zab_link(ensemble->zab, ensemble->streams[0]);
    return !link || link->closing || has_room(link);
}

void stream_continue(struct replica *replica)
{
    struct ensemble *ensemble = replica->ensemble;
    struct zab_link *link = current_link(ensemble);
    if (!link || !has_room(link) || (!ensemble->walk && replica->snapshot.walk))
        return;
    if (!ensemble->walk)
        ensemble->walk = tree_snapshot_begin(replica->tree, replica->last_zxid);
    mk_buffer_clear(&ensemble->scratch);
    bool last = tree_snapshot_step(ensemble->walk, &ensemble->scratch, SLICE_BYTES);
    uint32_t number = ensemble->streams[0];
    if (last)
        next_stream(ensemble);
    ensemble_step(replica, &(struct zab_event){.type = ZAB_SNAPSHOT_BYTES,
                                               .link = number,
                                               .bytes = mk_buffer_bytes(&ensemble->scratch),
                                               .flag = last});
}

void stream_end(struct replica *replica)
{
    struct ensemble *ensemble = replica->ensemble;
    if (ensemble->walk)
        tree_snapshot_end(ensemble->walk);
    ensemble->walk = NULL;
    ensemble->stream_count = 0;
}

/* --- receiving -------------------------------------------------------------------------------- */

void stream_receive_begin(struct replica *replica)
{
    replica->ensemble->loading = true;
    replica->ensemble->held = replica->ensemble->taken_waits = false;
    replica->update->received_begin = true;
    snapshot_give_up(replica);
    replica_restore_reset(replica);
    replica_forget_sessions(replica);
    mk_buffer_clear(&replica->update->received_body);
}

void stream_receive(struct replica *replica, struct mk_bytes bytes)
{
    const char *reason = "";
    size_t consumed = 0;
    int result =
        replica_restore_body(replica, bytes.data, mk_bytes_size(bytes), &consumed, &reason);
    mk_buffer_append(&replica->update->received_body, bytes.data, consumed);
    if (result < 0)
        replica_log(replica, MK_LEVEL_ERROR, "the leader's tree cannot be read: %s", reason);
    struct ensemble *ensemble = replica->ensemble;
    ensemble->taken_waits = true;
    ensemble->taken_count = consumed;
    ensemble->taken_all = result == 1;
    ensemble->taken_failed = result < 0;
    if (!ensemble->held)
        stream_go_on(replica);
}

void stream_go_on(struct replica *replica)
{
    struct ensemble *ensemble = replica->ensemble;
    ensemble->held = false;
    if (!ensemble->taken_waits)
        return;
    ensemble->taken_waits = false;
    ensemble_step(replica, &(struct zab_event){.type = ZAB_SNAPSHOT_TAKEN,
                                               .count = ensemble->taken_count,
                                               .flag = ensemble->taken_all,
                                               .failed = ensemble->taken_failed});
}

void replica_hold_tree(struct replica *replica)
{
    replica->ensemble->held = replica->ensemble->loading;
}

/* It may show changes of later transactions already (those come again), so it has no digest. */
void stream_received(struct replica *replica, int64_t zxid)
{
    const char *reason = "";
    int error = replica_restore_snapshot_done(replica, zxid, 0, 0, &reason);
    MK_ASSERT(error == 0); /* without a digest there is nothing to find wrong */
    replica->ensemble->loading = false;
}
