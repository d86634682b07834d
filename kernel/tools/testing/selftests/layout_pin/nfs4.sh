#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Layouts that an NFS server hands out beside those that processes lease: who
# keeps whom away, and who is asked to let go. And its change attribute for a
# file that a device writes to.
#
# Server and client are this machine; the client is nfs4.py. Needs root,
# /dev/pmem0 and /dev/pmem1, and the programs of rpcbind and nfs-kernel-server.
# TESTS=WORD selects tests by name.
# shellcheck disable=SC2317 # functions are called by name
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
work=$(mktemp -d) server=$work/server file=$work/server/file
# shellcheck source-path=SCRIPTDIR source=tap.sh
. "$here/tap.sh"
# shellcheck source-path=SCRIPTDIR source=nfsd.sh
. "$here/nfsd.sh"
client_pid="" break_time=5
tracing=/sys/kernel/tracing

echo "TAP version 13"
find_hold_file "$here"
rdma_file=$(dirname "$hold_file")/rdma_file
[ -x "$rdma_file" ] || skip_all "rdma_file was not built"
need_nfsd python3
[ -e "$tracing"/events/nfsd ] ||
	mount -t tracefs tracefs $tracing 2> /dev/null || true
[ -e "$tracing"/events/nfsd/nfsd_layout_recall ] ||
	skip_all "this kernel's NFS server hands out no layouts"

cleanup()
{
	[ ! -e "$tracing"/events/nfsd ] ||
		echo 0 > "$tracing"/events/nfsd/enable
	end_nfsd
	wait
	umount "$server" 2> /dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT

# In a shell of its own, see check: so is what it starts.
in_turn()
{
	trap 'end_holder; end_client' EXIT
	"$@"
}

start_file_system()
{
	mount_new "$server"
	export_dir "$server" fsid=0,pnfs
}

# The server goes, too, since it has what clients have open.
end_file_system()
{
	unexport_dir "$server"
	echo "$server" > /proc/fs/nfsd/unlock_filesystem
	umount "$server"
}

# Client and holder say a line when they are ready, and one for each that they
# are told.
start_client()
{
	mkfifo "$work/client.in"
	# Without the holder's input, or that would not end.
	"$here/nfs4.py" "$(basename "$file")" < "$work/client.in" \
		> "$work/client" 2>&1 9>&- &
	client_pid=$!
	exec 8> "$work/client.in"
	rm "$work/client.in"
	wait_for_line "$work/client" 1
}

end_client()
{
	[ -n "$client_pid" ] || return 0
	exec 8>&-
	wait "$client_pid" || true
	client_pid=""
}

# Usage: ask WORD: says the client's answer.
ask()
{
	local line
	line=$(($(wc -l < "$work/client") + 1))
	echo "$1" >&8
	wait_for_line "$work/client" "$line"
}

# A new file, as large as the layout that the client asks for.
new_file()
{
	rm -f "$file"
	head -c 65536 /dev/zero > "$file"
	sync -f "$file"
}

recalls()
{
	grep -c 'nfsd_layout_recall:' "$tracing"/trace || true
}

start_tracing()
{
	echo > "$tracing"/trace
	echo 1 > "$tracing"/events/nfsd/nfsd_layout_recall/enable
}

# Usage: takes SECONDS COMMAND...: that it succeeds within so many.
takes()
{
	local limit=$1 begun=$SECONDS
	shift
	timeout 60 "$@"
	[ $((SECONDS - begun)) -le "$limit" ] ||
		{ echo "took $((SECONDS - begun)) s: $*"; return 1; }
}

recalled_by_truncate()
{
	new_file
	start_client
	[ "$(ask layout)" = 0 ]
	start_tracing
	takes 3 truncate -s 4096 "$file"
	[ "$(recalls)" -ge 1 ]
}

unbreakable_keeps_the_client_away()
{
	local answer
	new_file
	start_holder "$hold_file" "$file" 0
	start_client
	answer=$(ask layout)
	echo "LAYOUTGET: $answer"
	[ "$answer" != 0 ]
	end_holder
	[ "$(ask layout)" = 0 ]
}

client_keeps_unbreakable_away()
{
	new_file
	start_client
	[ "$(ask layout)" = 0 ]
	start_holder "$hold_file" "$file" 0
	grep -q 'Resource temporarily unavailable' "$work/holder"
	end_holder
	# Breakable leases of both are beside each other.
	start_holder "$hold_file" "$file" layout
	grep -q held "$work/holder"
}

# The client has a layout: both are asked, and the change waits for the slower
# one.
recalled_beside_a_process()
{
	new_file
	start_client
	[ "$(ask layout)" = 0 ]
	start_holder "$hold_file" "$file" layout
	start_tracing
	takes $((break_time + 3)) truncate -s 4096 "$file"
	[ "$(recalls)" -ge 1 ]
}

# Or the change would wait for as long as the client likes: nobody would recall
# it.
no_layout_while_a_process_is_asked()
{
	local answer begun pid
	new_file
	start_client
	start_holder "$hold_file" "$file" layout
	begun=$SECONDS
	timeout 60 truncate -s 4096 "$file" 8>&- 9>&- &
	pid=$!
	for ((i = 0; i < 50; i++)); do
		! grep -q 'LAYOUT *BREAKING' /proc/locks || break
		sleep 0.1
	done
	answer=$(ask layout)
	echo "LAYOUTGET: $answer"
	[ "$answer" != 0 ]
	while kill -0 "$pid" 2> /dev/null && [ $((SECONDS - begun)) -lt 30 ]; do
		[ "$(ask renew)" = 0 ]
		sleep 0.5
	done
	wait "$pid"
	[ $((SECONDS - begun)) -le $((break_time + 5)) ]
	[ "$(stat -c %s "$file")" = 4096 ]
}

change_attribute_moves()
{
	local before after
	new_file
	start_holder "$rdma_file" "$file"
	start_client
	before=$(ask change)
	[ "$(ask change)" = "$before" ]
	sleep 0.1
	tell "write A"
	tell sync
	after=$(ask change)
	echo "before $before, after fsync $after"
	[ "$after" != "$before" ]
	before=$after
	sleep 0.1
	tell "write B"
	tell end
	after=$(ask change)
	echo "when the region has ended $after"
	[ "$after" != "$before" ]
	[ "$(ask change)" = "$after" ]
}

[ -n "${TESTS-}" ] || echo "1..$((${#file_systems[@]} + 5))"
echo $break_time > /proc/sys/fs/lease-break-time
start_nfsd -V 4.1 -N 3
for fs in "${file_systems[@]}"; do
	start_file_system
	check_fs change_attribute_moves in_turn change_attribute_moves
	if [ "$fs" = xfs ]; then
		check_fs layout_is_recalled_by_truncate in_turn \
			recalled_by_truncate
		check_fs unbreakable_lease_keeps_the_client_away in_turn \
			unbreakable_keeps_the_client_away
		check_fs client_keeps_unbreakable_lease_away in_turn \
			client_keeps_unbreakable_away
		check_fs layout_is_recalled_beside_a_process in_turn \
			recalled_beside_a_process
		check_fs no_layout_while_a_process_is_asked in_turn \
			no_layout_while_a_process_is_asked
	fi
	end_file_system
done
[ -z "${TESTS-}" ] || echo "1..$number"
exit $failed
