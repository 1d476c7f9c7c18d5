/* SPDX-License-Identifier: BSD-3-Clause */
/* Zone files are read whole and handed to policy/ as text: a parser that does no I/O can be fuzzed
 * and timed by itself. */
#include "resolver/feeds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "resolver/text_file.h"

#define WAIT_SLACK_US (500 * US_PER_MS) /* clients wait longer than a question takes by this */

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

static enum td_error load_text(struct policy_builder *builder, const char *path,
	enum zone_format format, const struct text *text, struct policy_load *load)
{
	struct complaints complaints = {path, 0};
	enum td_error error;

	if (format == FORMAT_RPZ)
		error = policy_builder_rpz(
			builder, path, text->data, text->size, complain, &complaints, load);
	else
		error = policy_builder_patterns(
			builder, path, text->data, text->size, complain, &complaints, load);
	if (complaints.count > COMPLAINTS_SHOWN)
		log_warning(
			"%s: %u more lines like these", path, complaints.count - COMPLAINTS_SHOWN);
	return error;
}

static bool load_file(struct policy_builder *builder, const char *path, enum zone_format format,
	bool required, struct rules *rules)
{
	struct policy_load load = {0};
	struct text text;
	enum td_error error;

	if (!text_file_read(&text, path, TEXT_FILE_MAX)) {
		if (!required && errno == ENOENT)
			return true;
		log_error("%s: cannot be read: %s", path, strerror(errno));
		return false;
	}
	error = load_text(builder, path, format, &text, &load);
	free(text.data);
	if (error != TD_OK) {
		log_error("%s: %s", path,
			error == TD_MALFORMED ? "not a zone: no SOA record" : error_text(error));
		return false;
	}
	rules->rule_count += load.used;
	rules->skipped += load.skipped;
	return true;
}

static bool load_zone(
	struct policy_builder *builder, const struct zone_options *zone, struct rules *rules)
{
	enum td_error error = policy_builder_zone(builder, zone->name, zone->kind);

	if (error != TD_OK) {
		log_error("zone \"%s\": %s", zone->name,
			error == TD_FULL ? "too many zones, at most 64" : error_text(error));
		return false;
	}
	return load_file(builder, zone->file, zone->format, true, rules) &&
	       (!zone->patterns ||
		       load_file(builder, zone->patterns, FORMAT_PATTERNS, false, rules));
}

struct rules *feeds_load(const struct options *options, uint64_t generation)
{
	struct rules *rules = calloc(1, sizeof *rules);
	struct policy_builder *builder = policy_builder_new();
	bool good = rules && builder;

	if (!good)
		log_error("out of memory while reading zones");
	for (size_t i = 0; rules && builder && i < options->zone_count; i++)
		good &= load_zone(builder, &options->zones[i], rules);
	if (good) {
		rules->generation = generation;
		rules->index = policy_builder_finish(&builder);
		good = rules->index != NULL;
	}
	policy_builder_free(builder);
	if (!good) {
		free(rules);
		return NULL;
	}
	return rules;
}

/* --- the site --- */

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

/* --- the policy --- */

void feeds_modes(
	const struct options *options, const struct rules *rules, uint8_t mode[POLICY_ZONES_MAX])
{
	size_t position;

	memset(mode, MODE_IGNORE, POLICY_ZONES_MAX);
	for (size_t i = 0; i < options->zone_count; i++)
		if (policy_zone_find(rules->index, options->zones[i].name, &position))
			mode[position] = (uint8_t)options->zones[i].mode;
}

/* To *at, which moves behind them. */
static const struct prefix *copy_prefixes(
	struct prefix **at, const struct prefix *prefixes, size_t count)
{
	struct prefix *copy = *at;

	for (size_t i = 0; i < count; i++)
		copy[i] = prefixes[i];
	*at += count;
	return copy;
}

/* They were checked when the options were read. */
static const struct name *copy_names(struct name *out, char *const *texts, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		name_from_text(&out[i], texts[i], strlen(texts[i]));
		name_fold(out[i].wire, out[i].wire, out[i].length);
	}
	return out;
}

/* The names stand behind the lists of prefixes. */
static struct rebinding_rules rebinding_rules(
	const struct options *options, struct name *names, struct telemetry *telemetry)
{
	return (struct rebinding_rules){.on = options->rebinding_protection,
		.allow = copy_names(names, options->rebinding_allow, options->rebinding_allow_count),
		.allow_count = options->rebinding_allow_count,
		.zone = telemetry && options->rebinding_protection
				? telemetry_zone_id(telemetry, REBINDING_ZONE)
				: ZONE_ID_NONE};
}

struct query_policy *feeds_policy(struct rules *rules, struct site *site,
	const uint8_t mode[POLICY_ZONES_MAX], const struct options *options,
	struct telemetry *telemetry)
{
	size_t prefixes = options->allow_count + options->proxy_count + options->forwarder_count +
			  options->rate_exempt_count;
	struct query_policy *policy =
		calloc(1, sizeof *policy + prefixes * sizeof(struct prefix) +
				(options->rebinding_allow_count + options->pass_subnet_count) *
					sizeof(struct name));

	if (!policy)
		return NULL;
	/* The lists stand behind the policy in the same block, so that they live as long. */
	struct name *zones = (struct name *)(policy + 1);
	struct prefix *at = (struct prefix *)(zones + options->pass_subnet_count);
	policy->subnet_zones =
		copy_names(zones, options->pass_subnet, options->pass_subnet_count);
	policy->subnet_zone_count = options->pass_subnet_count;
	policy->allow = copy_prefixes(&at, options->allow, options->allow_count);
	policy->allow_count = options->allow_count;
	policy->proxies = copy_prefixes(&at, options->proxies, options->proxy_count);
	policy->proxy_count = options->proxy_count;
	policy->forwarders = copy_prefixes(&at, options->forwarders, options->forwarder_count);
	policy->forwarder_count = options->forwarder_count;
	policy->rate_exempt =
		copy_prefixes(&at, options->rate_exempt, options->rate_exempt_count);
	policy->rate_exempt_count = options->rate_exempt_count;
	policy->rate = (struct rate){.per_second = options->rate_limit,
		.slip = options->rate_limit_slip,
		.prefix_v6 = (uint8_t)options->rate_limit_prefix_v6};
	policy->rebinding = rebinding_rules(options, (struct name *)at, telemetry);
	policy->block_ttl_s = options->block_ttl_s;
	policy->limits = (struct answer_limits){.ttl_min_s = options->cache_ttl_min_s,
		.ttl_max_s = options->cache_ttl_max_s,
		.negative_ttl_max_s = options->negative_ttl_max_s};
	policy->trust_ad = options->trust_ad;
	policy->stale_wait_us = options->serve_stale_s
					? (int64_t)options->stale_client_timeout_ms * US_PER_MS
					: -1;
	policy->wait_max_us = options->upstream_timeout_ms * US_PER_MS + WAIT_SLACK_US;
	if (options->cookies)
		policy->cookies = options->cookie_secrets;
	policy->view.index = rules->index;
	/* Rises when either is another, so what is kept with answers is looked at anew. */
	policy->view.generation =
		site->generation > rules->generation ? site->generation : rules->generation;
	policy->site = site;
	for (size_t i = 0; i < POLICY_GROUPS_MAX; i++)
		memcpy(policy->view.mode[i], mode, POLICY_ZONES_MAX);
	for (size_t i = 0; i < POLICY_ZONES_MAX; i++)
		policy->zone_id[i] =
			telemetry && i < policy_zone_count(rules->index)
				? telemetry_zone_id(telemetry, policy_zone_name(rules->index, i))
				: ZONE_ID_NONE;
	for (size_t i = 0; i < options->zone_count; i++) {
		size_t zone;
		if (policy_zone_find(rules->index, options->zones[i].name, &zone))
			policy->reason[zone] = options->zones[i].reason;
	}
	rules->users++;
	site->users++;
	return policy;
}

void feeds_policy_free(struct rules *rules, struct site *site, struct query_policy *policy)
{
	if (policy) {
		rules->users--;
		site->users--;
	}
	free(policy);
	if (rules && rules->users == 0) {
		policy_index_free(rules->index);
		free(rules);
	}
	if (site && site->users == 0)
		feeds_site_free(site);
}
