/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * posix_spawn instead of fork: the daemon has threads, and nothing may run in the child before the
 * program does. Rejected: a shell, which would read what a host on the network chose as its words;
 * handing events over as arguments, where a program could take one for an option; and a queue on
 * disk, because the event itself stands in Redis, whatever becomes of the program.
 */
#include "resolver/event_command.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config.h"
#include "lib/base/log.h"
#include "lib/base/mailbox.h"
#include "lib/base/strbuf.h"

#define ARGUMENTS_MAX 64

struct returned_letter {
	struct letter letter;
	int64_t at_ms;
	char client[ADDRESS_TEXT_MAX], zone[POLICY_ZONE_NAME_MAX];
};

struct event_command {
	struct event_command_settings settings;
	int wake_fd;
	struct event *wake, *child, *next, *patience;
	struct mailbox box;
	atomic_uint waiting_count; /* letters, posted or waiting */
	atomic_uint lost;          /* since it was logged */
	struct letter *first, **last;
	pid_t pid; /* 0: none runs */
};

/* --- any thread --- */

static bool is_zone(const char *text)
{
	size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");
	return length > 0 && length < POLICY_ZONE_NAME_MAX && !text[length];
}

void event_command_returned(void *context, const char *client, const char *zone, int64_t at_ms)
{
	struct event_command *command = context;
	struct returned_letter *letter = NULL;
	struct address address;
	uint64_t one = 1;

	if (!client_from_text(&address, client) || !is_zone(zone))
		return;
	if (atomic_fetch_add(&command->waiting_count, 1) < EVENT_COMMAND_WAITING_MAX)
		letter = calloc(1, sizeof(*letter));
	if (!letter) {
		atomic_fetch_sub(&command->waiting_count, 1);
		atomic_fetch_add(&command->lost, 1);
		return;
	}
	letter->at_ms = at_ms;
	address_to_text(&address, letter->client);
	snprintf(letter->zone, sizeof(letter->zone), "%s", zone);
	if (mailbox_post(&command->box, &letter->letter) &&
		write(command->wake_fd, &one, sizeof(one)) < 0)
		log_error("event-command: cannot wake the main thread: %s", strerror(errno));
}

/* --- one program --- */

static void append_variable(struct strbuf *out, const char *name, const char *value)
{
	strbuf_append_text(out, name);
	strbuf_append_text(out, value);
	strbuf_append_char(out, '\0');
}

/* Lines of the environment, each ended by NUL. */
static void append_environment(const struct event_command *command,
	const struct returned_letter *letter, struct strbuf *out)
{
	append_variable(
		out, "PATH=", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	append_variable(out, "LANG=", "C.UTF-8");
	append_variable(out, "TEREDOWN_EVENT=", "remediated-back");
	append_variable(out, "TEREDOWN_RESOLVER=", command->settings.options->resolver_name);
	append_variable(out, "TEREDOWN_CLIENT=", letter->client);
	append_variable(out, "TEREDOWN_ZONE=", letter->zone);
	strbuf_append_text(out, "TEREDOWN_TIME=");
	strbuf_append_time(out, letter->at_ms * 1000);
	strbuf_append_char(out, '\0');
}

static bool set_actions(posix_spawn_file_actions_t *actions)
{
	return posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0) == 0 &&
	       posix_spawn_file_actions_adddup2(actions, 2, 1) == 0
#ifdef HAVE_POSIX_SPAWN_FILE_ACTIONS_ADDCLOSEFROM_NP
	       && posix_spawn_file_actions_addclosefrom_np(actions, 3) == 0
#endif
		;
}

/* Signals as a program expects them: none blocked, none ignored. */
static bool set_attributes(posix_spawnattr_t *attributes)
{
	sigset_t none, all;

	sigemptyset(&none);
	sigfillset(&all);
	return posix_spawnattr_setsigmask(attributes, &none) == 0 &&
	       posix_spawnattr_setsigdefault(attributes, &all) == 0 &&
	       posix_spawnattr_setpgroup(attributes, 0) == 0 &&
	       posix_spawnattr_setflags(attributes,
		       POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP) == 0;
}

/* 0, or the error. */
static int spawn(pid_t *pid, char *const argv[], char *const environment[])
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int error = ENOMEM;

	if (posix_spawn_file_actions_init(&actions) != 0)
		return error;
	if (posix_spawnattr_init(&attributes) == 0) {
		if (set_actions(&actions) && set_attributes(&attributes))
			error = posix_spawn(pid, argv[0], &actions, &attributes, argv, environment);
		posix_spawnattr_destroy(&attributes);
	}
	posix_spawn_file_actions_destroy(&actions);
	return error;
}

static bool run(struct event_command *command, const struct returned_letter *letter)
{
	const struct options *options = command->settings.options;
	char *argv[ARGUMENTS_MAX + 1] = {NULL}, *environment[16] = {NULL};
	size_t count = options->event_command_count, lines = 0;
	struct strbuf text;

	if (count == 0 || count > ARGUMENTS_MAX)
		return false;
	memcpy(argv, options->event_command, count * sizeof(*argv));
	strbuf_init(&text);
	append_environment(command, letter, &text);
	for (size_t at = 0; !text.failed && at < text.length; at += strlen(text.data + at) + 1)
		environment[lines++] = text.data + at;
	int error = text.failed ? ENOMEM : spawn(&command->pid, argv, environment);
	strbuf_deinit(&text);
	if (error != 0) {
		command->pid = 0;
		log_warning("event-command: %s cannot be run: %s", argv[0], strerror(error));
		return false;
	}
	log_info("event-command: %s asks again in zone %s: started %s", letter->client,
		letter->zone, argv[0]);
	return true;
}

/* --- the main thread --- */

static void add_timer(struct event *timer, int ms)
{
	struct timeval wait = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
	event_add(timer, &wait);
}

static struct returned_letter *take_first(struct event_command *command)
{
	struct letter *letter = command->first;

	if (!letter)
		return NULL;
	command->first = letter->next;
	if (!command->first)
		command->last = &command->first;
	atomic_fetch_sub(&command->waiting_count, 1);
	return (struct returned_letter *)letter;
}

/* Until a program was started, or none can be now. */
static void start_next(struct event_command *command)
{
	while (command->pid == 0 && !evtimer_pending(command->next, NULL)) {
		struct returned_letter *letter = take_first(command);
		if (!letter)
			return;
		bool started = run(command, letter);
		free(letter);
		if (!started)
			continue;
		add_timer(command->next, command->settings.interval_ms);
		add_timer(command->patience, command->settings.patience_ms);
	}
}

static void take_letters(struct event_command *command)
{
	unsigned lost = atomic_exchange(&command->lost, 0);

	*command->last = mailbox_take(&command->box);
	while (*command->last)
		command->last = &(*command->last)->next;
	if (lost)
		log_warning("event-command: %u events are lost to it: more than %d waited", lost,
			EVENT_COMMAND_WAITING_MAX);
}

static void on_wake(evutil_socket_t fd, short what, void *context)
{
	uint64_t count;
	ssize_t length = read(fd, &count, sizeof(count));

	(void)length; /* nothing to read: taken already */
	(void)what;
	take_letters(context);
	start_next(context);
}

static void on_next(evutil_socket_t fd, short what, void *context)
{
	(void)fd;
	(void)what;
	take_letters(context);
	start_next(context);
}

/* SIGCHLD, of ours or of another child. */
static void on_child(evutil_socket_t fd, short what, void *context)
{
	struct event_command *command = context;
	int status;

	(void)fd;
	(void)what;
	if (command->pid == 0 || waitpid(command->pid, &status, WNOHANG) != command->pid)
		return;
	command->pid = 0;
	evtimer_del(command->patience);
	if (WIFSIGNALED(status))
		log_warning("event-command: ended by signal %d", WTERMSIG(status));
	else if (WEXITSTATUS(status) != 0)
		log_warning("event-command: ended with status %d", WEXITSTATUS(status));
	start_next(command);
}

static void on_patience(evutil_socket_t fd, short what, void *context)
{
	struct event_command *command = context;

	(void)fd;
	(void)what;
	if (command->pid == 0)
		return;
	log_warning("event-command: it has not ended within %d s and is killed",
		command->settings.patience_ms / 1000);
	kill(-command->pid, SIGKILL);
}

/* --- making and ending --- */

struct event_command *event_command_new(const struct event_command_settings *settings)
{
	struct event_command *command = calloc(1, sizeof(*command));

	if (!command)
		return NULL;
	command->settings = *settings;
	command->last = &command->first;
	mailbox_init(&command->box);
	command->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (command->wake_fd < 0) {
		free(command);
		return NULL;
	}
	return command;
}

bool event_command_start(struct event_command *command, struct event_base *base)
{
	command->wake = event_new(base, command->wake_fd, EV_READ | EV_PERSIST, on_wake, command);
	command->child = evsignal_new(base, SIGCHLD, on_child, command);
	command->next = evtimer_new(base, on_next, command);
	command->patience = evtimer_new(base, on_patience, command);
	return command->wake && command->child && command->next && command->patience &&
	       event_add(command->wake, NULL) == 0 && event_add(command->child, NULL) == 0;
}

void event_command_free(struct event_command *command)
{
	if (!command)
		return;
	struct event *const events[] = {
		command->wake, command->child, command->next, command->patience};
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (events[i])
			event_free(events[i]);
	take_letters(command);
	for (struct returned_letter *letter = take_first(command); letter;
		letter = take_first(command))
		free(letter);
	close(command->wake_fd);
	free(command);
}
