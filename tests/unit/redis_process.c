/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/redis_process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

char redis_dir[] = "/tmp/test_redis.XXXXXX";
char redis_url[80];
pid_t redis_pid;
redisContext *redis_client;

static char socket_path[64];

bool redis_is_installed(void)
{
	bool installed = system("command -v redis-server >/dev/null") == 0;

	if (!installed)
		puts("skipped: there is no redis-server in PATH");
	return installed;
}

void pause_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

void redis_start(void)
{
	redis_pid = fork();
	assert_true(redis_pid >= 0);
	if (redis_pid == 0) {
		int null = open("/dev/null", O_WRONLY);
		dup2(null, STDOUT_FILENO);
		execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", socket_path,
			"--dir", redis_dir, "--save", "", "--appendonly", "yes", "--appendfsync",
			"no", (char *)NULL);
		_exit(127);
	}
}

void redis_connect(void)
{
	for (int waited_ms = 0; waited_ms < DEADLINE_MS; waited_ms += 20) {
		redis_client = redisConnectUnix(socket_path);
		redisReply *reply = NULL;
		if (redis_client && !redis_client->err)
			reply = redisCommand(redis_client, "PING");
		bool up = reply && reply->type == REDIS_REPLY_STATUS;
		if (reply)
			freeReplyObject(reply);
		if (up)
			return;
		redisFree(redis_client);
		redis_client = NULL;
		pause_ms(20);
	}
	fail_msg("redis-server does not answer");
}

void redis_kill(void)
{
	if (redis_client)
		redisFree(redis_client);
	redis_client = NULL;
	kill(redis_pid, SIGKILL);
	waitpid(redis_pid, NULL, 0);
}

redisReply *ask(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	redisReply *reply = redisvCommand(redis_client, format, arguments);
	va_end(arguments);
	assert_non_null(reply);
	return reply;
}

void run(redisReply *reply)
{
	if (reply->type == REDIS_REPLY_ERROR)
		fail_msg("%s", reply->str);
	freeReplyObject(reply);
}

int64_t number_of(redisReply *reply)
{
	int64_t value = reply->type == REDIS_REPLY_INTEGER ? reply->integer : -1;
	if (reply->type == REDIS_REPLY_STRING)
		value = strtoll(reply->str, NULL, 10);
	freeReplyObject(reply);
	return value;
}

void assert_text(redisReply *reply, const char *expected)
{
	assert_int_equal(reply->type, REDIS_REPLY_STRING);
	assert_string_equal(reply->str, expected);
	freeReplyObject(reply);
}

int redis_empty(void **state)
{
	(void)state;
	run(ask("FLUSHALL"));
	return 0;
}

int redis_open(void **state)
{
	(void)state;
	if (!mkdtemp(redis_dir))
		return -1;
	snprintf(socket_path, sizeof(socket_path), "%s/redis.sock", redis_dir);
	snprintf(redis_url, sizeof(redis_url), "unix:%s", socket_path);
	redis_start();
	redis_connect();
	return 0;
}

int redis_close(void **state)
{
	char command[128];
	(void)state;

	redis_kill();
	snprintf(command, sizeof(command), "rm -rf %s", redis_dir);
	return system(command);
}
