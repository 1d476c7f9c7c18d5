/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The embedded Redis: a small process, forked before threads exist, that runs a private redis-server on
 * `redis.sock` in the state directory (append-only file on, memory bounded, no TCP port), restarts it with back-off,
 * adopts one that outlived its daemon, and ends it, data flushed, when the daemon ends.
 */
#pragma once

#include <stddef.h>

#include "lib/base/error.h"

struct keeper;

/*
 * Main thread, before any other thread and before privileges drop. Forks; the child keeps only what it needs (stderr, the pipe).
 * memory_mb is Redis's maxmemory (noeviction). NULL and a logged error: no redis-server in PATH, state directory not
 * usable, socket path over 107 bytes.
 */
struct keeper *keeper_start(const char *state_dir, unsigned memory_mb);

/* "unix:<state_dir>/redis.sock". */
const char *keeper_url(const struct keeper *keeper);

/* Asks the keeper to end Redis (SIGTERM: it writes its file) and waits for at most timeout_ms, then frees. */
void keeper_stop(struct keeper **keeper, int timeout_ms);
