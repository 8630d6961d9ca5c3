/* SPDX-License-Identifier: MIT */
/* A toy state machine over the log layer, shared by these tests: its state is the last zxid and
 * a running hash of every payload, so two histories that differ anywhere differ at the end.
 * Included by each test file; brings the memory store with it. */
#ifndef TESTS_UNIT_LOG_MACHINE_H
#define TESTS_UNIT_LOG_MACHINE_H

#include "base/buffer.h"
#include "base/hash.h"
#include "base/mem.h"
#include "log/format.h"
#include "log/recover.h"
#include "log/snapfile.h"
#include "log/txnlog.h"
#include "tests/lib/memory_store.c"
#include "wire/errors.gen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define MACHINE_ZXIDS_MAX 20000

struct machine {
    struct memory_store *memory, *log_memory; /* the same, or not (machine_init_two) */
    struct store *store, *log_store;
    struct txnlog *log;
    int64_t last_zxid;
    uint64_t hash;
    /* what the test knows: hash after each zxid, as last appended */
    uint64_t *expected;
    bool any_start; /* transactions may begin anywhere */
    size_t transactions;
    struct log_recover_result recovered;
    struct log_report report;
    struct log_error error;
};

/* TxnHeader and a body that depends on zxid and salt. */
static inline void machine_payload(struct mk_buffer *payload, int64_t zxid, uint64_t salt,
                                   size_t size)
{
    uint8_t *at = mk_buffer_reserve(payload, TXN_HEADER_BYTES + size);
    memset(at, 0, TXN_HEADER_BYTES + size);
    mk_store_u64(at + TXN_HEADER_ZXID_AT, (uint64_t)zxid);
    mk_store_u64(at + 20, 1700000000000u + (uint64_t)zxid);
    mk_store_u32(at + 28, (uint32_t)-1);
    for (size_t i = 0; i < size; i++)
        at[TXN_HEADER_BYTES + i] = (uint8_t)(mk_hash_u64(i / 8, salt) >> (i % 8 * 8)) | 1;
    payload->length += TXN_HEADER_BYTES + size;
}

static inline uint64_t machine_hash(uint64_t hash, const void *data, size_t size)
{
    return mk_hash_data(data, size, hash ^ 0x1234);
}

static inline void machine_reset(void *context)
{
    struct machine *machine = context;
    machine->last_zxid = 0;
    machine->hash = 0;
    machine->transactions = 0;
}

/* No sessions, no ACLs, a root with the state as data, the end. */
static inline void machine_body(const struct machine *machine, struct mk_buffer *body)
{
    uint8_t bytes[4 + 4 + 4 + 4 + 16 + 8 + 60 + 5] = {0};
    mk_store_u32(bytes + 12, 16);
    mk_store_u64(bytes + 16, (uint64_t)machine->last_zxid);
    mk_store_u64(bytes + 24, machine->hash);
    mk_store_u32(bytes + sizeof bytes - 5, 1);
    bytes[sizeof bytes - 1] = '/';
    mk_buffer_append(body, bytes, sizeof bytes);
}

static inline int machine_load(void *context, const uint8_t *data, size_t size, size_t *consumed,
                               const char **reason)
{
    struct machine *machine = context;
    *consumed = 0;
    if (size < 105)
        return 0;
    if (mk_load_u32(data + 12) != 16 || data[104] != '/') {
        *reason = "not the body of this machine";
        return MK_ERR_CORRUPT;
    }
    machine->last_zxid = (int64_t)mk_load_u64(data + 16);
    machine->hash = mk_load_u64(data + 24);
    *consumed = 105;
    return 1;
}

static inline int machine_loaded(void *context, const struct snapfile_info *info,
                                 const char **reason)
{
    struct machine *machine = context;
    *reason = "the snapshot's name is not the zxid of its state";
    return info->zxid == machine->last_zxid ? 0 : MK_ERR_CORRUPT;
}

static inline int machine_apply(void *context, const struct txnlog_entry *entry,
                                const char **reason)
{
    struct machine *machine = context;
    *reason = "the zxid does not follow";
    if (!machine->any_start && !log_zxid_follows(machine->last_zxid, entry->zxid))
        return MK_ERR_CORRUPT;
    machine->hash = machine_hash(machine->hash, entry->data, entry->length);
    machine->last_zxid = entry->zxid;
    machine->transactions++;
    return 0;
}

static inline void machine_init(struct machine *machine, struct memory_store *memory)
{
    *machine = (struct machine){.memory = memory, .store = memory_store_of(memory)};
    machine->log_memory = memory;
    machine->log_store = machine->store;
    machine->expected = mk_calloc(MACHINE_ZXIDS_MAX, sizeof *machine->expected);
    log_report_init(&machine->report);
}

/* Snapshots here, logs there. */
static inline void machine_init_two(struct machine *machine, struct memory_store *snapshots,
                                    struct memory_store *logs)
{
    machine_init(machine, snapshots);
    machine->log_memory = logs;
    machine->log_store = memory_store_of(logs);
}

static inline struct log_stores machine_stores(const struct machine *machine)
{
    return (struct log_stores){.snapshots = machine->store, .logs = machine->log_store};
}

static inline void machine_fini(struct machine *machine)
{
    txnlog_free(machine->log);
    if (machine->log_memory != machine->memory)
        memory_store_free(machine->log_memory);
    memory_store_free(machine->memory);
    mk_free(machine->expected);
    log_report_fini(&machine->report);
}

static inline int machine_recover_with(struct machine *machine, struct log_recover_options options)
{
    static const struct log_recover_calls calls = {
        .reset = machine_reset,
        .snapshot_body = machine_load,
        .snapshot_done = machine_loaded,
        .transaction = machine_apply,
    };
    struct log_stores stores = machine_stores(machine);
    log_report_fini(&machine->report);
    machine->error.text[0] = '\0';
    return log_recover(&stores, &options, &calls, machine, &machine->recovered, &machine->report,
                       &machine->error);
}

static inline int machine_recover(struct machine *machine)
{
    return machine_recover_with(machine, (struct log_recover_options){.clean_up = true});
}

static inline int machine_open(struct machine *machine, uint64_t identity,
                               uint64_t preallocate_bytes)
{
    struct txnlog_options options;
    txnlog_options_init(&options);
    options.identity = identity;
    options.preallocate_bytes = preallocate_bytes;
    return txnlog_open(machine->log_store, &options, &machine->recovered.tail, &machine->log,
                       &machine->error);
}

/* Applies and appends the next transaction. */
static inline int machine_append(struct machine *machine, uint64_t salt, size_t size)
{
    struct mk_buffer payload = MK_BUFFER_EMPTY;
    int64_t zxid = machine->last_zxid + 1;
    MK_ASSERT(zxid < MACHINE_ZXIDS_MAX);
    machine_payload(&payload, zxid, salt, size);
    int result = txnlog_append(machine->log, zxid, payload.data, payload.length, &machine->error);
    if (result == 0) {
        machine->hash = machine_hash(machine->hash, payload.data, payload.length);
        machine->last_zxid = zxid;
        machine->expected[zxid] = machine->hash;
    }
    mk_buffer_fini(&payload);
    return result;
}

static inline int machine_snapshot(struct machine *machine)
{
    struct mk_buffer body = MK_BUFFER_EMPTY;
    struct snapfile_writer *writer;
    struct snapfile_seal seal = {.has_digest = true,
                                 .digest_zxid = machine->last_zxid,
                                 .digest_version = 2,
                                 .digest = machine->hash,
                                 .has_last_zxid = true,
                                 .last_zxid = machine->last_zxid};
    machine_body(machine, &body);
    int result = snapfile_begin(machine->store, machine->last_zxid, &writer, &machine->error);
    if (result == 0) {
        result = snapfile_write(writer, body.data, body.length, &machine->error);
        if (result < 0)
            snapfile_abort(writer);
        else
            result = snapfile_finish(writer, &seal, NULL, &machine->error);
    }
    mk_buffer_fini(&body);
    return result;
}

static inline void must(int result, const struct machine *machine)
{
    if (result < 0)
        print_error("unexpected: %d %s\n", result, machine->error.text);
    assert_true(result >= 0);
}

#endif
