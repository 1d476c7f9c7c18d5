/* SPDX-License-Identifier: BSD-3-Clause */
/* From a copy to rules, on the compiler's thread (compile.h). */
#pragma once

#include "resolver/compile.h"
#include "resolver/transfer_copy.h"

/* zone_feed.fill: the snapshot is one of a copy; NULL: the zone has not come yet, and is empty. */
enum td_error transfer_fill(const struct copy_snapshot *snapshot, struct zone_fill *fill);
