/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A policy: rules, site, modes, and what the options say of clients and answers, in one block that
 * workers only read. Its lists stand behind it, so that they live as long.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "resolver/feeds.h"
#include "resolver/notify.h"

#define WAIT_SLACK_US (500 * US_PER_MS) /* clients wait longer than a question takes by this */

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

static size_t count_aliases(const struct options *options)
{
	size_t count = 0;

	for (size_t i = 0; i < options->zone_count; i++)
		count += options->zones[i].override == ACTION_LOCAL_DATA;
	return count;
}

/* An alias goes to *aliases, which moves behind it. */
static void zone_settings(struct query_policy *policy, size_t zone,
	const struct zone_options *options, struct name **aliases)
{
	policy->reason[zone] = options->reason;
	policy->view.override[zone] = (uint8_t)options->override;
	if (options->override != ACTION_LOCAL_DATA)
		return;
	**aliases = options->alias;
	policy->view.alias[zone] = (*aliases)++;
}

struct query_policy *feeds_policy(struct rules *rules, struct site *site,
	const uint8_t mode[POLICY_GROUPS_MAX][POLICY_ZONES_MAX], const struct options *options,
	struct telemetry *telemetry)
{
	size_t prefixes = options->allow_count + options->proxy_count + options->forwarder_count +
			  options->rate_exempt_count;
	bool failed = false;
	struct notify_zones *notify = notify_zones_new(options, &failed);
	struct query_policy *policy =
		calloc(1, sizeof *policy + prefixes * sizeof(struct prefix) +
				(options->rebinding_allow_count + options->pass_subnet_count +
					count_aliases(options)) *
					sizeof(struct name));

	if (!policy || failed) {
		notify_zones_free(notify);
		free(policy);
		return NULL;
	}
	policy->notify = notify;
	if (options->group_count)
		policy->view.groups = policy->groups = feeds_groups(options);
	if (options->group_count && !policy->groups) {
		notify_zones_free(notify);
		free(policy);
		return NULL;
	}
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
	struct name *aliases = (struct name *)at + options->rebinding_allow_count;
	policy->block_ttl_s = options->block_ttl_s;
	policy->limits = (struct answer_limits){.ttl_min_s = options->cache_ttl_min_s,
		.ttl_max_s = options->cache_ttl_max_s,
		.negative_ttl_max_s = options->negative_ttl_max_s};
	policy->trust_ad = options->trust_ad;
	policy->keep_dnssec = !options->break_dnssec;
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
	memcpy(policy->view.mode, mode, sizeof policy->view.mode);
	for (size_t i = 0; i < POLICY_ZONES_MAX; i++)
		policy->zone_id[i] =
			telemetry && i < policy_zone_count(rules->index)
				? telemetry_zone_id(telemetry, policy_zone_name(rules->index, i))
				: ZONE_ID_NONE;
	for (size_t i = 0; i < options->zone_count; i++) {
		size_t zone;
		if (policy_zone_find(rules->index, options->zones[i].name, &zone))
			zone_settings(policy, zone, &options->zones[i], &aliases);
	}
	rules->users++;
	site->users++;
	return policy;
}

void feeds_policy_free(struct rules *rules, struct site *site, struct query_policy *policy)
{
	if (policy) {
		policy_groups_free(policy->groups);
		rules->users--;
		site->users--;
	}
	if (policy)
		notify_zones_free(policy->notify);
	free(policy);
	if (rules && rules->users == 0)
		rules_free(rules);
	if (site && site->users == 0)
		feeds_site_free(site);
}
