/* SPDX-License-Identifier: BSD-3-Clause */
/* What several answers say of a client in the same words. */
#pragma once

#include <stdint.h>

#include "lib/base/strbuf.h"

/* "told_teredo":{"since","last","server"}, or null of one that was told none (since_ms 0). Unix ms;
 * server may be NULL. */
void client_told_json(struct strbuf *out, int64_t since_ms, int64_t last_ms, const char *server);
