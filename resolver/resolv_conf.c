/* SPDX-License-Identifier: BSD-3-Clause */
/* Lines as glibc reads them: the keyword at the beginning, one address, the rest ignored. */
#include "resolver/resolv_conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DNS_PORT 53

const char *const resolv_conf_uplinks[] = {"/run/systemd/resolve/resolv.conf",
	"/run/NetworkManager/no-stub-resolv.conf", "/run/resolvconf/resolv.conf", NULL};

/* The address of a `nameserver` line, NUL-terminated within line; NULL for any other line. */
static const char *nameserver_of(char *line)
{
	static const char keyword[] = "nameserver";

	if (strncmp(line, keyword, sizeof(keyword) - 1) != 0)
		return NULL;
	char *text = line + sizeof(keyword) - 1;
	size_t blanks = strspn(text, " \t");
	if (blanks == 0)
		return NULL;
	text += blanks;
	text[strcspn(text, " \t\r\n;#")] = '\0';
	return text;
}

/* 0.0.0.0 and :: stand for this machine, which is us or nobody; groups are no servers. */
static bool can_be_asked(const struct address *address)
{
	static const uint8_t zero[16];

	if (memcmp(address->octets, zero, sizeof(zero)) == 0)
		return false;
	return address->family == ADDRESS_V4 ? address->octets[0] < 224
					     : address->octets[0] != 0xff;
}

static void add_server(
	struct resolv_conf *out, const char *text, resolv_conf_own_fn *is_own, void *context)
{
	struct endpoint endpoint;

	if (!server_endpoint_from_text(&endpoint, text, DNS_PORT) || endpoint.port == 0 ||
		!can_be_asked(&endpoint.address)) {
		out->bad++;
		return;
	}
	if (is_own(context, &endpoint)) {
		out->ourselves++;
		return;
	}
	for (size_t i = 0; i < out->count; i++)
		if (endpoint_equal(&out->servers[i].endpoint, &endpoint))
			return;
	if (out->count == UPSTREAM_SERVERS_MAX)
		out->surplus++;
	else
		out->servers[out->count++] = server_address_plain(&endpoint);
}

static enum td_error read_file(
	struct resolv_conf *out, const char *path, resolv_conf_own_fn *is_own, void *context)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t size = 0, total = 0;
	ssize_t length;

	*out = (struct resolv_conf){.path = path};
	if (!file)
		return TD_IO;
	while (total < RESOLV_CONF_MAX && (length = getline(&line, &size, file)) >= 0) {
		const char *text = nameserver_of(line);

		total += (size_t)length;
		if (text)
			add_server(out, text, is_own, context);
	}
	bool failed = ferror(file) != 0; /* a directory */
	free(line);
	fclose(file);
	return failed ? TD_IO : TD_OK;
}

/* 127.0.0.53 and 127.0.0.54 are systemd-resolved's. */
static bool is_stub(const struct endpoint *server)
{
	static const uint8_t first[3] = {127, 0, 0};
	const uint8_t *octets = server->address.octets;

	return server->address.family == ADDRESS_V4 && server->port == DNS_PORT &&
	       memcmp(octets, first, sizeof(first)) == 0 && (octets[3] == 53 || octets[3] == 54);
}

/* Nobody in it but us and stubs; a file that names nobody at all means what it says. */
static bool stands_for_others(const struct resolv_conf *conf)
{
	for (size_t i = 0; i < conf->count; i++)
		if (!is_stub(&conf->servers[i].endpoint))
			return false;
	return conf->count + conf->ourselves > 0;
}

enum td_error resolv_conf_read(struct resolv_conf *out, const char *path,
	const char *const *uplinks, resolv_conf_own_fn *is_own, void *context)
{
	enum td_error error = read_file(out, path, is_own, context);
	struct resolv_conf behind;

	if (error != TD_OK || !stands_for_others(out))
		return error;
	for (; uplinks && *uplinks; uplinks++) {
		if (read_file(&behind, *uplinks, is_own, context) != TD_OK || behind.count == 0 ||
			stands_for_others(&behind))
			continue;
		*out = behind;
		return TD_OK;
	}
	return TD_OK;
}
