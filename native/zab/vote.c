/* SPDX-License-Identifier: MIT */
/* Notifications of the election: their bytes, and the order of votes (quorum-protocol reference,
 * 2.1 and 2.2). Called by elect.c. Reads what every release since 3.4 sends; a message that makes
 * no sense is skipped and never closes the connection (hazard 3769). */
#include "base/mem.h"
#include "base/zxid.h"
#include "wire/errors.gen.h"
#include "wire/records.gen.h"
#include "zab/zab_int.h"

#define BYTES_WITHOUT_EPOCH 28
#define NOTIFICATION_VERSION 2
#define ROUND_MAX (INT64_MAX / 2) /* no peer can push the counter to its end */

static bool sane(const struct mk_notification *message)
{
    return message->state >= ZAB_LOOKING && message->state <= ZAB_OBSERVING &&
           message->election_epoch >= 0 && message->election_epoch < ROUND_MAX;
}

int vote_read(struct mk_bytes bytes, enum zab_role *state, struct vote *vote)
{
    struct mk_notification message = {0};
    struct mk_reader reader;
    mk_reader_init_bytes(&reader, bytes, NULL);
    message.state = mk_read_int(&reader);
    message.leader = mk_read_long(&reader);
    message.zxid = mk_read_long(&reader);
    message.election_epoch = mk_read_long(&reader);
    if (reader.error)
        return reader.error;
    message.peer_epoch = message.zxid < 0 ? -1 : (int64_t)mk_zxid_epoch(message.zxid);
    if (mk_bytes_size(bytes) > BYTES_WITHOUT_EPOCH)
        message.peer_epoch = mk_read_long(&reader);
    if (reader.error || !sane(&message))
        return MK_ERR_MARSHALLING;
    *state = (enum zab_role)message.state;
    *vote = (struct vote){.leader = message.leader,
                          .zxid = message.zxid,
                          .peer_epoch = message.peer_epoch,
                          .round = message.election_epoch};
    return 0;
}

void vote_send(struct zab *zab, int64_t server)
{
    struct zab_update *update = zab->update;
    const struct election *election = &zab->election;
    struct mk_notification message = {.state = zab->role,
                                      .leader = election->own.leader,
                                      .zxid = election->own.zxid,
                                      .election_epoch = election->round,
                                      .peer_epoch = election->own.peer_epoch,
                                      .version = NOTIFICATION_VERSION,
                                      .config = zab->options.config};
    size_t offset = update->message_bytes.length;
    mk_notification_write(&update->message_bytes, &message);
    size_t length = update->message_bytes.length - offset;
    for (size_t i = 0; i < update->message_count; i++)
        if (update->messages[i].server == server) { /* only the newest is sent */
            update->messages[i].offset = offset;
            update->messages[i].length = length;
            return;
        }
    if (update->message_count == update->message_capacity) {
        update->message_capacity = MK_MAX(update->message_capacity * 2, 16);
        update->messages =
            mk_realloc(update->messages, update->message_capacity * sizeof *update->messages);
    }
    update->messages[update->message_count++] =
        (struct zab_message){.server = server, .offset = offset, .length = length};
}

bool vote_beats(const struct zab *zab, const struct vote *a, const struct vote *b)
{
    if (!quorum_may_lead(&zab->options.quorum, a->leader))
        return false;
    if (ZAB_MUTANT(12) && a->leader != b->leader)
        return a->leader > b->leader;
    if (ZAB_MUTANT(11) && a->zxid != b->zxid)
        return a->zxid > b->zxid;
    if (a->peer_epoch != b->peer_epoch)
        return a->peer_epoch > b->peer_epoch;
    if (a->zxid != b->zxid)
        return a->zxid > b->zxid;
    return a->leader > b->leader;
}
