/* SPDX-License-Identifier: MIT */
/* The first words on an election connection; see election_hello.h. Every length is checked before
 * anything is believed; nothing is kept. */
#include "server/election_hello.h"

#include "wire/errors.gen.h"

#include <stdio.h>

#define VERSION_1 INT64_C(-65536)
#define VERSION_2 INT64_C(-65535)

static int bad(const char **reason, const char *text)
{
    *reason = text;
    return MK_ERR_CORRUPT;
}

int election_hello_read(const uint8_t *data, size_t size, struct election_hello *hello,
                        const char **reason)
{
    if (size < 8)
        return 0;
    int64_t first = (int64_t)mk_load_u64(data);
    *hello = (struct election_hello){.id = first, .addresses = MK_BYTES_NULL};
    if (first >= 0)
        return 8; /* before 3.5 the id is all that is said */
    if (first != VERSION_1 && first != VERSION_2)
        return bad(reason, "it speaks no version of the election protocol");
    if (size < 20)
        return 0;
    hello->id = (int64_t)mk_load_u64(data + 8);
    int32_t length = (int32_t)mk_load_u32(data + 16);
    if (length < 1 || length > ELECTION_HELLO_ADDRESS_BYTES_MAX)
        return bad(reason, "the length of its address is not in 1..2048");
    if (size - 20 < (size_t)length)
        return 0;
    hello->addresses = mk_bytes_of(data + 20, (size_t)length);
    return 20 + length;
}

void election_hello_write(struct mk_buffer *buffer, int64_t id, const char *host, uint16_t port)
{
    char address[ELECTION_HELLO_ADDRESS_BYTES_MAX];
    const char *format = strchr(host, ':') ? "[%s]:%u" : "%s:%u";
    int length = snprintf(address, sizeof address, format, host, port);
    MK_ASSERT(length > 0 && (size_t)length < sizeof address);
    uint8_t *at = mk_buffer_reserve(buffer, 20);
    mk_store_u64(at, (uint64_t)VERSION_1);
    mk_store_u64(at + 8, (uint64_t)id);
    mk_store_u32(at + 16, (uint32_t)length);
    buffer->length += 20;
    mk_buffer_append(buffer, address, (size_t)length);
}

/* --- addresses -------------------------------------------------------------------------------- */

static bool port_read(const uint8_t *text, size_t length, uint16_t *port)
{
    uint32_t value = 0;
    if (length < 1 || length > 5)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (uint32_t)(text[i] - '0');
    }
    *port = (uint16_t)value;
    return value > 0 && value <= UINT16_MAX;
}

static bool is_wildcard(const char *host)
{
    return strcmp(host, "0.0.0.0") == 0 || strspn(host, "0:") == strlen(host);
}

/* "host:port" or "[host]:port" of `length` bytes. */
static bool address_read(const uint8_t *text, size_t length, char *host, size_t host_size,
                         uint16_t *port)
{
    size_t colon = length;
    while (colon > 0 && text[colon - 1] != ':')
        colon--;
    if (colon == 0 || !port_read(text + colon, length - colon, port))
        return false;
    size_t host_length = colon - 1;
    if (host_length >= 2 && text[0] == '[' && text[host_length - 1] == ']') {
        text++;
        host_length -= 2;
    }
    if (host_length == 0 || host_length >= host_size)
        return false;
    for (size_t i = 0; i < host_length; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    memcpy(host, text, host_length);
    host[host_length] = '\0';
    return !is_wildcard(host);
}

bool election_hello_next_address(struct mk_bytes *addresses, char *host, size_t host_size,
                                 uint16_t *port)
{
    while (mk_bytes_size(*addresses) > 0) {
        const uint8_t *text = addresses->data;
        size_t size = mk_bytes_size(*addresses);
        const uint8_t *bar = memchr(text, '|', size);
        size_t length = bar ? (size_t)(bar - text) : size;
        size_t taken = bar ? length + 1 : length;
        *addresses = mk_bytes_of(text + taken, size - taken);
        if (address_read(text, length, host, host_size, port))
            return true;
    }
    return false;
}

/* --- who keeps it ----------------------------------------------------------------------------- */

enum election_tie election_tie(bool dialled, int64_t own_id, int64_t other_id)
{
    if (own_id == other_id)
        return ELECTION_SAME_ID;
    if (dialled)
        return other_id > own_id ? ELECTION_WAIT : ELECTION_KEEP;
    return other_id > own_id ? ELECTION_KEEP : ELECTION_DIAL_BACK;
}

int election_message_read(const uint8_t *data, size_t size, struct mk_bytes *message)
{
    if (size < 4)
        return 0;
    uint32_t length = mk_load_u32(data);
    if (length < 1 || length > ELECTION_MESSAGE_BYTES_MAX)
        return MK_ERR_CORRUPT;
    if (size - 4 < length)
        return 0;
    *message = mk_bytes_of(data + 4, length);
    return (int)(4 + length);
}
