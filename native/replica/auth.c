/* SPDX-License-Identifier: MIT */
/* Who a connection is: its address (scheme ip), and what addauth proved (digest, super). Rules:
 * client-protocol reference, sections 8.2 and 8.3. */
#include "replica/replica_int.h"

#include "base/mem.h"

#include <openssl/evp.h>

/* Each one is kept and compared; no client has more than a handful. */
#define IDENTITIES_MAX 256
#define IDENTITY_BYTES_MAX ((size_t)1 << 20)
#define SHA1_BYTES 20
#define SHA1_BASE64_BYTES 28

static struct mk_bytes copy_bytes(struct mk_bytes bytes)
{
    size_t length = mk_bytes_size(bytes);
    return mk_bytes_of(mk_string_copy(bytes.data, length), length);
}

/* Takes `id`'s memory. An identity that is there already is not added twice. */
static void add_identity(struct connection *connection, const char *scheme, struct mk_bytes take_id)
{
    struct mk_id_vector *identities = &connection->identities;
    for (int32_t i = 0; i < identities->count; i++) {
        if (mk_bytes_equal_string(identities->items[i].scheme, scheme) &&
            mk_bytes_equal(identities->items[i].id, take_id)) {
            mk_free((void *)(uintptr_t)take_id.data);
            return;
        }
    }
    connection->identity_bytes +=
        sizeof *identities->items + strlen(scheme) + mk_bytes_size(take_id);
    size_t count = (size_t)identities->count + 1;
    identities->items = mk_realloc(identities->items, count * sizeof *identities->items);
    identities->items[identities->count++] =
        (struct mk_id){.scheme = copy_bytes(mk_bytes_of_string(scheme)), .id = take_id};
}

void auth_init(struct connection *connection, struct mk_bytes address)
{
    connection->address = mk_string_copy(address.data, mk_bytes_size(address));
    connection->identities = (struct mk_id_vector){0, NULL};
    add_identity(connection, "ip", copy_bytes(address));
}

void auth_fini(struct connection *connection)
{
    for (int32_t i = 0; i < connection->identities.count; i++) {
        mk_free((void *)(uintptr_t)connection->identities.items[i].scheme.data);
        mk_free((void *)(uintptr_t)connection->identities.items[i].id.data);
    }
    mk_free(connection->identities.items);
    mk_free(connection->address);
}

/* user ":" base64(SHA-1(user ":" password)); the user is what stands before the first colon. */
static void digest_identity(struct mk_bytes credentials, struct mk_buffer *identity)
{
    size_t length = mk_bytes_size(credentials);
    const uint8_t *colon = length ? memchr(credentials.data, ':', length) : NULL;
    size_t user_length = colon ? (size_t)(colon - credentials.data) : length;
    uint8_t hash[EVP_MAX_MD_SIZE];
    unsigned hash_length = 0;
    int ok = EVP_Digest(length ? (const void *)credentials.data : "", length, hash, &hash_length,
                        EVP_sha1(), NULL);
    MK_ASSERT(ok == 1 && hash_length == SHA1_BYTES);
    mk_buffer_append(identity, credentials.data, user_length);
    mk_buffer_append(identity, ":", 1);
    uint8_t *base64 = mk_buffer_reserve(identity, SHA1_BASE64_BYTES + 1);
    int base64_length = EVP_EncodeBlock(base64, hash, SHA1_BYTES);
    MK_ASSERT(base64_length == SHA1_BASE64_BYTES);
    identity->length += SHA1_BASE64_BYTES;
}

static bool has_room(const struct mk_id_vector *identities, size_t more_bytes)
{
    return identities->count < IDENTITIES_MAX &&
           mk_id_vector_size(identities) + more_bytes <= IDENTITY_BYTES_MAX;
}

static int add_digest(struct replica *replica, struct connection *connection,
                      struct mk_bytes credentials)
{
    if (credentials.length < 0 || !replica->options.digest_enabled)
        return MK_ERR_AUTH_FAILED;
    if (!has_room(&connection->identities, mk_bytes_size(credentials))) {
        replica_complain(replica, COMPLAINT_IDENTITIES,
                         "refusing an identity of the connection from %s: a connection may have "
                         "%d identities of %zu bytes together, and this one has %d",
                         connection->address, IDENTITIES_MAX, IDENTITY_BYTES_MAX,
                         (int)connection->identities.count);
        return MK_ERR_AUTH_FAILED;
    }
    struct mk_buffer identity = MK_BUFFER_EMPTY;
    digest_identity(credentials, &identity);
    struct mk_bytes id = mk_buffer_bytes(&identity);
    if (replica->super_digest && mk_bytes_equal_string(id, replica->super_digest))
        add_identity(connection, "super", copy_bytes(MK_BYTES("")));
    add_identity(connection, "digest", copy_bytes(id));
    mk_buffer_fini(&identity);
    return 0;
}

int auth_add(struct replica *replica, struct connection *connection,
             const struct mk_auth_packet *packet)
{
    if (mk_bytes_equal_string(packet->scheme, "digest"))
        return add_digest(replica, connection, packet->auth);
    if (mk_bytes_equal_string(packet->scheme, "ip"))
        return 0; /* every connection has it already */
    return MK_ERR_AUTH_FAILED;
}
