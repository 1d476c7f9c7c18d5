/* SPDX-License-Identifier: BSD-3-Clause */
/* One blank between words, a client that is not too long, an address that is one. */
#include "resolver/control/drop_member.h"

#include <string.h>

#include "resolver/telemetry/redis/schema.h"

/* The first word and the blank behind it; NULL when it does not fit. */
static const char *take_word(const char *text, char *out, size_t size)
{
	const char *blank = strchr(text, ' ');
	size_t length = blank ? (size_t)(blank - text) : 0;

	if (length == 0 || length >= size)
		return NULL;
	memcpy(out, text, length);
	out[length] = '\0';
	return blank + 1;
}

bool drop_member_parse(struct drop_member *out, const char *member)
{
	struct address address;

	const char *kind = take_word(member, out->client, sizeof(out->client));
	kind = kind ? take_word(kind, out->address, sizeof(out->address)) : NULL;
	if (!kind || strchr(kind, ' '))
		return false;
	out->other = strcmp(out->address, SCHEMA_OTHER) == 0;
	out->kind = strcmp(kind, "udp3544") == 0   ? DROP_UDP3544
		    : strcmp(kind, "proto41") == 0 ? DROP_PROTO41
						   : DROP_PLAIN;
	if (out->other)
		return true;
	if (!address_from_text(&address, out->address))
		return false;
	address_to_text(&address, out->address);
	return true;
}

bool watched_member_parse(const char *member, char client[MEMBER_CLIENT_MAX], const char **name)
{
	if (strcmp(member, SCHEMA_OTHER) == 0) {
		memcpy(client, SCHEMA_OTHER, sizeof(SCHEMA_OTHER));
		*name = "";
		return true;
	}
	*name = take_word(member, client, MEMBER_CLIENT_MAX);
	return *name && **name;
}
