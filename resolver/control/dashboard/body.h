/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The body of a request that changes something: one object of JSON whose members are texts,
 * numbers, booleans or null. A member that is not known is refused: a word that was spelled wrong
 * would otherwise be a change without an end, or for everybody.
 *
 * Each function says in the reply (400) what is wrong and returns false; the caller only returns.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "resolver/control/dashboard/api.h"

struct json_t;

/* names: those it may have, NULL at the end. NULL: refused. Else freed with body_free. */
struct json_t *body_read(
	const struct api_request *request, struct api_reply *reply, const char *const names[]);
/* Texts are cleared before they are freed: a token may be among them. */
void body_free(struct json_t *body);

/* *out points into body; NULL: it is null or missing, which `needed` refuses. At most `most`
 * octets, all of them printable ASCII without a space. */
bool body_word(const struct json_t *body, struct api_reply *reply, const char *name, bool needed,
	size_t most, const char **out);
/* *out is 0 where it is null or missing. */
bool body_number(const struct json_t *body, struct api_reply *reply, const char *name, int64_t most,
	int64_t *out);
/* false where it is null or missing. */
bool body_flag(const struct json_t *body, struct api_reply *reply, const char *name, bool *out);
