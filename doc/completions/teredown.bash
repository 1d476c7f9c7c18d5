# SPDX-License-Identifier: BSD-3-Clause
# bash completion of teredown(1)

_teredown()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
	local commands="status top who tail mode block reload decode help"
	local word command="" i

	case $prev in
	-c | --config)
		compopt -o default 2>/dev/null
		COMPREPLY=()
		return
		;;
	-n | --lines | -d | --days)
		COMPREPLY=()
		return
		;;
	-z | --zone)
		COMPREPLY=($(compgen -W "$(_teredown_zones)" -- "$cur"))
		return
		;;
	esac

	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		case $word in
		-c | --config | -n | --lines | -d | --days | -z | --zone) ((i++)) ;;
		-*) ;;
		*)
			command=$word
			break
			;;
		esac
	done

	local options="--config --json --help"
	case $command in
	"") COMPREPLY=($(compgen -W "$commands $options --version" -- "$cur")) ;;
	help) COMPREPLY=($(compgen -W "${commands% help}" -- "$cur")) ;;
	top) COMPREPLY=($(compgen -W "clients names watched --lines --days --once $options" -- "$cur")) ;;
	who) COMPREPLY=($(compgen -W "--lines $options" -- "$cur")) ;;
	tail) COMPREPLY=($(compgen -W "--lines --once $options" -- "$cur")) ;;
	mode) COMPREPLY=($(compgen -W "watch block ignore --zone $options" -- "$cur")) ;;
	block) COMPREPLY=($(compgen -W "on off $options" -- "$cur")) ;;
	*) COMPREPLY=($(compgen -W "$options" -- "$cur")) ;;
	esac
}

# Zones of the running daemon; none when it does not answer.
_teredown_zones()
{
	local i config=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-c | --config) config=(-c "${COMP_WORDS[i + 1]}") ;;
		esac
	done
	"${COMP_WORDS[0]}" "${config[@]}" mode 2>/dev/null | sed -n 's/^\([a-z0-9-]\{1,\}\)  .*/\1/p'
}

complete -F _teredown teredown
