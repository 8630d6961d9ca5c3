/* SPDX-License-Identifier: MIT */
/* Reads the text form of a config (quorum-protocol reference, 3.3): what an operator's file, a
 * notification, NEWLEADER or /zookeeper/config holds. Of a server line only id and role matter
 * here, but its shape is checked as Apache does, so that a list which they would refuse is refused
 * by us too. The input may come from a peer: every number is bounded, nothing is allocated. */
#include <stdarg.h>
#include <stdio.h>

#include "wire/errors.gen.h"
#include "zab/quorum.h"

#define MEMBER_ID_MAX 254         /* the largest id that may own nodes with a time to live */
#define WEIGHT_MAX INT32_MAX      /* so that no sum of weights can overflow */
#define GROUP_MAX (INT64_MAX / 2) /* any number will do, 0 means none */

struct parser {
    struct quorum *quorum;
    struct mk_bytes rest; /* lines that were not read yet */
    struct mk_bytes key, value;
    int line;
    bool version_seen;
    struct quorum_set weighed;
    char *reason;
    size_t reason_size;
};

MK_PRINTF(2, 3) static int refuse(struct parser *parser, const char *format, ...)
{
    char text[160];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (parser->reason_size && parser->line)
        snprintf(parser->reason, parser->reason_size, "line %d: %s", parser->line, text);
    else if (parser->reason_size)
        snprintf(parser->reason, parser->reason_size, "%s", text);
    return MK_ERR_BAD_CONFIG;
}

static struct mk_bytes trimmed(struct mk_bytes bytes)
{
    while (bytes.length > 0 && memchr(" \t\r", bytes.data[0], 3)) {
        bytes.data++;
        bytes.length--;
    }
    while (bytes.length > 0 && memchr(" \t\r", bytes.data[bytes.length - 1], 3))
        bytes.length--;
    return bytes;
}

/* Takes what stands before `separator`, or all; false when nothing is left to take. */
static bool take(struct mk_bytes *rest, char separator, struct mk_bytes *part)
{
    if (!rest->data)
        return false;
    const uint8_t *end = memchr(rest->data, separator, mk_bytes_size(*rest));
    *part = *rest;
    if (!end) {
        *rest = MK_BYTES_NULL;
        return true;
    }
    part->length = (int32_t)(end - rest->data);
    rest->data += part->length + 1;
    rest->length -= part->length + 1;
    return true;
}

/* Whole digits of base 10 or 16, no sign; false when it is none or above `max`. */
static bool number(struct mk_bytes text, unsigned base, uint64_t max, uint64_t *value)
{
    *value = 0;
    for (int32_t i = 0; i < text.length; i++) {
        unsigned character = text.data[i];
        unsigned digit = base;
        if (character >= '0' && character <= '9')
            digit = character - '0';
        else if ((character | 0x20) >= 'a' && (character | 0x20) <= 'f')
            digit = (character | 0x20) - 'a' + 10;
        if (digit >= base || *value > (max - digit) / base)
            return false;
        *value = *value * base + digit;
    }
    return text.length > 0;
}

static bool equals_word(struct mk_bytes text, const char *word)
{
    if (mk_bytes_size(text) != strlen(word))
        return false;
    for (int32_t i = 0; i < text.length; i++)
        if ((text.data[i] | 0x20) != word[i])
            return false;
    return true;
}

/* The next line with something in it, as key and value; false at the end. */
static bool next_line(struct parser *parser, int *error)
{
    struct mk_bytes line;
    while (take(&parser->rest, '\n', &line)) {
        parser->line++;
        line = trimmed(line);
        if (line.length == 0 || line.data[0] == '#' || line.data[0] == '!')
            continue;
        take(&line, '=', &parser->key);
        parser->key = trimmed(parser->key);
        if (!line.data) {
            *error = refuse(parser, "\"=\" is missing");
            return false;
        }
        parser->value = trimmed(line);
        return true;
    }
    return false;
}

/* The part of the key behind its first dot; Apache takes any key that begins with the word. */
static bool key_number(const struct parser *parser, uint64_t max, uint64_t *value)
{
    struct mk_bytes rest = parser->key;
    struct mk_bytes word;
    take(&rest, '.', &word);
    return rest.data && number(rest, 10, max, value);
}

static struct quorum_member *member_of(struct parser *parser, uint64_t id)
{
    for (size_t i = 0; i < parser->quorum->count; i++)
        if (parser->quorum->members[i].id == (int64_t)id)
            return &parser->quorum->members[i];
    return NULL;
}

/* host:port:port[:role], an IPv6 host in brackets. `role` stays as it is when none is given. */
static const char *read_address(struct mk_bytes text, struct mk_bytes *role)
{
    struct mk_bytes host;
    if (text.length > 0 && text.data[0] == '[') {
        take(&text, ']', &host);
        if (!text.data || text.length == 0 || text.data[0] != ':' || host.length < 2)
            return "an address in brackets must end in \"]:\"";
        text.data++;
        text.length--;
    } else {
        take(&text, ':', &host);
        if (host.length == 0)
            return "the host is missing";
    }
    for (int i = 0; i < 2; i++) {
        struct mk_bytes port;
        uint64_t value;
        if (!take(&text, ':', &port))
            return "a server needs host:port:electionport";
        if (!number(port, 10, 65535, &value) || value == 0)
            return "a port is a number from 1 to 65535";
    }
    struct mk_bytes given;
    if (!take(&text, ':', &given))
        return NULL;
    if (text.data)
        return "too many parts between \":\" (IPv6 addresses stand in brackets)";
    if (!equals_word(given, "observer") && !equals_word(given, "participant"))
        return "a server is a participant or an observer";
    if (role->length > 0 && equals_word(*role, "observer") != equals_word(given, "observer"))
        return "the addresses of one server give it two roles";
    *role = given;
    return NULL;
}

static int read_server(struct parser *parser)
{
    struct quorum *quorum = parser->quorum;
    uint64_t id;
    if (!key_number(parser, MEMBER_ID_MAX, &id) || id == 0)
        return refuse(parser, "a server id is a number from 1 to %d", MEMBER_ID_MAX);
    if (member_of(parser, id))
        return refuse(parser, "server %d is listed twice", (int)id);
    if (quorum->count == QUORUM_MEMBERS_MAX)
        return refuse(parser, "more than %d servers", QUORUM_MEMBERS_MAX);
    struct mk_bytes rest = parser->value;
    struct mk_bytes addresses, client, address;
    struct mk_bytes role = MK_BYTES_NULL;
    take(&rest, ';', &addresses);
    for (int i = 0; take(&rest, ';', &client); i++)
        if (i == 2) /* 3.10 has a second one, for TLS */
            return refuse(parser, "more than two client addresses");
    while (take(&addresses, '|', &address)) {
        const char *fault = read_address(address, &role);
        if (fault)
            return refuse(parser, "%s", fault);
    }
    quorum->members[quorum->count++] =
        (struct quorum_member){.id = (int64_t)id, .observer = equals_word(role, "observer")};
    return 0;
}

static int read_group(struct parser *parser)
{
    uint64_t group, id;
    if (!key_number(parser, GROUP_MAX, &group) || group == 0)
        return refuse(parser, "a group has a number, 1 or more");
    for (size_t i = 0; i < parser->quorum->count; i++)
        if (parser->quorum->members[i].group == (int64_t)group)
            return refuse(parser, "group %llu is listed twice", (unsigned long long)group);
    struct mk_bytes rest = parser->value;
    struct mk_bytes part;
    while (take(&rest, ':', &part)) {
        if (!number(trimmed(part), 10, MEMBER_ID_MAX, &id))
            return refuse(parser, "a group is a list of server ids with \":\" between them");
        struct quorum_member *member = member_of(parser, id);
        if (!member)
            return refuse(parser, "there is no server %d", (int)id);
        if (member->group)
            return refuse(parser, "server %d is in two groups", (int)id);
        member->group = (int64_t)group;
    }
    parser->quorum->hierarchical = true;
    return 0;
}

static int read_weight(struct parser *parser)
{
    uint64_t id, weight;
    if (!key_number(parser, MEMBER_ID_MAX, &id) || !member_of(parser, id))
        return refuse(parser, "a weight belongs to a server that is listed");
    if (quorum_set_has(&parser->weighed, (int64_t)id))
        return refuse(parser, "server %d has two weights", (int)id);
    if (!number(parser->value, 10, WEIGHT_MAX, &weight))
        return refuse(parser, "a weight is a number from 0 to %d", WEIGHT_MAX);
    quorum_set_add(&parser->weighed, (int64_t)id);
    member_of(parser, id)->weight = weight;
    parser->quorum->hierarchical = true;
    return 0;
}

static int read_version(struct parser *parser)
{
    uint64_t version;
    if (parser->version_seen)
        return refuse(parser, "version is given twice");
    if (!number(parser->value, 16, INT64_MAX, &version))
        return refuse(parser, "version is a hexadecimal number of 63 bits");
    parser->version_seen = true;
    parser->quorum->version = (int64_t)version;
    return 0;
}

/* Lines come in any order, so the servers are read before what refers to them. */
static int read_line(struct parser *parser, bool servers)
{
    if (mk_bytes_starts_with(parser->key, MK_BYTES("server.")))
        return servers ? read_server(parser) : 0;
    if (mk_bytes_starts_with(parser->key, MK_BYTES("group")))
        return servers ? 0 : read_group(parser);
    if (mk_bytes_starts_with(parser->key, MK_BYTES("weight")))
        return servers ? 0 : read_weight(parser);
    if (mk_bytes_equal_string(parser->key, "version"))
        return servers ? read_version(parser) : 0;
    return refuse(parser, "unknown key (server.N, group.G, weight.N and version are known)");
}

static int read_lines(struct parser *parser, struct mk_bytes text, bool servers)
{
    int error = 0;
    parser->rest = text;
    parser->line = 0;
    while (next_line(parser, &error)) {
        error = read_line(parser, servers);
        if (error)
            break;
    }
    return error;
}

static int check_whole(struct parser *parser)
{
    struct quorum *quorum = parser->quorum;
    bool any_voter = false;
    parser->line = 0; /* it is no line's fault */
    for (size_t i = 0; i < quorum->count; i++) {
        struct quorum_member *member = &quorum->members[i];
        if (!quorum_set_has(&parser->weighed, member->id))
            member->weight = 1;
        any_voter = any_voter || !member->observer;
        if (quorum->hierarchical && !member->observer && member->group == 0)
            return refuse(parser, "server %d is in no group", (int)member->id);
    }
    return any_voter ? 0 : refuse(parser, "no server is a participant");
}

int quorum_parse(struct quorum *quorum, struct mk_bytes text, char *reason, size_t reason_size)
{
    struct quorum read = {0};
    struct parser parser = {.quorum = &read, .reason = reason, .reason_size = reason_size};
    int error = read_lines(&parser, text, true);
    if (!error)
        error = read_lines(&parser, text, false);
    if (!error)
        error = check_whole(&parser);
    if (!error)
        *quorum = read;
    return error;
}
