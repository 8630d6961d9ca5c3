/* SPDX-License-Identifier: MIT */
/* What recovery and the checker found, in words: which file, where, what, and what to do.
 * The caller owns the report and prints it; nothing here decides anything. */
#ifndef LOG_REPORT_H
#define LOG_REPORT_H

#include "base/mk.h"

enum log_severity {
    LOG_NOTE,    /* normal, worth a line: a torn tail dropped, a leftover removed */
    LOG_WARNING, /* the server can run, but something is not as it should be */
    LOG_DAMAGE   /* data that was or may have been acknowledged is lost or altered */
};

struct log_finding {
    enum log_severity severity;
    char file[64];  /* name inside its directory; "" if it is about the directory */
    int64_t offset; /* byte in that file; -1 if it is about the file as a whole */
    char *text;     /* what was found; owned by the report */
    char *advice;   /* what to do; "" if nothing */
};

struct log_report {
    struct log_finding *findings;
    size_t count, capacity;
    size_t dropped; /* findings beyond LOG_FINDINGS_MAX */
};

#define LOG_FINDINGS_MAX 1000

void log_report_init(struct log_report *report);
void log_report_fini(struct log_report *report);
/* `report` may be NULL. `advice` may be NULL. */
void log_report_add(struct log_report *report, enum log_severity severity, const char *file,
                    int64_t offset, const char *advice, const char *format, ...) MK_PRINTF(6, 7);
/* The worst finding; NULL if there is none. */
const struct log_finding *log_report_worst(const struct log_report *report);

#endif
