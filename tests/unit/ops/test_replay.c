/* SPDX-License-Identifier: MIT */
/* The logs of real servers (tests/vectors/storage), transaction by transaction: the digest after
 * each is the one that the server wrote, the tree at the end is the one that it recovered; and
 * requests made back from the transactions are prepared to the same bytes again. */
#include "tests/lib/json.h"
#include "tests/lib/op_fixture.h"

#define FILE_HEADER_BYTES 16
#define ENTRY_HEADER_BYTES 12

static struct mk_bytes read_file(struct mk_arena *arena, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/tests/vectors/storage/%s", MK_SOURCE_DIR, name);
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("cannot open %s", path);
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file);
    rewind(file);
    uint8_t *data = mk_arena_alloc(arena, size + 1);
    assert_int_equal(fread(data, 1, size, file), size);
    data[size] = 0;
    fclose(file);
    return mk_bytes_of(data, size);
}

/* The request that a client would have sent; false for types that have none of their own. */
static bool put_request(struct fixture *f, int32_t type, struct mk_bytes txn)
{
    struct mk_reader reader;
    mk_reader_init_bytes(&reader, txn, &f->arena);
    if (type == MK_OP_CREATE || type == MK_OP_CREATE2) {
        struct mk_create_txn record;
        mk_create_txn_read(&reader, &record);
        mk_create_request_write(
            &f->request, &(struct mk_create_request){record.path, record.data, record.acl,
                                                     record.ephemeral ? MK_CREATE_EPHEMERAL : 0});
    } else if (type == MK_OP_CREATE_CONTAINER) {
        struct mk_create_container_txn record;
        mk_create_container_txn_read(&reader, &record);
        mk_create_request_write(
            &f->request,
            &(struct mk_create_request){record.path, record.data, record.acl, MK_CREATE_CONTAINER});
    } else if (type == MK_OP_CREATE_TTL) {
        struct mk_create_ttl_txn record;
        mk_create_ttl_txn_read(&reader, &record);
        mk_create_ttl_request_write(&f->request, &(struct mk_create_ttl_request){
                                                     record.path, record.data, record.acl,
                                                     MK_CREATE_PERSISTENT_WITH_TTL, record.ttl});
    } else if (type == MK_OP_DELETE) {
        mk_buffer_append_bytes(&f->request, txn);
        mk_write_int(&f->request, -1);
    } else if (type == MK_OP_DELETE_CONTAINER) {
        mk_buffer_append_bytes(&f->request, txn);
    } else if (type == MK_OP_SET_DATA || type == MK_OP_SET_ACL) {
        /* The same record but for the version, which comes last. */
        mk_buffer_append(&f->request, txn.data, (size_t)txn.length - 4);
        mk_write_int(&f->request, -1);
    } else {
        return false;
    }
    return true;
}

struct replay {
    struct fixture f;
    int entries, prepared, digests;
};

static void replay_entry(struct replay *replay, struct mk_bytes entry)
{
    struct fixture *f = &replay->f;
    struct mk_reader reader;
    struct mk_txn_header header;
    mk_reader_init_bytes(&reader, entry, &f->arena);
    mk_txn_header_read(&reader, &header);
    struct op_apply apply = {.tree = f->tree, .arena = &f->arena, .changes = &f->changes};
    struct op_result result;
    struct mk_reader body = reader;
    uint64_t before = tree_digest(f->tree);

    assert_int_equal(op_apply(&apply, &header, &body, &result), 0);
    assert_int_equal(result.error != 0, header.type == MK_OP_ERROR);
    assert_int_equal(f->zxid < header.zxid, true);
    if (mk_reader_left(&body)) {
        struct mk_txn_digest digest;
        mk_txn_digest_read(&body, &digest);
        assert_int_equal(digest.version, 2);
        if ((uint64_t)digest.tree_digest != tree_digest(f->tree))
            fail_msg("digest at zxid 0x%llx", (unsigned long long)header.zxid);
        replay->digests++;
    } else {
        assert_int_equal(header.type, MK_OP_ERROR);
        assert_true(before == tree_digest(f->tree));
    }
    assert_int_equal(mk_reader_left(&body), 0);
    assert_int_equal(body.error, 0);
    f->zxid = header.zxid;
    replay->entries++;
}

/* As replay_entry, but first prepares the request and compares the transaction. */
static void prepare_entry(struct replay *replay, struct mk_bytes entry)
{
    struct fixture *f = &replay->f;
    struct mk_reader reader;
    struct mk_txn_header header;
    mk_reader_init_bytes(&reader, entry, &f->arena);
    mk_txn_header_read(&reader, &header);
    /* Without the digest behind it. */
    struct mk_bytes txn = mk_reader_rest(&reader);
    if (header.type != MK_OP_ERROR)
        txn.length -= MK_TXN_DIGEST_BYTES;
    bool known = put_request(f, header.type, txn);
    if (known) {
        f->zxid = header.zxid - 1;
        f->time_ms = header.time;
        f->session_id = header.client_id;
        int error = prepare(f, header.type);
        if (error)
            fail_msg("prepare at zxid 0x%llx: %d", (unsigned long long)header.zxid, error);
        assert_int_equal(f->txn_type, header.type);
        assert_int_equal(f->txn.length, txn.length);
        assert_memory_equal(f->txn.data, txn.data, f->txn.length);
        f->zxid = header.zxid - 1;
        replay->prepared++;
    }
    uint64_t promised = view_digest(f->view);
    replay_entry(replay, entry);
    view_committed(f->view, header.zxid);
    if (known)
        assert_true(promised == tree_digest(f->tree));
}

static void replay_file(struct replay *replay, const char *name,
                        void (*entry)(struct replay *replay, struct mk_bytes entry))
{
    struct mk_bytes file = read_file(&replay->f.arena, name);
    assert_int_equal(mk_load_u32(file.data), 0x5a4b4c47);
    size_t offset = FILE_HEADER_BYTES, size = (size_t)file.length;
    while (offset + ENTRY_HEADER_BYTES <= size) {
        size_t length = mk_load_u32(file.data + offset + 8);
        if (!length)
            break;
        offset += ENTRY_HEADER_BYTES;
        assert_true(offset + length < size);
        assert_int_equal(file.data[offset + length], 'B');
        entry(replay, mk_bytes_of(file.data + offset, length));
        offset += length + 1;
    }
}

/* --- the tree at the end ------------------------------------------------------------------ */

static void compare_acl(struct fixture *f, const struct znode *node, const struct json *wanted)
{
    uint32_t number = znode_acl(node);
    struct mk_acl anyone = {MK_PERM_ALL, {MK_BYTES("world"), MK_BYTES("anyone")}};
    struct mk_acl_vector open = {1, &anyone};
    const struct mk_acl_vector *acl =
        number == ACL_OPEN_UNSAFE ? &open : acl_get(tree_acls(f->tree), number);
    int32_t i = 0;
    assert_non_null(acl);
    for (const struct json *entry = wanted->first; entry; entry = entry->next, i++) {
        assert_true(i < acl->count);
        assert_int_equal(acl->items[i].perms, json_integer(json_get(entry, "perms")));
        assert_true(mk_bytes_equal(acl->items[i].id.scheme, json_get(entry, "scheme")->string));
        assert_true(mk_bytes_equal(acl->items[i].id.id, json_get(entry, "id")->string));
    }
    assert_int_equal(i, acl->count);
}

static void compare_stat(const struct mk_stat *stat, const struct json *wanted, bool local_time,
                         bool local_data)
{
    assert_int_equal(stat->czxid, json_integer(json_get(wanted, "czxid")));
    assert_int_equal(stat->mzxid, json_integer(json_get(wanted, "mzxid")));
    assert_int_equal(stat->pzxid, json_integer(json_get(wanted, "pzxid")));
    assert_int_equal(stat->ctime, json_integer(json_get(wanted, "ctime")));
    if (!local_time)
        assert_int_equal(stat->mtime, json_integer(json_get(wanted, "mtime")));
    assert_int_equal(stat->version, json_integer(json_get(wanted, "version")));
    assert_int_equal(stat->cversion, json_integer(json_get(wanted, "cversion")));
    assert_int_equal(stat->aversion, json_integer(json_get(wanted, "aversion")));
    assert_int_equal(stat->ephemeral_owner, json_integer(json_get(wanted, "ephemeralOwner")));
    if (!local_data)
        assert_int_equal(stat->data_length, json_integer(json_get(wanted, "dataLength")));
    assert_int_equal(stat->num_children, json_integer(json_get(wanted, "numChildren")));
}

static void compare_node(struct fixture *f, const struct json *wanted, const struct json *volatiles)
{
    struct mk_bytes path = json_get(wanted, "path")->string;
    const struct znode *node = tree_find(f->tree, path);
    if (!node)
        fail_msg("no node %.*s", path.length, path.data);
    bool local_data = false;
    for (const struct json *entry = volatiles->first; entry; entry = entry->next)
        local_data = local_data || mk_bytes_equal(entry->string, path);
    struct mk_stat stat;
    tree_stat(f->tree, node, &stat);
    bool is_config = mk_bytes_equal_string(path, "/zookeeper/config");
    compare_stat(&stat, json_get(wanted, "stat"), is_config, local_data);
    if (!local_data)
        assert_true(
            mk_bytes_equal(znode_data(node), json_base64(json_get(wanted, "data"), &f->arena)));
    compare_acl(f, node, json_get(wanted, "acl"));
    struct mk_stat_persisted persisted;
    tree_stat_persisted(f->tree, node, &persisted);
    const struct json *stored = json_get(wanted, "persisted");
    assert_int_equal(persisted.cversion, json_integer(json_get(stored, "cversion")));
    assert_int_equal(persisted.ephemeral_owner, json_integer(json_get(stored, "ephemeralOwner")));
}

static void compare_tree(struct fixture *f, const char *name)
{
    const struct json *tree = json_parse((const char *)read_file(&f->arena, name).data, &f->arena);
    uint64_t count = 0;
    for (const struct json *node = json_get(tree, "nodes")->first; node; node = node->next) {
        compare_node(f, node, json_get(tree, "volatileNodes"));
        count++;
    }
    assert_int_equal(count, tree_node_count(f->tree));
    assert_int_equal(f->zxid, json_integer(json_get(tree, "lastZxid")));
    assert_true(tree_digest(f->tree) ==
                (uint64_t)json_integer(json_get(json_get(tree, "treeDigest"), "value")));
    count = 0;
    for (const struct json *row = json_get(tree, "sessions")->first; row; row = row->next) {
        int32_t timeout_ms;
        assert_true(
            tree_session_find(f->tree, json_integer(json_get(row, "sessionId")), &timeout_ms));
        assert_int_equal(timeout_ms, json_integer(json_get(row, "timeoutMs")));
        count++;
    }
    assert_int_equal(count, tree_session_count(f->tree));
}

static void replay_directory(const char *const *logs, const char *tree, int entries,
                             void (*entry)(struct replay *replay, struct mk_bytes entry))
{
    struct replay replay = {0};
    fixture_init(&replay.f);
    tree_session_remove(replay.f.tree, SESSION);
    add_identity(&replay.f, "super", "");
    replay.f.zxid = 0;
    for (; *logs; logs++)
        replay_file(&replay, *logs, entry);
    assert_int_equal(replay.entries, entries);
    print_message("# %s: %d entries, %d digests, %d prepared again\n", tree, replay.entries,
                  replay.digests, replay.prepared);
    compare_tree(&replay.f, tree);
    if (entry == prepare_entry)
        assert_true(replay.prepared * 2 > entries - 10);
    fixture_fini(&replay.f);
}

static const char *const minimal[] = {"minimal-3.8.0/version-2/log.1", NULL};
static const char *const ensemble[] = {"ensemble-3.8.0/version-2/log.100000001",
                                       "ensemble-3.8.0/version-2/log.100000014",
                                       "ensemble-3.8.0/version-2/log.100000024", NULL};
static const char *const leader[] = {"ensemble-3.8.0-leader/version-2/log.100000001", NULL};

static void test_minimal(void **state)
{
    (void)state;
    replay_directory(minimal, "minimal-3.8.0/tree.json", 6, replay_entry);
}

static void test_ensemble(void **state)
{
    (void)state;
    replay_directory(ensemble, "ensemble-3.8.0/tree.json", 60, replay_entry);
    replay_directory(leader, "ensemble-3.8.0-leader/tree.json", 60, replay_entry);
}

static void test_prepared_again(void **state)
{
    (void)state;
    replay_directory(minimal, "minimal-3.8.0/tree.json", 6, prepare_entry);
    replay_directory(ensemble, "ensemble-3.8.0/tree.json", 60, prepare_entry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_minimal),
        cmocka_unit_test(test_ensemble),
        cmocka_unit_test(test_prepared_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
