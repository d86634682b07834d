#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A file that is leased or pinned on the server, changed by an NFSv3 client.
#
# Server and client are this machine. Needs root, /dev/pmem0 and /dev/pmem1, and the
# programs of rpcbind and nfs-kernel-server. TESTS=WORD selects tests by name.
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
# shellcheck source-path=SCRIPTDIR source=tap.sh
. "$here/tap.sh"
holder_pid="" pids=()
work=$(mktemp -d)

echo "TAP version 13"
find_hold_file "$here"
[ "$(id -u)" = 0 ] || skip_all "needs root"
for program in rpcbind rpc.mountd rpc.nfsd exportfs mount.nfs; do
	command -v $program > /dev/null || skip_all "no $program"
done
[ -b /dev/pmem1 ] || skip_all "no /dev/pmem1"
grep -qw nfsd /proc/filesystems || skip_all "this kernel has no NFS server"

# shellcheck disable=SC2317 # called by a trap
cleanup()
{
	let_go
	umount "$work/client" 2> /dev/null || true
	exportfs -ua 2> /dev/null || true
	rpc.nfsd 0 2> /dev/null || true
	umount /proc/fs/nfsd 2> /dev/null || true
	[ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2> /dev/null || true
	wait
	umount "$work/server" 2> /dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT

# Usage: check_fs NAME COMMAND...: a function that has to succeed, if it is selected.
check_fs()
{
	local name="$fs $1"
	shift
	case $name in *"${TESTS-}"*) ;; *) return 0 ;; esac
	check "$name" "$@"
}

start_server()
{
	mkdir -p /run/rpcbind /var/lib/nfs/sm /var/lib/nfs/v4recovery
	touch /var/lib/nfs/etab /var/lib/nfs/rmtab
	rpcbind -f -w > "$work/rpcbind" 2>&1 &
	pids+=($!)
	mount -t nfsd nfsd /proc/fs/nfsd
	for ((i = 0; i < 50; i++)); do
		[ ! -S /run/rpcbind.sock ] || break
		sleep 0.1
	done
	rpc.mountd -F > "$work/mountd" 2>&1 &
	pids+=($!)
	rpc.nfsd -V 3 -N 4 --no-udp 2
}

start_file_system()
{
	case $fs in
	ext4) device=/dev/pmem0; mkfs.ext4 -q -b 4096 -F "$device" ;;
	xfs) device=/dev/pmem1; mkfs.xfs -q -f -m reflink=0 "$device" ;;
	esac
	# Other tests have to make theirs anew.
	rm -f "/tmp/layout_pin.$fs"
	mkdir -p "$work/server" "$work/client"
	mount -o dax "$device" "$work/server"
	exportfs -o rw,sync,no_root_squash,no_subtree_check,insecure \
		"127.0.0.1:$work/server"
	timeout 60 mount -t nfs -o vers=3,tcp,nolock,noac,soft \
		"127.0.0.1:$work/server" "$work/client"
	server=$work/server/file client=$work/client/file
	head -c 65536 /dev/urandom > "$work/data"
}

end_file_system()
{
	umount "$work/client"
	exportfs -u "127.0.0.1:$work/server"
	exportfs -f
	umount "$work/server"
}

# Usage: hold BYTES|page: a new file that another process of the server holds.
hold()
{
	let_go
	cp "$work/data" "$server"
	rm -f "$work/input" "$work/held"
	mkfifo "$work/input"
	"$hold_file" "$server" "$1" < "$work/input" > "$work/held" &
	holder_pid=$!
	exec 9> "$work/input"
	wait_held
}

wait_held()
{
	for ((i = 0; i < 100; i++)); do
		! grep -q held "$work/held" || return 0
		kill -0 $holder_pid
		sleep 0.1
	done
	echo "no lease"
	return 1
}

let_go()
{
	[ -n "$holder_pid" ] || return 0
	exec 9>&-
	wait "$holder_pid" || true
	holder_pid=""
}

# Of an error the client is told at once, and nothing is changed.
# shellcheck disable=SC2317 # called by name, as those that follow
refused()
{
	local before=$SECONDS message
	if message=$(timeout 30 "$@" 2>&1); then
		echo "succeeded: $*"
		return 1
	fi
	[ $((SECONDS - before)) -lt 15 ]
	if ! grep -q "Input/output error" <<< "$message"; then
		echo "$message"
		return 1
	fi
	cmp "$server" "$work/data"
	cmp "$client" "$work/data"
}

# shellcheck disable=SC2317
to_nothing()
{
	refused truncate -s 0 "$client"
}

# shellcheck disable=SC2317
to_less()
{
	refused truncate -s 20480 "$client"
}

# shellcheck disable=SC2317
by_opening_it()
{
	# shellcheck disable=SC2016 # for the inner shell
	refused bash -c ': > "$1"' open "$client"
}

# Where there are blocks, and past the end.
# shellcheck disable=SC2317
writing()
{
	printf 'written by the client' |
		dd of="$client" bs=4096 seek=1 conv=notrunc,fsync status=none
	printf 'grown by the client' |
		dd of="$client" bs=4096 seek=20 conv=notrunc,fsync status=none
	[ "$(stat -c %s "$server")" = $((20 * 4096 + 19)) ]
	cmp "$server" "$client"
	tail -c 19 "$server" | grep -qx 'grown by the client'
	truncate -s 200000 "$client"
	[ "$(stat -c %s "$server")" = 200000 ]
	cmp -n 4096 "$server" "$work/data"
}

# shellcheck disable=SC2317
once_let_go()
{
	truncate -s 20480 "$client"
	[ "$(stat -c %s "$server")" = 20480 ]
	truncate -s 0 "$client"
	[ "$(stat -c %s "$server")" = 0 ]
}

# The only thread of the server is asked to wait for the page, and does not.
# shellcheck disable=SC2317
no_thread_waits_for_a_page()
{
	local job

	hold page
	echo 1 > /proc/fs/nfsd/threads
	# Without the holder's input, or that would not end.
	timeout 60 truncate -s 0 "$client" 9>&- &
	job=$!
	sleep 1
	timeout 10 touch "$work/client/other"
	kill -0 "$job"
	let_go
	wait "$job"
	echo 2 > /proc/fs/nfsd/threads
	[ "$(stat -c %s "$server")" = 0 ]
	rm "$work/client/other"
}

[ -n "${TESTS-}" ] || echo "1..18"
start_server
for fs in ext4 xfs; do
	start_file_system
	for bytes in 0 65536; do
		how=leased
		[ $bytes = 0 ] || how=pinned
		hold $bytes
		check_fs "${how}_truncate_to_nothing" to_nothing
		check_fs "${how}_truncate_to_less" to_less
		check_fs "${how}_open_with_truncation" by_opening_it
	done
	check_fs writing_and_growing writing
	let_go
	check_fs truncate_once_let_go once_let_go
	check_fs no_thread_waits_for_a_page no_thread_waits_for_a_page
	end_file_system
done
[ -z "${TESTS-}" ] || echo "1..$number"
exit $failed
