/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The daemon's end of the control socket. A connection walks through three states: it reads one
 * line, waits for the handler to end its reply (now or later), and writes. Everything a client can
 * grow is bounded: the line, the reply, the number of connections, and the time it may keep us
 * waiting.
 *
 * bufferevents were tried on paper and left out: they write with writev(2), so a client that hangs
 * up would raise SIGPIPE in the daemon; send(2) with MSG_NOSIGNAL on a plain event says the same in
 * fewer states.
 *
 * Two daemons that start at once could both find a dead socket and both replace it. The folder is
 * therefore locked (flock, no file left behind) from the look at the old socket until the new one
 * listens.
 */
#include "resolver/control/server.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/strbuf.h"
#include "resolver/control/protocol.h"

#define CONNECTIONS_MAX 32
#define WORDS_MAX 16
#define IDLE_S 5
#define BACKLOG 32
#define ACCEPT_PAUSE_S 1 /* while descriptors have run out */
#define VIA_PART_MAX 64  /* octets of either part of CONTROL_VIA */

enum reply_state { REPLY_READING, REPLY_WAITING, REPLY_WRITING };

/* A connection is the reply to its only request. */
struct control_reply {
	struct control_server *server;
	struct control_reply *next;
	struct event *event; /* read or write, with the idle timeout; not pending while waiting */
	int fd;
	enum reply_state state;
	uid_t uid;
	char via[2 * VIA_PART_MAX + 16]; /* " via dashboard from 192.0.2.1" */
	char behalf[CONTROL_VIA_MAX];    /* "dashboard/192.0.2.1" */
	size_t line_length;
	char line[CONTROL_LINE_MAX + 1]; /* room for the newline */
	struct strbuf head;              /* "ok" or "error words" */
	struct strbuf lines;             /* key and value lines */
	size_t sent;
};

struct control_server {
	struct event_base *base;
	struct event *event; /* the listening socket */
	struct event *pause; /* until it is listened to again */
	int fd;
	control_handler_fn *handler;
	void *context;
	struct control_reply *replies;
	unsigned count;
	struct sockaddr_un address;
	dev_t device; /* which file is ours */
	ino_t inode;
};

static const struct timeval idle = {.tv_sec = IDLE_S};
static const struct timeval accept_pause = {.tv_sec = ACCEPT_PAUSE_S};

static void reply_free(struct control_reply *reply)
{
	struct control_reply **link = &reply->server->replies;
	while (*link != reply)
		link = &(*link)->next;
	*link = reply->next;
	reply->server->count--;
	if (reply->event)
		event_free(reply->event);
	close(reply->fd);
	strbuf_deinit(&reply->head);
	strbuf_deinit(&reply->lines);
	free(reply);
}

/* Sends what the socket takes. True when all is sent or the client is gone. */
static bool reply_send(struct control_reply *reply)
{
	while (reply->sent < reply->head.length) {
		ssize_t n = send(reply->fd, reply->head.data + reply->sent,
			reply->head.length - reply->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno != EAGAIN && errno != EWOULDBLOCK;
		reply->sent += (size_t)n;
	}
	return true;
}

static void on_event(evutil_socket_t fd, short what, void *argument);

static bool wait_for_room(struct control_reply *reply)
{
	if (event_assign(reply->event, reply->server->base, reply->fd, EV_WRITE | EV_PERSIST,
		    on_event, reply) != 0)
		return false;
	return event_add(reply->event, &idle) == 0;
}

/* The head holds the first line; the whole reply leaves, at once where the socket takes it. */
static void reply_finish(struct control_reply *reply)
{
	strbuf_append(&reply->head, reply->lines.data, reply->lines.length);
	if (reply->head.failed || reply->lines.failed || reply->head.length > CONTROL_REPLY_MAX) {
		strbuf_clear(&reply->head);
		strbuf_append_text(&reply->head, "error the reply is too long\n");
	}
	reply->state = REPLY_WRITING;
	if (reply_send(reply) || !wait_for_room(reply))
		reply_free(reply);
}

/* Cuts the line into words at single spaces. 0 when there are none, too many, or an empty one. */
static unsigned split_words(char *line, char *words[WORDS_MAX])
{
	unsigned count = 0;
	for (char *rest = line, *word; (word = strsep(&rest, " ")) != NULL;) {
		if (!*word || count == WORDS_MAX)
			return 0;
		words[count++] = word;
	}
	return count;
}

/* How many octets of text can stand in a line of the log and in an event as they are. */
static size_t plain_length(const char *text)
{
	return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:%_-");
}

/* "dashboard/192.0.2.1". False: it is something else. */
static bool take_via(struct control_reply *reply, const char *text)
{
	size_t program = plain_length(text);

	if (program == 0 || program > VIA_PART_MAX || text[program] != '/')
		return false;
	const char *from = text + program + 1;
	size_t length = plain_length(from);
	if (length == 0 || length > VIA_PART_MAX || from[length])
		return false;
	snprintf(reply->via, sizeof(reply->via), " via %.*s from %s", (int)program, text, from);
	snprintf(reply->behalf, sizeof(reply->behalf), "%s", text);
	return true;
}

static void reply_handle(struct control_reply *reply, size_t length)
{
	char *words[WORDS_MAX] = {NULL};

	event_del(reply->event);
	reply->state = REPLY_WAITING;
	reply->line[length] = '\0';
	if (memchr(reply->line, '\0', length)) {
		control_reply_fail(reply, "a request is text");
		return;
	}
	unsigned count = split_words(reply->line, words);
	if (count == 0) {
		control_reply_fail(reply, "a request is words separated by single spaces");
		return;
	}
	bool via = strncmp(words[0], CONTROL_VIA, strlen(CONTROL_VIA)) == 0;
	if (via && (count == 1 || !take_via(reply, words[0] + strlen(CONTROL_VIA)))) {
		control_reply_fail(reply, "a request begins with " CONTROL_VIA "PROGRAM/FROM or a word");
		return;
	}
	reply->server->handler(reply->server->context, reply, count - via, words + via);
}

static void reply_read(struct control_reply *reply)
{
	char *end = reply->line + reply->line_length;
	ssize_t n = recv(reply->fd, end, sizeof(reply->line) - reply->line_length, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return;
	if (n <= 0) {
		reply_free(reply);
		return;
	}
	reply->line_length += (size_t)n;
	char *newline = memchr(end, '\n', (size_t)n);
	if (newline)
		reply_handle(reply, (size_t)(newline - reply->line));
	else if (reply->line_length == sizeof(reply->line))
		control_reply_fail(reply, "the request is too long");
}

static void on_event(evutil_socket_t fd, short what, void *argument)
{
	struct control_reply *reply = argument;

	(void)fd;
	if (what & EV_TIMEOUT)
		reply_free(reply);
	else if (reply->state == REPLY_READING)
		reply_read(reply);
	else if (reply_send(reply))
		reply_free(reply);
}

/* Says no to a connection that will not be served; best effort. */
static void refuse(int fd, const char *words)
{
	char line[128];
	int length = snprintf(line, sizeof(line), "error %s\n", words);
	send(fd, line, (size_t)length, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static bool peer_allowed(int fd, uid_t *uid)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
		return false;
	*uid = peer.uid;
	return peer.uid == 0 || peer.uid == geteuid();
}

static struct control_reply *reply_new(struct control_server *server, int fd, uid_t uid)
{
	struct control_reply *reply = calloc(1, sizeof(*reply));
	if (!reply)
		return NULL;
	reply->server = server;
	reply->fd = fd;
	reply->uid = uid;
	strbuf_init(&reply->head);
	strbuf_init(&reply->lines);
	reply->event = event_new(server->base, fd, EV_READ | EV_PERSIST, on_event, reply);
	if (!reply->event || event_add(reply->event, &idle) != 0) {
		if (reply->event)
			event_free(reply->event);
		free(reply);
		return NULL;
	}
	reply->next = server->replies;
	server->replies = reply;
	server->count++;
	return reply;
}

/* Whoever knocks stays in the backlog, which would wake us without end while there is no descriptor
 * for it. */
static void pause_listening(struct control_server *server)
{
	if (event_add(server->pause, &accept_pause) == 0)
		event_del(server->event);
}

static void on_pause_over(evutil_socket_t fd, short what, void *argument)
{
	struct control_server *server = argument;

	(void)fd;
	(void)what;
	event_add(server->event, NULL);
}

static void on_accept(evutil_socket_t listener, short what, void *argument)
{
	struct control_server *server = argument;
	uid_t uid = (uid_t)-1;

	(void)what;
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			pause_listening(server);
		return;
	}
	const char *words = NULL;
	if (!peer_allowed(fd, &uid))
		words = "only root and the user of teredownd may ask";
	else if (server->count >= CONNECTIONS_MAX)
		words = "too many connections to the control socket, try again";
	else if (!reply_new(server, fd, uid))
		words = error_text(TD_NOMEM);
	if (words) {
		refuse(fd, words);
		close(fd);
	}
}

/* --- the socket file --- */

static int unix_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* Locks the folder of path; the descriptor, or -1 with a logged error. */
static int lock_folder(const char *path)
{
	char folder[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	const char *slash = strrchr(path, '/');
	size_t length = slash ? (size_t)(slash - path) : 1;

	snprintf(folder, sizeof(folder), "%.*s", (int)(length ? length : 1), slash ? path : ".");
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		log_error("control socket: cannot open %s: %s", folder, strerror(errno));
		return -1;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		log_error("control socket: %s is locked: another teredownd is starting there",
			folder);
		close(fd);
		return -1;
	}
	return fd;
}

/* Removes what a dead daemon left. False (and a logged error) when the place is taken. */
static bool clear_place(const struct sockaddr_un *address)
{
	struct stat status;

	if (lstat(address->sun_path, &status) != 0)
		return true;
	if (!S_ISSOCK(status.st_mode)) {
		log_error("control socket: %s exists and is not a socket", address->sun_path);
		return false;
	}
	int fd = unix_socket();
	if (fd < 0)
		return false;
	int rc = connect(fd, (const struct sockaddr *)address, sizeof(*address));
	int error = rc == 0 ? 0 : errno;
	close(fd);
	if (error != ECONNREFUSED && error != ENOENT) {
		log_error("control socket: another teredownd answers at %s", address->sun_path);
		return false;
	}
	return unlink(address->sun_path) == 0 || errno == ENOENT;
}

/* Binds and listens with mode 0600 from the first moment. */
static bool listen_here(struct control_server *server)
{
	struct stat status;

	server->fd = unix_socket();
	if (server->fd < 0)
		return false;
	mode_t mask = umask(0177);
	int rc = bind(server->fd, (struct sockaddr *)&server->address, sizeof(server->address));
	umask(mask);
	if (rc != 0 || listen(server->fd, BACKLOG) != 0)
		return false;
	if (lstat(server->address.sun_path, &status) != 0)
		return false;
	server->device = status.st_dev;
	server->inode = status.st_ino;
	return true;
}

static bool server_listen(struct control_server *server)
{
	const char *path = server->address.sun_path;
	int folder = lock_folder(path);

	if (folder < 0)
		return false;
	bool clear = clear_place(&server->address);
	bool listening = clear && listen_here(server);
	if (clear && !listening)
		log_error("control socket: cannot listen at %s: %s", path, strerror(errno));
	close(folder);
	return listening;
}

struct control_server *control_server_open(
	struct event_base *base, const char *path, control_handler_fn *handler, void *context)
{
	struct control_server *server = calloc(1, sizeof(*server));

	if (!server) {
		log_error("control socket: %s", error_text(TD_NOMEM));
		return NULL;
	}
	server->base = base;
	server->handler = handler;
	server->context = context;
	server->fd = -1;
	server->address.sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(server->address.sun_path)) {
		log_error("control socket: %s is %s", path, error_text(TD_TOO_LONG));
		free(server);
		return NULL;
	}
	memcpy(server->address.sun_path, path, strlen(path) + 1);
	server->pause = evtimer_new(base, on_pause_over, server);
	if (server->pause && server_listen(server))
		server->event =
			event_new(base, server->fd, EV_READ | EV_PERSIST, on_accept, server);
	if (!server->event || event_add(server->event, NULL) != 0) {
		control_server_close(server);
		return NULL;
	}
	return server;
}

void control_server_close(struct control_server *server)
{
	struct stat status;

	if (!server)
		return;
	while (server->replies) {
		struct control_reply *reply = server->replies;
		if (reply->state != REPLY_WRITING)
			refuse(reply->fd, "teredownd is ending");
		reply_free(reply);
	}
	if (server->event)
		event_free(server->event);
	if (server->pause)
		event_free(server->pause);
	if (server->fd >= 0)
		close(server->fd);
	const char *path = server->address.sun_path;
	if (server->inode && lstat(path, &status) == 0 && status.st_dev == server->device &&
		status.st_ino == server->inode)
		unlink(path);
	free(server);
}

/* --- replies --- */

uid_t control_reply_uid(const struct control_reply *reply)
{
	return reply->uid;
}

const char *control_reply_via(const struct control_reply *reply)
{
	return reply->via;
}

const char *control_reply_behalf(const struct control_reply *reply)
{
	return reply->behalf;
}

void control_reply_add(struct control_reply *reply, const char *key, const char *value)
{
	if (reply->lines.length > CONTROL_REPLY_MAX) /* reply_finish will say so */
		return;
	strbuf_append_text(&reply->lines, key);
	strbuf_append_char(&reply->lines, '\t');
	protocol_escape(&reply->lines, value);
	strbuf_append_char(&reply->lines, '\n');
}

void control_reply_add_u64(struct control_reply *reply, const char *key, uint64_t value)
{
	char text[24];
	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	control_reply_add(reply, key, text);
}

void control_reply_end(struct control_reply *reply)
{
	strbuf_append_text(&reply->head, "ok\n");
	reply_finish(reply);
}

void control_reply_fail(struct control_reply *reply, const char *words)
{
	strbuf_append_text(&reply->head, "error ");
	protocol_escape(&reply->head, words);
	strbuf_append_char(&reply->head, '\n');
	reply_finish(reply);
}
