/* SPDX-License-Identifier: MIT */
/* What listeners.c and clients.c share about connections. */
#ifndef SERVER_CLIENTS_INT_H
#define SERVER_CLIENTS_INT_H

#include "base/quiet.h"
#include "server/server_int.h"

#define CONNECTION_NO_NUMBER UINT32_MAX

/* One socket. Small: an idle connection costs this, its entry in `slots`, and what the replica
 * keeps. The name is this layer's own; the replica's connection is another struct. */
struct connection {
    uv_tcp_t tcp;
    struct clients *clients;
    struct connection *previous, *next;             /* in clients.all */
    struct connection *chore_previous, *chore_next; /* in clients.ending or clients.roomy */
    struct address_count *address;                  /* NULL: not counted */
    struct unsent *unsent;                          /* output that the socket did not take yet */
    struct mk_buffer input;                         /* read, but not consumed yet */
    int64_t end_at_ms;        /* when an ending connection is closed, done or not */
    size_t waiting_bytes;     /* of an ending one, when last looked at */
    uint32_t discarded_bytes; /* read while lingering */
    uint32_t number;          /* in the replica; CONNECTION_NO_NUMBER once it let go */
    bool reading : 1;         /* uv_read_start is in force */
    bool paused : 1;          /* the replica takes no bytes */
    bool saw_end : 1;         /* the peer sends no more */
    bool ending : 1;          /* link->closing was seen; in clients.ending */
    bool lingering : 1;       /* our side is shut down; waits for the peer's end */
    bool roomy : 1;           /* in clients.roomy: its output buffer has kept memory */
    bool used : 1;            /* sent something since the last sweep */
    bool closed : 1;          /* uv_close was called */
};

struct slot {
    struct connection *connection;
    bool command_pending; /* the number stays taken until the command is answered */
};

struct listener {
    uv_tcp_t tcp;
    struct clients *clients;
    size_t address; /* of the options */
};

struct clients {
    struct server *server;
    struct listener **listeners;
    size_t listener_count;
    uint16_t *ports; /* by address of the options */
    uint8_t *input;  /* one read buffer for all: a connection is read and fed in one go */
    struct slot *slots;
    uint32_t slot_count, slot_capacity;
    uint32_t *free_numbers;
    uint32_t free_count;
    struct connection *all, *ending, *roomy;
    uint32_t *ended; /* numbers whose peer sent its end in this turn */
    size_t ended_count, ended_capacity;
    uint32_t count;        /* in `all` */
    uint32_t unsent_count; /* connections with `unsent` */
    uv_timer_t chores;
    bool has_chores_handle, chores_running, stopping;
    struct address_count *addresses; /* uthash */
    uint64_t rejected;
    int64_t reject_traced_ms; /* when the last line about it was written */
    uint64_t reject_untraced;
    struct mk_quiet accept_failures;
};

/* clients.c: a connection whose socket was accepted and counted. */
void connection_start(struct clients *clients, struct connection *connection,
                      struct mk_bytes address);
/* The timer runs until there is nothing left to do. */
void chores_start(struct clients *clients);
/* listeners.c */
void listeners_close(struct clients *clients);
/* Tells how many lines were kept back, when it is time. False when there are none to be told. */
bool listeners_chores(struct clients *clients);
/* Takes the connection out of the count of its address. */
void address_forget(struct connection *connection);
void addresses_free(struct clients *clients);

#endif
