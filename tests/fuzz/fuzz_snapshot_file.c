/* SPDX-License-Identifier: MIT */
/* Fuzzes the snapshot reader in its three formats (the first byte chooses), with a consumer that
 * takes all and one that takes small bites: both must see the same bytes and the same end. */
#include "log/snapfile.h"

#include "base/checksum.h"
#include "base/mem.h"
#include "log/format.h"

#include "../lib/memory_store.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sink {
    struct snapfile_walk walk;
    size_t bite;
    uint64_t bytes;
    uint32_t sum;
};

static int sink_body(void *context, const uint8_t *data, size_t size, size_t *consumed,
                     const char **reason)
{
    struct sink *sink = context;
    size_t bite = sink->bite;
    int result;
    do {
        result = snapfile_walk_body(&sink->walk, data, MK_MIN(size, bite), consumed, reason);
        MK_ASSERT(*consumed <= size);
        bite *= 2;
    } while (result == 0 && *consumed == 0 && bite / 2 < size);
    sink->sum = mk_crc32c(sink->sum, data, *consumed);
    sink->bytes += *consumed;
    return result;
}

static int read_with(struct memory_store *memory, const char *name, size_t bite, struct sink *sink,
                     struct snapfile_info *info)
{
    struct log_error error;
    *sink = (struct sink){.bite = bite};
    snapfile_walk_init(&sink->walk);
    int result = snapfile_read(memory_store_of(memory), name, sink_body, sink, info, &error);
    MK_ASSERT(result == 0 || result == MK_ERR_CORRUPT);
    return result;
}

/* Makes the first seal good, so that the fuzzer gets behind it. */
static void repair(uint8_t *file, size_t size)
{
    struct snapfile_walk walk;
    const char *reason;
    size_t consumed = 0;
    snapfile_walk_init(&walk);
    if (size < LOG_HEADER_BYTES + SNAPFILE_SEAL_BYTES)
        return;
    size_t body = size - LOG_HEADER_BYTES - SNAPFILE_SEAL_BYTES;
    if (snapfile_walk_body(&walk, file + LOG_HEADER_BYTES, body, &consumed, &reason) == 1)
        mk_store_u64(file + LOG_HEADER_BYTES + consumed,
                     mk_adler32(1, file, LOG_HEADER_BYTES + consumed));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"snapshot.5", "snapshot.5.gz", "snapshot.5.snappy",
                                        "snapshot.5"};
    if (size < 1)
        return 0;
    unsigned kind = data[0] & 3;
    struct memory_store *memory = memory_store_new(1);
    struct sink whole, bites;
    struct snapfile_info info, again;
    size_t same;
    memory_store_put(memory, names[kind], data + 1, size - 1);
    if (kind == 3)
        repair(memory_store_get(memory, names[kind], &same), size - 1);
    MK_ASSERT(snapfile_looks_valid(memory_store_of(memory), names[kind], NULL) >= 0);
    int first = read_with(memory, names[kind], SIZE_MAX / 4, &whole, &info);
    int second = read_with(memory, names[kind], 1 + (data[0] >> 2), &bites, &again);
    MK_ASSERT(first == second);
    if (first == 0) {
        MK_ASSERT(whole.bytes == info.body_bytes);
        MK_ASSERT(whole.bytes == bites.bytes);
        MK_ASSERT(whole.sum == bites.sum);
        MK_ASSERT(whole.walk.nodes == bites.walk.nodes);
        MK_ASSERT(info.seal.digest == again.seal.digest);
    }
    memory_store_free(memory);
    return 0;
}
