/* SPDX-License-Identifier: MIT */
/* What every role needs: entering and leaving it, what memory may have, deliveries to the layers
 * above. Called by all of zab. It must never let a role end without the disk becoming quiet before
 * the next vote: a vote tells what is durable (hazards 2845 and 4712). */
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "zab/zab_int.h"

int member_index(const struct zab *zab, int64_t server)
{
    const struct quorum *quorum = &zab->options.quorum;
    for (size_t i = 0; i < quorum->count; i++)
        if (quorum->members[i].id == server)
            return (int)i;
    return -1;
}

int64_t ticks_ms(const struct zab *zab, int32_t ticks)
{
    return (int64_t)zab->options.tick_time_ms * ticks;
}

void role_enter(struct zab *zab, enum zab_role role, enum zab_phase phase)
{
    zab->role = role;
    zab->counts.looking += role == ZAB_LOOKING;
    zab->phase = phase;
}

void serve(struct zab *zab, bool serving)
{
    MK_ASSERT(!serving || zab->applied <= zab->committed);
    zab->serving = serving;
}

void apply_up_to(struct zab *zab, int64_t zxid)
{
    zab->apply_to = MK_MAX(zab->apply_to, zxid);
}

void reload(struct zab *zab)
{
    zab->reloading = true;
    zab->update->reload = true;
}

static void begin_looking(struct zab *zab)
{
    serve(zab, false);
    enum zab_role role = zab->role;
    role_enter(zab, ZAB_LOOKING, ZAB_ELECTION);
    if (role == ZAB_LEADING)
        lead_end(zab);
    else if (role != ZAB_LOOKING)
        learn_end(zab);
    links_close(zab);
    elect_later(zab);
}

void look_again(struct zab *zab, const char *format, ...)
{
    char reason[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    ZAB_TRACE(zab, MK_LEVEL_WARN, "looking for a leader again: %s", reason);
    begin_looking(zab);
}

void leave(struct zab *zab, enum mk_level level, const char *remark)
{
    static const char *const names[] = {[ZAB_LOOKING] = "server without a leader",
                                        [ZAB_FOLLOWING] = "follower",
                                        [ZAB_LEADING] = "leader",
                                        [ZAB_OBSERVING] = "observer"};
    ZAB_TRACE(zab, level, "this %s leaves the ensemble, because it is being stopped%s",
              names[zab->role], remark);
    begin_looking(zab);
}

void deliver(struct zab *zab, const struct zab_delivery *delivery)
{
    struct zab_update *update = zab->update;
    if (update->delivery_count == update->delivery_capacity) {
        update->delivery_capacity = MK_MAX(update->delivery_capacity * 2, 16);
        update->deliveries =
            mk_realloc(update->deliveries, update->delivery_capacity * sizeof *update->deliveries);
    }
    update->deliveries[update->delivery_count++] = *delivery;
}

struct sync_wait *sync_wait_add(struct sync_waits *waits)
{
    if (waits->count == waits->capacity) {
        waits->capacity = MK_MAX(waits->capacity * 2, 16);
        waits->items = mk_realloc(waits->items, waits->capacity * sizeof *waits->items);
    }
    struct sync_wait *wait = &waits->items[waits->count++];
    *wait = (struct sync_wait){0};
    return wait;
}
