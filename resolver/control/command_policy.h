/* SPDX-License-Identifier: BSD-3-Clause */
/* The parts of `teredown policy`. */
#pragma once

#include "resolver/control/cli.h"

int policy_test_run(struct cli *cli, const char *name);
int policy_list_run(struct cli *cli);
int policy_rules_run(struct cli *cli);
/* "sources":[…],"fault":…, of the zone that stands at this line of the answer to `policy list`. */
void policy_list_sources_json(
	struct strbuf *out, const struct control_answer *answer, size_t at);
int policy_refresh_run(struct cli *cli, const char *zone); /* NULL: all zones by transfer */
