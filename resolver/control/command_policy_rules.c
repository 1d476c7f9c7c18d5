/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `teredown policy list --rules`: how often which rule was hit. The rules of a zone are a million
 * at times; what is asked for is those that do something, and these are what Redis counts.
 */
#include "resolver/control/command_policy.h"
#include "resolver/control/rule_hits.h"
#include "resolver/control/top_print.h"

#define ROWS_DEFAULT 50
#define ROWS_MAX 10000

static void append_json(struct cli *cli, struct fleet *fleet, const struct top_table *table)
{
	struct strbuf *out = &cli->out;

	strbuf_append_text(out, "{\"rules\":");
	top_print_json(cli, table);
	cli_fleet_json(fleet, out);
	strbuf_json_bool(out, "exact", table->exact);
	strbuf_append_text(out, "}\n");
}

static int show(struct cli *cli, struct fleet *fleet, size_t limit)
{
	struct rule_hits hits;
	struct top_table table;

	if (rule_hits_load(cli, fleet, cli->option[CLI_ZONE], limit, &hits) != TD_OK ||
		rule_hits_table(cli, &hits, &table) != TD_OK)
		return cli_fleet_failed(cli, fleet);
	if (cli->json)
		append_json(cli, fleet, &table);
	else if (table.count)
		top_print(cli, &table);
	else
		strbuf_append_text(&cli->out, "No rule has been hit.\n");
	return table.count ? CLI_OK : CLI_NOTHING;
}

int policy_rules_run(struct cli *cli)
{
	size_t limit;

	if (!cli_number(cli, CLI_LINES, ROWS_DEFAULT, ROWS_MAX, &limit))
		return CLI_USAGE;
	struct fleet *fleet = cli_fleet(cli);
	if (!fleet)
		return CLI_ERROR;
	int code = cli_fleet_code(cli, fleet, show(cli, fleet, limit));
	cli_fleet_close(cli, &fleet);
	return code;
}
