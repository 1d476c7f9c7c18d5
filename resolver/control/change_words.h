/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the daemon says it changed, in sentences and as members of an object of JSON (without its
 * braces): what the commands print, and what the dashboard answers. All of them append to out.
 */
#pragma once

#include <stdbool.h>

#include "lib/base/strbuf.h"
#include "resolver/control/client.h"

/* The answer to `mode`, for a group (NULL: for everybody). False, nothing appended: nothing
 * changed, because it was so already. */
bool change_words_mode(
	struct strbuf *out, const struct control_answer *answer, const char *group, bool reset);
void change_words_mode_json(struct strbuf *out, const struct control_answer *answer);

void change_words_flush(struct strbuf *out, const struct control_answer *answer);
void change_words_flush_json(struct strbuf *out, const struct control_answer *answer);

/* The answer to `refresh`. False, nothing appended: there is no zone that comes by transfer. */
bool change_words_refresh(struct strbuf *out, const struct control_answer *answer);
void change_words_refresh_json(struct strbuf *out, const struct control_answer *answer);

void change_words_reload(struct strbuf *out, const struct control_answer *answer);
void change_words_reload_json(struct strbuf *out, const struct control_answer *answer);
