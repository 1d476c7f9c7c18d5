/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hiredis' reader and formatter on a bufferevent. Its asynchronous context was rejected: it
 * connects with the blocking resolver, brings a timeout model of its own that changed between
 * versions, and calls pending callbacks with NULL from inside other calls. Here every callback
 * comes from the loop, after the function that started the work has returned, so a caller may do
 * anything in one.
 */
#include "resolver/telemetry/resp.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/util.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "lib/base/clock.h"
#include "lib/dns/address.h"

#define REPLY_BYTES_MAX \
	((size_t)4 << 20) /* nothing asked for here is near this; more is not Redis */

enum resp_state { RESP_CLOSED, RESP_CONNECTING, RESP_IDLE, RESP_WAITING };

struct resp {
	struct event_base *base;
	struct resp_url url;
	struct resp_callbacks callbacks;
	void *context;
	enum resp_state state;
	struct bufferevent *stream;
	redisReader *reader;
	size_t received;      /* octets since the last whole reply */
	struct event *timer;  /* runs while something is awaited */
	const char *deferred; /* lost at once: told from the timer */
};

/* --- URL --- */

static enum td_error fail(char *why, size_t why_size, const char *words)
{
	snprintf(why, why_size, "%s", words);
	return TD_INVALID;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes size octets of percent-encoded text; false when it does not fit, is badly encoded or
 * holds a NUL. */
static bool decode(char *out, size_t out_size, const char *text, size_t size)
{
	size_t length = 0;

	for (size_t i = 0; i < size; i++) {
		int c = (unsigned char)text[i];
		if (c == '%') {
			int high = i + 2 < size ? hex_digit(text[i + 1]) : -1;
			int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
			if (low < 0)
				return false;
			c = high << 4 | low;
			i += 2;
		}
		if (c == 0 || length + 1 >= out_size)
			return false;
		out[length++] = (char)c;
	}
	out[length] = '\0';
	return true;
}

static bool parse_number(const char *text, unsigned long most, unsigned long *out)
{
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	*out = strtoul(text, &end, 10);
	return errno == 0 && *end == '\0' && *out <= most;
}

static enum td_error parse_unix(struct resp_url *out, const char *path, char *why, size_t why_size)
{
	if (path[0] != '/')
		return fail(why, why_size, "unix: needs an absolute path");
	if (strlen(path) >= sizeof(out->path))
		return fail(why, why_size, "the path of a unix socket is at most 107 bytes long");
	out->is_unix = true;
	memcpy(out->path, path, strlen(path) + 1);
	return TD_OK;
}

static enum td_error parse_user(
	struct resp_url *out, const char *text, size_t size, char *why, size_t why_size)
{
	const char *colon = memchr(text, ':', size);
	size_t user = colon ? (size_t)(colon - text) : size;

	if (!colon)
		return fail(why, why_size, "before the @ stands [user]:password");
	if (!decode(out->user, sizeof(out->user), text, user) ||
		!decode(out->password, sizeof(out->password), colon + 1, size - user - 1))
		return fail(why, why_size, "user or password is too long or badly percent-encoded");
	return TD_OK;
}

static enum td_error parse_port(struct resp_url *out, const char *text, char *why, size_t why_size)
{
	unsigned long port = 6379;

	if (text[0] == ':' && (!parse_number(text + 1, 65535, &port) || port == 0))
		return fail(why, why_size, "the port is a number from 1 to 65535");
	if (text[0] != ':' && text[0] != '\0')
		return fail(why, why_size, "something unexpected follows the host");
	out->port = (uint16_t)port;
	return TD_OK;
}

/* "host", "host:port", "[v6]:port". */
static enum td_error parse_host(struct resp_url *out, const char *text, char *why, size_t why_size)
{
	bool bracket = text[0] == '[';
	size_t length = bracket ? strcspn(text + 1, "]") : strcspn(text, ":");
	const char *host = text + bracket;
	const char *behind = host + length;
	struct address address;

	if (length == 0 || length >= sizeof(out->host) || (bracket && *behind != ']'))
		return fail(why, why_size, "the host is missing or too long");
	memcpy(out->host, host, length);
	out->host[length] = '\0';
	if (strcmp(out->host, "localhost") == 0)
		snprintf(out->host, sizeof(out->host), "127.0.0.1");
	if (!address_from_text(&address, out->host))
		return fail(why, why_size, "the host must be a numeric address or localhost");
	return parse_port(out, behind + bracket, why, why_size);
}

enum td_error resp_url_parse(struct resp_url *out, const char *text, char *why, size_t why_size)
{
	static const char scheme[] = "redis://";
	char host[512];
	unsigned long database = 0;

	*out = (struct resp_url){0};
	if (strncmp(text, "unix:", 5) == 0)
		return parse_unix(out, text + 5, why, why_size);
	if (strncmp(text, scheme, sizeof(scheme) - 1) != 0)
		return fail(why, why_size,
			"expected unix:/path or redis://[user:password@]host[:port][/database]");
	text += sizeof(scheme) - 1;
	const char *at = strrchr(text, '@');
	if (at) {
		enum td_error error = parse_user(out, text, (size_t)(at - text), why, why_size);
		if (error != TD_OK)
			return error;
		text = at + 1;
	}
	size_t length = strcspn(text, "/");
	if (length >= sizeof(host))
		return fail(why, why_size, "the host is missing or too long");
	memcpy(host, text, length);
	host[length] = '\0';
	if (text[length] == '/' && text[length + 1] != '\0' &&
		!parse_number(text + length + 1, 65535, &database))
		return fail(why, why_size, "behind the / stands the number of a database");
	out->database = (unsigned)database;
	return parse_host(out, host, why, why_size);
}

/* --- the connection --- */

static void start_timer(struct resp *resp, int timeout_ms)
{
	struct timeval wait = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};

	event_add(resp->timer, &wait);
}

void resp_close(struct resp *resp)
{
	event_del(resp->timer);
	if (resp->stream)
		bufferevent_free(resp->stream);
	resp->stream = NULL;
	if (resp->reader)
		redisReaderFree(resp->reader);
	resp->reader = NULL;
	resp->received = 0;
	resp->deferred = NULL;
	resp->state = RESP_CLOSED;
}

/* words may lie in what is about to be freed. */
static void lose(struct resp *resp, const char *words)
{
	char copy[192];

	snprintf(copy, sizeof(copy), "%s", words);
	resp_close(resp);
	resp->callbacks.lost(resp->context, copy);
}

static void lose_later(struct resp *resp, const char *words)
{
	resp->deferred = words;
	start_timer(resp, 0);
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
	struct resp *resp = context;

	(void)fd;
	(void)what;
	if (resp->deferred)
		lose(resp, resp->deferred);
	else if (resp->state == RESP_CONNECTING)
		lose(resp, "no connection within the time limit");
	else
		lose(resp, "no reply within the time limit");
}

static void on_event(struct bufferevent *stream, short what, void *context)
{
	struct resp *resp = context;

	(void)stream;
	if (what & BEV_EVENT_CONNECTED) {
		event_del(resp->timer);
		resp->state = RESP_IDLE;
		resp->callbacks.connected(resp->context);
	} else if (what & BEV_EVENT_EOF) {
		lose(resp, "the server closed the connection");
	} else if (what & BEV_EVENT_ERROR) {
		lose(resp, evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR()));
	}
}

/* Moves what came in to the reader. False when the connection was lost over it. */
static bool feed(struct resp *resp)
{
	struct evbuffer *input = bufferevent_get_input(resp->stream);
	char chunk[4096];

	for (int count = evbuffer_remove(input, chunk, sizeof(chunk)); count > 0;
		count = evbuffer_remove(input, chunk, sizeof(chunk))) {
		resp->received += (size_t)count;
		if (resp->received > REPLY_BYTES_MAX ||
			redisReaderFeed(resp->reader, chunk, (size_t)count) != REDIS_OK) {
			lose(resp, "the reply is too large, or memory ran out");
			return false;
		}
	}
	return true;
}

static void on_read(struct bufferevent *stream, void *context)
{
	struct resp *resp = context;
	void *reply = NULL;

	(void)stream;
	if (!feed(resp))
		return;
	if (redisReaderGetReply(resp->reader, &reply) != REDIS_OK) {
		lose(resp, "what came is not the Redis protocol");
		return;
	}
	if (!reply)
		return;
	if (resp->state != RESP_WAITING) {
		freeReplyObject(reply);
		lose(resp, "a reply without a command");
		return;
	}
	event_del(resp->timer);
	resp->received = 0;
	resp->state = RESP_IDLE;
	resp->callbacks.replied(resp->context, reply);
	freeReplyObject(reply);
}

struct resp *resp_new(struct event_base *base, const struct resp_url *url,
	const struct resp_callbacks *callbacks, void *context)
{
	struct resp *resp = calloc(1, sizeof(*resp));

	if (!resp)
		return NULL;
	resp->base = base;
	resp->url = *url;
	resp->callbacks = *callbacks;
	resp->context = context;
	resp->timer = evtimer_new(base, on_timer, resp);
	if (!resp->timer) {
		free(resp);
		return NULL;
	}
	return resp;
}

void resp_free(struct resp **resp)
{
	if (!*resp)
		return;
	resp_close(*resp);
	event_free((*resp)->timer);
	explicit_bzero((*resp)->url.password, sizeof((*resp)->url.password));
	free(*resp);
	*resp = NULL;
}

static socklen_t socket_address(const struct resp_url *url, struct sockaddr_storage *out)
{
	if (url->is_unix) {
		struct sockaddr_un *sun = (struct sockaddr_un *)out;
		*sun = (struct sockaddr_un){.sun_family = AF_UNIX};
		memcpy(sun->sun_path, url->path, strlen(url->path) + 1);
		return sizeof(*sun);
	}
	struct endpoint endpoint = {.port = url->port};
	if (!address_from_text(&endpoint.address, url->host))
		return 0;
	return endpoint_to_sockaddr(&endpoint, out);
}

void resp_connect(struct resp *resp, int timeout_ms)
{
	struct sockaddr_storage address;
	socklen_t length = socket_address(&resp->url, &address);

	resp_close(resp);
	resp->state = RESP_CONNECTING;
	resp->reader = redisReaderCreate();
	resp->stream = bufferevent_socket_new(
		resp->base, -1, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	if (length == 0 || !resp->reader || !resp->stream) {
		lose_later(resp, "out of memory");
		return;
	}
	start_timer(resp, timeout_ms);
	bufferevent_setcb(resp->stream, on_read, NULL, on_event, resp);
	bufferevent_enable(resp->stream, EV_READ | EV_WRITE);
	if (bufferevent_socket_connect(resp->stream, (struct sockaddr *)&address, (int)length) != 0)
		lose_later(resp, "the socket could not be connected");
}

void resp_command(struct resp *resp, size_t argc, const char *const argv[], const size_t lengths[],
	int timeout_ms)
{
	char *command = NULL;
	long long size = redisFormatCommandArgv(&command, (int)argc, (const char **)argv, lengths);

	resp->state = RESP_WAITING;
	if (size < 0 || bufferevent_write(resp->stream, command, (size_t)size) != 0)
		lose_later(resp, "out of memory");
	else
		start_timer(resp, timeout_ms);
	if (command)
		redisFreeCommand(command);
}
