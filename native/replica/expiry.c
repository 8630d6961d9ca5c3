/* SPDX-License-Identifier: MIT */
/* Session clocks. Hearing from a session only notes the time (a store); a binary heap holds each
 * session under the deadline it had when it was last looked at, and a session whose deadline
 * has moved is put back when it comes up. The clock here follows the monotonic one, except
 * that a stall of our own host counts as one tick: clients are not charged for it.
 * Rule: client-protocol reference, 7.2: ((now + timeout) / tick + 1) * tick. */
#include "replica/replica_int.h"

#include "base/mem.h"

#define NOT_IN_HEAP SIZE_MAX

int64_t expiry_session_deadline_ms(const struct replica *replica, const struct session *session)
{
    int64_t tick = replica->options.tick_time_ms;
    return ((session->heard_ms + session->timeout_ms) / tick + 1) * tick;
}

static void heap_set(struct expiry *expiry, size_t index, struct session *session)
{
    expiry->heap[index] = session;
    session->heap_index = index;
}

static void sift_up(struct expiry *expiry, size_t index)
{
    struct session *session = expiry->heap[index];
    while (index > 0) {
        size_t parent = (index - 1) / 2;
        if (expiry->heap[parent]->heap_deadline_ms <= session->heap_deadline_ms)
            break;
        heap_set(expiry, index, expiry->heap[parent]);
        index = parent;
    }
    heap_set(expiry, index, session);
}

static void sift_down(struct expiry *expiry, size_t index)
{
    struct session *session = expiry->heap[index];
    for (;;) {
        size_t child = 2 * index + 1;
        if (child >= expiry->count)
            break;
        if (child + 1 < expiry->count &&
            expiry->heap[child + 1]->heap_deadline_ms < expiry->heap[child]->heap_deadline_ms)
            child++;
        if (session->heap_deadline_ms <= expiry->heap[child]->heap_deadline_ms)
            break;
        heap_set(expiry, index, expiry->heap[child]);
        index = child;
    }
    heap_set(expiry, index, session);
}

void expiry_insert(struct replica *replica, struct session *session)
{
    struct expiry *expiry = &replica->expiry;
    if (!replica_leads(replica)) { /* only the leader lets sessions expire */
        session->heap_index = NOT_IN_HEAP;
        return;
    }
    if (expiry->count == expiry->capacity) {
        expiry->capacity = MK_MAX(expiry->capacity * 2, (size_t)64);
        expiry->heap = mk_realloc(expiry->heap, expiry->capacity * sizeof *expiry->heap);
    }
    session->heap_deadline_ms = expiry_session_deadline_ms(replica, session);
    heap_set(expiry, expiry->count++, session);
    sift_up(expiry, session->heap_index);
}

void expiry_remove(struct replica *replica, struct session *session)
{
    struct expiry *expiry = &replica->expiry;
    size_t index = session->heap_index;
    if (index == NOT_IN_HEAP)
        return;
    MK_ASSERT(index < expiry->count && expiry->heap[index] == session);
    session->heap_index = NOT_IN_HEAP;
    struct session *last = expiry->heap[--expiry->count];
    if (last == session)
        return;
    heap_set(expiry, index, last);
    sift_up(expiry, index);
    sift_down(expiry, last->heap_index);
}

void expiry_advance(struct replica *replica, int64_t elapsed_ms)
{
    replica->expiry.clock_ms += MK_MIN(elapsed_ms, (int64_t)replica->options.tick_time_ms);
}

static void expire(struct replica *replica, struct session *session)
{
    replica_log(replica, MK_LEVEL_INFO, "session 0x%llx expired: nothing heard for %lld ms",
                (unsigned long long)session->id,
                (long long)(replica->expiry.clock_ms - session->heard_ms));
    replica->stats.sessions_expired_count++;
    propose_close_session(replica, session->id, NULL, 0);
}

void expiry_run(struct replica *replica)
{
    struct expiry *expiry = &replica->expiry;
    while (expiry->count > 0 && expiry->heap[0]->heap_deadline_ms <= expiry->clock_ms &&
           replica_may_propose(replica)) { /* each takes a zxid, and the epoch may end */
        struct session *session = expiry->heap[0];
        int64_t deadline = expiry_session_deadline_ms(replica, session);
        if (deadline > expiry->clock_ms) {
            session->heap_deadline_ms = deadline;
            sift_down(expiry, 0);
        } else {
            expire(replica, session);
        }
    }
}

int64_t expiry_deadline_ms(const struct replica *replica)
{
    const struct expiry *expiry = &replica->expiry;
    if (expiry->count == 0)
        return INT64_MAX;
    int64_t left = expiry->heap[0]->heap_deadline_ms - expiry->clock_ms;
    /* At least each tick, so that a stall can be told from a client's silence. */
    return replica->now_ms + MK_MIN(MK_MAX(left, INT64_C(0)), replica->options.tick_time_ms);
}
