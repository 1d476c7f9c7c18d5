/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One PowerShell script for all Windows hosts, and its inverse. What a host had before goes into a
 * file of the administrator before anything is changed, and is never overwritten by what a second
 * run finds; the inverse takes it from there and forgets what it has restored. The fixed parts have
 * no text of the network; hosts are an array of verbatim strings.
 */
#include "resolver/control/remediate/remediate.h"

static const char usage_off[] =
	"#\n"
	"#   .\\teredo-off.ps1                         all hosts of the list below\n"
	"#   .\\teredo-off.ps1 -WhatIf                 changes nothing, shows what each host has\n"
	"#   .\\teredo-off.ps1 -ComputerName pc1,pc2   these hosts instead\n"
	"#\n"
	"# Needs PowerShell 3 or later here; there Windows 8 or Server 2012 or later with "
	"PowerShell\n"
	"# remoting (WinRM). Hosts given by address need -Credential, and an entry in TrustedHosts "
	"or HTTPS.\n"
	"# What each host had before is written to the file -Kept before anything is changed, and "
	"restored\n"
	"# from there by the script of: teredown remediate --powershell --undo\n"
	"# Exit code: 0 Teredo is off on all of them, 1 it is not on some.\n"
	"#\n";

static const char usage_undo[] =
	"#\n"
	"#   .\\teredo-back.ps1                        all hosts that the file -Kept knows\n"
	"#   .\\teredo-back.ps1 -WhatIf                changes nothing, shows what would be set\n"
	"#   .\\teredo-back.ps1 -ComputerName pc1,pc2  these hosts only\n"
	"#\n"
	"# Restores what the script of teredown remediate --powershell had found and written to "
	"-Kept.\n"
	"# Exit code: 0 all have again what they had, 1 some have not.\n"
	"#\n";

static const char parameters[] =
	"	[System.Management.Automation.PSCredential] $Credential,\n"
	"	[int] $ThrottleLimit = 16\n"
	")\n"
	"Set-StrictMode -Version 2.0\n"
	"$ErrorActionPreference = 'Stop'\n"
	"\n"
	"$remoting = @{ ThrottleLimit = $ThrottleLimit; ErrorAction = 'SilentlyContinue' }\n"
	"if ($null -ne $Credential) { $remoting['Credential'] = $Credential }\n"
	"\n";

/* An answer has Host, Before, Now and Error, whether the host could be reached or not. */
static const char functions[] =
	"# Runs a block on every host at once. One answer a host, also where it could not be "
	"reached.\n"
	"function Invoke-OnHosts {\n"
	"	param([string[]] $Hosts, [scriptblock] $Block, [object[]] $Arguments)\n"
	"	$failures = $null\n"
	"	$answers = @(Invoke-Command -ComputerName $Hosts -ScriptBlock $Block "
	"-ArgumentList $Arguments -ErrorVariable failures @remoting)\n"
	"	foreach ($name in $Hosts) {\n"
	"		$answer = $answers | Where-Object { $_.PSComputerName -eq $name } | "
	"Select-Object -First 1\n"
	"		if ($null -ne $answer) {\n"
	"			New-Object -TypeName PSObject -Property @{ Host = $name; Before = "
	"[string]$answer.Before; Now = [string]$answer.Now; Error = [string]$answer.Error }\n"
	"		} else {\n"
	"			$failure = @($failures) | Where-Object { $null -ne $_ -and "
	"[string]$_.TargetObject -eq $name } | Select-Object -First 1\n"
	"			$words = 'no answer'\n"
	"			if ($null -ne $failure) { $words = $failure.Exception.Message }\n"
	"			New-Object -TypeName PSObject -Property @{ Host = $name; Before = "
	"''; "
	"Now = ''; Error = $words }\n"
	"		}\n"
	"	}\n"
	"}\n"
	"\n"
	"# What earlier runs found, by host.\n"
	"function Read-Kept {\n"
	"	$table = @{}\n"
	"	if (Test-Path -LiteralPath $Kept) {\n"
	"		foreach ($row in @(Import-Csv -LiteralPath $Kept)) {\n"
	"			if ([string]$row.Type -match '^[A-Za-z]{1,32}$') { "
	"$table[[string]$row.Host] = $row }\n"
	"		}\n"
	"	}\n"
	"	return $table\n"
	"}\n"
	"\n"
	"function Write-Kept {\n"
	"	param([hashtable] $Table)\n"
	"	@($Table.Values) | Sort-Object -Property Host | Select-Object -Property Host, "
	"Type, "
	"Found | Export-Csv -LiteralPath $Kept -NoTypeInformation -Encoding UTF8\n"
	"}\n"
	"\n"
	"# The persistent store is what the host itself is set to; without a store it is what "
	"holds, policies\n"
	"# included.\n"
	"$read = {\n"
	"	$result = @{ Before = ''; Now = ''; Error = '' }\n"
	"	try {\n"
	"		$own = Get-NetTeredoConfiguration -PolicyStore PersistentStore "
	"-ErrorAction Stop | "
	"Select-Object -First 1\n"
	"		$result['Before'] = [string]$own.Type\n"
	"		$holds = Get-NetTeredoConfiguration -ErrorAction Stop | Select-Object "
	"-First 1\n"
	"		$result['Now'] = [string]$holds.Type\n"
	"	} catch { $result['Error'] = [string]$_.Exception.Message }\n"
	"	New-Object -TypeName PSObject -Property $result\n"
	"}\n"
	"$set = {\n"
	"	param([string] $Type)\n"
	"	$result = @{ Before = ''; Now = ''; Error = '' }\n"
	"	try {\n"
	"		Set-NetTeredoConfiguration -Type $Type -ErrorAction Stop\n"
	"		$holds = Get-NetTeredoConfiguration -ErrorAction Stop | Select-Object "
	"-First 1\n"
	"		$result['Now'] = [string]$holds.Type\n"
	"	} catch { $result['Error'] = [string]$_.Exception.Message }\n"
	"	New-Object -TypeName PSObject -Property $result\n"
	"}\n"
	"\n";

static const char main_off[] =
	"if ($ComputerName.Count -eq 0) { Write-Output 'No host to change.'; exit 0 }\n"
	"$found = @(Invoke-OnHosts -Hosts $ComputerName -Block $read -Arguments @())\n"
	"# What cannot be kept is not changed.\n"
	"foreach ($answer in @($found | Where-Object { -not $_.Error -and -not ($_.Before -match "
	"'^[A-Za-z]{1,32}$') })) {\n"
	"	$answer.Error = 'it does not say what it is set to'\n"
	"}\n"
	"$table = Read-Kept\n"
	"foreach ($answer in @($found | Where-Object { -not $_.Error })) {\n"
	"	# The first run counts: a later one finds what that one had set, and may know the "
	"host by another\n"
	"	# name. What is off already is nothing to give back.\n"
	"	if ($answer.Before -ne 'Disabled' -and -not $table.ContainsKey($answer.Host)) {\n"
	"		$table[$answer.Host] = New-Object -TypeName PSObject -Property @{ Host = "
	"$answer.Host; Type = $answer.Before; Found = (Get-Date).ToUniversalTime().ToString('s') "
	"+ 'Z' }\n"
	"	}\n"
	"}\n"
	"if ($PSCmdlet.ShouldProcess($Kept, 'write down what the hosts have now')) { Write-Kept "
	"-Table $table }\n"
	"elseif (-not $WhatIfPreference) { Write-Output 'Nothing is kept, so nothing is changed.'; "
	"exit 1 }\n"
	"\n"
	"$wanted = @($found | Where-Object { -not $_.Error } | ForEach-Object { $_.Host } | "
	"Where-Object { $PSCmdlet.ShouldProcess($_, 'set Teredo to Disabled') })\n"
	"$changed = @()\n"
	"if ($wanted.Count -gt 0) { $changed = @(Invoke-OnHosts -Hosts $wanted -Block $set "
	"-Arguments @('Disabled')) }\n"
	"\n"
	"$report = @(foreach ($answer in $found) {\n"
	"	$done = $changed | Where-Object { $_.Host -eq $answer.Host } | Select-Object "
	"-First 1\n"
	"	$now = $answer.Now\n"
	"	$words = $answer.Error\n"
	"	if ($null -ne $done) { $now = $done.Now; $words = $done.Error }\n"
	"	New-Object -TypeName PSObject -Property @{ Host = $answer.Host; Before = "
	"$answer.Before; "
	"Now = $now; Error = $words }\n"
	"})\n"
	"$report | Format-Table -Property Host, Before, Now, Error -AutoSize -Wrap\n"
	"$open = @($report | Where-Object { $_.Now -ne 'Disabled' })\n"
	"Write-Output ('{0} of {1} hosts have Teredo disabled. What they had is kept in {2}' -f "
	"($report.Count - $open.Count), $report.Count, $Kept)\n"
	"if ($open.Count -gt 0) { exit 1 }\n"
	"exit 0\n";

static const char main_undo[] =
	"$table = Read-Kept\n"
	"if ($ComputerName.Count -eq 0) { $ComputerName = @($table.Keys | Sort-Object) }\n"
	"if ($ComputerName.Count -eq 0) { Write-Output ('Nothing is kept in {0}' -f $Kept); exit 1 "
	"}\n"
	"\n"
	"$report = @(foreach ($name in $ComputerName) {\n"
	"	$answer = $null\n"
	"	if (-not $table.ContainsKey($name)) {\n"
	"		New-Object -TypeName PSObject -Property @{ Host = $name; Kept = ''; Now = "
	"''; "
	"Error = 'nothing was kept of it; was it off before?' }\n"
	"		continue\n"
	"	}\n"
	"	$type = [string]$table[$name].Type\n"
	"	if (-not $PSCmdlet.ShouldProcess($name, ('set Teredo to {0}' -f $type))) { "
	"continue }\n"
	"	$answer = Invoke-OnHosts -Hosts @($name) -Block $set -Arguments @($type) | "
	"Select-Object -First 1\n"
	"	if ($answer.Now -eq $type) { $table.Remove($name) }\n"
	"	New-Object -TypeName PSObject -Property @{ Host = $name; Kept = $type; Now = "
	"$answer.Now; Error = $answer.Error }\n"
	"})\n"
	"if ($PSCmdlet.ShouldProcess($Kept, 'forget what was restored')) { Write-Kept -Table "
	"$table }\n"
	"$report | Format-Table -Property Host, Kept, Now, Error -AutoSize -Wrap\n"
	"$open = @($report | Where-Object { -not $_.Kept -or $_.Now -ne $_.Kept })\n"
	"if ($open.Count -gt 0) { exit 1 }\n"
	"exit 0\n";

static void append_hosts(struct strbuf *out, const struct remedy *remedy)
{
	strbuf_append_text(out, "	[string[]] $ComputerName = @(\n");
	for (size_t i = 0; i < remedy->hosts->count; i++) {
		const struct remedy_host *host = &remedy->hosts->rows[i];
		if (!remedy_wants(remedy, host))
			continue;
		strbuf_append_text(out, "		");
		remedy_quote_powershell(out, host->host);
		strbuf_append_text(out, " #");
		remedy_append_about(out, host);
		strbuf_append_char(out, '\n');
	}
	strbuf_append_text(out, "	),\n");
}

/* A file for each resolver, whose name is a part of the file's only where that is harmless. */
static void append_kept(struct strbuf *out, const struct remedy *remedy)
{
	strbuf_append_text(
		out, "	[string] $Kept = (Join-Path -Path $HOME -ChildPath 'teredown-teredo-types");
	if (remedy_is_host(remedy->resolver))
		strbuf_printf(out, "-%s", remedy->resolver);
	strbuf_append_text(out, ".csv'),\n");
}

void remedy_append_powershell(struct strbuf *out, const struct remedy *remedy)
{
	const struct remedy_hosts none = {NULL, 0, 0};
	struct remedy all = *remedy;

	if (remedy->undo && !remedy->one)
		all.hosts =
			&none; /* those in the file: who is quiet by now may not be known here */
	remedy_append_head(out, remedy, "# ",
		remedy->undo ? "Gives Teredo back to Windows hosts"
			     : "Teredo off on Windows hosts");
	strbuf_append_text(out, remedy->undo ? usage_undo : usage_off);
	remedy_append_notes(out, "# ");
	strbuf_append_text(out, "#Requires -Version 3.0\n"
				"[CmdletBinding(SupportsShouldProcess = $true)]\n"
				"param(\n");
	append_hosts(out, &all);
	append_kept(out, remedy);
	strbuf_append_text(out, parameters);
	strbuf_append_text(out, functions);
	strbuf_append_text(out, remedy->undo ? main_undo : main_off);
}
