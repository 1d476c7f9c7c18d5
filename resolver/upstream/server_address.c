/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The text of a server: scheme, endpoint, and parts behind '#'. '#' stands between address and name
 * as in Unbound and systemd-resolved ('@' there is the port). A name is compared with those of a
 * certificate, so that it can only have the letters of a host name, or be an address.
 */
#include "config.h"

#include "resolver/upstream/server_address.h"

#include <ctype.h>
#include <inttypes.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/base/base64.h"

#define PORT_PLAIN 53
#define PORT_TLS 853
#define PIN_PREFIX "pin-sha256="
#define ENDPOINT_INPUT_MAX 128

static const char not_an_address[] =
	"is not an address, expected one such as 192.0.2.1, 192.0.2.1:53, [2001:db8::1]:53, "
	"tcp://192.0.2.1 or tls://192.0.2.1#dns.example";
static const char unknown_scheme[] =
	"is of a kind that is not known, expected an address alone, tcp://ADDRESS or "
	"tls://ADDRESS#NAME";
static const char nobody_named[] =
	"names nobody whose certificate is to be checked, so anybody could answer; expected "
	"tls://ADDRESS#NAME, such as tls://9.9.9.9#dns.quad9.net, or "
	"tls://ADDRESS#pin-sha256=BASE64";
static const char not_tls[] =
	"has a # though no certificate is checked without TLS, expected tls:// before it, or a "
	"port behind a colon: ADDRESS:PORT";
static const char bad_pin[] =
	"has a pin that is not the SHA-256 of a key in base64, expected pin-sha256= and 44 "
	"characters";
static const char too_many_pins[] = "has too many pins, expected at most 4";
static const char bad_name[] =
	"has something behind a # that is no name of a server, expected a host name, an address "
	"or pin-sha256=BASE64";
static const char two_names[] = "has two names, expected one; pins may be several";

/* --- endpoints --- */

bool server_endpoint_from_text(struct endpoint *out, const char *text, uint16_t default_port)
{
	const char *percent = strchr(text, '%');

	if (!percent || isdigit((unsigned char)percent[1]))
		return endpoint_from_text(out, text, default_port) == TD_OK;
	char name[IF_NAMESIZE], numbered[ENDPOINT_INPUT_MAX];
	size_t length = strcspn(percent + 1, "]");

	if (length >= sizeof(name))
		return false;
	snprintf(name, sizeof(name), "%.*s", (int)length, percent + 1);
	unsigned index = if_nametoindex(name);
	int written = snprintf(numbered, sizeof(numbered), "%.*s%u%s", (int)(percent + 1 - text),
		text, index, percent + 1 + length);

	return index != 0 && written < (int)sizeof(numbered) &&
	       endpoint_from_text(out, numbered, default_port) == TD_OK;
}

static int put_endpoint(const struct endpoint *endpoint, char *out, size_t size)
{
	char text[ENDPOINT_TEXT_MAX];

	if (endpoint->scope_id == 0)
		return snprintf(out, size, "%s", endpoint_to_text(endpoint, text));
	return snprintf(out, size, "[%s%%%" PRIu32 "]:%u",
		address_to_text(&endpoint->address, text), endpoint->scope_id, endpoint->port);
}

/* --- what stands behind a '#' --- */

static const char *add_pin(struct server_address *server, const char *text, size_t length)
{
	if (server->pin_count == SERVER_PINS_MAX)
		return too_many_pins;
	if (!base64_decode(text, length, server->pins[server->pin_count], SERVER_PIN_SIZE))
		return bad_pin;
	server->pin_count++;
	return NULL;
}

static bool is_host_name(const char *name)
{
	size_t label = 0;

	for (const char *c = name; *c; c++) {
		if (*c == '.' ? label == 0 : !isalnum((unsigned char)*c) && !strchr("-_", *c))
			return false;
		label = *c == '.' ? 0 : label + 1;
		if (label > 63)
			return false;
	}
	return label > 0;
}

static const char *add_name(struct server_address *server, const char *text, size_t length)
{
	struct address address;

	if (server->name[0])
		return two_names;
	if (length > 1 && text[length - 1] == '.')
		length--;
	if (length == 0 || length >= sizeof(server->name))
		return bad_name;
	memcpy(server->name, text, length);
	server->name[length] = '\0';
	return address_from_text(&address, server->name) || is_host_name(server->name) ? NULL
										       : bad_name;
}

/* NULL: all is well. */
static const char *add_parts(struct server_address *server, const char *text)
{
	const size_t prefix = sizeof(PIN_PREFIX) - 1;
	const char *why = NULL;

	while (*text == '#' && !why) {
		size_t length = strcspn(++text, "#");

		why = length >= prefix && strncasecmp(text, PIN_PREFIX, prefix) == 0
			      ? add_pin(server, text + prefix, length - prefix)
			      : add_name(server, text, length);
		text += length;
	}
	return why;
}

/* --- public --- */

static const char *read_scheme(const char *text, enum server_transport *transport)
{
	*transport = SERVER_UDP;
	if (!strstr(text, "://"))
		return text;
	*transport = strncasecmp(text, "tls://", 6) == 0 ? SERVER_TLS : SERVER_TCP;
	return *transport == SERVER_TLS || strncasecmp(text, "tcp://", 6) == 0 ? text + 6 : NULL;
}

enum td_error server_address_from_text(
	struct server_address *out, const char *text, const char **why)
{
	char endpoint[ENDPOINT_INPUT_MAX];
	struct server_address server = {0};
	const char *rest = read_scheme(text, &server.transport);

	*why = unknown_scheme;
	if (!rest)
		return TD_INVALID;
	size_t length = strcspn(rest, "#");
	bool tls = server.transport == SERVER_TLS;

	*why = not_an_address;
	if (length >= sizeof(endpoint))
		return TD_INVALID;
	memcpy(endpoint, rest, length);
	endpoint[length] = '\0';
	if (!server_endpoint_from_text(&server.endpoint, endpoint, tls ? PORT_TLS : PORT_PLAIN) ||
		server.endpoint.port == 0)
		return TD_INVALID;
	*why = rest[length] && !tls ? not_tls : add_parts(&server, rest + length);
	if (!*why && tls && !server.name[0] && server.pin_count == 0)
		*why = nobody_named;
	if (*why)
		return TD_INVALID;
	*out = server;
	return TD_OK;
}

const char *server_address_show(const struct server_address *server, char *out, size_t size)
{
	static const char *const schemes[] = {
		[SERVER_UDP] = "", [SERVER_TCP] = "tcp://", [SERVER_TLS] = "tls://"};
	char endpoint[ENDPOINT_TEXT_MAX + 11];

	put_endpoint(&server->endpoint, endpoint, sizeof(endpoint));
	snprintf(out, size, "%s%s", schemes[server->transport], endpoint);
	return out;
}

const char *server_address_to_text(const struct server_address *server, char *out, size_t size)
{
	char pin[BASE64_SIZE(SERVER_PIN_SIZE)];
	size_t used = strlen(server_address_show(server, out, size));

	if (server->name[0])
		used += (size_t)snprintf(out + used, size - used, "#%s", server->name);
	for (unsigned i = 0; i < server->pin_count && used < size; i++)
		used += (size_t)snprintf(out + used, size - used, "#" PIN_PREFIX "%s",
			base64_encode(server->pins[i], SERVER_PIN_SIZE, pin));
	return out;
}

bool server_address_equal(const struct server_address *a, const struct server_address *b)
{
	return endpoint_equal(&a->endpoint, &b->endpoint) && a->transport == b->transport &&
	       strcasecmp(a->name, b->name) == 0 && a->pin_count == b->pin_count &&
	       memcmp(a->pins, b->pins, a->pin_count * sizeof(a->pins[0])) == 0;
}

bool server_tls_is_available(void)
{
#ifdef HAVE_TLS
	return true;
#else
	return false;
#endif
}

struct server_address server_address_plain(const struct endpoint *endpoint)
{
	return (struct server_address){.endpoint = *endpoint};
}
