#!/bin/bash
# --help, the man page and the completion of each tool name the same options.
#
# TESTS=name runs only tests whose name has it; TOOLS is the directory of the tools.
# shellcheck disable=SC2317 # functions called by name
set -euo pipefail
cd "$(dirname "$0")"
build=${TOOLS-../../build/tools}
tools=(flease lspins)
number=0 failed=0

# Usage: result NAME COMMAND...: whose output says what is wrong.
result()
{
	local name=$1 output status
	shift
	number=$((number + 1))
	set +e
	output=$(set -e; "$@" 2>&1)
	status=$?
	set -e
	if [ "$status" = 0 ]; then
		echo "ok $number - $name"
	else
		echo "not ok $number - $name"
		failed=1
	fi
	[ -z "$output" ] || echo "# ${output//$'\n'/$'\n'# }"
}

long_of()
{
	grep -oE -- '--[a-z][a-z-]+' | sort -u
}

# Usage: help_options TOOL: "-x --exclusive", or "--exclusive" alone.
help_options()
{
	"$build/$1" --help |
		sed -nE 's/^ +((-[A-Za-z]), )?(--[a-z][a-z-]+).*/\2 \3/p' |
		sed 's/^ //' | sort
}

page_options()
{
	sed -nE -e 's/^\.It Fl ([A-Za-z]) , Fl -([a-z-]+).*/-\1 --\2/p' \
		-e 's/^\.It Fl -([a-z-]+).*/--\1/p' ../"$1".1 | sort
}

compare_page()
{
	diff <(help_options "$1") <(page_options "$1")
}

compare_completion()
{
	diff <(help_options "$1" | long_of) <(long_of < ../completion/"$1")
}

# An option that is named is also taken, whatever else it may lack. Some watch.
options_taken()
{
	local option output
	for option in $(help_options "$1"); do
		output=$(timeout 2 "$build/$1" "$option" 2>&1 < /dev/null || true)
		case $output in
		*"unrecognized option"* | *"invalid option"*)
			echo "$option is not taken"
			return 1
			;;
		esac
	done
}

help_and_version()
{
	local output
	output=$("$build/$1" --help 2>&1 > /dev/null)
	[ -z "$output" ]
	[[ $("$build/$1" --version) == "$1 from holdfast "* ]]
}

bad_option()
{
	local status=0
	"$build/$1" --no-such-option > /dev/null 2>&1 || status=$?
	[ "$status" = 2 ]
}

page_lint()
{
	command -v mandoc > /dev/null || return 0
	mandoc -Tlint -W warning ../"$1".1
}

checks=(compare_page compare_completion options_taken help_and_version bad_option
	page_lint)
selected=()
for tool in "${tools[@]}"; do
	for check in "${checks[@]}"; do
		[[ usage == "${TESTS-}" || ${tool}_$check == *"${TESTS-}"* ]] &&
			selected+=("$tool $check")
	done
done
echo 'TAP version 13'
echo "1..${#selected[@]}"
for name in "${selected[@]}"; do
	result "${name/ /_}" "${name#* }" "${name% *}"
done
exit $failed
