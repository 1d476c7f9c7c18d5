# SPDX-License-Identifier: BSD-3-Clause
# bash completion of teredown(1)

_teredown()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
	local commands="status top who drops timeline tail export ingest mode block reload policy cache flush remediate verify forget decode probe dashboard help"
	local word command="" i

	case $prev in
	-c | --config | --file)
		compopt -o default 2>/dev/null
		COMPREPLY=()
		return
		;;
	-F | --format)
		COMPREPLY=($(compgen -W "json csv cof" -- "$cur"))
		return
		;;
	--as)
		COMPREPLY=($(compgen -W "netfilter pf asa windows-firewall squid w3c combined zeek zeek-json eventlog-xml windows-dns dnsmasq csv" -- "$cur"))
		return
		;;
	-b | --by)
		COMPREPLY=($(compgen -W "source client name" -- "$cur"))
		return
		;;
	-x | --scale)
		COMPREPLY=($(compgen -W "linear log" -- "$cur"))
		return
		;;
	-S | --span)
		COMPREPLY=($(compgen -W "1h 2h 3h 4h 6h 8h 12h 1d 7d" -- "$cur"))
		return
		;;
	-n | --lines | -d | --days | -s | --since | -u | --until | -C | --client | -N | --name | -a | --address | \
		-p | --port | --rate | --tries | --wait | --deadline | --columns | --source)
		COMPREPLY=()
		return
		;;
	-t | --type)
		COMPREPLY=($(compgen -W "A AAAA CNAME HTTPS MX NS PTR SOA SRV SVCB TXT" -- "$cur"))
		return
		;;
	-z | --zone)
		COMPREPLY=($(compgen -W "$(_teredown_zones)" -- "$cur"))
		return
		;;
	-g | --group)
		COMPREPLY=($(compgen -W "$(_teredown_ask mode | sed -n 's/^Groups: //p')" -- "$cur"))
		return
		;;
	--for)
		COMPREPLY=($(compgen -W "10m 1h 1d 1w" -- "$cur"))
		return
		;;
	-r | --resolver)
		# compgen expands words once more, and these stand in Redis: only what nothing can be expanded in.
		COMPREPLY=($(compgen -W "$(_teredown_ask status --fleet | sed -n '2,$s/^\([A-Za-z0-9._-]\{1,\}\)  .*/\1/p')" -- "$cur"))
		return
		;;
	esac

	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		case $word in
		-c | --config | -n | --lines | -d | --days | -z | --zone | -r | --resolver | -F | --format | -s | --since | -u | --until | \
			-C | --client | -N | --name | -a | --address | -S | --span | -b | --by | -x | --scale | --file | -p | --port | --rate | --tries | --wait | --deadline | --as | --columns | --source | -t | --type | -g | --group | --for) ((i++)) ;;
		-*) ;;
		*)
			command=$word
			break
			;;
		esac
	done

	if [ "$command$prev" = probe-f ]; then
		compopt -o default 2>/dev/null
		COMPREPLY=()
		return
	fi
	local options="--config --json --help" reads="--resolver --fleet"
	case $command in
	"") COMPREPLY=($(compgen -W "$commands $options --version" -- "$cur")) ;;
	help) COMPREPLY=($(compgen -W "${commands% help}" -- "$cur")) ;;
	status) COMPREPLY=($(compgen -W "$reads $options" -- "$cur")) ;;
	top) COMPREPLY=($(compgen -W "clients names watched rules --lines --days --once $reads $options" -- "$cur")) ;;
	who) COMPREPLY=($(compgen -W "--lines $reads $options" -- "$cur")) ;;
	drops) COMPREPLY=($(compgen -W "--lines --since --until --csv $reads $options" -- "$cur")) ;;
	timeline) COMPREPLY=($(compgen -W "--since --until --span --by --scale --csv --address $reads $options" -- "$cur")) ;;
	tail) COMPREPLY=($(compgen -W "--lines --once --events $reads $options" -- "$cur")) ;;
	remediate)
		COMPREPLY=($(compgen -W "--powershell --netsh --registry --gpo --intune --linux --firewall --undo --mark --client $reads $options" -- "$cur"))
		;;
	verify) COMPREPLY=($(compgen -W "--client $reads $options" -- "$cur")) ;;
	mode) COMPREPLY=($(compgen -W "watch block ignore reset --zone --group --for $options" -- "$cur")) ;;
	export)
		COMPREPLY=($(compgen -W "pairs transactions --format --since --until --client --name --address --with-clients $reads $options" -- "$cur"))
		;;
	ingest)
		compopt -o default 2>/dev/null
		[[ $cur == -* ]] && COMPREPLY=($(compgen -W "--as --follow --columns --source --resolver $options" -- "$cur"))
		;;
	policy) COMPREPLY=($(compgen -W "test list refresh --client --type --no-ask --zone --rules --lines $reads $options" -A hostname -- "$cur")) ;;
	cache) COMPREPLY=($(compgen -W "--type $options" -A hostname -- "$cur")) ;;
	flush) COMPREPLY=($(compgen -W "--all --suffix --type $options" -A hostname -- "$cur")) ;;
	forget) COMPREPLY=($(compgen -W "--yes $options" -- "$cur")) ;;
	probe) COMPREPLY=($(compgen -W "--file --port --rate --tries --wait --deadline $options" -A hostname -- "$cur")) ;;
	dashboard) COMPREPLY=($(compgen -W "--fleet --new-token $options" -- "$cur")) ;;
	block) COMPREPLY=($(compgen -W "on off --group --for $options" -- "$cur")) ;;
	*) COMPREPLY=($(compgen -W "$options" -- "$cur")) ;;
	esac
}

# What the command prints; nothing when the daemon or Redis does not answer.
_teredown_ask()
{
	local i config=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-c | --config) config=(-c "${COMP_WORDS[i + 1]}") ;;
		esac
	done
	"${COMP_WORDS[0]}" "${config[@]}" "$@" 2>/dev/null
}

_teredown_zones()
{
	_teredown_ask mode | sed -n 's/^\([a-z0-9-]\{1,\}\)  .*/\1/p' | sort -u
}

complete -F _teredown teredown
