/* SPDX-License-Identifier: MIT */
/* The disk in memory; see memory_store.h. An inode has two images; the directory is a list of
 * entries with, beside it, the durable one and the operations since its last sync. */
#include "memory_store.h"

#include "base/mem.h"
#include "log/format.h"
#include "wire/errors.gen.h"

#include <stdio.h>

#define NAME_BYTES 64
#define FILES_MAX 4096

struct memory_inode {
    int references; /* open files and directory entries, current and durable */
    uint8_t *data, *durable;
    /* Per sector: a sync failed with it, so the kernel holds it for clean though it never reached
     * the device; only writing it again makes the next sync count. NULL: none. */
    uint8_t *poisoned;
    size_t poisoned_count;
    size_t size, capacity, durable_size;
};

struct memory_entry {
    char name[NAME_BYTES];
    struct memory_inode *inode;
};

struct memory_directory {
    struct memory_entry *entries;
    size_t count, capacity;
};

/* A change of the directory since its last sync. */
struct memory_change {
    char from[NAME_BYTES]; /* "": a new file; otherwise removed or renamed */
    char to[NAME_BYTES];   /* "": removed */
    struct memory_inode *inode;
};

struct memory_store {
    struct store store;
    struct mk_rand rand;
    struct memory_faults faults;
    struct memory_directory now, durable;
    struct memory_change *changes;
    size_t change_count, change_capacity;
    uint64_t calls, reads, counts[MEMORY_CALLS];
    uint64_t life; /* rises with each crash; files of an older one are dead */
    bool crashed, locked;
};

struct memory_file {
    struct store_file file;
    struct memory_inode *inode;
    uint64_t life;
};

static struct memory_store *memory_of(struct store *store)
{
    return MK_CONTAINER_OF(store, struct memory_store, store);
}

static struct memory_file *file_of(struct store_file *file)
{
    return MK_CONTAINER_OF(file, struct memory_file, file);
}

/* --- inodes and directories ------------------------------------------------------------------- */

static void inode_unref(struct memory_inode *inode)
{
    if (--inode->references > 0)
        return;
    mk_free(inode->data);
    mk_free(inode->durable);
    mk_free(inode->poisoned);
    mk_free(inode);
}

static void inode_resize(struct memory_inode *inode, size_t size)
{
    if (size > inode->capacity) {
        inode->capacity = MK_MAX(size, inode->capacity * 2);
        inode->data = mk_realloc(inode->data, inode->capacity);
    }
    if (size > inode->size)
        memset(inode->data + inode->size, 0, size - inode->size);
    inode->size = size;
}

static void inode_unpoison(struct memory_inode *inode)
{
    mk_free(inode->poisoned);
    inode->poisoned = NULL;
    inode->poisoned_count = 0;
}

static void inode_persist(struct memory_inode *inode)
{
    uint8_t *image = mk_alloc(inode->size);
    if (inode->size)
        memcpy(image, inode->data, inode->size);
    for (size_t i = 0; i < inode->poisoned_count; i++) {
        size_t at = i * LOG_SECTOR_BYTES;
        if (!inode->poisoned[i] || at >= inode->size)
            continue;
        size_t part = MK_MIN(inode->size - at, (size_t)LOG_SECTOR_BYTES);
        memset(image + at, 0, part);
        if (at < inode->durable_size)
            memcpy(image + at, inode->durable + at, MK_MIN(part, inode->durable_size - at));
    }
    mk_free(inode->durable);
    inode->durable = image;
    inode->durable_size = inode->size;
}

/* A sync failed: what differs from the durable image now passes for clean. */
static void inode_poison(struct memory_inode *inode)
{
    inode_unpoison(inode);
    inode->poisoned_count = (inode->size + LOG_SECTOR_BYTES - 1) / LOG_SECTOR_BYTES;
    inode->poisoned = mk_calloc(inode->poisoned_count, 1);
    for (size_t i = 0; i < inode->poisoned_count; i++) {
        size_t at = i * LOG_SECTOR_BYTES;
        size_t part = MK_MIN(inode->size - at, (size_t)LOG_SECTOR_BYTES);
        inode->poisoned[i] = at + part > inode->durable_size ||
                             memcmp(inode->data + at, inode->durable + at, part) != 0;
    }
}

static void inode_written(struct memory_inode *inode, uint64_t offset, size_t size)
{
    for (size_t i = offset / LOG_SECTOR_BYTES;
         size && i <= (offset + size - 1) / LOG_SECTOR_BYTES && i < inode->poisoned_count; i++)
        inode->poisoned[i] = 0;
}

static struct memory_entry *directory_find(const struct memory_directory *directory,
                                           const char *name)
{
    for (size_t i = 0; i < directory->count; i++) {
        if (strcmp(directory->entries[i].name, name) == 0)
            return &directory->entries[i];
    }
    return NULL;
}

static void directory_remove(struct memory_directory *directory, const char *name)
{
    struct memory_entry *entry = directory_find(directory, name);
    if (!entry)
        return;
    inode_unref(entry->inode);
    *entry = directory->entries[--directory->count];
}

static void directory_set(struct memory_directory *directory, const char *name,
                          struct memory_inode *inode)
{
    inode->references++;
    directory_remove(directory, name);
    MK_ASSERT(directory->count < FILES_MAX);
    if (directory->count == directory->capacity) {
        directory->capacity = directory->capacity ? directory->capacity * 2 : 16;
        directory->entries =
            mk_realloc(directory->entries, directory->capacity * sizeof *directory->entries);
    }
    struct memory_entry *entry = &directory->entries[directory->count++];
    snprintf(entry->name, sizeof entry->name, "%s", name);
    entry->inode = inode;
}

static void directory_clear(struct memory_directory *directory)
{
    while (directory->count)
        directory_remove(directory, directory->entries[0].name);
}

static void directory_copy(struct memory_directory *to, const struct memory_directory *from)
{
    directory_clear(to);
    for (size_t i = 0; i < from->count; i++)
        directory_set(to, from->entries[i].name, from->entries[i].inode);
}

static void change_apply(struct memory_directory *directory, const struct memory_change *change)
{
    struct memory_entry *from = change->from[0] ? directory_find(directory, change->from) : NULL;
    struct memory_inode *inode = change->inode;
    inode->references++;
    if (from && from->inode == inode)
        directory_remove(directory, change->from);
    if (change->to[0])
        directory_set(directory, change->to, inode);
    inode_unref(inode);
}

static void changes_clear(struct memory_store *memory)
{
    for (size_t i = 0; i < memory->change_count; i++)
        inode_unref(memory->changes[i].inode);
    memory->change_count = 0;
}

static void change_add(struct memory_store *memory, const char *from, const char *to,
                       struct memory_inode *inode)
{
    if (memory->change_count == memory->change_capacity) {
        memory->change_capacity = memory->change_capacity ? memory->change_capacity * 2 : 16;
        memory->changes =
            mk_realloc(memory->changes, memory->change_capacity * sizeof *memory->changes);
    }
    struct memory_change *change = &memory->changes[memory->change_count++];
    snprintf(change->from, sizeof change->from, "%s", from);
    snprintf(change->to, sizeof change->to, "%s", to);
    change->inode = inode;
    inode->references++;
    change_apply(&memory->now, change);
}

/* --- faults ----------------------------------------------------------------------------------- */

enum memory_outcome { OUTCOME_DO, OUTCOME_FAIL, OUTCOME_CRASH };

static int dead(struct memory_store *memory, struct log_error *error)
{
    (void)memory;
    return log_error_set(error, MK_ERR_IO, "the simulated machine is off");
}

static int fails(struct memory_store *memory, const char *what, struct log_error *error)
{
    int code = memory->faults.fail_code ? memory->faults.fail_code : MK_ERR_IO;
    return log_error_set(error, code, "cannot %s: simulated %s", what,
                         code == MK_ERR_NO_SPACE ? "full disk" : "disk error");
}

static enum memory_outcome outcome_of(struct memory_store *memory, enum memory_call call)
{
    memory->counts[call]++;
    uint64_t number = ++memory->calls;
    if (number == memory->faults.crash_call) {
        memory->crashed = true;
        return OUTCOME_CRASH;
    }
    return number == memory->faults.fail_call ? OUTCOME_FAIL : OUTCOME_DO;
}

static bool file_dead(struct store_file *file)
{
    struct memory_store *memory = memory_of(file->store);
    return memory->crashed || file_of(file)->life != memory->life;
}

static int read_fault(struct memory_store *memory, enum memory_call call, struct log_error *error)
{
    memory->counts[call]++;
    if (memory->crashed)
        return dead(memory, error);
    if (++memory->reads == memory->faults.fail_read)
        return log_error_set(error, MK_ERR_IO, "cannot read: simulated disk error");
    return 0;
}

static uint64_t bytes_used(const struct memory_store *memory)
{
    uint64_t used = 0;
    for (size_t i = 0; i < memory->now.count; i++)
        used += memory->now.entries[i].inode->size;
    return used;
}

/* --- the seam --------------------------------------------------------------------------------- */

static int memory_list(struct store *store, void (*each)(void *context, const char *name),
                       void *context, struct log_error *error)
{
    struct memory_store *memory = memory_of(store);
    int result = read_fault(memory, MEMORY_LIST, error);
    for (size_t i = 0; result == 0 && i < memory->now.count; i++)
        each(context, memory->now.entries[i].name);
    return result;
}

static int memory_open(struct store *store, const char *name, enum store_mode mode,
                       struct store_file **file, struct log_error *error)
{
    struct memory_store *memory = memory_of(store);
    MK_ASSERT(strlen(name) < NAME_BYTES);
    struct memory_entry *entry = directory_find(&memory->now, name);
    struct memory_inode *inode = entry ? entry->inode : NULL;
    if (memory->crashed)
        return dead(memory, error);
    if (!inode && mode != STORE_CREATE)
        return log_error_set(error, MK_ERR_NOT_FOUND, "cannot open %s: no such file", name);
    if (mode == STORE_CREATE) {
        if (inode)
            return log_error_set(error, MK_ERR_IO, "cannot create %s: it exists", name);
        enum memory_outcome outcome = outcome_of(memory, MEMORY_OPEN);
        if (outcome == OUTCOME_FAIL)
            return fails(memory, "create a file", error);
        inode = mk_calloc(1, sizeof *inode);
        inode->references = 1;
        change_add(memory, "", name, inode);
        inode_unref(inode);
        if (outcome == OUTCOME_CRASH)
            return dead(memory, error);
    } else {
        int result = read_fault(memory, MEMORY_OPEN, error);
        if (result < 0)
            return result;
    }
    struct memory_file *opened = mk_calloc(1, sizeof *opened);
    opened->file.store = store;
    opened->inode = inode;
    opened->life = memory->life;
    inode->references++;
    *file = &opened->file;
    return 0;
}

static void memory_close(struct store_file *file)
{
    inode_unref(file_of(file)->inode);
    mk_free(file_of(file));
}

static int64_t memory_read(struct store_file *file, uint64_t offset, void *data, size_t size,
                           struct log_error *error)
{
    struct memory_store *memory = memory_of(file->store);
    struct memory_inode *inode = file_of(file)->inode;
    int result = file_dead(file) ? dead(memory, error) : read_fault(memory, MEMORY_READ, error);
    if (result < 0)
        return result;
    size_t left = offset < inode->size ? inode->size - (size_t)offset : 0;
    size_t part = MK_MIN(left, size);
    if (part)
        memcpy(data, inode->data + offset, part);
    return (int64_t)part;
}

/* `data` NULL: zeros. */
static int put(struct store_file *file, uint64_t offset, const void *data, size_t size,
               enum memory_call call, struct log_error *error)
{
    struct memory_store *memory = memory_of(file->store);
    struct memory_inode *inode = file_of(file)->inode;
    if (file_dead(file))
        return dead(memory, error);
    enum memory_outcome outcome = outcome_of(memory, call);
    size_t part = size;
    if (outcome != OUTCOME_DO) { /* memory is copied in aligned words: the cut lies between two */
        part = size ? (size_t)mk_rand_below(&memory->rand, size) : 0;
        part -= MK_MIN(part, (size_t)((offset + part) % 8));
    }
    uint64_t end = offset + part, grown = end > inode->size ? end - inode->size : 0;
    uint64_t used = bytes_used(memory);
    bool full = memory->faults.bytes_max && used + grown > memory->faults.bytes_max;
    if (full) {
        uint64_t room = memory->faults.bytes_max > used ? memory->faults.bytes_max - used : 0;
        part = offset > inode->size ? 0 : (size_t)MK_MIN(part, inode->size + room - offset);
    }
    if (part) {
        if (offset + part > inode->size)
            inode_resize(inode, (size_t)(offset + part));
        if (data)
            memcpy(inode->data + offset, data, part);
        else
            memset(inode->data + offset, 0, part);
        inode_written(inode, offset, part);
    }
    if (full)
        return log_error_set(error, MK_ERR_NO_SPACE, "cannot write: simulated full disk");
    if (outcome == OUTCOME_CRASH)
        return dead(memory, error);
    return outcome == OUTCOME_FAIL ? fails(memory, "write", error) : 0;
}

static int memory_write(struct store_file *file, uint64_t offset, const void *data, size_t size,
                        struct log_error *error)
{
    return put(file, offset, data, size, MEMORY_WRITE, error);
}

static int memory_write_blocks(struct store_file *file, uint64_t offset, const void *data,
                               size_t size, struct log_error *error)
{
    uint32_t block = file->store->block_bytes;
    MK_ASSERT(block > 0 && ((offset | size | (uintptr_t)data) & (block - 1)) == 0);
    return put(file, offset, data, size, MEMORY_WRITE, error);
}

static int memory_write_zeros(struct store_file *file, uint64_t offset, uint64_t size,
                              struct log_error *error)
{
    return put(file, offset, NULL, (size_t)size, MEMORY_ZEROS, error);
}

static int memory_sync(struct store_file *file, struct log_error *error)
{
    struct memory_store *memory = memory_of(file->store);
    struct memory_inode *inode = file_of(file)->inode;
    if (file_dead(file))
        return dead(memory, error);
    enum memory_outcome outcome = outcome_of(memory, MEMORY_SYNC);
    if (outcome == OUTCOME_CRASH)
        return dead(memory, error);
    if (outcome == OUTCOME_FAIL) {
        inode_poison(inode);
        return fails(memory, "make durable", error);
    }
    inode_persist(inode);
    return 0;
}

static void memory_write_out(struct store_file *file, uint64_t offset, uint64_t size)
{
    (void)file, (void)offset, (void)size; /* a hint: nothing is durable by it */
}

static void memory_forget_cache(struct store_file *file)
{
    (void)file;
}

static int memory_truncate(struct store_file *file, uint64_t size, struct log_error *error)
{
    struct memory_store *memory = memory_of(file->store);
    if (file_dead(file))
        return dead(memory, error);
    enum memory_outcome outcome = outcome_of(memory, MEMORY_TRUNCATE);
    if (outcome == OUTCOME_FAIL)
        return fails(memory, "cut a file", error);
    inode_resize(file_of(file)->inode, (size_t)size);
    return outcome == OUTCOME_CRASH ? dead(memory, error) : 0;
}

static int64_t memory_size(struct store_file *file, struct log_error *error)
{
    if (file_dead(file))
        return dead(memory_of(file->store), error);
    return (int64_t)file_of(file)->inode->size;
}

/* `to` NULL: remove. */
static int move(struct store *store, const char *from, const char *to, enum memory_call call,
                struct log_error *error)
{
    struct memory_store *memory = memory_of(store);
    if (memory->crashed)
        return dead(memory, error);
    struct memory_entry *entry = directory_find(&memory->now, from);
    if (!entry)
        return log_error_set(error, MK_ERR_NOT_FOUND, "%s: no such file", from);
    enum memory_outcome outcome = outcome_of(memory, call);
    if (outcome == OUTCOME_FAIL)
        return fails(memory, to ? "rename" : "remove", error);
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%s", from);
    change_add(memory, name, to ? to : "", entry->inode);
    return outcome == OUTCOME_CRASH ? dead(memory, error) : 0;
}

static int memory_rename(struct store *store, const char *from, const char *to,
                         struct log_error *error)
{
    return move(store, from, to, MEMORY_RENAME, error);
}

static int memory_remove(struct store *store, const char *name, struct log_error *error)
{
    return move(store, name, NULL, MEMORY_REMOVE, error);
}

static int memory_sync_directory(struct store *store, struct log_error *error)
{
    struct memory_store *memory = memory_of(store);
    if (memory->crashed)
        return dead(memory, error);
    enum memory_outcome outcome = outcome_of(memory, MEMORY_SYNC_DIRECTORY);
    if (outcome == OUTCOME_CRASH)
        return dead(memory, error);
    if (outcome == OUTCOME_FAIL)
        return fails(memory, "make the directory durable", error);
    directory_copy(&memory->durable, &memory->now);
    changes_clear(memory);
    return 0;
}

static int memory_lock(struct store *store, struct log_error *error)
{
    struct memory_store *memory = memory_of(store);
    if (memory->crashed)
        return dead(memory, error);
    if (memory->locked)
        return log_error_set(error, MK_ERR_LOCKED, "the directory is in use");
    memory->locked = true;
    return 0;
}

static int64_t memory_free_space(struct store *store, struct log_error *error)
{
    struct memory_store *memory = memory_of(store);
    (void)error;
    if (!memory->faults.bytes_max)
        return INT64_MAX;
    uint64_t used = bytes_used(memory);
    return used < memory->faults.bytes_max ? (int64_t)(memory->faults.bytes_max - used) : 0;
}

static const struct store_calls memory_calls = {
    .list = memory_list,
    .open = memory_open,
    .close = memory_close,
    .read = memory_read,
    .write = memory_write,
    .write_blocks = memory_write_blocks,
    .write_zeros = memory_write_zeros,
    .sync_data = memory_sync,
    .sync_full = memory_sync,
    .write_out = memory_write_out,
    .forget_cache = memory_forget_cache,
    .truncate = memory_truncate,
    .size = memory_size,
    .rename = memory_rename,
    .remove = memory_remove,
    .sync_directory = memory_sync_directory,
    .lock = memory_lock,
    .free_space = memory_free_space,
};

/* --- crashes ---------------------------------------------------------------------------------- */

static bool lucky(struct memory_store *memory, unsigned percent)
{
    return mk_rand_below(&memory->rand, 100) < percent;
}

/* One image of the unsynced sectors and of the size: some made it, some did not. */
static void inode_crash(struct memory_store *memory, struct memory_inode *inode, unsigned keep)
{
    size_t both = MK_MAX(inode->size, inode->durable_size);
    uint8_t *image = mk_calloc(1, both);
    if (inode->durable_size)
        memcpy(image, inode->durable, inode->durable_size);
    size_t size = lucky(memory, keep) ? inode->size : inode->durable_size;
    for (size_t at = 0; at < inode->size; at += LOG_SECTOR_BYTES) {
        size_t part = MK_MIN(inode->size - at, (size_t)LOG_SECTOR_BYTES);
        bool poisoned =
            at / LOG_SECTOR_BYTES < inode->poisoned_count && inode->poisoned[at / LOG_SECTOR_BYTES];
        if (!poisoned && lucky(memory, keep))
            memcpy(image + at, inode->data + at, part);
    }
    inode_resize(inode, size);
    if (size)
        memcpy(inode->data, image, size);
    mk_free(image);
    inode_unpoison(inode);
    inode_persist(inode);
}

void memory_store_kill(struct memory_store *memory)
{
    memory->life++;
    memory->crashed = memory->locked = false;
    memory->faults = (struct memory_faults){0};
}

void memory_store_crash(struct memory_store *memory, unsigned keep_percent)
{
    for (size_t i = 0; i < memory->change_count; i++) {
        if (lucky(memory, keep_percent))
            change_apply(&memory->durable, &memory->changes[i]);
    }
    changes_clear(memory);
    directory_copy(&memory->now, &memory->durable);
    for (size_t i = 0; i < memory->now.count; i++)
        inode_crash(memory, memory->now.entries[i].inode, keep_percent);
    memory_store_kill(memory);
}

/* --- life, direct access ---------------------------------------------------------------------- */

struct memory_store *memory_store_new(uint64_t seed)
{
    struct memory_store *memory = mk_calloc(1, sizeof *memory);
    memory->store.calls = &memory_calls;
    memory->store.path = "memory";
    mk_rand_init(&memory->rand, seed);
    return memory;
}

void memory_store_free(struct memory_store *memory)
{
    if (!memory)
        return;
    changes_clear(memory);
    directory_clear(&memory->now);
    directory_clear(&memory->durable);
    mk_free(memory->now.entries);
    mk_free(memory->durable.entries);
    mk_free(memory->changes);
    mk_free(memory);
}

struct memory_store *memory_store_clone(const struct memory_store *memory, uint64_t seed)
{
    struct memory_store *copy = memory_store_new(seed);
    copy->store.block_bytes = memory->store.block_bytes;
    for (size_t i = 0; i < memory->now.count; i++) {
        const struct memory_entry *entry = &memory->now.entries[i];
        memory_store_put(copy, entry->name, entry->inode->data, entry->inode->size);
    }
    return copy;
}

struct store *memory_store_of(struct memory_store *memory)
{
    return &memory->store;
}

void memory_store_set_block(struct memory_store *memory, uint32_t block_bytes)
{
    memory->store.block_bytes = block_bytes;
}

struct memory_faults *memory_store_faults(struct memory_store *memory)
{
    return &memory->faults;
}

uint64_t memory_store_calls(const struct memory_store *memory)
{
    return memory->calls;
}

uint64_t memory_store_count(const struct memory_store *memory, enum memory_call call)
{
    return memory->counts[call];
}

void memory_store_put(struct memory_store *memory, const char *name, const void *data, size_t size)
{
    struct memory_inode *inode = mk_calloc(1, sizeof *inode);
    inode->references = 1;
    inode_resize(inode, size);
    if (size)
        memcpy(inode->data, data, size);
    inode_persist(inode);
    directory_set(&memory->now, name, inode);
    directory_set(&memory->durable, name, inode);
    inode_unref(inode);
}

uint8_t *memory_store_get(struct memory_store *memory, const char *name, size_t *size)
{
    struct memory_entry *entry = directory_find(&memory->now, name);
    if (!entry)
        return NULL;
    *size = entry->inode->size;
    return entry->inode->data;
}

bool memory_store_delete(struct memory_store *memory, const char *name)
{
    bool found = directory_find(&memory->now, name) != NULL;
    directory_remove(&memory->now, name);
    directory_remove(&memory->durable, name);
    return found;
}

const char *memory_store_name(const struct memory_store *memory, size_t n)
{
    return n < memory->now.count ? memory->now.entries[n].name : NULL;
}
