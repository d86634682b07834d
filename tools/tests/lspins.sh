#!/bin/bash
# lspins against fake roots and golden files, or, called as lspins-live.sh, against
# the running kernel, as root in the machine under test.
#
# TESTS=name runs only tests whose name has it; UPDATE=1 writes the golden files;
# TOOLS is the directory of the programs.
# shellcheck disable=SC2317 # functions called by name
set -euo pipefail
cd "$(dirname "$0")"
tools=${TOOLS-../../build/tools}
lspins=$tools/lspins
flease=$tools/flease
golden=lspins
work=$(mktemp -d)
number=0 failed=0
export TZ=UTC LC_ALL=C
unset COLUMNS

root="" table="" pid=""
# shellcheck disable=SC1091 # is checked on its own
. lspins/roots.sh
# shellcheck source-path=SCRIPTDIR source=expect.sh
. ./expect.sh

cleanup()
{
	! mountpoint -q "$work/live" || umount "$work/live"
	rm -rf "$work"
}
trap cleanup EXIT

skip()
{
	echo "SKIP $*" >&3
	exit 4
}

# Inodes and devices differ from run to run.
normalize()
{
	sed -E -e "s/\b$(device %d:%d)\b/DEV/g" \
		-e "s/\b($(find "$root/mnt" -type f -printf '%i|')none)\b/INO/g"
}

# Usage: same FILE: standard input is what is in the golden file.
same()
{
	if [ -n "${UPDATE-}" ]; then
		cat > "$golden/$1"
	else
		diff -u "$golden/$1" -
	fi
}

at()
{
	root=$work/$1
}

ls_root()
{
	"$lspins" --sysroot "$root" "$@"
}

t_table()
{
	at ordinary
	ls_root | same ordinary.table
	ls_root -n -b | same ordinary.bytes
}

t_all_columns()
{
	at ordinary
	ls_root --raw --output-all | normalize | same ordinary.raw
	at odd
	ls_root --raw --output-all | normalize | same odd.raw
}

t_add_column()
{
	at ordinary
	ls_root -o +RANGES | same ordinary.ranges
	[ "$(ls_root -rno pid /mnt/pmem/foo)" = 812 ]
}

t_json()
{
	at ordinary
	ls_root --json --output-all | python3 -m json.tool > /dev/null
	ls_root --json --output-all | normalize | same ordinary.json
	at odd
	ls_root --json | python3 -m json.tool > /dev/null
	expect 3 ls_root --json --pid 99999 > "$work/none"
	python3 -m json.tool < "$work/none" > /dev/null
}

t_strange_names()
{
	at strange
	ls_root -r -o PATH,PINNED | same strange.raw
	ls_root -J -o PATH,PINNED | python3 -c '
import json, sys
rows = json.load(sys.stdin)["lspins"]
assert rows[0] == {"path": "/mnt/pmem/new\nline \"\\", "pinned": 4096}, rows'
}

# No name of any byte shows as another one, as two, or as a record of its own.
t_every_byte()
{
	at bytes
	ls_root -r -o PID,OWNER,PATH,PINNED | same bytes.raw
	[ "$(ls_root -rn -o PATH | wc -l)" = 255 ]
	ls_root -rn -o PATH | python3 -c '
import os, re, sys
shown = {re.sub(rb"\\x(..)", lambda m: bytes.fromhex(m[1].decode()), line.rstrip(b"\n"))
         for line in sys.stdin.buffer}
root = os.fsencode(sys.argv[1])
there = {b"/".join([dir[len(root):], name])
         for dir, _, names in os.walk(root + b"/mnt/pmem") for name in names}
assert shown == there, shown ^ there' "$root"
}

t_owners_and_threads()
{
	at threads
	ls_root -r -o COMMAND,PID,OWNER,PATH,LEASE,PINNED | same threads.raw
	for name in foo bar wrapped; do
		ls_root --explain "/mnt/pmem/$name"
	done | same threads.explain
}

# Which descriptor is which owner is known by fdinfo, where there is no descriptor by
# what is left.
t_owners_of_one_path()
{
	at owners
	ls_root -r -o PID,OWNER,PATH,PINNED,RANGES,OWNERID | same owners.raw
	ls_root --explain /mnt/pmem/foo | same owners.explain
	ls_root -J -o OWNERID | python3 -c '
import json, sys
for row in json.load(sys.stdin)["lspins"]:
    assert type(row["ownerid"]) in (int, type(None)), row'
}

t_kinds_of_owners()
{
	at kinds
	ls_root -r -o PID,OWNER,PATH,RANGES,OWNERID | same kinds.raw
	ls_root --explain /mnt/pmem/foo | same kinds.explain
}

t_by_file()
{
	at ordinary
	[ "$(ls_root -rno PID /mnt/pmem/bar)" = $'812\n900' ]
	ln "$root/mnt/pmem/bar" "$root/mnt/pmem/hard"
	ln -s bar "$root/mnt/pmem/soft"
	[ "$(ls_root -rno PID /mnt/pmem/hard)" = $'812\n900' ]
	[ "$(ls_root -rno PID /mnt/pmem/soft)" = $'812\n900' ]
	[ "$(ls_root -rno PID /mnt/pmem/foo /mnt/pmem/soft)" = $'812\n812\n900' ]
	rm "$root/mnt/pmem/hard" "$root/mnt/pmem/soft"
}

t_filters()
{
	at ordinary
	[ "$(ls_root -rno PID --pid 900,1)" = 900 ]
	[ "$(ls_root -rno PID --command 'wri*')" = 900 ]
	[ "$(ls_root -rno PID --state breaking)" = 900 ]
	at odd
	[ "$(ls_root -rno PID,PINNER --pid 702)" = '- 702' ]
	[ "$(ls_root -rno PATH --state zombie --pid 700)" = /mnt/pmem/passed ]
}

t_exit_status()
{
	at ordinary
	expect 0 ls_root > /dev/null
	expect 3 ls_root --pid 99999
	expect 3 ls_root --explain /mnt/pmem/free > /dev/null
	expect 1 ls_root /mnt/pmem/none 2> /dev/null
	expect 2 ls_root --pid x 2> /dev/null
	expect 2 ls_root --state x 2> /dev/null
	expect 2 ls_root -o NONE 2> /dev/null
	expect 2 ls_root -o '' 2> /dev/null
	expect 2 ls_root --json --raw 2> /dev/null
	expect 2 ls_root --explain 2> /dev/null
	expect 2 ls_root --watch=0 2> /dev/null
	expect 2 ls_root --explain --json /mnt/pmem/foo 2> /dev/null
	expect 1 ls_root > /dev/full 2> /dev/null
	mkdir -p "$work/old/proc/1"
	at old
	expect 1 ls_root 2> /dev/null
}

t_explain()
{
	local name
	for name in ordinary/foo ordinary/bar "ordinary/a b" ordinary/free \
		odd/passed odd/flight odd/reused odd/gone breakable/foo; do
		at "${name%/*}"
		name=${name#*/}
		ls_root --explain "/mnt/pmem/$name" 2>&1 || true
	done | same explain
}

t_unprivileged()
{
	local nobody
	at user
	command -v setpriv > /dev/null || skip no setpriv
	[ "$(id -u)" = 0 ] || skip not root
	cp "$lspins" "$work/lspins"
	nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)
	{
		"${nobody[@]}" "$work/lspins" --sysroot "$root" -o +RANGES
		"${nobody[@]}" "$work/lspins" --sysroot "$root" \
			--explain /mnt/pmem/foo
		"${nobody[@]}" "$work/lspins" --sysroot "$root" \
			--explain /mnt/pmem/passed
		# Where other processes are hidden, as by hidepid, there is none to count.
		rm -r "$root/proc/813"
		expect 3 "${nobody[@]}" "$work/lspins" --sysroot "$root" \
			--explain /mnt/pmem/free
	} > "$work/out" 2>&1
	normalize < "$work/out" | same user
}

t_no_debugfs()
{
	at ordinary
	mv "$root/$table" "$work/pins"
	ls_root 2>&1 | same ordinary.nodebugfs
	mv "$work/pins" "$root/$table"
}

# What is no record, and what is cut off: said, survived, the rest shown.
t_damaged()
{
	at damaged
	expect 0 ls_root -o +RANGES > "$work/out" 2> "$work/err"
	same damaged < "$work/out"
	grep -q 'lines are not understood' "$work/err"
}

# Processes that have gone when they are looked at.
t_ended()
{
	at ended
	expect 0 ls_root 2>&1 | same ended
}

milliseconds()
{
	local start
	start=$(date +%s%N)
	"$@" > /dev/null
	echo $((($(date +%s%N) - start) / 1000000))
}

# Within a second; emulated machines are excused by how long they take to read.
t_many()
{
	local read listed
	at many
	read=$(milliseconds cat "$root"/proc/[0-9]*/{file_pins,comm,status})
	listed=$(milliseconds ls_root -o +RANGES)
	ls_root -o +RANGES > "$work/out"
	[ "$(grep -c '^rank' "$work/out")" = 2000 ]
	[ "$(grep -c '0-4095$' "$work/out")" = 1000 ]
	echo "1000 processes: $listed ms, only to read the files $read ms" >&2
	[ "$listed" -lt 1000 ] || [ "$listed" -lt $((10 * read)) ]
}

# Usage: until_ok COMMAND...: for 20 seconds.
until_ok()
{
	local i
	for ((i = 0; i < 200; i++)); do
		"$@" > /dev/null 2>&1 && return 0
		sleep 0.1
	done
	return 1
}

has_lines()
{
	[ "$(wc -l < "$work/out")" = "$1" ]
}

# Usage: processor_time COMMAND...: in milliseconds, the best of three.
processor_time()
{
	local TIMEFORMAT='%3U %3S' best="" took i
	for i in 1 2 3; do
		took=$({ time "$@" > /dev/null; } 2>&1 | tail -n 1 |
			awk '{ print int(1000 * ($1 + $2)) + 1 }')
		[ -n "$best" ] && [ "$best" -lt "$took" ] || best=$took
	done
	echo "$best"
}

# Not much more than to look at the text of them once.
t_many_records()
{
	local read listed
	at records
	[ "$(ls_root -rno REGIONS)" = $'127997\n128000' ]
	read=$(processor_time cut -d ' ' -f 2 "$root/$table")
	listed=$(processor_time ls_root)
	echo "255997 records: $listed ms, cut of them $read ms" >&2
	[ "$listed" -lt $((4 * read)) ]
}

t_watch()
{
	at watch
	"$lspins" --sysroot "$root" --watch=0.05 -rn -o PID,PATH > "$work/out" &
	until_ok has_lines 2
	: > "$root/proc/812/file_pins"
	until_ok has_lines 3
	kill $!
	wait $! 2> /dev/null || true
	same watch < "$work/out"
}

t_list_columns()
{
	local named described
	at ordinary
	described=$("$lspins" --list-columns | cut -d ' ' -f 1)
	named=$(ls_root -r --output-all | head -n 1 | tr ' ' '\n')
	[ "$named" = "$described" ]
}

live_mount()
{
	[ -e /proc/sys/fs/layout-leases-enable ] || skip the kernel has no layout leases
	[ "$(id -u)" = 0 ] || skip not root
	[ -b /dev/pmem0 ] || skip no /dev/pmem0
	! grep -q ^/dev/pmem0 /proc/mounts || skip /dev/pmem0 is mounted
	mkfs.ext4 -q -F -b 4096 /dev/pmem0
	mkdir -p "$work/live"
	mount -o dax=always /dev/pmem0 "$work/live"
	dd if=/dev/zero of="$work/live/file" bs=1M count=4 conv=fsync status=none
}

# The holder is named with the command that ends it; then nothing is left to show.
explained_and_ended()
{
	local file=$1
	"$lspins" --explain "$file" | tee /dev/stderr |
		grep -qx "To end it: kill $pid"
	kill "$pid"
	wait "$pid" || true
	trap - EXIT
	expect 3 "$lspins" "$file"
	umount "$work/live"
}

t_live_lease()
{
	local file=$work/live/file
	live_mount
	"$flease" -x "$file" -- sleep 100 &
	pid=$!
	trap 'kill "$pid"; wait' EXIT
	until_ok "$lspins" --command sleep "$file"
	[ "$("$lspins" -rno COMMAND,PID,OWNER,PATH,LEASE,STATE,FSTYPE "$file")" = \
		"sleep $pid - $file exclusive active ext4" ]
	ln "$file" "$work/live/hard"
	[ "$("$lspins" -rno PID "$work/live/hard")" = "$pid" ]
	explained_and_ended "$file"
}

t_live_pin()
{
	local file=$work/live/file columns
	[ -x "$tools/rdma-file" ] || skip no rdma-file
	../../demo/rxe-up || skip no RDMA device
	live_mount
	"$tools/rdma-file" serve "$file" "$work/socket" &
	pid=$!
	trap 'kill "$pid"; wait' EXIT
	until_ok test -S "$work/socket"
	columns=COMMAND,PID,PATH,LEASE,STATE,RDMA,MRS,REGIONS,PINNED,RANGES
	[ "$("$lspins" -rnbo "$columns" "$file" | tee /dev/stderr)" = "rdma-file $pid \
$file exclusive active rxe0 1 1 4194304 0-4194303" ]
	explained_and_ended "$file"
}

tests=(table all_columns add_column json strange_names every_byte owners_and_threads
	owners_of_one_path kinds_of_owners by_file filters exit_status
	explain unprivileged no_debugfs damaged ended many many_records watch list_columns)
live=""
if [ "$(basename "$0")" = lspins-live.sh ]; then
	live=1
	tests=(live_lease live_pin)
fi
selected=()
for name in "${tests[@]}"; do
	[[ $name == *"${TESTS-}"* || lspins == "${TESTS-}" || lspins-live == "${TESTS-}" ]] && selected+=("$name")
done

if [ -z "$live" ]; then
	root_ordinary
	root_odd
	root_user
	root_breakable
	root_strange
	root_bytes
	root_threads
	root_damaged
	root_ended
	root_watch
	root_many 1000
	root_records
	root_owners
	root_kinds
fi

# Each test in a shell of its own, where the first command that fails ends it.
echo 'TAP version 13'
echo "1..${#selected[@]}"
for name in "${selected[@]}"; do
	number=$((number + 1))
	status=0
	set +e
	(set -e; "t_$name") > "$work/log" 2>&1 3> "$work/skip"
	status=$?
	set -e
	case $status in
	0) echo "ok $number - $name" ;;
	4) echo "ok $number - $name # $(cat "$work/skip")" ;;
	*) echo "not ok $number - $name"; failed=1 ;;
	esac
	sed 's/^/# /' "$work/log"
	! mountpoint -q "$work/live" || umount "$work/live" || true
done
exit $failed
