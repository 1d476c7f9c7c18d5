/* SPDX-License-Identifier: BSD-3-Clause */
/* Names from and to presentation format; ldns reads the same octets wherever both take the text. */
#include <ldns/ldns.h>
#include <string.h>

#include "lib/dns/name.h"
#include "tests/fuzz/fuzz.h"

static void check_name(const struct name *name)
{
	char text[NAME_TEXT_MAX];
	struct name again;
	ldns_rdf *rdf = NULL;
	FUZZ_CHECK(name_wire_length(name->wire, name->length) == name->length);
	size_t length = name_to_text(name->wire, text);
	FUZZ_CHECK(length == strlen(text) && length < NAME_TEXT_MAX);
	FUZZ_CHECK(name_from_text(&again, text, length) == TD_OK);
	FUZZ_CHECK(again.length == name->length && !memcmp(again.wire, name->wire, name->length));
	FUZZ_CHECK(ldns_str2rdf_dname(&rdf, text) == LDNS_STATUS_OK);
	FUZZ_CHECK(ldns_rdf_size(rdf) == name->length &&
		   !memcmp(ldns_rdf_data(rdf), name->wire, name->length));
	ldns_rdf_deep_free(rdf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct name name;
	size_t length = name_wire_length(data, size);
	if (length) {
		name.length = (uint8_t)length;
		memcpy(name.wire, data, length);
		check_name(&name);
	}
	if (name_from_text(&name, (const char *)data, size) == TD_OK)
		check_name(&name);
	else
		FUZZ_CHECK(name.length == 0);
	return 0;
}
