#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# trinity, somebody else's generator of system calls, on the files of two DAX file
# systems, some of them leased and pinned: fcntl, mmap and ioctl with random arguments,
# as an ordinary user who may write them all.
#
# Passes if the machine lives, the kernel does not complain, no block of a pinned file
# moved, and nothing is left when the programs are gone. Needs root, /dev/pmem0 and
# /dev/pmem1. SECONDS_OF_TRINITY is how long it runs, 20 by default; SEED is the first
# seed, which is printed. How many calls that makes is the kernel's speed: trinity
# forks for most of them, and copies large mappings each time.
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
# shellcheck source-path=SCRIPTDIR source=tap.sh
. "$here/tap.sh"
limit=${SECONDS_OF_TRINITY:-20}
seed=${SEED:-$((RANDOM * 32768 + RANDOM))}
calls_a_round=5000
# A debug kernel makes about 20 in a second; LEAST_CALLS where more are to be seen.
least=${LEAST_CALLS:-$((limit * 5))}
ran=0 holders=()
work=$(mktemp -d)
pins=/sys/kernel/debug/layout_pin/pins

echo "TAP version 13"
find_hold_file "$here"
[ "$(id -u)" = 0 ] || skip_all "needs root"
command -v trinity > /dev/null || skip_all "no trinity"
[ -b /dev/pmem1 ] || skip_all "no /dev/pmem1"
[ -e /proc/sys/fs/layout-leases-enable ] || skip_all "this kernel has no layout leases"

# shellcheck disable=SC2317 # called by name
cleanup()
{
	exec 9>&-
	[ ${#holders[@]} = 0 ] || kill "${holders[@]}" 2> /dev/null || true
	wait
	umount "$work/victims/ext4" "$work/victims/xfs" 2> /dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT

make_file_systems()
{
	mkdir -p "$work"/victims/{ext4,xfs}
	chmod 755 "$work" "$work/victims"
	mkfs.ext4 -q -b 4096 -F /dev/pmem0
	mkfs.xfs -q -f /dev/pmem1
	mount -o dax /dev/pmem0 "$work/victims/ext4"
	mount -o dax /dev/pmem1 "$work/victims/xfs"
	# Where files come and go, it is out of the way.
	mkdir -m 777 "$work/cwd"
}

# A few files of the user's own and two that root holds, one of them pinned.
make_files()
{
	local fs file
	for fs in ext4 xfs; do
		for file in plain hole large leased pinned; do
			fallocate -l 65536 "$work/victims/$fs/$file"
		done
		truncate -s 0 "$work/victims/$fs/hole"
		truncate -s 1M "$work/victims/$fs/hole"
		fallocate -l 8M "$work/victims/$fs/large"
		chown 65534:65534 "$work/victims/$fs"/{plain,hole,large}
		chmod 666 "$work/victims/$fs"/{plain,hole,large,leased,pinned}
	done
}

# Usage: hold FILE BYTES: until descriptor 9 is closed.
hold()
{
	local said=$work/held.${#holders[@]} i
	"$hold_file" "$1" "$2" < "$work/input" > "$said" &
	holders+=($!)
	for ((i = 0; i < 100; i++)); do
		! grep -q held "$said" || return 0
		sleep 0.1
	done
	echo "# $1 cannot be held"
	return 1
}

hold_files()
{
	local fs
	mkfifo "$work/input"
	exec 9<> "$work/input"
	for fs in ext4 xfs; do
		hold "$work/victims/$fs/leased" 0
		hold "$work/victims/$fs/pinned" 65536
	done
}

# Where the blocks of the held files are.
blocks()
{
	local file
	for file in "$work"/victims/*/{leased,pinned}; do
		# Written or not is no matter, and splits extents.
		filefrag -v -b4096 "$file" | awk -v file="$file" '
			$1 ~ /^[0-9]+:$/ {
				gsub(/[.:]/, " ")
				for (i = 0; i < $6; i++)
					print file, $2 + i, $4 + i
			}'
	done
}

# One round after the other, each with its seed, until the time is over: then it is
# interrupted, and hangs if it does not end.
run_trinity()
{
	local end=$((SECONDS + limit)) said=$work/said status nr
	while [ $SECONDS -lt $end ]; do
		echo "# trinity -s $seed"
		status=0
		(cd "$work/cwd" && exec timeout -s INT -k 60 $((end - SECONDS)) \
			setpriv --reuid 65534 --regid 65534 --clear-groups \
			trinity -q -l off -C 2 -s "$seed" -N $calls_a_round \
			-c fcntl -c mmap -c ioctl \
			--enable-fds=pseudo -V "$work/victims") \
			> "$said" 2>&1 < /dev/null 9>&- || status=$?
		nr=$(sed -nE 's/.*Ran ([0-9]+) syscalls.*/\1/p' "$said" | tail -n 1)
		ran=$((ran + ${nr:-0}))
		[ $status != 124 ] || status=0
		if [ $status != 0 ] || [ -z "$nr" ]; then
			echo "# trinity ended with $status:"
			tail -n 20 "$said" | sed 's/^/#   /'
			return 1
		fi
		seed=$((seed + 1))
	done
	grep -q 'Added [1-9][0-9]* filenames' "$said"
}

# shellcheck disable=SC2317 # called by name
kernel_is_quiet()
{
	! dmesg | grep -E 'BUG:|WARNING:|Oops|KASAN|KCSAN|UBSAN|possible circular|INFO: task'
}

# Those of root are held, and no others' are: nothing of trinity's stays.
# shellcheck disable=SC2317
holders_live()
{
	kill -0 "${holders[@]}"
	[ "$(grep -c LAYOUT /proc/locks)" = ${#holders[@]} ]
	[ "$(cat /proc/[0-9]*/file_pins 2> /dev/null | grep -c victims)" = 2 ]
}

# shellcheck disable=SC2317 # called by name
same_blocks()
{
	blocks > "$work/after"
	[ -s "$work/after" ]
	cmp "$work/before" "$work/after"
}

# shellcheck disable=SC2317 # called by name
nothing_left()
{
	local i
	kill "${holders[@]}"
	for ((i = 0; i < 100; i++)); do
		if ! grep -q LAYOUT /proc/locks && ! grep -q . "$pins" &&
		   ! cat /proc/[0-9]*/file_pins 2> /dev/null | grep -q .; then
			return 0
		fi
		sleep 0.1
	done
	grep LAYOUT /proc/locks || true
	cat "$pins"
	return 1
}

echo "1..8"
make_file_systems
make_files
hold_files
blocks > "$work/before"
status=0
run_trinity || status=$?
result $status "trinity runs for $limit seconds"
echo "# $ran calls in all"
result $((ran < least)) "trinity made calls"
check "kernel does not complain" kernel_is_quiet
check "holders of leases still hold them" holders_live
check "no block of a held file moved" same_blocks
check "nothing is left in locks, pins and file_pins" nothing_left
wait "${holders[@]}" || true
holders=()
check "ext4 unmounts" umount "$work/victims/ext4"
check "xfs unmounts" umount "$work/victims/xfs"
exit $failed
