/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table, and looking in it. A walk through a few dozen rows costs less than a request's
 * headers; a tree was not worth its lines. web/openapi.json describes the same rows
 * (test_dashboard_routes compares them).
 */
#include "resolver/control/dashboard/routes.h"

#include <string.h>

#include "resolver/control/dashboard/handlers.h"

#define PAGE(where)                                                                        \
	{                                                                                  \
		.method = "GET", .path = where, .flags = ROUTE_OPEN, .asset = "index.html" \
	}

const struct route routes[] = {
	PAGE("/"),
	PAGE("/clients"),
	PAGE("/clients/{client}"),
	PAGE("/watch"),
	PAGE("/watch/{zone}"),
	PAGE("/address"),
	PAGE("/address/{what}"),
	PAGE("/policy"),
	PAGE("/health"),
	PAGE("/changes"),
	{"GET", "/healthz", api_healthz, ROUTE_OPEN | ROUTE_INLINE, NULL, NULL},
	{"GET", "/api/v1/live", NULL, ROUTE_STREAM, NULL, NULL},
	{"GET", "/api/v1/who", api_get_who, 0, "resolver q limit", NULL},
	{"GET", "/api/v1/timeline", api_get_timeline, 0, "resolver q as since until span by", NULL},
	{"GET", "/api/v1/drops", api_get_drops, 0, "resolver since until limit", NULL},
	{"GET", "/api/v1/verify", api_get_verify, 0, "resolver client", NULL},
	{"GET", "/api/v1/watch", api_get_watch, 0, "resolver", NULL},
	{"GET", "/api/v1/watch/{zone}", api_get_watch_zone, 0, "resolver offset limit", NULL},
	{"GET", "/api/v1/policy", api_get_policy, 0, "resolver", NULL},
	{"GET", "/api/v1/policy/rules", api_get_policy_rules, 0, "resolver zone limit", NULL},
	{"GET", "/api/v1/policy/test", api_get_policy_test, 0, "name type client ask", NULL},
	{"GET", "/api/v1/health", api_get_health, 0, "resolver", NULL},
	{"GET", "/api/v1/events", api_get_events, 0, "resolver limit kind client", NULL},
	{"GET", "/api/v1/transactions", api_get_transactions, 0, "resolver limit kind client", NULL},
	{"GET", "/api/v1/clients", api_clients, 0, "resolver sort order search offset limit", NULL},
	{"GET", "/api/v1/clients/{client}", api_client, 0, "resolver names", NULL},
	{"GET", "/api/v1/names", api_names, 0, "resolver days limit", NULL},
	{"GET", "/api/v1/hours", api_hours, 0, "resolver days", NULL},
	{"GET", "/api/v1/overview", api_overview, 0, "resolver", NULL},
	{"GET", "/metrics", api_metrics, ROUTE_LOCAL, "resolver", NULL},
	{"GET", "/api/v1/openapi.json", NULL, ROUTE_OPEN, NULL, "openapi.json"},
	{"GET", "/api/v1/session", api_session, ROUTE_OPEN, NULL, NULL},
	{"POST", "/api/v1/session", api_session_begin, ROUTE_OPEN, NULL, NULL},
	{"DELETE", "/api/v1/session", api_session_end, ROUTE_CHANGES, NULL, NULL},
	{"POST", "/api/v1/policy/mode", api_policy_mode, ROUTE_CHANGES, NULL, NULL},
	{"POST", "/api/v1/policy/reset", api_policy_reset, ROUTE_CHANGES, NULL, NULL},
	{"POST", "/api/v1/policy/refresh", api_policy_refresh, ROUTE_CHANGES, NULL, NULL},
	{"POST", "/api/v1/cache/flush", api_cache_flush, ROUTE_CHANGES, NULL, NULL},
	{"POST", "/api/v1/reload", api_reload, ROUTE_CHANGES, NULL, NULL},
	{"GET", "/api/v1/changes", api_changes, 0, "limit", NULL},
};
const size_t route_count = sizeof(routes) / sizeof(routes[0]);

/* Whether the path has these segments. */
static bool path_fits(const char *path, const struct target *target, const char **parts)
{
	size_t part = 0, segment = 0;

	for (path++; *path; segment++) {
		size_t length = strcspn(path, "/");
		if (segment == target->segment_count)
			return false;
		const char *given = target->segments[segment];
		if (*path == '{' && *given && part < API_PARTS_MAX)
			parts[part++] = given;
		else if (*path == '{' || strncmp(path, given, length) != 0 || given[length])
			return false;
		path += length + (path[length] == '/');
	}
	return segment == target->segment_count;
}

static void allow(char *allowed, const char *method)
{
	size_t used = strlen(allowed);
	const char *also = strcmp(method, "GET") == 0 ? "GET, HEAD" : method;

	if (used + strlen(also) + 3 > 64)
		return;
	if (used)
		strcat(allowed, ", ");
	strcat(allowed, also);
}

const struct route *route_find(const struct target *target, const char *method,
	const char *parts[API_PARTS_MAX], char *allowed)
{
	if (strcmp(method, "HEAD") == 0)
		method = "GET";
	*allowed = '\0';
	for (size_t i = 0; i < route_count; i++) {
		const char *found[API_PARTS_MAX] = {NULL};
		if (!path_fits(routes[i].path, target, found))
			continue;
		allow(allowed, routes[i].method);
		if (strcmp(routes[i].method, method) != 0)
			continue;
		memcpy(parts, found, sizeof(found));
		return &routes[i];
	}
	return NULL;
}

static bool has_word(const char *words, const char *word)
{
	size_t length = strlen(word);

	while (words && *words) {
		size_t next = strcspn(words, " ");
		if (next == length && length && memcmp(words, word, length) == 0)
			return true;
		words += next + strspn(words + next, " ");
	}
	return false;
}

const char *route_stranger(const struct route *route, const struct target *target)
{
	for (size_t i = 0; i < target->parameter_count; i++)
		if (!has_word(route->parameters, target->parameters[i].name))
			return target->parameters[i].name;
	return NULL;
}
