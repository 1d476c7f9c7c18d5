/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Words for other interpreters. What a name of a host may be is decided by a list of what is
 * allowed, not by escaping: the list holds for cmd.exe and .reg files too, in which not everything
 * can be escaped.
 */
#include <string.h>
#include <strings.h>

#include "lib/dns/address.h"
#include "resolver/control/remediate/remediate.h"

#define HOST_MAX 253
#define LABEL_MAX 63

static bool is_letter_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_label(const char *text, size_t length)
{
	if (length == 0 || length > LABEL_MAX || !is_letter_or_digit(text[0]))
		return false;
	for (size_t i = 0; i < length; i++)
		if (!is_letter_or_digit(text[i]) && text[i] != '-' && text[i] != '_')
			return false;
	return true;
}

/* localhost, or below it: a script would change the machine it runs on. */
static bool is_self(const char *text)
{
	size_t length = strlen(text), self = strlen("localhost");

	if (strncasecmp(text, "localhost", self) == 0 && (!text[self] || text[self] == '.'))
		return true;
	return length > self && text[length - self - 1] == '.' &&
	       strcasecmp(text + length - self, "localhost") == 0;
}

/* An address, or what some resolvers take for one: "10.1", "0x7f.1", "2130706433". */
static bool is_like_address(const char *text)
{
	const char *last = strrchr(text, '.');
	const char *label = last ? last + 1 : text;

	return strspn(label, "0123456789") == strlen(label) || strncasecmp(label, "0x", 2) == 0;
}

bool remedy_is_host(const char *text)
{
	size_t length = strlen(text);

	if (length == 0 || length > HOST_MAX || is_self(text) || is_like_address(text))
		return false;
	for (const char *label = text;;) {
		size_t size = strcspn(label, ".");
		if (!is_label(label, size))
			return false;
		if (!label[size])
			return true;
		label += size + 1;
	}
}

static char printable(char c)
{
	return c >= 0x20 && c < 0x7f ? c : '?';
}

void remedy_quote_shell(struct strbuf *out, const char *text)
{
	strbuf_append_char(out, '\'');
	for (; *text; text++) {
		if (*text == '\'')
			strbuf_append_text(out, "'\\''");
		else
			strbuf_append_char(out, printable(*text));
	}
	strbuf_append_char(out, '\'');
}

void remedy_quote_powershell(struct strbuf *out, const char *text)
{
	strbuf_append_char(out, '\'');
	for (; *text; text++) {
		if (*text == '\'')
			strbuf_append_char(out, '\'');
		strbuf_append_char(out, printable(*text));
	}
	strbuf_append_char(out, '\'');
}

/* --- comments --- */

static void append_ms(struct strbuf *out, int64_t ms)
{
	strbuf_append_time(out, ms / 1000 * 1000000);
}

void remedy_append_about(struct strbuf *out, const struct remedy_host *host)
{
	char text[ADDRESS_TEXT_MAX];
	struct address client;

	strbuf_append_text(out, "  ");
	if (client_from_text(&client, host->client))
		strbuf_printf(out, "%s, ", address_to_text(&client, text));
	output_count(out, host->hits, "hit");
	if (host->last_ms > 0) {
		strbuf_append_text(out, ", last ");
		append_ms(out, host->last_ms);
	}
}

bool remedy_wants(const struct remedy *remedy, const struct remedy_host *host)
{
	if (!host->host || host->again)
		return false;
	return remedy->one || (!host->forwarder && !(remedy->windows && host->miredo));
}

size_t remedy_wanted(const struct remedy *remedy)
{
	size_t count = 0;

	for (size_t i = 0; i < remedy->hosts->count; i++)
		count += remedy_wants(remedy, &remedy->hosts->rows[i]);
	return count;
}

static void append_missing(struct strbuf *out, const struct remedy *remedy, const char *comment)
{
	size_t forwarders = 0, nameless = 0, miredo = 0;

	for (size_t i = 0; i < remedy->hosts->count; i++) {
		const struct remedy_host *host = &remedy->hosts->rows[i];
		bool wanted = !host->host || host->again || remedy_wants(remedy, host);
		forwarders += !wanted && host->forwarder;
		miredo += !wanted && !host->forwarder;
		nameless += !host->host;
	}
	if (miredo)
		strbuf_printf(out,
			"%sNot here: %zu that ask for servers of miredo; see teredown remediate "
			"--linux.\n",
			comment, miredo);
	if (forwarders)
		strbuf_printf(out,
			"%sNot here: %zu that look like forwarders, through which others ask.\n",
			comment, forwarders);
	if (nameless)
		strbuf_printf(out,
			"%sNot here: %zu that have neither a usable name nor an address that leads "
			"to them from here.\n",
			comment, nameless);
	if (remedy->hosts->beyond)
		strbuf_printf(out, "%sNot here: %llu more; these are the ones with most hits.\n",
			comment, (unsigned long long)remedy->hosts->beyond);
}

void remedy_append_head(
	struct strbuf *out, const struct remedy *remedy, const char *comment, const char *what)
{
	strbuf_printf(out, "%s%s: ", comment, what);
	output_count(out, remedy_wanted(remedy), "host");
	strbuf_append_text(out, " seen asking for tunnels");
	if (remedy_is_host(remedy->resolver))
		strbuf_printf(out, " by resolver %s", remedy->resolver);
	strbuf_printf(out, ".\n%sMade by teredown, ", comment);
	append_ms(out, remedy->now_ms);
	strbuf_printf(out,
		". Look through the hosts before you run it: names come from DHCP and\n"
		"%sDNS, and a host can have given itself the name of another one.\n",
		comment);
	append_missing(out, remedy, comment);
}

void remedy_append_notes(struct strbuf *out, const char *comment)
{
	static const char *const lines[] = {
		"What may break: voice and matches of Xbox consoles and of the Xbox app in a "
		"network "
		"without native IPv6;",
		"DirectAccess clients behind a NAT (they fall back to IP-HTTPS); Delivery "
		"Optimization finds fewer peers; whatever",
		"was set up to reach a host by its Teredo address.",
		"When it takes effect: netsh and the cmdlet at once; a policy after gpupdate "
		"/force "
		"or the next refresh, on some",
		"hosts only after a restart, of the service iphlpsvc or of the host.",
		"Smoke test on a host: netsh interface teredo show state says \"disabled\" or "
		"\"offline\", and",
		"Get-NetIPAddress -AddressFamily IPv6 lists no address that begins with 2001:0:.",
		"Afterwards here: teredown remediate --mark writes down who was remediated, "
		"teredown "
		"verify says who still asks.",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		strbuf_printf(out, "%s%s\n", comment, lines[i]);
}
