/* SPDX-License-Identifier: BSD-3-Clause */
/* `teredown policy refresh`: zones by transfer are looked at now, and not when their SOA says so.
 * It does not wait for what comes: a primary may be silent for long. */
#include "resolver/control/change_words.h"
#include "resolver/control/command_policy.h"

static void print_asked(struct cli *cli, const struct control_answer *answer)
{
	struct strbuf *out = &cli->out;

	if (cli->json) {
		strbuf_append_char(out, '{');
		change_words_refresh_json(out, answer);
		strbuf_append_text(out, "}\n");
	} else if (change_words_refresh(out, answer)) {
		strbuf_append_text(
			out, " What comes, in which state each zone is: teredown status\n");
	} else {
		strbuf_append_text(out, "No zone comes by transfer: none has the option "
					"`primary`.\n");
	}
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
