/* SPDX-License-Identifier: MIT */
/* Whom a list lets in; see acl.h. Called for every operation and every watch event. */
#include "tree/acl.h"

#include <arpa/inet.h>

#define ADDRESS_BYTES_MAX 16

struct ip_prefix {
    uint8_t address[ADDRESS_BYTES_MAX];
    size_t bytes; /* 4 or 16 */
    uint32_t bits;
};

/* Decimal digits only; at most 3 of them, so no overflow. */
static bool parse_bits(struct mk_bytes text, uint32_t *bits)
{
    size_t length = mk_bytes_size(text);
    if (length == 0 || length > 3)
        return false;
    *bits = 0;
    for (size_t i = 0; i < length; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        *bits = *bits * 10 + (text.data[i] - '0');
    }
    return true;
}

static bool parse_address(struct mk_bytes text, struct ip_prefix *prefix)
{
    char copy[INET6_ADDRSTRLEN];
    size_t length = mk_bytes_size(text);
    if (length == 0 || length >= sizeof copy || memchr(text.data, '\0', length))
        return false;
    memcpy(copy, text.data, length);
    copy[length] = '\0';
    prefix->bytes = memchr(copy, ':', length) ? 16 : 4;
    return inet_pton(prefix->bytes == 16 ? AF_INET6 : AF_INET, copy, prefix->address) == 1;
}

/* address or address/bits */
static bool parse_prefix(struct mk_bytes text, struct ip_prefix *prefix)
{
    size_t length = mk_bytes_size(text);
    const uint8_t *slash = length ? memchr(text.data, '/', length) : NULL;
    struct mk_bytes address = text;
    if (slash)
        address.length = (int32_t)(slash - text.data);
    if (!parse_address(address, prefix))
        return false;
    prefix->bits = (uint32_t)prefix->bytes * 8;
    if (!slash)
        return true;
    struct mk_bytes bits = {slash + 1, text.length - address.length - 1};
    return parse_bits(bits, &prefix->bits) && prefix->bits <= prefix->bytes * 8;
}

bool acl_ip_is_valid(struct mk_bytes id)
{
    struct ip_prefix prefix;
    return parse_prefix(id, &prefix);
}

static bool ip_matches(struct mk_bytes address_text, struct mk_bytes prefix_text)
{
    struct ip_prefix address;
    struct ip_prefix prefix;
    if (!parse_address(address_text, &address) || !parse_prefix(prefix_text, &prefix))
        return false;
    if (address.bytes != prefix.bytes)
        return false;
    size_t whole = prefix.bits / 8;
    if (memcmp(address.address, prefix.address, whole) != 0)
        return false;
    uint32_t rest = prefix.bits % 8;
    if (rest == 0)
        return true;
    uint8_t mask = (uint8_t)(0xff << (8 - rest));
    return ((address.address[whole] ^ prefix.address[whole]) & mask) == 0;
}

static bool has_super(const struct mk_id_vector *identities)
{
    for (int32_t i = 0; i < identities->count; i++)
        if (mk_bytes_equal_string(identities->items[i].scheme, "super"))
            return true;
    return false;
}

static bool entry_matches(const struct mk_id *entry, const struct mk_id_vector *identities)
{
    if (mk_bytes_equal_string(entry->scheme, "world") && mk_bytes_equal_string(entry->id, "anyone"))
        return true;
    bool is_ip = mk_bytes_equal_string(entry->scheme, "ip");
    for (int32_t i = 0; i < identities->count; i++) {
        const struct mk_id *identity = &identities->items[i];
        if (!mk_bytes_equal(identity->scheme, entry->scheme))
            continue;
        if (mk_bytes_equal(identity->id, entry->id))
            return true;
        if (is_ip && ip_matches(identity->id, entry->id))
            return true;
    }
    return false;
}

bool acl_permits(const struct mk_acl_vector *acl, int32_t permissions,
                 const struct mk_id_vector *identities)
{
    if (acl && acl->count <= 0)
        return true;
    for (int32_t i = 0; acl && i < acl->count; i++)
        if ((acl->items[i].perms & permissions) && entry_matches(&acl->items[i].id, identities))
            return true;
    return has_super(identities);
}
