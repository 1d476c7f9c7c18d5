/* SPDX-License-Identifier: BSD-3-Clause */
/* resolver: the name servers of resolv.conf, and of those files behind it; and files that change.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "resolver/file_watch.h"
#include "resolver/resolv_conf.h"

#define WATCHDOG_S 20

static char folder[] = "/tmp/test_resolv_conf.XXXXXX";

static int enter(void **state)
{
	(void)state;
	return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int leave(void **state)
{
	static const char *const files[] = {
		"a", "b", "run/x", "run", "link", "next", "many", "gone"};

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		remove(files[i]);
	return chdir("/") == 0 && rmdir(folder) == 0 ? 0 : -1;
}

static void put(const char *path, const char *text)
{
	FILE *out = fopen(path, "w");

	assert_non_null(out);
	assert_true(fputs(text, out) >= 0);
	assert_int_equal(fclose(out), 0);
}

/* Loopback on port 53 is us. */
static bool is_own(void *context, const struct endpoint *server)
{
	assert_ptr_equal(context, folder);
	return server->port == 53 && server->address.family == ADDRESS_V4 &&
	       server->address.octets[0] == 127 && server->address.octets[3] == 1;
}

/* "path: server server | ourselves surplus bad" */
static void assert_conf(const char *path, const char *const *uplinks, const char *expected)
{
	char found[2048], text[SERVER_ADDRESS_TEXT_MAX];
	struct resolv_conf conf;
	size_t used;

	assert_int_equal(resolv_conf_read(&conf, path, uplinks, is_own, folder), TD_OK);
	used = (size_t)snprintf(found, sizeof(found), "%s:", conf.path);
	for (size_t i = 0; i < conf.count; i++)
		used += (size_t)snprintf(found + used, sizeof(found) - used, " %s",
			server_address_to_text(&conf.servers[i], text, sizeof(text)));
	snprintf(found + used, sizeof(found) - used, " | %u %u %u", conf.ourselves, conf.surplus,
		conf.bad);
	assert_string_equal(found, expected);
}

static void servers_are_read(void **state)
{
	(void)state;
	put("a", "# nameserver 192.0.2.1\n; nameserver 192.0.2.2\nsearch example\n"
		 " nameserver 192.0.2.4\nnameserver 127.0.0.1\nnameserver\t192.0.2.3 # c\r\n"
		 "nameserver 2001:db8::3\nnameservers 192.0.2.4\nnameserver what\n"
		 "nameserver 192.0.2.3\nnameserver fe80::1%lo\nnameserver fe80::1%nowhere\n"
		 "nameserver 0.0.0.0\nnameserver 255.255.255.255\nnameserver 192.0.2.9");
	assert_conf(
		"a", NULL, "a: 192.0.2.3:53 [2001:db8::3]:53 [fe80::1%1]:53 192.0.2.9:53 | 1 0 4");
	put("a", "");
	assert_conf("a", NULL, "a: | 0 0 0");
}

static void servers_are_bounded(void **state)
{
	char text[4096] = "";

	(void)state;
	for (unsigned i = 0; i < 20; i++)
		sprintf(text + strlen(text), "nameserver 192.0.2.%u\n", i);
	put("many", text);
	struct resolv_conf conf;
	assert_int_equal(resolv_conf_read(&conf, "many", NULL, is_own, folder), TD_OK);
	assert_int_equal(conf.count, UPSTREAM_SERVERS_MAX);
	assert_int_equal(conf.surplus, 4);
}

static void what_cannot_be_read_is_an_error(void **state)
{
	struct resolv_conf conf;

	(void)state;
	assert_int_equal(resolv_conf_read(&conf, "gone", NULL, is_own, folder), TD_IO);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(resolv_conf_read(&conf, ".", NULL, is_own, folder), TD_IO);
	assert_int_equal(errno, EISDIR);
}

/* The trap of whoever replaces systemd-resolved: resolv.conf names us by now, or the stub. */
static void servers_behind_a_stub_are_found(void **state)
{
	static const char *const uplinks[] = {"gone", "b", NULL};

	(void)state;
	put("b", "nameserver 127.0.0.1\nnameserver 192.0.2.5\n");
	put("a", "nameserver 127.0.0.1\n");
	assert_conf("a", uplinks, "b: 192.0.2.5:53 | 1 0 0");
	put("a", "nameserver 127.0.0.53\noptions edns0 trust-ad\n");
	assert_conf("a", uplinks, "b: 192.0.2.5:53 | 1 0 0");
	/* Another server beside the stub: the file means what it says. */
	put("a", "nameserver 127.0.0.53\nnameserver 192.0.2.6\n");
	assert_conf("a", uplinks, "a: 127.0.0.53:53 192.0.2.6:53 | 0 0 0");
	put("a", "search example\n");
	assert_conf("a", uplinks, "a: | 0 0 0");
	/* Behind it nobody knows more: the stub is better than nobody. */
	put("b", "nameserver 127.0.0.53\n");
	put("a", "nameserver 127.0.0.53\n");
	assert_conf("a", uplinks, "a: 127.0.0.53:53 | 0 0 0");
	put("b", "");
	put("a", "nameserver 127.0.0.1\n");
	assert_conf("a", uplinks, "a: | 1 0 0");
}

/* --- files that change --- */

struct watching {
	struct event_base *base;
	struct file_watch *watch;
	unsigned changes;
};

static void on_change(void *context)
{
	struct watching *watching = context;

	watching->changes++;
	event_base_loopbreak(watching->base);
}

static void begin(struct watching *watching, const char *const *paths, size_t count)
{
	*watching = (struct watching){.base = event_base_new()};
	watching->watch = file_watch_new(watching->base, on_change, watching);
	assert_non_null(watching->watch);
	assert_true(file_watch_set(watching->watch, paths, count));
}

static void end(struct watching *watching)
{
	file_watch_free(watching->watch);
	event_base_free(watching->base);
}

/* Runs the loop until a change is told of; false when none is within so long. */
static bool is_told(struct watching *watching, unsigned ms)
{
	struct timeval limit = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
	unsigned before = watching->changes;

	event_base_loopexit(watching->base, &limit);
	event_base_dispatch(watching->base);
	return watching->changes > before;
}

static void changes_are_told(void **state)
{
	char path[128], other[128];
	const char *paths[] = {path, other};
	struct watching watching;

	(void)state;
	snprintf(path, sizeof(path), "%s/a", folder);
	snprintf(other, sizeof(other), "%s/gone", folder);
	put("a", "one");
	begin(&watching, paths, 2);
	assert_true(is_told(&watching, WATCHDOG_S * 1000)); /* it is there */
	put("b", "of no concern");
	assert_false(is_told(&watching, 3 * FILE_WATCH_SETTLE_MS));
	put("a", "two"); /* in place */
	assert_true(is_told(&watching, WATCHDOG_S * 1000));
	put("next", "three");
	assert_int_equal(rename("next", "a"), 0);
	assert_true(is_told(&watching, WATCHDOG_S * 1000));
	put("gone", "comes");
	assert_true(is_told(&watching, WATCHDOG_S * 1000));
	assert_int_equal(unlink("a"), 0);
	assert_true(is_told(&watching, WATCHDOG_S * 1000));
	assert_false(is_told(&watching, 3 * FILE_WATCH_SETTLE_MS));
	assert_true(file_watch_set(watching.watch, NULL, 0));
	put("a", "back");
	assert_false(is_told(&watching, 3 * FILE_WATCH_SETTLE_MS));
	end(&watching);
}

/* A folder that is made later, and what a link leads to. */
static void links_are_followed(void **state)
{
	char path[128];
	const char *paths[] = {path};
	struct watching watching;

	(void)state;
	snprintf(path, sizeof(path), "%s/link", folder);
	assert_int_equal(symlink("run/x", "link"), 0);
	begin(&watching, paths, 1);
	assert_false(is_told(&watching, 3 * FILE_WATCH_SETTLE_MS));
	assert_int_equal(mkdir("run", 0700), 0);
	put("run/x", "one");
	assert_true(is_told(&watching, WATCHDOG_S * 1000));
	put("run/x", "two");
	assert_true(is_told(&watching, WATCHDOG_S * 1000));
	put("a", "three");
	assert_int_equal(symlink("a", "next"), 0);
	assert_int_equal(rename("next", "link"), 0);
	assert_true(is_told(&watching, WATCHDOG_S * 1000));
	end(&watching);
}

/* Many changes one after the other are told of once, when they are over. */
static void changes_settle(void **state)
{
	char path[128], text[32];
	const char *paths[] = {path};
	struct watching watching;

	(void)state;
	snprintf(path, sizeof(path), "%s/a", folder);
	put("a", "begin");
	begin(&watching, paths, 1);
	for (unsigned i = 0; i < 20; i++) {
		snprintf(text, sizeof(text), "%*u", (int)i + 1, i);
		put("a", text);
	}
	assert_true(is_told(&watching, WATCHDOG_S * 1000));
	assert_false(is_told(&watching, 4 * FILE_WATCH_SETTLE_MS));
	assert_int_equal(watching.changes, 1);
	end(&watching);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(servers_are_read),
		cmocka_unit_test(servers_are_bounded),
		cmocka_unit_test(what_cannot_be_read_is_an_error),
		cmocka_unit_test(servers_behind_a_stub_are_found),
		cmocka_unit_test(changes_are_told),
		cmocka_unit_test(links_are_followed),
		cmocka_unit_test(changes_settle),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}
