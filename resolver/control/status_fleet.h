/* SPDX-License-Identifier: BSD-3-Clause */
/* What Redis knows of resolvers, their daemons unasked: a line each. */
#pragma once

#include "resolver/control/cli.h"

/* For `teredown status --fleet` and `--resolver NAME`. */
int status_fleet(struct cli *cli);

/* The rows of its JSON, for an array that the caller has opened: those that cannot be read, too. */
enum td_error status_fleet_rows(struct cli *cli, struct fleet *fleet, struct strbuf *out);

/* What a daemon said of itself as the object of `teredown status --json` (command_status.c). */
void status_append_json(struct strbuf *out, const struct control_answer *answer);
