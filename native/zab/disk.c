/* SPDX-License-Identifier: MIT */
/* What zab wants of the disk: one ordered sequence of steps with rising tickets, so that what is
 * done up to a ticket is done whole, and how far the own log is durable. Called by whoever appends,
 * cuts or notes an epoch. It must never let two owners write (hazard 4712): a new role begins only
 * when all steps of the old one are done. */
#include "base/mem.h"
#include "zab/zab_int.h"

#define MARKS_MIN 64

static struct zab_disk_step *add_step(struct zab *zab, enum zab_disk_type type)
{
    struct zab_update *update = zab->update;
    if (update->disk_count == update->disk_capacity) {
        update->disk_capacity = MK_MAX(update->disk_capacity * 2, 16);
        update->disk = mk_realloc(update->disk, update->disk_capacity * sizeof *update->disk);
    }
    struct zab_disk_step *step = &update->disk[update->disk_count++];
    *step = (struct zab_disk_step){.ticket = ++zab->ticket_issued, .type = type};
    return step;
}

static void grow_marks(struct zab *zab)
{
    uint32_t capacity = zab->append_capacity ? zab->append_capacity * 2 : MARKS_MIN;
    struct append_mark *marks = mk_alloc(capacity * sizeof *marks);
    for (uint32_t i = 0; i < zab->append_count; i++)
        marks[i] = zab->appends[(zab->append_first + i) & (zab->append_capacity - 1)];
    mk_free(zab->appends);
    zab->appends = marks;
    zab->append_capacity = capacity;
    zab->append_first = 0;
}

/* The log is durable up to `zxid` when `ticket` is done. */
static void mark(struct zab *zab, uint64_t ticket, int64_t zxid)
{
    if (zab->append_count == zab->append_capacity)
        grow_marks(zab);
    uint32_t at = (zab->append_first + zab->append_count++) & (zab->append_capacity - 1);
    zab->appends[at] = (struct append_mark){.ticket = ticket, .zxid = zxid};
}

uint64_t disk_step(struct zab *zab, enum zab_disk_type type, int64_t zxid_or_epoch)
{
    struct zab_disk_step *step = add_step(zab, type);
    if (type == ZAB_DISK_TRUNCATE || type == ZAB_DISK_INSTALL_SNAPSHOT)
        step->zxid = zxid_or_epoch;
    else
        step->epoch = zxid_or_epoch;
    if (type == ZAB_DISK_CURRENT_EPOCH) {
        zab->epoch_writing = zxid_or_epoch;
        zab->epoch_ticket = step->ticket;
    }
    return step->ticket;
}

void disk_append(struct zab *zab, int64_t zxid, struct mk_bytes bytes)
{
    const struct zab_entry *entry = history_append(&zab->history, zxid, bytes);
    struct zab_disk_step *step = add_step(zab, ZAB_DISK_APPEND);
    step->entry = *entry;
    mark(zab, step->ticket, zxid);
}

uint64_t disk_truncate(struct zab *zab, int64_t zxid)
{
    MK_ASSERT(disk_idle(zab) || zab->append_count == 0);
    if (zxid < zab->history.base)
        history_reset(&zab->history, zxid);
    else
        history_truncate(&zab->history, zxid);
    zab->persisted = MK_MIN(zab->persisted, zxid);
    return disk_step(zab, ZAB_DISK_TRUNCATE, zxid);
}

uint64_t disk_install(struct zab *zab, int64_t zxid)
{
    MK_ASSERT(zab->append_count == 0);
    history_reset(&zab->history, zxid);
    zab->persisted = MK_MIN(zab->persisted, zxid);
    zab->floor = zxid;
    uint64_t ticket = disk_step(zab, ZAB_DISK_INSTALL_SNAPSHOT, zxid);
    mark(zab, ticket, zxid);
    return ticket;
}

void disk_done(struct zab *zab, uint64_t ticket)
{
    MK_ASSERT(ticket <= zab->ticket_issued);
    zab->ticket_done = MK_MAX(zab->ticket_done, ticket);
    if (zab->epoch_ticket && ticket >= zab->epoch_ticket) {
        zab->current_epoch = zab->epoch_writing; /* whatever became of the role that wanted it */
        zab->epoch_ticket = 0;
        zab->trusted = true; /* its history was made durable before */
    }
    while (zab->append_count && zab->appends[zab->append_first].ticket <= ticket) {
        zab->persisted = zab->appends[zab->append_first].zxid;
        zab->append_first = (zab->append_first + 1) & (zab->append_capacity - 1);
        zab->append_count--;
    }
}
