/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Letters from any thread to one. A letter is embedded in the thing it carries; posting it gives
 * the thing away. Lock-free. Waking the receiver is the caller's business: mailbox_post says when.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

struct letter {
	struct letter *next;
};

struct mailbox {
	struct letter *_Atomic newest;
};

void mailbox_init(struct mailbox *mailbox);

/* Any thread. True when the box was empty before: the receiver has to be woken. */
bool mailbox_post(struct mailbox *mailbox, struct letter *letter);

/* The receiver: every letter so far, oldest first, linked by next; NULL when there is none. */
struct letter *mailbox_take(struct mailbox *mailbox);
