# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What the scripts among the tests share; they source it. Counts in $number and
# $failed.
number=0 failed=0

skip_all()
{
	echo "1..0 # SKIP $*"
	exit 4
}

# Usage: find_hold_file DIRECTORY: as $hold_file; DIRECTORY is the script's.
find_hold_file()
{
	local dir
	hold_file=""
	for dir in "$1" "${OUTPUT:-.}" "$1/../../../../../build/selftests"; do
		[ ! -x "$dir/hold_file" ] || hold_file=$dir/hold_file
	done
	[ -n "$hold_file" ] || skip_all "hold_file was not built"
}

# Usage: result STATUS NAME
result()
{
	local result=ok
	number=$((number + 1))
	if [ "$1" != 0 ]; then
		result="not ok"
		# shellcheck disable=SC2034 # for the script
		failed=1
	fi
	echo "$result $number - $2"
}

# Usage: check_fs NAME COMMAND...: check, if it is selected by $TESTS; the name
# says which file system it is, $fs.
check_fs()
{
	local name="$fs $1"
	shift
	case $name in *"${TESTS-}"*) ;; *) return 0 ;; esac
	check "$name" "$@"
}

# Usage: check NAME COMMAND...: what it says comes before the result.
check()
{
	local name=$1 status output
	shift
	# Not as a condition, in which errexit does not count.
	set +e
	output=$(set -e; "$@" 2>&1)
	status=$?
	set -e
	[ -z "$output" ] || echo "# ${output//$'\n'/$'\n# '}"
	result $status "$name"
}
