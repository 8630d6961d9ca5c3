/* SPDX-License-Identifier: MIT */
/* Log lines that a client can cause as often as it likes: the first few of each kind in a minute
 * are written, the others told as a number (base/quiet.h). Called wherever a connection is
 * refused something or closed; complaints_run with the other timers. */
#include "replica/replica_int.h"

#include "base/hash.h"

#include <stdarg.h>
#include <stdio.h>

#define QUOTA_PATH_BYTES 300 /* of a path in a line */

static const char *const kind_texts[COMPLAINT_COUNT] = {
    [COMPLAINT_FRAME] = "connections closed for the length of a frame",
    [COMPLAINT_OPCODE] = "connections closed for their opcode",
    [COMPLAINT_OUTPUT] = "connections closed that do not read",
    [COMPLAINT_BUFFERS] = "connections closed that held the most memory",
    [COMPLAINT_WATCHES] = "connections closed for their watches",
    [COMPLAINT_WATCH_BYTES] = "watches refused, as their connection has too many bytes of them",
    [COMPLAINT_WATCH_BYTES_TOTAL] =
        "watches refused, as all connections have too many bytes of them",
    [COMPLAINT_SESSIONS] = "sessions refused, as their address has too many",
    [COMPLAINT_AUTH] = "failed authentications",
    [COMPLAINT_IDENTITIES] = "identities refused",
    [COMPLAINT_QUOTA] = "writes beyond the limit of a quota",
    [COMPLAINT_AHEAD] = "clients that have seen a later zxid",
    [COMPLAINT_DIGEST] = "transactions after which the tree differs from the leader's",
};

static void tell_kept_back(struct replica *replica, enum complaint kind)
{
    uint64_t kept_back = mk_quiet_take(&replica->complaints[kind], replica->now_ms);
    if (kept_back > 0)
        replica_log(replica, MK_LEVEL_WARN, "... and %llu more of this kind in a minute: %s",
                    (unsigned long long)kept_back, kind_texts[kind]);
}

void replica_complain(struct replica *replica, enum complaint kind, const char *format, ...)
{
    tell_kept_back(replica, kind);
    if (!mk_quiet_pass(&replica->complaints[kind], replica->now_ms))
        return;
    va_list arguments;
    va_start(arguments, format);
    replica_log_list(replica, MK_LEVEL_WARN, format, arguments);
    va_end(arguments);
}

/* Takes one of the lines for this limit. False if it has had one in this minute; *own is false if
 * all are taken by others. */
static bool take_quota_line(struct replica *replica, uint64_t key, bool *own)
{
    struct quota_line *unused = NULL;
    for (size_t i = 0; i < QUOTA_LINES; i++) {
        struct quota_line *line = &replica->quota_lines[i];
        if (line->until_ms <= replica->now_ms)
            unused = line;
        else if (line->key == key)
            return false;
    }
    *own = unused != NULL;
    if (unused)
        *unused = (struct quota_line){key, replica->now_ms + MK_QUIET_INTERVAL_MS};
    return true;
}

static void complain_quota(struct replica *replica, const struct op_quota_excess *excess)
{
    bool own;
    uint64_t kind = (uint64_t)excess->hard << 1 | (uint64_t)excess->of_bytes;
    uint64_t key =
        mk_hash_data(excess->path.data, mk_bytes_size(excess->path), replica->options.seed ^ kind);
    if (!take_quota_line(replica, key, &own))
        return;
    char text[512];
    snprintf(text, sizeof text, "%s quota /zookeeper/quota%.*s: %lld %s, its limit is %lld",
             excess->hard ? "a write is refused, beyond the hard" : "a write goes beyond the soft",
             MK_MIN(excess->path.length, QUOTA_PATH_BYTES), (const char *)excess->path.data,
             (long long)excess->value, excess->of_bytes ? "bytes" : "znodes",
             (long long)excess->limit);
    if (own)
        replica_log(replica, MK_LEVEL_WARN, "%s", text);
    else
        replica_complain(replica, COMPLAINT_QUOTA, "%s", text);
}

void replica_complain_quota(struct replica *replica, const struct op_quota_excess *excess)
{
    for (; excess; excess = excess->next)
        complain_quota(replica, excess);
}

void complaints_run(struct replica *replica)
{
    for (int kind = 0; kind < COMPLAINT_COUNT; kind++)
        tell_kept_back(replica, (enum complaint)kind);
}

int64_t complaints_deadline_ms(const struct replica *replica)
{
    int64_t deadline = INT64_MAX;
    for (int kind = 0; kind < COMPLAINT_COUNT; kind++)
        deadline = MK_MIN(deadline, mk_quiet_deadline_ms(&replica->complaints[kind]));
    return deadline;
}
