#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A file that is leased or pinned on the server, changed by an NFSv3 client.
#
# Server and client are this machine. Needs root, /dev/pmem0 and /dev/pmem1, and
# the programs of rpcbind and nfs-kernel-server. TESTS=WORD selects tests by
# name.
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
work=$(mktemp -d)
# shellcheck source-path=SCRIPTDIR source=tap.sh
. "$here/tap.sh"
# shellcheck source-path=SCRIPTDIR source=nfsd.sh
. "$here/nfsd.sh"

echo "TAP version 13"
find_hold_file "$here"
need_nfsd mount.nfs

# shellcheck disable=SC2317 # called by a trap
cleanup()
{
	end_holder
	umount "$work/client" 2> /dev/null || true
	end_nfsd
	wait
	umount "$work/server" 2> /dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT

start_file_system()
{
	mount_new "$work/server" -m reflink=0
	mkdir -p "$work/client"
	export_dir "$work/server"
	timeout 60 mount -t nfs -o vers=3,tcp,nolock,noac,soft \
		"127.0.0.1:$work/server" "$work/client"
	server=$work/server/file client=$work/client/file
	head -c 65536 /dev/urandom > "$work/data"
}

end_file_system()
{
	umount "$work/client"
	unexport_dir "$work/server"
	umount "$work/server"
}

# Usage: hold BYTES|page: a new file that another process of the server holds.
hold()
{
	end_holder
	cp "$work/data" "$server"
	start_holder "$hold_file" "$server" "$1" > /dev/null || true
	grep -qx held "$work/holder" || { cat "$work/holder"; return 1; }
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
	end_holder
	wait "$job"
	echo 2 > /proc/fs/nfsd/threads
	[ "$(stat -c %s "$server")" = 0 ]
	rm "$work/client/other"
}

[ -n "${TESTS-}" ] || echo "1..$((9 * ${#file_systems[@]}))"
start_nfsd -V 3 -N 4 --no-udp
for fs in "${file_systems[@]}"; do
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
	end_holder
	check_fs truncate_once_let_go once_let_go
	check_fs no_thread_waits_for_a_page no_thread_waits_for_a_page
	end_file_system
done
[ -z "${TESTS-}" ] || echo "1..$number"
exit $failed
