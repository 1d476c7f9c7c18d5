/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * resolv.conf may name nobody for a moment, while a network comes up, or for good, because whoever
 * writes it found our own address there: the servers that worked until then are better than none.
 */
#include "resolver/daemon_site.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "resolver/cache_walk.h"
#include "resolver/file_watch.h"
#include "resolver/upstream/server_status.h"

struct daemon_site {
	struct file_watch *resolv_conf, *hosts;
};

static void on_in_force(struct daemon *daemon, struct broadcast *broadcast)
{
	(void)daemon;
	(void)broadcast;
}

static void put_in_force(struct daemon *daemon, struct site *site)
{
	if (site) {
		feeds_site_free(daemon->next_site);
		daemon->next_site = site;
	}
	if (!site || !daemon_set_policy(daemon, daemon->rules, on_in_force, NULL))
		log_error("what upstream servers and hosts files say now has no effect: out of "
			  "memory");
}

/* --- upstream servers --- */

static bool same_upstream(const struct options *options, const struct resolv_conf *conf)
{
	if (options->upstream_count != conf->count)
		return false;
	for (size_t i = 0; i < conf->count; i++)
		if (!server_address_equal(&options->upstream[i], &conf->servers[i]))
			return false;
	return true;
}

static void log_upstream(const struct options *options)
{
	char list[256] = "", text[SERVER_ADDRESS_TEXT_MAX];
	size_t used = 0;

	for (size_t i = 0; i < options->upstream_count && used < sizeof list; i++)
		used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "",
			server_address_show(&options->upstream[i], text, sizeof text));
	log_info("upstream servers are now %s, from %s", list, options->upstream_source);
}

/* False, and said, when there is nobody to ask. */
static bool read_upstream(const struct options *options, struct resolv_conf *conf)
{
	const char *kept = options->upstream_count ? "; the upstream servers stay as they were"
						   : "; there is still no upstream server";

	if (options_read_resolv_conf(options, conf) != TD_OK) {
		log_warning("%s: %s%s", options->resolv_conf, strerror(errno), kept);
		return false;
	}
	if (conf->count == 0)
		log_warning("%s: names %s%s", options->resolv_conf,
			conf->ourselves ? "nobody but this resolver itself" : "no server", kept);
	if (conf->surplus)
		log_warning("%s: names %u servers more than the %d that are used", conf->path,
			conf->surplus, UPSTREAM_SERVERS_MAX);
	return conf->count > 0;
}

static void on_resolv_conf(void *context)
{
	struct daemon *daemon = context;
	struct options *options = daemon->options;
	struct resolv_conf conf;

	if (daemon->stopping || !read_upstream(options, &conf) || same_upstream(options, &conf))
		return;
	if (!options_set_upstream(options, &conf)) {
		log_error("%s: out of memory", options->resolv_conf);
		return;
	}
	log_upstream(options);
	clients_set_upstream(daemon->clients);
	daemon_watch_loops(daemon);
	daemon_set_name_servers(daemon);
	put_in_force(daemon, feeds_site_upstream(options, daemon->site));
}

struct site *daemon_site_reload(struct daemon *daemon, struct options *options)
{
	const struct options *present = daemon->options;
	/* Its path may be the option's own text, which goes with the options. */
	struct resolv_conf keep = {.count = present->upstream_count,
		.path = present->upstream_source == present->resolv_conf
				? options->resolv_conf
				: present->upstream_source};

	if (options->upstream_from_resolv_conf && options->upstream_count == 0 &&
		present->upstream_from_resolv_conf && present->upstream_count > 0) {
		memcpy(keep.servers, present->upstream, keep.count * sizeof keep.servers[0]);
		log_warning("%s: names no server; the upstream servers stay as they were",
			options->resolv_conf);
		if (!options_set_upstream(options, &keep))
			return NULL;
	}
	return feeds_site(options, ++daemon->generation);
}

/* --- hosts --- */

static void on_hosts(void *context)
{
	struct daemon *daemon = context;

	if (daemon->stopping)
		return;
	struct site *site = feeds_site(daemon->options, ++daemon->generation);
	if (site && site->hosts)
		log_info("hosts: %zu names, %zu left out, %zu not understood", site->hosts->names,
			site->hosts->left_out, site->hosts->skipped);
	put_in_force(daemon, site);
}

/* --- what is cached --- */

#define FLUSHES_MAX 16 /* each walks the whole cache; more zones than that empty it in one walk */

struct changed_zones {
	struct name zones[FLUSHES_MAX];
	size_t count;
};

static void on_changed(void *context, const struct name *zone)
{
	struct changed_zones *changed = context;

	if (changed->count < FLUSHES_MAX)
		changed->zones[changed->count] = *zone;
	changed->count++;
}

static void flush(struct daemon *daemon, const struct name *zone)
{
	struct cache_filter filter = {.below = true};
	struct cache_flushed flushed;

	if (zone) {
		filter.name = zone->wire;
		filter.length = zone->length;
	}
	if (cache_flush(daemon->cache, &filter, &flushed) != TD_OK)
		log_error("out of memory: answers of servers that are asked no more stay cached");
}

void daemon_site_in_force(
	struct daemon *daemon, const struct site *before, const struct site *after)
{
	struct changed_zones changed = {.count = 0};

	route_table_compare(before->routes, after->routes, on_changed, &changed);
	if (changed.count > FLUSHES_MAX)
		flush(daemon, NULL);
	for (size_t i = 0; i < changed.count && changed.count <= FLUSHES_MAX; i++)
		flush(daemon, &changed.zones[i]);
}

/* --- what people are told --- */

/* Each worker lists the same servers in the same order. */
struct server_state daemon_site_server(
	const struct daemon *daemon, const struct broadcast *broadcast, size_t number)
{
	struct server_state sum = broadcast->messages[0].status.forwards[number].state;

	for (unsigned w = 1; w < daemon->worker_count; w++) {
		const struct worker_status *status = &broadcast->messages[w].status;

		if (number < status->forward_count)
			server_status_merge(&sum, &status->forwards[number].state);
	}
	return sum;
}

static void add_server(const char *title, const struct server_state *server, const char *word,
	struct control_reply *reply)
{
	char address[SERVER_SHOWN_MAX], figures[SERVER_STATUS_TEXT_MAX];
	char text[ROUTE_TITLE_MAX + sizeof address + sizeof figures];

	snprintf(text, sizeof text, "%s %s %s", title, server_status_address(server, address),
		server_status_text(server, word, daemon_mono_us(), figures));
	control_reply_add(reply, "forward", text);
	if (!server->trouble[0])
		return;
	snprintf(text, sizeof text, "%s: %s", address, server->trouble);
	control_reply_add(reply, "upstream_error", text);
}

/* The servers of one section, of which number is the first. Returns the number behind them. */
static size_t add_section(const struct daemon *daemon, const struct broadcast *broadcast,
	size_t number, struct control_reply *reply)
{
	const struct worker_status *status = &broadcast->messages[0].status;
	size_t group = status->forwards[number].group, count = 0;
	const char *title = route_table_group(broadcast->site->routes, group)->title;
	bool strict = daemon->options->upstream_order == UPSTREAM_STRICT;
	struct server_state servers[UPSTREAM_SERVERS_MAX];

	for (; number < status->forward_count && status->forwards[number].group == group &&
		count < UPSTREAM_SERVERS_MAX;
		number++)
		servers[count++] = daemon_site_server(daemon, broadcast, number);
	for (size_t i = 0; i < count; i++)
		add_server(title, &servers[i],
			server_status_word(&servers[i], servers, count, strict), reply);
	return number;
}

/* Sections whose names are never forwarded have no server to show. */
static void add_never(const struct site *site, struct control_reply *reply)
{
	char text[ROUTE_TITLE_MAX + 8];

	for (size_t i = 1; i < route_table_count(site->routes); i++) {
		const struct route_group *group = route_table_group(site->routes, i);

		if (group->server_count > 0)
			continue;
		snprintf(text, sizeof text, "%s never", group->title);
		control_reply_add(reply, "forward", text);
	}
}

void daemon_site_status(
	const struct daemon *daemon, const struct broadcast *broadcast, struct control_reply *reply)
{
	const struct options *options = daemon->options;
	const struct site *site = broadcast->site;

	if (options->upstream_count)
		control_reply_add(reply, "upstream_from",
			options->upstream_source ? options->upstream_source : "configuration");
	for (size_t i = 0; i < broadcast->messages[0].status.forward_count;)
		i = add_section(daemon, broadcast, i, reply);
	add_never(site, reply);
	if (site->hosts) {
		control_reply_add_u64(reply, "hosts_names", site->hosts->names);
		control_reply_add_u64(reply, "hosts_left_out", site->hosts->left_out);
		control_reply_add_u64(
			reply, "hosts_skipped", site->hosts->skipped + site->hosts->dropped);
	}
}

void daemon_site_explain(
	const struct daemon *daemon, struct control_reply *reply, const struct name *folded)
{
	const struct site *site = daemon->site;
	struct site_place place = site_find(site, folded->wire, folded->length);
	const struct route_group *group = route_table_group(site->routes, place.group);
	char list[512] = "", text[SERVER_ADDRESS_TEXT_MAX];
	size_t used = 0;

	if (place.host) {
		policy_rule_text(site->hosts->index, &place.rule, text);
		control_reply_add(reply, "host", text);
		return;
	}
	if (!group->title)
		return;
	for (size_t i = 0; i < group->server_count && used < sizeof list; i++)
		used += (size_t)snprintf(list + used, sizeof list - used, " %s",
			server_address_show(&group->servers[i], text, sizeof text));
	snprintf(text, sizeof text, "%.*s%s", (int)sizeof text / 2, group->title,
		place.never ? " never" : "");
	control_reply_add(reply, "forward", text);
	if (used)
		control_reply_add(reply, "servers", list + 1);
}

/* --- watching --- */

bool daemon_site_follow(struct daemon *daemon)
{
	const struct options *options = daemon->options;
	const char *paths[FILE_WATCH_MAX] = {options->resolv_conf};
	size_t count = 1;
	bool watched = options->upstream_from_resolv_conf && options->resolv_conf[0];

	if (watched && strcmp(options->resolv_conf, RESOLV_CONF_SYSTEM) == 0)
		for (size_t i = 0; resolv_conf_uplinks[i]; i++)
			paths[count++] = resolv_conf_uplinks[i];
	return file_watch_set(daemon->watches->resolv_conf, paths, watched ? count : 0) &&
	       file_watch_set(daemon->watches->hosts, (const char *const *)options->hosts,
		       options->hosts_count);
}

bool daemon_site_start(struct daemon *daemon)
{
	struct daemon_site *watches = calloc(1, sizeof *watches);

	daemon->watches = watches;
	if (watches) {
		watches->resolv_conf = file_watch_new(daemon->base, on_resolv_conf, daemon);
		watches->hosts = file_watch_new(daemon->base, on_hosts, daemon);
	}
	if (watches && watches->resolv_conf && watches->hosts && daemon_site_follow(daemon))
		return true;
	log_error("not enough memory or file descriptors");
	return false;
}

void daemon_site_stop(struct daemon *daemon)
{
	if (!daemon->watches)
		return;
	file_watch_free(daemon->watches->resolv_conf);
	file_watch_free(daemon->watches->hosts);
	free(daemon->watches);
	daemon->watches = NULL;
}
