/* SPDX-License-Identifier: MIT */
/* The life of an ensemble's network: start, the timer, what an update wants of it, the end. Called
 * by the host of zab. It owns struct peers and all in it; nothing is fed to zab but from callbacks
 * of the loop. */
#include "server/peers.h"

#include "base/mem.h"
#include "server/peers_int.h"
#include "wire/errors.gen.h"

#include <stdio.h>

void peers_options_init(struct peers_options *options)
{
    *options = (struct peers_options){
        .connect_timeout_ms = 5000,
        .handshake_timeout_ms = 10000,
        .strangers_max = 32,
        .links_max = 1000,
        .input_max = (size_t)72 << 20, /* above the longest string of a snapshot stream */
    };
}

/* --- options ---------------------------------------------------------------------------------- */

static void options_copy(struct peers *peers, const struct peers_options *options)
{
    struct peer_address *members = mk_calloc(options->count, sizeof *members);
    for (size_t i = 0; i < options->count; i++) {
        members[i] = options->members[i];
        members[i].host = mk_string_copy(members[i].host, strlen(members[i].host));
        if (members[i].id == options->id)
            peers->own = &members[i];
    }
    peers->options = *options;
    peers->options.members = members;
}

static void options_free(struct peers *peers)
{
    for (size_t i = 0; i < peers->options.count; i++)
        mk_free((void *)peers->options.members[i].host);
    mk_free((void *)peers->options.members);
}

const struct peer_address *peers_member(const struct peers *peers, int64_t id)
{
    for (size_t i = 0; i < peers->options.count; i++)
        if (peers->options.members[i].id == id)
            return &peers->options.members[i];
    return NULL;
}

size_t peers_feed(struct peers *peers, struct zab_event *event)
{
    MK_ASSERT(!peers->stopping);
    return peers->callbacks.event(peers->callbacks.context, event);
}

/* --- the end ---------------------------------------------------------------------------------- */

static void free_graves(struct peers *peers)
{
    for (size_t i = 0; i < peers->grave_count; i++)
        mk_buffer_fini(&peers->graves[i]);
    peers->grave_count = 0;
}

void peers_one_closed(struct peers *peers)
{
    MK_ASSERT(peers->open > 0);
    if (--peers->open > 0)
        return;
    MK_ASSERT(peers->stopping);
    if (peers->callbacks.closed)
        peers->callbacks.closed(peers->callbacks.context);
    election_links_free(peers);
    quorum_links_free(peers);
    free_graves(peers);
    mk_free(peers->graves);
    options_free(peers);
    mk_free(peers);
}

static void on_closed(uv_handle_t *handle)
{
    peers_one_closed(handle->data);
}

void peers_stop(struct peers *peers)
{
    if (peers->stopping)
        return;
    peers->stopping = true;
    peer_door_close(&peers->election_door);
    peer_door_close(&peers->quorum_door);
    election_links_close(peers);
    quorum_links_close(peers);
    uv_close((uv_handle_t *)&peers->timer, on_closed);
    uv_close((uv_handle_t *)&peers->later, on_closed);
}

/* --- the timer -------------------------------------------------------------------------------- */

static void on_timer(uv_timer_t *timer)
{
    struct peers *peers = timer->data;
    int64_t now_ms = peers_now(peers);
    peers->timer_at_ms = INT64_MAX;
    peer_door_tick(&peers->election_door, now_ms);
    peer_door_tick(&peers->quorum_door, now_ms);
    peer_dials_tick(peers, now_ms);
    election_dials_tick(peers, now_ms);
    peers_wake_at(peers, peer_door_deadline(&peers->election_door));
    peers_wake_at(peers, peer_door_deadline(&peers->quorum_door));
    peers_wake_at(peers, peer_dials_deadline(peers));
    peers_wake_at(peers, election_dials_deadline(peers));
}

void peers_wake_at(struct peers *peers, int64_t at_ms)
{
    if (at_ms >= peers->timer_at_ms || peers->stopping)
        return;
    peers->timer_at_ms = at_ms;
    uv_timer_start(&peers->timer, on_timer, (uint64_t)MK_MAX(at_ms - peers_now(peers), 0), 0);
}

static void on_later(uv_idle_t *idle)
{
    struct peers *peers = idle->data;
    peers->later_due = false;
    uv_idle_stop(idle);
    election_links_later(peers);
    quorum_links_later(peers);
    peer_door_look(&peers->quorum_door);
}

void peers_later(struct peers *peers)
{
    if (peers->later_due || peers->stopping)
        return;
    peers->later_due = true;
    uv_idle_start(&peers->later, on_later);
}

/* --- updates ---------------------------------------------------------------------------------- */

static void role_enter(struct peers *peers, enum zab_role role)
{
    if (peers->role == role)
        return;
    peers->role = role;
    if (role == ZAB_LOOKING)
        election_dial_all(peers);
    if (role == ZAB_LOOKING || role == ZAB_LEADING)
        quorum_links_dial_cancel(peers);
    peers_later(peers); /* those at the quorum door may be let in, or not */
}

void peers_perform(struct peers *peers, const struct zab_update *update, enum zab_role role)
{
    if (peers->stopping)
        return;
    role_enter(peers, role);
    for (size_t i = 0; i < update->message_count; i++) {
        const struct zab_message *message = &update->messages[i];
        election_send(peers, message->server, update->message_bytes.data + message->offset,
                      message->length);
    }
    for (size_t i = 0; i < update->touched_count; i++)
        quorum_link_perform(peers, update->touched[i]);
    if (update->connect && (role == ZAB_FOLLOWING || role == ZAB_OBSERVING))
        quorum_links_dial(peers, update->connect_to);
    free_graves(peers);
}

void peers_consumed(struct peers *peers, size_t consumed)
{
    quorum_links_consumed(peers, consumed);
}

/* --- start ------------------------------------------------------------------------------------ */

static int open_doors(struct peers *peers, char *reason, size_t reason_size)
{
    if (!peers->own) {
        snprintf(reason, reason_size, "server %lld is not in its own list of servers",
                 (long long)peers->options.id);
        return MK_ERR_BAD_CONFIG;
    }
    const char *host = peers->options.listen_on_all ? NULL : peers->own->host;
    int code =
        peer_door_open(&peers->election_door, host, peers->own->election_port, reason, reason_size);
    if (code == 0)
        code =
            peer_door_open(&peers->quorum_door, host, peers->own->quorum_port, reason, reason_size);
    return code;
}

int peers_start(const struct peers_options *options, const struct peers_callbacks *callbacks,
                struct peers **result, char *reason, size_t reason_size)
{
    struct peers *peers = mk_calloc(1, sizeof *peers);
    options_copy(peers, options);
    peers->callbacks = *callbacks;
    peers->timer_at_ms = INT64_MAX;
    peers->role = ZAB_LOOKING;
    mk_rand_init(&peers->rand, uv_hrtime() ^ (uint64_t)options->id << 48);
    peers->election_door = (struct peer_door){.peers = peers,
                                              .name = "election",
                                              .hello_bytes_max = ELECTION_HELLO_BYTES_MAX,
                                              .look = election_look};
    peers->quorum_door = (struct peer_door){
        .peers = peers, .name = "quorum", .hello_bytes_max = 4, .look = quorum_look};
    uv_timer_init(options->loop, &peers->timer);
    uv_idle_init(options->loop, &peers->later);
    peers->timer.data = peers->later.data = peers;
    peers_opened(peers);
    peers_opened(peers);
    election_links_init(peers);
    int code = open_doors(peers, reason, reason_size);
    if (code != 0) {
        peers_stop(peers);
        *result = NULL;
        return code;
    }
    election_dial_all(peers);
    *result = peers;
    return 0;
}
