#!/bin/bash
# What flease promises: which lease the command runs under, and what it says, with
# which exit status, when a lease cannot be had. Runs as root in the machine under test.
set -uo pipefail

cd "$(dirname "$0")" || exit 1
PATH=$PWD/../../build/tools:$PATH
dir=$(mktemp -d) || exit 1
nr=0 holder=""

cleanup()
{
	[ -z "$holder" ] || kill "$holder" 2> /dev/null
	wait
	umount "$dir/dax" 2> /dev/null
	umount "$dir/xfs" 2> /dev/null
	rm -rf "$dir"
}
trap cleanup EXIT

result()
{
	nr=$((nr + 1))
	if [ "$1" = 0 ]; then
		echo "ok $nr - $2"
	else
		echo "not ok $nr - $2"
	fi
}

# Usage: answers NAME STATUS PATTERN COMMAND...: exit status, and what it says on stderr.
answers()
{
	local name=$1 status=$2 pattern=$3 said got=0
	shift 3
	said=$(timeout 20 "$@" 2>&1 > /dev/null) || got=$?
	if [ "$got" = "$status" ] && grep -qE -- "$pattern" <<< "$said"; then
		result 0 "$name"
	else
		result 1 "$name"
		echo "# exit status $got, wanted $status; said: $said"
	fi
}

# The kind of lease that a command under these options sees in /proc/locks.
kind_is()
{
	local kind=$1 inode
	shift
	inode=$(stat -c %i "$file")
	flease "$@" "$file" -- grep -qE "LAYOUT ACTIVE +$kind [0-9]+ .*:$inode " /proc/locks
	result $? "$* takes $kind"
}

# Somebody else who holds a lease, until he is killed.
hold()
{
	flease "$@" "$file" -- sleep 60 &
	holder=$!
	for _ in $(seq 100); do
		grep -q LAYOUT /proc/locks && return
		sleep 0.1
	done
	echo "Bail out! nobody took a lease"
	exit 1
}

release()
{
	kill "$holder"
	wait "$holder" 2> /dev/null
	holder=""
}

chmod 755 "$dir"
mkdir "$dir/dax"
if ! mkfs.ext4 -q -b 4096 -F /dev/pmem0 || ! mount -o dax /dev/pmem0 "$dir/dax"; then
	echo "Bail out! no DAX file system"
	exit 1
fi
file=$dir/dax/file
head -c 65536 /dev/zero > "$file"
cp "$file" "$dir/dax/second"

echo "TAP version 13"
echo "1..48"

kind_is EXCL --exclusive
kind_is UNBREAK --shared
kind_is SHARED --breakable
kind_is EXCL
answers "exit status is the command's" 7 '^$' flease "$file" -- sh -c 'exit 7'
# shellcheck disable=SC2016 # for the shell under flease
answers "the command is the holder" 0 '^$' \
	flease "$file" -- bash -c 'grep -q "LAYOUT.* $$ " /proc/locks'
# shellcheck disable=SC2016 # likewise
answers "several files" 0 '^$' flease "$file" "$dir/dax/second" -- \
	sh -c '[ "$(grep -c LAYOUT /proc/locks)" = 2 ]'
# shellcheck disable=SC2016 # likewise
answers "arguments after -- are the command's" 0 '^$' flease "$file" -- sh -c 'test "$1" = -x' sh -x
answers "nothing is left afterwards" 1 '^$' grep LAYOUT /proc/locks

answers "no file is usage" 2 'no file' flease -- true
answers "no command is usage" 2 'no command' flease "$file" --
answers "no -- is usage" 2 'no command' flease "$file" true
answers "unknown option is usage" 2 'flease --help' flease --nonsense "$file" -- true
answers "a bad number is usage" 2 'not a valid number' flease --timeout soon "$file" -- true
answers "an exit code of 256 is usage" 2 'not a valid number' flease -E 256 "$file" -- true
answers "help succeeds" 0 '^$' flease --help
answers "version succeeds" 0 '^$' flease --version

answers "missing file is named" 1 'nothing.*No such file' flease "$dir/dax/nothing" -- true
answers "missing command is 127" 127 'nonsense' flease "$file" -- nonsense
answers "what is no program is 126" 126 'cannot run' flease "$file" -- "$file"
head -c 4096 /dev/zero > /dev/shm/flease
answers "file system that has not opted in" 1 'shm/flease.*ext4 and XFS' flease /dev/shm/flease -- true
rm /dev/shm/flease
chmod 666 "$file"
answers "somebody else's file" 1 "file.*somebody else's.*CAP_LEASE" \
	setpriv --reuid 65534 --regid 65534 --clear-groups env "PATH=$PATH" flease "$file" -- true
chmod 644 "$file"
echo 0 > /proc/sys/fs/layout-leases-enable
answers "switched off" 1 'layout-leases-enable to 1' flease "$file" -- true
echo 1 > /proc/sys/fs/layout-leases-enable

hold --exclusive
answers "a conflict names the process" 1 "file: process $holder " flease --nonblock "$file" -- true
answers "a conflict has the chosen exit code" 42 "process $holder " flease -n -E 42 "$file" -- true
start=$SECONDS
answers "a timeout is kept" 1 "process $holder " flease --timeout 1.5 "$file" -- true
[ $((SECONDS - start)) -ge 1 ] && [ $((SECONDS - start)) -le 10 ]
result $? "a timeout lasts as long as it says"
(sleep 1; kill "$holder") &
answers "it waits for the holder to end" 0 '^$' flease "$file" -- true
wait
holder=""
hold --shared
answers "shared leases stand beside each other" 0 '^$' flease --shared --nonblock "$file" -- true
release

# One for each: behind wrappers, and in a child that only forks.
answers "each is for shared leases" 2 'shared' flease --each --exclusive "$file" -- true
# shellcheck disable=SC2016 # for the shell under flease
answers "each: a wrapper's program holds one" 0 '^$' flease --each "$file" -- \
	timeout 10 bash -c 'grep -q "LAYOUT ACTIVE *UNBREAK $$ " /proc/locks'
# shellcheck disable=SC2016 # likewise
answers "each: a child that only forks holds one" 0 '^$' flease --each "$file" -- \
	bash -c '(read -rd "" all < /proc/locks; [[ $all == *" UNBREAK $BASHPID "* ]])'
answers "each: closed descriptors do not end it" 0 '^$' flease --each "$file" -- python3 -c '
import os
os.closerange(3, 1000)
assert " UNBREAK %d " % os.getpid() in open("/proc/locks").read()'
answers "each: several files" 0 '^$' flease --each "$file" "$dir/dax/second" -- python3 -c '
import os
assert open("/proc/locks").read().count(" UNBREAK %d " % os.getpid()) == 2'
answers "each: what it cannot lease is said" 0 'no lease on .*/file: Permission denied' \
	flease --each "$file" -- setpriv --reuid 65534 --regid 65534 --clear-groups true
answers "each: nothing is left afterwards" 1 '^$' grep LAYOUT /proc/locks

# Sharing: ext4 has none, other file systems cannot undo it, XFS has to be told.
answers "no file to unshare is usage" 2 'no file' flease --unshare
answers "an unknown command line of unshare is usage" 2 'no command' flease --unshare "$file" --
answers "ext4 has nothing to unshare" 0 '^$' flease --unshare "$file"
answers "unshare and lease on ext4" 0 '^$' flease -u "$file" -- true
head -c 4096 /dev/zero > /dev/shm/flease
answers "what cannot unshare says so" 1 'cannot unshare .*shm/flease.*XFS can' \
	flease --unshare /dev/shm/flease
rm /dev/shm/flease
mkdir "$dir/xfs"
if ! mkfs.xfs -q -f -m reflink=1 /dev/pmem1 || ! mount /dev/pmem1 "$dir/xfs"; then
	echo "Bail out! no XFS"
	exit 1
fi
file=$dir/xfs/file
head -c 65536 /dev/urandom > "$file"
cp "$file" "$dir/xfs/copy"
sum=$(sha256sum < "$file")
answers "sharing is told from no support" 1 'file: it shares blocks.*flease --unshare' \
	flease "$file" -- true
rm "$dir/xfs/copy"
sync
answers "so it is when the copy is gone" 1 'file: it once shared.*flease --unshare' \
	flease "$file" -- true
cp "$file" "$dir/xfs/copy"
flease --unshare "$file" && [ "$(sha256sum < "$file")" = "$sum" ]
result $? "unshare leaves the content"
answers "after unshare there is a lease" 0 '^$' flease --nonblock "$file" -- true
answers "several are unshared, then leased" 0 '^$' \
	flease --unshare "$dir/xfs/copy" "$file" -- true
cp --reflink=never "$file" "$dir/xfs/new"
answers "a copy that shares nothing is leased" 0 '^$' flease "$dir/xfs/new" -- true
hold --exclusive
answers "unshare of what is leased is refused" 1 'cannot unshare .*lspins FILE' \
	flease --unshare "$file"
release
