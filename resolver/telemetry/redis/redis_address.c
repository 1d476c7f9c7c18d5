/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A URL is cut at its scheme, its last @ and its first / behind that, so a password may hold any
 * character as long as @ and / in it are percent-encoded or stand before the last @. A general URL
 * parser was rejected: none knows a list of hosts.
 */
#include "resolver/telemetry/redis/redis_address.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/hex.h"
#include "lib/dns/address.h"

#define SOCKET_PATH_MAX 107 /* sun_path without its NUL */

struct scheme {
	const char *text;
	enum redis_kind kind;
	bool tls;
	uint16_t port;
};

static const struct scheme schemes[] = {
	{"redis://", REDIS_SERVER, false, 6379},
	{"rediss://", REDIS_SERVER, true, 6379},
	{"sentinel://", REDIS_SENTINEL, false, 26379},
	{"cluster://", REDIS_CLUSTER, false, 6379},
};

struct parser {
	struct redis_address *out;
	const struct scheme *scheme;
	char *why;
	size_t why_size;
};

static enum td_error fail(const struct parser *parser, const char *words)
{
	snprintf(parser->why, parser->why_size, "%s", words);
	return TD_INVALID;
}

static const struct scheme *scheme_of(const char *text)
{
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		if (strncasecmp(text, schemes[i].text, strlen(schemes[i].text)) == 0)
			return &schemes[i];
	}
	return NULL;
}

/* Decodes size octets of percent-encoded text; false when it does not fit, is badly encoded or
 * holds a control character. */
static bool decode(char *out, size_t out_size, const char *text, size_t size)
{
	size_t length = 0;

	for (size_t i = 0; i < size; i++) {
		int c = (unsigned char)text[i];
		if (c == '%') {
			int high = i + 2 < size ? hex_value(text[i + 1]) : -1;
			int low = high >= 0 ? hex_value(text[i + 2]) : -1;
			if (low < 0)
				return false;
			c = high << 4 | low;
			i += 2;
		} else if (strchr("@/?#\"\\ ", c))
			return false;
		if (c < 0x20 || length + 1 >= out_size)
			return false;
		out[length++] = (char)c;
	}
	out[length] = '\0';
	return true;
}

static bool parse_number(const char *text, size_t length, unsigned most, unsigned *out)
{
	*out = 0;
	if (length == 0 || length > 6)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		*out = *out * 10 + (unsigned)(text[i] - '0');
	}
	return *out <= most;
}

static bool is_host_name(const char *text, size_t length)
{
	static const char octets[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";

	return length > 0 && length <= 253 && strspn(text, octets) >= length && text[0] != '.' &&
	       text[0] != '-';
}

static bool is_v6(const char *text, size_t length)
{
	char copy[ADDRESS_TEXT_MAX];
	struct address address;

	if (length >= sizeof(copy))
		return false;
	memcpy(copy, text, length);
	copy[length] = '\0';
	return address_from_text(&address, copy) && address.family == 6;
}

/* "host", "host:port", "[v6]", "[v6]:port"; length octets. */
static enum td_error parse_node(const struct parser *parser, const char *text, size_t length)
{
	struct redis_address *out = parser->out;
	bool bracket = text[0] == '[';
	const char *end = text + length, *host = text + bracket;
	const char *behind = memchr(host, bracket ? ']' : ':', (size_t)(end - host));
	size_t host_length = (size_t)((behind ? behind : end) - host);
	unsigned port = parser->scheme->port;

	if (bracket && !behind)
		return fail(parser, "a [ has no ], expected [IPv6 address]:port");
	if (!(bracket ? is_v6(host, host_length) : is_host_name(host, host_length)))
		return fail(parser, bracket ? "there is no IPv6 address between [ and ]"
					    : "a host is missing or not valid, expected a name, an "
					      "IPv4 address or an IPv6 address in brackets");
	behind = behind ? behind + bracket : end;
	if (behind < end &&
		(*behind != ':' ||
			!parse_number(behind + 1, (size_t)(end - behind - 1), 65535, &port) ||
			port == 0))
		return fail(parser,
			"a port is not valid, expected a number from 1 to 65535 behind a colon");
	if (out->node_count == REDIS_NODES_MAX)
		return fail(parser, "there are more than 16 hosts");
	struct redis_node *node = &out->nodes[out->node_count++];
	memcpy(node->host, host, host_length);
	node->host[host_length] = '\0';
	node->port = (uint16_t)port;
	return TD_OK;
}

static enum td_error parse_nodes(const struct parser *parser, const char *text, size_t length)
{
	const char *end = text + length;

	for (const char *comma; (comma = memchr(text, ',', (size_t)(end - text)));
		text = comma + 1) {
		if (parser->out->kind == REDIS_SERVER)
			return fail(parser, "several hosts are named, expected one; several go "
					    "with sentinel:// or cluster://");
		enum td_error error = parse_node(parser, text, (size_t)(comma - text));
		if (error != TD_OK)
			return error;
	}
	return parse_node(parser, text, (size_t)(end - text));
}

/* What stands before the @. */
static enum td_error parse_userinfo(const struct parser *parser, const char *text, size_t size)
{
	struct redis_address *out = parser->out;
	const char *colon = memchr(text, ':', size);
	size_t user = colon ? (size_t)(colon - text) : size;

	if (out->kind == REDIS_SENTINEL) {
		if (colon || size == 0 || !decode(out->service, sizeof(out->service), text, size))
			return fail(parser, "before the @ stands the name that the sentinels give "
					    "to the master, and nothing else; "
					    "user and password have options of their own "
					    "(redis-user, redis-password-file)");
		return TD_OK;
	}
	if (!decode(out->login.user, sizeof(out->login.user), text, user) ||
		(colon && !decode(out->login.password, sizeof(out->login.password), colon + 1,
				  size - user - 1)))
		return fail(parser, "user or password is too long or not well encoded (write "
				    "reserved characters as %XX)");
	return TD_OK;
}

static enum td_error parse_unix(const struct parser *parser, const char *path)
{
	struct redis_address *out = parser->out;

	if (path[0] != '/' || strlen(path) > SOCKET_PATH_MAX)
		return fail(parser,
			"is not the path of a socket, expected unix:/PATH of at most 107 bytes");
	out->kind = REDIS_UNIX;
	out->node_count = 1;
	memcpy(out->nodes[0].host, path, strlen(path) + 1);
	return TD_OK;
}

static enum td_error parse_database(const struct parser *parser, const char *text)
{
	if (text[0] == '\0' || text[1] == '\0')
		return TD_OK;
	if (!parse_number(text + 1, strlen(text + 1), 65535, &parser->out->database))
		return fail(parser, "behind the / stands the number of a database");
	if (parser->out->kind == REDIS_CLUSTER && parser->out->database != 0)
		return fail(parser, "a cluster has database 0 only");
	return TD_OK;
}

enum td_error redis_address_parse(
	struct redis_address *out, const char *text, char *why, size_t why_size)
{
	struct parser parser = {out, scheme_of(text), why, why_size};

	*out = (struct redis_address){0};
	if (strncmp(text, "unix:", 5) == 0)
		return parse_unix(&parser, text + 5);
	if (!parser.scheme)
		return fail(&parser, "is not known, expected \"embedded\", \"off\", unix:/PATH, "
				     "redis://HOST, rediss://HOST, sentinel://NAME@HOST,HOST or "
				     "cluster://HOST,HOST");
	out->kind = parser.scheme->kind;
	out->tls = parser.scheme->tls;
	text += strlen(parser.scheme->text);
	const char *at = strrchr(text, '@');
	enum td_error error = TD_OK;
	if (at)
		error = parse_userinfo(&parser, text, (size_t)(at - text));
	else if (out->kind == REDIS_SENTINEL)
		return fail(&parser,
			"the master's name is missing, expected sentinel://NAME@HOST,HOST");
	const char *hosts = at ? at + 1 : text;
	size_t length = strcspn(hosts, "/");
	if (error == TD_OK)
		error = parse_nodes(&parser, hosts, length);
	return error == TD_OK ? parse_database(&parser, hosts + length) : error;
}

static bool copy(char *out, size_t size, const char *text)
{
	if (!text || strlen(text) >= size)
		return !text;
	memcpy(out, text, strlen(text) + 1);
	return true;
}

enum td_error redis_address_complete(struct redis_address *out, const char *text,
	const struct redis_access *access, char *why, size_t why_size)
{
	enum td_error error = redis_address_parse(out, text, why, why_size);
	bool fits = true;

	if (error != TD_OK || !access)
		return error;
	if (!out->login.user[0])
		fits = copy(out->login.user, sizeof(out->login.user), access->user);
	if (!out->login.password[0])
		fits &= copy(out->login.password, sizeof(out->login.password), access->password);
	fits &= copy(
		out->sentinel_login.user, sizeof(out->sentinel_login.user), access->sentinel_user);
	fits &= copy(out->sentinel_login.password, sizeof(out->sentinel_login.password),
		access->sentinel_password);
	out->tls |= access->tls && out->kind != REDIS_UNIX;
	if (fits)
		return TD_OK;
	snprintf(why, why_size, "user or password is too long");
	return TD_INVALID;
}

/* Where the userinfo of text begins and how long it is; 0 for none and for Sentinel's name. */
static size_t find_userinfo(const char *text, const char **begin)
{
	const struct scheme *scheme = scheme_of(text);

	*begin = text;
	if (!scheme || scheme->kind == REDIS_SENTINEL)
		return 0;
	*begin = text + strlen(scheme->text);
	const char *at = strrchr(*begin, '@');
	return at ? (size_t)(at - *begin) : 0;
}

void redis_address_userinfo(const char *text, bool *user, bool *password)
{
	const char *begin;
	size_t length = find_userinfo(text, &begin);
	const char *colon = length ? memchr(begin, ':', length) : NULL;

	*user = length > 0 && colon != begin;
	*password = colon && colon + 1 < begin + length;
}

void redis_address_show(const char *text, char *out)
{
	const char *begin;
	size_t length = find_userinfo(text, &begin), size = strlen(text) + 4;
	const char *colon = length ? memchr(begin, ':', length) : NULL;

	if (colon)
		snprintf(out, size, "%.*s:***%s", (int)(colon - text), text, begin + length);
	else
		snprintf(out, size, "%s", text);
}

void redis_address_forget(struct redis_address *address)
{
	explicit_bzero(&address->login, sizeof(address->login));
	explicit_bzero(&address->sentinel_login, sizeof(address->sentinel_login));
}

const char *redis_node_to_text(const struct redis_node *node, char *out)
{
	bool v6 = strchr(node->host, ':') != NULL;

	if (node->port == 0)
		snprintf(out, REDIS_NODE_TEXT_SIZE, "%s", node->host);
	else
		snprintf(out, REDIS_NODE_TEXT_SIZE, "%s%s%s:%u", v6 ? "[" : "", node->host,
			v6 ? "]" : "", node->port);
	return out;
}

bool redis_node_equal(const struct redis_node *a, const struct redis_node *b)
{
	return a->port == b->port && strcmp(a->host, b->host) == 0;
}

bool redis_node_set(struct redis_node *out, const char *host, size_t length, const char *port)
{
	unsigned number;

	if ((!is_host_name(host, length) && !is_v6(host, length)) || length >= sizeof(out->host) ||
		!parse_number(port, strlen(port), 65535, &number) || number == 0)
		return false;
	memcpy(out->host, host, length);
	out->host[length] = '\0';
	out->port = (uint16_t)number;
	return true;
}
