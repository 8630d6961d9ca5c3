/* SPDX-License-Identifier: MIT */
/* The network of an ensemble: the election connections (one for each pair of servers,
 * quorum-protocol reference, section 1) and the links between leader and learners (sections 4 and
 * 5), on a libuv loop. It brings zab its events and performs the part of an update that concerns
 * the network. It knows hellos and lengths, but no vote and no packet; it never touches disk, tree
 * or clients. Used by server.c and by tests/interop/zab_node.c. All calls on the loop's thread. */
#ifndef SERVER_PEERS_H
#define SERVER_PEERS_H

#include "base/trace.h"
#include "zab/zab.h"

#include <uv.h>

struct peers;

/* A line server.N of the configuration. Names are resolved anew at each dial and bind. */
struct peer_address {
    int64_t id;
    const char *host;
    uint16_t quorum_port, election_port;
    bool observer;
};

struct peers_options {
    uv_loop_t *loop;
    int64_t id;                         /* of this server; one of `members` */
    const struct peer_address *members; /* copied, strings too */
    size_t count;
    bool listen_on_all;           /* on every address of this machine (quorumListenOnAllIPs) */
    int32_t connect_timeout_ms;   /* for one attempt at one address (cnxTimeout) */
    int32_t handshake_timeout_ms; /* for the hello of who dialled: tickTime x syncLimit */
    uint32_t strangers_max;       /* connections that said no hello yet, on each of the two ports;
                                   * beyond, the oldest one goes */
    uint32_t links_max;           /* accepted quorum links at a time */
    size_t input_max;             /* bytes of a link that zab does not consume; then it is closed */
    const struct mk_trace *trace; /* may be NULL */
};

/* Defaults; loop, id and members stay to be set. */
void peers_options_init(struct peers_options *options);

struct peers_callbacks {
    void *context;
    /* Something happened: fill in event->now_ms, make the step, return update.consumed. The update
     * is performed later, at the end of the loop's turn at the latest. Called from callbacks of the
     * loop only: never from inside a function of this header. The bytes of the event stay where
     * they are as long as update.snapshot_input may point into them: until peers_consumed, or until
     * the next peers_perform after ZAB_LINK_DOWN returns. */
    size_t (*event)(void *context, struct zab_event *event);
    struct zab_link *(*link)(void *context, uint32_t link); /* zab_link */
    /* After peers_stop: every handle is closed; the peers are freed when this returns. */
    void (*closed)(void *context);
};

/* Binds the own election and quorum address and dials the others. 0; or MK_ERR_BAD_CONFIG and in
 * `reason` which address cannot be had, why, and what to do: then *peers is NULL, but `closed` is
 * called all the same, later, when all that was opened is closed again. */
int peers_start(const struct peers_options *options, const struct peers_callbacks *callbacks,
                struct peers **peers, char *reason, size_t reason_size);
/* Performs of an update: messages, connect, touched. Nothing is fed from inside. `role` is that of
 * zab_status now: only a leader's learners are let in, and while nobody is elected yet they are
 * kept waiting (the follower often knows before the leader does). */
void peers_perform(struct peers *peers, const struct zab_update *update, enum zab_role role);
/* After each ZAB_SNAPSHOT_TAKEN step that the host made: its update.consumed. */
void peers_consumed(struct peers *peers, size_t consumed);
/* No event is fed any more; closes everything, then `closed`. (A name that is being resolved may
 * keep the loop, not the peers, until the resolver answers.) */
void peers_stop(struct peers *peers);

#endif
