/* SPDX-License-Identifier: BSD-3-Clause */
/* Which hosts `teredown probe` is to ask: words of the command line and lists as scanners write
 * them; and their addresses. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/base/arena.h"
#include "lib/base/strbuf.h"
#include "resolver/control/probe.h"

#define PROBE_HOST_MAX 254       /* a host's name with its NUL */
#define PROBE_LIST_FAULTS_MAX 20 /* shown one by one */
#define PROBE_ADDRESSES_MAX 16   /* of one name that are asked */

/* A host as it was given. */
struct probe_host {
	const char *name; /* without the port */
	uint16_t port;
	const char *file; /* NULL: the command line */
	unsigned line;
};

struct probe_list {
	struct arena arena; /* the names */
	struct probe_host *hosts;
	size_t count, capacity;
	unsigned faults;
	struct strbuf messages; /* one line a fault, the first PROBE_LIST_FAULTS_MAX */
};

void probe_list_init(struct probe_list *list);
void probe_list_deinit(struct probe_list *list);

/* HOST or HOST:PORT; a fault is counted and told. */
void probe_list_add(
	struct probe_list *list, const char *word, uint16_t port, const char *file, unsigned line);

/*
 * Hosts between blanks, any number a line; '#' begins a comment; the ends of lines may be DOS's,
 * and a byte order mark may stand in front. name is for messages. False when the file cannot be
 * read.
 */
bool probe_list_read(struct probe_list *list, FILE *file, const char *name, uint16_t port);

/*
 * The IPv4 addresses of a host, by the system's resolver, which may take its time; at most max.
 * 0: *why says it.
 */
size_t probe_list_resolve(
	const struct probe_host *host, struct endpoint out[], size_t max, const char **why);
