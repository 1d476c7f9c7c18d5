/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From rules (rules.h) and what the options say to the policy that workers use. Main thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "resolver/options.h"
#include "resolver/query.h"
#include "resolver/rules.h"

/* The groups of the options, numbered in their order from 1 on. NULL: out of memory. */
struct policy_groups *feeds_groups(const struct options *options);

/* The servers of the options, by the names that are asked of them. NULL: out of memory. */
struct route_table *feeds_routes(const struct options *options);

/*
 * What hosts files and sections forward of the options say. A hosts file that cannot be read is
 * logged and left out; its bad lines are logged with file and line. NULL: out of memory.
 */
struct site *feeds_site(const struct options *options, uint64_t generation);

/* The same for new upstream servers, over the hosts and sections of a site: what is said of names
 * stays, so does the generation. */
struct site *feeds_site_upstream(const struct options *options, const struct site *site);

/* Frees a site that no policy was made with. */
void feeds_site_free(struct site *site);

/* A policy over these rules, with this site, and the options' clients and TTL; zone numbers come from telemetry
 * (NULL in tests: none). NULL: out of memory. */
struct query_policy *feeds_policy(struct rules *rules, struct site *site,
	const uint8_t mode[POLICY_GROUPS_MAX][POLICY_ZONES_MAX], const struct options *options,
	struct telemetry *telemetry);

/* Frees a policy that no worker uses any more (NULL is fine), and its rules and site when no policy
 * is left of them. */
void feeds_policy_free(struct rules *rules, struct site *site, struct query_policy *policy);
