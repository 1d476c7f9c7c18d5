/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of routes against the description of the API, which is part of the program: each row of
 * the API has its path, method and parameters there, and each of those has its row. And finding a
 * row, and whose a Host is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "resolver/control/dashboard/assets.h"
#include "resolver/control/dashboard/host.h"
#include "resolver/control/dashboard/routes.h"

static json_t *description;

static int load(void **state)
{
	json_error_t error;
	(void)state;

	for (size_t i = 0; i < embedded_file_count; i++) {
		if (strcmp(embedded_files[i].name, "openapi.json") != 0)
			continue;
		description = json_loadb((const char *)embedded_files[i].data,
			embedded_files[i].size, JSON_REJECT_DUPLICATES, &error);
		if (!description)
			print_error("openapi.json:%d: %s\n", error.line, error.text);
	}
	return description == NULL;
}

static int unload(void **state)
{
	(void)state;
	json_decref(description);
	return 0;
}

static bool is_page(const struct route *route)
{
	return route->asset && strcmp(route->asset, "index.html") == 0;
}

static void lower(const char *method, char *out)
{
	for (; *method; method++)
		*out++ = (char)(*method | 0x20);
	*out = '\0';
}

static const json_t *operation_of(const struct route *route)
{
	char method[16];

	lower(route->method, method);
	return json_object_get(
		json_object_get(json_object_get(description, "paths"), route->path), method);
}

static const struct route *route_of(const char *path, const char *method)
{
	char lowered[16];

	for (size_t i = 0; i < route_count; i++) {
		lower(routes[i].method, lowered);
		if (strcmp(routes[i].path, path) == 0 && strcmp(lowered, method) == 0)
			return &routes[i];
	}
	return NULL;
}

static const json_t *follow(const json_t *value)
{
	static const char prefix[] = "#/components/parameters/";
	const char *reference = json_string_value(json_object_get(value, "$ref"));

	if (!reference)
		return value;
	assert_int_equal(strncmp(reference, prefix, sizeof(prefix) - 1), 0);
	value = json_object_get(
		json_object_get(json_object_get(description, "components"), "parameters"),
		reference + sizeof(prefix) - 1);
	if (!value)
		fail_msg("%s is not there", reference);
	return value;
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	assert_non_null(text);
	return text;
}

static bool has_parameter(const json_t *operation, const char *name, size_t length, const char *in)
{
	const json_t *list = json_object_get(operation, "parameters"), *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		const char *found = text_of(follow(item), "name");
		if (strlen(found) == length && memcmp(found, name, length) == 0 &&
			strcmp(text_of(follow(item), "in"), in) == 0)
			return true;
	}
	return false;
}

static void compare_parameters(const struct route *route, const json_t *operation)
{
	const json_t *list = json_object_get(operation, "parameters"), *item;
	struct target target = {.parameter_count = 1};
	size_t i;

	for (const char *at = route->parameters; at && *at; at += strspn(at, " ")) {
		size_t length = strcspn(at, " ");
		if (!has_parameter(operation, at, length, "query"))
			fail_msg("openapi.json: %s lacks %.*s", route->path, (int)length, at);
		at += length;
	}
	for (const char *at = route->path; (at = strchr(at, '{')); at++)
		if (!has_parameter(operation, at + 1, strcspn(at + 1, "}"), "path"))
			fail_msg("openapi.json: %s: what is %s", route->path, at);
	json_array_foreach(list, i, item)
	{
		const json_t *parameter = follow(item);
		target.parameters[0].name = text_of(parameter, "name");
		if (strcmp(text_of(parameter, "in"), "query") == 0 &&
			route_stranger(route, &target))
			fail_msg("routes.c: %s does not take %s", route->path,
				target.parameters[0].name);
	}
}

static void test_each_row_is_described(void **state)
{
	(void)state;
	for (size_t i = 0; i < route_count; i++) {
		const json_t *operation = operation_of(&routes[i]);
		if (is_page(&routes[i]))
			continue;
		if (!operation)
			fail_msg("openapi.json lacks %s %s", routes[i].method, routes[i].path);
		compare_parameters(&routes[i], operation);
	}
}

static void test_each_description_has_a_row(void **state)
{
	const char *path, *method;
	json_t *item, *operation;
	(void)state;

	json_object_foreach(json_object_get(description, "paths"), path, item)
	{
		json_object_foreach(item, method, operation)
		{
			if (!route_of(path, method))
				fail_msg("routes.c lacks %s %s", method, path);
		}
	}
}

/* What changes something says so, and cannot be a GET. */
static void test_methods(void **state)
{
	(void)state;
	for (size_t i = 0; i < route_count; i++) {
		const struct route *route = &routes[i];
		assert_true(!(route->flags & ROUTE_CHANGES) || strcmp(route->method, "GET") != 0);
		assert_true(route->asset || route->handler || route->flags & ROUTE_STREAM);
	}
}

static const struct route *find(const char *raw, const char *method, char *allowed)
{
	static struct target target;
	const char *parts[API_PARTS_MAX], *words;

	assert_true(target_parse(&target, raw, &words));
	return route_find(&target, method, parts, allowed);
}

static void test_find(void **state)
{
	char allowed[64];
	const struct route *route;
	(void)state;

	route = find("/clients/192.0.2.7", "HEAD", allowed);
	assert_non_null(route);
	assert_string_equal(route->path, "/clients/{client}");
	assert_null(find("/clients/", "GET", allowed));
	assert_string_equal(allowed, "");
	assert_null(find("/clients/a/b", "GET", allowed));
	assert_null(find("/client", "GET", allowed));
	assert_null(find("/clientsx", "GET", allowed));
	assert_null(find("/Clients", "GET", allowed));
	assert_null(find("/healthz", "PUT", allowed));
	assert_string_equal(allowed, "GET, HEAD");
}

static void test_hosts(void **state)
{
	const uint8_t loopback[4] = {127, 0, 0, 1}, lan[4] = {192, 0, 2, 1};
	struct endpoint own = {address_v4(loopback), 8053, 0}, outer = {address_v4(lan), 8053, 0};
	struct endpoint listens[] = {outer};
	char name[] = "dns.example", address[] = "192.0.2.99", *names[] = {name, address};
	const struct options options = {.dashboard_listen = listens,
		.dashboard_listen_count = 1,
		.dashboard_hosts = names,
		.dashboard_hosts_count = 2};
	static const char *const good[] = {"127.0.0.1:8053", "localhost:8053", "LOCALHOST:8053",
		"localhost.:8053", "192.0.2.1:8053", "dns.example", "DNS.example:443",
		"192.0.2.99:1"};
	static const char *const bad[] = {"", "127.0.0.1", "127.0.0.1:80", "127.0.0.2:8053",
		"localhost", "localhost:1", "evil.example:8053", "dns.example.evil:8053",
		"127.0.0.1:8053:8053", "127.0.0.1:", "127.0.0.1:8053x", "[::1]:8053", "[::1", "[]",
		":8053", "127.0.0.1:99999", "127.1:8053", "2130706433:8053", "127.0.0.1:8053/"};
	(void)state;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!host_is_ours(&options, good[i], &own, false))
			fail_msg("refused: %s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (host_is_ours(&options, bad[i], &own, false))
			fail_msg("taken: %s", bad[i]);
	assert_false(host_is_ours(&options, "localhost:8053", &outer, false));
	own.port = 80;
	assert_true(host_is_ours(&options, "localhost", &own, false));
	assert_false(host_is_ours(&options, "localhost", &own, true));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_row_is_described),
		cmocka_unit_test(test_each_description_has_a_row),
		cmocka_unit_test(test_methods),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_hosts),
	};
	return cmocka_run_group_tests(tests, load, unload);
}
