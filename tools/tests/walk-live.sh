#!/bin/bash
# The administrator's walk: a change is refused, lspins names the process, that process
# ends, the change is done. The same where the pins went to another process, and where
# nobody is root; what else shows leases and pins; and what looking costs when there are
# many. Runs as root in the machine under test.
#
# TESTS=name runs only tests whose name has it.
# shellcheck disable=SC2317 # functions called by name
set -euo pipefail
cd "$(dirname "$0")"
build=$(cd ../../build && pwd)
work=$(mktemp -d)
chmod 1777 "$work"
# Last, as programs there are called as one of iproute2 is.
PATH=$build/tools:$PATH:$build/selftests
pins=/sys/kernel/debug/layout_pin/pins
holder=1000 stranger=1001
as_holder=(setpriv --reuid "$holder" --regid "$holder" --clear-groups)
as_stranger=(setpriv --reuid "$stranger" --regid "$stranger" --clear-groups)
number=0 failed=0
export TZ=UTC LC_ALL=C
unset COLUMNS
# shellcheck source-path=SCRIPTDIR source=expect.sh
. ./expect.sh

umount_all()
{
	for dir in "$work"/{ext4,xfs}; do
		! mountpoint -q "$dir" || umount "$dir"
	done
}

cleanup()
{
	umount_all || true
	rm -rf "$work"
}
trap cleanup EXIT

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

# Usage: has PATTERN COMMAND...: what the command says is shown, and has such a line.
has()
{
	local pattern=$1 said
	shift
	said=$("$@" 2>&1) || true
	echo "$said" >&2
	grep -qE -- "$pattern" <<< "$said" || {
		echo "not said: $pattern" >&2
		return 1
	}
}

# Usage: lacks PATTERN COMMAND...
lacks()
{
	! has "$@" 2> /dev/null || {
		echo "wrongly said: $1" >&2
		return 1
	}
}

# Usage: mounted FS: on $dir, with $file of 4 MiB.
mounted()
{
	local mkfs=(mkfs.ext4 -q -F -b 4096) device=/dev/pmem0
	[ "$1" = ext4 ] || mkfs=(mkfs.xfs -q -f) device=/dev/pmem1
	dir=$work/$1
	file=$dir/file
	"${mkfs[@]}" "$device"
	mkdir -p "$dir"
	mount -o dax "$device" "$dir"
	new_file "$file" 4
}

# Usage: new_file FILE MIB
new_file()
{
	dd if=/dev/zero of="$1" bs=1M count="$2" conv=fsync status=none
}

# Usage: start WORD COMMAND...: runs it as $pid until it says the word, or fails.
start()
{
	local word=$1
	shift
	"$@" > "$work/said" &
	pid=$!
	started+=("$pid")
	until [ "$(head -n 1 "$work/said")" = "$word" ]; do
		kill -0 "$pid" || return 1
		sleep 0.1
	done
}

stop_all()
{
	[ ${#started[@]} = 0 ] || kill "${started[@]}" 2> /dev/null || true
	wait
}

refused()
{
	has "Text file busy" "$@" truncate -s 0 "$file"
	[ "$(stat -c %s "$file")" = 4194304 ]
}

# Usage: walk PID [COMMAND...]: from a refusal to the end of that process, as told, to
# the change; each step by means of COMMAND if there is one.
walk()
{
	local who=$1 told kill
	shift
	refused "$@"
	[ "$("$@" lspins -rno PID "$file" | sort -u)" = "$who" ]
	told=$("$@" lspins --explain "$file")
	echo "$told" >&2
	read -ra kill < <(sed -n 's/^To end it: //p' <<< "$told")
	[ "${kill[*]}" = "kill $who" ]
	"$@" "${kill[@]}"
	wait "$who" || true
	expect 3 "$@" lspins "$file" 2>&1
	"$@" truncate -s 0 "$file"
	[ "$(stat -c %s "$file")" = 0 ]
	umount "$dir"
}

t_named_and_ended()
{
	local fs
	for fs in ext4 xfs; do
		mounted "$fs"
		start ready rdma-file serve "$file" "$work/$fs.socket"
		walk "$pid"
	done
}

# Usage: passed OWNER [COMMAND...]: the first process pins, the second has the pins.
passed()
{
	local owner=$1 first socket=$work/passed
	shift
	rm -f "$socket"
	"$@" walk-pins give "$owner" "$file" "$socket" &
	first=$!
	started+=("$first")
	until_ok test -S "$socket"
	# It waits for who connects, so that there are pins without a receiver, too.
	[ "$("$@" lspins -rno PID "$file" | sort -u)" = "$first" ]
	start taken "$@" walk-pins take "$socket"
	kill "$first"
	wait "$first" || true
	[ "$pid" != "$first" ]
}

t_passed_context_names_the_second()
{
	mounted ext4
	passed rdma
	walk "$pid"
}

t_passed_open_file_names_the_second()
{
	mounted xfs
	passed gup
	walk "$pid"
}

t_user_ends_his_own()
{
	mounted ext4
	chown "$holder" "$file"
	start ready "${as_holder[@]}" rdma-file serve "$file" "$work/user.socket"
	walk "$pid" "${as_holder[@]}"
}

t_user_ends_the_second_of_his_own()
{
	mounted xfs
	chown "$holder" "$file"
	passed rdma "${as_holder[@]}"
	walk "$pid" "${as_holder[@]}"
}

# Usage: told_of_more COMMAND...: by no means that there is nobody.
told_of_more()
{
	has 'root sees more' "$@" lspins "$file"
	has 'root sees more' "$@" lspins --explain "$file"
	lacks 'no layout lease and no pin blocks' "$@" lspins --explain "$file"
	lacks '^No process can be named that would end it' "$@" lspins --explain "$file"
}

t_stranger_is_told_of_more()
{
	mounted ext4
	chown "$holder" "$file"
	start ready "${as_holder[@]}" rdma-file serve "$file" "$work/live.socket"
	told_of_more "${as_stranger[@]}"
	# What anybody may read in /proc/locks.
	[ "$("${as_stranger[@]}" lspins -rno PID,LEASE "$file" 2> /dev/null)" = "$pid exclusive" ]
	stop_all
	passed rdma "${as_holder[@]}"
	told_of_more "${as_stranger[@]}"
	lacks "kill" "${as_stranger[@]}" lspins --explain "$file"
	walk "$pid"
}

# Where /proc has nothing but one's own.
in_his_own_proc()
{
	unshare -m sh -c 'mount -t proc -o hidepid=2 proc /proc; exec "$@"' - \
		"${as_stranger[@]}" "$@"
}

t_stranger_who_sees_no_process_is_told_of_more()
{
	mounted ext4
	chown "$holder" "$file"
	passed rdma "${as_holder[@]}"
	told_of_more in_his_own_proc
	# A file that nobody holds, as far as he can see.
	file=$dir/free
	: > "$file"
	has 'that you may see blocks' in_his_own_proc lspins --explain "$file"
}

# Usage: looks COMMAND...: whether that can be done.
looks()
{
	if "$@" > /dev/null 2>&1; then echo yes; else echo no; fi
}

# Usage: may_look yes|no [COMMAND...]
may_look()
{
	local answer=$1
	shift
	[ "$(looks "$@" ls "/proc/$pid/fdinfo")" = "$answer" ]
	[ "$(looks "$@" cat "/proc/$pid/file_pins")" = "$answer" ]
	[ "$(looks "$@" cat "/proc/$pid/task/$pid/file_pins")" = "$answer" ]
}

t_readable_as_fdinfo_is()
{
	mounted ext4
	chown "$holder" "$file"
	start ready "${as_holder[@]}" rdma-file serve "$file" "$work/read.socket"
	may_look yes
	may_look yes "${as_holder[@]}"
	may_look no "${as_stranger[@]}"
	"${as_holder[@]}" cat "/proc/$pid/file_pins" |
		diff - <(cat "/proc/$pid/file_pins")
	[ "$(looks cat "$pins")" = yes ]
	[ "$(looks "${as_holder[@]}" cat "$pins")" = no ]
}

t_locks_and_table_name_the_holder()
{
	local id
	mounted xfs
	start ready rdma-file serve "$file" "$work/table.socket"
	id=$(printf '%02x:%02x:%d' $(($(stat -c %Hd "$file"))) $(($(stat -c %Ld "$file"))) \
		"$(stat -c %i "$file")")
	has "LAYOUT ACTIVE +EXCL $pid $id " cat /proc/locks
	has "^$id 0-4194303 pid $pid since [0-9]+ owner [0-9]+ /dev/infiniband/uverbs0 file $file$" \
		cat "$pins"
	kill "$pid"
	wait "$pid" || true
	lacks LAYOUT cat /proc/locks
	[ -z "$(cat "$pins")" ]
}

t_trace_cmd_shows_the_events()
{
	local event
	mounted ext4
	cat > "$work/traced" <<TRACED
set -e
mkfifo $work/input
flease --breakable $file -- sleep 60 &
echo \$! > $work/breakable
until grep -q LAYOUT /proc/locks; do sleep 0.1; done
truncate -s 3M $file
wait \$! || true # its signal is SIGIO
hold_file $file 4096 < $work/input > $work/held &
echo \$! > $work/exclusive
exec 3> $work/input
until grep -q held $work/held; do sleep 0.1; done
! truncate -s 0 $file
exec 3>&-
wait \$!
TRACED
	trace-cmd record -q -e layout_pin -o "$work/trace" bash -x "$work/traced"
	trace-cmd report -q -i "$work/trace" > "$work/report"
	cat "$work/report" >&2
	for event in lease_set lease_break pin_add change_refused pin_drop; do
		grep -q " $event: .* ino $(stat -c %i "$file") " "$work/report"
	done
	# By number: the machine under test records no names, see vm/run.
	grep -q -- "-$(< "$work/breakable") .* lease_set: .* kind SHARED" "$work/report"
	grep -q -- "-$(< "$work/exclusive") .* lease_set: .* kind EXCL" "$work/report"
}

# A kernel that checks itself takes its time, which says nothing about others.
is_debug_kernel()
{
	[ -e /proc/lockdep ] || [ -e /sys/kernel/debug/kmemleak ] ||
		[ -e /sys/kernel/debug/kcsan ]
}

# Usage: milliseconds COMMAND...: the best of three.
milliseconds()
{
	local start took best="" i
	for i in 1 2 3; do
		start=$(date +%s%N)
		"$@" > /dev/null
		took=$((($(date +%s%N) - start) / 1000000))
		[ -n "$best" ] && [ "$best" -lt "$took" ] || best="$took"
	done
	echo "$best"
}

t_a_thousand_processes_within_a_second()
{
	local i took many=1000
	! is_debug_kernel || many=30
	mounted xfs
	for i in {0..9}; do
		new_file "$dir/$i" 1
	done
	start held walk-pins many rdma "$dir" 10 "$many"
	lspins -rno PID,PATH,PINNED,RANGES > "$work/listed"
	[ "$(cut -d ' ' -f 1 "$work/listed" | sort -u | wc -l)" = "$many" ]
	[ "$(grep -c ' 4K ' "$work/listed")" = "$many" ]
	[ "$(lspins -rno PID "$dir/3" | sort -u | wc -l)" = $((many / 10)) ]
	took=$(milliseconds lspins)
	echo "lspins of $many processes with pins: $took ms" >&2
	is_debug_kernel || [ "$took" -lt 1000 ]
}

# Usage: reading PID: milliseconds for a thousand times its file_pins.
reading()
{
	local files=() i
	for ((i = 0; i < 1000; i++)); do
		files+=("/proc/$1/file_pins")
	done
	milliseconds cat "${files[@]}"
}

# Twice the time is for noise; it would be ten thousand times.
t_reading_costs_by_the_file_not_by_the_region()
{
	local i few many regions=100000
	! is_debug_kernel || regions=500
	mounted ext4
	for i in {0..9}; do
		new_file "$dir/$i" 1
	done
	start held walk-pins regions "$dir" 10 10
	few=$(reading "$pid")
	stop_all
	start held walk-pins regions "$dir" 10 "$regions"
	[ "$(grep -c $'^\t' "/proc/$pid/file_pins")" = 10 ]
	[ "$(wc -l < "$pins")" = "$regions" ]
	many=$(reading "$pid")
	echo "a thousand times file_pins: $few ms with 10 regions, $many ms with $regions" >&2
	[ "$many" -lt $((2 * few)) ]
	echo "lspins with $regions: $(milliseconds lspins) ms" >&2
}

# One range: bytes that records share are counted once.
t_many_records()
{
	local records=255997
	! is_debug_kernel || records=2048
	mounted ext4
	sysctl -qw vm.max_map_count=$((records + 1000))
	start held walk-pins records "$file" "$records"
	[ "$(wc -l < "$pins")" = "$records" ]
	[ "$(lspins -rnbo PID,OWNERID,REGIONS,PINNED,RANGES "$file")" = \
		"$pid $(owner_number "$pid") $records 4194304 0-4194303" ]
	echo "$records records: cat $(milliseconds cat "$pins") ms," \
		"lspins $(milliseconds lspins) ms" >&2
}

# Usage: owner_number PID [FD]: as fdinfo has it, of the only owner or of that one.
owner_number()
{
	grep -h ^pin_owner: "/proc/$1/fdinfo/"${2+"$2"} -r | cut -f 2
}

# The younger one has the lower descriptor, so that their order is no help.
t_two_owners_of_one_process_stay_apart()
{
	mounted ext4
	start held walk-pins two "$file"
	lspins -rnbo OWNER,PINNED,RANGES,OWNERID "$file" > "$work/listed"
	diff "$work/listed" - <<-LISTED
		3:/sys/kernel/debug/gup_test 8192 4096-12287 $(owner_number "$pid" 3)
		9:/sys/kernel/debug/gup_test 4096 0-4095 $(owner_number "$pid" 9)
		10:/sys/kernel/debug/gup_test 4096 0-4095 $(owner_number "$pid" 9)
	LISTED
	[ "$(owner_number "$pid" 3)" -gt "$(owner_number "$pid" 9)" ]
	has "descriptor 3, .* \\(owner $(owner_number "$pid" 3)\\)" \
		lspins --explain "$file"
}

tests=(named_and_ended passed_context_names_the_second
	passed_open_file_names_the_second user_ends_his_own
	user_ends_the_second_of_his_own stranger_is_told_of_more
	stranger_who_sees_no_process_is_told_of_more readable_as_fdinfo_is
	locks_and_table_name_the_holder trace_cmd_shows_the_events
	two_owners_of_one_process_stay_apart many_records
	a_thousand_processes_within_a_second
	reading_costs_by_the_file_not_by_the_region)
selected=()
for name in "${tests[@]}"; do
	[[ $name == *"${TESTS-}"* || walk-live == "${TESTS-}" ]] && selected+=("$name")
done

# Each test in a shell of its own, where the first command that fails ends it.
echo 'TAP version 13'
echo "1..${#selected[@]}"
../../demo/rxe-up
for name in "${selected[@]}"; do
	number=$((number + 1))
	status=0
	set +e
	(
		set -eE
		trap 'echo "failed: line $LINENO: $BASH_COMMAND" >&2' ERR
		started=()
		trap stop_all EXIT
		"t_$name"
	) > "$work/log" 2>&1
	status=$?
	set -e
	if [ $status = 0 ]; then
		echo "ok $number - $name"
	else
		echo "not ok $number - $name"
		failed=1
	fi
	sed 's/^/# /' "$work/log"
	umount_all
done
exit $failed
