/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/redis_server.h"

#include <setjmp.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

char config[96], url[112];
redisContext *redis;
char *said;

static char folder[64], socket_path[96];
static pid_t server_pid;

/* --- a server of our own --- */

/* Its log says when it takes connections. */
static bool wait_ready(int fd)
{
	char log[16384];
	size_t length = 0;

	while (length + 1 < sizeof(log)) {
		ssize_t n = read(fd, log + length, sizeof(log) - 1 - length);
		if (n <= 0)
			return false;
		length += (size_t)n;
		log[length] = '\0';
		if (strstr(log, "Ready to accept connections") ||
			strstr(log, "ready to accept connections"))
			return true;
	}
	return false;
}

static void write_config(void)
{
	FILE *file = fopen(config, "w");

	assert_non_null(file);
	fprintf(file, "resolver-name = \"gw1\"\nstate-dir = \"%s\"\nredis = \"%s\"\n", folder, url);
	fprintf(file, "listen = { \"127.0.0.1:10953\" }\nupstream = { \"127.0.0.1\" }\n");
	fclose(file);
}

int start_server(void **state)
{
	int log[2];

	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/teredown-reader-XXXXXX");
	if (!mkdtemp(folder) || pipe2(log, O_CLOEXEC) != 0)
		return -1;
	snprintf(socket_path, sizeof(socket_path), "%s/redis.sock", folder);
	snprintf(url, sizeof(url), "unix:%s", socket_path);
	snprintf(config, sizeof(config), "%s/teredown.conf", folder);
	write_config();
	server_pid = fork();
	if (server_pid < 0)
		return -1;
	if (server_pid == 0) {
		dup2(log[1], STDOUT_FILENO);
		execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", socket_path,
			"--save", "", "--appendonly", "no", "--dir", folder, (char *)NULL);
		_exit(127);
	}
	close(log[1]);
	if (wait_ready(log[0]))
		redis = redisConnectUnix(socket_path);
	else
		print_message("redis-server cannot be run: the tests that need it are skipped\n");
	return 0; /* the pipe stays open: writing into a broken one would end the server */
}

int stop_server(void **state)
{
	(void)state;
	if (redis)
		redisFree(redis);
	if (server_pid > 0) {
		kill(server_pid, SIGTERM);
		waitpid(server_pid, NULL, 0);
	}
	free(said);
	unlink(socket_path);
	unlink(config);
	rmdir(folder);
	return 0;
}

void hang_server(bool hangs)
{
	kill(server_pid, hangs ? SIGSTOP : SIGCONT);
}

void put(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	redisReply *reply = redisvCommand(redis, format, arguments);
	va_end(arguments);
	assert_non_null(reply);
	assert_int_not_equal(reply->type, REDIS_REPLY_ERROR);
	freeReplyObject(reply);
}

void hour_words(int64_t hour, char out[16])
{
	time_t seconds = (time_t)(hour * 3600);
	struct tm parts;

	gmtime_r(&seconds, &parts);
	strftime(out, 16, "%Y%m%d%H", &parts);
}

/* --- the commands over it --- */

int run(const char *first, ...)
{
	const char *words[16] = {"teredown", "-c", config, first};
	size_t size;
	va_list arguments;
	int count = 4;

	va_start(arguments, first);
	while (count < 16 && (words[count] = va_arg(arguments, const char *)) != NULL)
		count++;
	va_end(arguments);
	free(said);
	FILE *file = open_memstream(&said, &size);
	assert_non_null(file);
	int code = cli_main(count, (char **)words, file, file);
	fclose(file);
	return code;
}
