/* SPDX-License-Identifier: BSD-3-Clause */
/* The moment, and whether Redis can be read. */
#include "resolver/control/dashboard/live.h"

void live_build(struct api_context *context, struct api_reply *reply)
{
	static const struct api_request request = {.body = "", .from = "", .cookie = ""};
	struct fleet *fleet = api_fleet(context, &request, reply);

	if (!fleet) {
		strbuf_clear(&reply->body);
		reply->status = 200;
		reply->type = "application/json";
	}
	api_begin(context, fleet, reply);
	api_end(reply);
}
