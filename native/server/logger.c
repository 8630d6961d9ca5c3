/* SPDX-License-Identifier: MIT */
/* Formats trace lines and writes each with one call; see logger.h. */
#include "server/logger.h"

#include "base/buffer.h"
#include "base/mem.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#define TEXT_BYTES_MAX 2048

struct logger {
    struct mk_trace trace;
    int descriptor;
    enum logger_format format;
    uv_mutex_t mutex;
    struct mk_buffer line; /* under the mutex */
};

static void append_time(struct mk_buffer *line)
{
    struct timespec now;
    struct tm parts;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    char text[40];
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    mk_buffer_print(line, "%s.%03dZ", text, (int)(now.tv_nsec / 1000000));
}

/* JSON strings know no \xNN: what mk_trace_escape made of a byte becomes \u00NN. */
static void append_json(struct mk_buffer *line, const char *text)
{
    struct mk_buffer escaped = MK_BUFFER_EMPTY;
    mk_trace_escape(&escaped, text, strlen(text), TEXT_BYTES_MAX);
    for (size_t i = 0; i < escaped.length; i++) {
        if (escaped.data[i] == '\\') {
            mk_buffer_append_string(line, "\\u00");
            i++; /* the x */
        } else {
            mk_buffer_append(line, &escaped.data[i], 1);
        }
    }
    mk_buffer_fini(&escaped);
}

static void append_line(struct mk_buffer *line, enum logger_format format, enum mk_level level,
                        const char *component, const char *text)
{
    static const char *const names[] = {"ERROR", "WARN", "INFO", "DEBUG"};
    if (format == LOGGER_JSON) {
        mk_buffer_append_string(line, "{\"time\":\"");
        append_time(line);
        mk_buffer_print(line, "\",\"level\":\"%s\",\"component\":\"", names[level]);
        append_json(line, component);
        mk_buffer_append_string(line, "\",\"text\":\"");
        append_json(line, text);
        mk_buffer_append_string(line, "\"}\n");
        return;
    }
    append_time(line);
    mk_buffer_print(line, " %-5s %s: ", names[level], component);
    mk_trace_escape(line, text, strlen(text), TEXT_BYTES_MAX);
    mk_buffer_append_string(line, "\n");
}

static void write_line(void *context, enum mk_level level, const char *component, const char *text)
{
    struct logger *logger = context;
    uv_mutex_lock(&logger->mutex);
    mk_buffer_clear(&logger->line);
    append_line(&logger->line, logger->format, level, component, text);
    ssize_t written = write(logger->descriptor, logger->line.data, logger->line.length);
    (void)written; /* there is no place to complain to */
    uv_mutex_unlock(&logger->mutex);
}

struct logger *logger_new(int descriptor, enum logger_format format, enum mk_level level)
{
    struct logger *logger = mk_calloc(1, sizeof *logger);
    logger->descriptor = descriptor;
    logger->format = format;
    logger->trace = (struct mk_trace){.level = level, .write = write_line, .context = logger};
    MK_ASSERT(uv_mutex_init(&logger->mutex) == 0);
    return logger;
}

void logger_free(struct logger *logger)
{
    if (!logger)
        return;
    uv_mutex_destroy(&logger->mutex);
    mk_buffer_fini(&logger->line);
    mk_free(logger);
}

const struct mk_trace *logger_trace(const struct logger *logger)
{
    return &logger->trace;
}
