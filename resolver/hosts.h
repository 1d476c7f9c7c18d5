/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Names out of hosts files, answered here whatever the upstream servers say or whether they live.
 * One set of files is one immutable snapshot; text in, snapshot out, no I/O. Made by the main
 * thread, looked up by any.
 *
 * Left out is what is only true on the machine whose file it is: loopback, link-local and multicast
 * addresses, and the name localhost. Debian's line "127.0.1.1 myhost" told to a network would send
 * every client to itself.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/dns/address.h"
#include "policy/policy.h"

#define HOSTS_FILES_MAX 64
#define HOSTS_NAMES_MAX 1000000 /* pairs of name and address in all files; more are counted */

struct hosts {
	struct policy_index *index; /* one zone of local data: A, AAAA, PTR */
	uint32_t ttl_s;             /* of its records and denials */
	size_t names;               /* pairs of a name and an address that are served */
	size_t left_out;            /* of such pairs, see above */
	size_t skipped;             /* lines and names that could not be understood */
	size_t dropped;             /* pairs beyond the bound */
	unsigned users;             /* sites that have it; of the main thread */
};

struct hosts_builder;

struct hosts_builder *hosts_builder_new(uint32_t ttl_s); /* NULL: out of memory */
void hosts_builder_free(struct hosts_builder *builder);  /* NULL is fine */

/*
 * Adds a file's text. Names of one file, or of several, may have several addresses, and an address
 * several names; the first name of the first line of an address is that of its PTR record. What is
 * bad is reported with its line, and the rest is served. TD_NOMEM.
 */
enum td_error hosts_builder_add(struct hosts_builder *builder, const char *source, const char *text,
	size_t size, policy_report_fn *report, void *context);

/* The snapshot; the builder is freed in any case and the pointer set to NULL. NULL: out of memory.
 */
struct hosts *hosts_builder_finish(struct hosts_builder **builder);
void hosts_free(struct hosts *hosts); /* NULL is fine */

/* Whether this folded name is a host's, or the name of its address; *match is of hosts->index. */
bool hosts_find(const struct hosts *hosts, const uint8_t *folded, size_t length,
	struct policy_match *match);

/* Whether an address is one that is not told to others. */
bool hosts_leaves_out(const struct address *address);
