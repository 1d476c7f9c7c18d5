/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * resolver/event_command.h: real programs in a real loop. Each writes what it was given to a file;
 * the loop runs until it has ended, which its SIGCHLD says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "resolver/event_command.h"

#define PATIENCE_S 20

static char folder[64], output[96];

struct bed {
	struct options options;
	struct event_base *base;
	struct event_command *command;
	char *argv[8];
	size_t lines; /* that are waited for */
	bool late;
};

static char *read_output(void)
{
	static char text[8192];
	FILE *file = fopen(output, "r");
	size_t length = file ? fread(text, 1, sizeof(text) - 1, file) : 0;

	text[length] = '\0';
	if (file)
		fclose(file);
	return text;
}

static size_t count_lines(const char *text)
{
	size_t count = 0;

	for (; *text; text++)
		count += *text == '\n';
	return count;
}

static void open_bed(struct bed *bed, const char *script, int interval_ms, int patience_ms)
{
	struct event_command_settings settings = {&bed->options, interval_ms, patience_ms};

	memset(bed, 0, sizeof(*bed));
	unlink(output);
	bed->argv[0] = (char *)"/bin/sh";
	bed->argv[1] = (char *)"-c";
	bed->argv[2] = (char *)script;
	bed->argv[3] = (char *)"sh";
	bed->argv[4] = output;
	bed->options.resolver_name = (char *)"gw1";
	bed->options.event_command = bed->argv;
	bed->options.event_command_count = 5;
	bed->base = event_base_new();
	bed->command = event_command_new(&settings);
	assert_non_null(bed->command);
	assert_true(event_command_start(bed->command, bed->base));
}

static void close_bed(struct bed *bed)
{
	event_command_free(bed->command);
	event_base_free(bed->base);
}

static void on_look(evutil_socket_t fd, short what, void *context)
{
	struct bed *bed = context;

	(void)fd;
	(void)what;
	if (count_lines(read_output()) >= bed->lines)
		event_base_loopbreak(bed->base);
}

static void on_late(evutil_socket_t fd, short what, void *context)
{
	struct bed *bed = context;

	(void)fd;
	(void)what;
	bed->late = true;
	event_base_loopbreak(bed->base);
}

static void run_until(struct bed *bed, size_t lines)
{
	static const struct timeval look = {.tv_usec = 5000}, patience = {.tv_sec = PATIENCE_S};
	struct event *looking = event_new(bed->base, -1, EV_PERSIST, on_look, bed),
		     *late = evtimer_new(bed->base, on_late, bed);

	bed->lines = lines;
	event_add(looking, &look);
	event_add(late, &patience);
	event_base_dispatch(bed->base);
	event_free(looking);
	event_free(late);
	if (bed->late)
		fail_msg("%zu lines were expected: %s", lines, read_output());
}

/* Everything that it is given, and nothing else. */
static void what_it_is_given(void **state)
{
	struct bed bed;
	struct stat status;

	(void)state;
	setenv("SECRET", "password", 1);
	int leak = open("/dev/null", O_RDONLY); /* without CLOEXEC */
	open_bed(&bed,
		"{ env | sort; ls /proc/self/fd | wc -l; } >\"$1.new\"; mv \"$1.new\" \"$1\"", 0,
		60000);
	event_command_returned(bed.command, "192.0.2.7", "teredo", 1795000000123);
	run_until(&bed, 8);
	const char *text = read_output();
	assert_non_null(strstr(text, "TEREDOWN_CLIENT=192.0.2.7\n"));
	assert_non_null(strstr(text, "TEREDOWN_EVENT=remediated-back\n"));
	assert_non_null(strstr(text, "TEREDOWN_RESOLVER=gw1\n"));
	assert_non_null(strstr(text, "TEREDOWN_TIME=2026-11-18T11:06:40.123000Z\n"));
	assert_non_null(strstr(text, "TEREDOWN_ZONE=teredo\n"));
	assert_non_null(strstr(text, "\nPATH=/usr/local/sbin:"));
	assert_null(strstr(text, "SECRET"));
#ifdef __linux__
	assert_non_null(strstr(text, "\n4\n")); /* 0, 1, 2 and that of ls */
#endif
	assert_int_equal(fstat(leak, &status), 0);
	close(leak);
	close_bed(&bed);
}

/* Posted by another thread, as the collector does; one after the other. */
static void *post(void *context)
{
	struct bed *bed = context;

	for (unsigned i = 0; i < 5; i++) {
		char client[32];
		snprintf(client, sizeof(client), "192.0.2.%u", i);
		event_command_returned(bed->command, client, "teredo", 1795000000000);
	}
	return NULL;
}

static void one_at_a_time(void **state)
{
	struct bed bed;
	pthread_t thread;

	(void)state;
	open_bed(&bed,
		"[ -e \"$1.lock\" ] && echo together >>\"$1\"; : >\"$1.lock\"; sleep 0.05; rm "
		"\"$1.lock\"; "
		"echo \"$TEREDOWN_CLIENT\" >>\"$1\"",
		0, 60000);
	assert_int_equal(pthread_create(&thread, NULL, post, &bed), 0);
	run_until(&bed, 5);
	pthread_join(thread, NULL);
	assert_string_equal(
		read_output(), "192.0.2.0\n192.0.2.1\n192.0.2.2\n192.0.2.3\n192.0.2.4\n");
	close_bed(&bed);
}

/* What waits is bounded, and what is lost is lost for good. */
static void bounded(void **state)
{
	struct bed bed;

	(void)state;
	open_bed(&bed, "echo \"$TEREDOWN_CLIENT\" >>\"$1\"", 0, 60000);
	for (unsigned i = 0; i < 2 * EVENT_COMMAND_WAITING_MAX; i++)
		event_command_returned(bed.command, "192.0.2.1", "teredo", 1795000000000);
	run_until(&bed, EVENT_COMMAND_WAITING_MAX);
	event_command_returned(bed.command, "192.0.2.2", "teredo", 1795000000000);
	run_until(&bed, EVENT_COMMAND_WAITING_MAX + 1);
	assert_int_equal(count_lines(read_output()), EVENT_COMMAND_WAITING_MAX + 1);
	assert_non_null(strstr(read_output(), "192.0.2.2\n"));
	close_bed(&bed);
}

/* A zombie of whoever adopted it, or gone: it runs no more. */
static bool is_over(long pid)
{
	char path[64], line[256] = "";

	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	FILE *file = fopen(path, "r");
	if (!file)
		return true;
	bool read = fgets(line, sizeof(line), file) != NULL;
	fclose(file);
	return !read || strstr(line, ") Z ") || strstr(line, ") X ");
}

/* SIGKILL has been sent when the next program starts, but a busy machine may not have carried it
 * out on each process of the group. */
static bool is_over_in_time(long pid)
{
	for (unsigned i = 0; i < PATIENCE_S * 200; i++) {
		if (is_over(pid))
			return true;
		usleep(5000);
	}
	return false;
}

/* A program that hangs is ended, also its children, and the next one has its turn. */
static void patience(void **state)
{
	struct bed bed;

	(void)state;
	open_bed(&bed,
		"if [ \"$TEREDOWN_CLIENT\" = 192.0.2.1 ]; then sleep 1000 & echo $! >>\"$1\"; "
		"wait; "
		"else echo next >>\"$1\"; fi",
		0, 1000);
	event_command_returned(bed.command, "192.0.2.1", "teredo", 1795000000000);
	event_command_returned(bed.command, "192.0.2.2", "teredo", 1795000000000);
	run_until(&bed, 2);
	assert_non_null(strstr(read_output(), "\nnext\n"));
	assert_true(is_over_in_time(strtol(read_output(), NULL, 10)));
	close_bed(&bed);
}

/* Nothing is run for what is no client or no zone, without a command, and for one that is not
 * there. */
static void nothing_to_run(void **state)
{
	struct bed bed;

	(void)state;
	open_bed(&bed, "echo \"$TEREDOWN_CLIENT\" >>\"$1\"", 0, 60000);
	event_command_returned(bed.command, "192.0.2.1\nLD_PRELOAD=x", "teredo", 1);
	event_command_returned(bed.command, "*other", "teredo", 1);
	event_command_returned(bed.command, "192.0.2.1", "ter edo", 1);
	event_command_returned(bed.command, "192.0.2.1", "", 1);
	bed.argv[0] = (char *)"/nonexistent/program";
	event_command_returned(bed.command, "192.0.2.3", "teredo", 1);
	event_base_loop(bed.base, EVLOOP_ONCE);
	bed.options.event_command_count = 0;
	event_command_returned(bed.command, "192.0.2.4", "teredo", 1);
	event_base_loop(bed.base, EVLOOP_ONCE);
	bed.argv[0] = (char *)"/bin/sh";
	bed.options.event_command_count = 5;
	event_command_returned(bed.command, "192.0.2.5", "teredo", 1);
	run_until(&bed, 1);
	assert_string_equal(read_output(), "192.0.2.5\n");
	close_bed(&bed);
}

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/teredown-event-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(output, sizeof(output), "%s/out", folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	unlink(output);
	rmdir(folder);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_it_is_given),
		cmocka_unit_test(one_at_a_time),
		cmocka_unit_test(bounded),
		cmocka_unit_test(patience),
		cmocka_unit_test(nothing_to_run),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
