/* SPDX-License-Identifier: MIT */
/* Defaults of a server's options, and the copy that a running server owns; see server.h. */
#include "server/server_int.h"

#include "base/mem.h"

void server_options_init(struct server_options *options)
{
    memset(options, 0, sizeof *options);
    replica_options_init(&options->replica);
    options->force_sync = true;
    options->listen_backlog = 1024;
    options->connections_per_address_max = 60;
    options->log_preallocate_bytes = 4u << 20;
    options->log_direct = true;
    options->snapshots_retained = 3;
    options->snapshot_bytes_per_second = 64u << 20;
    options->slow_sync_warning_ms = 1000;
    options->stop_timeout_ms = 5000;
    options->init_limit_ticks = 10;
    options->sync_limit_ticks = 5;
    options->election_connect_timeout_ms = 5000;
}

static const char *copy_string(const char *text)
{
    return text ? mk_string_copy(text, strlen(text)) : NULL;
}

void server_options_copy(struct server_options *to, const struct server_options *from)
{
    *to = *from;
    to->data_dir = copy_string(from->data_dir);
    to->data_log_dir = copy_string(from->data_log_dir);
    to->replica.super_digest = copy_string(from->replica.super_digest);
    to->replica.command_words = copy_string(from->replica.command_words);
    to->addresses = mk_calloc(from->address_count, sizeof *to->addresses);
    if (from->address_count)
        memcpy(to->addresses, from->addresses, from->address_count * sizeof *to->addresses);
    to->members = mk_calloc(from->member_count, sizeof *to->members);
    if (from->member_count)
        memcpy(to->members, from->members, from->member_count * sizeof *to->members);
}

void server_options_fini(struct server_options *options)
{
    mk_free((char *)options->data_dir);
    mk_free((char *)options->data_log_dir);
    mk_free((char *)options->replica.super_digest);
    mk_free((char *)options->replica.command_words);
    mk_free(options->addresses);
    mk_free(options->members);
    memset(options, 0, sizeof *options);
}
