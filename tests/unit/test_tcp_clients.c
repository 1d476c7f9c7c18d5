/* SPDX-License-Identifier: BSD-3-Clause */
/* Who may connect, who is overdue and who has to leave, on a clock of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "lib/base/clock.h"
#include "resolver/tcp_clients.h"

#define START (INT64_C(1000) * US_PER_S)
#define IDLE_US (10 * US_PER_S)
#define WRITE_US (4 * US_PER_S)

static struct tcp_clients *open_clients(unsigned max, unsigned per_address_max)
{
	const struct tcp_clients_config config = {.max = max,
		.per_address_max = per_address_max,
		.idle_us = IDLE_US,
		.write_us = WRITE_US,
		.seed = {1, 2}};

	return tcp_clients_new(&config);
}

static struct address client(unsigned number)
{
	const uint8_t octets[4] = {192, 0, (uint8_t)(number >> 8), (uint8_t)number};

	return address_v4(octets);
}

static enum tcp_admission admit(
	struct tcp_clients *clients, unsigned number, int64_t now_us, unsigned *slot)
{
	struct address address = client(number);

	return tcp_clients_admit(clients, &address, true, now_us, slot);
}

static void test_longest_idle_makes_room(void **state)
{
	struct tcp_clients *clients = open_clients(3, 3);
	unsigned slots[3], slot;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(admit(clients, i, START + i, &slots[i]), TCP_ADMITTED);
	tcp_clients_set(clients, slots[0], TCP_PENDING, START + 10);
	tcp_clients_set(clients, slots[1], TCP_IDLE, START + 20); /* has been answered since */
	assert_int_equal(admit(clients, 9, START + 30, &slot), TCP_CLOSE_FIRST);
	assert_int_equal(slot, slots[2]);
	tcp_clients_leave(clients, slot);
	assert_int_equal(admit(clients, 9, START + 30, &slot), TCP_ADMITTED);
	assert_int_equal(slot, slots[2]);
	tcp_clients_set(clients, slots[1], TCP_WRITING, START + 40);
	tcp_clients_set(clients, slots[2], TCP_PENDING, START + 40);
	assert_int_equal(admit(clients, 10, START + 50, &slot), TCP_REFUSED);
	assert_int_equal(tcp_clients_count(clients), 3);
	tcp_clients_free(clients);
}

static void test_an_address_makes_room_for_itself(void **state)
{
	struct tcp_clients *clients = open_clients(10, 2);
	unsigned other, first, second, slot;

	(void)state;
	admit(clients, 1, START, &other); /* idle for longest of all */
	admit(clients, 2, START + 1, &first);
	admit(clients, 2, START + 2, &second);
	assert_int_equal(admit(clients, 2, START + 3, &slot), TCP_CLOSE_FIRST);
	assert_int_equal(slot, first);
	tcp_clients_set(clients, first, TCP_IDLE, START + 4);
	assert_int_equal(admit(clients, 2, START + 5, &slot), TCP_CLOSE_FIRST);
	assert_int_equal(slot, second);
	tcp_clients_set(clients, first, TCP_PENDING, START + 6);
	tcp_clients_set(clients, second, TCP_WRITING, START + 6);
	assert_int_equal(admit(clients, 2, START + 7, &slot), TCP_REFUSED);
	assert_int_equal(admit(clients, 3, START + 7, &slot), TCP_ADMITTED);
	struct address proxy = client(2);
	assert_int_equal(tcp_clients_admit(clients, &proxy, false, START + 8, &slot), TCP_ADMITTED);
	tcp_clients_free(clients);
}

static void test_overdue(void **state)
{
	struct tcp_clients *clients = open_clients(10, 10);
	unsigned idle, pending, writing, slot;

	(void)state;
	admit(clients, 1, START, &idle);
	admit(clients, 2, START, &pending);
	admit(clients, 3, START, &writing);
	tcp_clients_set(clients, pending, TCP_PENDING, START + 1);
	tcp_clients_set(clients, writing, TCP_WRITING, START + 1);
	assert_false(tcp_clients_overdue(clients, START + WRITE_US, &slot));
	assert_true(tcp_clients_overdue(clients, START + 1 + WRITE_US, &slot));
	assert_int_equal(slot, writing);
	tcp_clients_set(clients, writing, TCP_WRITING, START + 1 + WRITE_US); /* took some */
	assert_false(tcp_clients_overdue(clients, START + 1 + WRITE_US, &slot));
	tcp_clients_leave(clients, writing);
	assert_true(tcp_clients_overdue(clients, START + IDLE_US, &slot));
	assert_int_equal(slot, idle);
	tcp_clients_leave(clients, idle);
	assert_false(tcp_clients_overdue(clients, START + 100 * IDLE_US, &slot));
	assert_false(tcp_clients_idlest(clients, &slot));
	tcp_clients_set(clients, pending, TCP_IDLE, START + 100 * IDLE_US);
	assert_true(tcp_clients_idlest(clients, &slot));
	assert_int_equal(slot, pending);
	tcp_clients_free(clients);
}

/* Whatever comes, goes and changes: nobody is lost, and the bounds hold. */
static void test_any_order(void **state)
{
	enum { MAX = 50, ADDRESSES = 20, EACH = 5 };
	struct tcp_clients *clients = open_clients(MAX, EACH);
	unsigned owner[MAX], each[ADDRESSES] = {0};
	bool taken[MAX] = {false};
	size_t count = 0;

	(void)state;
	srand(5);
	for (int64_t step = 0; step < 100000; step++) {
		unsigned slot = (unsigned)rand() % MAX, number = (unsigned)rand() % ADDRESSES;
		if (taken[slot] && rand() % 3 == 0) {
			tcp_clients_leave(clients, slot);
			taken[slot] = false;
			each[owner[slot]]--;
			count--;
			continue;
		}
		if (taken[slot]) {
			tcp_clients_set(clients, slot, (enum tcp_state)(rand() % 3), START + step);
			continue;
		}
		enum tcp_admission admission = admit(clients, number, START + step, &slot);
		if (admission == TCP_ADMITTED) {
			assert_false(taken[slot]);
			taken[slot] = true;
			owner[slot] = number;
			each[number]++;
			count++;
		} else if (admission == TCP_CLOSE_FIRST) {
			assert_true(taken[slot]);
			assert_int_equal(tcp_clients_state(clients, slot), TCP_IDLE);
			if (each[number] == EACH)
				assert_int_equal(owner[slot], number);
		}
		assert_true(each[number] <= EACH);
		assert_int_equal(tcp_clients_count(clients), count);
	}
	tcp_clients_free(clients);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_longest_idle_makes_room),
		cmocka_unit_test(test_an_address_makes_room_for_itself),
		cmocka_unit_test(test_overdue),
		cmocka_unit_test(test_any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
