#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# That a device wrote to a file shows to those who look at its times: rsync,
# make, and an NFS client that has the file in its cache.
#
# Needs root, /dev/pmem0 and /dev/pmem1, rsync, make, and the programs of
# rpcbind and nfs-kernel-server. TESTS=WORD selects tests by name.
# shellcheck disable=SC2317 # functions are called by name
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
work=$(mktemp -d) server=$work/server file=$work/server/file
# shellcheck source-path=SCRIPTDIR source=tap.sh
. "$here/tap.sh"
# shellcheck source-path=SCRIPTDIR source=nfsd.sh
. "$here/nfsd.sh"

echo "TAP version 13"
find_hold_file "$here"
rdma_file=$(dirname "$hold_file")/rdma_file
[ -x "$rdma_file" ] || skip_all "rdma_file was not built"
need_nfsd rsync make mount.nfs

cleanup()
{
	umount "$work/client" 2> /dev/null || true
	end_nfsd
	wait
	umount "$server" 2> /dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT

# In a shell of its own, see check: so is what it starts.
in_turn()
{
	trap end_holder EXIT
	"$@"
}

start_file_system()
{
	mount_new "$server" -m reflink=0
	mkdir -p "$work/client"
	export_dir "$server"
	# With its caches, as users mount it.
	timeout 60 mount -t nfs -o vers=3,tcp,nolock,soft \
		"127.0.0.1:$server" "$work/client"
}

end_file_system()
{
	umount "$work/client"
	unexport_dir "$server"
	umount "$server"
}

# A new file, of which a device has the first page.
hold_new()
{
	end_holder
	rm -f "$file"
	head -c 65536 /dev/zero > "$file"
	start_holder "$rdma_file" "$file"
	[ "$(sed -n 1p "$work/holder")" = "done" ]
}

# Usage: starts_with CHARACTER FILE
starts_with()
{
	[ "$(head -c 4096 "$2" | tr -d "$1" | wc -c)" = 0 ]
}

# Usage: shows COMMAND...: a command that succeeds if the file has changed since
# it was last called: when the device wrote and the file is synced, and when its
# region ends.
shows()
{
	sleep 0.1
	tell "write A"
	tell sync
	"$@" A
	sleep 0.1
	tell "write B"
	tell end
	"$@" B
}

copied()
{
	rsync -a --out-format=%n "$file" "$work/copy" | grep -qx file
	starts_with "$1" "$work/copy"
	cmp "$file" "$work/copy"
	# And once only.
	[ -z "$(rsync -a --out-format=%n "$file" "$work/copy")" ]
}

rsync_copies()
{
	hold_new
	rm -f "$work/copy"
	rsync -a "$file" "$work/copy"
	[ -z "$(rsync -a --out-format=%n "$file" "$work/copy")" ]
	shows copied
}

built()
{
	[ "$file" -nt "$work/target" ]
	if make -q -f "$work/makefile" "$work/target"; then
		echo "make sees nothing to do"
		return 1
	fi
	make -s -f "$work/makefile" "$work/target"
	make -q -f "$work/makefile" "$work/target"
	starts_with "$1" "$work/target"
}

make_builds()
{
	hold_new
	printf '%s: %s\n\tcp $< $@\n' "$work/target" "$file" > "$work/makefile"
	cp "$file" "$work/target"
	make -q -f "$work/makefile" "$work/target"
	shows built
}

# What the client has cached it looks at again when the file is opened: its
# times, and if they are others, all of it.
read_again()
{
	starts_with "$1" "$work/client/file"
	[ "$(stat -c %y "$work/client/file")" = "$(stat -c %y "$file")" ]
}

client_reads()
{
	hold_new
	starts_with '\0' "$work/client/file"
	# The test of the test: it does have it cached.
	tell "write X"
	starts_with '\0' "$work/client/file"
	shows read_again
}

[ -n "${TESTS-}" ] || echo "1..$((3 * ${#file_systems[@]}))"
start_nfsd -V 3 -N 4 --no-udp
for fs in "${file_systems[@]}"; do
	start_file_system
	check_fs rsync_copies_what_a_device_wrote in_turn rsync_copies
	check_fs make_builds_from_what_a_device_wrote in_turn make_builds
	check_fs nfs_client_reads_what_a_device_wrote in_turn client_reads
	end_file_system
done
[ -z "${TESTS-}" ] || echo "1..$number"
exit $failed
