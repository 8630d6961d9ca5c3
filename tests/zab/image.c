/* SPDX-License-Identifier: MIT */
/* A node's disk: a snapshot, a log and the epoch files, written by zab's steps strictly in order,
 * late, and several appends at a time. A crash loses what is not done; of the write under way a
 * part may have arrived. Called by node.c; never looks into zab. */
#include "tests/zab/sim.h"

int64_t image_last(const struct image *image)
{
    if (image->empty)
        return -1;
    return image->count > 0 ? image->log[image->count - 1].zxid : image->snapshot.applied;
}

int64_t image_last_transaction(const struct image *image)
{
    return image->count > 0 ? image->log[image->count - 1].zxid : image->snapshot.last;
}

static size_t first_after(const struct image *image, int64_t zxid)
{
    size_t low = 0, high = image->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (image->log[middle].zxid <= zxid)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct record *image_after(const struct image *image, int64_t zxid)
{
    size_t at = first_after(image, zxid);
    return at < image->count ? &image->log[at] : NULL;
}

bool image_holds(const struct image *image, int64_t zxid, uint64_t id)
{
    if (image->empty)
        return false;
    if (zxid <= image->snapshot.applied)
        return true;
    size_t at = first_after(image, zxid);
    return at > 0 && image->log[at - 1].zxid == zxid && image->log[at - 1].id == id;
}

bool disk_held(const struct disk *disk, int64_t zxid, uint64_t id)
{
    return image_holds(&disk->image, zxid, id) ||
           (disk->wiped && image_holds(&disk->gone, zxid, id));
}

bool image_covers(const struct image *image, int64_t zxid)
{
    size_t at = first_after(image, zxid);
    return image_holds(image, zxid, at > 0 ? image->log[at - 1].id : 0);
}

void image_replay(const struct image *image, struct machine *machine)
{
    *machine = image->snapshot;
    for (size_t i = first_after(image, machine->applied); i < image->count; i++)
        machine_apply(machine, image->log[i].zxid, image->log[i].id);
}

static void append(struct node *node, const struct disk_job *job)
{
    struct image *image = &node->disk.image;
    check_append(node, job->record.zxid, job->record.id);
    if (image->count == image->capacity) {
        image->capacity = image->capacity ? image->capacity * 2 : 64;
        image->log = mk_realloc(image->log, image->capacity * sizeof *image->log);
    }
    image->log[image->count++] = job->record;
}

static void truncate(struct node *node, int64_t zxid)
{
    struct image *image = &node->disk.image;
    check_dropping(node, zxid);
    if (zxid < image->snapshot.applied)
        sim_fail(node->sim, "T1", "node %d: cut to %llx, below its snapshot %llx", (int)node->id,
                 (unsigned long long)zxid, (unsigned long long)image->snapshot.applied);
    image->count = first_after(image, zxid);
}

static void install(struct node *node, const struct disk_job *job)
{
    struct image *image = &node->disk.image;
    check_dropping(node, job->zxid);
    if (image->empty)
        node->sim->marks[MARK_REPAIRED]++;
    image->snapshot = job->snapshot;
    image->count = 0;
    image->empty = false;
}

static void perform(struct node *node, const struct disk_job *job)
{
    struct image *image = &node->disk.image;
    switch (job->type) {
    case ZAB_DISK_APPEND:
        append(node, job);
        break;
    case ZAB_DISK_TRUNCATE:
        truncate(node, job->zxid);
        break;
    case ZAB_DISK_ACCEPTED_EPOCH:
        check_epochs(node, job->epoch, image->current);
        image->accepted = job->epoch;
        break;
    case ZAB_DISK_PREPARE_EPOCH:
        image->prepared = job->epoch;
        break;
    case ZAB_DISK_CURRENT_EPOCH:
        check_epochs(node, image->accepted, job->epoch);
        check_taking_over(node, job->epoch);
        image->current = job->epoch;
        node->disk.adopted = true;
        image->prepared = -1;
        break;
    case ZAB_DISK_INSTALL_SNAPSHOT:
        install(node, job);
        break;
    }
}

void disk_queue_step(struct node *node, const struct zab_disk_step *step)
{
    struct disk *disk = &node->disk;
    if (disk->first + disk->count == disk->capacity) {
        if (disk->count > 0)
            memmove(disk->jobs, disk->jobs + disk->first, disk->count * sizeof *disk->jobs);
        disk->first = 0;
        if (disk->count * 2 >= disk->capacity) {
            disk->capacity = disk->capacity ? disk->capacity * 2 : 32;
            disk->jobs = mk_realloc(disk->jobs, disk->capacity * sizeof *disk->jobs);
        }
    }
    struct disk_job *job = &disk->jobs[disk->first + disk->count++];
    memset(job, 0, sizeof *job);
    job->type = step->type;
    job->ticket = step->ticket;
    job->zxid = step->zxid;
    job->epoch = step->epoch;
    if (step->type == ZAB_DISK_APPEND) {
        job->data = step->entry.data;
        job->record.zxid = step->entry.zxid;
        job->record.id = payload_id(node->sim, step->entry.data, step->entry.length);
        if (job->record.id == UINT64_MAX)
            sim_fail(node->sim, "I1", "node %d: appends %llx, which nobody submitted",
                     (int)node->id, (unsigned long long)step->entry.zxid);
    } else if (step->type == ZAB_DISK_INSTALL_SNAPSHOT) {
        job->snapshot = node->memory;
    }
    disk_begin(node);
}

void disk_begin(struct node *node)
{
    struct disk *disk = &node->disk;
    struct sim *sim = node->sim;
    if (disk->batch > 0 || disk->count == 0)
        return;
    size_t most = 0;
    while (most < disk->count && disk->jobs[disk->first + most].type == ZAB_DISK_APPEND)
        most++;
    disk->batch = most > 1 ? 1 + (size_t)sim_below(sim, most) : 1;
    if (most > 1 && sim_one_in(sim, 2))
        disk->batch = most;
    int64_t delay = (int64_t)sim_below(sim, (uint64_t)sim->plan.disk_ms + 1);
    if (sim->now < disk->slow_until)
        delay += 200 + (int64_t)sim_below(sim, 3000);
    sim_schedule(sim, delay,
                 (struct event){.type = EVENT_DISK, .node = node->index, .life = node->life});
}

void disk_write_done(struct node *node)
{
    struct disk *disk = &node->disk;
    struct sim *sim = node->sim;
    uint64_t ticket = disk->unreported;
    for (size_t i = 0; i < disk->batch; i++) {
        const struct disk_job *job = &disk->jobs[disk->first + i];
        if (job->type == ZAB_DISK_APPEND && job->record.id < sim->txn_count &&
            !payload_whole(sim, job->record.id, job->data, sim->txns[job->record.id].length))
            sim_fail(sim, "I1", "node %d: the bytes of %llx changed while they were written",
                     (int)node->id, (unsigned long long)job->record.zxid);
        perform(node, job);
        tap_aim(node, NULL, true, (int32_t)job->type);
        ticket = job->ticket;
    }
    disk->first += disk->batch;
    disk->count -= disk->batch;
    disk->batch = 0;
    disk_begin(node);
    if (disk->count > 0 && sim_one_in(sim, 8)) {
        disk->unreported = ticket; /* told together with the next ones */
        return;
    }
    disk->unreported = 0;
    node_feed(node, &(struct zab_event){.type = ZAB_DISK_DONE, .ticket = ticket});
}

/* What was under way arrived as a prefix, or whole or not at all. */
void disk_crash(struct node *node)
{
    struct disk *disk = &node->disk;
    size_t arrived = disk->batch > 0 ? (size_t)sim_below(node->sim, disk->batch + 1) : 0;
    for (size_t i = 0; i < arrived; i++) {
        struct disk_job *job = &disk->jobs[disk->first + i];
        if (job->type == ZAB_DISK_TRUNCATE && sim_one_in(node->sim, 2) && !disk->image.empty) {
            const struct record *beyond = image_after(&disk->image, job->zxid);
            if (beyond) /* cut from the end, but not all */
                job->zxid = beyond->zxid;
        }
        perform(node, job);
        node->sim->marks[MARK_TORN]++;
    }
    disk->first = disk->count = disk->batch = 0;
    disk->unreported = 0;
}

bool disk_logged_after(const struct node *node, int64_t zxid, struct record *record)
{
    const struct disk *disk = &node->disk;
    const struct record *found = image_after(&disk->image, zxid);
    if (found) {
        *record = *found;
        return true;
    }
    for (size_t i = 0; i < disk->count; i++) {
        const struct disk_job *job = &disk->jobs[disk->first + i];
        if (job->type == ZAB_DISK_APPEND && job->record.zxid > zxid) {
            *record = job->record;
            return true;
        }
    }
    return false;
}

int64_t disk_transaction_at(const struct node *node, int64_t zxid)
{
    const struct disk *disk = &node->disk;
    for (size_t i = disk->count; i > 0; i--) {
        const struct disk_job *job = &disk->jobs[disk->first + i - 1];
        if (job->type == ZAB_DISK_APPEND && job->record.zxid <= zxid)
            return job->record.zxid;
    }
    size_t at = first_after(&disk->image, zxid);
    return at > 0 ? disk->image.log[at - 1].zxid : disk->image.snapshot.last;
}
