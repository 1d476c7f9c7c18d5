/* SPDX-License-Identifier: BSD-3-Clause */
/* In the place of dnstap.c where libfstrm or protobuf-c is not at hand. The option is refused then,
 * so nothing of this is reached. */
#include <stddef.h>

#include "resolver/telemetry/sinks/dnstap.h"

struct dnstap *dnstap_new(
	struct event_base *base, const struct dnstap_settings *settings, const struct now *now)
{
	(void)base;
	(void)settings;
	(void)now;
	return NULL;
}

void dnstap_free(struct dnstap **dnstap)
{
	(void)dnstap;
}

void dnstap_record(struct dnstap *dnstap, const struct record *record, const struct now *now)
{
	(void)dnstap;
	(void)record;
	(void)now;
}

void dnstap_flush(struct dnstap *dnstap, const struct now *now)
{
	(void)dnstap;
	(void)now;
}

void dnstap_reopen(struct dnstap *dnstap, const struct now *now)
{
	(void)dnstap;
	(void)now;
}

void dnstap_finish(struct dnstap *dnstap, const struct now *now)
{
	(void)dnstap;
	(void)now;
}

bool dnstap_is_finished(const struct dnstap *dnstap)
{
	(void)dnstap;
	return true;
}

void dnstap_status(const struct dnstap *dnstap, struct dnstap_status *out)
{
	(void)dnstap;
	*out = (struct dnstap_status){.state = "off"};
}
