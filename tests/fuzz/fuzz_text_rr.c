/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Zone lines. What is taken is printed and read again, and must be the same record where our own
 * code does both. ldns does not always read what it prints (parentheses in a parameter of SVCB,
 * say): there it only has to survive.
 */
#include <string.h>

#include "lib/dns/text.h"
#include "tests/fuzz/fuzz.h"

static const struct name origin = {.length = 13, .wire = "\007example\003org"};

/* Appends owner, TTL, type and RDATA of a parsed record as a line. */
static void write_line(struct strbuf *line, const struct text_rr *rr)
{
	char text[NAME_TEXT_MAX], type[TYPE_TEXT_MAX];
	const struct message_rr at = {
		.type = rr->type, .rdata_offset = 2, .rdata_length = rr->rdata_length};
	uint8_t *message = malloc(2 + (size_t)rr->rdata_length);
	FUZZ_CHECK(message);
	message[0] = (uint8_t)(rr->rdata_length >> 8);
	message[1] = (uint8_t)rr->rdata_length;
	memcpy(message + 2, rr->rdata, rr->rdata_length);
	strbuf_append(line, text, name_to_text(rr->owner.wire, text));
	strbuf_printf(line, " %u IN %s ", rr->ttl_s, type_to_text(rr->type, type));
	rdata_to_text(line, message, 2 + (size_t)rr->rdata_length, &at);
	FUZZ_CHECK(!line->failed);
	free(message);
}

static bool is_our_own(const struct text_rr *rr)
{
	static const uint16_t types[] = {
		TYPE_A, TYPE_AAAA, TYPE_CNAME, TYPE_NS, TYPE_PTR, TYPE_DNAME, TYPE_MX, 65280};
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (types[i] == rr->type)
			return true;
	}
	return false;
}

static void check_again(const struct text_rr *rr)
{
	struct strbuf line;
	struct text_rr again;
	char why[200];
	strbuf_init(&line);
	write_line(&line, rr);
	enum td_error error =
		text_parse_rr(line.data, line.length, &origin, NULL, 0, &again, why, sizeof(why));
	bool same = error == TD_OK && again.ttl_s == rr->ttl_s && again.type == rr->type &&
		    name_equal(&again.owner, &rr->owner) &&
		    again.rdata_length == rr->rdata_length &&
		    !memcmp(again.rdata, rr->rdata, rr->rdata_length);
	FUZZ_CHECK(same || line.length > 65535 || !is_our_own(rr));
	free(again.rdata);
	strbuf_deinit(&line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct name previous = {.length = 3, .wire = "\001p"};
	struct text_rr rr;
	char why[200] = "";
	if (text_parse_rr((const char *)data, size, &origin, &previous, 60, &rr, why,
		    sizeof(why)) == TD_OK) {
		check_again(&rr);
		free(rr.rdata);
	} else {
		FUZZ_CHECK(!rr.rdata && why[0] != '\0');
	}
	return 0;
}
