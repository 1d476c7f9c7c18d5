/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control socket from both ends. Raw clients are non-blocking sockets in the same event loop as
 * the server, so that every step is taken by the test; the blocking client of the commands runs in
 * a thread of its own.
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/strbuf.h"
#include "resolver/control/client.h"
#include "resolver/control/protocol.h"
#include "resolver/control/server.h"

struct fixture {
	char folder[64];
	char path[96];
	struct event_base *base;
	struct control_server *server;
	struct control_reply *kept; /* of the request "keep" */
	unsigned requests;
};

/* --- the daemon's handler --- */

static void add_filler(struct control_reply *reply, size_t lines)
{
	char value[1001];

	memset(value, 'x', 1000);
	value[1000] = '\0';
	for (size_t i = 0; i < lines; i++)
		control_reply_add(reply, "filler", value);
}

static void handle(void *context, struct control_reply *reply, unsigned count, char *const words[])
{
	struct fixture *fixture = context;

	fixture->requests++;
	if (strcmp(words[0], "echo") == 0) {
		for (unsigned i = 0; i < count; i++)
			control_reply_add(reply, "word", words[i]);
		control_reply_add_u64(reply, "uid", control_reply_uid(reply));
		if (*control_reply_via(reply))
			control_reply_add(reply, "via", control_reply_via(reply));
		control_reply_end(reply);
	} else if (strcmp(words[0], "strange") == 0) {
		control_reply_add(reply, "value", "a\tb\nc\\d\r\\n");
		control_reply_end(reply);
	} else if (strcmp(words[0], "big") == 0) {
		add_filler(reply, 800);
		control_reply_end(reply);
	} else if (strcmp(words[0], "huge") == 0) {
		add_filler(reply, 2000);
		control_reply_end(reply);
	} else if (strcmp(words[0], "keep") == 0) {
		fixture->kept = reply;
	} else {
		control_reply_add(reply, "hint", "still here");
		control_reply_fail(reply, "no such\nrequest");
	}
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/teredown-control-XXXXXX");
	assert_non_null(mkdtemp(fixture->folder));
	snprintf(fixture->path, sizeof(fixture->path), "%s/control.sock", fixture->folder);
	fixture->base = event_base_new();
	fixture->server = control_server_open(fixture->base, fixture->path, handle, fixture);
	assert_non_null(fixture->server);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	control_server_close(fixture->server);
	assert_int_not_equal(access(fixture->path, F_OK), 0);
	event_base_free(fixture->base);
	rmdir(fixture->folder);
	free(fixture);
	return 0;
}

/* --- raw clients --- */

static void turn(struct fixture *fixture)
{
	event_base_loop(fixture->base, EVLOOP_NONBLOCK);
}

static int dial(struct fixture *fixture)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", fixture->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	turn(fixture);
	return fd;
}

static void say(struct fixture *fixture, int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	turn(fixture);
}

/* Everything up to the end of the stream; the loop turns while there is nothing to read. */
static void hear(struct fixture *fixture, int fd, struct strbuf *out)
{
	char chunk[4096];

	strbuf_init(out);
	for (unsigned idle = 0; idle < 1000;) {
		ssize_t n = recv(fd, chunk, sizeof(chunk), 0);
		if (n > 0)
			strbuf_append(out, chunk, (size_t)n);
		else if (n == 0 || errno == ECONNRESET)
			break;
		else
			idle++;
		turn(fixture);
	}
	strbuf_append(out, "", 0);
	close(fd);
}

static void expect_reply(struct fixture *fixture, int fd, const char *expected)
{
	struct strbuf out;

	hear(fixture, fd, &out);
	assert_non_null(out.data);
	assert_string_equal(out.data, expected);
	strbuf_deinit(&out);
}

static void expect_beginning(struct fixture *fixture, int fd, const char *expected)
{
	struct strbuf out;

	hear(fixture, fd, &out);
	assert_non_null(out.data);
	assert_memory_equal(out.data, expected, strlen(expected));
	strbuf_deinit(&out);
}

static bool is_silent(int fd)
{
	char byte;
	return recv(fd, &byte, 1, 0) < 0 && errno == EAGAIN;
}

/* --- requests --- */

static void test_split_line(void **state)
{
	struct fixture *fixture = *state;
	char expected[128];
	int fd = dial(fixture);

	say(fixture, fd, "ec");
	say(fixture, fd, "ho one ");
	assert_true(is_silent(fd));
	assert_int_equal(fixture->requests, 0);
	say(fixture, fd, "two\n");
	snprintf(expected, sizeof(expected), "ok\nword\techo\nword\tone\nword\ttwo\nuid\t%u\n",
		(unsigned)getuid());
	expect_reply(fixture, fd, expected);
	assert_int_equal(fixture->requests, 1);
}

static void test_one_request_only(void **state)
{
	struct fixture *fixture = *state;
	int fd = dial(fixture);

	say(fixture, fd, "strange\nstrange\n");
	expect_reply(fixture, fd, "ok\nvalue\ta\\tb\\nc\\\\d\\r\\\\n\n");
	assert_int_equal(fixture->requests, 1);
}

static void test_failure_keeps_lines(void **state)
{
	struct fixture *fixture = *state;
	int fd = dial(fixture);

	say(fixture, fd, "nonsense\n");
	expect_reply(fixture, fd, "error no such\\nrequest\nhint\tstill here\n");
}

static void test_bad_requests(void **state)
{
	static const char *const lines[] = {"\n", "two  spaces\n", " leading\n", "trailing \n",
		"1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n"};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		int fd = dial(fixture);
		say(fixture, fd, lines[i]);
		expect_reply(fixture, fd, "error a request is words separated by single spaces\n");
	}
	int fd = dial(fixture);
	assert_int_equal(send(fd, "ec\0ho\n", 6, 0), 6);
	turn(fixture);
	expect_reply(fixture, fd, "error a request is text\n");
	assert_int_equal(fixture->requests, 0);
}

static void test_on_behalf_of(void **state)
{
	static const char *const wrong[] = {"via=dashboard/192.0.2.1\n", "via= echo\n",
		"via=/192.0.2.1 echo\n", "via=dashboard/ echo\n", "via=a/b/c echo\n",
		"via=dashboard/192.0.2.1\x1b[2J echo\n", "via=a\\b/c echo\n",
		"via=0123456789012345678901234567890123456789012345678901234567890123456789/c echo\n"};
	struct fixture *fixture = *state;
	char expected[96];
	int fd;

	snprintf(expected, sizeof(expected),
		"ok\nword\techo\nuid\t%u\nvia\t via dashboard from fe80::1%%eth0\n",
		(unsigned)getuid());
	fd = dial(fixture);
	say(fixture, fd, "via=dashboard/fe80::1%eth0 echo\n");
	expect_reply(fixture, fd, expected);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		fd = dial(fixture);
		say(fixture, fd, wrong[i]);
		expect_reply(fixture, fd,
			"error a request begins with via=PROGRAM/FROM or a word\n");
	}
	assert_int_equal(fixture->requests, 1);
}

static void test_line_length(void **state)
{
	struct fixture *fixture = *state;
	char line[CONTROL_LINE_MAX + 3];

	memset(line, 'a', sizeof(line));
	strcpy(line + CONTROL_LINE_MAX, "\n");
	int fd = dial(fixture);
	say(fixture, fd, line);
	assert_int_equal(fixture->requests, 1);
	expect_beginning(fixture, fd, "error no such");

	strcpy(line + CONTROL_LINE_MAX, "a\n");
	line[CONTROL_LINE_MAX] = 'a';
	fd = dial(fixture);
	say(fixture, fd, line);
	expect_reply(fixture, fd, "error the request is too long\n");
	assert_int_equal(fixture->requests, 1);
}

static void test_client_leaves(void **state)
{
	struct fixture *fixture = *state;
	int fd = dial(fixture);

	say(fixture, fd, "ech");
	close(fd);
	turn(fixture);
	fd = dial(fixture);
	say(fixture, fd, "big\n"); /* more than the socket takes */
	close(fd);
	turn(fixture);
	fd = dial(fixture);
	say(fixture, fd, "strange\n");
	expect_beginning(fixture, fd, "ok\n");
}

/* --- replies --- */

static void test_reply_later(void **state)
{
	struct fixture *fixture = *state;
	int fd = dial(fixture);

	say(fixture, fd, "keep\n");
	assert_non_null(fixture->kept);
	int other = dial(fixture);
	say(fixture, other, "strange\n");
	expect_beginning(fixture, other, "ok\n");
	assert_true(is_silent(fd));
	control_reply_add(fixture->kept, "late", "yes");
	control_reply_end(fixture->kept);
	expect_reply(fixture, fd, "ok\nlate\tyes\n");
}

static void test_reply_to_nobody(void **state)
{
	struct fixture *fixture = *state;
	int fd = dial(fixture);

	say(fixture, fd, "keep\n");
	close(fd);
	turn(fixture);
	control_reply_add(fixture->kept, "late", "yes");
	control_reply_end(fixture->kept);
	fd = dial(fixture);
	say(fixture, fd, "strange\n");
	expect_beginning(fixture, fd, "ok\n");
}

static void test_large_replies(void **state)
{
	struct fixture *fixture = *state;
	struct strbuf out;
	int fd = dial(fixture);

	say(fixture, fd, "big\n");
	hear(fixture, fd, &out);
	assert_int_equal(out.length, 3 + 800 * strlen("filler\t\n") + 800 * 1000);
	strbuf_deinit(&out);
	fd = dial(fixture);
	say(fixture, fd, "huge\n");
	expect_reply(fixture, fd, "error the reply is too long\n");
}

/* The events of the base that are waited for. */
struct waiting {
	unsigned sockets;
	struct event *timer;
};

static int note_waiting(const struct event_base *base, const struct event *event, void *context)
{
	struct waiting *waiting = context;

	(void)base;
	if (event_get_events(event) & EV_READ)
		waiting->sockets++;
	else
		waiting->timer = (struct event *)event;
	return 0;
}

/* No descriptor is left: the server does not turn around the connection that it cannot take, and
 * takes it when there is one again. */
static void test_out_of_descriptors(void **state)
{
	struct fixture *fixture = *state;
	struct rlimit before, none;
	struct waiting waiting = {0};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", fixture->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	int next = dup(fd);
	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = (rlim_t)next;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	turn(fixture);
	event_base_foreach_event(fixture->base, note_waiting, &waiting);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(waiting.sockets, 0);
	assert_non_null(waiting.timer);
	event_active(waiting.timer, EV_TIMEOUT, 0);
	turn(fixture);
	say(fixture, fd, "strange\n");
	expect_beginning(fixture, fd, "ok\n");
}

static void test_too_many_connections(void **state)
{
	struct fixture *fixture = *state;
	int fds[32];

	for (int i = 0; i < 32; i++) {
		fds[i] = dial(fixture);
		assert_true(is_silent(fds[i]));
	}
	int fd = dial(fixture);
	expect_reply(fixture, fd, "error too many connections to the control socket, try again\n");
	close(fds[0]);
	turn(fixture);
	fd = dial(fixture);
	say(fixture, fd, "strange\n");
	expect_beginning(fixture, fd, "ok\n");
	for (int i = 1; i < 32; i++)
		close(fds[i]);
}

static void test_close_answers(void **state)
{
	struct fixture *fixture = *state;
	int waiting = dial(fixture), reading = dial(fixture);

	say(fixture, waiting, "keep\n");
	control_server_close(fixture->server);
	fixture->server = NULL;
	expect_reply(fixture, waiting, "error teredownd is ending\n");
	expect_reply(fixture, reading, "error teredownd is ending\n");
}

/* --- the socket file --- */

static void test_socket_mode(void **state)
{
	struct fixture *fixture = *state;
	struct stat status;
	mode_t mask = umask(0);

	umask(mask);
	assert_int_equal(lstat(fixture->path, &status), 0);
	assert_true(S_ISSOCK(status.st_mode));
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_not_equal(mask, 0177); /* it was put back */
}

static void test_living_daemon(void **state)
{
	struct fixture *fixture = *state;

	assert_null(control_server_open(fixture->base, fixture->path, handle, fixture));
	int fd = dial(fixture);
	say(fixture, fd, "strange\n");
	expect_beginning(fixture, fd, "ok\n");
}

static void test_dead_daemon(void **state)
{
	struct fixture *fixture = *state;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int dead = socket(AF_UNIX, SOCK_STREAM, 0);

	control_server_close(fixture->server);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", fixture->path);
	assert_int_equal(bind(dead, (struct sockaddr *)&address, sizeof(address)), 0);
	close(dead);
	fixture->server = control_server_open(fixture->base, fixture->path, handle, fixture);
	assert_non_null(fixture->server);
	int fd = dial(fixture);
	say(fixture, fd, "strange\n");
	expect_beginning(fixture, fd, "ok\n");
}

static void test_no_socket_there(void **state)
{
	struct fixture *fixture = *state;
	char path[128];

	snprintf(path, sizeof(path), "%s/file", fixture->folder);
	int fd = open(path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	assert_null(control_server_open(fixture->base, path, handle, fixture));
	assert_int_equal(access(path, F_OK), 0);
	unlink(path);
	assert_null(control_server_open(
		fixture->base, "/nonexistent-folder/control.sock", handle, fixture));
}

/* A successor has replaced the file: it is not ours to remove. */
static void test_close_leaves_successor(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(unlink(fixture->path), 0);
	struct control_server *successor =
		control_server_open(fixture->base, fixture->path, handle, fixture);
	assert_non_null(successor);
	control_server_close(fixture->server);
	assert_int_equal(access(fixture->path, F_OK), 0);
	fixture->server = successor;
}

/* --- the blocking client --- */

struct call {
	const char *path;
	unsigned count;
	const char *words[20];
	struct control_answer answer;
	enum control_outcome outcome;
	struct event_base *base;
	int done[2];
};

static void *run_call(void *argument)
{
	struct call *call = argument;

	call->outcome = control_ask(call->path, 20000, call->count, call->words, &call->answer);
	assert_int_equal(write(call->done[1], "x", 1), 1);
	return NULL;
}

static void on_done(evutil_socket_t fd, short what, void *argument)
{
	struct event_base *base = argument;

	(void)fd;
	(void)what;
	event_base_loopbreak(base);
}

static void ask(struct fixture *fixture, struct call *call)
{
	pthread_t thread;

	call->path = fixture->path;
	assert_int_equal(pipe(call->done), 0);
	struct event *done =
		event_new(fixture->base, call->done[0], EV_READ, on_done, fixture->base);
	event_add(done, NULL);
	assert_int_equal(pthread_create(&thread, NULL, run_call, call), 0);
	event_base_dispatch(fixture->base);
	pthread_join(thread, NULL);
	event_free(done);
	close(call->done[0]);
	close(call->done[1]);
}

static void test_client_ok(void **state)
{
	struct call call = {.count = 3, .words = {"echo", "a", "b"}};

	ask(*state, &call);
	assert_int_equal(call.outcome, CONTROL_OK);
	assert_int_equal(call.answer.count, 4);
	assert_string_equal(call.answer.lines[2].key, "word");
	assert_string_equal(call.answer.lines[2].value, "b");
	assert_string_equal(control_answer_value(&call.answer, "word"), "echo");
	assert_null(control_answer_value(&call.answer, "nothing"));
	assert_int_equal(control_answer_u64(&call.answer, "uid", 77777), getuid());
	assert_int_equal(control_answer_u64(&call.answer, "word", 5), 5);
	control_answer_free(&call.answer);
}

static void test_client_unescapes(void **state)
{
	struct call call = {.count = 1, .words = {"strange"}};

	ask(*state, &call);
	assert_int_equal(call.outcome, CONTROL_OK);
	assert_string_equal(control_answer_value(&call.answer, "value"), "a\tb\nc\\d\r\\n");
	control_answer_free(&call.answer);
}

static void test_client_failed(void **state)
{
	struct call call = {.count = 1, .words = {"nonsense"}};

	ask(*state, &call);
	assert_int_equal(call.outcome, CONTROL_FAILED);
	assert_string_equal(call.answer.words, "no such\nrequest");
	assert_string_equal(control_answer_value(&call.answer, "hint"), "still here");
	control_answer_free(&call.answer);
}

static void test_client_large(void **state)
{
	struct call call = {.count = 1, .words = {"big"}};

	ask(*state, &call);
	assert_int_equal(call.outcome, CONTROL_OK);
	assert_int_equal(call.answer.count, 800);
	control_answer_free(&call.answer);
}

static void test_client_without_daemon(void **state)
{
	struct fixture *fixture = *state;
	const char *const words[] = {"status"};
	struct control_answer answer;
	char path[200];

	snprintf(path, sizeof(path), "%s/none", fixture->folder);
	assert_int_equal(control_ask(path, 1000, 1, words, &answer), CONTROL_NO_DAEMON);
	control_answer_free(&answer);
	memset(path, 'a', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(control_ask(path, 1000, 1, words, &answer), CONTROL_BROKEN);
	control_answer_free(&answer);
}

static void test_client_bad_words(void **state)
{
	struct fixture *fixture = *state;
	static const char *const bad[] = {"", "a b", "a\nb", "a\177"};
	struct control_answer answer;

	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(
			control_ask(fixture->path, 1000, 1, &bad[i], &answer), CONTROL_BROKEN);
		control_answer_free(&answer);
	}
	assert_int_equal(control_ask(fixture->path, 1000, 0, bad, &answer), CONTROL_BROKEN);
	control_answer_free(&answer);
	assert_int_equal(fixture->requests, 0);
}

static void test_words_of_requests(void **state)
{
	static const char *const good[] = {"a", "!~", "1234567"};
	static const char *const bad[] = {
		"", " ", "a b", "a\t", "\x1f", "a\177", "\xc3\xa4", "12345678"};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(protocol_is_word(good[i], 8));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(protocol_is_word(bad[i], 8));
}

static void test_escaping(void **state)
{
	static const char *const values[] = {
		"", "plain", "\\", "\\t", "\t\t", "end\n", "\\\\n", "\r\n\t\\"};
	struct strbuf out;

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		strbuf_init(&out);
		strbuf_append(&out, "", 0);
		protocol_escape(&out, values[i]);
		strbuf_append_char(&out, '\0');
		assert_null(strpbrk(out.data, "\t\n\r"));
		protocol_unescape(out.data);
		assert_string_equal(out.data, values[i]);
		strbuf_deinit(&out);
	}
	char unknown[] = "a\\qb\\";
	protocol_unescape(unknown);
	assert_string_equal(unknown, "a\\qb\\");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_split_line),
		T(test_one_request_only),
		T(test_failure_keeps_lines),
		T(test_bad_requests),
		T(test_on_behalf_of),
		T(test_line_length),
		T(test_client_leaves),
		T(test_reply_later),
		T(test_reply_to_nobody),
		T(test_large_replies),
		T(test_out_of_descriptors),
		T(test_too_many_connections),
		T(test_close_answers),
		T(test_socket_mode),
		T(test_living_daemon),
		T(test_dead_daemon),
		T(test_no_socket_there),
		T(test_close_leaves_successor),
		T(test_client_ok),
		T(test_client_unescapes),
		T(test_client_failed),
		T(test_client_large),
		T(test_client_without_daemon),
		T(test_client_bad_words),
		cmocka_unit_test(test_words_of_requests),
		cmocka_unit_test(test_escaping),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
