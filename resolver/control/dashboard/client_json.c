/* SPDX-License-Identifier: BSD-3-Clause */
/* The members of told_teredo.h, and null where the API always has the key. */
#include "resolver/control/dashboard/client_json.h"

#include "resolver/control/output.h"

void client_told_json(struct strbuf *out, int64_t since_ms, int64_t last_ms, const char *server)
{
	strbuf_json_key(out, "told_teredo");
	if (since_ms <= 0) {
		strbuf_append_text(out, "null");
		return;
	}
	strbuf_append_char(out, '{');
	output_json_time(out, "since", since_ms);
	output_json_time(out, "last", last_ms ? last_ms : since_ms);
	strbuf_json_text(out, "server", server);
	strbuf_append_char(out, '}');
}
