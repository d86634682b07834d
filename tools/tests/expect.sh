# shellcheck shell=bash
# What the scripts among the tests share; they source it.

# Usage: expect STATUS COMMAND...
expect()
{
	local wanted=$1 status=0
	shift
	"$@" || status=$?
	[ "$status" = "$wanted" ] || {
		echo "exit status $status instead of $wanted: $*" >&2
		return 1
	}
}
