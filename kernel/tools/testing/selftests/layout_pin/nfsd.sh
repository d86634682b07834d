# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# An NFS server on this machine, for the scripts among the tests; they source it,
# and have a directory of their own in $work.
nfsd_pids=()
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
	grep -qw nfsd /proc/filesystems || skip_all "this kernel has no NFS server"
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
	exportfs -o "rw,sync,no_root_squash,no_subtree_check,insecure${2:+,$2}" \
		"127.0.0.1:$1"
}

unexport_dir()
{
	exportfs -u "127.0.0.1:$1"
	exportfs -f
}

end_nfsd()
{
	exportfs -ua 2> /dev/null || true
	rpc.nfsd 0 2> /dev/null || true
	umount /proc/fs/nfsd 2> /dev/null || true
	[ ${#nfsd_pids[@]} = 0 ] || kill "${nfsd_pids[@]}" 2> /dev/null || true
}
