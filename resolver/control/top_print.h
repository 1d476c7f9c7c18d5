/* SPDX-License-Identifier: BSD-3-Clause */
/* A table as text for people or for programs, appended to cli->out. */
#pragma once

#include "resolver/control/cli.h"
#include "resolver/control/top_table.h"

/* Header and rows, aligned; nothing without rows. */
void top_print(struct cli *cli, const struct top_table *table);

/* An array of objects; a number that is not there is left out. */
void top_print_json(struct cli *cli, const struct top_table *table);

/* What a cell says: "(others)" for what a bound took, else as Redis has it. */
const char *top_cell_words(const struct top_cell *cell);
