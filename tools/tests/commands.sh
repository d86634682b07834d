#!/bin/bash
# Every command that a page, a document, an example or a message names exists: the
# options of flease, lspins, fallocate and cp, and the commands of xfs_io.
#
# TESTS=name runs only tests whose name has it; TOOLS is the directory of the tools.
# shellcheck disable=SC2317 # functions called by name
set -euo pipefail
cd "$(dirname "$0")/../.."
tools=$(realpath "${TOOLS-build/tools}")
number=0 failed=0

mapfile -t files < <(find README.md CONTRIBUTING.md docs examples demo tools \
	kernel/Documentation -type f ! -path 'tools/tests/*' ! -path 'tools/completion/*' | sort)

# Usage: named COMMAND: each long option that is named right behind it, or behind other
# options of it, up to a "--", the end of a quotation or the end of the line.
named()
{
	# Strings of C are continued in the next line, and mdoc writes \&- for a dash.
	sed -e 's/\\&-/-/g' -e 's/\\-/-/g' "${files[@]}" |
		awk '{ printf "%s%s", $0, /[A-Za-z]"$/ ? "" : "\n" }' |
		sed -E 's/ +"[[:space:]]+"/ /g; s/"[[:space:]]+"//g' |
		grep -oE "\b$1( +[^]\`'\"|;&)]+)+" | sed -E 's/ -- .*//; s/ --$//' |
		grep -oE -- ' --[a-z][a-z-]+' | tr -d ' ' | sort -u
}

# Usage: check_options COMMAND HELP...: what is named is among what its --help names.
check_options()
{
	local command=$1 option help bad=0
	shift
	help=$("$@" --help 2>&1)
	for option in $(named "$command"); do
		grep -qE -- "(^|[^a-z-])$option([^a-z-]|\$)" <<< "$help" && continue
		echo "# $command $option is named in:"
		grep -nF -- "$option" "${files[@]}" | sed 's/^/#   /'
		bad=1
	done
	return "$bad"
}

check_flease()
{
	check_options flease "$tools/flease"
}

check_lspins()
{
	check_options lspins "$tools/lspins"
}

check_fallocate()
{
	check_options fallocate fallocate
}

check_cp()
{
	check_options cp cp
}

xfs_io_commands()
{
	cat "${files[@]}" | grep -oE "xfs_io( -[a-z])* -c +['\"]?[a-z]+" |
		grep -oE '[a-z]+$' | sort -u
}

check_xfs_io()
{
	local command bad=0
	for command in $(xfs_io_commands); do
		xfs_io -c "help $command" 2> /dev/null | grep -q "^$command " && continue
		echo "# xfs_io has no command $command"
		bad=1
	done
	return "$bad"
}

# What the other tests look at is not nothing.
check_found()
{
	[[ $(named flease) == *--unshare* ]] && [[ $(named lspins) == *--explain* ]] &&
		[[ $(named fallocate) == *--punch-hole* ]] &&
		[[ $(named cp) == *--reflink* ]] && [[ $(xfs_io_commands) == *funshare* ]]
}

# A recipe that replaces a file by a copy does not make one that shares blocks.
check_recipes()
{
	local found
	found=$(grep -nE '\bcp [^-].*&& *mv ' "${files[@]}") || return 0
	echo "# $found"
	return 1
}

checks=(found flease lspins fallocate cp xfs_io recipes)
selected=()
for check in "${checks[@]}"; do
	[[ commands == "${TESTS-}" || $check == *"${TESTS-}"* ]] && selected+=("$check")
done
echo 'TAP version 13'
echo "1..${#selected[@]}"
for check in "${selected[@]}"; do
	number=$((number + 1))
	if [ "$check" != found ] && [ "$check" != recipes ] && [ ! -x "$tools/$check" ] &&
	   ! command -v "$check" > /dev/null; then
		echo "ok $number - $check # SKIP no $check here"
	elif "check_$check"; then
		echo "ok $number - $check"
	else
		echo "not ok $number - $check"
		failed=1
	fi
done
exit $failed
