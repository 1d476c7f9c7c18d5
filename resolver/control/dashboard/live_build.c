/* SPDX-License-Identifier: BSD-3-Clause */
/* What the stream tells is what GET /api/v1/overview answers. */
#include "resolver/control/dashboard/dashboard.h"
#include "resolver/control/dashboard/live.h"
#include "resolver/control/dashboard/overview.h"

void live_build(struct api_context *context, struct api_reply *reply)
{
	static const struct api_request request = {.body = "", .from = "", .cookie = ""};

	overview_answer(context->shared->overviews, context, &request, reply);
}
