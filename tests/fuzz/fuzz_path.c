/* SPDX-License-Identifier: MIT */
/* Fuzzes paths: the rule of validity against a second reading of it that decodes code points
 * first, then look-up, creation, deletion and watches under the same bytes. */
#include "tree/path.h"
#include "tree/tree.h"
#include "tree/watch.h"
#include "wire/errors.gen.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One code point as Java decodes it: U+FFFD for what is malformed. Advances *at. */
static uint32_t decode(const uint8_t *data, size_t size, size_t *at)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t lead = data[(*at)++];
    size_t length = lead < 0x80       ? 1
                    : lead >> 5 == 6  ? 2
                    : lead >> 4 == 14 ? 3
                    : lead >> 3 == 30 ? 4
                                      : 0;
    if (length == 0)
        return 0xfffd;
    uint32_t code_point = length == 1 ? lead : lead & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if (*at >= size || data[*at] >> 6 != 2)
            return 0xfffd;
        code_point = code_point << 6 | (data[(*at)++] & 0x3f);
    }
    return code_point < smallest[length] ? 0xfffd : code_point;
}

static bool is_forbidden(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0xd800 && c < 0xf900) || c >= 0xfff0;
}

static bool valid_by_the_book(const uint8_t *data, size_t size)
{
    if (size == 0 || data[0] != '/')
        return false;
    size_t name_length = 0;
    size_t dots = 0;
    for (size_t at = 1; at < size;) {
        size_t start = at;
        uint32_t c = decode(data, size, &at);
        if (is_forbidden(c))
            return false;
        if (c == '/') {
            if (name_length == 0 || (name_length == dots && dots <= 2))
                return false;
            name_length = dots = 0;
            continue;
        }
        name_length += at - start;
        dots += c == '.';
    }
    return size == 1 || (name_length > 0 && !(name_length == dots && dots <= 2));
}

static void ignore(void *context, uint32_t watcher, int32_t type, struct mk_bytes path,
                   bool on_parent)
{
    (void)watcher;
    (void)type;
    (void)path;
    (void)on_parent;
    ++*(unsigned *)context;
}

static void use_in_tree(struct mk_bytes path)
{
    struct tree_options options = {1, true};
    struct tree *tree = tree_new(&options);
    uint64_t fresh = tree_digest(tree);
    struct tree_create create = {
        .path = path, .data = path, .acl = ACL_OPEN_UNSAFE, .parent_cversion = -1, .zxid = 1};
    bool was_there = tree_find(tree, path) != NULL;
    int result = tree_create(tree, &create);
    MK_ASSERT(result == 0 || result == MK_ERR_NO_NODE || result == MK_ERR_NODE_EXISTS);
    if (result == 0) {
        MK_ASSERT(!was_there);
        struct mk_buffer again = MK_BUFFER_EMPTY;
        tree_append_path(tree, tree_find(tree, path), &again);
        MK_ASSERT(mk_bytes_equal(mk_buffer_bytes(&again), path));
        mk_buffer_fini(&again);
        tree_check(tree);
        MK_ASSERT(tree_delete(tree, path, 2) == 0);
    } else {
        MK_ASSERT(tree_digest(tree) == fresh);
    }
    MK_ASSERT(was_there || !tree_find(tree, path));
    tree_check(tree);
    tree_free(tree);
}

static void use_as_watch(struct mk_bytes path)
{
    unsigned events = 0;
    struct watch_table *table = watch_table_new(1);
    watch_add(table, 1, path, WATCH_DATA);
    watch_add(table, 2, MK_BYTES("/"), WATCH_RECURSIVE);
    watch_trigger(table, 3, path, ignore, &events);
    MK_ASSERT(events == (path.length == 0 ? 0 : path.data[0] == '/' ? 2 : 1));
    watch_forget(table, 1);
    watch_table_free(table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mk_bytes path = mk_bytes_of(data, size);
    MK_ASSERT(path_is_valid(path) == valid_by_the_book(data, size));
    if (path_has_parent(path)) {
        struct mk_bytes parent = path_parent(path);
        MK_ASSERT(parent.length + 1 + path_name(path).length == path.length);
    }
    use_in_tree(path);
    use_as_watch(path);
    return 0;
}
