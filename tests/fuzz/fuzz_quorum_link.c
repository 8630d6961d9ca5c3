/* SPDX-License-Identifier: MIT */
/* Fuzzes the packets of the quorum port, as a leader and as a follower reads them. The first byte
 * chooses the role, the others are cut into pieces by their own values and fed as the host does.
 * Disk and memory follow at once. The server may drop the link, never fall. */
#include "base/mem.h"
#include "zab/zab.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct host {
    struct zab *zab;
    struct zab_update update;
    int64_t now_ms, applied;
    bool reload;
    struct mk_buffer input;
};

static void step(struct host *host, struct zab_event event)
{
    event.now_ms = ++host->now_ms;
    zab_step(host->zab, &event, &host->update);
}

static int64_t last_logged(struct host *host)
{
    struct zab_status status;
    zab_status(host->zab, &status);
    return status.last_logged;
}

/* The disk is done, memory applies; a stream is taken to be whole after its first bytes. */
static void follow_up(struct host *host)
{
    struct zab_update *update = &host->update;
    for (bool news = true; news;) {
        news = false;
        host->reload = host->reload || update->reload;
        update->reload = false;
        size_t loaded = mk_bytes_size(update->snapshot_input);
        if (loaded > 0) {
            update->snapshot_input = mk_bytes_of(NULL, 0);
            step(host, (struct zab_event){.type = ZAB_SNAPSHOT_TAKEN, .count = 1, .flag = true});
            mk_buffer_consume(&host->input, update->consumed);
            news = true;
        }
        if (update->disk_count > 0) {
            struct zab_disk_step last = update->disk[update->disk_count - 1];
            update->disk_count = 0;
            if (last.type == ZAB_DISK_INSTALL_SNAPSHOT)
                host->applied = last.zxid;
            step(host, (struct zab_event){.type = ZAB_DISK_DONE, .ticket = last.ticket});
            news = true;
        } else if (host->reload) {
            host->reload = false;
            host->applied = last_logged(host);
            step(host, (struct zab_event){.type = ZAB_RELOADED, .zxid = host->applied});
            news = true;
        } else if (host->applied < zab_apply_to(host->zab)) {
            host->applied = zab_apply_to(host->zab);
            step(host, (struct zab_event){.type = ZAB_APPLIED, .zxid = host->applied});
            news = true;
        }
    }
    zab_update_clear(host->zab, update);
}

static void event(struct host *host, struct zab_event event)
{
    step(host, event);
    follow_up(host);
}

/* A vote of `server` for 3, in `state`. */
static void vote(struct host *host, int64_t server, enum zab_role state)
{
    uint8_t bytes[40] = {0};
    mk_store_u32(bytes, (uint32_t)state);
    mk_store_u64(bytes + 4, 3);
    mk_store_u64(bytes + 20, 1); /* the round */
    event(host, (struct zab_event){.type = ZAB_PEER_UP, .server = server});
    event(host, (struct zab_event){.type = ZAB_PEER_MESSAGE,
                                   .server = server,
                                   .bytes = mk_bytes_of(bytes, sizeof bytes)});
}

static void begin(struct host *host, bool leader)
{
    struct zab_options options;
    char reason[100];
    zab_options_init(&options);
    options.id = leader ? 3 : 1;
    options.packet_bytes_max = 4096;
    options.config = MK_BYTES("server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nversion=0");
    MK_ASSERT(quorum_parse(&options.quorum, options.config, reason, sizeof reason) == 0);
    *host = (struct host){.zab = zab_new(&options)};
    zab_update_init(&host->update);
    event(host, (struct zab_event){.type = ZAB_START});
    vote(host, 2, leader ? ZAB_LOOKING : ZAB_FOLLOWING);
    if (!leader)
        vote(host, 3, ZAB_LEADING);
    struct zab_status status;
    zab_status(host->zab, &status);
    MK_ASSERT(status.role == (leader ? ZAB_LEADING : ZAB_FOLLOWING));
    event(host, (struct zab_event){.type = leader ? ZAB_LINK_ACCEPTED : ZAB_LINK_CONNECTED,
                                   .bytes = MK_BYTES("10.0.0.1:1")});
}

static bool reads(struct host *host)
{
    const struct zab_link *link = zab_link(host->zab, 0);
    return !link->closing && !link->paused;
}

static void feed(struct host *host)
{
    size_t consumed = 1;
    while (consumed > 0 && host->input.length > 0 && reads(host)) {
        size_t before = host->input.length;
        step(host,
             (struct zab_event){.type = ZAB_LINK_BYTES, .bytes = mk_buffer_bytes(&host->input)});
        consumed = host->update.consumed;
        MK_ASSERT(consumed <= before);
        mk_buffer_consume(&host->input, consumed);
        if (host->update.snapshot_input.length > 0) /* it moved with the rest */
            host->update.snapshot_input = mk_buffer_bytes(&host->input);
        follow_up(host);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct host host;
    begin(&host, data[0] & 1);
    for (size_t at = 1; at < size && !zab_link(host.zab, 0)->closing;) {
        size_t piece = MK_MIN(size - at, (size_t)data[at] + 1);
        mk_buffer_append(&host.input, data + at, piece);
        at += piece;
        feed(&host);
    }
    event(&host, (struct zab_event){.type = ZAB_LINK_DOWN});
    MK_ASSERT(!zab_link(host.zab, 0));
    mk_buffer_fini(&host.input);
    zab_free(host.zab);
    zab_update_fini(&host.update);
    return 0;
}
