/* SPDX-License-Identifier: MIT */
/* Fuzzes the body of a snapshot: the first byte chooses the slicing, the rest is the body. What
 * loads is a sound tree, whose own snapshot loads to the same digest; every slicing comes to
 * the same end. */
#include "tree/snapshot.h"

#include "wire/errors.gen.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int load(struct tree *tree, const uint8_t *data, size_t size, size_t slice)
{
    struct tree_loader *loader = tree_loader_begin(tree);
    const char *reason = NULL;
    size_t start = 0;
    size_t end = 0;
    int result = 0;
    while (result == 0 && end < size) {
        size_t consumed;
        end = MK_MIN(size, end + slice);
        result = tree_loader_feed(loader, data + start, end - start, &consumed, &reason);
        MK_ASSERT(consumed <= end - start);
        start += consumed;
    }
    tree_loader_end(loader);
    MK_ASSERT(result == 0 || result == 1 || result == MK_ERR_CORRUPT);
    MK_ASSERT(result != MK_ERR_CORRUPT || reason);
    return result;
}

static void write_and_load(struct tree *tree)
{
    struct tree_options options = {2, true};
    struct tree *again = tree_new(&options);
    struct mk_buffer body = MK_BUFFER_EMPTY;
    struct tree_snapshot *snapshot = tree_snapshot_begin(tree, INT64_MAX);
    while (!tree_snapshot_step(snapshot, &body, 50))
        continue;
    tree_snapshot_end(snapshot);
    MK_ASSERT(load(again, body.data, body.length, SIZE_MAX / 2) == 1);
    MK_ASSERT(tree_digest(again) == tree_digest(tree));
    MK_ASSERT(tree_node_count(again) == tree_node_count(tree));
    MK_ASSERT(tree_dangling_acls(again) == tree_dangling_acls(tree));
    mk_buffer_fini(&body);
    tree_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct tree_options options = {1, true};
    struct tree *tree = tree_new(&options);
    struct tree *sliced = tree_new(&options);
    int result = load(tree, data + 1, size - 1, SIZE_MAX / 2);
    MK_ASSERT(load(sliced, data + 1, size - 1, 1 + (size_t)data[0] % 64) == result);
    if (result == 1) {
        tree_check(tree);
        MK_ASSERT(tree_digest(sliced) == tree_digest(tree));
        write_and_load(tree);
        tree_load_finish(tree);
        tree_check(tree);
    }
    tree_free(sliced);
    tree_free(tree);
    return 0;
}
