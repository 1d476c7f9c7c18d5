/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hiredis' reader and formatter on a bufferevent. Its asynchronous context was rejected: it
 * connects with the blocking resolver, brings a timeout model of its own that changed between
 * versions, knows TLS in some versions only, and calls pending callbacks with NULL from inside
 * other calls. Here every callback comes from the loop, after the function that started the work
 * has returned, so a caller may do anything in one; `era` tells, behind a callback, whether it
 * closed the connection.
 */
#include "resolver/telemetry/redis/resp.h"

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
#include "resolver/telemetry/redis/lookup.h"
#include "resolver/telemetry/redis/redis_tls.h"

#define ELEMENT_OCTETS 3 /* of the shortest element of an array: "+\r\n" */

#if HIREDIS_MAJOR < 1
typedef int array_size;
#else
typedef size_t array_size;
#endif
typedef void *create_array_fn(const redisReadTask *task, array_size elements);

#define WORDS_MAX 192

enum resp_state { RESP_CLOSED, RESP_LOOKING_UP, RESP_CONNECTING, RESP_OPEN };

/* How much the failure of an address tells a person: that somebody was there tells more than that
 * nobody was, and this more than that our own machine knows no way (no IPv6, say). */
enum telling { TELLING_NO_WAY, TELLING_NOBODY, TELLING_SERVER };

struct resp {
	struct event_base *base;
	struct resp_settings settings;
	struct resp_callbacks callbacks;
	void *context;
	enum resp_state state;
	uint64_t era; /* counts closings */
	struct redis_node node;
	struct lookup *lookup;
	struct endpoint addresses[LOOKUP_ADDRESSES_MAX]; /* of the node's host */
	size_t address_count, next_address;
	enum telling told;           /* of the addresses that failed, by the one that tells most */
	char told_words[WORDS_MAX];
	int connect_timeout_ms; /* of one address */
	struct bufferevent *stream;
	redisReader *reader;
	redisReplyObjectFunctions functions; /* of the reader */
	create_array_fn *create_array;       /* of hiredis */
	size_t received;                     /* octets since the last whole reply */
	unsigned awaited;                    /* replies */
	int reply_timeout_ms;
	bool reply_kept;
	struct event *timer;  /* runs while something is awaited */
	const char *deferred; /* lost at once: told from the timer */
};

static void start_timer(struct resp *resp, int timeout_ms)
{
	struct timeval wait = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};

	event_add(resp->timer, &wait);
}

static void close_stream(struct resp *resp)
{
	event_del(resp->timer);
	if (resp->stream)
		bufferevent_free(resp->stream);
	resp->stream = NULL;
	resp->deferred = NULL;
}

void resp_close(struct resp *resp)
{
	lookup_stop(resp->lookup);
	close_stream(resp);
	if (resp->reader)
		redisReaderFree(resp->reader);
	resp->reader = NULL;
	resp->received = 0;
	resp->awaited = 0;
	resp->state = RESP_CLOSED;
	resp->era++;
}

/* words may lie in what is about to be freed. */
static void lose(struct resp *resp, const char *words)
{
	char copy[WORDS_MAX];

	snprintf(copy, sizeof(copy), "%s", words);
	resp_close(resp);
	resp->callbacks.lost(resp->context, copy);
}

static void lose_later(struct resp *resp, const char *words)
{
	resp->deferred = words;
	start_timer(resp, 0);
}

/* --- connecting --- */

static void on_read(struct bufferevent *stream, void *context);
static void on_event(struct bufferevent *stream, short what, void *context);

static void connect_to(struct resp *resp, struct sockaddr *address, socklen_t length)
{
	const struct redis_tls *tls = resp->node.port ? resp->settings.tls : NULL;

	resp->state = RESP_CONNECTING;
	resp->stream = tls ? redis_tls_stream(tls, resp->base, resp->node.host)
			   : bufferevent_socket_new(resp->base, -1,
				     BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	if (!resp->stream) {
		lose_later(resp, "out of memory");
		return;
	}
	start_timer(resp, resp->connect_timeout_ms);
	bufferevent_setcb(resp->stream, on_read, NULL, on_event, resp);
	bufferevent_enable(resp->stream, EV_READ | EV_WRITE);
	if (bufferevent_socket_connect(resp->stream, address, (int)length) != 0)
		lose_later(resp, "the socket could not be connected");
}

static void connect_to_next(struct resp *resp)
{
	struct sockaddr_storage address;
	socklen_t length = endpoint_to_sockaddr(&resp->addresses[resp->next_address++], &address);

	connect_to(resp, (struct sockaddr *)&address, length);
}

static void connect_to_path(struct resp *resp)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	memcpy(address.sun_path, resp->node.host,
		strnlen(resp->node.host, sizeof(address.sun_path) - 1));
	connect_to(resp, (struct sockaddr *)&address, sizeof(address));
}

static void on_looked_up(
	void *context, const struct endpoint addresses[], size_t count, const char *words)
{
	struct resp *resp = context;

	if (count == 0) {
		lose(resp, words);
		return;
	}
	memcpy(resp->addresses, addresses, count * sizeof(*addresses));
	resp->address_count = count;
	resp->connect_timeout_ms /= (int)count;
	connect_to_next(resp);
}

/* This address did not do; the next one may. */
static void lose_address(struct resp *resp, enum telling telling, const char *words)
{
	if (resp->state != RESP_CONNECTING) {
		lose(resp, words);
		return;
	}
	if (!resp->told_words[0] || telling > resp->told) {
		resp->told = telling;
		snprintf(resp->told_words, sizeof(resp->told_words), "%s", words);
	}
	if (resp->next_address >= resp->address_count) {
		lose(resp, resp->told_words);
		return;
	}
	close_stream(resp);
	connect_to_next(resp);
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
	struct resp *resp = context;

	(void)fd;
	(void)what;
	if (resp->deferred)
		lose_address(resp, TELLING_NO_WAY, resp->deferred);
	else if (resp->state == RESP_CONNECTING)
		lose_address(resp, TELLING_NOBODY, "no connection within the time limit");
	else
		lose(resp, "no reply within the time limit");
}

/* TLS that did not come to a connection calls it an end, whatever the reason: that is in errno. */
static enum telling say_failure(struct resp *resp, short what, char *words, size_t size)
{
	bool tls = resp->settings.tls && resp->node.port;
	bool ended = what & BEV_EVENT_EOF && !(tls && resp->state == RESP_CONNECTING);
	int error = ended ? 0 : EVUTIL_SOCKET_ERROR();

	if (tls && redis_tls_failure(resp->stream, words, size))
		return TELLING_SERVER;
	if (error == 0 || error == EAGAIN) {
		snprintf(words, size, "the server closed the connection");
		return TELLING_SERVER;
	}
	snprintf(words, size, "%s", evutil_socket_error_to_string(error));
	if (error == ENETUNREACH || error == EADDRNOTAVAIL || error == EAFNOSUPPORT)
		return TELLING_NO_WAY;
	return error == ECONNRESET ? TELLING_SERVER : TELLING_NOBODY;
}

static void on_event(struct bufferevent *stream, short what, void *context)
{
	struct resp *resp = context;
	char words[160];

	(void)stream;
	if (what & BEV_EVENT_CONNECTED) {
		event_del(resp->timer);
		resp->state = RESP_OPEN;
		resp->callbacks.connected(resp->context);
	} else if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) {
		enum telling telling = say_failure(resp, what, words, sizeof(words));
		lose_address(resp, telling, words);
	}
}

/* --- replies --- */

/* Moves what came in to the reader. False when the connection was lost over it. */
static bool feed(struct resp *resp)
{
	struct evbuffer *input = bufferevent_get_input(resp->stream);
	char chunk[4096];

	for (int count = evbuffer_remove(input, chunk, sizeof(chunk)); count > 0;
		count = evbuffer_remove(input, chunk, sizeof(chunk))) {
		resp->received += (size_t)count;
		if (resp->received > resp->settings.reply_bytes_max ||
			redisReaderFeed(resp->reader, chunk, (size_t)count) != REDIS_OK) {
			lose(resp, "the reply is too large, or memory ran out");
			return false;
		}
	}
	return true;
}

/* The next whole reply, or NULL; then it is not there yet or the connection is lost. */
static redisReply *next_reply(struct resp *resp)
{
	void *reply = NULL;

	if (redisReaderGetReply(resp->reader, &reply) != REDIS_OK) {
		lose(resp, "what came is not the Redis protocol");
		return NULL;
	}
	if (reply && resp->awaited == 0) {
		freeReplyObject(reply);
		lose(resp, "a reply without a command");
		return NULL;
	}
	return reply;
}

static void hand_over(struct resp *resp, redisReply *reply)
{
	resp->received = 0;
	resp->reply_kept = false;
	if (--resp->awaited > 0)
		start_timer(resp, resp->reply_timeout_ms);
	else
		event_del(resp->timer);
	resp->callbacks.replied(resp->context, reply);
	if (!resp->reply_kept)
		freeReplyObject(reply);
}

static void on_read(struct bufferevent *stream, void *context)
{
	struct resp *resp = context;
	uint64_t era = resp->era;
	redisReply *reply;

	(void)stream;
	if (!feed(resp))
		return;
	while (resp->era == era && (reply = next_reply(resp)))
		hand_over(resp, reply);
}

/* Memory is taken, and gone through in the end, for as many elements as a reply announces. hiredis
 * bounds them late or not at all; those that fit no reply we take do it here. */
static void *create_array(const redisReadTask *task, array_size elements)
{
	const struct resp *resp = task->privdata;

	if (elements > 0 && (size_t)elements > resp->settings.reply_bytes_max / ELEMENT_OCTETS)
		return NULL;
	return resp->create_array(task, elements);
}

static redisReader *make_reader(struct resp *resp)
{
	redisReader *reader = redisReaderCreate();

	if (!reader)
		return NULL;
	resp->functions = *reader->fn;
	resp->create_array = resp->functions.createArray;
	resp->functions.createArray = create_array;
	reader->fn = &resp->functions;
	reader->privdata = resp;
	return reader;
}

/* --- public --- */

struct resp *resp_new(struct event_base *base, const struct resp_settings *settings,
	const struct resp_callbacks *callbacks, void *context)
{
	struct resp *resp = calloc(1, sizeof(*resp));

	if (!resp)
		return NULL;
	resp->base = base;
	resp->settings = *settings;
	resp->callbacks = *callbacks;
	resp->context = context;
	resp->timer = evtimer_new(base, on_timer, resp);
	resp->lookup = lookup_new(base, settings->name_servers, on_looked_up, resp);
	if (!resp->timer || !resp->lookup)
		resp_free(&resp);
	return resp;
}

void resp_free(struct resp **resp)
{
	if (!*resp)
		return;
	if ((*resp)->timer && (*resp)->lookup)
		resp_close(*resp);
	lookup_free(&(*resp)->lookup);
	if ((*resp)->timer)
		event_free((*resp)->timer);
	free(*resp);
	*resp = NULL;
}

void resp_connect(struct resp *resp, const struct redis_node *node, int timeout_ms)
{
	resp_close(resp);
	resp->node = *node;
	resp->address_count = resp->next_address = 0;
	resp->told_words[0] = '\0';
	resp->connect_timeout_ms = timeout_ms;
	resp->reader = make_reader(resp);
	if (!resp->reader) {
		lose_later(resp, "out of memory");
	} else if (node->port == 0) {
		connect_to_path(resp);
	} else {
		resp->state = RESP_LOOKING_UP;
		lookup_start(resp->lookup, node->host, node->port);
	}
}

void resp_command(struct resp *resp, size_t argc, const char *const argv[], const size_t lengths[],
	int timeout_ms)
{
	char *command = NULL;
	long long size = redisFormatCommandArgv(&command, (int)argc, (const char **)argv, lengths);

	resp->reply_timeout_ms = timeout_ms;
	if (size < 0 || bufferevent_write(resp->stream, command, (size_t)size) != 0)
		lose_later(resp, "out of memory");
	else if (resp->awaited++ == 0)
		start_timer(resp, timeout_ms);
	if (command)
		redisFreeCommand(command);
}

void resp_keep_reply(struct resp *resp)
{
	resp->reply_kept = true;
}
