/* SPDX-License-Identifier: BSD-3-Clause */
/* `teredown decode`: what a Teredo, 6to4 or ISATAP address has inside, of addresses given as words
 * or found in text that runs through. Offline: no daemon, no Redis, no configuration. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/dns/address.h"
#include "lib/dns/tunnel.h"
#include "resolver/control/cli.h"
#include "resolver/control/decode_filter.h"
#include "resolver/control/known.h"

#define PIECE_SIZE 65536 /* a pipe holds no more */

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

/* What came is written out before the next piece is waited for, so the end of a log can be
 * followed. */
static int decode_stdin(struct cli *cli)
{
	static char piece[PIECE_SIZE];
	struct decode_filter filter;
	ssize_t size;

	decode_filter_init(&filter, cli->json	    ? DECODE_JSON
				    : cli->terminal ? DECODE_ESCAPED
						    : DECODE_PLAIN);
	do {
		do
			size = read(STDIN_FILENO, piece, sizeof(piece));
		while (size < 0 && errno == EINTR);
		int fault = errno;
		decode_filter_feed(&filter, piece, size > 0 ? (size_t)size : 0, &cli->out);
		if (!cli_flush(cli))
			return CLI_ERROR;
		if (size < 0) {
			cli_error(cli, "decode: stdin: %s", strerror(fault));
			return CLI_ERROR;
		}
	} while (size > 0);
	return filter.found ? CLI_OK : CLI_NOTHING;
}

static int decode_run(struct cli *cli, int count, char **words)
{
	struct address address;
	size_t known = 0;

	if (count == 1 && strcmp(words[0], "-") == 0)
		return decode_stdin(cli);
	if (count == 0 && !isatty(STDIN_FILENO))
		return decode_stdin(cli);
	if (count == 0)
		return cli_usage(
			cli, &command_decode, "needs at least one address, or - for stdin");
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
	.arguments = "[ADDRESS...|-]",
	.summary = "what Teredo, 6to4 and ISATAP addresses have inside",
	.help = "Takes addresses apart: the server, mapped client and port of a Teredo address "
		"(RFC 4380), the IPv4 address\n"
		"in a 6to4 (RFC 3056) or ISATAP (RFC 5214) address, and known tunnel servers. "
		"Works without a daemon.\n"
		"With -, or without an address where stdin is no terminal, it is a filter: text runs "
		"through as it is, and each of\n"
		"these addresses in it is explained behind it in brackets (with --json: a line for "
		"each address instead).\n\n"
		"Examples:\n"
		"  teredown decode 2001:0:506:708:282a:3d75:fefd:fcfb\n"
		"  teredown decode 65.55.158.118 2002:c000:204::1 --json\n"
		"  journalctl -k -f | teredown decode\n"
		"  zcat firewall.log.gz | teredown decode - | grep -F '[Teredo:'",
	.run = decode_run,
};
