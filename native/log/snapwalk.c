/* SPDX-License-Identifier: MIT */
/* Walks a snapshot's body without a tree (storage reference, section 5.1): what the checker and
 * purge need. Only what the framing needs is looked at. */
#include "log/snapfile.h"
#include "wire/errors.gen.h"
#include "wire/jute.h"

#define STAT_BYTES 60

enum walk_state { WALK_SESSION_COUNT, WALK_SESSIONS, WALK_ACL_COUNT, WALK_ACLS, WALK_NODES };

struct walk_cursor {
    const uint8_t *data;
    size_t size, at;
    bool bad;
};

void snapfile_walk_init(struct snapfile_walk *walk)
{
    *walk = (struct snapfile_walk){.state = WALK_SESSION_COUNT};
}

static bool skip(struct walk_cursor *cursor, size_t bytes)
{
    if (cursor->size - cursor->at < bytes)
        return false;
    cursor->at += bytes;
    return true;
}

static bool take_count(struct walk_cursor *cursor, int64_t *count)
{
    if (!skip(cursor, 4))
        return false;
    *count = (int32_t)mk_load_u32(cursor->data + cursor->at - 4);
    return true;
}

/* A string or buffer; null counts as empty. */
static bool skip_bytes(struct walk_cursor *cursor, int64_t *length)
{
    if (!take_count(cursor, length))
        return false;
    if (*length < -1) {
        cursor->bad = true;
        return false;
    }
    return skip(cursor, *length > 0 ? (size_t)*length : 0);
}

static bool walk_acl(struct walk_cursor *cursor)
{
    int64_t entries, length;
    if (!skip(cursor, 8) || !take_count(cursor, &entries))
        return false;
    if (entries < -1)
        cursor->bad = true;
    for (int64_t i = 0; i < entries; i++) {
        if (!skip(cursor, 4) || !skip_bytes(cursor, &length) || !skip_bytes(cursor, &length))
            return false;
    }
    return true;
}

/* *end: this was the closing "/". */
static bool walk_node(struct snapfile_walk *walk, struct walk_cursor *cursor, bool *end)
{
    int64_t length, data_length;
    if (!skip_bytes(cursor, &length))
        return false;
    *end = length == 1 && cursor->data[cursor->at - 1] == '/';
    if (*end)
        return true;
    if (length > 0 && cursor->data[cursor->at - (size_t)length] != '/') {
        cursor->bad = true;
        return false;
    }
    if (!skip_bytes(cursor, &data_length) || !skip(cursor, 8 + STAT_BYTES))
        return false;
    walk->nodes++;
    walk->data_bytes += data_length > 0 ? (uint64_t)data_length : 0;
    return true;
}

/* One item; false: not complete yet (the cursor's position then means nothing). */
static bool walk_item(struct snapfile_walk *walk, struct walk_cursor *cursor, bool *end)
{
    switch ((enum walk_state)walk->state) {
    case WALK_SESSION_COUNT:
    case WALK_ACL_COUNT:
        if (!take_count(cursor, &walk->left))
            return false;
        cursor->bad |= walk->left < 0;
        walk->state++;
        return true;
    case WALK_SESSIONS:
        if (walk->left > 0 && !skip(cursor, 12))
            return false;
        walk->sessions += walk->left > 0;
        break;
    case WALK_ACLS:
        if (walk->left > 0 && !walk_acl(cursor))
            return false;
        walk->acls += walk->left > 0;
        break;
    case WALK_NODES:
        return walk_node(walk, cursor, end);
    }
    if (walk->left > 0)
        walk->left--;
    if (walk->left == 0)
        walk->state++;
    return true;
}

int snapfile_walk_body(void *context, const uint8_t *data, size_t size, size_t *consumed,
                       const char **reason)
{
    struct snapfile_walk *walk = context;
    struct walk_cursor cursor = {data, size, 0, false};
    bool end = false;
    *consumed = 0;
    while (!end && walk_item(walk, &cursor, &end) && !cursor.bad)
        *consumed = cursor.at;
    if (cursor.bad) {
        *reason = "a length below zero or a path that does not begin with a slash";
        return MK_ERR_CORRUPT;
    }
    return end ? 1 : 0;
}
