/* SPDX-License-Identifier: BSD-3-Clause */
/* Text through the filter of `teredown decode`: it does not matter where it is cut, text
 * without an address stays as it is, and on a terminal nothing but printable text arrives. */
#include <string.h>

#include "resolver/control/decode_filter.h"
#include "tests/fuzz/fuzz.h"

static uint64_t run(
	enum decode_form form, const uint8_t *data, size_t size, size_t cut, struct strbuf *out)
{
	struct decode_filter filter;

	strbuf_init(out);
	decode_filter_init(&filter, form);
	if (cut)
		decode_filter_feed(&filter, (const char *)data, cut, out);
	if (size > cut)
		decode_filter_feed(&filter, (const char *)data + cut, size - cut, out);
	decode_filter_feed(&filter, NULL, 0, out);
	return filter.found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct strbuf whole, cut;
	uint64_t found = run(DECODE_PLAIN, data, size, 0, &whole);

	FUZZ_CHECK(run(DECODE_PLAIN, data, size, size ? data[0] % size : 0, &cut) == found);
	FUZZ_CHECK(whole.length == cut.length && whole.length >= size);
	FUZZ_CHECK(whole.length == 0 || memcmp(whole.data, cut.data, whole.length) == 0);
	FUZZ_CHECK(found || size == 0 || memcmp(whole.data, data, size) == 0);
	strbuf_deinit(&cut);
	strbuf_deinit(&whole);
	FUZZ_CHECK(run(DECODE_ESCAPED, data, size, size / 2, &whole) == found);
	for (size_t i = 0; i < whole.length; i++)
		FUZZ_CHECK(whole.data[i] == '\n' || whole.data[i] == '\t' ||
			   (unsigned char)(whole.data[i] - 32) < 95);
	strbuf_deinit(&whole);
	FUZZ_CHECK(run(DECODE_JSON, data, size, size / 3, &whole) == found);
	FUZZ_CHECK((found == 0) == (whole.length == 0));
	strbuf_deinit(&whole);
	return 0;
}
