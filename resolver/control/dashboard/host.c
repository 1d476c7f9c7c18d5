/* SPDX-License-Identifier: BSD-3-Clause */
/* Taking a Host apart (RFC 9110, 7.2) and comparing it. */
#include "resolver/control/dashboard/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NAME_MAX_HOST 256

struct host {
	char name[NAME_MAX_HOST]; /* without brackets and a final dot */
	unsigned port;
};

static bool read_port(const char *text, unsigned *port)
{
	size_t length = strspn(text, "0123456789");

	if (length == 0 || length > 5 || text[length])
		return false;
	*port = (unsigned)strtoul(text, NULL, 10);
	return *port > 0 && *port < 65536;
}

static bool read_host(const char *text, unsigned missing_port, struct host *out)
{
	bool bracket = *text == '[';
	size_t length = bracket ? strcspn(++text, "]") : strcspn(text, ":");
	const char *rest = text + length;

	if (bracket && *rest++ != ']')
		return false;
	if (length == 0 || length >= sizeof(out->name))
		return false;
	memcpy(out->name, text, length);
	out->name[length] = '\0';
	if (!bracket && out->name[length - 1] == '.')
		out->name[length - 1] = '\0';
	out->port = missing_port;
	return *rest == '\0' || (*rest == ':' && read_port(rest + 1, &out->port));
}

bool host_is_loopback(const struct address *address)
{
	static const uint8_t one[16] = {[15] = 1};

	return address->family == ADDRESS_V4
		       ? address->octets[0] == 127
		       : address->family == ADDRESS_V6 && memcmp(address->octets, one, 16) == 0;
}

static bool is_address_of_ours(
	const struct options *options, const struct host *host, const struct endpoint *own)
{
	struct address address;

	if (!address_from_text(&address, host->name))
		return strcasecmp(host->name, "localhost") == 0 && host->port == own->port &&
		       host_is_loopback(&own->address);
	if (address_equal(&address, &own->address) && host->port == own->port)
		return true;
	for (size_t i = 0; i < options->dashboard_listen_count; i++)
		if (address_equal(&address, &options->dashboard_listen[i].address) &&
			host->port == options->dashboard_listen[i].port)
			return true;
	return false;
}

bool host_is_ours(
	const struct options *options, const char *host, const struct endpoint *own, bool tls)
{
	struct host given;

	if (!read_host(host, tls ? 443 : 80, &given))
		return false;
	for (size_t i = 0; i < options->dashboard_hosts_count; i++)
		if (strcasecmp(options->dashboard_hosts[i], given.name) == 0)
			return true;
	return is_address_of_ours(options, &given, own);
}
