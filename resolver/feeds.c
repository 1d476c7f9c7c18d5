/* SPDX-License-Identifier: BSD-3-Clause */
/* The site: hosts files are read whole and handed over as text, sections forward come from the
 * options. */
#include "resolver/feeds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "resolver/text_file.h"

#define HOSTS_FILE_MAX ((off_t)64 << 20)
#define COMPLAINTS_SHOWN 20 /* of one file; the rest is counted */

struct complaints {
	const char *file;
	unsigned count;
};

static void complain(
	void *context, const char *source, unsigned line, bool skipped, const char *words)
{
	struct complaints *complaints = context;

	if (complaints->count++ < COMPLAINTS_SHOWN)
		log_warning("%s:%u: %s%s", source, line, words, skipped ? " (line skipped)" : "");
}

struct route_table *feeds_routes(const struct options *options)
{
	struct route_table *table =
		route_table_new(options->upstream, options->upstream_count);
	const char *other;

	for (size_t i = 0; table && i < options->forward_count; i++) {
		const struct forward_options *forward = &options->forwards[i];

		if (route_table_add(table, forward->title, forward->upstream,
			    forward->upstream_count, &other) == TD_OK)
			continue;
		route_table_free(table);
		table = NULL;
	}
	return table;
}

static bool load_hosts_file(struct hosts_builder *builder, const char *path)
{
	struct complaints complaints = {path, 0};
	struct text text;

	if (!text_file_read(&text, path, HOSTS_FILE_MAX)) {
		log_warning("hosts: %s: %s; none of its names is known", path, strerror(errno));
		return true;
	}
	enum td_error error =
		hosts_builder_add(builder, path, text.data, text.size, complain, &complaints);
	free(text.data);
	if (complaints.count > COMPLAINTS_SHOWN)
		log_warning(
			"%s: %u more lines like these", path, complaints.count - COMPLAINTS_SHOWN);
	return error == TD_OK;
}

static bool load_hosts(const struct options *options, struct hosts **out)
{
	struct hosts_builder *builder;
	bool good = true;

	*out = NULL;
	if (options->hosts_count == 0)
		return true;
	builder = hosts_builder_new(options->hosts_ttl_s);
	for (size_t i = 0; builder && good && i < options->hosts_count; i++)
		good = load_hosts_file(builder, options->hosts[i]);
	if (builder && good)
		*out = hosts_builder_finish(&builder);
	hosts_builder_free(builder);
	if (*out && (*out)->dropped)
		log_warning("hosts: %zu names more than the %d that are served",
			(*out)->dropped, HOSTS_NAMES_MAX);
	return *out != NULL;
}

static struct site *site_new(const struct options *options, uint64_t generation)
{
	struct site *site = calloc(1, sizeof *site);

	if (!site)
		return NULL;
	site->generation = generation;
	site->upstream_timeout_ms = options->upstream_timeout_ms;
	site->upstream_strict = options->upstream_order == UPSTREAM_STRICT;
	site->upstream_hedge = options->upstream_hedge == 1;
	site->routes = feeds_routes(options);
	if (site->routes)
		return site;
	free(site);
	return NULL;
}

struct site *feeds_site(const struct options *options, uint64_t generation)
{
	struct site *site = site_new(options, generation);

	if (site && !load_hosts(options, &site->hosts)) {
		feeds_site_free(site);
		return NULL;
	}
	if (site && site->hosts)
		site->hosts->users = 1;
	return site;
}

struct site *feeds_site_upstream(const struct options *options, const struct site *site)
{
	struct site *with = site_new(options, site->generation);

	if (with && site->hosts) {
		with->hosts = site->hosts;
		with->hosts->users++;
	}
	return with;
}

void feeds_site_free(struct site *site)
{
	if (!site)
		return;
	if (site->hosts && --site->hosts->users == 0)
		hosts_free(site->hosts);
	route_table_free(site->routes);
	free(site);
}
