/* SPDX-License-Identifier: MIT */
/* Log lines that a client can cause as often as it likes: the first few of each kind in a minute
 * are written, the others told as a number (base/quiet.h). Called wherever a connection is
 * refused something or closed; complaints_run with the other timers. */
#include "replica/replica_int.h"

#include <stdarg.h>

static const char *const kind_texts[COMPLAINT_COUNT] = {
    [COMPLAINT_FRAME] = "connections closed for the length of a frame",
    [COMPLAINT_OPCODE] = "connections closed for their opcode",
    [COMPLAINT_OUTPUT] = "connections closed that do not read",
    [COMPLAINT_WATCHES] = "connections closed for their watches",
    [COMPLAINT_WATCH_BYTES] = "watches refused, as their connection has too many bytes of them",
    [COMPLAINT_WATCH_BYTES_TOTAL] =
        "watches refused, as all connections have too many bytes of them",
    [COMPLAINT_SESSIONS] = "sessions refused, as their address has too many",
    [COMPLAINT_AUTH] = "failed authentications",
    [COMPLAINT_IDENTITIES] = "identities refused",
    [COMPLAINT_AHEAD] = "clients that have seen a later zxid",
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
