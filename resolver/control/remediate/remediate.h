/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What `teredown remediate` and `teredown verify` share: hosts that asked for tunnels, marks of
 * those that were remediated, and text for other interpreters.
 *
 * Names come from DHCP and DNS, clients from Redis: both are hostile. A script names a host only if
 * remedy_is_host says so, or by an address that was parsed and printed anew, so nothing that could
 * end a quotation, a comment or a line ever gets there; it is quoted all the same. Results live in
 * the arena of the command line. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/strbuf.h"
#include "resolver/control/cli.h"
#include "resolver/control/fleet.h"

#define REMEDY_HOSTS_MAX 10000

/* --- text (remediate_text.c) --- */

/* A name that a script may use for a host: letters, digits, '-', '_' and '.', 1 to 253 of them,
 * each label beginning with a letter or digit; no address, no name of the machine that runs the
 * script. */
bool remedy_is_host(const char *text);

/* As one word: for a POSIX shell, and verbatim for PowerShell. Bytes outside 0x20..0x7e become '?':
 * PowerShell takes some Unicode quotes for quotes. */
void remedy_quote_shell(struct strbuf *out, const char *text);
void remedy_quote_powershell(struct strbuf *out, const char *text);

/* --- hits and marks (remediate_hosts.c) --- */

/* Hits of all tunnel zones of our configuration together. */
struct remedy_hit {
	const char *client;
	uint64_t hits;
	int64_t last_ms; /* 0 unknown */
};
struct remedy_hits {
	struct remedy_hit *rows; /* by client */
	size_t count;
	uint64_t beyond; /* clients that were not read */
};
enum td_error remedy_read_hits(struct cli *cli, struct fleet *fleet, struct remedy_hits *out);
const struct remedy_hit *remedy_find_hit(const struct remedy_hits *hits, const char *client);

struct remedy_mark {
	const char *client;
	int64_t at_ms;
	const char *by, *method;
};
struct remedy_marks {
	struct remedy_mark *rows; /* by client; the newest where several resolvers have one */
	size_t count;
};
enum td_error remedy_read_marks(struct cli *cli, struct fleet *fleet, struct remedy_marks *out);
const struct remedy_mark *remedy_find_mark(const struct remedy_marks *marks, const char *client);

/* The tunnel zones as an array of JSON. */
void remedy_zones_json(const struct options *options, struct strbuf *out);

struct remedy_host {
	const char *client;     /* as it is recorded */
	const char *name;       /* as the network has it, hostile; NULL none */
	const char *host;       /* how scripts name it; NULL: they cannot */
	struct address address; /* of the client; family 0: it is no IP address */
	bool again;             /* an earlier row has the same host */
	bool miredo;    /* it asks for servers that miredo comes with, and for none of Windows */
	bool forwarder; /* others ask through it */
	uint64_t hits;
	int64_t last_ms;
	const struct remedy_mark *mark; /* NULL none */
};
struct remedy_hosts {
	struct remedy_host *rows; /* most hits first */
	size_t count;
	uint64_t beyond; /* hosts that are missing here */
};

/* Who asked for tunnels and, with marked, who was remediated. client: this one only, told by the
 * client or its name; NULL: all. */
enum td_error remedy_read_hosts(struct cli *cli, struct fleet *fleet, const char *client,
	bool marked, struct remedy_hosts *out);

/* --- scripts --- */

struct remedy {
	const struct remedy_hosts *hosts; /* who has a host and is no forwarder goes into scripts */
	const char *resolver;             /* hostile */
	int64_t now_ms;
	bool undo;
	bool one;     /* the hosts are those of --client */
	bool windows; /* for hosts with Windows: who has miredo is left out */
};

/* Whether a script names this host. */
bool remedy_wants(const struct remedy *remedy, const struct remedy_host *host);
size_t remedy_wanted(const struct remedy *remedy);

/* "  192.168.1.40, 1204 hits, last 2026-…": harmless text about a host, for a comment. */
void remedy_append_about(struct strbuf *out, const struct remedy_host *host);
/* Lines before a script, each after comment: what it is, and who is missing in it. */
void remedy_append_head(
	struct strbuf *out, const struct remedy *remedy, const char *comment, const char *what);
/* Lines about what may break and how to look, each after comment. */
void remedy_append_notes(struct strbuf *out, const char *comment);

typedef void remedy_append_fn(struct strbuf *out, const struct remedy *remedy);
remedy_append_fn remedy_append_powershell; /* remediate_powershell.c */
remedy_append_fn remedy_append_netsh, remedy_append_registry, remedy_append_gpo,
	remedy_append_intune;            /* remediate_windows.c */
remedy_append_fn remedy_append_linux;    /* remediate_linux.c */
remedy_append_fn remedy_append_firewall; /* remediate_firewall.c */
