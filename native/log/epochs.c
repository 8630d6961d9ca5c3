/* SPDX-License-Identifier: MIT */
/* Epoch files; see epochs.h. Formats: storage reference, section 7.2 (a reader takes the first
 * line), atomic writes section 1. */
#include "log/epochs.h"

#include "log/names.h"
#include "wire/errors.gen.h"

#include <stdio.h>

#define EPOCH_MAX INT32_MAX

static int epoch_parse(const char *text, int64_t *epoch)
{
    int64_t value = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9'; p++) {
        value = value * 10 + (*p - '0');
        if (value > EPOCH_MAX)
            return MK_ERR_CORRUPT;
    }
    if (p == text || (*p && *p != '\n' && *p != '\r'))
        return MK_ERR_CORRUPT;
    *epoch = value;
    return 1;
}

int log_epoch_read(struct store *snapshots, const char *name, int64_t *epoch,
                   struct log_error *error)
{
    struct store_file *file;
    int result = store_open(snapshots, name, STORE_READ, &file, error);
    if (result == MK_ERR_NOT_FOUND)
        return 0;
    if (result < 0)
        return result;
    char text[64];
    int64_t got = store_read(file, 0, text, sizeof text - 1, error);
    store_close(file);
    if (got < 0)
        return (int)got;
    text[got] = '\0';
    result = epoch_parse(text, epoch);
    if (result < 0)
        log_error_set(error, result, "%s/%s: its first line is not an epoch number",
                      snapshots->path, name);
    return result;
}

static int write_temporary(struct store *snapshots, const char *name, const char *text,
                           struct log_error *error)
{
    struct store_file *file;
    int result = store_remove(snapshots, name, error);
    if (result < 0 && result != MK_ERR_NOT_FOUND)
        return result;
    result = store_open(snapshots, name, STORE_CREATE, &file, error);
    if (result < 0)
        return result;
    result = store_write(file, 0, text, strlen(text), error);
    if (result == 0)
        result = store_sync_full(file, error);
    store_close(file);
    return result;
}

int log_epoch_write(struct store *snapshots, const char *name, int64_t epoch,
                    struct log_error *error)
{
    MK_ASSERT(epoch >= 0);
    MK_ASSERT(epoch <= EPOCH_MAX);
    char temporary[LOG_NAME_BYTES], text[32];
    snprintf(temporary, sizeof temporary, "%s.tmp", name);
    snprintf(text, sizeof text, "%lld", (long long)epoch);
    int result = write_temporary(snapshots, temporary, text, error);
    if (result == 0)
        result = store_rename(snapshots, temporary, name, error);
    if (result == 0)
        result = store_sync_directory(snapshots, error);
    return result;
}
