/* SPDX-License-Identifier: BSD-3-Clause */
/* What forwarders and proxies say of their clients: whoever is found can be written and read back.
 */
#include <string.h>

#include "lib/dns/forwarded.h"
#include "lib/dns/proxy.h"
#include "tests/fuzz/fuzz.h"

static void check_client(const struct address *client)
{
	char text[ADDRESS_TEXT_MAX];
	struct address again;
	if (client->family == ADDRESS_NONE)
		return;
	FUZZ_CHECK(client_from_text(&again, address_to_text(client, text)));
	FUZZ_CHECK(address_equal(&again, client));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct forwarded forwarded;
	struct proxy_header header, shorter;
	forwarded_read(data, size, &forwarded);
	check_client(&forwarded.client);
	check_client(&forwarded.mac);
	FUZZ_CHECK(forwarded.mac.family == ADDRESS_NONE || forwarded.mac.family == ADDRESS_MAC);
	if (proxy_read(data, size, &header) != TD_OK)
		return 0;
	FUZZ_CHECK(header.length <= size && header.length <= PROXY_HEADER_MAX);
	FUZZ_CHECK(proxy_read(data, header.length - 1, &shorter) == TD_TRUNCATED);
	FUZZ_CHECK(header.local == !address_is_ip(&header.source.address));
	return 0;
}
