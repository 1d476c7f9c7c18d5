/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What clients are called: by hosts files, by DHCP leases, and by reverse lookups through the
 * configured upstream servers, those of sections forward among them. The source named first counts. Files are looked at every few
 * seconds and read again when they changed. A name is what somebody says of an address: it is
 * shown beside the client, and never in its place.
 *
 * One thread (that of the loop) owns it; client_names_find and client_names_generation may be
 * called by any. A mutex guards what was found; it is never held across a system call.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/hash.h"
#include "lib/dns/address.h"
#include "resolver/name_files.h"
#include "resolver/upstream/route_table.h"

#define CLIENT_NAME_SIZE (HOST_NAME_MAX_OCTETS + 1)
#define CLIENT_NAME_SOURCES_MAX 16
#define CLIENT_NAMES_MAX 65536   /* addresses of one source; the rest have no name by it */
#define CLIENT_REVERSE_MAX 16384 /* addresses whose reverse lookup is remembered */

struct event_base;
struct client_names;

struct client_names_config {
	const char *const *sources; /* as name_source_read takes them; during the call only */
	size_t source_count;
	/* For "ptr": the servers, given to client_names, and who may be looked up. That outlives
	 * client_names; an address outside of allow, which may change meanwhile, is never asked
	 * about. */
	struct route_table *servers;
	unsigned upstream_timeout_ms, upstream_idle_timeout_ms;
	bool randomize_case, upstream_cookies;
	const struct tls_context *tls; /* NULL where no server is one of TLS */
	const struct prefix *const *allow;
	const size_t *allow_count;
	struct hash_seed seed;
};

/* Reads all files once. NULL: out of memory, or a source that is none of these; servers are freed. */
struct client_names *client_names_new(
	const struct client_names_config *config, struct event_base *base);
void client_names_free(struct client_names *names); /* NULL is fine */

/* Takes these sources in place of those before; files are read first, so that no name is missing
 * meanwhile. False: as client_names_new, and nothing changed. */
bool client_names_set_sources(
	struct client_names *names, const char *const *sources, size_t source_count);

/* Reverse look-ups go to these servers from now on, which are given to client_names. */
void client_names_set_servers(
	struct client_names *names, struct route_table *servers, unsigned timeout_ms);

/* A host with this MAC address uses this address: what its address is called, it is called. */
void client_names_add_neighbour(
	struct client_names *names, const struct address *address, const struct address *mac);

/* The client's name, an address or a MAC address; out holds CLIENT_NAME_SIZE. False when it has
 * none; then a reverse lookup may follow. */
bool client_names_find(struct client_names *names, const struct address *client, char *out);

/* Another number whenever some name may have changed. */
uint32_t client_names_generation(const struct client_names *names);
