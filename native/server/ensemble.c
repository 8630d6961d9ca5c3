/* SPDX-License-Identifier: MIT */
/* A server as a member of an ensemble: between the replica's zab on one side and the network
 * (peers.h) and the disk's steps (disk.h) on the other. Called by server.c: told to start and stop,
 * and given each update. It decides nothing: it performs, in the order that replica.h and zab.h
 * ask for, and brings back what happened. Memory is loaded again here too, once the disk is quiet.
 */
#include "server/ensemble.h"

#include "base/mem.h"
#include "log/epochs.h"
#include "server/disk.h"
#include "server/peers.h"
#include "wire/errors.gen.h"

#include <stdio.h>
#include <stdlib.h>

struct ensemble_host {
    struct server *server;
    struct peers *peers;
    struct quorum quorum;
    struct mk_buffer text; /* the config, as peers and clients see it */
    bool roll_wanted;      /* the next entry begins a new log file */
    bool reload_wanted;    /* when the disk has done all that it was asked for */
    bool receiving;        /* a tree comes from the leader, its file is open */
    uint64_t ticket_submitted, ticket_done;
};

/* --- the configuration ------------------------------------------------------------------------ */

static bool has_colon(const char *host)
{
    return strchr(host, ':') != NULL;
}

static void write_member(struct mk_buffer *text, const struct server_member *member)
{
    bool brackets = has_colon(member->host);
    mk_buffer_print(text, "server.%lld=%s%s%s:%u:%u:%s", (long long)member->id, brackets ? "[" : "",
                    member->host, brackets ? "]" : "", member->quorum_port, member->election_port,
                    member->observer ? "observer" : "participant");
    if (member->client[0])
        mk_buffer_print(text, ";%s", member->client);
    mk_buffer_append_string(text, "\n");
}

/* As Apache writes it (quorum-protocol reference, 3.3). */
static void write_config(struct mk_buffer *text, const struct server_options *options)
{
    bool hierarchical = false;
    for (size_t i = 0; i < options->member_count; i++) {
        write_member(text, &options->members[i]);
        hierarchical = hierarchical || options->members[i].group != 0;
    }
    for (size_t i = 0; i < options->member_count && hierarchical; i++) {
        const struct server_member *member = &options->members[i];
        bool first = member->group != 0;
        for (size_t k = 0; k < i && first; k++)
            first = options->members[k].group != member->group;
        if (!first)
            continue;
        mk_buffer_print(text, "group.%lld=%lld", (long long)member->group, (long long)member->id);
        for (size_t k = i + 1; k < options->member_count; k++)
            if (options->members[k].group == member->group)
                mk_buffer_print(text, ":%lld", (long long)options->members[k].id);
        mk_buffer_append_string(text, "\n");
    }
    for (size_t i = 0; i < options->member_count && hierarchical; i++)
        mk_buffer_print(text, "weight.%lld=%llu\n", (long long)options->members[i].id,
                        (unsigned long long)options->members[i].weight);
    mk_buffer_print(text, "version=%llx", (unsigned long long)options->members_version);
}

/* The member that this server is, or NULL and in `reason` why it cannot be one. */
static const struct quorum_member *find_self(struct ensemble_host *host, char *reason, size_t size)
{
    const struct server_options *options = &host->server->options;
    if (quorum_parse(&host->quorum, mk_buffer_bytes(&host->text), reason, size) != 0)
        return NULL;
    if (options->memory_only) {
        snprintf(reason, size,
                 "a member of an ensemble needs a data directory, but memory_only is set");
        return NULL;
    }
    const struct quorum_member *self = quorum_find(&host->quorum, options->replica.server_id);
    if (!self)
        snprintf(reason, size, "the id of this server, %d, is not among the servers",
                 options->replica.server_id);
    return self;
}

static struct zab_options *make_zab_options(const struct ensemble_host *host,
                                            const struct quorum_member *self)
{
    const struct server_options *options = &host->server->options;
    struct zab_options *zab = mk_calloc(1, sizeof *zab);
    zab_options_init(zab);
    zab->id = self->id;
    zab->observer = self->observer;
    zab->quorum = host->quorum;
    zab->config = mk_buffer_bytes(&host->text);
    zab->tick_time_ms = options->replica.tick_time_ms;
    zab->init_limit_ticks = options->init_limit_ticks;
    zab->sync_limit_ticks = options->sync_limit_ticks;
    zab->packet_bytes_max =
        MK_MAX(zab->packet_bytes_max, (size_t)options->replica.frame_bytes_max * 2);
    zab->trace = host->server->trace;
    return zab;
}

int ensemble_prepare(struct server *server, struct server_error *error)
{
    if (server->options.member_count < 2)
        return 0;
    struct ensemble_host *host = mk_calloc(1, sizeof *host);
    server->ensemble = host;
    host->server = server;
    write_config(&host->text, &server->options);
    char reason[400];
    const struct quorum_member *self = find_self(host, reason, sizeof reason);
    if (!self) {
        error->code = MK_ERR_BAD_CONFIG;
        snprintf(error->text, sizeof error->text, "servers: %s", reason);
        return error->code;
    }
    server->options.replica.ensemble = make_zab_options(host, self);
    return 0;
}

/* --- what happens ----------------------------------------------------------------------------- */

static size_t feed(struct server *server, struct zab_event *event)
{
    struct replica_event wrapped = {.type = REPLICA_ENSEMBLE, .zab = event};
    server_feed(server, &wrapped);
    return server->update.zab.consumed;
}

static size_t on_peer_event(void *context, struct zab_event *event)
{
    struct ensemble_host *host = context;
    if (host->server->state == SERVER_CLOSING)
        return mk_bytes_size(event->bytes);
    return feed(host->server, event);
}

static struct zab_link *on_peer_link(void *context, uint32_t link)
{
    struct ensemble_host *host = context;
    return replica_zab_link(host->server->replica, link);
}

static void on_peers_closed(void *context)
{
    struct ensemble_host *host = context;
    host->peers = NULL;
    server_handle_closed(host->server);
}

static void reload_if_due(struct ensemble_host *host)
{
    if (!host->reload_wanted || host->ticket_done < host->ticket_submitted)
        return;
    host->reload_wanted = false;
    int64_t last_zxid = -1;
    struct server_error error;
    if (storage_reload(host->server, &last_zxid, &error) != 0) {
        mk_trace(host->server->trace, MK_LEVEL_ERROR, "ensemble",
                 "the data directory cannot be loaded again: %s", error.text);
        exit(EXIT_FAILURE); /* memory is not whole, and what is on the disk is not to be guessed */
    }
    feed(host->server, &(struct zab_event){.type = ZAB_RELOADED, .zxid = last_zxid});
}

static void on_ticket_done(void *context, uint64_t ticket)
{
    struct ensemble_host *host = context;
    if (host->server->state == SERVER_CLOSING)
        return;
    host->ticket_done = ticket;
    feed(host->server, &(struct zab_event){.type = ZAB_DISK_DONE, .ticket = ticket});
    reload_if_due(host);
}

static void on_snapshot_drained(void *context)
{
    struct ensemble_host *host = context;
    if (host->server->state == SERVER_CLOSING)
        return;
    size_t consumed = feed(host->server, &(struct zab_event){.type = ZAB_SNAPSHOT_TAKEN});
    if (host->peers)
        peers_consumed(host->peers, consumed);
}

/* --- start and stop --------------------------------------------------------------------------- */

static struct peer_address *addresses_of(const struct server_options *options)
{
    struct peer_address *addresses = mk_calloc(options->member_count, sizeof *addresses);
    for (size_t i = 0; i < options->member_count; i++) {
        const struct server_member *member = &options->members[i];
        addresses[i] = (struct peer_address){.id = member->id,
                                             .host = member->host,
                                             .quorum_port = member->quorum_port,
                                             .election_port = member->election_port,
                                             .observer = member->observer};
    }
    return addresses;
}

static int start_peers(struct ensemble_host *host, struct server_error *error)
{
    struct server *server = host->server;
    const struct server_options *options = &server->options;
    struct peer_address *addresses = addresses_of(options);
    struct peers_options peers;
    peers_options_init(&peers);
    peers.loop = server->loop;
    peers.id = options->replica.server_id;
    peers.members = addresses;
    peers.count = options->member_count;
    peers.listen_on_all = options->quorum_listen_on_all;
    peers.connect_timeout_ms = options->election_connect_timeout_ms;
    int64_t limit_ms = (int64_t)options->replica.tick_time_ms * options->sync_limit_ticks;
    peers.handshake_timeout_ms = (int32_t)MK_MIN(limit_ms, INT32_MAX);
    peers.trace = server->trace;
    struct peers_callbacks callbacks = {
        .context = host, .event = on_peer_event, .link = on_peer_link, .closed = on_peers_closed};
    server_handle_opened(server);
    error->code = peers_start(&peers, &callbacks, &host->peers, error->text, sizeof error->text);
    mk_free(addresses);
    return error->code;
}

int ensemble_start(struct server *server, struct server_error *error)
{
    struct ensemble_host *host = server->ensemble;
    if (!host)
        return 0;
    struct disk_listener listener = {
        .ticket_done = on_ticket_done, .snapshot_drained = on_snapshot_drained, .context = host};
    disk_listen(server->disk, &listener);
    struct zab_event event = {
        .type = ZAB_START,
        .state = {.last_zxid = server->data_is_whole ? replica_last_zxid(server->replica) : -1,
                  .snapshot_zxid = server->snapshot_zxid,
                  .accepted_epoch = server->accepted_epoch,
                  .current_epoch = server->current_epoch}};
    feed(server, &event);
    return start_peers(host, error);
}

void ensemble_stop(struct server *server)
{
    struct ensemble_host *host = server->ensemble;
    if (host && host->peers)
        peers_stop(host->peers);
}

void ensemble_free(struct server *server)
{
    struct ensemble_host *host = server->ensemble;
    if (!host)
        return;
    mk_buffer_fini(&host->text);
    mk_free((void *)server->options.replica.ensemble);
    server->options.replica.ensemble = NULL;
    mk_free(host);
    server->ensemble = NULL;
}

/* --- performing ------------------------------------------------------------------------------- */

static void perform_tree(struct ensemble_host *host, struct replica_update *update)
{
    struct disk *disk = host->server->disk;
    if (update->received_begin) {
        disk_snapshot_begin(disk);
        host->receiving = true;
    }
    if (update->received_body.length > 0 &&
        !disk_snapshot_body(disk, mk_buffer_bytes(&update->received_body)))
        replica_hold_tree(host->server->replica);
    mk_buffer_clear(&update->received_body);
    for (size_t i = 0; i < update->zab.disk_count; i++) {
        if (update->zab.disk[i].type != ZAB_DISK_INSTALL_SNAPSHOT)
            continue;
        struct snapfile_seal none = {0}; /* the tree may be ahead of its zxid: no digest is true */
        disk_snapshot_end(disk, &none);
        host->receiving = false;
        host->server->data_is_whole = true; /* what would be damaged from here on is new */
    }
}

static void perform_disk(struct ensemble_host *host, struct replica_update *update)
{
    const struct zab_update *zab = &update->zab;
    host->roll_wanted = host->roll_wanted || update->roll;
    update->roll = false;
    if (zab->disk_count == 0)
        return;
    int64_t roll_at = 0;
    for (size_t i = 0; i < zab->disk_count && host->roll_wanted; i++) {
        if (zab->disk[i].type != ZAB_DISK_APPEND)
            continue;
        roll_at = zab->disk[i].entry.zxid;
        host->roll_wanted = false;
    }
    host->ticket_submitted = zab->disk[zab->disk_count - 1].ticket;
    disk_submit_steps(host->server->disk, zab->disk, zab->disk_count, roll_at);
}

void ensemble_perform(struct server *server)
{
    struct ensemble_host *host = server->ensemble;
    struct replica_update *update = &server->update;
    if (!host)
        return;
    if (update->failed)
        exit(EXIT_FAILURE);
    perform_tree(host, update);
    perform_disk(host, update);
    if (update->zab.reload) {
        host->reload_wanted = true;
        if (host->receiving)
            disk_snapshot_abort(server->disk);
        host->receiving = false;
    }
    struct zab_status status = {.role = ZAB_LOOKING};
    replica_zab_status(server->replica, &status);
    if (host->peers)
        peers_perform(host->peers, &update->zab, status.role);
}

void ensemble_performed(struct server *server)
{
    if (server->ensemble)
        reload_if_due(server->ensemble);
}
