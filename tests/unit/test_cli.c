/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The `teredown` command in-process: arguments, help, exit codes, escaping, known facts, and the
 * commands that talk to a daemon, against a control server in a thread of its own. No Redis here
 * (see test_reader).
 */
#include <event2/event.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "resolver/control/cli.h"
#include "resolver/control/json_view.h"
#include "resolver/control/known.h"
#include "resolver/control/server.h"

static char folder[64], config[96], control[96];

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/teredown-cli-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(config, sizeof(config), "%s/teredown.conf", folder);
	snprintf(control, sizeof(control), "%s/control.sock", folder);
	FILE *file = fopen(config, "w");
	assert_non_null(file);
	fprintf(file, "resolver-name = \"gw1\"\nstate-dir = \"%s\"\nredis = \"off\"\n", folder);
	fprintf(file, "listen = { \"127.0.0.1:10953\" }\nupstream = { \"127.0.0.1\" }\n");
	fclose(file);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	unlink(config);
	rmdir(folder);
	return 0;
}

/* Runs `teredown` with words up to NULL; out and errors are malloc'd. */
static int run(char **out, char **errors, ...)
{
	const char *words[16] = {"teredown"};
	size_t out_size, errors_size;
	va_list arguments;
	int count = 1;

	va_start(arguments, errors);
	while (count < 16 && (words[count] = va_arg(arguments, const char *)) != NULL)
		count++;
	va_end(arguments);
	FILE *file = open_memstream(out, &out_size),
	     *error_file = open_memstream(errors, &errors_size);
	int code = cli_main(count, (char **)words, file, error_file);
	fclose(file);
	fclose(error_file);
	return code;
}

/* Runs and compares: exit code, and parts that stdout and stderr must have ("" for: nothing at
 * all). */
#define CHECK(code, out_part, errors_part, ...)                  \
	do {                                                     \
		char *out, *errors;                              \
		int got = run(&out, &errors, __VA_ARGS__, NULL); \
		check_part(out, out_part);                       \
		check_part(errors, errors_part);                 \
		assert_int_equal(got, code);                     \
		free(out);                                       \
		free(errors);                                    \
	} while (0)

static void check_part(const char *text, const char *part)
{
	if (*part && !strstr(text, part))
		fail_msg("\"%s\" is not in: %s", part, text);
	if (!*part)
		assert_string_equal(text, "");
}

/* --- arguments --- */

/* One letter may be two options, but of two commands. */
static void test_letters(void **state)
{
	static const char letters[] = {
#define X(name, letter, word, argument, help) letter,
		CLI_OPTIONS(X)
#undef X
	};
	(void)state;
	for (size_t i = 0; cli_commands[i]; i++) {
		bool taken[256] = {['c'] = true, ['h'] = true, ['V'] = true};
		for (int option = 0; option < CLI_OPTION_COUNT; option++) {
			unsigned char letter = (unsigned char)letters[option];
			if (letter == 0 || !(cli_commands[i]->takes & UINT64_C(1) << option))
				continue;
			if (taken[letter])
				fail_msg("%s has two options -%c", cli_commands[i]->name, letter);
			taken[letter] = true;
		}
	}
}

static void test_usage(void **state)
{
	(void)state;
	CHECK(CLI_USAGE, "", "usage: teredown", NULL);
	CHECK(CLI_OK, "usage: teredown", "", "--help");
	CHECK(CLI_OK, "teredown ", "", "-V");
	CHECK(CLI_OK, "usage: teredown who ADDRESS|NAME|CLIENT", "", "who", "--help");
	CHECK(CLI_OK, "usage: teredown block on|off", "", "help", "block");
	CHECK(CLI_OK, "usage: teredown top", "", "-h", "top");
	CHECK(CLI_USAGE, "", "no command \"frobnicate\"", "frobnicate");
	CHECK(CLI_USAGE, "", "no command \"frobnicate\"", "help", "frobnicate");
	CHECK(CLI_USAGE, "", "unknown option --frobnicate", "top", "--frobnicate");
	CHECK(CLI_USAGE, "", "-n needs a value", "top", "-n");
	CHECK(CLI_USAGE, "", "status does not take --zone", "status", "--zone", "x");
	CHECK(CLI_USAGE, "", "status: takes no arguments", "status", "x");
	CHECK(CLI_USAGE, "", "is not a number from 1 to", "-c", config, "top", "-n", "0");
	CHECK(CLI_USAGE, "", "is not a number from 1 to", "-c", config, "top", "-n", "-3");
	CHECK(CLI_USAGE, "", "is not a number from 1 to", "-c", config, "who", "x", "-n",
		"99999999999999999999999");
	CHECK(CLI_USAGE, "", "takes one of clients, names, watched", "top", "cats");
	CHECK(CLI_USAGE, "", "needs one address", "who");
	CHECK(CLI_USAGE, "", "neither an address nor a name", "who", "a..b");
	CHECK(CLI_USAGE, "", "takes one of watch, block, ignore", "mode", "kill");
	CHECK(CLI_USAGE, "", "--zone needs a mode", "mode", "--zone", "teredo");
	CHECK(CLI_USAGE, "", "takes on or off", "block");
	CHECK(CLI_USAGE, "", "takes on or off", "block", "maybe");
	CHECK(CLI_USAGE, "", "needs a host, or a list", "probe");
	CHECK(CLI_USAGE, "", "--port: \"65536\" is not a number", "probe", "-p", "65536", "192.0.2.1");
	CHECK(CLI_USAGE, "", "is not a number from 1 to 1000", "probe", "--rate", "0", "192.0.2.1");
	CHECK(CLI_USAGE, "", "--wait: \"2 s\" is not a time", "probe", "--wait", "2 s", "192.0.2.1");
	CHECK(CLI_USAGE, "", "is not a time from 10ms to 60s", "probe", "--wait", "2m", "192.0.2.1");
	CHECK(CLI_USAGE, "", "--deadline: \"\" is not a time", "probe", "--deadline", "", "192.0.2.1");
	CHECK(CLI_USAGE, "", "\"192.0.2.0/24\" is a network", "probe", "192.0.2.1", "192.0.2.0/24");
	CHECK(CLI_USAGE, "", "is an IPv6 address", "probe", "2001:db8::1");
	CHECK(CLI_USAGE, "", "probe does not take --fleet", "probe", "--fleet", "192.0.2.1");
	CHECK(CLI_ERROR, "", "/nonexistent: No such file", "probe", "-f", "/nonexistent");
	CHECK(CLI_NOTHING, "", "names no host", "probe", "-f", "/dev/null");
}

/* Each command has a help with examples, and each option it takes is in it. */
static void test_help_is_complete(void **state)
{
	char *out, *errors;

	(void)state;
	for (size_t i = 0; cli_commands[i]; i++) {
		assert_int_equal(run(&out, &errors, cli_commands[i]->name, "--help", NULL), CLI_OK);
		assert_non_null(strstr(out, "Examples:\n  teredown "));
		assert_non_null(strstr(out, cli_commands[i]->name));
		assert_int_equal(strstr(out, "--lines") != NULL,
			(cli_commands[i]->takes & 1u << CLI_LINES) != 0);
		free(out);
		free(errors);
	}
}

static void read_source(const char *name, char *text, size_t size)
{
	const char *source = getenv("TEREDOWN_SOURCE");
	char path[1024];

	if (!source) {
		print_message(
			"TEREDOWN_SOURCE is not set (make check does): nothing to compare with\n");
		skip();
	}
	snprintf(path, sizeof(path), "%s/%s", source, name);
	FILE *file = fopen(path, "r");
	if (!file)
		fail_msg("cannot read %s", path);
	size_t length = fread(text, 1, size - 1, file);
	text[length] = '\0';
	fclose(file);
}

/* Manual page and completions know every command and every option. */
static void test_documents_are_complete(void **state)
{
	static const char *const documents[] = {"doc/teredown.1", "doc/completions/teredown.bash",
		"doc/completions/_teredown", "doc/completions/teredown.fish"};
	static const char *const options[] = {
#define X(name, letter, word, argument, help) word,
		CLI_OPTIONS(X)
#undef X
	};
	static char text[1 << 18];

	(void)state;
	for (size_t d = 0; d < sizeof(documents) / sizeof(documents[0]); d++) {
		read_source(documents[d], text, sizeof(text));
		for (size_t i = 0; cli_commands[i]; i++)
			if (!strstr(text, cli_commands[i]->name))
				fail_msg("%s does not name the command %s", documents[d],
					cli_commands[i]->name);
		for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
			if (!strstr(text, options[i]))
				fail_msg("%s does not name the option --%s", documents[d],
					options[i]);
	}
}

/* --- decode, known --- */

static void test_decode(void **state)
{
	(void)state;
	CHECK(CLI_OK, "server 5.6.7.8, client 1.2.3.4 behind UDP port 49802, flags 0x282a", "",
		"decode", "2001:0:506:708:282a:3d75:fefd:fcfb");
	CHECK(CLI_OK, "The server is a Teredo server of Microsoft", "", "decode",
		"2001:0:4137:9e76::1");
	CHECK(CLI_OK, "6to4 address (RFC 3056): the site behind 192.0.2.4", "", "decode", "8.8.8.8",
		"2002:c000:204::1");
	CHECK(CLI_OK, "the host 192.0.2.4", "", "decode", "fe80::5efe:c000:204");
	CHECK(CLI_OK, "Names that lead to it or its siblings:\n  teredo.ipv6.microsoft.com.", "",
		"decode", "65.55.158.118");
	CHECK(CLI_NOTHING, "neither a Teredo", "", "decode", "8.8.8.8");
	CHECK(CLI_USAGE, "", "\"nonsense\" is not an IPv4 or IPv6 address", "decode",
		"65.55.158.118", "nonsense");
	CHECK(CLI_USAGE, "", "\"-\" is not an IPv4 or IPv6 address", "decode", "-", "8.8.8.8");
	CHECK(CLI_OK,
		"[{\"address\":\"2001:0:506:708:282a:3d75:fefd:fcfb\",\"known\":null,\"tunnel\":{"
		"\"kind\":\"teredo\","
		"\"server\":\"5.6.7.8\",\"client\":\"1.2.3.4\",\"port\":49802,\"flags\":10282}},"
		"{\"address\":\"8.8.8.8\",\"known\":null,\"tunnel\":null}]\n",
		"", "decode", "--json", "2001:0:506:708:282a:3d75:fefd:fcfb", "8.8.8.8");
}

static const struct known_place *place_of(const char *text)
{
	struct address address;

	assert_true(address_from_text(&address, text));
	return known_place(&address);
}

static void test_known(void **state)
{
	(void)state;
	assert_string_equal(place_of("65.55.158.118")->names[0], "teredo.ipv6.microsoft.com.");
	assert_string_equal(place_of("83.170.6.76")->names[0], "teredo.remlab.net.");
	assert_string_equal(place_of("192.88.99.1")->names[0], "6to4.ipv6.microsoft.com.");
	assert_non_null(place_of("192.88.99.200"));
	assert_null(place_of("65.55.158.119"));
	assert_null(place_of("192.88.100.1"));
	assert_non_null(strstr(known_name("win10.ipv6.microsoft.com."), "Microsoft"));
	assert_non_null(strstr(known_name("win2099.ipv6.microsoft.com."), "Microsoft"));
	assert_non_null(strstr(known_name("isatap.corp.example."), "ISATAP"));
	assert_null(known_name("win10.a.ipv6.microsoft.com."));
	assert_null(known_name("www.microsoft.com."));
	assert_null(known_name("."));
}

/* --- output --- */

static void test_escaping(void **state)
{
	struct strbuf out;

	(void)state;
	strbuf_init(&out);
	output_text(&out, "a\033[31m\n\r\t\177\200\\032 ok");
	assert_string_equal(out.data, "a\\027[31m\\010\\013\\009\\127\\128\\032 ok");
	strbuf_deinit(&out);
}

static void test_spans(void **state)
{
	static const struct {
		int64_t seconds;
		const char *text;
	} rows[] = {{-1, "0 s"}, {59, "59 s"}, {60, "1 min"}, {3599, "59 min"}, {3600, "1 h 0 min"},
		{86399, "23 h 59 min"}, {86400, "1 d 0 h"}, {90000, "1 d 1 h"}};
	struct strbuf out;

	(void)state;
	strbuf_init(&out);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		strbuf_clear(&out);
		output_span(&out, rows[i].seconds);
		assert_string_equal(out.data, rows[i].text);
	}
	strbuf_clear(&out);
	output_bytes(&out, 1023);
	output_bytes(&out, 1536);
	output_bytes(&out, UINT64_MAX);
	assert_string_equal(out.data, "1023 B1.5 KiB16777216.0 TiB");
	strbuf_clear(&out);
	output_json_time(&out, "t", 0);
	output_json_time(&out, "u", INT64_MAX);
	output_json_time(&out, "v", 1700000000123);
	assert_string_equal(
		out.data, "\"t\":null,\"u\":null,\"v\":\"2023-11-14T22:13:20.123000Z\"");
	strbuf_deinit(&out);
}

static void test_grid(void **state)
{
	struct strbuf out;
	struct grid grid;

	(void)state;
	strbuf_init(&out);
	grid_init(&grid, "NAME|>N|LAST");
	grid_print(&grid, &out, 0, true);
	assert_int_equal(out.length, 0);
	grid_cell(&grid, "a\nb");
	grid_cell_u64(&grid, 5);
	grid_cell_time(&grid, 0);
	grid_cell(&grid, "x");
	grid_cell_u64(&grid, 12345);
	grid_cell(&grid, "z");
	grid_print(&grid, &out, 1, false);
	assert_string_equal(
		out.data, " NAME        N  LAST\n a\\010b      5  -\n x       12345  z\n");
	grid_deinit(&grid);
	strbuf_deinit(&out);
}

/* --- JSON --- */

static const char *find_text(const char *json, const char *key, char *out, size_t size)
{
	bool found = json_field(json, strlen(json), key, out, size);
	if (!found)
		assert_string_equal(out, "");
	return found ? out : NULL;
}

static void test_json_view(void **state)
{
	static const char json[] = "{\"a\":\"1\\\"2\\\\032\\u001b\\n\", "
				   "\"inner\":{\"b\":\"no\"},\"n\":-12.5,\"t\":true,"
				   "\"list\":[\"x\",{\"y\":[1]},3],\"b\":\"yes\",\"empty\":\"\"}";
	struct json_span list, item;
	size_t position = 0, count = 0;
	char out[32];

	(void)state;
	assert_string_equal(find_text(json, "a", out, sizeof(out)), "1\"2\\032\033\n");
	assert_string_equal(find_text(json, "n", out, sizeof(out)), "-12.5");
	assert_string_equal(find_text(json, "t", out, sizeof(out)), "true");
	assert_string_equal(find_text(json, "b", out, sizeof(out)), "yes");
	assert_string_equal(find_text(json, "empty", out, sizeof(out)), "");
	assert_string_equal(find_text(json, "a", out, 3), "1\"");
	assert_null(find_text(json, "c", out, sizeof(out)));
	assert_true(json_find(json, strlen(json), "list", &list));
	while (json_each(list, &position, &item))
		count++;
	assert_int_equal(count, 3);
	assert_string_equal(json_text(item, out, sizeof(out)), "3");
}

static void test_json_time(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} times[] = {{"2026-11-21T20:52:11.123456Z", 1795294331123},
		{"2026-11-21T20:52:11.5Z", 1795294331500}, {"2026-11-21T20:52:11Z", 1795294331000},
		{"2026-11-21T20:52:11.", 1795294331000}, {"1970-01-01T00:00:00Z", 0},
		{"1969-12-31T23:59:59Z", 0}, {"2026-11-21 20:52:11", 0}, {"2026-11-21T", 0},
		{"soon", 0}, {"", 0}};
	char json[80];

	(void)state;
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		snprintf(json, sizeof(json), "{\"ts\":\"%s\"}", times[i].text);
		assert_int_equal(json_time(json, strlen(json), "ts"), times[i].ms);
		assert_int_equal(json_time(json, strlen(json), "of"), 0);
	}
	assert_int_equal(json_time("{}", 2, "ts"), 0);
}

/* Every beginning of a record, and things that are no JSON: an end is found, nothing is read beyond
 * it. */
static void test_json_view_broken(void **state)
{
	static const char json[] = "{\"a\":[{\"b\":\"\\u00\"}],\"c\":\"\\\\\",\"key\":\"\\u12\"}";
	static const char *const broken[] = {"", "{", "}", "[]", "{\"a\"", "{\"a\":}",
		"{\"a\":1,,\"key\":2}", "{a:1}", "null", "{\"a\":\"\\", "{\"a\":]}",
		"{\"a\":[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]],\"key\":1}"};
	struct json_span span, item;
	char out[64];

	(void)state;
	for (size_t length = 0; length < sizeof(json) - 1; length++) {
		char *copy = malloc(length + 1); /* exactly as long as told, for the sanitizer */
		memcpy(copy, json, length);
		size_t position = 0;
		assert_false(json_find(copy, length, "none", &span));
		if (json_find(copy, length, "a", &span))
			while (json_each(span, &position, &item))
				json_text(item, out, sizeof(out));
		if (json_find(copy, length, "c", &span))
			assert_string_equal(json_text(span, out, sizeof(out)), "\\");
		free(copy);
	}
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
		assert_false(json_find(broken[i], strlen(broken[i]), "key", &span));
	assert_string_equal(find_text(json, "key", out, sizeof(out)), "?12");
}

/* --- with and without a daemon --- */

static void test_no_daemon(void **state)
{
	(void)state;
	CHECK(CLI_ERROR, "", "teredownd is not running: nobody listens at", "-c", config, "status");
	CHECK(CLI_ERROR, "", "\nStart it: teredownd -c /tmp/teredown-cli-", "-c", config, "block",
		"on");
	CHECK(CLI_ERROR, "", "redis = \"off\" in", "-c", config, "top");
	CHECK(CLI_ERROR, "", "Set redis = \"embedded\" there", "-c", config, "tail");
	CHECK(CLI_ERROR, "a Teredo server of Microsoft", "redis = \"off\" in", "-c", config, "who",
		"65.55.158.118");
	CHECK(CLI_ERROR, "", "the configuration has faults", "-c", "/nonexistent/teredown.conf",
		"status");
}

/* A password that we may not read is in the way of those only who log in with it. */
static void test_no_password(void **state)
{
	char path[96];

	(void)state;
	snprintf(path, sizeof(path), "%s/password.conf", folder);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file,
		"state-dir = \"%s\"\nredis = \"redis://127.0.0.1:1\"\n"
		"redis-password-file = \"/nonexistent/password\"\nupstream = { \"192.0.2.1\" }\n",
		folder);
	fclose(file);
	CHECK(CLI_ERROR, "", "teredownd is not running", "-c", path, "status");
	CHECK(CLI_ERROR, "", "teredownd is not running", "-c", path, "mode");
	CHECK(CLI_ERROR, "", "teredownd is not running", "-c", path, "block", "on");
	CHECK(CLI_ERROR, "", "teredownd is not running", "-c", path, "reload");
	CHECK(CLI_ERROR, "", "the configuration has faults", "-c", path, "top");
	CHECK(CLI_ERROR, "", "the configuration has faults", "-c", path, "status", "--fleet");
	unlink(path);
}

struct daemon {
	struct event_base *base;
	struct control_server *server;
	struct event *on_stop;
	pthread_t thread;
	int stop[2];
};

static void add_status(struct control_reply *reply)
{
	static const char *const lines[][2] = {{"version", "1.2.3"}, {"resolver", "12"},
		{"pid", "77"}, {"uptime_s", "7500"}, {"listen", "127.0.0.1:53"},
		{"upstream",
			"9.9.9.9:53 state=ok srtt_us=800 rttvar_us=90 sent=4 answered=3 timeouts=1 "
			"failures=2 hedges=0 backoffs=0 silent_s=0 edns=yes case=yes cookies=no "
			"doubted=6 spoofed=5"},
		{"upstream",
			"tls://9.9.9.9:853 state=failing srtt_us=900 rttvar_us=80 sent=3 "
			"answered=2 timeouts=0 failures=1 hedges=0 backoffs=0 silent_s=0 edns=yes "
			"case=off cookies=off doubted=0 spoofed=0"},
		{"zone", "teredo watch rules=24 kind=tunnel state=ok"},
		{"zone", "local always rules=9 kind=local state=old"}, {"received", "10"},
		{"answered", "7"}, {"dropped_malformed", "2"}, {"pending", "1"},
		{"cache_bytes", "1572864"}, {"cache_hits", "3"}, {"cache_misses", "1"},
		{"redis", "away"}, {"redis_error", "gone\033[31m"},
		{"redis_since", "1700000000000000"}, {"recording_since", "0"}, {"new_thing", "5"},
		{"new_words", "a b"}};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		control_reply_add(reply, lines[i][0], lines[i][1]);
	control_reply_end(reply);
}

static void add_modes(struct control_reply *reply)
{
	control_reply_add(reply, "zone", "teredo watch rules=24 kind=tunnel state=ok");
	control_reply_add(reply, "group", "gaming clients=1");
	control_reply_add(reply, "group", "kids clients=2");
	control_reply_add(reply, "cell", "teredo * watch configuration until=0");
	control_reply_add(reply, "cell",
		"teredo gaming ignore command until=0 since=1700000000 uid=0 user=root");
	control_reply_add(reply, "cell",
		"teredo kids block command until=0 since=1700000000 uid=0 user=root "
		"via=dashboard/192.0.2.7");
	control_reply_end(reply);
}

/* `mode block|watch|… ZONE GROUP SECONDS` */
static void change_mode(struct control_reply *reply, unsigned count, char *const words[])
{
	bool group = count > 3 && strcmp(words[3], "*") != 0;

	if (strcmp(words[1], "block") == 0 || strcmp(words[1], "reset") == 0)
		control_reply_add(reply, "changed",
			group ? "teredo watch block gaming" : "teredo watch block *");
	if (!group && strcmp(words[1], "block") == 0)
		control_reply_add(reply, "except", "gaming teredo ignore");
	if (count > 4)
		control_reply_add(reply, "warning", words[4]);
	control_reply_add(reply, "set", strcmp(words[1], "ignore") == 0 ? "1" : "0");
	control_reply_add(reply, "until", "0");
	control_reply_end(reply);
}

static void handle(void *context, struct control_reply *reply, unsigned count, char *const words[])
{
	(void)context;
	if (strcmp(words[0], "status") == 0) {
		add_status(reply);
	} else if (strcmp(words[0], "reload") == 0) {
		control_reply_add_u64(reply, "zones", 2);
		control_reply_add_u64(reply, "rules", 1);
		control_reply_add_u64(reply, "skipped", 3);
		control_reply_add_u64(reply, "read", 1);
		control_reply_add_u64(reply, "took_us", 12500);
		control_reply_add(reply, "restart", "listen, workers");
		control_reply_add(reply, "fault", "ads /etc/ads: gone\033[31m");
		control_reply_end(reply);
	} else if (count == 1) {
		add_modes(reply);
	} else if (count == 3 && strcmp(words[2], "teredo") != 0) {
		control_reply_fail(reply, "no zone named x; zones: teredo");
	} else {
		change_mode(reply, count, words);
	}
}

static void on_stop(evutil_socket_t fd, short what, void *argument)
{
	struct event_base *base = argument;

	(void)fd;
	(void)what;
	event_base_loopbreak(base);
}

static void *run_daemon(void *argument)
{
	struct daemon *daemon = argument;
	event_base_dispatch(daemon->base);
	return NULL;
}

static int start_daemon(void **state)
{
	struct daemon *daemon = calloc(1, sizeof(*daemon));

	daemon->base = event_base_new();
	daemon->server = control_server_open(daemon->base, control, handle, NULL);
	if (!daemon->server || pipe(daemon->stop) != 0)
		return -1;
	daemon->on_stop = event_new(daemon->base, daemon->stop[0], EV_READ, on_stop, daemon->base);
	event_add(daemon->on_stop, NULL);
	*state = daemon;
	return pthread_create(&daemon->thread, NULL, run_daemon, daemon);
}

static int stop_daemon(void **state)
{
	struct daemon *daemon = *state;

	if (write(daemon->stop[1], "x", 1) != 1)
		return -1;
	pthread_join(daemon->thread, NULL);
	event_free(daemon->on_stop);
	control_server_close(daemon->server);
	event_base_free(daemon->base);
	close(daemon->stop[0]);
	close(daemon->stop[1]);
	free(daemon);
	return 0;
}

static void test_status(void **state)
{
	(void)state;
	CHECK(CLI_OK, "  running for                2 h 5 min\n", "", "-c", config, "status");
	CHECK(CLI_OK, "10 received = 7 answered + 2 dropped + 1 pending\n", "", "-c", config,
		"status");
	CHECK(CLI_OK,
		"  address            state    srtt_us  rttvar_us  sent  answered  timeouts  "
		"failures  hedges  backoffs  silent_s  edns  case  cookies  doubted  spoofed\n"
		"  9.9.9.9:53         ok       800      90         4     3         1         "
		"2         0       0         0         yes   yes   no       6        5\n"
		"  tls://9.9.9.9:853  failing  900      80         3     2         0         "
		"1         0       0         0         yes   off   off      0        0\n",
		"", "-c", config, "status");
	CHECK(CLI_OK, "  dropped, malformed         2\n", "", "-c", config, "status");
	CHECK(CLI_OK, "  hits                       3 (75 %)\n", "", "-c", config, "status");
	CHECK(CLI_OK, "gone\\027[31m", "", "-c", config, "status");
	CHECK(CLI_OK, "Other\n  new thing                  5\n  new words                  a b\n",
		"", "-c", config, "status");
	CHECK(CLI_OK, "Redis is away", "", "-c", config, "status");
	CHECK(CLI_OK, "\"version\":\"1.2.3\",\"resolver\":\"12\",\"pid\":77,", "", "-c", config,
		"status", "--json");
	CHECK(CLI_OK,
		"\"listen\":[\"127.0.0.1:53\"],\"upstream\":[{\"address\":\"9.9.9.9:53\",\"state\":"
		"\"ok\",\"srtt_us\":800,\"rttvar_us\":90,",
		"", "-c", config, "status", "--json");
	CHECK(CLI_OK,
		"\"zone\":[{\"zone\":\"teredo\",\"mode\":\"watch\",\"rules\":24,\"kind\":"
		"\"tunnel\",\"state\":\"ok\"},{\"zone\":\"local\",",
		"", "-c", config, "status", "--json");
	CHECK(CLI_OK,
		"\"redis_since\":\"2023-11-14T22:13:20.000000Z\",\"recording_since\":null,\"new_"
		"thing\":5,\"new_words\":\"a b\"}\n",
		"", "-c", config, "status", "--json");
}

static void test_modes(void **state)
{
	(void)state;
	CHECK(CLI_OK, "teredo: watch -> block\n", "", "-c", config, "block", "on");
	CHECK(CLI_OK,
		"For all clients but those of group gaming (teredo: ignore), until the next change; "
		"a restart of teredownd is none.\n",
		"", "-c", config, "mode", "block");
	CHECK(CLI_OK,
		"{\"changed\":[{\"zone\":\"teredo\",\"from\":\"watch\",\"to\":\"block\"}],"
		"\"except\":[{\"group\":\"gaming\",\"zone\":\"teredo\",\"mode\":\"ignore\"}]}\n",
		"", "-c", config, "--json", "mode", "block");
	CHECK(CLI_OK,
		"teredo for group gaming: watch -> block\nFor the clients of group gaming, until the "
		"next change;",
		"", "-c", config, "block", "on", "--group", "gaming");
	CHECK(CLI_OK,
		"{\"changed\":[{\"zone\":\"teredo\",\"group\":\"gaming\",\"from\":\"watch\","
		"\"to\":\"block\"}]}\n",
		"", "-c", config, "--json", "block", "on", "-g", "gaming");
	CHECK(CLI_OK, "For all clients, until the next change", "", "-c", config, "mode", "ignore");
	CHECK(CLI_OK, "teredo: watch -> block\n", "", "-c", config, "mode", "reset", "--zone",
		"teredo");
	CHECK(CLI_OK, "teredo: watch -> block\n", "teredown: 600\n", "-c", config, "mode", "block",
		"--for", "10m");
	CHECK(CLI_OK, "For all clients, until", "teredown: 604800\n", "-c", config, "mode", "ignore", "--for=1w");
	CHECK(CLI_USAGE, "", "at most 366d", "-c", config, "mode", "block", "--for", "367d");
	CHECK(CLI_USAGE, "", "--for takes a time", "-c", config, "block", "on", "--for", "10");
	CHECK(CLI_USAGE, "", "--for takes a time", "-c", config, "block", "on", "--for", "0s");
	CHECK(CLI_USAGE, "", "reset has no --for", "-c", config, "mode", "reset", "--for", "1h");
	CHECK(CLI_USAGE, "", "need a mode", "-c", config, "mode", "--group", "kids");
	CHECK(CLI_OK, "Nothing changed, it was so already", "", "-c", config, "block", "off");
	CHECK(CLI_OK, "teredo          watch   24     configuration\nteredo  gaming  ignore", "", "-c",
		config, "mode");
	CHECK(CLI_OK, "command of root at 2023-11-1", "", "-c", config, "mode");
	CHECK(CLI_OK, "dashboard from 192.0.2.7 (root) at 2023-11-1", "", "-c", config, "mode");
	CHECK(CLI_OK, "\"uid\":0,\"user\":\"root\",\"via\":\"dashboard\",\"address\":\"192.0.2.7\"}",
		"", "-c", config, "mode", "--json");
	CHECK(CLI_OK, "\"uid\":0,\"user\":\"root\",\"via\":null,\"address\":null}", "", "-c",
		config, "mode", "--json");
	CHECK(CLI_OK, "Groups: gaming kids\n", "", "-c", config, "mode");
	CHECK(CLI_OK,
		"{\"zones\":[{\"zone\":\"teredo\",\"mode\":\"watch\",\"from\":\"configuration\","
		"\"until\":null}],\"groups\":[{\"group\":\"gaming\",\"clients\":1,\"zones\":[{"
		"\"zone\":\"teredo\",\"mode\":\"ignore\",\"from\":\"command\",\"until\":null,"
		"\"since\":\"2023-11-14T22:13:20.000000Z\",\"uid\":0,\"user\":\"root\",\"via\":null,"
		"\"address\":null}]},",
		"", "-c", config, "mode", "--json");
	CHECK(CLI_ERROR, "", "no zone named x; zones: teredo", "-c", config, "mode", "block",
		"--zone", "x");
	CHECK(CLI_ERROR, "", "a request is words without spaces", "-c", config, "mode", "block",
		"--zone", "a b");
}

static void test_reload(void **state)
{
	(void)state;
	/* A zone that could not be read is a fault, beside which the rest is in force. */
	CHECK(CLI_ERROR,
		"Reloaded: 1 rule in 2 zones, of which 1 had changed, in 13 ms.\n"
		"3 lines could not be used",
		"", "-c", config, "reload");
	CHECK(CLI_ERROR, "Not read, its rules stay as they were: ads: /etc/ads: gone\\027[31m\n", "",
		"-c", config, "reload");
	CHECK(CLI_ERROR, "only after a restart of teredownd: listen, workers\n", "", "-c", config,
		"reload");
	CHECK(CLI_ERROR,
		"{\"zones\":2,\"rules\":1,\"skipped\":3,\"read\":1,\"took_us\":12500,"
		"\"restart\":\"listen, workers\",\"faults\":[{\"zone\":\"ads\",\"error\":",
		"", "-c", config, "reload", "--json");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_letters),
		cmocka_unit_test(test_usage),
		cmocka_unit_test(test_help_is_complete),
		cmocka_unit_test(test_documents_are_complete),
		cmocka_unit_test(test_decode),
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_escaping),
		cmocka_unit_test(test_spans),
		cmocka_unit_test(test_grid),
		cmocka_unit_test(test_json_view),
		cmocka_unit_test(test_json_time),
		cmocka_unit_test(test_json_view_broken),
		cmocka_unit_test(test_no_daemon),
		cmocka_unit_test(test_no_password),
		cmocka_unit_test_setup_teardown(test_status, start_daemon, stop_daemon),
		cmocka_unit_test_setup_teardown(test_modes, start_daemon, stop_daemon),
		cmocka_unit_test_setup_teardown(test_reload, start_daemon, stop_daemon),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
