# SPDX-License-Identifier: BSD-3-Clause
# fish completion of teredown(1)

set -l commands status top who drops timeline tail export ingest mode block reload cache flush remediate verify forget decode probe help

complete -c teredown -f
complete -c teredown -s c -l config -r -F -d 'configuration of the daemon'
complete -c teredown -l json -d 'print JSON'
complete -c teredown -s h -l help -d 'help'
complete -c teredown -s V -l version -d 'version'

complete -c teredown -n "not __fish_seen_subcommand_from $commands" -a status -d 'how the daemon is doing'
complete -c teredown -n "not __fish_seen_subcommand_from $commands" -a top -d 'who asks most, what is asked most'
complete -c teredown -n "not __fish_seen_subcommand_from $commands" -a who -d 'who asked, what they were told, since when'
complete -c teredown -n "not __fish_seen_subcommand_from $commands" -a drops -d 'where dropped packets went, and who is behind it'
complete -c teredown -n "not __fish_seen_subcommand_from $commands" -a timeline -d 'lookups, drops and other hits by the hour'
complete -c teredown -n "not __fish_seen_subcommand_from $commands" -a tail -d 'watched and blocked transactions, live'
complete -c teredown -n "not __fish_seen_subcommand_from $commands" -a export -d 'pairs or records for other programs'
complete -c teredown -n "not __fish_seen_subcommand_from $commands" -a ingest -d 'logs of firewalls and others, joined with what was told'
complete -c teredown -n "not __fish_seen_subcommand_from $commands" -a mode -d 'show or change what happens to matching names'
complete -c teredown -n "not __fish_seen_subcommand_from $commands" -a block -d 'block the tunnel names, or watch them again'
complete -c teredown -n "not __fish_seen_subcommand_from $commands" -a reload -d 'read configuration and zones again'
complete -c teredown -n "not __fish_seen_subcommand_from $commands" -a cache -d 'what is cached, or what is cached of one name'
complete -c teredown -n "not __fish_seen_subcommand_from $commands" -a flush -d 'take a name, or all names, out of the cache'
complete -c teredown -n "not __fish_seen_subcommand_from $commands" -a remediate -d 'what switches Teredo off on hosts'
complete -c teredown -n "not __fish_seen_subcommand_from $commands" -a verify -d 'whether remediated hosts are quiet'
complete -c teredown -n "not __fish_seen_subcommand_from $commands" -a forget -d 'remove everything recorded of a client'
complete -c teredown -n "not __fish_seen_subcommand_from $commands" -a decode -d 'what tunnel addresses have inside, as a filter too'
complete -c teredown -n "not __fish_seen_subcommand_from $commands" -a probe -d 'does a Teredo server listen there'
complete -c teredown -n "not __fish_seen_subcommand_from $commands" -a help -d 'help of a command'

complete -c teredown -n '__fish_seen_subcommand_from top' -a 'clients names watched rules'
complete -c teredown -n '__fish_seen_subcommand_from top' -s d -l days -x -d 'count the last N days'
complete -c teredown -n '__fish_seen_subcommand_from top who drops tail' -s n -l lines -x -d 'at most N rows'
complete -c teredown -n '__fish_seen_subcommand_from top tail' -s 1 -l once -d 'print once and end'
complete -c teredown -n '__fish_seen_subcommand_from status top who drops timeline tail export remediate verify' -s f -l fleet -d 'read all resolvers of this Redis'
complete -c teredown -n '__fish_seen_subcommand_from status top who drops timeline tail export remediate verify ingest' -s r -l resolver -x -d 'read this resolver' \
	-a "(teredown status --fleet 2>/dev/null | string match -rg '^([A-Za-z0-9._-]+)  ' | tail -n +2)"
complete -c teredown -n '__fish_seen_subcommand_from drops timeline' -s v -l csv -d 'print CSV'
complete -c teredown -n '__fish_seen_subcommand_from timeline' -s S -l span -x -a '1h 2h 3h 4h 6h 8h 12h 1d 7d' -d 'of a row'
complete -c teredown -n '__fish_seen_subcommand_from timeline' -s b -l by -x -a 'source client name' -d 'a column a source, client or name'
complete -c teredown -n '__fish_seen_subcommand_from timeline' -s x -l scale -x -a 'linear log' -d 'of the bars'
complete -c teredown -n '__fish_seen_subcommand_from mode' -a 'watch block ignore reset'
complete -c teredown -n '__fish_seen_subcommand_from mode' -s z -l zone -x -d 'this zone only' \
	-a "(teredown mode 2>/dev/null | string match -rg '^([a-z0-9-]+)  ' | sort -u)"
complete -c teredown -n '__fish_seen_subcommand_from mode block' -s g -l group -x -d 'for the clients of this group only' \
	-a "(teredown mode 2>/dev/null | string match -rg '^Groups: (.*)' | string split ' ')"
complete -c teredown -n '__fish_seen_subcommand_from mode block' -l for -x -a '10m 1h 1d 1w' -d 'only so long'
complete -c teredown -n '__fish_seen_subcommand_from export' -a 'pairs transactions'
complete -c teredown -n '__fish_seen_subcommand_from export' -s F -l format -x -a 'json csv cof' -d 'format'
complete -c teredown -n '__fish_seen_subcommand_from drops timeline export' -s s -l since -x -d 'not what ended before'
complete -c teredown -n '__fish_seen_subcommand_from drops timeline export' -s u -l until -x -d 'not what began after'
complete -c teredown -n '__fish_seen_subcommand_from export' -s C -l client -x -d 'of this client only'
complete -c teredown -n '__fish_seen_subcommand_from export' -s N -l name -x -d 'of this name only'
complete -c teredown -n '__fish_seen_subcommand_from timeline export' -s a -l address -x -d 'of this address only'
complete -c teredown -n '__fish_seen_subcommand_from export' -s w -l with-clients -d 'cof names clients'
complete -c teredown -n '__fish_seen_subcommand_from tail' -s e -l events -d 'events instead of transactions'
complete -c teredown -n '__fish_seen_subcommand_from remediate verify' -s C -l client -x -d 'of this client only'
complete -c teredown -n '__fish_seen_subcommand_from remediate' -l powershell -d 'a PowerShell script for all hosts'
complete -c teredown -n '__fish_seen_subcommand_from remediate' -l netsh -d 'netsh, by way of winrs'
complete -c teredown -n '__fish_seen_subcommand_from remediate' -l registry -d 'a .reg file'
complete -c teredown -n '__fish_seen_subcommand_from remediate' -l gpo -d 'the setting of a group policy'
complete -c teredown -n '__fish_seen_subcommand_from remediate' -l intune -d 'the setting in Intune'
complete -c teredown -n '__fish_seen_subcommand_from remediate' -l linux -d 'a shell script for hosts with miredo'
complete -c teredown -n '__fish_seen_subcommand_from remediate' -l firewall -d 'firewall lines'
complete -c teredown -n '__fish_seen_subcommand_from remediate' -l undo -d 'what takes it back'
complete -c teredown -n '__fish_seen_subcommand_from remediate' -l mark -d 'record these hosts as remediated'
complete -c teredown -n '__fish_seen_subcommand_from probe' -s f -l file -r -F -d 'a list of hosts'
complete -c teredown -n '__fish_seen_subcommand_from probe' -s p -l port -x -d 'UDP port'
complete -c teredown -n '__fish_seen_subcommand_from probe' -l rate -x -d 'packets a second'
complete -c teredown -n '__fish_seen_subcommand_from probe' -l tries -x -d 'solicitations to a silent host'
complete -c teredown -n '__fish_seen_subcommand_from probe' -l wait -x -d 'for the answer to each'
complete -c teredown -n '__fish_seen_subcommand_from probe' -l deadline -x -d 'end after that time'
complete -c teredown -n '__fish_seen_subcommand_from probe' -a '(__fish_print_hostnames)'
complete -c teredown -n '__fish_seen_subcommand_from ingest' -F
complete -c teredown -n '__fish_seen_subcommand_from ingest' -l as -x -d 'read it as this format' \
	-a 'netfilter pf asa windows-firewall squid w3c combined zeek zeek-json eventlog-xml windows-dns dnsmasq csv'
complete -c teredown -n '__fish_seen_subcommand_from ingest' -l follow -d 'wait for more'
complete -c teredown -n '__fish_seen_subcommand_from ingest' -l columns -x -d 'which columns of CSV are what'
complete -c teredown -n '__fish_seen_subcommand_from ingest' -l source -x -d 'know it again under this name'
complete -c teredown -n '__fish_seen_subcommand_from forget' -s y -l yes -d 'do not ask whether it is meant'
complete -c teredown -n '__fish_seen_subcommand_from cache flush' -s t -l type -x -a 'A AAAA CNAME HTTPS MX NS PTR SOA SRV SVCB TXT' -d 'records of this type only'
complete -c teredown -n '__fish_seen_subcommand_from cache flush' -a '(__fish_print_hostnames)'
complete -c teredown -n '__fish_seen_subcommand_from flush' -l all -d 'everything'
complete -c teredown -n '__fish_seen_subcommand_from flush' -l suffix -d 'the name and all names below it'
complete -c teredown -n '__fish_seen_subcommand_from block' -a 'on off'
complete -c teredown -n '__fish_seen_subcommand_from help' -a "$commands"
