/* SPDX-License-Identifier: MIT */
/* File names; see names.h. */
#include "log/names.h"

#include "base/mem.h"
#include "wire/errors.gen.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const kind_prefix[] = {"log.", "snapshot."};

bool log_name_ends_with(const char *name, const char *suffix)
{
    size_t length = strlen(name), tail = strlen(suffix);
    return length >= tail && strcmp(name + length - tail, suffix) == 0;
}

bool log_name_parse(enum log_kind kind, const char *name, int64_t *zxid)
{
    size_t prefix = strlen(kind_prefix[kind]);
    if (strlen(name) >= LOG_NAME_BYTES || strncmp(name, kind_prefix[kind], prefix) != 0)
        return false;
    const char *p = name + prefix;
    uint64_t value = 0;
    int digits = 0;
    for (; *p && *p != '.'; p++, digits++) {
        int digit;
        if (*p >= '0' && *p <= '9')
            digit = *p - '0';
        else if ((*p >= 'a' && *p <= 'f') || (*p >= 'A' && *p <= 'F'))
            digit = (*p | 0x20) - 'a' + 10;
        else
            return false;
        value = value << 4 | (unsigned)digit;
    }
    if (digits < 1 || digits > 16 || value > INT64_MAX)
        return false;
    *zxid = (int64_t)value;
    if (!*p)
        return true;
    return kind == LOG_KIND_SNAPSHOT && (strcmp(p, ".gz") == 0 || strcmp(p, ".snappy") == 0);
}

void log_name_make(enum log_kind kind, int64_t zxid, char name[LOG_NAME_BYTES])
{
    snprintf(name, LOG_NAME_BYTES, "%s%llx", kind_prefix[kind], (unsigned long long)zxid);
}

void log_names_fini(struct log_names *names)
{
    mk_free(names->items);
    *names = (struct log_names){0};
}

void log_names_add(struct log_names *names, const char *name, int64_t zxid)
{
    if (names->count == names->capacity) {
        names->capacity = names->capacity ? names->capacity * 2 : 16;
        names->items = mk_realloc(names->items, names->capacity * sizeof *names->items);
    }
    struct log_name *item = &names->items[names->count++];
    item->zxid = zxid;
    snprintf(item->name, sizeof item->name, "%s", name);
}

static int names_compare(const void *a, const void *b)
{
    const struct log_name *left = a, *right = b;
    if (left->zxid != right->zxid)
        return left->zxid < right->zxid ? -1 : 1;
    return strcmp(left->name, right->name);
}

static void names_sort(struct log_names *names)
{
    if (names->count > 1)
        qsort(names->items, names->count, sizeof *names->items, names_compare);
}

static void each_log(void *context, const char *name)
{
    int64_t zxid;
    if (log_name_parse(LOG_KIND_LOG, name, &zxid))
        log_names_add(context, name, zxid);
}

static void each_snapshot(void *context, const char *name)
{
    int64_t zxid;
    if (log_name_parse(LOG_KIND_SNAPSHOT, name, &zxid))
        log_names_add(context, name, zxid);
}

static void each_leftover(void *context, const char *name)
{
    bool known = strncmp(name, "moonkeeper.", 11) == 0 || strncmp(name, "snapshot.", 9) == 0 ||
                 strcmp(name, "acceptedEpoch.tmp") == 0;
    if (known && log_name_ends_with(name, ".tmp") && strlen(name) < LOG_NAME_BYTES)
        log_names_add(context, name, 0);
}

static void each_odd(void *context, const char *name)
{
    int64_t zxid;
    bool log = strncmp(name, "log.", 4) == 0, snapshot = strncmp(name, "snapshot.", 9) == 0;
    if (strlen(name) >= LOG_NAME_BYTES || log_name_ends_with(name, ".tmp"))
        return;
    if ((log && !log_name_parse(LOG_KIND_LOG, name, &zxid)) ||
        (snapshot && !log_name_parse(LOG_KIND_SNAPSHOT, name, &zxid)))
        log_names_add(context, name, 0);
}

static int names_fill(struct store *store, void (*each)(void *context, const char *name),
                      struct log_names *names, struct log_error *error)
{
    *names = (struct log_names){0};
    int result = store_list(store, each, names, error);
    if (result < 0)
        log_names_fini(names);
    names_sort(names);
    return result < 0 ? result : 0;
}

int log_names_list(struct store *store, enum log_kind kind, struct log_names *names,
                   struct log_error *error)
{
    return names_fill(store, kind == LOG_KIND_LOG ? each_log : each_snapshot, names, error);
}

int log_names_list_leftovers(struct store *store, struct log_names *names, struct log_error *error)
{
    return names_fill(store, each_leftover, names, error);
}

int log_names_list_odd(struct store *store, struct log_names *names, struct log_error *error)
{
    return names_fill(store, each_odd, names, error);
}

int log_file_write(struct store *store, const char *name, const void *data, size_t size,
                   struct log_error *error)
{
    struct store_file *file;
    int result = store_remove(store, name, error);
    if (result < 0 && result != MK_ERR_NOT_FOUND)
        return result;
    result = store_open(store, name, STORE_CREATE, &file, error);
    if (result < 0)
        return result;
    result = store_write(file, 0, data, size, error);
    if (result == 0)
        result = store_sync_full(file, error);
    store_close(file);
    return result;
}

int log_file_replace(struct store *store, const char *temporary, const char *name, const void *data,
                     size_t size, struct log_error *error)
{
    int result = log_file_write(store, temporary, data, size, error);
    if (result == 0)
        result = store_rename(store, temporary, name, error);
    return result == 0 ? store_sync_directory(store, error) : result;
}
