/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A Treiber stack that is only ever emptied whole: one compare-and-swap to post, one exchange to
 * take, then the receiver turns the list round. Taking everything at once is what makes it free of
 * the ABA problem.
 */
#include "lib/base/mailbox.h"

#include <stddef.h>

void mailbox_init(struct mailbox *mailbox)
{
	atomic_init(&mailbox->newest, NULL);
}

bool mailbox_post(struct mailbox *mailbox, struct letter *letter)
{
	struct letter *newest = atomic_load_explicit(&mailbox->newest, memory_order_relaxed);
	do
		letter->next = newest;
	while (!atomic_compare_exchange_weak_explicit(
		&mailbox->newest, &newest, letter, memory_order_release, memory_order_relaxed));
	return newest == NULL; /* letter itself may be gone by now */
}

struct letter *mailbox_take(struct mailbox *mailbox)
{
	/* The receiver looks often and mostly in vain: a plain load costs it no exclusive cache
	 * line. */
	if (!atomic_load_explicit(&mailbox->newest, memory_order_relaxed))
		return NULL;
	struct letter *letter =
		atomic_exchange_explicit(&mailbox->newest, NULL, memory_order_acquire);
	struct letter *oldest_first = NULL;
	while (letter) {
		struct letter *older = letter->next;
		letter->next = oldest_first;
		oldest_first = letter;
		letter = older;
	}
	return oldest_first;
}
