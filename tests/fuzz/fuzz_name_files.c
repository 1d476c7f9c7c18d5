/* SPDX-License-Identifier: BSD-3-Clause */
/* Hosts files and leases, each text read as all four. What is found can be shown as it is. */
#include <string.h>

#include "resolver/name_files.h"
#include "tests/fuzz/fuzz.h"

static void on_found(void *context, const struct address *address, const struct address *mac,
	const char *name, size_t length)
{
	(void)context;
	FUZZ_CHECK(address_is_ip(address));
	FUZZ_CHECK(mac->family == ADDRESS_NONE || (mac->family == ADDRESS_MAC && length > 0));
	FUZZ_CHECK(length <= HOST_NAME_MAX_OCTETS);
	for (size_t i = 0; i < length; i++)
		FUZZ_CHECK(name[i] > 0x20 && name[i] < 0x7f && name[i] != '"' && name[i] != '\\');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (int format = NAMES_HOSTS; format <= NAMES_KEA; format++)
		name_file_read((enum name_format)format, (const char *)data, size, 1790000000,
			on_found, NULL);
	return 0;
}
