/* SPDX-License-Identifier: BSD-3-Clause */
/* What Redis knows of resolvers, their daemons unasked: a line each. */
#pragma once

#include "resolver/control/cli.h"

/* For `teredown status --fleet` and `--resolver NAME`. */
int status_fleet(struct cli *cli);
