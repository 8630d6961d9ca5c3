/* SPDX-License-Identifier: MIT */
/* Fuzzes what comes in at the election port: a hello, the addresses in it, then messages, which a
 * looking server takes as votes of its peer. Read as a whole and byte by byte: both ways must see
 * the same. A server must never follow or lead because of a single voice out of five. */
#include "server/election_hello.h"
#include "zab/zab.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int hello_by_bytes(const uint8_t *data, size_t size, struct election_hello *hello)
{
    const char *reason;
    int result = 0;
    for (size_t shown = 0; result == 0 && shown <= size; shown++) {
        uint8_t *exact = malloc(shown ? shown : 1);
        memcpy(exact, data, shown);
        result = election_hello_read(exact, shown, hello, &reason);
        MK_ASSERT(result <= (int)shown);
        free(exact);
        if (shown == ELECTION_HELLO_BYTES_MAX)
            MK_ASSERT(result != 0);
    }
    return result;
}

static void take_addresses(struct mk_bytes addresses)
{
    char host[64];
    uint16_t port;
    size_t left = mk_bytes_size(addresses);
    while (election_hello_next_address(&addresses, host, sizeof host, &port)) {
        MK_ASSERT(mk_bytes_size(addresses) < left);
        left = mk_bytes_size(addresses);
        MK_ASSERT(port > 0);
        MK_ASSERT(host[0] != '\0' && strlen(host) < sizeof host);
    }
    MK_ASSERT(mk_bytes_size(addresses) == 0);
}

static struct zab *looking(struct zab_update *update)
{
    struct zab_options options;
    char reason[100];
    zab_options_init(&options);
    options.id = 1;
    options.config = MK_BYTES("server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nserver.4=d:1:2\n"
                              "server.5=e:1:2\nversion=0");
    MK_ASSERT(quorum_parse(&options.quorum, options.config, reason, sizeof reason) == 0);
    struct zab *zab = zab_new(&options);
    zab_update_init(update);
    zab_step(zab, &(struct zab_event){.type = ZAB_START, .now_ms = 1}, update);
    zab_step(zab, &(struct zab_event){.type = ZAB_PEER_UP, .now_ms = 1, .server = 2}, update);
    return zab;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct election_hello hello, again;
    const char *reason = NULL;
    int taken = election_hello_read(data, size, &hello, &reason);
    MK_ASSERT(hello_by_bytes(data, size, &again) == taken);
    MK_ASSERT((taken < 0) == (reason != NULL));
    if (taken <= 0)
        return 0;
    MK_ASSERT(hello.id == again.id);
    take_addresses(hello.addresses);

    struct zab_update update;
    struct zab *zab = looking(&update);
    struct zab_event event = {.type = ZAB_PEER_MESSAGE, .now_ms = 2, .server = 2};
    for (size_t at = (size_t)taken;
         (taken = election_message_read(data + at, size - at, &event.bytes)) > 0;
         at += (size_t)taken) {
        MK_ASSERT(event.bytes.length >= 1 && event.bytes.length <= ELECTION_MESSAGE_BYTES_MAX);
        MK_ASSERT((size_t)taken <= size - at);
        zab_step(zab, &event, &update);
        event.now_ms += 50;
        zab_step(zab, &(struct zab_event){.type = ZAB_TICK, .now_ms = event.now_ms}, &update);
        struct zab_status status;
        zab_status(zab, &status);
        MK_ASSERT(status.role == ZAB_LOOKING);
    }
    zab_free(zab);
    zab_update_fini(&update);
    return 0;
}
