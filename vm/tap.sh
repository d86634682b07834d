# shellcheck shell=bash
# How programs that report in TAP are counted; vm/check and vm/torture source this.

# Usage: count_tap FILE: sets $ok, $bad, $skip and $planned.
# shellcheck disable=SC2034 # for the script
count_tap()
{
	local skip_mark='# *(SKIP|XFAIL)'
	skip=$(grep -acE "^(ok\b.*$skip_mark|1\.\.0 # *SKIP)" "$1" || true)
	ok=$(grep -aE '^ok\b' "$1" | grep -acvE "$skip_mark" || true)
	bad=$(grep -acE '^not ok\b' "$1" || true)
	planned=$(sed -nE 's/^1\.\.([0-9]+).*/\1/p' "$1" | awk '{n += $1} END {print n + 0}')
}

# Usage: what_ended STATUS SECONDS: what vm/run, or timeout, means by that status;
# nothing for success.
what_ended()
{
	case $1 in
	0) ;;
	124) echo "hung for $2 s" ;;
	125) echo "the machine was lost" ;;
	126) echo "the kernel complained" ;;
	*) echo "exit status $1" ;;
	esac
}

# Usage: complaints FILE: what vm/init found wrong, also where the command failed and
# the machine's status is the command's; nothing if nothing.
complaints()
{
	sed -n 's/^vm: //p' "$1" | paste -sd' '
}
