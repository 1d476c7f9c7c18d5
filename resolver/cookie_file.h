/* SPDX-License-Identifier: BSD-3-Clause */
/* The file of cookie secrets, which several servers behind one address share. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/dns/cookie.h"

/*
 * Reads a secret a line, 32 hexadecimal digits each, the first of them the one in use; empty lines
 * and those that begin with # are passed over. At least one, at most COOKIE_SECRETS_MAX. False, and
 * why in words that hold no secret; *out is as it was then.
 */
bool cookie_file_read(const char *path, struct cookie_secrets *out, char *why, size_t size);
