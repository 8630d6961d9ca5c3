/* SPDX-License-Identifier: MIT */
/* One sink of prose log lines per instance, handed in from above: the pure layers say what
 * happened, the host decides where it goes and stamps the time. The sink escapes control
 * bytes and malformed UTF-8, so callers may put client bytes into a line as they are. */
#ifndef MK_BASE_TRACE_H
#define MK_BASE_TRACE_H

#include "base/mk.h"

enum mk_level { MK_LEVEL_ERROR, MK_LEVEL_WARN, MK_LEVEL_INFO, MK_LEVEL_DEBUG };

struct mk_trace {
    enum mk_level level; /* lines above this level are dropped before they are formatted */
    /* `text` has no newline of its own at the end; valid until the call returns. */
    void (*write)(void *context, enum mk_level level, const char *component, const char *text);
    void *context;
};

/* Formats and hands on one line; `trace` may be NULL (no line). Long lines are cut. */
void mk_trace(const struct mk_trace *trace, enum mk_level level, const char *component,
              const char *format, ...) MK_PRINTF(4, 5);

/* Appends `bytes` with control characters, backslash, quotes and bytes that are not UTF-8 as
 * \xNN (at most `bytes_max` of them, then "..."): what sinks use. */
struct mk_buffer;
void mk_trace_escape(struct mk_buffer *buffer, const void *bytes, size_t size, size_t bytes_max);

#endif
