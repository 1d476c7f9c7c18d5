/* SPDX-License-Identifier: BSD-3-Clause */
/* Lists of hosts: every host that is taken is one that can be asked, every fault is told in
 * printable words, and there are not many of them. */
#include <string.h>

#include "resolver/control/probe_list.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct probe_list list;
	FILE *file = size ? fmemopen((void *)data, size, "r") : NULL;
	if (!file)
		return 0;
	probe_list_init(&list);
	FUZZ_CHECK(probe_list_read(&list, file, "list", TEREDO_PORT));
	fclose(file);
	for (size_t i = 0; i < list.count; i++) {
		FUZZ_CHECK(list.hosts[i].port != 0 && list.hosts[i].line != 0);
		FUZZ_CHECK(*list.hosts[i].name && strlen(list.hosts[i].name) < PROBE_HOST_MAX);
		FUZZ_CHECK(!strpbrk(list.hosts[i].name, " /:\r\n\033"));
	}
	FUZZ_CHECK((list.faults == 0) == (list.messages.length == 0));
	FUZZ_CHECK(list.messages.length < (size_t)PROBE_LIST_FAULTS_MAX * 2000);
	for (size_t i = 0; i < list.messages.length; i++)
		FUZZ_CHECK(list.messages.data[i] == '\n' ||
			   (unsigned char)(list.messages.data[i] - 32) < 95);
	probe_list_deinit(&list);
	return 0;
}
