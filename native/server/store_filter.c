/* SPDX-License-Identifier: MIT */
/* Pacing and leaving out syncs in front of a store; see store_filter.h. */
#include "server/store_filter.h"

#include "base/mem.h"
#include "wire/errors.gen.h"

#include <uv.h>

#define NANOSECONDS 1000000000u
#define NAP_MS_MAX 50
/* A writer that was held up may catch up so much at most. */
#define BURST_NS (NANOSECONDS / 10)

struct filter_file {
    struct store_file base;
    struct store_file *inner;
};

struct filter {
    struct store base;
    struct store *inner;
    struct store_filter_options options;
    uint64_t earliest_ns; /* of the next write */
};

static struct filter *filter_of(struct store *store)
{
    return MK_CONTAINER_OF(store, struct filter, base);
}

static struct filter_file *file_of(struct store_file *file)
{
    return MK_CONTAINER_OF(file, struct filter_file, base);
}

static int filter_list(struct store *store, void (*each)(void *context, const char *name),
                       void *context, struct log_error *error)
{
    return store_list(filter_of(store)->inner, each, context, error);
}

static int filter_open(struct store *store, const char *name, enum store_mode mode,
                       struct store_file **file, struct log_error *error)
{
    struct store_file *inner;
    int code = store_open(filter_of(store)->inner, name, mode, &inner, error);
    if (code != 0)
        return code;
    struct filter_file *opened = mk_calloc(1, sizeof *opened);
    opened->base.store = store;
    opened->inner = inner;
    *file = &opened->base;
    return 0;
}

static void filter_close(struct store_file *file)
{
    store_close(file_of(file)->inner);
    mk_free(file_of(file));
}

/* Naps until `size` more bytes may be read or written. */
static void wait_for_turn(struct filter *filter, size_t size)
{
    if (filter->options.bytes_per_second == 0)
        return;
    uint64_t now_ns = uv_hrtime();
    filter->earliest_ns =
        MK_MAX(filter->earliest_ns, now_ns > BURST_NS ? now_ns - BURST_NS : now_ns);
    while (filter->earliest_ns > now_ns &&
           !(filter->options.hurry && filter->options.hurry(filter->options.context))) {
        uint64_t wait_ms = (filter->earliest_ns - now_ns) / 1000000 + 1;
        uv_sleep((unsigned)MK_MIN(wait_ms, (uint64_t)NAP_MS_MAX));
        now_ns = uv_hrtime();
    }
    filter->earliest_ns +=
        (uint64_t)((double)size * NANOSECONDS / (double)filter->options.bytes_per_second);
}

static int64_t filter_read(struct store_file *file, uint64_t offset, void *data, size_t size,
                           struct log_error *error)
{
    wait_for_turn(filter_of(file->store), size);
    return store_read(file_of(file)->inner, offset, data, size, error);
}

static int filter_write(struct store_file *file, uint64_t offset, const void *data, size_t size,
                        struct log_error *error)
{
    struct filter *filter = filter_of(file->store);
    struct filter_file *self = file_of(file);
    wait_for_turn(filter, size);
    int code = store_write(self->inner, offset, data, size, error);
    if (code == 0 && filter->options.write_out)
        store_write_out(self->inner, offset, size);
    return code;
}

static int filter_write_blocks(struct store_file *file, uint64_t offset, const void *data,
                               size_t size, struct log_error *error)
{
    return filter_write(file, offset, data, size, error);
}

static int filter_write_zeros(struct store_file *file, uint64_t offset, uint64_t size,
                              struct log_error *error)
{
    return store_write_zeros(file_of(file)->inner, offset, size, error);
}

static int filter_sync_data(struct store_file *file, struct log_error *error)
{
    if (filter_of(file->store)->options.skip_sync)
        return 0;
    return store_sync_data(file_of(file)->inner, error);
}

static int filter_sync_full(struct store_file *file, struct log_error *error)
{
    if (filter_of(file->store)->options.skip_sync)
        return 0;
    return store_sync_full(file_of(file)->inner, error);
}

static void filter_write_out(struct store_file *file, uint64_t offset, uint64_t size)
{
    store_write_out(file_of(file)->inner, offset, size);
}

static void filter_forget_cache(struct store_file *file)
{
    store_forget_cache(file_of(file)->inner);
}

static int filter_truncate(struct store_file *file, uint64_t size, struct log_error *error)
{
    return store_truncate(file_of(file)->inner, size, error);
}

static int64_t filter_size(struct store_file *file, struct log_error *error)
{
    return store_size(file_of(file)->inner, error);
}

static int filter_rename(struct store *store, const char *from, const char *to,
                         struct log_error *error)
{
    return store_rename(filter_of(store)->inner, from, to, error);
}

static int filter_remove(struct store *store, const char *name, struct log_error *error)
{
    return store_remove(filter_of(store)->inner, name, error);
}

static int filter_sync_directory(struct store *store, struct log_error *error)
{
    return store_sync_directory(filter_of(store)->inner, error);
}

static int filter_lock(struct store *store, struct log_error *error)
{
    return store_lock(filter_of(store)->inner, error);
}

static int64_t filter_free_space(struct store *store, struct log_error *error)
{
    return store_free_space(filter_of(store)->inner, error);
}

static const struct store_calls filter_calls = {
    .list = filter_list,
    .open = filter_open,
    .close = filter_close,
    .read = filter_read,
    .write = filter_write,
    .write_blocks = filter_write_blocks,
    .write_zeros = filter_write_zeros,
    .sync_data = filter_sync_data,
    .sync_full = filter_sync_full,
    .write_out = filter_write_out,
    .forget_cache = filter_forget_cache,
    .truncate = filter_truncate,
    .size = filter_size,
    .rename = filter_rename,
    .remove = filter_remove,
    .sync_directory = filter_sync_directory,
    .lock = filter_lock,
    .free_space = filter_free_space,
};

struct store *store_filter_new(struct store *inner, const struct store_filter_options *options)
{
    struct filter *filter = mk_calloc(1, sizeof *filter);
    filter->base.calls = &filter_calls;
    filter->base.path = inner->path;
    filter->inner = inner;
    filter->options = *options;
    return &filter->base;
}

void store_filter_free(struct store *store)
{
    if (store)
        mk_free(filter_of(store));
}
