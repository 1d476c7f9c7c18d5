/* SPDX-License-Identifier: BSD-3-Clause */
/*
 *   target → connect → AUTH → SELECT → question → … → open
 *
 * Each arrow is a reply; a step that a server does not need is passed over. A sentinel is asked
 * without a login at first, unless it has a login of its own: most have none, and would refuse one.
 * If it wants one, it gets that of the data.
 */
#include "resolver/telemetry/redis/redis_link.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/telemetry/redis/redis_tls.h"

enum link_state { LINK_CLOSED, LINK_CONNECTING, LINK_AUTH, LINK_SELECT, LINK_QUESTION, LINK_OPEN };

struct redis_link {
	struct redis_link_settings settings;
	struct redis_link_callbacks callbacks;
	void *context;
	char *key;
	struct redis_find find;
	struct resp *resp;
	enum link_state state;
	struct redis_node node;
	bool lent_login; /* the sentinel got the login of the data */
};

static void send_words(
	struct redis_link *link, enum link_state state, size_t argc, const char *const argv[])
{
	size_t lengths[FIND_ARGUMENTS_MAX];

	for (size_t i = 0; i < argc; i++)
		lengths[i] = strlen(argv[i]);
	link->state = state;
	resp_command(link->resp, argc, argv, lengths, link->settings.reply_timeout_ms);
}

static void connect_target(struct redis_link *link)
{
	const struct redis_node *target = redis_find_target(&link->find);

	resp_close(link->resp);
	link->lent_login = false;
	if (!target) {
		link->state = LINK_CLOSED;
		link->callbacks.lost(link->context, redis_find_words(&link->find));
		return;
	}
	link->node = *target;
	link->state = LINK_CONNECTING;
	resp_connect(link->resp, target, link->settings.connect_timeout_ms);
}

static void refuse_target(struct redis_link *link, const char *words)
{
	redis_find_failed(&link->find, words);
	connect_target(link);
}

static void open_here(struct redis_link *link)
{
	if (link->settings.aim == FIND_NAME)
		link->node = *redis_find_named(&link->find);
	link->state = LINK_OPEN;
	link->callbacks.opened(link->context);
}

static void send_question(struct redis_link *link)
{
	const char *argv[FIND_ARGUMENTS_MAX];
	size_t argc = redis_find_question(&link->find, argv);

	if (argc)
		send_words(link, LINK_QUESTION, argc, argv);
	else
		open_here(link);
}

static void send_select(struct redis_link *link)
{
	char number[16];

	if (link->settings.address->database == 0 || redis_find_is_sentinel(&link->find)) {
		send_question(link);
		return;
	}
	snprintf(number, sizeof(number), "%u", link->settings.address->database);
	send_words(link, LINK_SELECT, 2, (const char *const[]){"SELECT", number});
}

static void send_login(struct redis_link *link, const struct redis_login *login)
{
	if (login->password[0] == '\0')
		send_select(link);
	else if (login->user[0] == '\0')
		send_words(link, LINK_AUTH, 2, (const char *const[]){"AUTH", login->password});
	else
		send_words(link, LINK_AUTH, 3,
			(const char *const[]){"AUTH", login->user, login->password});
}

static void on_connected(void *context)
{
	struct redis_link *link = context;
	const struct redis_address *address = link->settings.address;

	send_login(link,
		redis_find_is_sentinel(&link->find) ? &address->sentinel_login : &address->login);
}

/* True when the sentinel is asked again, after a login. */
static bool lend_login(struct redis_link *link, const redisReply *reply)
{
	const struct redis_address *address = link->settings.address;

	if (link->lent_login || !redis_find_is_sentinel(&link->find) ||
		reply->type != REDIS_REPLY_ERROR || strncmp(reply->str, "NOAUTH", 6) != 0 ||
		address->sentinel_login.password[0] || !address->login.password[0])
		return false;
	link->lent_login = true;
	send_login(link, &address->login);
	return true;
}

static void hear_answer(struct redis_link *link, const redisReply *reply)
{
	if (lend_login(link, reply))
		return;
	switch (redis_find_answer(&link->find, reply)) {
	case FIND_HERE:
		open_here(link);
		break;
	case FIND_ASK:
		send_question(link);
		break;
	case FIND_GO:
		connect_target(link);
		break;
	}
}

/* Where AUTH is unknown or renamed, the error repeats its arguments. */
static const char *words_of(const struct redis_link *link, const redisReply *reply)
{
	if (link->state == LINK_AUTH && strncmp(reply->str, "WRONGPASS", 9) != 0 &&
		strstr(reply->str, "beginning with"))
		return "ERR the server does not know AUTH";
	return reply->str;
}

static void on_replied(void *context, struct redisReply *reply)
{
	struct redis_link *link = context;

	if (link->state == LINK_OPEN)
		link->callbacks.replied(link->context, reply);
	else if (link->state == LINK_QUESTION)
		hear_answer(link, reply);
	else if (reply->type == REDIS_REPLY_ERROR)
		refuse_target(link, words_of(link, reply));
	else if (link->state == LINK_AUTH)
		send_select(link);
	else
		send_question(link);
}

static void on_lost(void *context, const char *words)
{
	struct redis_link *link = context;

	if (link->state != LINK_OPEN) {
		refuse_target(link, words);
		return;
	}
	link->state = LINK_CLOSED;
	link->callbacks.lost(link->context, words);
}

enum td_error redis_link_understand(struct redis_address *address, struct redis_tls **tls,
	const char *url, const struct redis_access *access, char *why, size_t why_size)
{
	enum td_error error = redis_address_complete(address, url, access, why, why_size);

	*tls = error == TD_OK && address->tls ? redis_tls_new(access, why, why_size) : NULL;
	return error == TD_OK && address->tls && !*tls ? TD_INVALID : error;
}

struct redis_link *redis_link_new(struct event_base *base,
	const struct redis_link_settings *settings, const struct redis_link_callbacks *callbacks,
	void *context)
{
	static const struct resp_callbacks resp_callbacks = {
		.connected = on_connected, .replied = on_replied, .lost = on_lost};
	struct redis_link *link = calloc(1, sizeof(*link));

	if (!link)
		return NULL;
	link->settings = *settings;
	link->callbacks = *callbacks;
	link->context = context;
	link->key = strdup(settings->key);
	link->resp = resp_new(base, &settings->resp, &resp_callbacks, link);
	redis_find_init(&link->find, settings->address, link->key, settings->aim);
	if (!link->key || !link->resp)
		redis_link_free(&link);
	return link;
}

void redis_link_free(struct redis_link **link)
{
	if (!*link)
		return;
	resp_free(&(*link)->resp);
	free((*link)->key);
	free(*link);
	*link = NULL;
}

void redis_link_open(struct redis_link *link)
{
	redis_find_begin(&link->find);
	connect_target(link);
}

void redis_link_command(
	struct redis_link *link, size_t argc, const char *const argv[], const size_t lengths[])
{
	resp_command(link->resp, argc, argv, lengths, link->settings.reply_timeout_ms);
}

void redis_link_keep_reply(struct redis_link *link)
{
	resp_keep_reply(link->resp);
}

const struct redis_node *redis_link_node(const struct redis_link *link)
{
	return &link->node;
}

void redis_link_close(struct redis_link *link)
{
	resp_close(link->resp);
	link->state = LINK_CLOSED;
}
