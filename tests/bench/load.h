/* SPDX-License-Identifier: MIT */
/* What the modes of the load generator share: the options, the layout of znode paths, and the
 * pre-encoded request frames. A frame is encoded once; for each request it is copied and only the
 * xid and the digits of the path are patched, so a request costs the generator some 20 ns. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "connection.h"

#include <stdbool.h>
#include <stdint.h>

enum operation {
    OPERATION_READ,
    OPERATION_WRITE,
    OPERATION_CREATE,
    OPERATION_MIXED,
    OPERATION_PING
};

struct options {
    const char *server;         /* HOST:PORT */
    const char *operation_name; /* as given */
    enum operation operation;
    uint32_t connections;
    uint32_t outstanding; /* requests in flight on each connection */
    uint32_t data_bytes;
    double seconds;        /* measured time */
    double warmup_seconds; /* before it, not measured */
    uint32_t write_percent;
    const char *parent;  /* all znodes live under it */
    uint32_t count;      /* number of znodes */
    uint32_t first;      /* create: number of the first znode */
    uint32_t spread;     /* children of each parent; 0: all in one parent */
    double rate;         /* requests a second, 0: as fast as answers come */
    uint32_t idle;       /* further connections that only ping */
    uint32_t rounds;     /* watch mode: changes to measure */
    uint32_t timeout_ms; /* session timeout asked for */
    uint32_t pid;        /* server process whose processor time is reported, 0: none */
};

#define NODE_DIGITS 8
#define GROUP_DIGITS 5

/* Where the znodes are: PARENT/nDDDDDDDD, or PARENT/pDDDDD/nDDDDDDDD when spread. */
struct layout {
    const char *parent;
    uint32_t parent_bytes;
    uint32_t spread;
    uint32_t path_bytes; /* the same for every znode */
};

void layout_init(struct layout *self, const char *parent, uint32_t spread);

/* Writes the whole path of znode `index` (path_bytes, no terminator). */
void layout_write_path(const struct layout *self, uint8_t *at, uint32_t index);

/* Overwrites the digits only, in a path that layout_write_path has written. */
void layout_patch(const struct layout *self, uint8_t *path, uint32_t index);

/* A frame ready to be copied. */
struct template
{
    uint8_t *frame;
    uint32_t bytes;
    uint32_t path_at; /* offset of the path's first byte; 0 when there is no path */
    int32_t op;
};

/* Encodes a request of the operation for paths of the layout (getData: `watch` is its flag;
 * setData: any version; create: persistent, open to the world). */
void template_init(struct template *self, int32_t op, const struct layout *layout,
                   uint32_t data_bytes, bool watch);

/* As above for one fixed path. */
void template_init_path(struct template *self, int32_t op, const char *path, uint32_t data_bytes,
                        bool watch);

void template_fini(struct template *self);

/* Queues one request for znode `index` (the caller flushes). */
void template_queue(const struct template *self, const struct layout *layout,
                    struct connection *connection, uint32_t index, uint64_t since_ns);

/* Creates a path and all its ancestors that are missing. */
void ensure_path(const struct options *options, const char *path);

/* The modes; each prints one line of JSON. */
void run_load(const struct options *options);
void run_tree(const struct options *options);
void run_watch(const struct options *options);

#endif
