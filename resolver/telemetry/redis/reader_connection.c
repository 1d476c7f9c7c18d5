/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The loop runs inside take and open, and nowhere else; replies that come while another is waited
 * for stand in a queue. hiredis' blocking context was rejected: it has TLS in some versions only,
 * and following a master or a slot would have been written twice.
 *
 * What waits in vain is paid from the patience of who asked, if he has one: a server that hangs then
 * costs him its time limit once, and not for every connection that he tries. Waits that end with a
 * reply cost nothing, so a long answer out of many replies is not cut short.
 */
#include "resolver/telemetry/redis/reader_connection.h"

#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "resolver/telemetry/redis/redis_link.h"
#include "resolver/telemetry/redis/redis_tls.h"

#define REPLY_BYTES_MAX ((size_t)512 << 20) /* what one HGETALL may bring, and no more */
#define WORDS_MAX 192
#define LEAST_MS 250 /* one that answers at once is heard, however little patience is left */

struct waiting_reply {
	struct waiting_reply *next;
	redisReply *reply;
};

struct reader_connection {
	struct event_base *base;
	struct redis_address address;
	struct redis_tls *tls;
	struct redis_link *link;
	bool open, lost, refused;
	struct redis_patience *patience; /* NULL: none */
	struct event *impatience;
	struct waiting_reply *first, **last;
	char words[WORDS_MAX];
};

static void on_opened(void *context)
{
	((struct reader_connection *)context)->open = true;
}

static void on_replied(void *context, struct redisReply *reply)
{
	struct reader_connection *connection = context;
	struct waiting_reply *waiting = malloc(sizeof(*waiting));

	if (!waiting) {
		connection->lost = true;
		snprintf(connection->words, sizeof(connection->words), "%s", error_text(TD_NOMEM));
		redis_link_close(connection->link);
		return;
	}
	*waiting = (struct waiting_reply){.reply = reply};
	*connection->last = waiting;
	connection->last = &waiting->next;
	redis_link_keep_reply(connection->link);
}

/* What Redis itself says begins with a word of capitals. */
static bool is_refusal(const char *words)
{
	return strstr(words, "NOAUTH") || strstr(words, "WRONGPASS") || strstr(words, "NOPERM") ||
	       strstr(words, "ERR ");
}

static void on_lost(void *context, const char *words)
{
	struct reader_connection *connection = context;

	connection->lost = true;
	connection->refused = is_refusal(words);
	snprintf(connection->words, sizeof(connection->words), "%s", words);
}

static void run(struct reader_connection *connection)
{
	if (event_base_loop(connection->base, EVLOOP_ONCE) != 0)
		on_lost(connection, "the loop ended");
}

static int64_t mono_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void on_impatient(evutil_socket_t fd, short what, void *context)
{
	struct reader_connection *connection = context;

	(void)fd;
	(void)what;
	redis_link_close(connection->link);
	on_lost(connection, "no reply within the time limit");
}

static void begin_wait(struct reader_connection *connection)
{
	if (!connection->patience)
		return;
	int ms = connection->patience->left_ms;
	ms = ms > LEAST_MS ? ms : LEAST_MS;
	const struct timeval time = {ms / 1000, ms % 1000 * 1000};
	evtimer_add(connection->impatience, &time);
}

static void end_wait(struct reader_connection *connection, int64_t began_ms)
{
	if (!connection->patience)
		return;
	evtimer_del(connection->impatience);
	int64_t left_ms = connection->patience->left_ms - (mono_ms() - began_ms);
	if (connection->lost)
		connection->patience->left_ms = left_ms > 0 ? (int)left_ms : 0;
}

static enum td_error make_parts(struct reader_connection *connection, const char *url,
	const struct redis_access *access, const char *key, int timeout_ms)
{
	static const struct redis_link_callbacks callbacks = {
		.opened = on_opened, .replied = on_replied, .lost = on_lost};
	struct redis_link_settings settings = {.address = &connection->address,
		.key = key,
		.resp = {.reply_bytes_max = REPLY_BYTES_MAX},
		.connect_timeout_ms = timeout_ms,
		.reply_timeout_ms = timeout_ms};
	enum td_error error = redis_link_understand(&connection->address, &connection->tls, url,
		access, connection->words, sizeof(connection->words));

	if (error != TD_OK)
		return error;
	settings.resp.tls = connection->tls;
	connection->base = event_base_new();
	connection->patience = access ? access->patience : NULL;
	connection->impatience =
		connection->base ? evtimer_new(connection->base, on_impatient, connection) : NULL;
	if (!connection->impatience)
		return TD_NOMEM;
	connection->link = redis_link_new(connection->base, &settings, &callbacks, connection);
	return connection->link ? TD_OK : TD_NOMEM;
}

static enum td_error connect_now(struct reader_connection *connection)
{
	int64_t began_ms = mono_ms();

	begin_wait(connection);
	redis_link_open(connection->link);
	while (!connection->open && !connection->lost)
		run(connection);
	end_wait(connection, began_ms);
	if (connection->open)
		return TD_OK;
	return connection->refused ? TD_REFUSED : TD_IO;
}

enum td_error reader_connection_open(struct reader_connection **out, const char *url,
	const struct redis_access *access, const char *key, int timeout_ms, char *words,
	size_t size)
{
	struct reader_connection *connection = calloc(1, sizeof(*connection));
	enum td_error error = TD_NOMEM;

	if (connection) {
		connection->last = &connection->first;
		error = make_parts(connection, url, access, key, timeout_ms);
	}
	if (error == TD_OK)
		error = connect_now(connection);
	if (error != TD_OK) {
		snprintf(words, size, "%s",
			connection && connection->words[0] ? connection->words : error_text(error));
		reader_connection_close(&connection);
	}
	*out = connection;
	return error;
}

void reader_connection_close(struct reader_connection **connection)
{
	struct reader_connection *it = *connection;

	if (!it)
		return;
	redis_link_free(&it->link);
	redis_tls_free(&it->tls);
	if (it->impatience)
		event_free(it->impatience);
	if (it->base)
		event_base_free(it->base);
	for (struct waiting_reply *waiting = it->first; waiting;) {
		struct waiting_reply *next = waiting->next;
		freeReplyObject(waiting->reply);
		free(waiting);
		waiting = next;
	}
	redis_address_forget(&it->address);
	free(it);
	*connection = NULL;
}

void reader_connection_put(
	struct reader_connection *connection, size_t argc, const char *const argv[])
{
	size_t lengths[32];

	if (connection->lost || argc > sizeof(lengths) / sizeof(lengths[0]))
		return;
	for (size_t i = 0; i < argc; i++)
		lengths[i] = strlen(argv[i]);
	redis_link_command(connection->link, argc, argv, lengths);
}

void reader_connection_put_sized(struct reader_connection *connection, size_t argc,
	const char *const argv[], const size_t lengths[])
{
	if (!connection->lost)
		redis_link_command(connection->link, argc, argv, lengths);
}

static void wait_for_reply(struct reader_connection *connection)
{
	int64_t began_ms = mono_ms();

	begin_wait(connection);
	while (!connection->first && !connection->lost)
		run(connection);
	end_wait(connection, began_ms);
}

struct redisReply *reader_connection_take(struct reader_connection *connection)
{
	if (!connection->first && !connection->lost)
		wait_for_reply(connection);
	struct waiting_reply *waiting = connection->first;
	if (!waiting)
		return NULL;
	redisReply *reply = waiting->reply;
	connection->first = waiting->next;
	if (!connection->first)
		connection->last = &connection->first;
	free(waiting);
	return reply;
}

const char *reader_connection_words(const struct reader_connection *connection)
{
	return connection->words;
}
