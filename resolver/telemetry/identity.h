/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who a client is, in everything that is counted, recorded and shown: its address, the prefix or
 * the MAC address that stays the same while addresses change, or what a trusted forwarder said; a
 * pseudonym or a prefix instead of any of these (`anonymize`), or nobody (`exclude`). Decided once,
 * by the worker, before anything is stored.
 *
 *   main thread: identity_shared (key, neighbours) ──(seqlock)──→ workers: identity_apply
 *
 * Rules are immutable. What changes while the daemon runs lies in struct identity_shared: one
 * writer, any number of readers, nobody waits.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/base/hash.h"
#include "lib/dns/address.h"
#include "lib/dns/name.h"
#include "resolver/telemetry/transaction.h"

enum anonymize { ANONYMIZE_OFF, ANONYMIZE_PREFIX, ANONYMIZE_HASH };
enum client_identity { CLIENT_IS_ADDRESS, CLIENT_IS_PREFIX, CLIENT_IS_MAC };

/* --- what changes --- */

#define NEIGHBOURS_MAX \
	8192 /* addresses whose MAC address is known; more are clients of their own */

struct identity_shared;

/* All of it empty. NULL: out of memory. Pages of neighbours that are not used are never touched. */
struct identity_shared *identity_shared_new(const struct hash_seed *seed);
void identity_shared_free(struct identity_shared *shared);

/* The one writer. Pseudonyms are other ones from now on. */
void identity_set_key(struct identity_shared *shared, const struct hash_seed *key);
/* False when the table is full. An address keeps its entry when the neighbour goes away: its last
 * MAC address is the best that is known of it. */
bool identity_set_neighbour(
	struct identity_shared *shared, const struct address *address, const uint8_t mac[6]);

/* Any thread. False when it is not known, or the writer was at it each time we looked. */
bool identity_find_neighbour(
	const struct identity_shared *shared, const struct address *address, struct address *mac);

/* --- rules --- */

struct identity_config {
	enum anonymize anonymize;
	enum client_identity client;
	unsigned anonymize_v4, anonymize_v6; /* bits that remain: up to 32 and 120 */
	unsigned prefix_v6;                  /* bits that are one client, CLIENT_IS_PREFIX */
	const char *const *exclude;          /* as exclude_check takes them */
	size_t exclude_count;
	struct identity_shared *shared; /* outlives the rules; NULL: an empty one of their own */
};

/* An entry of `exclude`: an address, a prefix, any other client (client_from_text), else a domain
 * name, with all below it. */
bool identity_exclude_check(const char *text);
/* True for one that takes identity_set_neighbour to be told of all neighbours. */
bool identity_exclude_is_mac(const char *text);

struct identity_rules;

/* NULL: out of memory, or an entry of exclude that is none of these. */
struct identity_rules *identity_rules_new(const struct identity_config *config);
void identity_rules_free(struct identity_rules *rules);

/* False when every client is the address it came from, and no one is excluded. */
bool identity_is_on(const struct identity_rules *rules);

/* --- a worker's side --- */

#define IDENTITY_CACHE 512 /* clients whose identity is remembered */

struct identity {
	const struct identity_rules *rules;
	uint32_t sequence; /* of shared, when the cache was filled */
	struct hash_seed key;
	struct {
		struct address source, client;
	} cache[IDENTITY_CACHE];
};

/* rules outlive it. In the thread that writes shared, so that the key is there. */
void identity_init(struct identity *identity, const struct identity_rules *rules);

/* Other rules over the same shared; the thread that uses the identity. */
void identity_set_rules(struct identity *identity, const struct identity_rules *rules);

/*
 * Puts the identity in place of the client's address; `address` of the transaction becomes the
 * source where it differs and may be kept, else none. Of an excluded one nothing is left but what
 * is counted: no name, no rule, no port.
 */
void identity_apply(struct identity *identity, struct transaction *transaction);
