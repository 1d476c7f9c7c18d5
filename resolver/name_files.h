/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Names of hosts from the files that other programs keep: hosts(5), and the leases of dnsmasq, ISC
 * dhcpd and Kea (memfile). Octets in, finds out: no I/O, no clock. The files are written while they
 * are read: a line without its end is passed over, and what cannot be understood is skipped.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/dns/address.h"

enum name_format { NAMES_HOSTS, NAMES_DNSMASQ, NAMES_ISC, NAMES_KEA };

#define HOST_NAME_MAX_OCTETS 240 /* PENDING_FIELD_MAX */

/*
 * A host's address, its MAC address (family 0: none), and its name: at most HOST_NAME_MAX_OCTETS of
 * 0x21 … 0x7e without quotes and backslashes, no NUL, no final dot. Length 0: the address has no
 * name (any more); what was found for it before in the same text is void. MAC addresses are only
 * given together with a name.
 */
typedef void name_found_fn(void *context, const struct address *address, const struct address *mac,
	const char *name, size_t length);

/* Leases that ended before now_s (Unix time) are as if they had no name. */
void name_file_read(enum name_format format, const char *text, size_t size, int64_t now_s,
	name_found_fn *found, void *context);

/*
 * Every name of a hosts file, also on a last line without an end. first: it is the first of its
 * line, which is what the host is called; the others are aliases. It belongs to text, is not
 * NUL-terminated, and may be no domain name.
 */
typedef void hosts_found_fn(void *context, unsigned line, const struct address *address,
	const char *name, size_t length, bool first);
/* A line that cannot be understood, which is passed over. */
typedef void hosts_bad_fn(void *context, unsigned line, const char *words);
void hosts_file_read(const char *text, size_t size, hosts_found_fn *found, hosts_bad_fn *bad,
	void *context);

/*
 * A source of names as the configuration has it: "hosts:/PATH", "dnsmasq:/PATH", "isc:/PATH",
 * "kea:/PATH", or "ptr", which has no path (NULL) and no format. *path points into text. False when
 * it is none of these.
 */
bool name_source_read(const char *text, enum name_format *format, const char **path);
