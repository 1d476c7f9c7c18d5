/* SPDX-License-Identifier: BSD-3-Clause */
/* `teredown policy refresh`: zones by transfer are looked at now, and not when their SOA says so.
 * It does not wait for what comes: a primary may be silent for long. */
#include <stdlib.h>
#include <string.h>

#include "resolver/control/command_policy.h"

static void print_asked(struct cli *cli, const struct control_answer *answer)
{
	const char *text = control_answer_value(answer, "asked");
	unsigned long asked = text ? strtoul(text, NULL, 10) : 0;

	if (cli->json)
		strbuf_printf(&cli->out, "{\"asked\":%lu}\n", asked);
	else if (asked == 0)
		strbuf_append_text(&cli->out, "No zone comes by transfer: none has the option "
					      "`primary`.\n");
	else
		strbuf_printf(&cli->out,
			"The primaries of %lu zone%s are being asked. What comes, in which state "
			"each zone is: teredown status\n",
			asked, asked == 1 ? "" : "s");
}

int policy_refresh_run(struct cli *cli, const char *zone)
{
	const char *request[] = {"refresh", zone};
	struct control_answer answer;
	enum control_outcome outcome = cli_ask(cli, zone ? 2 : 1, request, &answer);

	if (outcome == CONTROL_OK)
		print_asked(cli, &answer);
	control_answer_free(&answer);
	return outcome == CONTROL_OK ? CLI_OK : CLI_ERROR;
}
