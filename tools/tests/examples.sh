#!/bin/bash
# The example programs, the program in README.md and the probe of layout_lease.h, on a
# DAX file of ext4 and over soft RoCE. As root in the machine; TAP. TESTS=name runs one.
# shellcheck disable=SC2317 # most functions are called through check
set -uo pipefail

cd "$(dirname "$0")" || exit 1
top=../..
examples=$top/build/tools/examples
switch=/proc/sys/fs/layout-leases-enable
nr=0 failed=0 mounted=""

skip_all()
{
	echo "1..0 # SKIP $*"
	exit 4
}

[ "$(id -u)" = 0 ] || skip_all "needs root"
[ -b /dev/pmem0 ] || skip_all "needs /dev/pmem0"
[ -e "$switch" ] || skip_all "this kernel has no layout leases"

work=$(mktemp -d)
shm=$(mktemp -d /dev/shm/examples.XXXXXX)
dir=$work/mnt
cleanup()
{
	echo 1 > "$switch"
	[ -z "$mounted" ] || umount "$dir"
	rm -rf "$work" "$shm"
}
trap cleanup EXIT

bail_out()
{
	echo "Bail out! $*"
	exit 1
}

# Usage: check NAME COMMAND...: the command's output is shown if it fails.
check()
{
	local name=$1 output
	shift
	[ -z "${TESTS-}" ] || [ "$TESTS" = "$name" ] || return 0
	nr=$((nr + 1))
	if output=$("$@" 2>&1); then
		echo "ok $nr - $name"
	else
		echo "not ok $nr - $name"
		echo "# ${output//$'\n'/$'\n'# }"
		failed=1
	fi
}

# Usage: example NAME FILE STATUS TEXT...: it exits with STATUS and says each TEXT.
example()
{
	local name=$1 file=$2 want=$3 output text status=0
	shift 3
	output=$(timeout -k 5 120 "$examples/$name" "$file" 2>&1) || status=$?
	echo "$output"
	echo "exit status $status"
	[ "$status" = "$want" ] || return 1
	for text in "$@"; do
		if [[ $output != *"$text"* ]]; then
			echo "it did not say: $text"
			return 1
		fi
	done
}

# A device may learn to page on demand: then there is a region.
fallback_without_lease()
{
	local status=0
	echo 0 > "$switch"
	example 04-fallback "$dir/switched_off" 3 "leases are switched off" \
		"cannot be pinned" "no on-demand paging" ||
		example 04-fallback "$dir/switched_off" 0 "leases are switched off" \
			"cannot be pinned" "registered: on-demand paging" || status=1
	echo 1 > "$switch"
	return "$status"
}

readme_program()
{
	local output
	awk '/^```c$/ {inside = 1; next} /^```/ && inside {exit} inside' \
		"$top/README.md" > "$work/readme.c" || return 1
	[ -s "$work/readme.c" ] || { echo "no C program in README.md"; return 1; }
	gcc -Wall -I "$top/tools" -o "$work/readme" "$work/readme.c" -libverbs || return 1
	truncate -s 1M "$dir/readme" || return 1
	output=$(timeout -k 5 120 "$work/readme" "$dir/readme" 2>&1) ||
		{ echo "it failed: $output"; return 1; }
	echo "$output"
	grep -q '^registered' <<< "$output"
}

# Opens a file, takes a lease if told to, probes, and says what it found and what the
# open file has afterwards.
probe_source()
{
	cat <<'SOURCE'
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "layout_lease.h"

#define NAME(reason) [LAYOUT_LEASE_ ## reason] = #reason
static const char *const names[] = {
	NAME(OK), NAME(BAD_KIND), NAME(BAD_FD), NAME(NO_KERNEL), NAME(OFF),
	NAME(ALL_OFF), NAME(NOT_REGULAR), NAME(NO_FILE_SYSTEM), NAME(SHARED_BLOCKS),
	NAME(NOT_OWNER), NAME(NOT_WRITABLE), NAME(SWAP), NAME(CONFLICT),
	NAME(PLAIN), NAME(WEAKER), NAME(ERROR),
};

static int kind(const char *word)
{
	if (!strcmp(word, "excl"))
		return F_LAYOUT | F_EXCLUSIVE;
	if (!strcmp(word, "unbreak"))
		return F_LAYOUT | F_UNBREAK;
	if (!strcmp(word, "shared"))
		return F_LAYOUT;
	return strcmp(word, "read") ? F_UNLCK : F_RDLCK;
}

static const char *word(int kind)
{
	if (kind == F_RDLCK)
		return "read";
	if (!(kind & F_LAYOUT))
		return "none";
	return kind & F_EXCLUSIVE ? "excl" : kind & F_UNBREAK ? "unbreak" : "shared";
}

/* probe FILE ro|rw KIND [HELD [OTHER]]: leases of this open file, of another one */
int main(int argc, char **argv)
{
	int flags = strcmp(argv[2], "ro") ? O_RDWR : O_RDONLY;
	int fd = open(argv[1], flags), error;
	enum layout_lease_reason reason;

	if (argc > 4 && kind(argv[4]) != F_UNLCK &&
	    fcntl(fd, F_SETLEASE, kind(argv[4]))) {
		perror("the lease to hold");
		return 1;
	}
	if (argc > 5 && fcntl(open(argv[1], flags), F_SETLEASE, kind(argv[5]))) {
		perror("the other lease");
		return 1;
	}
	fcntl(fd, F_SETSIG, SIGRTMIN);
	reason = layout_lease_probe(fd, kind(argv[3]), &error);
	printf("%s %s held %s signal %s\n", names[reason],
	       error ? strerrorname_np(error) : "0", word(fcntl(fd, F_GETLEASE)),
	       fcntl(fd, F_GETSIG) == SIGRTMIN ? "kept" : "lost");
	return !*layout_lease_why(reason);
}
SOURCE
}

# Usage: probe EXPECTED ARGUMENT...
probe()
{
	local want=$1 output
	shift
	output=$("${as[@]}" "$work/probe" "$@" 2>&1) || { echo "$output"; return 1; }
	echo "$output; expected: $want"
	[ "$output" = "$want" ]
}
as=()

probe_every_kind()
{
	local kind
	for kind in shared unbreak excl; do
		probe "OK 0 held none signal kept" "$dir/file" rw "$kind" || return 1
	done
	! grep LAYOUT /proc/locks
}

probe_read_only()
{
	probe "NOT_WRITABLE EBADF held none signal kept" "$dir/file" ro excl &&
		probe "NOT_WRITABLE EBADF held none signal kept" "$dir/file" ro unbreak &&
		probe "OK 0 held none signal kept" "$dir/file" ro shared
}

probe_keeps_what_is_held()
{
	probe "OK 0 held excl signal kept" "$dir/file" rw shared excl &&
		probe "OK 0 held unbreak signal kept" "$dir/file" rw unbreak unbreak &&
		probe "WEAKER 0 held shared signal kept" "$dir/file" rw excl shared &&
		probe "WEAKER 0 held unbreak signal kept" "$dir/file" rw excl unbreak &&
		probe "PLAIN EINVAL held read signal kept" "$dir/file" ro shared read
}

probe_conflict()
{
	probe "CONFLICT EAGAIN held none signal kept" "$dir/file" rw shared none excl &&
		probe "CONFLICT EAGAIN held none signal kept" "$dir/file" rw excl none unbreak
}

probe_switched_off()
{
	local status=0
	echo 0 > "$switch"
	probe "OFF EINVAL held none signal kept" "$dir/file" rw excl || status=1
	echo 1 > "$switch"
	return "$status"
}

probe_another_users_file()
{
	local status=0
	as=(setpriv --reuid 65534 --regid 65534 --clear-groups)
	probe "NOT_OWNER EACCES held none signal kept" "$dir/file" rw excl || status=1
	as=()
	return "$status"
}

mkdir "$dir"
chmod 755 "$work"
mkfs.ext4 -q -b 4096 -F /dev/pmem0 > "$work/log" 2>&1 || bail_out "$(cat "$work/log")"
mount -o dax /dev/pmem0 "$dir" || bail_out "cannot mount"
mounted=1
"$top/demo/rxe-up" > "$work/log" 2>&1 || bail_out "no soft RoCE: $(cat "$work/log")"
if [ ! -x "$examples/04-fallback" ]; then
	make -s -C "$top/examples" > "$work/log" 2>&1 || bail_out "$(cat "$work/log")"
fi
probe_source > "$work/probe.c"
gcc -Wall -Wextra -Werror -I "$top/tools" -o "$work/probe" "$work/probe.c" ||
	bail_out "the probe does not compile"
truncate -s 1M "$dir/file" "$shm/file"
chmod 666 "$dir/file"

check exclusive_lease_holds_the_file example 01-exclusive "$dir/exclusive" 0 \
	"registered 1048576 bytes" "truncate by another process: Text file busy" \
	"release of the lease: Device or resource busy" "let go"
check four_processes_share_a_file example 02-shared "$dir/shared" 0 \
	"4 processes registered" "are refused" "all let go"
check breakable_lease_lets_go example 03-breakable "$dir/breakable" 0 \
	"somebody wants to change the layout" "done after"
check fallback_takes_a_lease example 04-fallback "$dir/leased" 0 \
	"pinned under a lease"
check fallback_without_a_lease fallback_without_lease
check fallback_of_memory_that_needs_no_lease example 04-fallback "$shm/fallback" 0 \
	"does not offer layout leases" "pinned without a lease"
check readme_program_registers readme_program
check probe_says_ok_and_leaves_no_lease probe_every_kind
check probe_of_tmpfs_has_not_opted_in \
	probe "NO_FILE_SYSTEM EOPNOTSUPP held none signal kept" "$shm/file" rw excl
check probe_of_read_only_descriptor probe_read_only
check probe_keeps_the_lease_that_is_held probe_keeps_what_is_held
check probe_tells_of_a_conflict probe_conflict
check probe_tells_of_the_switch probe_switched_off
check probe_of_another_users_file probe_another_users_file

echo "1..$nr"
exit $failed
