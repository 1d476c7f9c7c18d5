/* SPDX-License-Identifier: BSD-3-Clause */
/* The life of a struct api_context: one for each thread that answers, made and freed in it. */
#pragma once

#include "resolver/control/dashboard/api.h"

/* NULL: out of memory. */
struct api_context *api_context_new(struct dashboard *dashboard);
void api_context_free(struct api_context *context); /* NULL is fine */

/* Before each call of a handler: empties the arena, takes the time and the configuration in force,
 * and makes reply an empty one with status 200. False: out of memory. */
bool api_context_begin(struct api_context *context, struct api_reply *reply);
