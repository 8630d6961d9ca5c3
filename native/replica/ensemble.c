/* SPDX-License-Identifier: MIT */
/* The replica as a member of an ensemble: owns its struct zab, draws the consequences of each of
 * its steps (deliveries, trees that come in or are asked for, transactions to apply, the end or
 * the beginning of service), and tells it how far memory is. Called by replica.c. It must never
 * let a client see a state while zab does not serve. */
#include "replica/replica_int.h"

#include "base/mem.h"

/* TxnHeader, digest, and what Apache subtracts from its own limit. */
#define FRAME_OF_RECORD 64

/* The log asserts it, and what comes from a socket must not end a process. */
static bool entry_fits(int64_t zxid, struct mk_bytes entry)
{
    struct mk_reader reader;
    struct mk_txn_header header;
    mk_reader_init_bytes(&reader, entry, NULL);
    mk_txn_header_read(&reader, &header);
    return !reader.error && header.zxid == zxid;
}

void ensemble_init(struct replica *replica, const struct zab_options *options)
{
    struct zab_options own = *options;
    own.trace = replica->options.trace;
    own.entry_fits = entry_fits;
    struct ensemble *ensemble = mk_calloc(1, sizeof *ensemble);
    ensemble->zab = zab_new(&own);
    ensemble->status.leader = ZAB_NOBODY;
    ensemble->deadline_ms = INT64_MAX;
    replica->ensemble = ensemble;
    replica->options.operations.transaction_bytes_max = options->packet_bytes_max - FRAME_OF_RECORD;
}

void ensemble_fini(struct replica *replica)
{
    struct ensemble *ensemble = replica->ensemble;
    if (!ensemble)
        return;
    stream_end(replica);
    zab_free(ensemble->zab);
    mk_free(ensemble->syncs);
    mk_free(ensemble->touched);
    mk_free(ensemble->streams);
    mk_buffer_fini(&ensemble->scratch);
    mk_free(ensemble);
    replica->ensemble = NULL;
}

void ensemble_restored(struct replica *replica, int64_t zxid, struct mk_bytes bytes)
{
    if (replica->ensemble && !replica->ensemble->started)
        zab_restore_entry(replica->ensemble->zab, zxid, bytes);
}

bool replica_may_propose(const struct replica *replica)
{
    return !replica->ensemble ||
           (replica->ensemble->serving && zab_next_zxid(replica->ensemble->zab) != 0);
}

bool replica_is_serving(const struct replica *replica)
{
    return !replica->ensemble || replica->ensemble->serving;
}

bool replica_is_read_only(const struct replica *replica)
{
    return replica->ensemble && replica->ensemble->read_only;
}

struct zab_link *replica_zab_link(struct replica *replica, uint32_t link)
{
    return replica->ensemble ? zab_link(replica->ensemble->zab, link) : NULL;
}

const struct zab *replica_zab(const struct replica *replica)
{
    return replica->ensemble ? replica->ensemble->zab : NULL;
}

bool replica_zab_status(const struct replica *replica, struct zab_status *status)
{
    if (!replica->ensemble)
        return false;
    *status = replica->ensemble->status;
    return true;
}

/* --- service ---------------------------------------------------------------------------------- */

void replica_drop_clients(struct replica *replica)
{
    for (size_t i = 0; i < replica->connection_capacity; i++) {
        struct connection *connection = replica->connections[i];
        if (!connection || connection->phase == PHASE_COMMAND)
            continue;
        pipeline_free(replica, connection);
        if (connection->establishing)
            connection->establishing->connection = NULL;
        connection->establishing = NULL;
        if (connection->session && connection->phase != PHASE_ESTABLISHING)
            replica->stats.connection_count--;
        connection_leave_session(replica, connection);
        connection->phase = PHASE_ENDING;
        connection_drop(replica, connection);
    }
}

static void forget_uncertain(void *context, struct session *session)
{
    struct replica *replica = context;
    session->closing = false;
    session->owner = 0;
    session->touched = false;
    expiry_remove(replica, session);
    if (!session->committed)
        session_free(replica, session);
}

static void end_service(struct replica *replica)
{
    struct ensemble *ensemble = replica->ensemble;
    replica_log(replica, ensemble->leaving ? MK_LEVEL_INFO : MK_LEVEL_WARN,
                "not serving: clients are disconnected");
    replica_drop_clients(replica);
    proposals_drop(replica);
    session_visit_all(replica, forget_uncertain, replica);
    view_reset(replica->view);
    ensemble->sync_count = ensemble->sync_answered_count = ensemble->touched_count = 0;
    stream_end(replica);
}

/* Clients find the members in /zookeeper/config. No transaction wrote that: each member fills it in
 * by itself (client-protocol reference, 4.7), and what came with a leader's tree is its. */
static void show_members(struct replica *replica)
{
    struct mk_bytes path = MK_BYTES("/zookeeper/config");
    int64_t version;
    struct mk_bytes text = zab_config(replica->ensemble->zab, &version);
    const struct znode *node = tree_find(replica->tree, path);
    if (!node || !mk_bytes_equal(znode_data(node), text))
        tree_set_data(replica->tree, path, text, -1, version, replica->wall_ms);
}

static void begin_service(struct replica *replica)
{
    const struct zab_status *status = &replica->ensemble->status;
    bool leads = status->role == ZAB_LEADING;
    replica_log(replica, MK_LEVEL_INFO, "serving as %s in epoch %lld, zxid 0x%llx",
                leads                           ? "leader"
                : status->role == ZAB_FOLLOWING ? "follower"
                                                : "observer",
                (long long)status->epoch, (unsigned long long)replica->last_zxid);
    show_members(replica);
    view_reset(replica->view);
    replica_adopt_sessions(replica);
    if (leads) {
        replica->last_proposed_zxid = zab_next_zxid(replica->ensemble->zab) - 1;
        replica_close_orphans(replica);
    }
}

static void look_at_status(struct replica *replica)
{
    struct ensemble *ensemble = replica->ensemble;
    struct zab_status before = ensemble->status;
    zab_status(ensemble->zab, &ensemble->status);
    measure_status(replica, &before);
    if (ensemble->serving && !ensemble->status.serving) {
        ensemble->serving = false;
        end_service(replica);
    } else if (!ensemble->serving && ensemble->status.serving) {
        ensemble->serving = true;
        begin_service(replica);
    }
}

/* --- steps ------------------------------------------------------------------------------------ */

void ensemble_step(struct replica *replica, struct zab_event *event)
{
    struct ensemble *ensemble = replica->ensemble;
    event->now_ms = replica->now_ms;
    zab_step(ensemble->zab, event, &replica->update->zab);
    ensemble->consumed += replica->update->zab.consumed;
    ensemble->deadline_ms = replica->update->zab.deadline_ms;
}

static void take_delivery(struct replica *replica, const struct zab_delivery *delivery)
{
    switch (delivery->type) {
    case ZAB_REQUEST:
        remote_request(replica, delivery);
        break;
    case ZAB_REVALIDATE:
        remote_revalidate(replica, delivery);
        break;
    case ZAB_TOUCHED:
        remote_touched(replica, delivery->bytes);
        break;
    case ZAB_PING:
        forward_ping(replica);
        break;
    case ZAB_REVALIDATED:
        forward_revalidated(replica, delivery->bytes, delivery->zxid);
        break;
    case ZAB_SYNCED:
        forward_synced(replica, 0, delivery->zxid);
        break;
    case ZAB_SYNC_DONE:
        forward_synced(replica, delivery->ticket, delivery->zxid);
        break;
    case ZAB_LEARNER_GONE:
        break;
    }
}

/* Deliveries may cause steps, and those deliveries. */
static bool take_deliveries(struct replica *replica)
{
    struct zab_update *update = &replica->update->zab;
    size_t taken = 0;
    for (; taken < update->delivery_count; taken++) {
        struct zab_delivery delivery = update->deliveries[taken];
        take_delivery(replica, &delivery);
    }
    update->delivery_count = 0;
    return taken > 0;
}

/* Memory begins anew, or is whole again. */
static bool take_trees(struct replica *replica)
{
    struct ensemble *ensemble = replica->ensemble;
    struct zab_update *update = &replica->update->zab;
    if (update->snapshot_begin)
        stream_receive_begin(replica);
    update->snapshot_begin = false;
    if (update->reload && !ensemble->reloading) {
        ensemble->reloading = true;
        ensemble->loading = ensemble->held = ensemble->taken_waits = false;
        snapshot_give_up(replica);
        stream_end(replica);
    }
    bool news = false;
    if (update->snapshot_input.length > 0) {
        struct mk_bytes input = update->snapshot_input;
        update->snapshot_input = mk_bytes_of(NULL, 0);
        stream_receive(replica, input);
        news = true;
    }
    /* An update may hold what several events brought: each step is looked at once. */
    size_t first = update->disk_count;
    while (first > 0 && update->disk[first - 1].ticket > ensemble->disk_seen)
        first--;
    for (size_t i = first; i < update->disk_count; i++) {
        const struct zab_disk_step *step = &update->disk[i];
        ensemble->disk_seen = step->ticket;
        if (step->type == ZAB_DISK_INSTALL_SNAPSHOT)
            stream_received(replica, step->zxid);
    }
    for (size_t i = 0; i < update->snapshot_count; i++)
        stream_add(replica, update->snapshots[i]);
    update->snapshot_count = 0;
    return news;
}

static bool apply(struct replica *replica)
{
    int64_t before = replica->last_zxid;
    commit_continue(replica);
    if (replica->last_zxid == before)
        return false;
    ensemble_step(replica, &(struct zab_event){.type = ZAB_APPLIED, .zxid = replica->last_zxid});
    return true;
}

/* At a stop the own clients get their answers first. A leader then lets what the others asked for
 * be committed, and leaves (the followers elect at once). */
static void leave_if_drained(struct replica *replica)
{
    struct ensemble *ensemble = replica->ensemble;
    if (!replica->stopping || ensemble->leaving || replica->stats.outstanding_requests > 0)
        return;
    ensemble->leaving = true;
    ensemble_step(replica, &(struct zab_event){.type = ZAB_STOP});
}

bool ensemble_has_left(const struct replica *replica)
{
    return replica->ensemble->leaving && !replica->ensemble->serving;
}

void ensemble_follow_up(struct replica *replica)
{
    struct ensemble *ensemble = replica->ensemble;
    bool applied = false;
    for (bool news = true; news;) {
        look_at_status(replica);
        news = take_trees(replica);
        news = take_deliveries(replica) || news;
        if (!applied) { /* what one turn may take */
            applied = true;
            news = apply(replica) || news;
        }
    }
    leave_if_drained(replica);
    look_at_status(replica);
    read_only_consider(replica);
    replica->update->zab.consumed = ensemble->consumed;
    ensemble->consumed = 0;
}

void ensemble_event(struct replica *replica, struct zab_event *event)
{
    struct ensemble *ensemble = replica->ensemble;
    if (!ensemble->started)
        measure_begin(replica);
    ensemble->started = true;
    if (event->type == ZAB_RELOADED) {
        ensemble->reloading = false;
        replica_forget_sessions(replica);
    }
    if (event->type == ZAB_SNAPSHOT_TAKEN)
        stream_go_on(replica); /* the host knows only when, not how much */
    else
        ensemble_step(replica, event);
    if (event->type == ZAB_LINK_DRAINED || event->type == ZAB_LINK_DOWN)
        stream_continue(replica);
}

bool ensemble_is_due(const struct replica *replica)
{
    return replica->now_ms >= replica->ensemble->deadline_ms;
}

void ensemble_tick(struct replica *replica)
{
    if (ensemble_is_due(replica))
        ensemble_step(replica, &(struct zab_event){.type = ZAB_TICK});
}
