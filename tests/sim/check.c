/* SPDX-License-Identifier: MIT */
/* The promises, checked against what clients were told: durability, order within a connection,
 * equal digests at equal zxids, ephemerals only of living sessions. */
#include "tests/sim/sim.h"

#include "base/mem.h"

#include <stdio.h>

/* Equal zxid, equal digest, before and after a restart (G3, G15). */
static void check_digest(struct sim *sim)
{
    int64_t zxid = replica_last_zxid(sim->replica);
    uint64_t digest = tree_digest(replica_tree(sim->replica));
    while (sim->digest_count > 0 && sim->digests[sim->digest_count - 1].zxid > zxid)
        sim->digest_count--; /* unacknowledged ones that a crash took away */
    struct sim_digest *last = sim->digest_count ? &sim->digests[sim->digest_count - 1] : NULL;
    if (last && last->zxid == zxid) {
        if (last->digest != digest)
            sim_fail(sim, "digest at zxid 0x%llx was %llu and is now %llu",
                     (unsigned long long)zxid, (unsigned long long)last->digest,
                     (unsigned long long)digest);
        return;
    }
    if (sim->digest_count == sim->digest_capacity) {
        sim->digest_capacity = MK_MAX(sim->digest_capacity * 2, (size_t)256);
        sim->digests = mk_realloc(sim->digests, sim->digest_capacity * sizeof *sim->digests);
    }
    sim->digests[sim->digest_count++] = (struct sim_digest){zxid, digest};
}

void check_applied(struct sim *sim)
{
    check_digest(sim);
}

static bool unique_exists(const struct sim *sim, uint32_t index, int64_t value)
{
    char path[64];
    snprintf(path, sizeof path, "/c%u/u-%lld", index, (long long)value);
    return tree_find(replica_tree(sim->replica), mk_bytes_of_string(path)) != NULL;
}

/* What was acknowledged is there (G2); what one connection executed is a prefix of what it
 * sent (G4). */
static void check_client(struct sim *sim, const struct sim_client *client)
{
    for (size_t i = 0; i < client->unique_acked_count; i++) {
        if (!unique_exists(sim, client->index, client->unique_acked[i]))
            sim_fail(sim, "client %u: acknowledged create %lld is lost", client->index,
                     (long long)client->unique_acked[i]);
    }
    bool gap = false;
    for (size_t i = 0; i < client->unique_sent_count; i++) {
        bool exists = unique_exists(sim, client->index, client->unique_sent[i]);
        if (exists && gap)
            sim_fail(sim, "client %u: create %lld was executed, one sent before was not",
                     client->index, (long long)client->unique_sent[i]);
        gap = gap || !exists;
    }
    char path[64];
    snprintf(path, sizeof path, "/c%u/v", client->index);
    const struct znode *node = tree_find(replica_tree(sim->replica), mk_bytes_of_string(path));
    if (client->value_acked > 0) {
        long long value = 0;
        struct mk_bytes data = node ? znode_data(node) : MK_BYTES_NULL;
        for (int32_t i = 0; i < data.length; i++)
            value = value * 10 + (data.data[i] - '0');
        if (!node || value < client->value_acked)
            sim_fail(sim, "client %u: value %lld after a restart, %lld was acknowledged",
                     client->index, value, (long long)client->value_acked);
    }
    for (size_t i = 0; i < MK_MIN(client->dead_session_count, (size_t)64); i++) {
        if (tree_session_find(replica_tree(sim->replica), client->dead_sessions[i], NULL))
            sim_fail(sim, "client %u: session 0x%llx is back from the dead", client->index,
                     (unsigned long long)client->dead_sessions[i]);
    }
}

static void check_owner(void *context, int64_t session_id)
{
    struct sim *sim = context;
    int32_t timeout_ms;
    if (!tree_session_find(replica_tree(sim->replica), session_id, &timeout_ms))
        sim_fail(sim, "ephemerals of session 0x%llx, which is closed",
                 (unsigned long long)session_id);
}

void check_restart(struct sim *sim)
{
    if (replica_last_zxid(sim->replica) < sim->acked_zxid)
        sim_fail(sim, "restarted at zxid 0x%llx, clients were told of 0x%llx",
                 (unsigned long long)replica_last_zxid(sim->replica),
                 (unsigned long long)sim->acked_zxid);
    tree_check(replica_tree(sim->replica));
    check_digest(sim);
    for (uint32_t i = 0; i < sim->client_count; i++)
        check_client(sim, &sim->clients[i]);
    tree_ephemeral_owner_visit(replica_tree(sim->replica), check_owner, sim);
}
