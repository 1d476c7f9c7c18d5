/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which server to talk to: the one that is named, the master that a sentinel names, or the node
 * that serves a key's slot of a cluster. A passive machine: it says whom to connect, what to ask
 * there, and is told what came of it; it knows no socket and no clock.
 *
 *   begin → target → (connect, log in) → question → answer → … until the answer is FIND_HERE, or
 * there is no target any more
 *
 * One search tries each place it knows once and follows a bounded number of redirections. What it
 * learned (the sentinel that answered, the nodes of the cluster, the slot's owner) serves the next
 * search first. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "resolver/telemetry/redis/redis_address.h"

struct redisReply;

#define FIND_NODES_MAX 64 /* of a cluster, that are remembered */
#define FIND_REDIRECTIONS_MAX 6
#define FIND_WORDS_MAX 192

enum find_verdict {
	FIND_HERE, /* the target is the right one */
	FIND_ASK,  /* it has another question to answer */
	FIND_GO,   /* another target, if there is one */
};

/* What is wanted of Sentinel. */
enum find_aim {
	FIND_MASTER, /* to talk to the master */
	FIND_NAME,   /* only to hear from a sentinel which one is the master: redis_find_named */
};

struct redis_find {
	const struct redis_address *address;
	const char *key;
	enum find_aim aim;
	struct redis_node places[FIND_NODES_MAX]; /* to ask: sentinels, or nodes of the cluster; as
						     configured, then learned */
	size_t count, configured;
	size_t next, tried; /* of places, in this search */
	unsigned redirections;
	bool redirected; /* `named` is the target, not a place */
	bool in_doubt;   /* `named` is what the last search found: it counts as no redirection */
	struct redis_node named;
	bool has_named;
	unsigned questions; /* asked of this target */
	char words[FIND_WORDS_MAX];
};

/* address and key ("teredown:{R}:…": any of the slot's; for a cluster only) must outlive the
 * machine. */
void redis_find_init(struct redis_find *find, const struct redis_address *address, const char *key,
	enum find_aim aim);

/* A new search. */
void redis_find_begin(struct redis_find *find);

/* Whom to connect now; NULL: there is nobody left to ask, words say why. Valid until the next call.
 */
const struct redis_node *redis_find_target(const struct redis_find *find);

/* Whether the target is a sentinel: these have a login of their own and no databases. */
bool redis_find_is_sentinel(const struct redis_find *find);

/* After the login: the question, as arguments of a command; 0: none, the target is the right one.
 */
#define FIND_ARGUMENTS_MAX 4
size_t redis_find_question(
	const struct redis_find *find, const char *arguments[FIND_ARGUMENTS_MAX]);

/* Its reply, errors included. */
enum find_verdict redis_find_answer(struct redis_find *find, const struct redisReply *reply);

/* The target cannot be connected or refuses the login. */
void redis_find_failed(struct redis_find *find, const char *words);

/* FIND_NAME: whom the sentinel named. */
const struct redis_node *redis_find_named(const struct redis_find *find);

/* Why the search ended in vain, or why the last target was not the right one. */
const char *redis_find_words(const struct redis_find *find);
