/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Places are asked in turn, beginning with the one that knew it last time. In a cluster every node
 * is a place: the wrong one answers MOVED and thereby names the right one, which is tried next and
 * remembered. CLUSTER SLOTS, asked at the end of a search, adds the other nodes (their replicas
 * above all), so that the slot is found again when none of the configured nodes lives; a user who
 * may not ask it does without.
 *
 * A sentinel's word is checked with ROLE: for some seconds after a failover it may name a server
 * that is not the master any more, or not yet. Slot maps of our own were rejected: one slot is all
 * that is wanted.
 */
#include "resolver/telemetry/redis/redis_find.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>

static bool is_cluster(const struct redis_find *find)
{
	return find->address->kind == REDIS_CLUSTER;
}

static void say(struct redis_find *find, const char *words)
{
	snprintf(find->words, sizeof(find->words), "%s", words);
}

void redis_find_init(struct redis_find *find, const struct redis_address *address, const char *key,
	enum find_aim aim)
{
	*find = (struct redis_find){.address = address, .key = key, .aim = aim};
	memcpy(find->places, address->nodes, address->node_count * sizeof(find->places[0]));
	find->count = find->configured = address->node_count;
}

void redis_find_begin(struct redis_find *find)
{
	find->tried = 0;
	find->redirections = 0;
	find->questions = 0;
	find->words[0] = '\0';
	/* The owner of the slot is asked first; of a sentinel's word nothing is kept. */
	find->in_doubt = find->redirected = is_cluster(find) && find->has_named;
}

const struct redis_node *redis_find_target(const struct redis_find *find)
{
	if (find->redirected)
		return &find->named;
	return find->tried < find->count ? &find->places[find->next] : NULL;
}

bool redis_find_is_sentinel(const struct redis_find *find)
{
	return find->address->kind == REDIS_SENTINEL && !find->redirected;
}

/* This target is done with; a redirection leads back to the places. */
static enum find_verdict go_on(struct redis_find *find)
{
	find->questions = 0;
	if (find->redirected && find->in_doubt) {
		find->redirected = find->in_doubt = false;
		return FIND_GO;
	}
	find->redirected = false;
	find->next = (find->next + 1) % find->count;
	find->tried++;
	return FIND_GO;
}

static enum find_verdict go_to_named(struct redis_find *find)
{
	find->questions = 0;
	find->in_doubt = false;
	if (find->redirections++ >= FIND_REDIRECTIONS_MAX) {
		say(find, "the nodes of the cluster point at each other");
		find->redirected = false;
		find->tried = find->count;
		return FIND_GO;
	}
	find->has_named = find->redirected = true;
	return FIND_GO;
}

/* --- Sentinel --- */

static enum find_verdict hear_sentinel(struct redis_find *find, const redisReply *reply)
{
	bool named = reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
		     reply->element[0]->type == REDIS_REPLY_STRING &&
		     reply->element[1]->type == REDIS_REPLY_STRING;

	if (named && redis_node_set(&find->named, reply->element[0]->str, reply->element[0]->len,
			     reply->element[1]->str)) {
		find->has_named = true;
		return find->aim == FIND_NAME ? FIND_HERE : go_to_named(find);
	}
	if (reply->type == REDIS_REPLY_ERROR)
		say(find, reply->str);
	else
		snprintf(find->words, sizeof(find->words),
			"the sentinels know no master named %.100s", find->address->service);
	return go_on(find);
}

static enum find_verdict hear_role(struct redis_find *find, const redisReply *reply)
{
	if (reply->type == REDIS_REPLY_ERROR) {
		say(find, reply->str);
		return go_on(find);
	}
	if (reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
		reply->element[0]->type == REDIS_REPLY_STRING &&
		strcmp(reply->element[0]->str, "master") == 0)
		return FIND_HERE;
	say(find, "the server that Sentinel names is not the master now");
	return go_on(find);
}

/* --- Cluster --- */

static void learn(struct redis_find *find, const struct redis_node *node)
{
	for (size_t i = 0; i < find->count; i++) {
		if (redis_node_equal(&find->places[i], node))
			return;
	}
	if (find->count < FIND_NODES_MAX)
		find->places[find->count++] = *node;
}

/* "MOVED 3999 127.0.0.1:6381"; without a host it is the one that was asked. */
static bool read_redirection(struct redis_find *find, const char *text)
{
	const struct redis_node *asked = redis_find_target(find);
	const char *place = strchr(text, ' ');
	struct redis_node node;

	place = place ? strchr(place + 1, ' ') : NULL;
	const char *colon = place ? strrchr(place, ':') : NULL;
	if (!colon)
		return false;
	place++;
	if (colon == place)
		place = asked->host;
	size_t length = place == asked->host ? strlen(place) : (size_t)(colon - place);
	if (!redis_node_set(&node, place, length, colon + 1))
		return false;
	learn(find, &node);
	find->named = node;
	return true;
}

static enum find_verdict hear_probe(struct redis_find *find, const redisReply *reply)
{
	if (reply->type != REDIS_REPLY_ERROR) {
		find->named = *redis_find_target(find);
		find->has_named = true;
		find->questions = 1;
		return FIND_ASK;
	}
	if (strncmp(reply->str, "MOVED ", 6) == 0 && read_redirection(find, reply->str))
		return go_to_named(find);
	if (strncmp(reply->str, "ASK ", 4) == 0) {
		/* The slot is leaving, and this node still owns it: until it is gone nothing can be
		 * written. */
		say(find, "the slot is on its way to another node");
		find->tried = find->count;
		find->redirected = false;
		return FIND_GO;
	}
	say(find, reply->str);
	return go_on(find);
}

static void learn_entry(struct redis_find *find, const redisReply *entry)
{
	struct redis_node node;
	char port[16];

	if (entry->type != REDIS_REPLY_ARRAY || entry->elements < 2 ||
		entry->element[0]->type != REDIS_REPLY_STRING ||
		entry->element[1]->type != REDIS_REPLY_INTEGER)
		return;
	snprintf(port, sizeof(port), "%lld", entry->element[1]->integer);
	if (redis_node_set(&node, entry->element[0]->str, entry->element[0]->len, port))
		learn(find, &node);
}

/* CLUSTER SLOTS: ranges, each as first, last, master, replicas. Nodes of other times make room. */
static enum find_verdict hear_slots(struct redis_find *find, const redisReply *reply)
{
	if (reply->type != REDIS_REPLY_ARRAY)
		return FIND_HERE;
	find->count = find->configured;
	find->next = 0;
	learn(find, &find->named);
	for (size_t i = 0; i < reply->elements; i++) {
		const redisReply *range = reply->element[i];
		for (size_t j = 2; range->type == REDIS_REPLY_ARRAY && j < range->elements; j++)
			learn_entry(find, range->element[j]);
	}
	return FIND_HERE;
}

/* --- questions and answers --- */

size_t redis_find_question(const struct redis_find *find, const char *arguments[FIND_ARGUMENTS_MAX])
{
	switch (find->address->kind) {
	case REDIS_UNIX:
	case REDIS_SERVER:
		return 0;
	case REDIS_SENTINEL:
		arguments[0] = find->redirected ? "ROLE" : "SENTINEL";
		arguments[1] = "GET-MASTER-ADDR-BY-NAME";
		arguments[2] = find->address->service;
		return find->redirected ? 1 : 3;
	case REDIS_CLUSTER:
		arguments[0] = find->questions ? "CLUSTER" : "EXISTS";
		arguments[1] = find->questions ? "SLOTS" : find->key;
		return 2;
	}
	return 0;
}

enum find_verdict redis_find_answer(struct redis_find *find, const struct redisReply *reply)
{
	if (is_cluster(find))
		return find->questions ? hear_slots(find, reply) : hear_probe(find, reply);
	return find->redirected ? hear_role(find, reply) : hear_sentinel(find, reply);
}

void redis_find_failed(struct redis_find *find, const char *words)
{
	char place[REDIS_NODE_TEXT_SIZE];
	const struct redis_node *target = redis_find_target(find);

	if (target && (find->count > 1 || find->address->kind != REDIS_UNIX))
		snprintf(find->words, sizeof(find->words), "%.80s: %.100s",
			redis_node_to_text(target, place), words);
	else
		say(find, words);
	go_on(find);
}

const struct redis_node *redis_find_named(const struct redis_find *find)
{
	return &find->named;
}

const char *redis_find_words(const struct redis_find *find)
{
	return find->words;
}
