/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One array, filled once and only read afterwards. Rejected: reading web/ from a folder at run
 * time, which would have to be found, could be half of another version, and would be a path to
 * traverse.
 */
#include "config.h"

#include "resolver/control/dashboard/assets.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "resolver/control/dashboard/gzip.h"

#define CHART_MAX (4 << 20)

static struct asset *assets;
static size_t asset_count;
static char *chart_data; /* of Chart.js */

static const char *type_of(const char *name)
{
	static const struct {
		const char *end, *type;
	} types[] = {
		{".html", "text/html; charset=utf-8"},
		{".css", "text/css; charset=utf-8"},
		{".js", "text/javascript; charset=utf-8"},
		{".json", "application/json"},
		{".svg", "image/svg+xml"},
		{".png", "image/png"},
	};
	const char *dot = strrchr(name, '.');

	for (size_t i = 0; dot && i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(dot, types[i].end) == 0)
			return types[i].type;
	return "application/octet-stream";
}

/* FNV-1a: it tells versions apart, nobody gains by making two files collide that we wrote. */
static uint64_t sum(const unsigned char *data, size_t size)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ data[i]) * UINT64_C(0x100000001b3);
	return hash;
}

static void add(const char *name, const void *data, size_t size)
{
	struct asset *asset = &assets[asset_count++];
	unsigned long long hash = sum(data, size);

	*asset = (struct asset){.name = name, .type = type_of(name), .data = data, .size = size};
	snprintf(asset->etag, sizeof(asset->etag), "\"%016llx\"", hash);
	snprintf(asset->gzip_etag, sizeof(asset->gzip_etag), "\"%016llx-gz\"", hash);
	asset->gzip = gzip_pack(data, size, GZIP_BEST, &asset->gzip_size);
}

/* The whole file; NULL, and said so, when there is none. */
static char *read_chart(const char *path, size_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat info;
	char *data = NULL;

	*size = 0;
	if (fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size <= CHART_MAX)
		data = malloc((size_t)info.st_size + 1);
	for (ssize_t got = 1; data && got > 0 && *size < (size_t)info.st_size; *size += (size_t)got)
		if ((got = read(fd, data + *size, (size_t)info.st_size - *size)) < 0)
			got = 0;
	if (fd >= 0)
		close(fd);
	if (data && *size > 0)
		return data;
	free(data);
	log_warning("Chart.js cannot be read at %s: the page shows tables in place of charts "
		    "(package libjs-chart.js)",
		path);
	return NULL;
}

bool assets_load(const char *chart)
{
	size_t size;

	assets = calloc(embedded_file_count + 1, sizeof(*assets));
	if (!assets)
		return false;
	for (size_t i = 0; i < embedded_file_count; i++)
		add(embedded_files[i].name, embedded_files[i].data, embedded_files[i].size);
	chart_data = read_chart(chart, &size);
	if (chart_data)
		add("chart.js", chart_data, size);
	return true;
}

void assets_free(void)
{
	for (size_t i = 0; i < asset_count; i++)
		free(assets[i].gzip);
	free(assets);
	free(chart_data);
	assets = NULL;
	chart_data = NULL;
	asset_count = 0;
}

const struct asset *assets_find(const char *name)
{
	for (size_t i = 0; i < asset_count; i++)
		if (strcmp(assets[i].name, name) == 0)
			return &assets[i];
	return NULL;
}
