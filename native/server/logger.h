/* SPDX-License-Identifier: MIT */
/* Where trace lines go: a file descriptor, as text or as JSON lines, stamped with UTC time.
 * Whatever the text holds (client bytes too) is escaped, so nobody can forge a line. May be
 * used from several threads. */
#ifndef SERVER_LOGGER_H
#define SERVER_LOGGER_H

#include "base/trace.h"

struct logger;

enum logger_format { LOGGER_TEXT, LOGGER_JSON };

/* The descriptor stays the caller's. A line is one write; lines that the descriptor does not take
 * (a full pipe, a full disk) are dropped, never waited for in a loop. */
struct logger *logger_new(int descriptor, enum logger_format format, enum mk_level level);
void logger_free(struct logger *logger);
/* Valid until logger_free. */
const struct mk_trace *logger_trace(const struct logger *logger);

#endif
