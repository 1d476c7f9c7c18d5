/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The order is: whom is it about (source, or what a trusted forwarder gave), is it excluded, which
 * of its forms is the client (address, prefix, MAC), and then the anonymous form of that. A worker
 * remembers the outcome for each source in a small table without chains; a change of the key or of
 * a neighbour makes it forget all of them, which costs a look-up each.
 *
 * Rejected: to look at the collector (a table on tmpfs would hold addresses that were to be held
 * nowhere), and a lock around the neighbours (a worker would wait for a thread that reads netlink).
 */
#include "resolver/telemetry/identity.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>

#define READS_MAX 4 /* of shared, while it is being written */

/* --- what changes --- */

#define NEIGHBOUR_SLOTS (2 * NEIGHBOURS_MAX)

struct neighbour_slot {
	_Atomic uint64_t address[2]; /* its octets as words */
	_Atomic uint64_t mac;        /* the six octets, then the address's family; 0: free */
};

struct identity_shared {
	_Atomic uint32_t sequence; /* odd while it is being written */
	_Atomic uint64_t key[2];   /* of pseudonyms */
	size_t neighbour_count;    /* the writer's own */
	struct hash_seed seed;     /* of the slots; never changes */
	struct neighbour_slot neighbours[NEIGHBOUR_SLOTS];
};

struct identity_shared *identity_shared_new(const struct hash_seed *seed)
{
	struct identity_shared *shared = mmap(
		NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return NULL;
	shared->seed = *seed;
	return shared;
}

void identity_shared_free(struct identity_shared *shared)
{
	if (shared)
		munmap(shared, sizeof(*shared));
}

static void write_begin(struct identity_shared *shared)
{
	uint32_t sequence = atomic_load_explicit(&shared->sequence, memory_order_relaxed);
	atomic_store_explicit(&shared->sequence, sequence + 1, memory_order_relaxed);
}

static void write_end(struct identity_shared *shared)
{
	atomic_fetch_add_explicit(&shared->sequence, 1, memory_order_release);
}

/* The sequence to read under; odd when it is being written. */
static uint32_t read_begin(const struct identity_shared *shared)
{
	return atomic_load_explicit(&shared->sequence, memory_order_acquire);
}

static bool read_was_good(const struct identity_shared *shared, uint32_t sequence)
{
	return sequence % 2 == 0 &&
	       atomic_load_explicit(&shared->sequence, memory_order_relaxed) == sequence;
}

/* Released and acquired one by one, which keeps them between the two looks at the sequence; fences
 * would do the same, but the thread sanitizer does not know them. */
static void store_word(_Atomic uint64_t *word, uint64_t value)
{
	atomic_store_explicit(word, value, memory_order_release);
}

static uint64_t load_word(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_acquire);
}

void identity_set_key(struct identity_shared *shared, const struct hash_seed *key)
{
	write_begin(shared);
	store_word(&shared->key[0], key->k0);
	store_word(&shared->key[1], key->k1);
	write_end(shared);
}

static uint64_t mac_word(const uint8_t mac[6], uint8_t family)
{
	uint64_t word = 0;
	for (int i = 0; i < 6; i++)
		word = word << 8 | mac[i];
	return word << 8 | family;
}

/* The slot of an address, or the free one where it would be. There is always a free one: at most
 * half of them are taken. */
static size_t find_slot(const struct identity_shared *shared, const struct address *address)
{
	uint64_t words[2];
	memcpy(words, address->octets, sizeof(words));
	size_t at = hash_bytes(&shared->seed, address, sizeof(*address)) % NEIGHBOUR_SLOTS;
	for (size_t i = 0; i < NEIGHBOUR_SLOTS; i++, at = (at + 1) % NEIGHBOUR_SLOTS) {
		const struct neighbour_slot *slot = &shared->neighbours[at];
		uint64_t mac = load_word(&slot->mac);
		if (mac == 0 || ((mac & 0xff) == address->family &&
					load_word(&slot->address[0]) == words[0] &&
					load_word(&slot->address[1]) == words[1]))
			break;
	}
	return at;
}

bool identity_set_neighbour(
	struct identity_shared *shared, const struct address *address, const uint8_t mac[6])
{
	struct neighbour_slot *slot = &shared->neighbours[find_slot(shared, address)];
	uint64_t word = mac_word(mac, address->family), before = load_word(&slot->mac);
	uint64_t words[2];

	if (before == word)
		return true;
	if (before == 0 && shared->neighbour_count == NEIGHBOURS_MAX)
		return false;
	memcpy(words, address->octets, sizeof(words));
	write_begin(shared);
	store_word(&slot->address[0], words[0]);
	store_word(&slot->address[1], words[1]);
	store_word(&slot->mac, word);
	write_end(shared);
	shared->neighbour_count += before == 0;
	return true;
}

bool identity_find_neighbour(
	const struct identity_shared *shared, const struct address *address, struct address *mac)
{
	for (int i = 0; i < READS_MAX; i++) {
		uint32_t sequence = read_begin(shared);
		uint64_t word = load_word(&shared->neighbours[find_slot(shared, address)].mac);
		if (!read_was_good(shared, sequence))
			continue;
		uint8_t octets[6];
		for (int k = 5; k >= 0; k--)
			octets[k] = (uint8_t)(word >> (8 * (6 - k)));
		if (word != 0)
			*mac = address_mac(octets);
		return word != 0;
	}
	return false;
}

/* --- rules --- */

struct identity_rules {
	struct identity_config config; /* without exclude */
	struct identity_shared *own;   /* NULL: it was given */
	struct prefix *prefixes;
	struct address *clients;
	struct name *names; /* folded */
	size_t prefix_count, client_count, name_count;
	bool excludes_mac;
};

/* True for exactly one of the three, which is filled in. */
static bool exclude_read(
	const char *text, struct prefix *prefix, struct address *client, struct name *name)
{
	*prefix = (struct prefix){0};
	*client = (struct address){0};
	*name = (struct name){0};
	if (prefix_from_text(prefix, text) == TD_OK || client_from_text(client, text))
		return true;
	/* A wildcard would stand for itself: names below one are excluded without. */
	if (strpbrk(text, "/:* \t") ||
		name_from_text(name, text, strlen(text)) != TD_OK || name->length == 1)
		return false;
	name_fold(name->wire, name->wire, name->length);
	return true;
}

bool identity_exclude_check(const char *text)
{
	struct prefix prefix;
	struct address client;
	struct name name;
	return exclude_read(text, &prefix, &client, &name);
}

static bool exclude_add(struct identity_rules *rules, const char *text)
{
	struct prefix prefix;
	struct address client;
	struct name name;
	if (!exclude_read(text, &prefix, &client, &name))
		return false;
	if (name.length)
		rules->names[rules->name_count++] = name;
	else if (client.family != ADDRESS_NONE)
		rules->clients[rules->client_count++] = client;
	else
		rules->prefixes[rules->prefix_count++] = prefix;
	rules->excludes_mac |= client.family == ADDRESS_MAC;
	return true;
}

static int compare_names(const void *a, const void *b)
{
	const struct name *x = a, *y = b;
	if (x->length != y->length)
		return x->length < y->length ? -1 : 1;
	return memcmp(x->wire, y->wire, x->length);
}

static bool rules_fill(struct identity_rules *rules, const struct identity_config *config)
{
	size_t count = config->exclude_count + 1;
	rules->prefixes = calloc(count, sizeof(*rules->prefixes));
	rules->clients = calloc(count, sizeof(*rules->clients));
	rules->names = calloc(count, sizeof(*rules->names));
	if (!rules->prefixes || !rules->clients || !rules->names)
		return false;
	for (size_t i = 0; i < config->exclude_count; i++) {
		if (!exclude_add(rules, config->exclude[i]))
			return false;
	}
	qsort(rules->names, rules->name_count, sizeof(*rules->names), compare_names);
	rules->config = *config;
	rules->config.exclude = NULL;
	if (!config->shared)
		rules->config.shared = rules->own = identity_shared_new(&(struct hash_seed){0});
	return rules->config.shared != NULL;
}

struct identity_rules *identity_rules_new(const struct identity_config *config)
{
	struct identity_rules *rules = calloc(1, sizeof(*rules));
	if (!rules || rules_fill(rules, config))
		return rules;
	identity_rules_free(rules);
	return NULL;
}

void identity_rules_free(struct identity_rules *rules)
{
	if (!rules)
		return;
	identity_shared_free(rules->own);
	free(rules->prefixes);
	free(rules->clients);
	free(rules->names);
	free(rules);
}

bool identity_exclude_is_mac(const char *text)
{
	struct address client;
	return client_from_text(&client, text) && client.family == ADDRESS_MAC;
}

bool identity_is_on(const struct identity_rules *rules)
{
	return rules->config.anonymize != ANONYMIZE_OFF ||
	       rules->config.client != CLIENT_IS_ADDRESS || rules->prefix_count ||
	       rules->client_count || rules->name_count;
}

/* A prefix as its first address, with its length; an address has all its bits. */
static struct address first_address(const struct address *client, unsigned *bits)
{
	struct address first = *client;
	*bits = 128;
	if (client->family != ADDRESS_PREFIX_V4 && client->family != ADDRESS_PREFIX_V6)
		return first;
	*bits = client->octets[15];
	first.octets[15] = 0;
	first.family = client->family == ADDRESS_PREFIX_V4 ? ADDRESS_V4 : ADDRESS_V6;
	return first;
}

static bool is_excluded(const struct identity_rules *rules, const struct address *client)
{
	unsigned bits;
	struct address first = first_address(client, &bits);
	for (size_t i = 0; i < rules->prefix_count; i++) {
		if (rules->prefixes[i].length <= bits &&
			prefix_contains(&rules->prefixes[i], &first))
			return true;
	}
	for (size_t i = 0; i < rules->client_count; i++) {
		if (address_equal(&rules->clients[i], client))
			return true;
	}
	return false;
}

/* By the MAC address that the neighbour table has for it. */
static bool is_mac_excluded(const struct identity_rules *rules, const struct address *address)
{
	struct address mac;
	return rules->excludes_mac && address_is_ip(address) &&
	       identity_find_neighbour(rules->config.shared, address, &mac) &&
	       is_excluded(rules, &mac);
}

/* True when the folded name is an excluded one or below it. */
static bool is_name_excluded(const struct identity_rules *rules, const uint8_t *wire, size_t length)
{
	struct name suffix;
	if (rules->name_count == 0 || !wire)
		return false;
	for (; length > 1; length -= 1 + (size_t)wire[0], wire += 1 + (size_t)wire[0]) {
		suffix.length = (uint8_t)length;
		memcpy(suffix.wire, wire, length);
		if (bsearch(&suffix, rules->names, rules->name_count, sizeof(suffix),
			    compare_names))
			return true;
	}
	return false;
}

/* --- a worker's side --- */

/* Takes the key; what was remembered before the last change is forgotten. While shared is being
 * written, what was true before goes on. */
static void catch_up(struct identity *identity)
{
	const struct identity_shared *shared = identity->rules->config.shared;
	uint32_t sequence = read_begin(shared);
	if (sequence == identity->sequence)
		return;
	struct hash_seed key = {load_word(&shared->key[0]), load_word(&shared->key[1])};
	if (!read_was_good(shared, sequence))
		return;
	identity->key = key;
	identity->sequence = sequence;
	memset(identity->cache, 0, sizeof(identity->cache));
}

void identity_init(struct identity *identity, const struct identity_rules *rules)
{
	identity->rules = rules;
	identity->sequence = 1; /* none that is ever read well: all has to be taken anew */
	catch_up(identity);
}

void identity_set_rules(struct identity *identity, const struct identity_rules *rules)
{
	identity->rules = rules;
	memset(identity->cache, 0, sizeof(identity->cache));
}

/* The address or prefix a client has at any rate, as a prefix of at most so many bits. */
static struct address shortened(const struct identity_rules *rules, const struct address *client)
{
	unsigned bits, most;
	struct address first = first_address(client, &bits);
	most = first.family == ADDRESS_V4 ? rules->config.anonymize_v4 : rules->config.anonymize_v6;
	return address_prefix(&first, bits < most ? bits : most);
}

static struct address by_kind(const struct identity_rules *rules, const struct address *address)
{
	struct address mac;
	if (rules->config.client == CLIENT_IS_PREFIX && address->family == ADDRESS_V6)
		return address_prefix(address, rules->config.prefix_v6);
	if (rules->config.client == CLIENT_IS_MAC &&
		identity_find_neighbour(rules->config.shared, address, &mac))
		return mac;
	return *address;
}

static struct address choose(const struct identity_rules *rules, const struct address *source,
	const struct forwarded *given)
{
	bool has_mac = given->mac.family != ADDRESS_NONE;
	if (has_mac && rules->config.client == CLIENT_IS_MAC)
		return given->mac;
	if (address_is_ip(&given->client))
		return by_kind(rules, &given->client);
	if (has_mac)
		return given->mac;
	if (given->client.family != ADDRESS_NONE)
		return given->client;
	return by_kind(rules, source);
}

static struct address anonymous(const struct identity *identity, const struct address *source,
	const struct forwarded *given, const struct address *client)
{
	const struct identity_rules *rules = identity->rules;
	switch (rules->config.anonymize) {
	case ANONYMIZE_OFF:
		break;
	case ANONYMIZE_PREFIX:
		if (given->client.family != ADDRESS_NONE && given->client.family != ADDRESS_LABEL)
			return shortened(rules, &given->client);
		return shortened(rules, source);
	case ANONYMIZE_HASH:
		return address_pseudonym(hash_bytes_shown(&identity->key, client, sizeof(*client)));
	}
	return *client;
}

static struct address identify(const struct identity *identity, const struct address *source,
	const struct forwarded *given)
{
	const struct identity_rules *rules = identity->rules;
	struct address client = choose(rules, source, given);
	if (is_excluded(rules, source) || is_excluded(rules, &client) ||
		is_excluded(rules, &given->client) || is_excluded(rules, &given->mac) ||
		is_mac_excluded(rules, source) || is_mac_excluded(rules, &given->client))
		return address_excluded();
	return anonymous(identity, source, given, &client);
}

/* As identify, of a client without a forwarder. */
static struct address identify_source(struct identity *identity, const struct address *source)
{
	static const struct forwarded none;
	uint64_t words[2];
	memcpy(words, source->octets, sizeof(words));
	size_t at = ((words[0] ^ words[1]) * UINT64_C(0x9e3779b97f4a7c15)) >> 55;
	_Static_assert(IDENTITY_CACHE == 1 << (64 - 55), "the hash has as many bits as are used");
	if (!address_equal(&identity->cache[at].source, source)) {
		identity->cache[at].client = identify(identity, source, &none);
		identity->cache[at].source = *source;
	}
	return identity->cache[at].client;
}

static void forget_all(struct transaction *t)
{
	t->client = (struct endpoint){.address = address_excluded()};
	t->address = (struct address){0};
	t->qname = NULL;
	t->qname_length = 0;
	t->rule = NULL;
	t->zone = ZONE_ID_NONE;
	t->answer_id = 0;
}

/* A rule about an address of clients says who the client is, a pseudonym's too. */
static const char *anonymous_rule(const char *rule)
{
	static const char by_client[] = "rpz-client-ip.";
	size_t length = rule ? strlen(rule) : 0, end = sizeof(by_client) - 1;

	return length > end && strcasecmp(rule + length - end, by_client) == 0 ? by_client : rule;
}

void identity_apply(struct identity *identity, struct transaction *t)
{
	const struct identity_rules *rules = identity->rules;
	const struct address *source = &t->client.address;

	catch_up(identity);
	struct address client = t->given ? identify(identity, source, t->given)
					 : identify_source(identity, source);
	if (client.family == ADDRESS_EXCLUDED ||
		is_name_excluded(rules, t->qname, t->qname_length)) {
		forget_all(t);
		return;
	}
	bool differs = !address_equal(&client, &t->client.address);
	t->address = differs && rules->config.anonymize == ANONYMIZE_OFF ? t->client.address
									 : (struct address){0};
	t->client.address = client;
	if (rules->config.anonymize != ANONYMIZE_OFF)
		t->rule = anonymous_rule(t->rule);
}
