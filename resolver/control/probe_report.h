/* SPDX-License-Identifier: BSD-3-Clause */
/* What `teredown probe` found out, for people and for programs. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "resolver/control/cli.h"
#include "resolver/control/probe.h"
#include "resolver/control/probe_list.h"

/* A host as it was given with one of its addresses; a name with several has a row for each. A list,
 * in the order in which they were given. */
struct probe_row {
	struct probe_row *next;
	const struct probe_host *host;
	const struct probe_target *target; /* NULL: not resolved */
	const char *why;                   /* not resolved: this is why */
	struct probe_row *same;            /* another row of this target */
};

struct probe_counts {
	size_t rows, state[PROBE_ANSWERS + 1];
};

struct probe_counts probe_report_count(const struct probe_row *rows);

/* Appends to cli->out. interrupted: it was ended early. */
void probe_report_text(struct cli *cli, const struct probe_row *rows, bool interrupted);
void probe_report_json(struct cli *cli, const struct probe_row *rows, bool interrupted);
