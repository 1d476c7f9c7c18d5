/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Networks lie in a table of prefixes, whose numbers are places in a sorted array; other clients in
 * a sorted array of their own. Sorted by address and then by length, a network stands behind those
 * around it, so one pass with a stack finds for each the next one around: who is known by a network
 * only steps outwards until one holds all of it. Rejected: a hash table for MAC addresses, since a
 * group has few of them, and the order that finds one also finds what was given twice.
 */
#include "policy/groups.h"

#include <stdlib.h>
#include <string.h>

#include "policy/prefixes.h"

#define NONE UINT32_MAX
#define DEPTH_MAX 130 /* networks within one another, by lengths 0 … 128 */

struct network {
	struct prefix prefix;
	uint8_t group;
	uint32_t around; /* the next longer one that holds it, NONE where there is none */
};

struct known_client {
	struct address client;
	uint8_t group;
};

struct policy_groups {
	struct network *networks;
	size_t network_count;
	struct known_client *clients;
	size_t client_count;
	struct prefixes *prefixes; /* places in networks */
	bool has_macs;
};

struct policy_groups *policy_groups_new(void)
{
	return calloc(1, sizeof(struct policy_groups));
}

void policy_groups_free(struct policy_groups *groups)
{
	if (!groups)
		return;
	prefixes_free(groups->prefixes);
	free(groups->networks);
	free(groups->clients);
	free(groups);
}

/* Room for one more, by doubling. NULL: out of memory. */
static void *grow(void *items, size_t count, size_t size)
{
	if (count & (count - 1))
		return items;
	return reallocarray(items, count ? 2 * count : 1, size);
}

enum td_error policy_groups_add_prefix(
	struct policy_groups *groups, const struct prefix *prefix, uint8_t group)
{
	size_t octets = address_octets(&prefix->address);

	if (!address_is_ip(&prefix->address) || prefix->length > 8 * octets)
		return TD_INVALID;
	struct network *networks = grow(groups->networks, groups->network_count, sizeof(*networks));
	if (!networks)
		return TD_NOMEM;
	groups->networks = networks;
	networks[groups->network_count++] =
		(struct network){.prefix = *prefix, .group = group, .around = NONE};
	return TD_OK;
}

enum td_error policy_groups_add_client(
	struct policy_groups *groups, const struct address *client, uint8_t group)
{
	if (client->family != ADDRESS_MAC && client->family != ADDRESS_LABEL)
		return TD_INVALID;
	struct known_client *clients =
		grow(groups->clients, groups->client_count, sizeof(*clients));
	if (!clients)
		return TD_NOMEM;
	groups->clients = clients;
	clients[groups->client_count++] = (struct known_client){*client, group};
	groups->has_macs |= client->family == ADDRESS_MAC;
	return TD_OK;
}

/* --- sealing --- */

static int compare_addresses(const struct address *a, const struct address *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->octets, b->octets, sizeof(a->octets));
}

static int compare_networks(const void *a, const void *b)
{
	const struct network *x = a, *y = b;
	int order = compare_addresses(&x->prefix.address, &y->prefix.address);

	return order ? order : (int)x->prefix.length - (int)y->prefix.length;
}

static int compare_clients(const void *a, const void *b)
{
	const struct known_client *x = a, *y = b;

	return compare_addresses(&x->client, &y->client);
}

/* Keeps one of each that are equal in a sorted array. Returns how many are left. */
static size_t drop_repeated(
	void *items, size_t count, size_t size, int (*compare)(const void *, const void *))
{
	char *bytes = items;
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		if (kept && compare(bytes + (kept - 1) * size, bytes + i * size) == 0)
			continue;
		memmove(bytes + kept++ * size, bytes + i * size, size);
	}
	return kept;
}

static void find_around(struct policy_groups *groups)
{
	uint32_t stack[DEPTH_MAX];
	size_t depth = 0;

	for (uint32_t i = 0; i < groups->network_count; i++) {
		struct network *network = &groups->networks[i];
		while (depth && !prefix_contains(&groups->networks[stack[depth - 1]].prefix,
					&network->prefix.address))
			depth--;
		network->around = depth ? stack[depth - 1] : NONE;
		stack[depth++] = i;
	}
}

bool policy_groups_seal(struct policy_groups *groups)
{
	if (groups->network_count)
		qsort(groups->networks, groups->network_count, sizeof(*groups->networks),
			compare_networks);
	if (groups->client_count)
		qsort(groups->clients, groups->client_count, sizeof(*groups->clients),
			compare_clients);
	groups->network_count = drop_repeated(groups->networks, groups->network_count,
		sizeof(*groups->networks), compare_networks);
	groups->client_count = drop_repeated(
		groups->clients, groups->client_count, sizeof(*groups->clients), compare_clients);
	find_around(groups);
	groups->prefixes = prefixes_new();
	for (uint32_t i = 0; groups->prefixes && i < groups->network_count; i++) {
		if (prefixes_add(groups->prefixes, &groups->networks[i].prefix, i) != TD_OK)
			return false;
	}
	if (groups->prefixes)
		prefixes_seal(groups->prefixes);
	return groups->prefixes != NULL;
}

/* --- looking up --- */

bool policy_groups_have_macs(const struct policy_groups *groups)
{
	return groups->has_macs;
}

static uint8_t find_client(const struct policy_groups *groups, const struct address *client)
{
	struct known_client key = {.client = *client};
	const struct known_client *found =
		groups->client_count ? bsearch(&key, groups->clients, groups->client_count,
					       sizeof(key), compare_clients)
				     : NULL;

	return found ? found->group : 0;
}

static uint8_t find_network(
	const struct policy_groups *groups, const struct address *address, unsigned bits)
{
	uint32_t at;

	if (!prefixes_find(groups->prefixes, address, &at))
		return 0;
	while (at != NONE && groups->networks[at].prefix.length > bits)
		at = groups->networks[at].around;
	return at == NONE ? 0 : groups->networks[at].group;
}

uint8_t policy_groups_find(
	const struct policy_groups *groups, const struct address *client, const struct address *mac)
{
	struct address first = *client;
	uint8_t group = mac && mac->family == ADDRESS_MAC ? find_client(groups, mac) : 0;

	if (group)
		return group;
	switch (client->family) {
	case ADDRESS_V4:
	case ADDRESS_V6:
		return find_network(groups, client, 128);
	case ADDRESS_PREFIX_V4:
	case ADDRESS_PREFIX_V6:
		first.octets[15] = 0;
		first.family = client->family == ADDRESS_PREFIX_V4 ? ADDRESS_V4 : ADDRESS_V6;
		return find_network(groups, &first, client->octets[15]);
	default:
		return find_client(groups, client);
	}
}
