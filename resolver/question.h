/* SPDX-License-Identifier: BSD-3-Clause */
/* What a request asks upstream, and where its answer is kept: values made of values. */
#pragma once

#include "lib/dns/request.h"
#include "resolver/cache.h"
#include "resolver/redirect.h"

/* For the request's own name; with a redirect (not NULL) for its target. */
struct upstream_question question_make(
	const struct request *request, const struct redirect *redirect);
void question_key(const struct cache *cache, const struct request *request,
	const struct redirect *redirect, struct cache_key *key);

/*
 * Makes it a key that no other question has, by a serial number. An answer for one subnet is
 * neither kept by its scope nor shared: with the clients' subnets in keys, whoever asks could fill
 * the cache, and have one name asked as often as there are subnets (CVE-2025-5994).
 */
void question_make_own(const struct hash_seed *seed, uint64_t serial, struct cache_key *key);

/* Whether what the reply says of a subnet, if anything, is about the one that was sent (RFC
 * 7871, 7.3). */
bool question_subnet_is_right(
	const struct upstream_question *question, const uint8_t *reply, size_t size);
