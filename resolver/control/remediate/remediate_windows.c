/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The other ways on Windows: netsh, the registry, a group policy, Intune. Policy and registry are
 * one setting, "Set Teredo State" of tcpip.admx: a text value below TCPIP\v6Transition, which goes
 * before what the host itself is set to. Nothing can be escaped for certain in cmd.exe and in .reg
 * files, so no text of the network gets there but names of hosts that are plain (remedy_is_host).
 */
#include <string.h>

#include "resolver/control/remediate/remediate.h"

#define POLICY_KEY "SOFTWARE\\Policies\\Microsoft\\Windows\\TCPIP\\v6Transition"
#define POLICY_PATH                                                                 \
	"Computer Configuration > Policies > Administrative Templates > Network > " \
	"TCPIP Settings >\n#   IPv6 Transition Technologies > Set Teredo State"

/* Lines of Windows end with CR LF. */
static void make_crlf(struct strbuf *out, size_t from)
{
	struct strbuf text;

	strbuf_init(&text);
	for (size_t i = from; i < out->length; i++) {
		if (out->data[i] == '\n')
			strbuf_append_char(&text, '\r');
		strbuf_append_char(&text, out->data[i]);
	}
	if (text.failed) {
		out->failed = true;
	} else if (text.length) {
		out->length = from;
		strbuf_append(out, text.data, text.length);
	}
	strbuf_deinit(&text);
}

/* winrs takes an IPv6 address as a part of a URL only. */
static void append_winrs_host(struct strbuf *out, const char *host)
{
	if (strchr(host, ':'))
		strbuf_printf(out, "http://[%s]:5985", host);
	else
		strbuf_append_text(out, host);
}

void remedy_append_netsh(struct strbuf *out, const struct remedy *remedy)
{
	size_t from = out->length;
	const char *command = remedy->undo ? "netsh interface teredo set state type=default"
					   : "netsh interface teredo set state type=disabled";

	strbuf_append_text(out, "@echo off\n");
	remedy_append_head(out, remedy, "rem ",
		remedy->undo ? "Teredo back to its default on Windows hosts"
			     : "Teredo off on Windows hosts");
	strbuf_printf(out,
		"rem On one host, as administrator:\nrem   %s\n"
		"rem Below the same from afar, through WinRM. netsh does not know what a host had "
		"before:\nrem teredown remediate --powershell keeps that and restores it.\n",
		command);
	remedy_append_notes(out, "rem ");
	strbuf_append_text(out, "set failed=0\n");
	for (size_t i = 0; i < remedy->hosts->count; i++) {
		const struct remedy_host *host = &remedy->hosts->rows[i];
		if (!remedy_wants(remedy, host))
			continue;
		/* The full stop: "echo off" prints nothing, and a host may be called so. */
		strbuf_printf(out, "echo.%s\nwinrs -r:", host->host);
		append_winrs_host(out, host->host);
		strbuf_printf(out, " %s || set failed=1\n", command);
	}
	strbuf_append_text(out, "exit /b %failed%\n");
	make_crlf(out, from);
}

void remedy_append_registry(struct strbuf *out, const struct remedy *remedy)
{
	size_t from = out->length;

	strbuf_append_text(out, "Windows Registry Editor Version 5.00\n\n");
	remedy_append_head(out, remedy, "; ",
		remedy->undo ? "Takes back the policy that sets Teredo to Disabled"
			     : "The policy that sets Teredo to Disabled, on a host itself");
	strbuf_append_text(out, "; For hosts without a domain and without Intune: import it as "
				"administrator, then gpupdate /force\n; or restart.\n");
	remedy_append_notes(out, "; ");
	strbuf_append_text(out, "; The same from afar, where the service Remote Registry runs:\n");
	for (size_t i = 0; i < remedy->hosts->count; i++) {
		const struct remedy_host *host = &remedy->hosts->rows[i];
		if (!remedy_wants(remedy, host) || strchr(host->host, ':'))
			continue;
		strbuf_printf(out,
			remedy->undo ? ";   reg delete \"\\\\%s\\HKLM\\" POLICY_KEY
				       "\" /v Teredo_State /f\n"
				     : ";   reg add \"\\\\%s\\HKLM\\" POLICY_KEY
				       "\" /v Teredo_State /t REG_SZ /d Disabled /f\n",
			host->host);
	}
	strbuf_printf(out, "\n[HKEY_LOCAL_MACHINE\\" POLICY_KEY "]\n\"Teredo_State\"=%s\n",
		remedy->undo ? "-" : "\"Disabled\"");
	make_crlf(out, from);
}

/* The hosts that a policy has to reach, for people. */
static void append_list(struct strbuf *out, const struct remedy *remedy, const char *comment)
{
	for (size_t i = 0; i < remedy->hosts->count; i++) {
		const struct remedy_host *host = &remedy->hosts->rows[i];
		if (!remedy_wants(remedy, host))
			continue;
		strbuf_printf(out, "%s  %s", comment, host->host);
		remedy_append_about(out, host);
		strbuf_append_char(out, '\n');
	}
}

void remedy_append_gpo(struct strbuf *out, const struct remedy *remedy)
{
	remedy_append_head(out, remedy, "# ", "Teredo off by group policy");
	strbuf_printf(out,
		"#\n# Group Policy Management, in a policy that reaches these hosts:\n"
		"# " POLICY_PATH "\n#   %s\n"
		"# It is the text value Teredo_State%s below HKLM\\" POLICY_KEY ".\n"
		"#\n# The same with the module GroupPolicy, on a management host "
		"(a policy of its own, not linked\n# yet; New-GPLink does that):\n\n",
		remedy->undo ? "Not Configured: then counts what each host is set to"
			     : "Enabled, and from the list of states: Disabled State",
		remedy->undo ? "" : " = Disabled");
	if (remedy->undo)
		strbuf_append_text(out, "Remove-GPRegistryValue -Name 'Teredo off' "
					"-Key 'HKLM\\" POLICY_KEY "' -ValueName Teredo_State\n\n");
	else
		strbuf_append_text(out, "New-GPO -Name 'Teredo off' -Comment 'teredown remediate'\n"
					"Set-GPRegistryValue -Name 'Teredo off' "
					"-Key 'HKLM\\" POLICY_KEY "' -ValueName Teredo_State "
					"-Type String -Value Disabled\n\n");
	strbuf_append_text(out, "# Hosts:\n");
	append_list(out, remedy, "#");
	strbuf_append_text(out, "#\n");
	remedy_append_notes(out, "# ");
}

void remedy_append_intune(struct strbuf *out, const struct remedy *remedy)
{
	remedy_append_head(out, remedy, "# ", "Teredo off by Intune");
	strbuf_printf(out,
		"#\n# Settings catalog (Devices > Configuration > Create > Windows 10 and later):\n"
		"#   Administrative Templates > Network > TCPIP Settings > IPv6 Transition "
		"Technologies >\n#   Set Teredo State: %s\n"
		"#\n# Or a custom profile, of which this is the row (Windows 10 2004 with "
		"KB5005101, "
		"or later):\n\n"
		"Name:      Teredo off\n"
		"OMA-URI:   ./Device/Vendor/MSFT/Policy/Config/ADMX_tcpip/Teredo_State\n"
		"Data type: String\n"
		"Value:     %s\n\n"
		"# Assign it to a group with these devices:\n",
		remedy->undo
			? "Disabled, or remove the setting: then counts what each host is set to"
			: "Enabled; Select from the following states: Disabled State",
		remedy->undo ? "<disabled/>"
			     : "<enabled/><data id=\"StateSelect\" value=\"Disabled\"/>");
	append_list(out, remedy, "#");
	strbuf_append_text(out, "#\n");
	remedy_append_notes(out, "# ");
}
