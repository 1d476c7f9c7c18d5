/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Firewall lines for networks where Teredo has to stay on some hosts: --client names one that keeps
 * it, everybody else's packets to Teredo servers (UDP 3544) and all of protocol 41 (6to4, ISATAP,
 * 6in4) stop here. The lines count what they drop, which `teredown ingest` can read if they log.
 */
#include "resolver/control/remediate/remediate.h"

/* The one that keeps it, as text; NULL: nobody, or none that has an IPv4 address. */
static const char *keeper_of(const struct remedy *remedy, char text[ADDRESS_TEXT_MAX])
{
	if (!remedy->one || remedy->hosts->count == 0 ||
		remedy->hosts->rows[0].address.family != ADDRESS_V4)
		return NULL;
	return address_to_text(&remedy->hosts->rows[0].address, text);
}

static void append_nft(struct strbuf *out, const char *keeper)
{
	strbuf_append_text(out, "# nftables (nft -f FILE)\n\n"
				"table ip teredown {\n"
				"	set keeps_teredo {\n"
				"		type ipv4_addr\n");
	if (keeper)
		strbuf_printf(out, "		elements = { %s }\n", keeper);
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

static void append_iptables(struct strbuf *out, const char *keeper)
{
	strbuf_append_text(out, "# iptables\n\niptables -N TEREDOWN\n");
	if (keeper)
		strbuf_printf(
			out, "iptables -A TEREDOWN -s %s -p udp --dport 3544 -j RETURN\n", keeper);
	strbuf_append_text(out,
		"iptables -A TEREDOWN -p udp --dport 3544 -m limit --limit 10/second -j LOG "
		"--log-prefix 'DROP teredo '\n"
		"iptables -A TEREDOWN -p udp --dport 3544 -j DROP\n"
		"iptables -A TEREDOWN -p 41 -j DROP\n"
		"iptables -I FORWARD -j TEREDOWN\n\n");
}

static void append_pf(struct strbuf *out, const char *keeper)
{
	strbuf_append_text(out, "# pf (an anchor or pf.conf, before other rules)\n\n");
	if (keeper)
		strbuf_printf(out, "pass quick inet proto udp from %s to any port 3544\n", keeper);
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
	char text[ADDRESS_TEXT_MAX];
	const char *keeper = keeper_of(remedy, text);

	if (remedy->undo) {
		append_undo(out);
		return;
	}
	strbuf_append_text(out,
		"# Firewall lines against tunnels, for a network where Teredo has to stay on "
		"some hosts: on them the other ways of\n# teredown remediate are left out. ");
	if (keeper)
		strbuf_printf(out, "%s keeps it.\n", keeper);
	else
		strbuf_append_text(out, "Nobody keeps it in these lines; --client names one who "
					"does.\n");
	strbuf_append_text(out,
		"# Protocol 41 is dropped for all: 6to4, ISATAP and tunnels to brokers (6in4).\n"
		"# A drop leaves a host trying, with a look-up each time; `teredown block on` ends "
		"that sooner. Take one of these:\n\n");
	append_nft(out, keeper);
	append_iptables(out, keeper);
	append_pf(out, keeper);
	append_windows(out);
	remedy_append_notes(out, "# ");
}
