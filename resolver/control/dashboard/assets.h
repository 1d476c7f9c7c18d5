/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The files of the page. They are part of the program (embed.sh writes web/ into a C file at build,
 * the list is DASHBOARD_WEB in local.mk); Chart.js is read once, at the start, from where Debian
 * has it. Each is kept compressed as well.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct asset {
	const char *name; /* "app.css", served as /app.css */
	const char *type; /* of its content */
	const void *data;
	size_t size;
	void *gzip; /* NULL: not worth it, or this build cannot */
	size_t gzip_size;
	char etag[24],
		gzip_etag[24]; /* with their quotes; two forms, so two tags (RFC 9110, 8.8.3.3) */
};

/* What embed.sh wrote. */
struct embedded_file {
	const char *name;
	const unsigned char *data;
	size_t size;
};
extern const struct embedded_file embedded_files[];
extern const size_t embedded_file_count;

/* chart: the path of Chart.js. Once, before threads start. False: out of memory. */
bool assets_load(const char *chart);
void assets_free(void);

/* NULL: there is none of that name. Immutable between load and free. */
const struct asset *assets_find(const char *name);
