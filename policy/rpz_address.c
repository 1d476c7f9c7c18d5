/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The owner names of rules on addresses. What is read is what can be meant in one way only: host
 * bits that are set, a length out of range or a number with leading zeros (which some programs take
 * for octal) are faults. Another place or form of `zz` than the canonical one, and zeros before
 * hexadecimal digits, are accepted as Unbound and PowerDNS accept them; BIND refuses them.
 */
#include "policy/rpz_address.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define LABELS_MAX 10 /* length, eight words, rpz-ip */
#define WORDS 8       /* of an IPv6 address */
#define WORD_MAX 0xffff

struct label {
	const uint8_t *text;
	uint8_t length;
};

/* The labels of a name, at most max. Returns how many there are. */
static size_t labels_of(const struct name *name, struct label *labels, size_t max)
{
	size_t count = 0;

	for (size_t at = 0; name->wire[at]; at += (size_t)1 + name->wire[at], count++)
		if (count < max)
			labels[count] = (struct label){name->wire + at + 1, name->wire[at]};
	return count;
}

static int digit_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}

/* A number of 1 to `digits` digits; decimal ones without leading zeros. */
static bool number_read(
	const struct label *label, unsigned base, unsigned digits, unsigned most, unsigned *out)
{
	*out = 0;
	if (label->length == 0 || label->length > digits)
		return false;
	if (base == 10 && label->length > 1 && label->text[0] == '0')
		return false;
	for (unsigned i = 0; i < label->length; i++) {
		unsigned digit = (unsigned)digit_value(label->text[i]);
		if (digit >= base)
			return false;
		*out = *out * base + digit;
	}
	return *out <= most;
}

static bool is_zeros(const struct label *label)
{
	return label->length == 2 && !memcmp(label->text, "zz", 2);
}

static bool v4_read(const struct label *labels, struct address *out)
{
	uint8_t octets[4];

	for (unsigned i = 0; i < 4; i++) {
		unsigned number;
		if (!number_read(&labels[i], 10, 3, 255, &number))
			return false;
		octets[3 - i] = (uint8_t)number;
	}
	*out = address_v4(octets);
	return true;
}

/* From the last word to the first; what `zz` stands for is what the others leave. */
static bool v6_read(const struct label *labels, size_t count, struct address *out)
{
	uint8_t octets[16] = {0};
	unsigned word = WORDS;
	bool zeros = false;

	for (size_t i = 0; i < count; i++) {
		unsigned number;
		if (is_zeros(&labels[i]) && !zeros) {
			zeros = true;
			word -= (unsigned)(WORDS - (count - 1));
			continue;
		}
		if (!number_read(&labels[i], 16, 4, WORD_MAX, &number))
			return false;
		word--;
		octets[word * 2] = (uint8_t)(number >> 8);
		octets[word * 2 + 1] = (uint8_t)number;
	}
	*out = address_v6(octets);
	return word == 0;
}

/* The labels between the length and the kind. */
static bool address_read(const struct label *labels, size_t count, struct address *out)
{
	bool zeros = false;

	for (size_t i = 0; i < count; i++)
		zeros |= is_zeros(&labels[i]);
	if (count == 4 && !zeros)
		return v4_read(labels, out);
	return count <= WORDS && (zeros || count == WORDS) && v6_read(labels, count, out);
}

static bool has_host_bits(const struct prefix *prefix)
{
	size_t bits = address_octets(&prefix->address) * 8;

	for (size_t bit = prefix->length; bit < bits; bit++)
		if (prefix->address.octets[bit / 8] & 0x80 >> bit % 8)
			return true;
	return false;
}

/* The kind of trigger that ends in this label; in either case, but not in a mixture. */
static bool kind_find(const struct label *label, bool capitals, enum policy_trigger *trigger)
{
	const char *answer = capitals ? RPZ_ANSWER_LABEL : "rpz-ip";
	const char *client = capitals ? RPZ_CLIENT_LABEL : "rpz-client-ip";

	*trigger = TRIGGER_ADDRESS;
	if (label->length == strlen(answer) && !memcmp(label->text, answer, label->length))
		return true;
	*trigger = TRIGGER_CLIENT;
	return label->length == strlen(client) && !memcmp(label->text, client, label->length);
}

static const char *labels_read(const struct label *labels, size_t count, struct prefix *prefix)
{
	unsigned length;

	if (count < 2 || count > LABELS_MAX ||
		!address_read(labels + 1, count - 2, &prefix->address))
		return "not an address before rpz-ip or rpz-client-ip";
	if (!number_read(
		    &labels[0], 10, 3, (unsigned)address_octets(&prefix->address) * 8, &length) ||
		length == 0)
		return "the length of the prefix is out of range";
	prefix->length = (uint8_t)length;
	return has_host_bits(prefix) ? "bits behind the prefix are set" : NULL;
}

const char *rpz_address_read(
	const struct name *name, enum policy_trigger *trigger, struct prefix *prefix)
{
	struct label labels[LABELS_MAX];
	size_t count = labels_of(name, labels, LABELS_MAX);

	if (count > LABELS_MAX || count == 0 || !kind_find(&labels[count - 1], false, trigger))
		return "not an address before rpz-ip or rpz-client-ip";
	return labels_read(labels, count, prefix);
}

bool rpz_address_find(const struct name *name, enum policy_trigger *trigger, struct prefix *prefix)
{
	struct label labels[LABELS_MAX];
	size_t count = labels_of(name, labels, LABELS_MAX);

	return count > 0 && count <= LABELS_MAX && kind_find(&labels[count - 1], true, trigger) &&
	       !labels_read(labels, count, prefix);
}

/* --- writing --- */

static void label_put(struct name *out, const char *text)
{
	size_t length = strlen(text);

	assert(out->length + 1 + length < NAME_WIRE_MAX);
	out->wire[out->length] = (uint8_t)length;
	memcpy(out->wire + out->length + 1, text, length);
	out->length = (uint8_t)(out->length + 1 + length);
}

static void decimal_put(struct name *out, unsigned number)
{
	char text[12];

	snprintf(text, sizeof(text), "%u", number);
	label_put(out, text);
}

static void word_put(struct name *out, unsigned number)
{
	char text[12];

	snprintf(text, sizeof(text), "%x", number);
	label_put(out, text);
}

/* The longest run of zero words, the first of those alike (RFC 5952, 4.2); none of a single one.
 * Words are counted from the address's start. */
static unsigned zeros_find(const unsigned words[WORDS], unsigned *length)
{
	unsigned best = 0, run = 0;

	*length = 1;
	for (unsigned i = 0; i < WORDS; i++) {
		run = words[i] ? 0 : run + 1;
		if (run > *length) {
			*length = run;
			best = i + 1 - run;
		}
	}
	if (*length == 1)
		*length = 0;
	return best;
}

static void v6_put(struct name *out, const uint8_t octets[16])
{
	unsigned words[WORDS], zeros, length;

	for (unsigned i = 0; i < WORDS; i++)
		words[i] = (unsigned)octets[i * 2] << 8 | octets[i * 2 + 1];
	zeros = zeros_find(words, &length);
	for (unsigned i = WORDS; i-- > 0;) {
		if (i < zeros || i >= zeros + length)
			word_put(out, words[i]);
		else if (i == zeros)
			label_put(out, "zz");
	}
}

void rpz_address_name(enum policy_trigger trigger, const struct prefix *prefix, struct name *out)
{
	const uint8_t *octets = prefix->address.octets;

	out->length = 0;
	decimal_put(out, prefix->length);
	if (prefix->address.family == ADDRESS_V4)
		for (unsigned i = 4; i-- > 0;)
			decimal_put(out, octets[i]);
	else
		v6_put(out, octets);
	label_put(out, trigger == TRIGGER_CLIENT ? RPZ_CLIENT_LABEL : RPZ_ANSWER_LABEL);
	out->wire[out->length++] = 0;
}

void rpz_address_top(const char *label, struct name *out)
{
	out->length = 0;
	label_put(out, label);
	out->wire[out->length++] = 0;
}

/* --- any trigger --- */

/* The words for triggers that a forwarder cannot honour; NULL for all others. */
static const char *trigger_refused(const struct label *kind)
{
	static const struct {
		const char *label, *words;
	} kinds[] = {
		{"rpz-nsdname", "rules by name server (rpz-nsdname) are not supported: a forwarder "
				"does not see it"},
		{"rpz-nsip", "rules by name server address (rpz-nsip) are not supported: a "
			     "forwarder does not see it"},
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kind->length == strlen(kinds[i].label) &&
			!memcmp(kind->text, kinds[i].label, kind->length))
			return kinds[i].words;
	return NULL;
}

const char *policy_rpz_trigger(struct name *trigger)
{
	enum policy_trigger kind;
	struct prefix prefix;
	size_t last = 0;

	for (size_t at = 0; trigger->wire[at]; at += (size_t)1 + trigger->wire[at])
		last = at;
	const struct label label = {trigger->wire + last + 1, trigger->wire[last]};
	if (label.length < 6 || memcmp(label.text, "rpz-", 4) != 0)
		return NULL;
	if (!kind_find(&label, false, &kind))
		return trigger_refused(&label);
	const char *why = rpz_address_read(trigger, &kind, &prefix);
	if (!why)
		rpz_address_name(kind, &prefix, trigger);
	return why;
}
