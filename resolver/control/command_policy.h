/* SPDX-License-Identifier: BSD-3-Clause */
/* The parts of `teredown policy`. */
#pragma once

#include "resolver/control/cli.h"

int policy_test_run(struct cli *cli, const char *name);
int policy_list_run(struct cli *cli);
int policy_rules_run(struct cli *cli);
int policy_refresh_run(struct cli *cli, const char *zone); /* NULL: all zones by transfer */
