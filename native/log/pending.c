/* SPDX-License-Identifier: MIT */
/* The note of a change under way; see pending.h. One line of text, so that an operator can read it,
 * with a CRC-32C: acting on a rotten one would destroy data. */
#include "log/pending.h"

#include "base/checksum.h"
#include "log/names.h"
#include "wire/errors.gen.h"

#include <inttypes.h>
#include <stdio.h>

#define LINE_BYTES 96
#define TEMPORARY_NAME LOG_PENDING_NAME ".tmp"

static const char *const words[] = {"truncate", "install"};

const char *log_pending_text(const struct log_pending *pending)
{
    return pending->type == LOG_PENDING_TRUNCATE ? "the log is being cut"
                                                 : "a leader's snapshot is being installed";
}

static int line_print(const struct log_pending *pending, char line[LINE_BYTES])
{
    int length =
        snprintf(line, LINE_BYTES, "%s %" PRIx64, words[pending->type], (uint64_t)pending->zxid);
    uint32_t crc = mk_crc32c(0, line, (size_t)length);
    return length + snprintf(line + length, LINE_BYTES - (size_t)length, " %08" PRIx32 "\n", crc);
}

static bool hex_parse(const char *p, int64_t *value)
{
    uint64_t number = 0;
    for (int digits = 0; *p != ' '; p++, digits++) {
        int digit = *p >= '0' && *p <= '9' ? *p - '0' : *p >= 'a' && *p <= 'f' ? *p - 'a' + 10 : -1;
        if (digit < 0 || digits == 16)
            return false;
        number = number << 4 | (unsigned)digit;
    }
    *value = (int64_t)number;
    return number <= INT64_MAX;
}

/* Only what would be written again, byte for byte, is believed. */
static bool line_parse(const char *line, size_t length, struct log_pending *pending)
{
    for (int type = LOG_PENDING_TRUNCATE; type <= LOG_PENDING_INSTALL; type++) {
        size_t word = strlen(words[type]);
        char expected[LINE_BYTES];
        if (strncmp(line, words[type], word) != 0 || line[word] != ' ' ||
            !hex_parse(line + word + 1, &pending->zxid))
            continue;
        pending->type = (enum log_pending_type)type;
        return line_print(pending, expected) == (int)length && memcmp(line, expected, length) == 0;
    }
    return false;
}

int log_pending_read(struct store *snapshots, struct log_pending *pending, struct log_error *error)
{
    struct store_file *file;
    int result = store_open(snapshots, LOG_PENDING_NAME, STORE_READ, &file, error);
    if (result < 0)
        return result == MK_ERR_NOT_FOUND ? 0 : result;
    char line[LINE_BYTES] = {0};
    int64_t got = store_read(file, 0, line, sizeof line - 1, error);
    store_close(file);
    if (got < 0)
        return (int)got;
    if (line_parse(line, (size_t)got, pending))
        return 1;
    return log_error_set(error, MK_ERR_CORRUPT,
                         "%s/" LOG_PENDING_NAME " is damaged: a change of this directory was "
                         "interrupted, and it does not say which. What to do: keep a copy of the "
                         "directory, then empty it and let the server synchronize",
                         snapshots->path);
}

int log_pending_write(struct store *snapshots, const struct log_pending *pending,
                      struct log_error *error)
{
    char line[LINE_BYTES];
    int length = line_print(pending, line);
    return log_file_replace(snapshots, TEMPORARY_NAME, LOG_PENDING_NAME, line, (size_t)length,
                            error);
}

int log_pending_remove(struct store *snapshots, struct log_error *error)
{
    int result = store_remove(snapshots, LOG_PENDING_NAME, error);
    return result == 0 ? store_sync_directory(snapshots, error) : result;
}
