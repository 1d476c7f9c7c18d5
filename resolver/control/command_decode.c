/* SPDX-License-Identifier: BSD-3-Clause */
/* `teredown decode`: what a Teredo, 6to4 or ISATAP address has inside. Offline: no daemon, no
 * Redis, no configuration. */
#include <string.h>

#include "lib/dns/address.h"
#include "lib/dns/tunnel.h"
#include "resolver/control/cli.h"
#include "resolver/control/known.h"

/* True when there was something to say. */
static bool decode_text(struct cli *cli, const struct address *address)
{
	char text[ADDRESS_TEXT_MAX];

	strbuf_printf(&cli->out, "%s\n", address_to_text(address, text));
	if (known_describe(address, true, &cli->out))
		return true;
	strbuf_append_text(&cli->out,
		"It is neither a Teredo, 6to4 nor ISATAP address, and no known tunnel server.\n");
	return false;
}

static bool decode_json(struct cli *cli, const struct address *address)
{
	char text[ADDRESS_TEXT_MAX];

	output_json_next(&cli->out);
	strbuf_append_char(&cli->out, '{');
	strbuf_json_text(&cli->out, "address", address_to_text(address, text));
	known_describe_json(address, &cli->out);
	strbuf_append_char(&cli->out, '}');
	return known_place(address) || tunnel_decode(address).kind != TUNNEL_NONE;
}

static int decode_run(struct cli *cli, int count, char **words)
{
	struct address address;
	size_t known = 0;

	if (count == 0)
		return cli_usage(cli, &command_decode, "needs at least one address");
	for (int i = 0; i < count; i++) {
		if (!address_from_text(&address, words[i])) {
			cli_error(cli, "decode: \"%s\" is not an IPv4 or IPv6 address", words[i]);
			strbuf_clear(&cli->out);
			return CLI_USAGE;
		}
	}
	if (cli->json)
		strbuf_append_char(&cli->out, '[');
	for (int i = 0; i < count; i++) {
		address_from_text(&address, words[i]);
		if (i > 0 && !cli->json)
			strbuf_append_char(&cli->out, '\n');
		known += cli->json ? decode_json(cli, &address) : decode_text(cli, &address);
	}
	if (cli->json)
		strbuf_append_text(&cli->out, "]\n");
	return known ? CLI_OK : CLI_NOTHING;
}

const struct command command_decode = {
	.name = "decode",
	.arguments = "ADDRESS...",
	.summary = "what a Teredo, 6to4 or ISATAP address has inside",
	.help = "Takes addresses apart: the server, mapped client and port of a Teredo address "
		"(RFC 4380), the IPv4 address\n"
		"in a 6to4 (RFC 3056) or ISATAP (RFC 5214) address, and known tunnel servers. "
		"Works without a daemon.\n\n"
		"Examples:\n"
		"  teredown decode 2001:0:506:708:282a:3d75:fefd:fcfb\n"
		"  teredown decode 65.55.158.118 2002:c000:204::1 --json",
	.run = decode_run,
};
