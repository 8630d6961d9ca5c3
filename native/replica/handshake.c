/* SPDX-License-Identifier: MIT */
/* The connect request in all its variants: a new session, a resumed one, a refusal. Rules:
 * client-protocol reference, section 2 (processing order 2.3, password 2.5), and the traps 1-4
 * of its section 14: answers of exactly 36 or 37 bytes, silence where a client must try
 * another server. */
#include "replica/replica_int.h"

#include "wire/frame.h"

/* The password that Apache derives from the id: the 48-bit linear congruential generator of
 * java.util.Random, four words, each little-endian. A session must be able to move between an
 * Apache server and this one, so the algorithm is theirs; it is a checksum, not a secret. */
void session_password(int64_t session_id, uint8_t password[PASSWORD_BYTES])
{
    const uint64_t mask = (UINT64_C(1) << 48) - 1;
    uint64_t state = (((uint64_t)session_id ^ 0xB3415C00u) ^ 0x5DEECE66Du) & mask;
    for (int word = 0; word < 4; word++) {
        state = (state * 0x5DEECE66Du + 0xBu) & mask;
        uint32_t bits = (uint32_t)(state >> 16);
        for (int byte = 0; byte < 4; byte++)
            password[4 * word + byte] = (uint8_t)(bits >> (8 * byte));
    }
}

/* Takes the same time wherever the difference is. */
static bool password_matches(int64_t session_id, struct mk_bytes given)
{
    uint8_t expected[PASSWORD_BYTES];
    session_password(session_id, expected);
    if (given.length != PASSWORD_BYTES)
        return false;
    uint8_t difference = 0;
    for (int i = 0; i < PASSWORD_BYTES; i++)
        difference |= (uint8_t)(expected[i] ^ given.data[i]);
    return difference == 0;
}

static void respond(struct replica *replica, struct connection *connection, int32_t timeout_ms,
                    int64_t session_id, const uint8_t password[PASSWORD_BYTES])
{
    struct mk_connect_response response = {
        .timeout = timeout_ms,
        .session_id = session_id,
        .password = mk_bytes_of(password, PASSWORD_BYTES),
        .has_read_only = connection->reply_has_read_only,
        .read_only = replica_is_read_only(replica),
    };
    struct mk_buffer *output = &connection->link.output;
    size_t begin = mk_frame_begin(output);
    mk_connect_response_write(output, &response);
    mk_frame_end(output, begin);
    replica->stats.packets_sent++;
    replica->stats.bytes_sent += output->length - begin;
    connection->info.sent++;
    replica_touch(replica, connection);
}

/* Unknown, expired, or a wrong password: not told apart. */
static void refuse(struct replica *replica, struct connection *connection)
{
    static const uint8_t zeros[PASSWORD_BYTES];
    respond(replica, connection, 0, 0, zeros);
    connection->phase = PHASE_ENDING;
    connection_end(replica, connection);
}

void handshake_established(struct replica *replica, struct connection *connection)
{
    struct session *session = connection->session;
    uint8_t password[PASSWORD_BYTES];
    session_password(session->id, password);
    connection->phase = PHASE_SERVING;
    connection->establishing = NULL;
    replica->stats.connection_count++;
    expiry_heard(replica, session);
    respond(replica, connection, session->timeout_ms, session->id, password);
    connection->info.has_session = true;
    connection->info.session_id = session->id;
    connection->info.timeout_ms = session->timeout_ms;
    connection_resume(replica, connection);
}

/* Only the leader knows whether the session lives, and it must know where its client is now. The
 * session may be so new that this server has not applied it yet. */
static void ask_leader(struct replica *replica, struct connection *connection,
                       const struct mk_connect_request *request, int32_t timeout_ms)
{
    if (!password_matches(request->session_id, request->password)) {
        refuse(replica, connection);
        return;
    }
    struct session *session = session_find(replica, request->session_id);
    if (!session)
        session = session_add(replica, request->session_id, timeout_ms);
    session_leave_connection(replica, session);
    session->connection = connection;
    session->timeout_ms = timeout_ms;
    connection->session = session;
    connection->phase = PHASE_ESTABLISHING;
    connection->revalidating = true;
    forward_revalidate(replica, connection);
}

void handshake_revalidated(struct replica *replica, struct connection *connection, bool valid,
                           int64_t zxid)
{
    struct session *session = connection->session;
    if (!connection->revalidating)
        return;
    connection->revalidating = false;
    if (valid) {
        session->closing = false; /* a connection that it left asked for its end in vain */
        connection->answers_after = zxid;
        address_enter(replica, session, connection->address);
        handshake_established(replica, connection);
        return;
    }
    session->connection = NULL;
    connection->session = NULL;
    if (!session->committed)
        session_free(replica, session);
    refuse(replica, connection);
}

static void resume(struct replica *replica, struct connection *connection,
                   const struct mk_connect_request *request, int32_t timeout_ms)
{
    if (replica_learns(replica)) {
        ask_leader(replica, connection, request, timeout_ms);
        return;
    }
    struct session *session = session_find(replica, request->session_id);
    if (session && session->closing) {
        /* Its end is not durable yet: "expired" would be a promise. The client comes back. */
        connection_drop(replica, connection);
        return;
    }
    if (!session || !password_matches(request->session_id, request->password)) {
        refuse(replica, connection);
        return;
    }
    if (!session->committed) { /* but perhaps on the follower that its client comes from */
        connection_drop(replica, connection);
        return;
    }
    session_leave_connection(replica, session);
    session->owner = replica->options.server_id;
    session->connection = connection;
    address_enter(replica, session, connection->address);
    session->timeout_ms = timeout_ms;
    connection->session = session;
    expiry_remove(replica, session);
    expiry_insert(replica, session);
    handshake_established(replica, connection);
}

/* A client that may not open a session gets no answer: it may have more luck elsewhere. */
static bool address_is_full(struct replica *replica, const struct connection *connection)
{
    uint32_t max = replica->options.sessions_per_address_max;
    if (max == 0 || address_session_count(replica, connection->address) < max)
        return false;
    stats_count(replica, COUNTER_SESSIONS_REFUSED);
    replica_complain(replica, COMPLAINT_SESSIONS,
                     "closing the connection from %s: %u sessions of this address are alive, and "
                     "may not be more (option sessions_per_address_max)",
                     connection->address, max);
    return true;
}

void handshake_frame(struct replica *replica, struct connection *connection, struct mk_bytes frame)
{
    struct mk_reader reader;
    struct mk_connect_request request;
    mk_reader_init_bytes(&reader, frame, &replica->arena);
    mk_connect_request_read(&reader, &request);
    handshake_list_remove(replica, connection);
    if (reader.error) {
        connection_drop(replica, connection);
        return;
    }
    const struct replica_options *options = &replica->options;
    int32_t timeout_ms = MK_MIN(MK_MAX(request.timeout, options->session_timeout_min_ms),
                                options->session_timeout_max_ms);
    connection->reply_has_read_only = request.has_read_only;
    if (!replica_is_serving(replica)) {
        if (!read_only_session(replica, connection, &request, timeout_ms))
            connection_drop(replica, connection);
        return;
    }
    if (request.last_zxid_seen > replica->last_zxid) {
        /* The client has seen a newer state than ours: it must try another server. */
        replica_complain(replica, COMPLAINT_AHEAD,
                         "closing the connection from %s: its client has seen zxid 0x%llx, this "
                         "server is at 0x%llx",
                         connection->address, (unsigned long long)request.last_zxid_seen,
                         (unsigned long long)replica->last_zxid);
        connection_drop(replica, connection);
        return;
    }
    stats_count(replica, COUNTER_CONNECTION_REQUEST_COUNT);
    if (request.session_id != 0) {
        stats_count(replica, COUNTER_CONNECTION_REVALIDATE_COUNT);
        resume(replica, connection, &request, timeout_ms);
        return;
    }
    if (address_is_full(replica, connection)) {
        connection_drop(replica, connection);
        return;
    }
    if (!replica_learns(replica) && !replica_may_propose(replica)) {
        connection_drop(replica, connection);
        return;
    }
    connection->session = session_add(replica, session_next_id(replica), timeout_ms);
    connection->session->connection = connection;
    connection->session->owner = replica->options.server_id;
    address_enter(replica, connection->session, connection->address);
    connection->phase = PHASE_ESTABLISHING;
    if (replica_learns(replica))
        forward_create_session(replica, connection);
    else
        propose_create_session(replica, connection);
}
