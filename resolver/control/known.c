/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A small table of facts, each with its source. It explains what an administrator finds in a
 * firewall log before a single query was recorded. It decides nothing: which names are watched or
 * blocked stands in the zones only.
 */
#include "resolver/control/known.h"

#include <string.h>

#include "lib/dns/name.h"
#include "lib/dns/reverse.h"
#include "lib/dns/tunnel.h"

/* Windows: netsh output and Microsoft's lists of required firewall exceptions and Delivery
 * Optimization end points. */
static const char *const microsoft_names[] = {
	"teredo.ipv6.microsoft.com.", /* Windows Vista to 8, miredo.conf */
	"win8.ipv6.microsoft.com.",
	"win10.ipv6.microsoft.com.", /* Windows 10 default */
	"win1710.ipv6.microsoft.com.",
	"win1711.ipv6.microsoft.com.",
	"win1807.ipv6.microsoft.com.",
	"win1901.ipv6.microsoft.com.",
	"win1910.ipv6.microsoft.com.",
	"xbox.ipv6.microsoft.com.",
	NULL,
};

/* miredo.conf: upstream's default and second server, and Debian's default. */
static const char *const remlab_names[] = {
	"teredo.remlab.net.",
	"teredo-debian.remlab.net.",
	"teredo2.remlab.net.",
	NULL,
};

/* Windows: default of `netsh interface 6to4 set relay`, resolved again every 1440 minutes. */
static const char *const relay_names[] = {"6to4.ipv6.microsoft.com.", NULL};

/* First match wins. */
static const struct known_place places[] = {
	/* The server field 4137:9e76 of Teredo addresses of Windows hosts is this address (RFC
	   4380, 4). */
	{"65.55.158.118",
		"a Teredo server of Microsoft (server field 4137:9e76 in Teredo addresses)",
		microsoft_names},
	/* 4136:e378, the server of the usual example address of a Teredo client of Windows. */
	{"65.54.227.120",
		"a former Teredo server of Microsoft (server field 4136:e378 in Teredo addresses)",
		microsoft_names},
	/* Server field 53aa:064c, seen in Teredo addresses of miredo clients. */
	{"83.170.6.76",
		"a Teredo server of remlab.net, the default of miredo (server field 53aa:064c in "
		"Teredo addresses)",
		remlab_names},
	/* RFC 3068; deprecated by RFC 7526. */
	{"192.88.99.1", "the anycast address of 6to4 relays (RFC 3068, deprecated by RFC 7526)",
		relay_names},
	{"192.88.99.0/24",
		"in the anycast prefix of 6to4 relays (RFC 3068, deprecated by RFC 7526)",
		relay_names},
};

struct known_class {
	const char *const *names;
	const char *what;
};

static const struct known_class classes[] = {
	{microsoft_names, "a name of Microsoft's Teredo servers, asked by Windows and Xbox hosts "
			  "that look for a tunnel"},
	{remlab_names, "a name of the public Teredo servers that miredo (Linux, BSD, macOS) uses "
		       "by default"},
	{relay_names, "the name of the 6to4 relay that Windows uses by default"},
};

const struct known_place *known_place(const struct address *address)
{
	struct prefix prefix;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (prefix_from_text(&prefix, places[i].address) == TD_OK &&
			prefix_contains(&prefix, address))
			return &places[i];
	return NULL;
}

static bool listed(const char *const *names, const char *name)
{
	for (; *names; names++)
		if (strcmp(*names, name) == 0)
			return true;
	return false;
}

/* win<anything>.ipv6.microsoft.com: each release of Windows 10 brought a name of this form. */
static bool is_windows_release(const char *name)
{
	const char *dot = strchr(name, '.');
	return strncmp(name, "win", 3) == 0 && dot && strcmp(dot, ".ipv6.microsoft.com.") == 0;
}

const char *known_name(const char *name)
{
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		if (listed(classes[i].names, name))
			return classes[i].what;
	if (is_windows_release(name))
		return classes[0].what;
	if (strncmp(name, "isatap.", 7) ==
		0) /* RFC 5214, 8.3.2: the name asked with each search suffix */
		return "the name by which a host looks for an ISATAP router in its own domain";
	return NULL;
}

static void describe_names(const struct known_place *place, struct strbuf *out)
{
	strbuf_append_text(out, "Names that lead to it or its siblings:\n");
	for (size_t i = 0; place->names[i]; i++)
		strbuf_printf(out, "%s%s", i % 3 ? ", " : i ? ",\n  " : "  ", place->names[i]);
	strbuf_append_text(out, "\n");
}

static void describe_teredo(const struct tunnel *tunnel, struct strbuf *out)
{
	char server[ADDRESS_TEXT_MAX], client[ADDRESS_TEXT_MAX];
	const struct known_place *place = known_place(&tunnel->server);

	strbuf_printf(out,
		"It is a Teredo address (RFC 4380): server %s, client %s behind UDP port %u, flags "
		"0x%04x.\n",
		address_to_text(&tunnel->server, server), address_to_text(&tunnel->client, client),
		tunnel->port, tunnel->flags);
	if (place)
		strbuf_printf(out, "The server is %s.\n", place->what);
}

bool known_describe(const struct address *address, bool names, struct strbuf *out)
{
	const struct known_place *place = known_place(address);
	struct tunnel tunnel = tunnel_decode(address);
	char client[ADDRESS_TEXT_MAX];

	if (place)
		strbuf_printf(out, "It is %s.\n", place->what);
	if (place && names)
		describe_names(place, out);
	if (tunnel.kind == TUNNEL_TEREDO)
		describe_teredo(&tunnel, out);
	if (tunnel.kind == TUNNEL_6TO4)
		strbuf_printf(out, "It is a 6to4 address (RFC 3056): the site behind %s.\n",
			address_to_text(&tunnel.client, client));
	if (tunnel.kind == TUNNEL_ISATAP)
		strbuf_printf(out, "It is an ISATAP address (RFC 5214): the host %s.\n",
			address_to_text(&tunnel.client, client));
	return place || tunnel.kind != TUNNEL_NONE;
}

void known_tunnel_json(const struct tunnel *tunnel, struct strbuf *out)
{
	char text[ADDRESS_TEXT_MAX];

	if (tunnel->kind == TUNNEL_NONE) {
		strbuf_append_text(out, "null");
		return;
	}
	strbuf_append_char(out, '{');
	strbuf_json_text(out, "kind", tunnel_kind_name(tunnel->kind));
	if (tunnel->kind == TUNNEL_TEREDO)
		strbuf_json_text(out, "server", address_to_text(&tunnel->server, text));
	strbuf_json_text(out, "client", address_to_text(&tunnel->client, text));
	if (tunnel->kind == TUNNEL_TEREDO) {
		strbuf_json_u64(out, "port", tunnel->port);
		strbuf_json_u64(out, "flags", tunnel->flags);
	}
	strbuf_append_char(out, '}');
}

void known_describe_json(const struct address *address, struct strbuf *out)
{
	const struct known_place *place = known_place(address);
	struct tunnel tunnel = tunnel_decode(address);

	strbuf_json_key(out, "known");
	if (place) {
		strbuf_append_char(out, '{');
		strbuf_json_text(out, "what", place->what);
		strbuf_json_key(out, "names");
		strbuf_append_char(out, '[');
		for (size_t i = 0; place->names[i]; i++) {
			if (i)
				strbuf_append_char(out, ',');
			strbuf_json_string(out, place->names[i], strlen(place->names[i]));
		}
		strbuf_append_text(out, "]}");
	} else {
		strbuf_append_text(out, "null");
	}
	strbuf_json_key(out, "tunnel");
	known_tunnel_json(&tunnel, out);
}

void known_append_tunnel(const struct tunnel *tunnel, struct strbuf *out)
{
	char text[ADDRESS_TEXT_MAX];
	static const char digits[] = "0123456789abcdef";

	if (tunnel->kind == TUNNEL_NONE)
		return;
	if (tunnel->kind != TUNNEL_TEREDO) {
		strbuf_append_text(out, tunnel->kind == TUNNEL_6TO4 ? " [6to4: " : " [ISATAP: ");
		strbuf_append_text(out, address_to_text(&tunnel->client, text));
		strbuf_append_char(out, ']');
		return;
	}
	strbuf_append_text(out, " [Teredo: server ");
	strbuf_append_text(out, address_to_text(&tunnel->server, text));
	strbuf_append_text(out, ", client ");
	strbuf_append_text(out, address_to_text(&tunnel->client, text));
	strbuf_append_text(out, " port ");
	strbuf_append_u64(out, tunnel->port);
	strbuf_append_text(out, ", flags 0x");
	for (int shift = 12; shift >= 0; shift -= 4)
		strbuf_append_char(out, digits[tunnel->flags >> shift & 15]);
	strbuf_append_char(out, ']');
}

struct tunnel known_tunnel_of_name(const char *name)
{
	struct address address;
	struct name wire;

	if (name_from_text(&wire, name, strlen(name)) != TD_OK)
		return (struct tunnel){.kind = TUNNEL_NONE};
	name_fold(wire.wire, wire.wire, wire.length);
	if (!reverse_to_address(wire.wire, wire.length, &address))
		return (struct tunnel){.kind = TUNNEL_NONE};
	return tunnel_decode(&address);
}
