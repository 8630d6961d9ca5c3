/* SPDX-License-Identifier: MIT */
/* No connection holds the loop: its requests are counted by what they cost, and when it had its
 * share it is paused and waits in a list until the host's next turn. Others are served between.
 * The cost is counted in bytes, not in time, so that a run repeats itself exactly. Order within a
 * connection is that of any pause: what it sent stays where it is. What a connection leaves behind
 * at its end is taken apart in slices as well. */
#include "replica/replica_int.h"

void fair_wait(struct replica *replica, struct connection *connection)
{
    if (connection->waits_for_turn || !fair_is_spent(replica, connection))
        return;
    connection->waits_for_turn = true;
    connection->turn_previous = replica->turn_last;
    if (replica->turn_last)
        replica->turn_last->turn_next = connection;
    else
        replica->turn_first = connection;
    replica->turn_last = connection;
}

void fair_forget(struct replica *replica, struct connection *connection)
{
    if (!connection->waits_for_turn)
        return;
    connection->waits_for_turn = false;
    if (connection->turn_previous)
        connection->turn_previous->turn_next = connection->turn_next;
    else
        replica->turn_first = connection->turn_next;
    if (connection->turn_next)
        connection->turn_next->turn_previous = connection->turn_previous;
    else
        replica->turn_last = connection->turn_previous;
    connection->turn_previous = connection->turn_next = NULL;
}

/* A connection that took much the last time counts for as much: many of them together do not hold
 * the loop either. The first may go on in any case. */
void fair_continue(struct replica *replica)
{
    uint64_t granted = 0;
    const struct connection *last = replica->turn_last;
    while (replica->turn_first && granted < replica->options.continue_cost_max) {
        struct connection *connection = replica->turn_first;
        granted += connection->cost;
        connection->cost = 0;
        fair_forget(replica, connection);
        pipeline_run(replica, connection);
        connection_resume(replica, connection);
        if (connection == last)
            break; /* those behind it had their share in this step */
    }
}

bool fair_is_due(const struct replica *replica)
{
    return replica->turn_first || watch_sweep_is_due(replica->watches);
}

void fair_sweep(struct replica *replica)
{
    watch_sweep(replica->watches, replica->options.continue_cost_max / OP_STEP_BYTES);
}
