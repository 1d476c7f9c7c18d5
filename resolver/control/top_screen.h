/* SPDX-License-Identifier: BSD-3-Clause */
/* `teredown top` on a terminal, live, until the person ends it. */
#pragma once

#include <stdbool.h>

#include "resolver/control/cli.h"
#include "resolver/control/top_load.h"

/*
 * Shows the rankings, beginning with the one that is wished, and closes the fleet at the end.
 * False, and nothing was done: this terminal cannot be drawn on, or ncurses is not built in. *code
 * is of enum cli_exit.
 */
bool top_screen_run(struct cli *cli, struct fleet *fleet, const struct top_wish *wish, int *code);
