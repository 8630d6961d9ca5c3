/* SPDX-License-Identifier: MIT */
/* A member that finds no leader serves what it has, to clients that asked for a read-only server
 * (quorum-protocol reference, 15). Such a session lives here alone, in no tree, and ends with its
 * connection or with the election. Called by ensemble.c, handshake.c and request.c. It must never
 * let a client write, nor show one a state that is older than it has seen. */
#include "replica/replica_int.h"

#define WAIT_MIN_MS 2000 /* a usual election is over before */

static int64_t begins_ms(const struct replica *replica)
{
    return replica->ensemble->looking_since_ms +
           MK_MAX(WAIT_MIN_MS, (int64_t)replica->options.tick_time_ms);
}

static bool may_begin(const struct replica *replica)
{
    const struct ensemble *ensemble = replica->ensemble;
    return replica->options.read_only_enabled && ensemble->looking && !ensemble->serving &&
           !ensemble->loading && !ensemble->reloading && !replica->stopping &&
           ensemble->status.last_logged >= 0; /* data that is not trusted is shown to nobody */
}

void read_only_consider(struct replica *replica)
{
    struct ensemble *ensemble = replica->ensemble;
    bool looking = ensemble->status.role == ZAB_LOOKING;
    if (looking && !ensemble->looking)
        ensemble->looking_since_ms = replica->now_ms;
    ensemble->looking = looking;
    if (!ensemble->read_only && may_begin(replica) && replica->now_ms >= begins_ms(replica)) {
        ensemble->read_only = true;
        replica_log(replica, MK_LEVEL_WARN,
                    "no leader was found: serving clients that accept a read-only server, zxid "
                    "0x%llx",
                    (unsigned long long)replica->last_zxid);
    } else if (ensemble->read_only && !may_begin(replica)) {
        ensemble->read_only = false;
        replica_log(replica, MK_LEVEL_INFO, "no longer read-only");
        replica_drop_clients(replica);
    }
}

int64_t read_only_deadline_ms(const struct replica *replica)
{
    if (replica->ensemble->read_only || !may_begin(replica))
        return INT64_MAX;
    return begins_ms(replica);
}

bool read_only_session(struct replica *replica, struct connection *connection,
                       const struct mk_connect_request *request, int32_t timeout_ms)
{
    bool accepts = request->has_read_only && request->read_only;
    if (!replica->ensemble->read_only || !accepts || request->session_id != 0 ||
        request->last_zxid_seen > replica->last_zxid)
        return false;
    struct session *session = session_add(replica, session_next_id(replica), timeout_ms);
    session->local = true;
    session->connection = connection;
    connection->session = session;
    handshake_established(replica, connection);
    return true;
}

bool read_only_refuses(const struct replica *replica, int32_t op)
{
    const struct mk_op_info *info = mk_op_find(op);
    return replica->ensemble && replica->ensemble->read_only && info &&
           (info->kind == MK_KIND_WRITE || info->kind == MK_KIND_BARRIER) &&
           op != MK_OP_CLOSE_SESSION;
}
