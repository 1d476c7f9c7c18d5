/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Files that others replace: their folders are watched, because resolvconf, NetworkManager and
 * editors rename a new file over the old one, and the folders of what symbolic links lead to
 * (/etc/resolv.conf often is one). A file need not be there yet, nor its folder. What the system
 * does not tell of (network file systems, files mounted over files) is found by looking every few
 * seconds. One thread, that of the loop.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define FILE_WATCH_MAX 512
#define FILE_WATCH_SETTLE_MS 50 /* how long a file has to stay as it is before it is told of */
#define FILE_WATCH_PATIENCE_MS 2000 /* one that is written all the time is told of then */

struct event_base;
struct file_watch;

/* One or more of the files came, went, or are others than they were. */
typedef void file_watch_fn(void *context);

/* Watches nothing yet. NULL: out of memory. */
struct file_watch *file_watch_new(struct event_base *base, file_watch_fn *changed, void *context);
void file_watch_free(struct file_watch *watch); /* NULL is fine */

/* Other times than those above, from the next change on; settle_ms is at least 1. */
void file_watch_set_times(struct file_watch *watch, unsigned settle_ms, unsigned patience_ms);

/*
 * Watches these files in place of those before; paths are copied. At most FILE_WATCH_MAX. Those
 * that are there are told of once: whoever read them before may have read what is no more. False:
 * out of memory, nothing is watched.
 */
bool file_watch_set(struct file_watch *watch, const char *const *paths, size_t count);
