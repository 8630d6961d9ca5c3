/* SPDX-License-Identifier: MIT */
/* Access control lists: each distinct list is stored once, with a reference number and a
 * count of its users, and checked against the identities of a connection.
 * Rules: client-protocol reference, section 8; references on disk: storage reference, 5.3.
 * The table owns copies of the lists; it is used by the tree that it belongs to and by ops,
 * in one thread. */
#ifndef TREE_ACL_H
#define TREE_ACL_H

#include "wire/records.gen.h"

/* The built-in open list (world:anyone, all permissions) of nodes made without an explicit
 * list; -1 on disk. It is not counted and never in the map. */
#define ACL_OPEN_UNSAFE ((uint32_t)0xffffffffu)

struct acl_table;

struct acl_table *acl_table_new(uint64_t hash_seed);
void acl_table_free(struct acl_table *table);

/* The reference of this list (order matters), made if new; counts one user more. Numbers
 * start at 1 and grow; past 2^32 they start again with those that are free. The list (count
 * at least 0) is copied. */
uint32_t acl_intern(struct acl_table *table, const struct mk_acl_vector *acl);
/* One user more or less of a list that is already there. The last release frees it. Both
 * ignore ACL_OPEN_UNSAFE and numbers that are not in the table; retain then tells so: false
 * when the reference dangles. */
bool acl_retain(struct acl_table *table, uint32_t reference);
void acl_release(struct acl_table *table, uint32_t reference);
/* While a snapshot is loaded: the list under the number it has on disk, without a user. A
 * number that is taken already gets the new list. Neither 0 nor ACL_OPEN_UNSAFE. */
void acl_define(struct acl_table *table, uint32_t reference, const struct mk_acl_vector *acl);
/* Never hands out this number, nor one below: a node refers to it although the table does not
 * have it (a fuzzy snapshot), and must not get a list that was never its own. */
void acl_reserve(struct acl_table *table, uint32_t reference);
/* Frees lists without users (after a snapshot was loaded). */
void acl_collect(struct acl_table *table);
/* NULL when the number is not in the table (a dangling reference of a fuzzy snapshot). The
 * list stays valid until its last user is gone. */
const struct mk_acl_vector *acl_get(const struct acl_table *table, uint32_t reference);
/* Lists that are stored, the open one left out. */
uint32_t acl_count(const struct acl_table *table);
/* Users of a list; 0 for a number that is not in the table. */
uint64_t acl_user_count(const struct acl_table *table, uint32_t reference);
/* A count that rises with every new list, and its value when this list (which must be there)
 * was made: tells what is newer than a moment although numbers start again. */
uint64_t acl_serial(const struct acl_table *table);
uint64_t acl_serial_of(const struct acl_table *table, uint32_t reference);
/* Visits every list in ascending order of number, the open one left out. */
void acl_visit(const struct acl_table *table,
               void (*visit)(void *context, uint32_t reference, const struct mk_acl_vector *acl),
               void *context);

/* True if one of `permissions` is granted to one of the identities: an empty list or an
 * identity of scheme "super" grants all; NULL (a dangling reference) grants nothing to others;
 * otherwise an entry with one of the permission bits
 * and (world, anyone), an equal id, or for scheme "ip" an address within the prefix. */
bool acl_permits(const struct mk_acl_vector *acl, int32_t permissions,
                 const struct mk_id_vector *identities);
/* The same for a list by its number, quickly where it grants that to everyone. */
bool acl_allows(const struct acl_table *table, uint32_t reference, int32_t permissions,
                const struct mk_id_vector *identities);
/* True if `id` is an address or address/bits that scheme "ip" accepts (IPv4 and IPv6). */
bool acl_ip_is_valid(struct mk_bytes id);

#endif
