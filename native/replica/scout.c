/* SPDX-License-Identifier: MIT */
/* Looks at the frames that a pipelining client has sent already, and has the znodes that they
 * name fetched into the processor's caches before the first of them is handled: in a tree
 * that is larger than the caches each look-up misses several times, and the misses of a batch
 * then overlap. Decides nothing: a frame that is not what it seems costs a wasted fetch. */
#include "replica/replica_int.h"

#include "wire/frame.h"

/* The path of a request whose record begins with one. */
static bool path_of(struct mk_bytes frame, struct mk_bytes *path)
{
    struct mk_reader reader;
    struct mk_request_header header;
    mk_reader_init_bytes(&reader, frame, NULL);
    mk_request_header_read(&reader, &header);
    if (reader.error || header.type < MK_OP_CREATE || header.type > MK_OP_CREATE_TTL ||
        header.type == MK_OP_MULTI || header.type == MK_OP_PING)
        return false;
    *path = mk_read_bytes(&reader);
    return !reader.error && path->length > 0;
}

size_t scout_frames(struct replica *replica, struct mk_bytes bytes)
{
    if (tree_node_count(replica->tree) < replica->options.scout_znodes_min)
        return SIZE_MAX;
    struct mk_bytes paths[TREE_PREFETCH_MAX];
    size_t frames = 0, count = 0, offset = 0, size = mk_bytes_size(bytes);
    struct mk_frame frame;
    while (frames < TREE_PREFETCH_MAX &&
           mk_frame_next(bytes.data + offset, size - offset, replica->options.frame_bytes_max,
                         &frame) == MK_FRAME_READY) {
        count += path_of(frame.payload, &paths[count]) ? 1 : 0;
        offset += frame.consumed;
        frames++;
    }
    if (count > 1)
        tree_prefetch(replica->tree, paths, count);
    return MK_MAX(frames, (size_t)1);
}
