/* SPDX-License-Identifier: BSD-3-Clause */
/* The command that serves the page and the API; everything stands in dashboard/. */
#include "config.h"

#include "resolver/control/cli.h"

#ifdef HAVE_DASHBOARD
#include "resolver/control/dashboard/dashboard.h"
#include "resolver/control/dashboard/session.h"
#endif

static int run(struct cli *cli, int count, char **words)
{
	(void)words;
	if (count > 0)
		return cli_usage(cli, &command_dashboard, "takes no arguments");
#ifdef HAVE_DASHBOARD
	if (cli->option[CLI_NEW_TOKEN])
		return cli_load(cli, false) ? sessions_new_token(cli) : CLI_ERROR;
	return dashboard_run(cli, cli->option[CLI_FLEET] != NULL);
#else
	cli_error(cli, "this build has no dashboard: it was configured without jansson or evhttp");
	return CLI_ERROR;
#endif
}

const struct command command_dashboard = {
	.name = "dashboard",
	.arguments = "",
	.summary = "a page in the browser, and /metrics, until it is ended",
	.help = "Serves the page, the API below /api/v1/ and /metrics, and stays in the "
		"foreground. "
		"It reads Redis and the\n"
		"control socket of teredownd, and keeps working, and says so, when either is away. "
		"It is open at the addresses\n"
		"of dashboard-listen, 127.0.0.1:8053 unless the configuration says otherwise. "
		"SIGHUP reads the configuration\n"
		"anew, SIGTERM and Ctrl-C end it.\n\n"
		"Changes need a token, reading too unless dashboard-reading is open. It is made "
		"and shown when the dashboard\n"
		"starts for the first time; --new-token makes and shows another, and all sessions "
		"end.\n\n"
		"Examples:\n"
		"  teredown dashboard\n"
		"  teredown dashboard --fleet\n"
		"  teredown dashboard --new-token\n"
		"  curl http://127.0.0.1:8053/api/v1/openapi.json",
	.takes = CLI_TAKES(FLEET) | CLI_TAKES(NEW_TOKEN),
	.run = run,
};
