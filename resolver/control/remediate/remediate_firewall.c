/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Firewall lines for networks where Teredo has to stay on some hosts: --client names one that keeps
 * it, everybody else's packets to Teredo servers (UDP 3544) and all of protocol 41 (6to4, ISATAP,
 * 6in4) stop here. The lines count what they drop, which `teredown ingest` can read if they log.
 */
#include "resolver/control/remediate/remediate.h"

/* Who keeps it, under one name with several addresses: Teredo runs over IPv4, so only those. */
static size_t count_keepers(const struct remedy *remedy)
{
	size_t count = 0;

	for (size_t i = 0; remedy->one && i < remedy->hosts->count; i++)
		count += remedy->hosts->rows[i].address.family == ADDRESS_V4;
	return count;
}

/* Each keeper with the two texts around it; between: in front of all but the first. */
static void append_keepers(struct strbuf *out, const struct remedy *remedy, const char *between,
	const char *before, const char *behind)
{
	char text[ADDRESS_TEXT_MAX];
	bool first = true;

	for (size_t i = 0; remedy->one && i < remedy->hosts->count; i++) {
		const struct remedy_host *host = &remedy->hosts->rows[i];
		if (host->address.family != ADDRESS_V4)
			continue;
		strbuf_printf(out, "%s%s%s%s", first ? "" : between, before,
			address_to_text(&host->address, text), behind);
		first = false;
	}
}

static void append_nft(struct strbuf *out, const struct remedy *remedy)
{
	strbuf_append_text(out, "# nftables (nft -f FILE)\n\n"
				"table ip teredown\n" /* or a second time would add to the first */
				"delete table ip teredown\n"
				"table ip teredown {\n"
				"	set keeps_teredo {\n"
				"		type ipv4_addr\n");
	if (count_keepers(remedy)) {
		strbuf_append_text(out, "		elements = { ");
		append_keepers(out, remedy, ", ", "", "");
		strbuf_append_text(out, " }\n");
	}
	strbuf_append_text(out,
		"	}\n"
		"	chain forward {\n"
		"		type filter hook forward priority -5; policy accept;\n"
		"		ip saddr @keeps_teredo udp dport 3544 accept\n"
		"		udp dport 3544 limit rate 10/second log prefix \"DROP teredo \"\n"
		"		udp dport 3544 counter drop\n"
		"		meta l4proto 41 limit rate 10/second log prefix \"DROP proto41 \"\n"
		"		meta l4proto 41 counter drop\n"
		"	}\n"
		"}\n\n");
}

static void append_iptables(struct strbuf *out, const struct remedy *remedy)
{
	strbuf_append_text(out, "# iptables\n\niptables -N TEREDOWN\n");
	append_keepers(
		out, remedy, "", "iptables -A TEREDOWN -s ", " -p udp --dport 3544 -j RETURN\n");
	strbuf_append_text(out,
		"iptables -A TEREDOWN -p udp --dport 3544 -m limit --limit 10/second -j LOG "
		"--log-prefix 'DROP teredo '\n"
		"iptables -A TEREDOWN -p udp --dport 3544 -j DROP\n"
		"iptables -A TEREDOWN -p 41 -j DROP\n"
		"iptables -I FORWARD -j TEREDOWN\n\n");
}

static void append_pf(struct strbuf *out, const struct remedy *remedy)
{
	strbuf_append_text(out, "# pf (an anchor or pf.conf, before other rules)\n\n");
	append_keepers(out, remedy, "", "pass quick inet proto udp from ", " to any port 3544\n");
	strbuf_append_text(out, "block drop log quick inet proto udp from any to any port 3544\n"
				"block drop log quick inet proto 41\n\n");
}

static void append_windows(struct strbuf *out)
{
	strbuf_append_text(out,
		"# Windows Firewall, on hosts that need not keep it\n\n"
		"New-NetFirewallRule -Group Teredown -DisplayName 'Teredo (UDP 3544)' -Direction "
		"Outbound -Protocol UDP -RemotePort 3544 -Action Block\n"
		"New-NetFirewallRule -Group Teredown -DisplayName 'IPv6 in IPv4 (protocol 41)' "
		"-Direction Outbound -Protocol 41 -Action Block\n\n");
}

static void append_undo(struct strbuf *out)
{
	strbuf_append_text(out,
		"# Takes the lines of teredown remediate --firewall back; take one of "
		"these.\n\n"
		"# nftables\n\nnft delete table ip teredown\n\n"
		"# iptables\n\niptables -D FORWARD -j TEREDOWN\n"
		"iptables -F TEREDOWN\niptables -X TEREDOWN\n\n"
		"# pf: remove the lines, then pfctl -f /etc/pf.conf\n\n"
		"# Windows Firewall\n\nRemove-NetFirewallRule -Group Teredown\n");
}

void remedy_append_firewall(struct strbuf *out, const struct remedy *remedy)
{
	size_t keepers = count_keepers(remedy);

	if (remedy->undo) {
		append_undo(out);
		return;
	}
	strbuf_append_text(out,
		"# Firewall lines against tunnels, for a network where Teredo has to stay on "
		"some hosts: on them the other ways of\n# teredown remediate are left out. ");
	if (keepers) {
		append_keepers(out, remedy, ", ", "", "");
		strbuf_append_text(out, keepers > 1 ? "keep it.\n" : " keeps it.\n");
	} else if (remedy->one) {
		strbuf_append_text(out, "Of the one who is to keep it no IPv4 address is known "
					"here: put it in.\n");
	} else {
		strbuf_append_text(out, "Nobody keeps it in these lines; --client names one who "
					"does.\n");
	}
	strbuf_append_text(out,
		"# Protocol 41 is dropped for all: 6to4, ISATAP and tunnels to brokers (6in4).\n"
		"# A drop leaves a host trying, with a look-up each time; `teredown block on` ends "
		"that sooner. Take one of these:\n\n");
	append_nft(out, remedy);
	append_iptables(out, remedy);
	append_pf(out, remedy);
	append_windows(out);
	remedy_append_notes(out, "# ");
}
