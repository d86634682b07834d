# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# An NFS server on this machine, a file system that it exports, and a process
# that holds a file of it, for the scripts among the tests; they source it after
# tap.sh, and have a directory of their own in $work.
nfsd_pids=() holder_pid=""
# Of file_systems.h, from which mount_new has devices and commands.
# shellcheck disable=SC2034 # for the scripts
file_systems=(ext4 xfs)
: "${work:?}"

# Usage: need_nfsd PROGRAM...: or skip all.
need_nfsd()
{
	local program
	[ "$(id -u)" = 0 ] || skip_all "needs root"
	for program in rpcbind rpc.mountd rpc.nfsd exportfs "$@"; do
		command -v "$program" > /dev/null || skip_all "no $program"
	done
	[ -b /dev/pmem1 ] || skip_all "no /dev/pmem1"
	grep -qw nfsd /proc/filesystems ||
		skip_all "this kernel has no NFS server"
}

# Usage: start_nfsd ARGUMENT...: those of rpc.nfsd.
start_nfsd()
{
	mkdir -p /run/rpcbind /var/lib/nfs/sm /var/lib/nfs/v4recovery
	touch /var/lib/nfs/etab /var/lib/nfs/rmtab
	rpcbind -f -w > "$work/rpcbind" 2>&1 &
	nfsd_pids+=($!)
	mount -t nfsd nfsd /proc/fs/nfsd
	for ((i = 0; i < 50; i++)); do
		[ ! -S /run/rpcbind.sock ] || break
		sleep 0.1
	done
	rpc.mountd -F > "$work/mountd" 2>&1 &
	nfsd_pids+=($!)
	rpc.nfsd "$@" 2
	# Nobody has anything to reclaim.
	echo Y > /proc/fs/nfsd/v4_end_grace 2> /dev/null || true
}

# Usage: export_dir DIRECTORY [OPTIONS]
export_dir()
{
	local options=rw,sync,no_root_squash,no_subtree_check,insecure
	exportfs -o "$options${2:+,$2}" "127.0.0.1:$1"
}

unexport_dir()
{
	exportfs -u "127.0.0.1:$1"
	exportfs -f
}

# Usage: mount_new DIRECTORY [OPTION...]: a new file system of kind $fs; options
# are those of mkfs.xfs.
mount_new()
{
	local dir=$1 device
	shift
	case $fs in
	ext4) device=/dev/pmem0; mkfs.ext4 -q -b 4096 -F "$device" ;;
	xfs) device=/dev/pmem1; mkfs.xfs -q -f "$@" "$device" ;;
	esac
	# Other tests have to make theirs anew.
	rm -f "/tmp/layout_pin.$fs"
	mkdir -p "$dir"
	mount -o dax "$device" "$dir"
}

# Usage: start_holder PROGRAM ARGUMENT...: says its first line. What it says is
# in $work/holder; its input is descriptor 9, and ends when no process has that
# any more: what is started beside it has to close it.
start_holder()
{
	end_holder
	mkfifo "$work/holder.in"
	"$@" < "$work/holder.in" > "$work/holder" 2>&1 8>&- &
	holder_pid=$!
	exec 9> "$work/holder.in"
	rm "$work/holder.in"
	wait_for_line "$work/holder" 1
}

end_holder()
{
	[ -n "$holder_pid" ] || return 0
	exec 9>&-
	wait "$holder_pid" || true
	holder_pid=""
}

# Usage: wait_for_line FILE NUMBER: says the line, or fails.
wait_for_line()
{
	local i
	for ((i = 0; i < 300; i++)); do
		if [ "$(wc -l < "$1")" -ge "$2" ]; then
			sed -n "$2p" "$1"
			return 0
		fi
		sleep 0.1
	done
	cat "$1"
	return 1
}

# Usage: tell LINE: the holder does it, and says "done".
tell()
{
	local line
	line=$(($(wc -l < "$work/holder") + 1))
	echo "$1" >&9
	[ "$(wait_for_line "$work/holder" "$line")" = "done" ] ||
		{ cat "$work/holder"; return 1; }
}

end_nfsd()
{
	exportfs -ua 2> /dev/null || true
	rpc.nfsd 0 2> /dev/null || true
	umount /proc/fs/nfsd 2> /dev/null || true
	[ ${#nfsd_pids[@]} = 0 ] || kill "${nfsd_pids[@]}" 2> /dev/null || true
}
