/* SPDX-License-Identifier: MIT */
/* How many living sessions were opened from each client address, connected or not: bounds what one
 * machine can make the server remember by coming and going. A session counts for the address that
 * opened it until it ends, wherever its client moves; one that was restored from disk has no
 * address, and counts for the first that resumes it. Called by handshake.c and session.c. */
#include "replica/replica_int.h"

#include "base/hash.h"
#include "base/mem.h"

#define uthash_malloc(size) mk_alloc(size)
#define uthash_free(pointer, size) mk_free(pointer)
#include <uthash.h>

struct address_sessions {
    char *address;
    uint32_t count;
    UT_hash_handle hh;
};

static unsigned hash_of(const struct replica *replica, const char *address)
{
    return (unsigned)mk_hash_data((const uint8_t *)address, strlen(address), replica->options.seed);
}

static struct address_sessions *find(const struct replica *replica, const char *address)
{
    struct address_sessions *found;
    HASH_FIND_BYHASHVALUE(hh, replica->addresses, address, strlen(address),
                          hash_of(replica, address), found);
    return found;
}

uint32_t address_session_count(const struct replica *replica, const char *address)
{
    const struct address_sessions *found = find(replica, address);
    return found ? found->count : 0;
}

void address_enter(struct replica *replica, struct session *session, const char *address)
{
    if (session->address)
        return;
    struct address_sessions *entry = find(replica, address);
    if (!entry) {
        entry = mk_calloc(1, sizeof *entry);
        entry->address = mk_string_copy(address, strlen(address));
        HASH_ADD_KEYPTR_BYHASHVALUE(hh, replica->addresses, entry->address, strlen(entry->address),
                                    hash_of(replica, address), entry);
    }
    entry->count++;
    session->address = entry;
}

void address_leave(struct replica *replica, struct session *session)
{
    struct address_sessions *entry = session->address;
    session->address = NULL;
    if (!entry || --entry->count > 0)
        return;
    HASH_DELETE(hh, replica->addresses, entry);
    mk_free(entry->address);
    mk_free(entry);
}
