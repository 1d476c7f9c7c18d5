/* SPDX-License-Identifier: BSD-3-Clause */
/* Who gives way, against a plain array that is searched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "resolver/waiting.h"

#define ENTRIES 400
#define CLIENTS 9
#define MAX 100
#define CLIENT_MAX 30
#define ALL UINT32_MAX

static const struct hash_seed seed = {3, 4};

static struct address client_of(unsigned number)
{
	const uint8_t octets[4] = {192, 0, 2, (uint8_t)number};

	return address_v4(octets);
}

struct model {
	struct waiting_entry entries[ENTRIES];
	uint32_t slot[ENTRIES];
	unsigned long born[ENTRIES]; /* 0: is not waiting */
};

/* Among those of a slot, or of all (ALL). */
static unsigned oldest(const struct model *model, uint32_t slot, size_t *count)
{
	unsigned found = ENTRIES;

	*count = 0;
	for (unsigned i = 0; i < ENTRIES; i++) {
		if (!model->born[i] || (slot != ALL && model->slot[i] != slot))
			continue;
		++*count;
		if (found == ENTRIES || model->born[i] < model->born[found])
			found = i;
	}
	return found;
}

static const struct waiting_entry *expected(const struct model *model, uint32_t slot)
{
	size_t count;
	unsigned own = oldest(model, slot, &count);

	if (count >= CLIENT_MAX)
		return &model->entries[own];
	unsigned all = oldest(model, ALL, &count);
	return count >= MAX ? &model->entries[all] : NULL;
}

static void test_as_a_plain_array_would(void **state)
{
	static struct waiting waiting;
	static struct model model;
	unsigned long time = 0, gave_way = 0;

	(void)state;
	srand(7);
	waiting_init(&waiting, &seed, MAX, CLIENT_MAX);
	for (unsigned step = 0; step < 200000; step++) {
		unsigned i = (unsigned)rand() % ENTRIES;
		if (model.born[i]) { /* answered */
			if (rand() % 4 == 0) {
				waiting_remove(&waiting, &model.entries[i]);
				model.born[i] = 0;
			}
			continue;
		}
		unsigned client = (unsigned)rand() % 3 ? (unsigned)rand() % CLIENTS : 0;
		struct address address = client_of(client);
		uint32_t slot = waiting_slot(&waiting, &address);
		struct waiting_entry *goes = waiting_must_go(&waiting, slot);
		assert_ptr_equal(goes, expected(&model, slot));
		if (goes) {
			waiting_remove(&waiting, goes);
			model.born[goes - model.entries] = 0;
			gave_way++;
		}
		assert_null(waiting_must_go(&waiting, slot));
		waiting_add(&waiting, &model.entries[i], slot);
		model.slot[i] = slot;
		model.born[i] = ++time;
		assert_true(waiting.count <= MAX);
	}
	assert_true(gave_way > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_a_plain_array_would),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
