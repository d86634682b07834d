# shellcheck shell=bash
# Several machines at once; vm/torture and bench/run source this.

# Background jobs ignore Ctrl-C, machines in them would go on.
trap 'trap "" TERM; kill 0; wait; exit 130' INT TERM

# Usage: at_once NUMBER < LINES: runs each line, a command and its arguments, so many at
# a time. Fails if one of them did. Errexit is off in them, if it is asked whether it did.
at_once()
{
	local line running=0 bad=0
	while read -ra line; do
		if [ $running -ge "$1" ]; then
			wait -n || bad=1
			running=$((running - 1))
		fi
		"${line[@]}" &
		running=$((running + 1))
	done
	for (( ; running > 0; running--)); do
		wait -n || bad=1
	done
	return $bad
}
