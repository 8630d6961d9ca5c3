/* SPDX-License-Identifier: MIT */
/* The sessions that this server knows, by id; their replicated part (id, timeout, ephemerals)
 * is in the tree. Ids: client-protocol reference, section 2.4. */
#include "replica/replica_int.h"

#include "base/hash.h"
#include "base/mem.h"

#define BUCKETS_MIN 64

static size_t bucket_of(const struct replica *replica, int64_t id)
{
    return (size_t)mk_hash_u64((uint64_t)id, replica->options.seed) &
           (replica->session_bucket_count - 1);
}

struct session *session_find(const struct replica *replica, int64_t id)
{
    if (replica->session_bucket_count == 0)
        return NULL;
    struct session *session = replica->session_buckets[bucket_of(replica, id)];
    while (session && session->id != id)
        session = session->hash_next;
    return session;
}

static void grow(struct replica *replica)
{
    size_t old_count = replica->session_bucket_count;
    struct session **old = replica->session_buckets;
    replica->session_bucket_count = MK_MAX(old_count * 2, (size_t)BUCKETS_MIN);
    replica->session_buckets = mk_calloc(replica->session_bucket_count, sizeof *old);
    for (size_t i = 0; i < old_count; i++) {
        while (old[i]) {
            struct session *session = old[i];
            old[i] = session->hash_next;
            size_t bucket = bucket_of(replica, session->id);
            session->hash_next = replica->session_buckets[bucket];
            replica->session_buckets[bucket] = session;
        }
    }
    mk_free(old);
}

struct session *session_add(struct replica *replica, int64_t id, int32_t timeout_ms)
{
    if (replica->session_count >= replica->session_bucket_count)
        grow(replica);
    struct session *session = mk_calloc(1, sizeof *session);
    session->id = id;
    session->timeout_ms = timeout_ms;
    size_t bucket = bucket_of(replica, id);
    session->hash_next = replica->session_buckets[bucket];
    replica->session_buckets[bucket] = session;
    replica->session_count++;
    expiry_heard(replica, session);
    expiry_insert(replica, session);
    return session;
}

void session_free(struct replica *replica, struct session *session)
{
    struct session **link = &replica->session_buckets[bucket_of(replica, session->id)];
    while (*link != session)
        link = &(*link)->hash_next;
    *link = session->hash_next;
    replica->session_count--;
    expiry_remove(replica, session);
    address_leave(replica, session);
    if (session->connection)
        session->connection->session = NULL;
    mk_free(session);
}

/* Trap 35 of the client-protocol reference. */
void session_leave_connection(struct replica *replica, struct session *session)
{
    struct connection *old = session->connection;
    if (!old)
        return;
    old->session = NULL;
    if (old->phase != PHASE_ESTABLISHING)
        replica->stats.connection_count--;
    old->phase = PHASE_ENDING;
    watch_forget(replica->watches, old->number);
    connection_drop(replica, old);
    session->connection = NULL;
}

void session_visit_all(const struct replica *replica,
                       void (*visit)(void *context, struct session *session), void *context)
{
    for (size_t i = 0; i < replica->session_bucket_count; i++) {
        for (struct session *s = replica->session_buckets[i]; s;) {
            struct session *next = s->hash_next;
            visit(context, s);
            s = next;
        }
    }
}

void session_table_fini(struct replica *replica)
{
    for (size_t i = 0; i < replica->session_bucket_count; i++) {
        while (replica->session_buckets[i]) {
            struct session *session = replica->session_buckets[i];
            replica->session_buckets[i] = session->hash_next;
            address_leave(replica, session);
            mk_free(session);
        }
    }
    mk_free(replica->session_buckets);
    mk_free(replica->expiry.heap);
    replica->session_buckets = NULL;
    replica->session_bucket_count = replica->session_count = 0;
    replica->expiry = (struct expiry){NULL, 0, 0, 0};
}

/* 8 bits server id, 40 bits of the wall clock at the first session, 16 bits counter that carries
 * upward. The wall clock, since a monotonic one repeats after a reboot. */
int64_t session_next_id(struct replica *replica)
{
    if (replica->next_session_id == 0) {
        uint64_t time = ((uint64_t)replica->wall_ms << 24) >> 8;
        replica->next_session_id = (int64_t)((uint64_t)replica->options.server_id << 56 | time);
    }
    /* INT64_MIN marks containers and 0 asks for a new session: neither may be an id. */
    while (replica->next_session_id == 0 || replica->next_session_id == TREE_OWNER_CONTAINER ||
           session_find(replica, replica->next_session_id))
        replica->next_session_id++;
    return replica->next_session_id++;
}
