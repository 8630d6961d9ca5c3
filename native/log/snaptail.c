/* SPDX-License-Identifier: MIT */
/* The sections behind a snapshot's body, found from the end of the file, so that a directory full
 * of snapshots can be asked which of them may contain a transaction; see snapfile_reach. */
#include "log/format.h"
#include "log/names.h"
#include "log/snapfile.h"
#include "wire/errors.gen.h"

#define DIGEST_BYTES 20   /* long zxid, int version, long digest */
#define LAST_ZXID_BYTES 8 /* long */
#define SECTIONS_BYTES_MAX (3 * SNAPFILE_SEAL_BYTES + DIGEST_BYTES + LAST_ZXID_BYTES)

struct tail {
    uint8_t bytes[SECTIONS_BYTES_MAX]; /* the last ones of the file, at the end of this array */
    size_t size;
};

/* Whether a seal (long Adler-32, ustring "/") ends `from_end` bytes before the end. */
static bool has_seal(const struct tail *tail, size_t from_end)
{
    size_t at = from_end + SNAPFILE_SEAL_BYTES;
    if (tail->size < at)
        return false;
    const uint8_t *seal = tail->bytes + SECTIONS_BYTES_MAX - at;
    return mk_load_u32(seal) == 0 && mk_load_u32(seal + 8) == 1 && seal[12] == '/';
}

/* A digest section (version 2) between two seals; the second ends `from_end` before the end. */
static bool has_digest(const struct tail *tail, size_t from_end, int64_t *zxid)
{
    size_t before = from_end + SNAPFILE_SEAL_BYTES + DIGEST_BYTES;
    if (!has_seal(tail, from_end) || !has_seal(tail, before))
        return false;
    const uint8_t *section = tail->bytes + SECTIONS_BYTES_MAX - before;
    *zxid = (int64_t)mk_load_u64(section);
    return mk_load_u32(section + 8) == 2;
}

static int plain_reach(struct store *snapshots, const char *name, int64_t *zxid,
                       struct log_error *error)
{
    struct tail tail = {.size = 0};
    struct store_file *file;
    int result = store_open(snapshots, name, STORE_READ, &file, error);
    if (result < 0)
        return result;
    int64_t size = store_size(file, error), got = size;
    if (size > 0) {
        tail.size = (size_t)MK_MIN(size, (int64_t)SECTIONS_BYTES_MAX);
        got = store_read(file, (uint64_t)size - tail.size,
                         tail.bytes + SECTIONS_BYTES_MAX - tail.size, tail.size, error);
    }
    store_close(file);
    if (got < 0)
        return (int)got;
    size_t last_section = SNAPFILE_SEAL_BYTES + LAST_ZXID_BYTES;
    if (has_seal(&tail, 0) && has_digest(&tail, last_section, zxid)) {
        const uint8_t *section = tail.bytes + SECTIONS_BYTES_MAX - last_section;
        *zxid = MK_MAX(*zxid, (int64_t)mk_load_u64(section));
        return 1;
    }
    return has_digest(&tail, 0, zxid) ? 1 : 0;
}

static int packed_reach(struct store *snapshots, const char *name, int64_t *zxid,
                        struct log_error *error)
{
    struct snapfile_walk walk;
    struct snapfile_info info;
    snapfile_walk_init(&walk);
    int result = snapfile_read(snapshots, name, snapfile_walk_body, &walk, &info, error);
    if (result < 0)
        return result == MK_ERR_CORRUPT ? 0 : result;
    *zxid = MK_MAX(info.seal.has_digest ? info.seal.digest_zxid : -1,
                   info.seal.has_last_zxid ? info.seal.last_zxid : -1);
    return info.seal.has_digest ? 1 : 0;
}

int snapfile_reach(struct store *snapshots, const char *name, int64_t *zxid,
                   struct log_error *error)
{
    *zxid = -1;
    if (log_name_ends_with(name, ".gz") || log_name_ends_with(name, ".snappy"))
        return packed_reach(snapshots, name, zxid, error);
    return plain_reach(snapshots, name, zxid, error);
}
