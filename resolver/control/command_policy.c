/* SPDX-License-Identifier: BSD-3-Clause */
/* `teredown reload`: answered with what was read. */
#include "resolver/control/change_words.h"
#include "resolver/control/cli.h"

#define RELOAD_MS (10 * 60 * 1000) /* lists may be long, and another reload under way */

/* What is true of the answer but for a fault it tells of is printed all the same. */
static int run_request(struct cli *cli, unsigned count, const char *const words[],
	void (*print)(struct cli *, const struct control_answer *))
{
	struct control_answer answer;
	enum control_outcome outcome = cli_ask(cli, count, words, &answer);
	bool good = outcome == CONTROL_OK;

	if (good) {
		print(cli, &answer);
		good = !control_answer_value(&answer, "fault");
	}
	control_answer_free(&answer);
	return good ? CLI_OK : CLI_ERROR;
}

/* --- reload --- */

static void print_reload(struct cli *cli, const struct control_answer *answer)
{
	if (!cli->json) {
		change_words_reload(&cli->out, answer);
		return;
	}
	strbuf_append_char(&cli->out, '{');
	change_words_reload_json(&cli->out, answer);
	strbuf_append_text(&cli->out, "}\n");
}

static int reload_run(struct cli *cli, int count, char **words)
{
	const char *const request[] = {"reload"};

	(void)words;
	if (count > 0)
		return cli_usage(cli, &command_reload, "takes no arguments");
	cli->patience_ms = RELOAD_MS;
	return run_request(cli, 1, request, print_reload);
}

const struct command command_reload = {
	.name = "reload",
	.arguments = "",
	.summary = "read configuration and zones again",
	.help = "The daemon reads its configuration again, and the zones whose files changed. A "
		"fault of the configuration leaves everything as it was; a zone that cannot be "
		"read keeps its rules, and the status is 1. When the command ends, every worker "
		"has the new rules. SIGHUP does the same.\n\n"
		"Examples:\n"
		"  teredown reload",
	.run = reload_run,
};
