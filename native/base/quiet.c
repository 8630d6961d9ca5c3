/* SPDX-License-Identifier: MIT */
/* Counting of log lines that are kept back; see quiet.h. */
#include "base/quiet.h"

static bool is_over(const struct mk_quiet *quiet, int64_t now_ms)
{
    return quiet->lines > 0 && now_ms - quiet->began_ms >= MK_QUIET_INTERVAL_MS;
}

uint64_t mk_quiet_take(struct mk_quiet *quiet, int64_t now_ms)
{
    if (!is_over(quiet, now_ms))
        return 0;
    uint64_t kept_back = quiet->kept_back;
    *quiet = (struct mk_quiet){0};
    return kept_back;
}

bool mk_quiet_pass(struct mk_quiet *quiet, int64_t now_ms)
{
    if (quiet->lines == 0)
        quiet->began_ms = now_ms;
    if (quiet->lines < MK_QUIET_LINES) {
        quiet->lines++;
        return true;
    }
    quiet->kept_back++;
    return false;
}

int64_t mk_quiet_deadline_ms(const struct mk_quiet *quiet)
{
    return quiet->kept_back > 0 ? quiet->began_ms + MK_QUIET_INTERVAL_MS : INT64_MAX;
}
