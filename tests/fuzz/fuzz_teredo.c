/* SPDX-License-Identifier: BSD-3-Clause */
/* Answers of Teredo servers: what is believed has all that an answer must have, and is believed
 * without what stands behind it. */
#include <string.h>

#include "lib/dns/teredo.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct teredo_answer answer, again;
	uint8_t longer[4096] = {0};
	enum teredo_fault fault = teredo_answer_read(data, size, &answer);
	FUZZ_CHECK(fault < TEREDO_NO_NONCE);
	FUZZ_CHECK(answer.prefix.length <= 128);
	FUZZ_CHECK(answer.origin.address.family == ADDRESS_NONE ||
		   answer.origin.address.family == ADDRESS_V4);
	if (fault != TEREDO_FINE)
		return 0;
	FUZZ_CHECK(answer.prefix.address.family == ADDRESS_V6);
	FUZZ_CHECK(prefix_contains(&answer.prefix, &answer.prefix.address));
	FUZZ_CHECK(answer.router.octets[0] == 0xfe);
	if (size > sizeof(longer) - 8)
		return 0;
	memcpy(longer, data, size);
	FUZZ_CHECK(teredo_answer_read(longer, size + 8, &again) == TEREDO_FINE);
	FUZZ_CHECK(memcmp(again.nonce, answer.nonce, sizeof(again.nonce)) == 0);
	FUZZ_CHECK(endpoint_equal(&again.origin, &answer.origin) && again.mtu == answer.mtu);
	return 0;
}
