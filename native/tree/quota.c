/* SPDX-License-Identifier: MIT */
/* Quotas (client-protocol reference, section 9). The limits and stats nodes below
 * /zookeeper/quota are themselves the index: a path is looked up there component by component,
 * side by side with the path itself. What a subtree uses is kept as sums in its root, so no
 * count can drift; the text of the stats nodes is rewritten in place after each change,
 * without a trace in Stat or digest. */
#include "tree/tree.h"
#include "tree/tree_int.h"

#include <stdio.h>

#define LIMITS MK_BYTES("zookeeper_limits")
#define STATS MK_BYTES("zookeeper_stats")

/* One step down per component: what is at the prefix so far, and its quota directory. */
struct quota_walk {
    struct mk_bytes path;
    int32_t end;        /* of the prefix */
    uint32_t node;      /* at the prefix, 0 when missing */
    uint32_t directory; /* at /zookeeper/quota plus the prefix */
};

static bool walk_down(const struct tree *tree, struct quota_walk *walk)
{
    int32_t start = walk->end + 1;
    if (!walk->directory || start >= walk->path.length)
        return false;
    const uint8_t *at = walk->path.data + start;
    size_t left = (size_t)(walk->path.length - start);
    const uint8_t *slash = memchr(at, '/', left);
    struct mk_bytes name = mk_bytes_of(at, slash ? (size_t)(slash - at) : left);
    walk->end = start + name.length;
    walk->directory = node_find_child(tree, walk->directory, name);
    if (!walk->directory)
        return false;
    walk->node = walk->node ? node_find_child(tree, walk->node, name) : 0;
    return true;
}

static struct quota_walk walk_begin(const struct tree *tree, struct mk_bytes path)
{
    /* Most trees have no quotas at all. */
    bool usable = path.length > 1 && path.data[0] == '/' && tree->quota &&
                  tree_child_count(tree, node_at(tree, tree->quota)) > 0;
    return (struct quota_walk){path, 0, tree->root, usable ? tree->quota : 0};
}

static void usage_of(const struct tree *tree, uint32_t number, int64_t *count, int64_t *bytes)
{
    *count = 0;
    *bytes = 0;
    if (!number)
        return;
    const struct znode *node = node_at(tree, number);
    const struct znode_extra *extra = extra_of(tree, node);
    *count = 1 + (extra ? (int64_t)extra->descendant_count : 0);
    *bytes = (int64_t)(node_data_size(node) + (extra ? extra->descendant_data : 0));
}

/* --- stats ------------------------------------------------------------------------------- */

static void write_stats(struct tree *tree, uint32_t stats, uint32_t node)
{
    int64_t count;
    int64_t bytes;
    char text[64];
    usage_of(tree, node, &count, &bytes);
    int length =
        snprintf(text, sizeof text, "count=%lld,bytes=%lld", (long long)count, (long long)bytes);
    struct mk_bytes data = mk_bytes_of(text, (size_t)length);
    struct znode *target = node_at(tree, stats);
    if (mk_bytes_equal(znode_data(target), data))
        return;
    node_replace_data(tree, target, data);
    target->content_crc = digest_content(tree, MK_BYTES("/zookeeper/quota"), data);
}

void quota_rewrite(struct tree *tree, struct mk_bytes path)
{
    struct quota_walk walk = walk_begin(tree, path);
    while (walk_down(tree, &walk)) {
        uint32_t stats = node_find_child(tree, walk.directory, STATS);
        if (stats && node_find_child(tree, walk.directory, LIMITS))
            write_stats(tree, stats, walk.node);
    }
}

void quota_created(struct tree *tree, struct mk_bytes path)
{
    struct mk_bytes top = MK_BYTES("/zookeeper/quota");
    int32_t length = path.length - top.length - (int32_t)sizeof "/zookeeper_stats" + 1;
    if (length <= 0 || !mk_bytes_starts_with(path, MK_BYTES("/zookeeper/quota/")))
        return;
    struct mk_bytes prefix = {path.data + top.length, length};
    write_stats(tree, node_find(tree, path), node_find(tree, prefix));
}

/* --- limits ------------------------------------------------------------------------------ */

/* A decimal number with an optional sign that fits 64 bits; nothing before or behind it. */
static bool parse_number(struct mk_bytes text, int64_t *number)
{
    size_t length = mk_bytes_size(text);
    size_t i = length && (text.data[0] == '-' || text.data[0] == '+');
    bool negative = i && text.data[0] == '-';
    uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
    uint64_t value = 0;
    if (i == length)
        return false;
    for (; i < length; i++) {
        uint8_t digit = (uint8_t)(text.data[i] - '0');
        if (digit > 9 || value > (limit - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *number = (int64_t)(negative ? 0 - value : value);
    return true;
}

/* key=value, where an empty value means unlimited and what follows a second '=' is ignored */
static bool parse_pair(struct mk_bytes pair, struct tree_quota *quota)
{
    const uint8_t *equals = memchr(pair.data, '=', mk_bytes_size(pair));
    if (!equals)
        return false;
    struct mk_bytes key = {pair.data, (int32_t)(equals - pair.data)};
    struct mk_bytes value = {equals + 1, pair.length - key.length - 1};
    const uint8_t *second = value.length ? memchr(value.data, '=', mk_bytes_size(value)) : NULL;
    if (second)
        value.length = (int32_t)(second - value.data);
    int64_t number = -1;
    if (value.length == 0 ? !second : !parse_number(value, &number))
        return false;
    if (mk_bytes_equal_string(key, "count"))
        quota->count = number;
    else if (mk_bytes_equal_string(key, "bytes"))
        quota->bytes = number;
    else if (mk_bytes_equal_string(key, "countHardLimit"))
        quota->count_hard = number;
    else if (mk_bytes_equal_string(key, "byteHardLimit"))
        quota->bytes_hard = number;
    return true;
}

static bool is_separator(uint8_t byte)
{
    return byte == ',' || byte == ';';
}

static bool parse_limits(struct mk_bytes text, struct tree_quota *quota)
{
    *quota = (struct tree_quota){-1, -1, -1, -1};
    size_t length = mk_bytes_size(text);
    size_t i = 0;
    while (i < length) {
        size_t start = i;
        while (i < length && !is_separator(text.data[i]))
            i++;
        if (!parse_pair(mk_bytes_of(text.data + start, i - start), quota))
            return false;
        while (i < length && is_separator(text.data[i]))
            i++;
    }
    return true;
}

bool tree_quota_find(const struct tree *tree, struct mk_bytes path, struct mk_bytes *prefix,
                     struct tree_quota *quota, int64_t *used_count, int64_t *used_bytes,
                     bool *valid)
{
    struct quota_walk walk = walk_begin(tree, path);
    struct quota_walk longest = {.directory = 0};
    uint32_t limits = 0;
    while (walk_down(tree, &walk)) {
        uint32_t found = node_find_child(tree, walk.directory, LIMITS);
        if (found) {
            limits = found;
            longest = walk;
        }
    }
    if (!limits)
        return false;
    *prefix = (struct mk_bytes){path.data, longest.end};
    *valid = parse_limits(znode_data(node_at(tree, limits)), quota);
    if (!node_find_child(tree, longest.directory, STATS))
        *quota = (struct tree_quota){-1, -1, -1, -1};
    usage_of(tree, longest.node, used_count, used_bytes);
    return true;
}

/* --- sums -------------------------------------------------------------------------------- */

/* Goes through the quota directories of one top-level znode, side by side with the znodes. */
struct sum_walk {
    const struct tree *tree;
    uint32_t top, directory; /* below /zookeeper/quota */
    uint32_t node;           /* at the same path, or the last one above it that exists */
    uint32_t missing;        /* components below that */
};

static void walk_into(struct sum_walk *walk, uint32_t directory)
{
    walk->directory = directory;
    struct mk_bytes name = znode_name(node_at(walk->tree, directory));
    uint32_t node = walk->missing ? 0 : node_find_child(walk->tree, walk->node, name);
    if (node)
        walk->node = node;
    else
        walk->missing++;
}

static void walk_out(struct sum_walk *walk)
{
    walk->directory = node_at(walk->tree, walk->directory)->parent;
    if (walk->missing)
        walk->missing--;
    else
        walk->node = node_at(walk->tree, walk->node)->parent;
}

/* The next directory, parents first; false when that was all below `top`. */
static bool walk_on(struct sum_walk *walk)
{
    const struct znode *directory = node_at(walk->tree, walk->directory);
    const struct znode_extra *extra = extra_of(walk->tree, directory);
    if (extra && extra->first_child) {
        walk_into(walk, extra->first_child);
        return true;
    }
    while (walk->directory != walk->top) {
        uint32_t sibling = node_at(walk->tree, walk->directory)->next;
        walk_out(walk);
        if (sibling) {
            walk_into(walk, sibling);
            return true;
        }
    }
    return false;
}

/* Limits are what clients wrote, up to the greatest number that there is. */
static void sum_add(int64_t *sum, int64_t value)
{
    if (value < 0)
        return;
    *sum = *sum < 0 ? 0 : *sum;
    *sum = value > INT64_MAX - *sum ? INT64_MAX : *sum + value;
}

static bool sum_directory(const struct sum_walk *walk, struct tree_quota_sum *sum)
{
    struct tree_quota quota;
    uint32_t limits = node_find_child(walk->tree, walk->directory, LIMITS);
    if (!limits || !parse_limits(znode_data(node_at(walk->tree, limits)), &quota))
        return false;
    sum_add(&sum->count_limit, quota.count_hard >= 0 ? quota.count_hard : quota.count);
    sum_add(&sum->bytes_limit, quota.bytes_hard >= 0 ? quota.bytes_hard : quota.bytes);
    if (node_find_child(walk->tree, walk->directory, STATS)) {
        int64_t count, bytes;
        usage_of(walk->tree, walk->missing ? 0 : walk->node, &count, &bytes);
        sum_add(&sum->count_used, count);
        sum_add(&sum->bytes_used, bytes);
    }
    return true;
}

bool tree_quota_sums(const struct tree *tree, uint32_t nodes_max,
                     void (*visit)(void *context, const struct tree_quota_sum *sum), void *context)
{
    if (!tree->quota)
        return true;
    const struct znode_extra *extra = extra_of(tree, node_at(tree, tree->quota));
    for (uint32_t top = extra ? extra->first_child : 0; top; top = node_at(tree, top)->next) {
        struct sum_walk walk = {.tree = tree, .top = top, .node = tree->root};
        struct tree_quota_sum sum = {znode_name(node_at(tree, top)), -1, -1, -1, -1};
        bool any = false;
        walk_into(&walk, top);
        do {
            if (nodes_max-- == 0)
                return false;
            any = sum_directory(&walk, &sum) || any;
        } while (walk_on(&walk));
        if (any)
            visit(context, &sum);
    }
    return true;
}
