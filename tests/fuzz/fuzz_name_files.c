/* SPDX-License-Identifier: BSD-3-Clause */
/* Hosts files and leases, each text read as all four. What is found can be shown as it is. Then as
 * a hosts file that is served. */
#include <string.h>

#include "resolver/hosts.h"
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

static void serve(const char *text, size_t size)
{
	struct hosts_builder *builder = hosts_builder_new(60);

	if (!builder)
		return;
	FUZZ_CHECK(hosts_builder_add(builder, "fuzz", text, size, NULL, NULL) == TD_OK);
	struct hosts *hosts = hosts_builder_finish(&builder);
	FUZZ_CHECK(hosts);
	hosts_free(hosts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (int format = NAMES_HOSTS; format <= NAMES_KEA; format++)
		name_file_read((enum name_format)format, (const char *)data, size, 1790000000,
			on_found, NULL);
	serve((const char *)data, size);
	return 0;
}
