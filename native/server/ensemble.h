/* SPDX-License-Identifier: MIT */
/* What server.c asks of ensemble.c; nothing happens on a single server. */
#ifndef SERVER_ENSEMBLE_H
#define SERVER_ENSEMBLE_H

#include "server/server_int.h"

/* Checks the members and sets options.replica.ensemble: before the replica is made. */
int ensemble_prepare(struct server *server, struct server_error *error);
/* With the data restored and the log thread running: takes the addresses, looks for a leader. */
int ensemble_start(struct server *server, struct server_error *error);
/* The part of an update that concerns network and disk; before replica_update_clear. */
void ensemble_perform(struct server *server);
/* Behind it: what may make further steps. */
void ensemble_performed(struct server *server);
void ensemble_stop(struct server *server);
void ensemble_free(struct server *server);

#endif
