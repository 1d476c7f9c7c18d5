/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * miredo on Linux hosts, a host after the other over ssh. As with PowerShell, what a host had is
 * kept by the administrator before it is changed. What a host answers is hostile too: only words of
 * lower-case letters and hyphens are taken from it.
 */
#include "resolver/control/remediate/remediate.h"

static const char usage_off[] =
	"#\n"
	"#   sh teredo-off.sh             all hosts of the list below\n"
	"#   sh teredo-off.sh HOST...     these hosts instead\n"
	"#\n"
	"# Needs ssh with a key, as root or with sudo that asks for no password. A host without\n"
	"# miredo is left as it is. What each host had is written to the file below, or to\n"
	"# $TEREDOWN_KEPT, before anything is changed; the script of\n"
	"# teredown remediate --linux --undo restores it from there.\n"
	"# On one host, as root: systemctl disable --now miredo.service && systemctl mask "
	"miredo.service\n"
	"# Exit code: 0 miredo is stopped on all of them or not there, 1 not on some.\n"
	"#\n";

static const char usage_undo[] =
	"#\n"
	"#   sh teredo-back.sh            all hosts that $TEREDOWN_KEPT knows\n"
	"#   sh teredo-back.sh HOST...    these hosts only\n"
	"#\n"
	"# Restores what the script of teredown remediate --linux had found and kept.\n"
	"# Exit code: 0 all have again what they had, 1 some have not.\n"
	"#\n";

/* Runs there, as the standard input of sh, with what to do (look, off or back) and for the last
 * what it had: says "teredown ENABLED ACTIVE" as they are afterwards. */
static const char on_host[] =
	"on_host() {\n"
	"	target=$1\n"
	"	shift\n"
	"	ssh -o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=15 -- "
	"\"$target\" sh -s -- \"$@\" <<'END' "
	"2>/dev/null | words_of\n"
	"as_root() { if [ \"$(id -u)\" = 0 ]; then \"$@\"; else sudo -n \"$@\"; fi >/dev/null 2>&1 "
	"</dev/null; }\n"
	"for unit in miredo.service miredo-client.service; do\n"
	"	case $(systemctl is-enabled \"$unit\" 2>/dev/null) in '' | not-found) continue ;; "
	"esac\n"
	"	case $1 in\n"
	"	off)\n"
	"		as_root systemctl disable --now \"$unit\"\n"
	"		as_root systemctl mask \"$unit\"\n"
	"		;;\n"
	"	back)\n"
	"		[ \"$2\" = masked ] || as_root systemctl unmask \"$unit\"\n"
	"		[ \"$2\" = enabled ] && as_root systemctl enable \"$unit\"\n"
	"		[ \"$3\" = active ] && as_root systemctl start \"$unit\"\n"
	"		;;\n"
	"	esac\n"
	"	echo \"teredown $(systemctl is-enabled \"$unit\" 2>/dev/null) $(systemctl "
	"is-active "
	"\"$unit\" 2>/dev/null)\"\n"
	"	exit 0\n"
	"done\n"
	"echo 'teredown none none'\n"
	"END\n"
	"}\n"
	"\n";

static const char words_of[] =
	"# Its two words, of lower-case letters and hyphens; nothing when there was no answer.\n"
	"words_of() {\n"
	"	sed -n 's/^teredown \\([a-z-]\\{1,20\\} [a-z-]\\{1,20\\}\\)$/\\1/p' | head -n 1\n"
	"}\n"
	"\n";

static const char main_off[] =
	"failed=0\n"
	"umask 077\n"
	"touch -- \"$kept\" || exit 1\n"
	"for host do\n"
	"	before=$(on_host \"$host\" look)\n"
	"	case $before in\n"
	"	'') echo \"$host: no answer\"; failed=1; continue ;;\n"
	"	none*) echo \"$host: no miredo\"; continue ;;\n"
	"	# By itself, or by an earlier run that may have known it by another name.\n"
	"	'masked inactive') echo \"$host: miredo is off already\"; continue ;;\n"
	"	esac\n"
	"	# The first run counts: a later one finds what that one had set.\n"
	"	cut -d ' ' -f 1 -- \"$kept\" | grep -q -x -F -e \"$host\" ||\n"
	"		echo \"$host $before\" >>\"$kept\" || exit 1\n"
	"	now=$(on_host \"$host\" off)\n"
	"	case $now in\n"
	"	'masked inactive' | 'masked failed' | 'disabled inactive' | 'disabled failed')\n"
	"		echo \"$host: miredo is stopped (before: $before)\" ;;\n"
	"	*) echo \"$host: ${now:-no answer} (before: $before)\"; failed=1 ;;\n"
	"	esac\n"
	"done\n"
	"exit $failed\n";

static const char main_undo[] =
	"failed=0\n"
	"[ -r \"$kept\" ] || { echo \"Nothing is kept in $kept\" >&2; exit 1; }\n"
	"umask 077\n"
	"left=$(mktemp \"$kept.XXXXXX\") || exit 1\n"
	"trap 'rm -f -- \"$left\"' EXIT\n"
	"trap 'exit 1' INT TERM HUP\n"
	"while read -r host enabled active || [ -n \"$host\" ]; do\n"
	"	wanted=$#\n"
	"	for one do [ \"$one\" = \"$host\" ] && wanted=0; done\n"
	"	case $enabled$active in *[!a-z-]*) wanted=1 ;; esac\n"
	"	if [ \"$wanted\" -ne 0 ]; then\n"
	"		echo \"$host $enabled $active\" >>\"$left\" || exit 1\n"
	"		continue\n"
	"	fi\n"
	"	now=$(on_host \"$host\" back \"$enabled\" \"$active\")\n"
	"	# What had failed is not made to fail again.\n"
	"	if [ \"$now\" = \"$enabled $active\" ] ||\n"
	"		{ [ \"$active\" = failed ] && [ \"$now\" = \"$enabled inactive\" ]; }; "
	"then\n"
	"		echo \"$host: miredo is $now again\"\n"
	"	else\n"
	"		echo \"$host: ${now:-no answer} (before: $enabled $active)\"; failed=1\n"
	"		echo \"$host $enabled $active\" >>\"$left\" || exit 1\n"
	"	fi\n"
	"done <\"$kept\"\n"
	"mv -f -- \"$left\" \"$kept\" || failed=1\n"
	"exit $failed\n";

static void append_hosts(struct strbuf *out, const struct remedy *remedy)
{
	if (remedy_wanted(remedy) == 0)
		return;
	strbuf_append_text(out, "if [ $# -eq 0 ]; then\n	set --");
	for (size_t i = 0; i < remedy->hosts->count; i++) {
		if (!remedy_wants(remedy, &remedy->hosts->rows[i]))
			continue;
		strbuf_append_text(out, " \\\n		");
		remedy_quote_shell(out, remedy->hosts->rows[i].host);
	}
	strbuf_append_text(out, "\nfi\n");
}

static void append_kept(struct strbuf *out, const struct remedy *remedy)
{
	strbuf_append_text(out, "kept=${TEREDOWN_KEPT:-$HOME/teredown-miredo");
	if (remedy_is_host(remedy->resolver))
		strbuf_printf(out, "-%s", remedy->resolver);
	strbuf_append_text(out, "}\n");
}

void remedy_append_linux(struct strbuf *out, const struct remedy *remedy)
{
	strbuf_append_text(out, "#!/bin/sh\n");
	remedy_append_head(out, remedy, "# ",
		remedy->undo ? "Gives miredo back to Linux hosts" : "miredo off on Linux hosts");
	strbuf_append_text(out, remedy->undo ? usage_undo : usage_off);
	strbuf_append_text(out, "set -u\n");
	append_kept(out, remedy);
	if (!remedy->undo || remedy->one)
		append_hosts(out, remedy);
	strbuf_append_char(out, '\n');
	strbuf_append_text(out, words_of);
	strbuf_append_text(out, on_host);
	strbuf_append_text(out, remedy->undo ? main_undo : main_off);
}
