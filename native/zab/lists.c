/* SPDX-License-Identifier: MIT */
/* Whether another server has the same members in its configuration: each notification carries its
 * list (quorum-protocol reference, 2.1). Members whose lists differ may form two quorums, and their
 * operator should hear of it before that. Called by elect.c. It only tells: an Apache server whose
 * list differs is answered as before. Addresses are not compared: a server may know itself by
 * another one than the others do. */
#include <stdio.h>

#include "wire/records.gen.h"
#include "zab/zab_int.h"

/* The first difference in words; false when there is none. */
static bool describe(const struct quorum *own, const struct quorum *other, char *text, size_t size)
{
    for (size_t i = 0; i < own->count; i++) {
        const struct quorum_member *mine = &own->members[i];
        const struct quorum_member *its = quorum_find(other, mine->id);
        if (its && its->observer == mine->observer && its->group == mine->group &&
            its->weight == mine->weight)
            continue;
        snprintf(text, size, "server %lld is %s", (long long)mine->id,
                 !its                               ? "only in the list of this one"
                 : its->observer && !mine->observer ? "an observer only there"
                 : !its->observer && mine->observer ? "a participant only there"
                                                    : "in another group, or has another weight");
        return true;
    }
    for (size_t i = 0; i < other->count; i++) {
        if (quorum_find(own, other->members[i].id))
            continue;
        snprintf(text, size, "server %lld is only there", (long long)other->members[i].id);
        return true;
    }
    if (own->version == other->version)
        return false;
    snprintf(text, size, "its version is %llx, that of this one is %llx",
             (unsigned long long)other->version, (unsigned long long)own->version);
    return true;
}

void lists_compare(struct zab *zab, int64_t server, struct mk_bytes bytes)
{
    struct election *election = &zab->election;
    struct mk_notification message = {0};
    struct mk_reader reader;
    mk_reader_init_bytes(&reader, bytes, NULL);
    mk_notification_read(&reader, &message);
    if (reader.error || message.config.length <= 0 || server < 0 || server > QUORUM_ID_MAX)
        return; /* older releases send none */
    if (mk_bytes_equal(message.config, zab->options.config)) {
        quorum_set_remove(&election->disagreeing, server);
        return;
    }
    if (quorum_set_has(&election->disagreeing, server))
        return;
    struct quorum other;
    char text[200];
    if (quorum_parse(&other, message.config, text, sizeof text) == 0 &&
        !describe(&zab->options.quorum, &other, text, sizeof text))
        return;
    quorum_set_add(&election->disagreeing, server);
    ZAB_TRACE(zab, MK_LEVEL_WARN,
              "server %lld has another list of servers: %s. The lists must be the same on all",
              (long long)server, text);
}
