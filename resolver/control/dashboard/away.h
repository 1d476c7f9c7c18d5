/* SPDX-License-Identifier: BSD-3-Clause */
/* For pages that have something to show while Redis is away. */
#pragma once

#include "resolver/control/dashboard/api.h"

/*
 * As api_fleet; but where Redis cannot be read the result is NULL, *words say why (kept in the
 * arena of the command line, "" otherwise), and the reply is as it was. What is wrong with the
 * request itself stays: reply->status is not 200 then.
 */
struct fleet *away_fleet(struct api_context *context, const struct api_request *request,
	struct api_reply *reply, const char **words);

/*
 * Whether there is no daemon beside us that could be asked, which is no fault of a dashboard of a
 * fleet: nobody listens at the control socket (outcome), and no resolver of our name ever wrote to
 * this Redis. False where the fleet does not tell: it is NULL, or of one resolver.
 */
#define AWAY_ALONE_WORDS \
	"no resolver runs beside this dashboard: it shows what the others keep in Redis"
bool away_is_alone(const struct api_context *context, const struct fleet *fleet,
	enum control_outcome outcome);

/* As api_begin, also with a fleet of NULL: "resolver" is ours then, "recording_since" null. */
void away_begin(struct api_context *context, struct fleet *fleet, struct api_reply *reply);
