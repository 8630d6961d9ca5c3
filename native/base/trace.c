/* SPDX-License-Identifier: MIT */
/* Formatting and escaping of log lines; see trace.h. */
#include "base/trace.h"

#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>

#define TRACE_LINE_BYTES 1024

void mk_trace(const struct mk_trace *trace, enum mk_level level, const char *component,
              const char *format, ...)
{
    if (!trace || !trace->write || level > trace->level)
        return;
    char line[TRACE_LINE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    trace->write(trace->context, level, component, line);
}

/* Length of the well-formed UTF-8 sequence at `p`, 0 if there is none. */
static size_t utf8_length(const uint8_t *p, size_t left)
{
    if (p[0] < 0x80)
        return 1;
    size_t length = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || left < length)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return length;
}

static bool is_control(const uint8_t *p, size_t length)
{
    return length == 1 ? p[0] < 0x20 || p[0] == 0x7f : length == 2 && p[0] == 0xc2 && p[1] < 0xa0;
}

void mk_trace_escape(struct mk_buffer *buffer, const void *bytes, size_t size, size_t bytes_max)
{
    const uint8_t *p = bytes;
    size_t end = MK_MIN(size, bytes_max);
    for (size_t i = 0; i < end;) {
        size_t length = utf8_length(p + i, end - i);
        if (length == 0 || is_control(p + i, length) || p[i] == '\\' || p[i] == '"') {
            mk_buffer_print(buffer, "\\x%02x", p[i]);
            i++;
        } else {
            mk_buffer_append(buffer, p + i, length);
            i += length;
        }
    }
    if (end < size)
        mk_buffer_append_string(buffer, "...");
}
