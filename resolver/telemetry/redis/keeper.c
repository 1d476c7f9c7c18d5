/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A process between the daemon and its private Redis. It exists so that the daemon never waits for
 * a child, and so that Redis outlives the daemon's last flush: both get a session of their own,
 * because Ctrl-C and a closed terminal signal a whole process group.
 *
 * Who lives is told by locks, which the kernel drops with their holder, and not by pid files, which
 * lie. `redis.lock` is held by redis-server itself, through a descriptor that it inherits without
 * knowing; `keeper.lock` by the keeper. A keeper that finds redis.lock taken has found an orphan:
 * it adopts it, that is, it waits until the lock is free and starts one of its own then. The
 * daemon's end, of whatever kind, is the end of the pipe.
 */
#include "resolver/telemetry/redis/keeper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/log.h"

#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 5000
#define STEADY_MS 10000 /* a Redis that lived this long is started again without waiting */
#define ADOPTED_POLL_MS 500
#define SHUTDOWN_WAIT_MS 60000 /* for Redis to write its file, before it is killed */
#define SOCKET_NAME "redis.sock"
#define URL_SCHEME "unix:"

struct keeper {
	pid_t pid;
	int pipe; /* its end tells the keeper to end Redis */
	char url[sizeof(URL_SCHEME) + sizeof(((struct sockaddr_un *)0)->sun_path)];
};

/* The keeper process itself. */
struct nurse {
	const char *dir;    /* absolute */
	const char *socket; /* absolute path of the socket */
	char program[PATH_MAX];
	unsigned memory_mb;
	int pipe;    /* read end */
	int signals; /* SIGCHLD */
	pid_t redis; /* 0: none of our own */
	int64_t started_ms;
	int backoff_ms;
};

static int64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --- the keeper process: small parts --- */

/* Everything but stderr and keep; standard input and output lead nowhere. */
static void close_descriptors(int keep)
{
	DIR *dir = opendir("/proc/self/fd");
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
	}
	if (!dir) {
		for (int fd = STDERR_FILENO + 1; fd < 4096; fd++) {
			if (fd != keep)
				close(fd);
		}
		return;
	}
	for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
		int fd = atoi(entry->d_name);
		if (fd > STDERR_FILENO && fd != keep && fd != dirfd(dir))
			close(fd);
	}
	closedir(dir);
}

/* Ctrl-C, hang-ups and the service manager's SIGTERM are for the daemon: it says when Redis ends.
 */
static void set_signals(struct nurse *nurse)
{
	static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2};
	sigset_t child;

	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_SETMASK, &child, NULL);
	nurse->signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* As root, becomes the owner of the state directory, who is to be able to connect. */
static bool become_owner(const char *dir)
{
	struct stat status;

	if (geteuid() != 0 || stat(dir, &status) != 0 || status.st_uid == 0)
		return true;
	return setgroups(0, NULL) == 0 && setgid(status.st_gid) == 0 && setuid(status.st_uid) == 0;
}

static int open_lock(const struct nurse *nurse, const char *name, int flags)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", nurse->dir, name);
	return open(path, O_RDWR | O_CREAT | O_NOFOLLOW | flags, 0600);
}

/* True when the daemon is gone or asks for the end; waits for that or a child's end for at most
 * timeout_ms (-1: no limit). */
static bool told_to_end(const struct nurse *nurse, int timeout_ms)
{
	struct pollfd pollers[] = {
		{.fd = nurse->pipe, .events = POLLIN},
		{.fd = nurse->signals, .events = POLLIN},
	};
	struct signalfd_siginfo info;

	if (poll(pollers, 2, timeout_ms) <= 0)
		return false;
	while (read(nurse->signals, &info, sizeof(info)) > 0)
		;
	return pollers[0].revents != 0;
}

static bool redis_ended(struct nurse *nurse)
{
	if (nurse->redis == 0 || waitpid(nurse->redis, NULL, WNOHANG) != nurse->redis)
		return nurse->redis == 0;
	nurse->redis = 0;
	return true;
}

/* --- starting --- */

static void exec_redis(const struct nurse *nurse)
{
	char memory[32], log[PATH_MAX];
	sigset_t none;

	snprintf(memory, sizeof(memory), "%umb", nurse->memory_mb);
	snprintf(log, sizeof(log), "%s/redis.log", nurse->dir);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* SIGINT stays ignored until Redis sets its own handlers; the session of its own keeps
	 * Ctrl-C away after that. */
	execl(nurse->program, "redis-server", "--port", "0", "--unixsocket", nurse->socket,
		"--unixsocketperm", "700", "--dir", nurse->dir, "--appendonly", "yes",
		"--appendfsync", "everysec", "--save", "", "--maxmemory", memory,
		"--maxmemory-policy", "noeviction", "--daemonize", "no", "--loglevel", "notice",
		"--logfile", log, (char *)NULL);
	_exit(127);
}

/* False when the lock is taken: another Redis lives. */
static bool start_redis(struct nurse *nurse)
{
	int lock = open_lock(nurse, "redis.lock", 0);

	if (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) != 0) {
		close(lock);
		return false;
	}
	if (lock < 0)
		log_error("keeper: %s/redis.lock: %s", nurse->dir, strerror(errno));
	nurse->started_ms = clock_ms();
	nurse->redis = fork();
	if (nurse->redis == 0)
		exec_redis(nurse);
	if (nurse->redis < 0) {
		log_error("keeper: fork: %s", strerror(errno));
		nurse->redis = 0;
	}
	if (lock >= 0)
		close(lock); /* the lock stays with redis-server */
	return true;
}

/* --- an adopted Redis --- */

static int connect_redis(const struct nurse *nurse)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(address.sun_path, nurse->socket, strlen(nurse->socket) + 1);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static bool lock_is_taken(const struct nurse *nurse)
{
	int lock = open_lock(nurse, "redis.lock", O_CLOEXEC);
	bool taken = lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) != 0;

	if (lock >= 0)
		close(lock);
	return taken;
}

/* It is no child of ours, so it is asked over its socket; the lock says when it is gone. */
static void end_adopted(const struct nurse *nurse)
{
	static const char command[] = "SHUTDOWN\r\n";
	static const struct timespec pause = {.tv_nsec = 50 * 1000000};
	int64_t deadline_ms = clock_ms() + SHUTDOWN_WAIT_MS;
	int fd = -1;

	while (lock_is_taken(nurse) && clock_ms() < deadline_ms) {
		if (fd < 0 && (fd = connect_redis(nurse)) >= 0 &&
			write(fd, command, sizeof(command) - 1) < 0) {
			close(fd);
			fd = -1;
		}
		nanosleep(&pause, NULL);
	}
	if (fd >= 0)
		close(fd);
}

/* --- ending --- */

static void end_own(struct nurse *nurse)
{
	int64_t deadline_ms = clock_ms() + SHUTDOWN_WAIT_MS;

	kill(nurse->redis, SIGTERM);
	while (!redis_ended(nurse) && clock_ms() < deadline_ms) {
		struct pollfd poller = {.fd = nurse->signals, .events = POLLIN};
		struct signalfd_siginfo info;
		poll(&poller, 1, 1000);
		while (read(nurse->signals, &info, sizeof(info)) > 0)
			;
	}
	if (nurse->redis == 0)
		return;
	log_error("keeper: redis-server did not end within %d s and is killed",
		SHUTDOWN_WAIT_MS / 1000);
	kill(nurse->redis, SIGKILL);
	waitpid(nurse->redis, NULL, 0);
}

static void end_redis(struct nurse *nurse)
{
	if (redis_ended(nurse))
		end_adopted(nurse);
	else
		end_own(nurse);
}

/* --- its life --- */

/* After an end of our Redis: how long to wait before the next. */
static int next_backoff(struct nurse *nurse)
{
	int wait_ms = nurse->backoff_ms;

	if (clock_ms() - nurse->started_ms >= STEADY_MS) {
		nurse->backoff_ms = BACKOFF_MIN_MS;
		return 0;
	}
	nurse->backoff_ms = wait_ms * 2 < BACKOFF_MAX_MS ? wait_ms * 2 : BACKOFF_MAX_MS;
	return wait_ms;
}

static bool wait_for(const struct nurse *nurse, int wait_ms)
{
	int64_t until_ms = clock_ms() + wait_ms;

	for (int64_t left = wait_ms; left > 0; left = until_ms - clock_ms()) {
		if (told_to_end(nurse, (int)left))
			return false;
	}
	return !told_to_end(nurse, 0);
}

/* Lives with one Redis, adopted or our own, until that ends (true) or the daemon does (false). */
static bool nurse_redis(struct nurse *nurse)
{
	bool adopted = false;

	while (!start_redis(nurse)) {
		if (!adopted)
			log_info("keeper: a redis-server that outlived its daemon is adopted");
		adopted = true;
		if (told_to_end(nurse, ADOPTED_POLL_MS))
			return false;
	}
	while (!redis_ended(nurse)) {
		if (told_to_end(nurse, -1))
			return false;
	}
	return true;
}

/* A former daemon's keeper may still be waiting for its Redis to end: it goes first. */
static bool wait_for_predecessor(const struct nurse *nurse)
{
	int lock = open_lock(nurse, "keeper.lock", O_CLOEXEC);

	while (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) != 0) {
		if (told_to_end(nurse, 100)) {
			close(lock);
			return false;
		}
	}
	return true; /* the lock goes with the process */
}

static void run_keeper(struct nurse *nurse)
{
	setsid();
	umask(077);
	prctl(PR_SET_NAME, "teredown-keeper");
	close_descriptors(nurse->pipe);
	set_signals(nurse);
	if (!become_owner(nurse->dir) || chdir("/") != 0)
		_exit(1);
	if (!wait_for_predecessor(nurse))
		_exit(0);
	while (nurse_redis(nurse)) {
		int wait_ms = next_backoff(nurse);
		log_warning(
			"keeper: redis-server ended, starting it again in %d ms (see %s/redis.log)",
			wait_ms, nurse->dir);
		if (!wait_for(nurse, wait_ms))
			break;
	}
	end_redis(nurse);
	_exit(0);
}

/* --- the daemon's side --- */

static bool find_program(const char *name, char out[PATH_MAX])
{
	const char *path = getenv("PATH");

	for (const char *at = path ? path : "/usr/bin:/bin"; *at;) {
		size_t length = strcspn(at, ":");
		int size = snprintf(out, PATH_MAX, "%.*s/%s", (int)length, at, name);
		if (length > 0 && size < PATH_MAX && access(out, X_OK) == 0)
			return true;
		at += length + (at[length] == ':');
	}
	return false;
}

/* Absolute, because redis-server changes into it; made if only the last part is missing. */
static bool prepare_dir(const char *state_dir, char out[PATH_MAX])
{
	if (mkdir(state_dir, 0700) != 0 && errno != EEXIST) {
		log_error("state directory %s: %s", state_dir, strerror(errno));
		return false;
	}
	if (!realpath(state_dir, out) || access(out, R_OK | W_OK | X_OK) != 0) {
		log_error("state directory %s: %s", state_dir, strerror(errno));
		return false;
	}
	return true;
}

static bool prepare(
	struct nurse *nurse, const char *state_dir, char dir[PATH_MAX], struct keeper *keeper)
{
	const size_t path_max = sizeof(((struct sockaddr_un *)0)->sun_path);

	if (!find_program("redis-server", nurse->program)) {
		log_error("redis-server is not in PATH: install it, or set `redis` to \"off\" or "
			  "to a server's URL");
		return false;
	}
	if (!prepare_dir(state_dir, dir))
		return false;
	if (strlen(dir) + sizeof("/" SOCKET_NAME) > path_max) {
		log_error("state directory %s: its path is too long for a unix socket (%zu bytes "
			  "with /%s)",
			dir, path_max - 1, SOCKET_NAME);
		return false;
	}
	snprintf(keeper->url, sizeof(keeper->url), URL_SCHEME "%s/" SOCKET_NAME, dir);
	nurse->dir = dir;
	nurse->socket = keeper->url + sizeof(URL_SCHEME) - 1;
	return true;
}

static bool fork_keeper(struct nurse *nurse, struct keeper *keeper)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) != 0) {
		log_error("keeper: pipe: %s", strerror(errno));
		return false;
	}
	nurse->pipe = ends[0];
	keeper->pipe = ends[1];
	keeper->pid = fork();
	if (keeper->pid == 0)
		run_keeper(nurse);
	close(ends[0]);
	if (keeper->pid < 0) {
		log_error("keeper: fork: %s", strerror(errno));
		close(ends[1]);
		return false;
	}
	return true;
}

struct keeper *keeper_start(const char *state_dir, unsigned memory_mb)
{
	struct keeper *keeper = calloc(1, sizeof(*keeper));
	struct nurse nurse = {.memory_mb = memory_mb, .backoff_ms = BACKOFF_MIN_MS};
	char dir[PATH_MAX];

	if (!keeper || !prepare(&nurse, state_dir, dir, keeper) || !fork_keeper(&nurse, keeper)) {
		free(keeper);
		return NULL;
	}
	return keeper;
}

const char *keeper_url(const struct keeper *keeper)
{
	return keeper->url;
}

void keeper_stop(struct keeper **keeper, int timeout_ms)
{
	static const struct timespec pause = {.tv_nsec = 10 * 1000000};
	struct keeper *it = *keeper;

	if (!it)
		return;
	close(it->pipe);
	int64_t deadline_ms = clock_ms() + timeout_ms;
	pid_t ended = waitpid(it->pid, NULL, WNOHANG);
	while (ended == 0 && clock_ms() < deadline_ms) {
		nanosleep(&pause, NULL);
		ended = waitpid(it->pid, NULL, WNOHANG);
	}
	if (ended == 0)
		log_warning("keeper: redis-server is still writing its file; the keeper goes on "
			    "waiting for it");
	free(it);
	*keeper = NULL;
}
