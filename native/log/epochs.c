/* SPDX-License-Identifier: MIT */
/* Epoch files; see epochs.h. Formats: storage reference, section 7.2 (a reader takes the first
 * line), atomic writes section 1. */
#include "log/epochs.h"

#include "base/checksum.h"
#include "base/zxid.h"
#include "log/names.h"
#include "wire/errors.gen.h"

#include <inttypes.h>
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

/* --- the second copy: the number, a space, the CRC-32C of the number -------------------------- */

#define COPY_BYTES 48

static int copy_print(int64_t epoch, char text[COPY_BYTES])
{
    int length = snprintf(text, COPY_BYTES, "%lld", (long long)epoch);
    uint32_t crc = mk_crc32c(0, text, (size_t)length);
    return length + snprintf(text + length, COPY_BYTES - (size_t)length, " %08" PRIx32 "\n", crc);
}

static void copy_name(const char *name, char copy[LOG_NAME_BYTES])
{
    snprintf(copy, LOG_NAME_BYTES, LOG_EPOCH_COPY "%s", name);
}

/* Only what would be written again is believed. */
int log_epoch_read_copy(struct store *snapshots, const char *name, int64_t *epoch,
                        struct log_error *error)
{
    char copy[LOG_NAME_BYTES], text[COPY_BYTES] = {0}, expected[COPY_BYTES];
    struct store_file *file;
    copy_name(name, copy);
    int result = store_open(snapshots, copy, STORE_READ, &file, error);
    if (result < 0)
        return result == MK_ERR_NOT_FOUND ? 0 : result;
    int64_t got = store_read(file, 0, text, sizeof text - 1, error);
    store_close(file);
    if (got < 0)
        return (int)got;
    char *space = strchr(text, ' ');
    char number[COPY_BYTES];
    snprintf(number, sizeof number, "%.*s", space ? (int)(space - text) : 0, text);
    if (epoch_parse(number, epoch) == 1 && copy_print(*epoch, expected) == got &&
        memcmp(text, expected, (size_t)got) == 0)
        return 1;
    return log_error_set(error, MK_ERR_CORRUPT, "%s/%s: its checksum is wrong", snapshots->path,
                         copy);
}

/* --- writing ---------------------------------------------------------------------------------- */

#define TEMPORARY_NAME "moonkeeper.epoch.tmp"
#define TEMPORARY_COPY "moonkeeper.epochcopy.tmp"

static int copy_write(struct store *snapshots, const char *name, int64_t epoch,
                      struct log_error *error)
{
    char copy[LOG_NAME_BYTES], text[COPY_BYTES];
    int length = copy_print(epoch, text);
    copy_name(name, copy);
    int result = log_file_write(snapshots, TEMPORARY_COPY, text, (size_t)length, error);
    return result == 0 ? store_rename(snapshots, TEMPORARY_COPY, copy, error) : result;
}

/* Also a currentEpoch.tmp is whole at every moment: it may be all that lets Apache start. */
static int apache_write(struct store *snapshots, const char *name, int64_t epoch,
                        struct log_error *error)
{
    char text[32];
    int length = snprintf(text, sizeof text, "%lld", (long long)epoch);
    int result = log_file_write(snapshots, TEMPORARY_NAME, text, (size_t)length, error);
    bool current = strcmp(name, LOG_EPOCH_CURRENT) == 0;
    if (result == 0)
        result =
            store_rename(snapshots, TEMPORARY_NAME, current ? LOG_EPOCH_PREPARED : name, error);
    if (result == 0 && current)
        result = store_rename(snapshots, LOG_EPOCH_PREPARED, LOG_EPOCH_CURRENT, error);
    return result;
}

int log_epoch_write(struct store *snapshots, const char *name, int64_t epoch,
                    struct log_error *error)
{
    MK_ASSERT(epoch >= 0);
    MK_ASSERT(epoch <= EPOCH_MAX);
    int result = 0;
    if (strcmp(name, LOG_EPOCH_PREPARED) != 0)
        result = copy_write(snapshots, name, epoch, error);
    if (result == 0)
        result = apache_write(snapshots, name, epoch, error);
    return result == 0 ? store_sync_directory(snapshots, error) : result;
}

/* --- at start --------------------------------------------------------------------------------- */

struct epochs {
    bool has_accepted, has_current;
    int64_t accepted, current;
    int64_t data; /* epoch of the last transaction */
};

static int refuse(struct store *snapshots, const struct epochs *epochs, const char *what,
                  struct log_error *error)
{
    char accepted[32] = "missing", current[32] = "missing";
    if (epochs->has_accepted)
        snprintf(accepted, sizeof accepted, "%lld", (long long)epochs->accepted);
    if (epochs->has_current)
        snprintf(current, sizeof current, "%lld", (long long)epochs->current);
    return log_error_set(
        error, MK_ERR_CORRUPT,
        "%s: " LOG_EPOCH_ACCEPTED " is %s, " LOG_EPOCH_CURRENT " is %s, and the last transaction "
        "is of epoch %lld: %s. What to do: restore the missing or damaged file; or, if the other "
        "members are in order, empty the directory and let the server synchronize",
        snapshots->path, accepted, current, (long long)epochs->data, what);
}

/* Both, or the second after a crash between the two (in this order). */
static int derive_missing(struct store *snapshots, struct epochs *epochs, struct log_report *report,
                          struct log_error *error)
{
    int result = 0;
    if (!epochs->has_accepted)
        result = log_epoch_write(snapshots, LOG_EPOCH_ACCEPTED, epochs->data, error);
    if (result == 0)
        result = log_epoch_write(snapshots, LOG_EPOCH_CURRENT, epochs->data, error);
    if (result == 0)
        log_report_add(report, LOG_NOTE, LOG_EPOCH_CURRENT, -1, NULL,
                       "there was none; epoch %lld is that of the last transaction",
                       (long long)epochs->data);
    epochs->accepted = epochs->current = epochs->data;
    return result;
}

static int raise_current(struct store *snapshots, struct epochs *epochs, struct log_report *report,
                         struct log_error *error)
{
    int result = log_epoch_write(snapshots, LOG_EPOCH_CURRENT, epochs->data, error);
    if (result == 0)
        log_report_add(report, LOG_NOTE, LOG_EPOCH_CURRENT, -1, NULL,
                       "raised from %lld to %lld: a synchronization with the leader of that epoch "
                       "was interrupted",
                       (long long)epochs->current, (long long)epochs->data);
    epochs->current = epochs->data;
    return result;
}

static int settle(struct store *snapshots, struct epochs *epochs, bool derive,
                  struct log_report *report, struct log_error *error)
{
    bool none = !epochs->has_accepted && !epochs->has_current;
    bool half = epochs->has_accepted && !epochs->has_current && epochs->accepted == epochs->data;
    if ((none && (derive || epochs->data == 0)) || half)
        return derive_missing(snapshots, epochs, report, error);
    if (none)
        return refuse(snapshots, epochs,
                      "what this server promised is not known, and it might promise it again. (If "
                      "this directory was never that of an ensemble's member: create an empty file "
                      "named initialize in the data directory, beside version-2, and start once.)",
                      error);
    if (!epochs->has_accepted)
        return refuse(snapshots, epochs,
                      "what this server promised is not known, and it might promise it again",
                      error);
    if (!epochs->has_current)
        return refuse(snapshots, epochs, "whose history it holds is not known", error);
    if (epochs->accepted < epochs->current)
        return refuse(snapshots, epochs, "an epoch was taken over that was never promised", error);
    if (epochs->data <= epochs->current)
        return 0;
    if (epochs->data <= epochs->accepted)
        return raise_current(snapshots, epochs, report, error);
    return refuse(snapshots, epochs, "it holds transactions of an epoch that was never promised",
                  error);
}

/* The higher of two copies; both are written again if they are not the same. 1, 0: there is none,
 * negative: none can be read. */
static int read_both(struct store *snapshots, const char *name, int64_t *epoch,
                     struct log_report *report, struct log_error *error)
{
    int64_t apaches = -1, ours = -1;
    struct log_error trouble;
    int first = log_epoch_read(snapshots, name, &apaches, error);
    int second = log_epoch_read_copy(snapshots, name, &ours, first < 0 ? &trouble : error);
    bool unreadable =
        (first < 0 && first != MK_ERR_CORRUPT) || (second < 0 && second != MK_ERR_CORRUPT);
    if (unreadable || (first != 1 && second != 1))
        return first < 0 ? first : second;
    *epoch = MK_MAX(first == 1 ? apaches : -1, second == 1 ? ours : -1);
    if (first == 1 && second == 1 && apaches == ours)
        return 1;
    if (first != 1 || second < 0)
        log_report_add(report, LOG_WARNING, name, -1, NULL,
                       "%s copy of %s was %s; it is written again from the other, epoch %lld",
                       first != 1 ? "Apache's" : "our", name,
                       (first != 1 ? first : second) < 0 ? "damaged" : "missing",
                       (long long)*epoch);
    int result = log_epoch_write(snapshots, name, *epoch, error);
    return result == 0 ? 1 : result;
}

int log_epochs_read(struct store *snapshots, int64_t last_zxid, bool derive, int64_t *accepted,
                    int64_t *current, struct log_report *report, struct log_error *error)
{
    struct epochs epochs = {.data = last_zxid > 0 ? mk_zxid_epoch(last_zxid) : 0};
    int result = read_both(snapshots, LOG_EPOCH_ACCEPTED, &epochs.accepted, report, error);
    epochs.has_accepted = result == 1;
    if (result >= 0)
        result = read_both(snapshots, LOG_EPOCH_CURRENT, &epochs.current, report, error);
    epochs.has_current = result == 1;
    if (result >= 0)
        result = settle(snapshots, &epochs, derive, report, error);
    *accepted = epochs.accepted;
    *current = epochs.current;
    return result;
}
