/* SPDX-License-Identifier: BSD-3-Clause */
/* What forwarders and proxies say of their clients: whoever is found can be written and read back.
 */
#include <string.h>

#include "lib/dns/forwarded.h"
#include "lib/dns/proxy.h"
#include "lib/dns/subnet.h"
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

/* What is passed on is well formed itself, and as much as may be told. */
static void check_subnet(const uint8_t *data, size_t size)
{
	struct subnet subnet, again;
	if (!subnet_read(data, size, &subnet))
		return;
	FUZZ_CHECK(subnet.sent[2] <= (subnet.sent[1] == 1 ? SUBNET_BITS_V4 : SUBNET_BITS_V6));
	FUZZ_CHECK(subnet_answers(&subnet, subnet.sent, subnet.sent_length));
	FUZZ_CHECK(subnet_read(subnet.sent, subnet.sent_length, &again));
	FUZZ_CHECK(again.sent_length == subnet.sent_length &&
		   !memcmp(again.sent, subnet.sent, subnet.sent_length));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct forwarded forwarded;
	struct proxy_header header, shorter;
	check_subnet(data, size);
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
