# shellcheck shell=bash
# Fake roots for lspins: what the kernel would show, written by hand. Sourced.
#
# Devices and inodes are those of the files made here, so that paths lead to them.
# The script that sources this sets $work, a directory to make roots in.
work=${work?}

# Usage: put FILE: standard input to that file of the root.
put()
{
	mkdir -p "$root/$(dirname "$1")"
	cat > "$root/$1"
}

# Usage: process PID COMMAND UID [START], where START is in ticks after boot.
process()
{
	local zeros='0 0 0 0 0 0 0 0 0 0 0 0 0 0 0'
	echo "$2" | put "proc/$1/comm"
	printf 'Name:\t%s\nUid:\t%s\t%s\t%s\t%s\n' "$2" "$3" "$3" "$3" "$3" |
		put "proc/$1/status"
	echo "$1 ($2) S 1 1 $zeros 0 ${4-100} 0 0" | put "proc/$1/stat"
	mkdir -p "$root/proc/$1/fd"
	put "proc/$1/file_pins" < /dev/null
}

# Usage: device FORMAT: of the root; FORMAT is for major and minor.
device()
{
	local number
	number=$((16#$(stat -c %D "$root")))
	# shellcheck disable=SC2059
	printf "$1" $((number >> 8 & 0xfff)) \
		$(((number & 0xff) | (number >> 12 & 0xfff00)))
}

# Usage: device_inode PATH: as /proc/locks and the table in debugfs write it.
device_inode()
{
	echo "$(device %02x:%02x):$(stat -c %i "$root$1")"
}

# Usage: opened PID FD PATH [LEASE]: a descriptor, and the lease it carries.
opened()
{
	ln -s "$3" "$root/proc/$1/fd/$2"
	printf 'pos:\t0\n' | put "proc/$1/fdinfo/$2"
	[ $# = 3 ] || printf 'lock:\t1: LAYOUT %s %s 0 EOF\n' "$4" \
		"$(device_inode "$3")" >> "$root/proc/$1/fdinfo/$2"
}

# Usage: lease STATE KIND PID PATH
lease()
{
	nr_leases=$((nr_leases + 1))
	printf '%d: LAYOUT %-9s %s %d %s 0 EOF\n' $nr_leases "$1" "$2" "$3" \
		"$(device_inode "$4")" >> "$root/proc/locks"
}

# Usage: region PATH RANGE PID SINCE OWNER [PATH AS SHOWN]; $owner_number is its number
owner_number=7
region()
{
	echo "$(device_inode "$1") $2 pid $3 since $4 owner $owner_number $5 file ${6-$1}" \
		>> "$root/$table"
}

# Usage: new_root NAME: with a device, a file system and nothing pinned.
new_root()
{
	table=sys/kernel/debug/layout_pin/pins
	nr_leases=0
	root=$work/$1
	mkdir -p "$root/mnt/pmem" "$root/proc/self"
	echo 1 | put proc/sys/fs/layout-leases-enable
	echo 45 | put proc/sys/fs/lease-break-time
	echo '9000.50 17000.00' | put proc/uptime
	printf 'cpu 0 0\nbtime 1700000000\n' | put proc/stat
	echo '1: FLOCK  ADVISORY  WRITE 3545 fe:00:5308565 0 EOF' | put proc/locks
	put "$table" < /dev/null
	echo rxe0 | put sys/class/infiniband_verbs/uverbs0/ibdev
	echo "30 1 $(device %d:%d) / /mnt/pmem rw - ext4 /dev/pmem0 rw" |
		put proc/self/mountinfo
}

file()
{
	mkdir -p "$root$(dirname "$1")"
	echo x > "$root$1"
}

# An ordinary machine: two processes with pins, one of them through the mm too,
# a breakable lease, a plain lock.
root_ordinary()
{
	new_root ordinary
	file /mnt/pmem/foo
	file /mnt/pmem/bar
	file '/mnt/pmem/a b'
	file /mnt/pmem/free
	process 812 ib_write_bw 1000
	printf '4: /dev/infiniband/uverbs0\n\t%s\n\t%s\n%s\n' /mnt/pmem/foo \
		'/mnt/pmem/a b' /mnt/pmem/bar | put proc/812/file_pins
	opened 812 3 /mnt/pmem/foo 'ACTIVE    EXCL 812'
	process 900 writer 0
	opened 900 7 /mnt/pmem/bar 'BREAKING  SHARED 900'
	# A child that inherited a descriptor, and so keeps the lease alive.
	process 901 child 0
	opened 901 7 '/mnt/pmem/a b' 'ACTIVE    UNBREAK 812'
	lease ACTIVE EXCL 812 /mnt/pmem/foo
	lease ACTIVE UNBREAK 812 '/mnt/pmem/a b'
	lease ACTIVE UNBREAK 812 /mnt/pmem/bar
	lease BREAKING SHARED 900 /mnt/pmem/bar
	region /mnt/pmem/foo 4096-12287 812 5230 /dev/infiniband/uverbs0
	region /mnt/pmem/foo 8192-16383 812 5231 /dev/infiniband/uverbs0
	region /mnt/pmem/foo 2097152-4194303 812 5232 /dev/infiniband/uverbs0
	region '/mnt/pmem/a b' 0-4095 812 5233 /dev/infiniband/uverbs0 \
		'/mnt/pmem/a\040b'
	region /mnt/pmem/bar 0-1535 812 5234 mm
}

# What outlives its process: a zombie whose descriptor another process has, pins
# in flight, pins of a process whose number is another's by now, an unlinked file.
root_odd()
{
	local shown='/mnt/pmem/gone (deleted)'
	new_root odd
	file /mnt/pmem/passed
	file /mnt/pmem/flight
	file /mnt/pmem/reused
	file /mnt/pmem/gone
	process 700 heir 1000
	printf '9: /dev/infiniband/uverbs0\n\t/mnt/pmem/passed\n\t%s\n' "$shown" |
		put proc/700/file_pins
	process 702 sender 1000
	# The number of a process that ended, used again after it pinned.
	process 703 later 1000 800000
	lease ZOMBIE UNBREAK 701 /mnt/pmem/passed
	lease ZOMBIE EXCL 702 /mnt/pmem/flight
	region /mnt/pmem/passed 0-4095 701 5230 /dev/infiniband/uverbs0
	region /mnt/pmem/flight 0-4095 702 8999 /dev/infiniband/uverbs0
	region /mnt/pmem/reused 0-4095 703 5230 /dev/infiniband/uverbs0
	region /mnt/pmem/gone 0-4095 700 5230 /dev/infiniband/uverbs0 \
		'/mnt/pmem/gone\040(deleted)'
}

# A caller who may read one process, and no ranges.
root_user()
{
	new_root user
	file /mnt/pmem/foo
	file /mnt/pmem/passed
	file /mnt/pmem/free
	process 812 ib_write_bw 1000
	printf '4: /dev/infiniband/uverbs0\n\t%s\n\t%s\n' /mnt/pmem/foo \
		'/mnt/pmem/gone (deleted)' | put proc/812/file_pins
	# Who has the pins of the zombie is not to be seen.
	process 813 hidden 0
	lease ZOMBIE UNBREAK 814 /mnt/pmem/passed
	chmod 0 "$root/proc/813/file_pins"
	chmod 0 "$root/$table"
	lease ACTIVE EXCL 812 /mnt/pmem/foo
	chmod 755 "$work"
}

# Many processes that pin one file and one of their own, through one device.
root_many()
{
	local i
	new_root many
	file /mnt/pmem/common
	lease ACTIVE UNBREAK 1 /mnt/pmem/common
	local key
	key=$(device_inode /mnt/pmem/common)
	(cd "$root/proc" && seq -f '%.0f/fd' "$1" | xargs mkdir -p)
	for ((i = 1; i <= $1; i++)); do
		echo rank > "$root/proc/$i/comm"
		printf 'Uid:\t0\n' > "$root/proc/$i/status"
		printf '4: /dev/infiniband/uverbs0\n\t%s\n\t%s\n' \
			/mnt/pmem/common "/mnt/pmem/own$i" \
			> "$root/proc/$i/file_pins"
		echo "$key 0-4095 pid $i since 100" \
			"owner /dev/infiniband/uverbs0 file /mnt/pmem/common" >&3
	done 3>> "$root/$table"
}

# As many records as a job has, of two files by turns.
root_records()
{
	local foo bar
	new_root records
	file /mnt/pmem/foo
	file /mnt/pmem/bar
	process 812 job 0
	printf '4: /dev/infiniband/uverbs0\n\t/mnt/pmem/%s\n\t/mnt/pmem/%s\n' bar foo |
		put proc/812/file_pins
	foo=$(device_inode /mnt/pmem/foo) bar=$(device_inode /mnt/pmem/bar)
	awk -v foo="$foo" -v bar="$bar" 'BEGIN {
		for (i = 0; i < 255997; i++) {
			odd = i % 32 >= 16
			printf "%s %d-%d pid 812 since 5230 owner 7 %s file %s\n",
				odd ? bar : foo, 8192 * i, 8192 * i + 4095,
				"/dev/infiniband/uverbs0",
				odd ? "/mnt/pmem/bar" : "/mnt/pmem/foo"
		} }' > "$root/$table"
}

# Usage: owned PID FD NUMBER: what fdinfo says of an owner's descriptor.
owned()
{
	printf 'pos:\t0\npin_owner:\t%d\n' "$3" | put "proc/$1/fdinfo/$2"
}

# Owners of one path on one file: 7 as two descriptors, 8 as one below them, 9 and 10
# in a mapping and as a registered file; 8 in another process, too; 11 is in flight.
root_owners()
{
	local uverbs=/dev/infiniband/uverbs0 foo=/mnt/pmem/foo
	new_root owners
	file $foo
	file /mnt/pmem/bar
	process 812 writer 0
	{
		printf '%d: %s\n\t%s\n' 3 $uverbs $foo 4 $uverbs $foo 5 $uverbs $foo
		printf 'vma: %s\n\t%s\n\t/mnt/pmem/bar\n' $uverbs $foo
		printf 'io_uring: %s\n\t%s\n' $uverbs $foo
	} | put proc/812/file_pins
	owned 812 3 8
	owned 812 4 7
	owned 812 5 7
	process 813 heir 0
	printf '6: %s\n\t%s\n' $uverbs $foo | put proc/813/file_pins
	owned 813 6 8
	for owner_number in 7 8 9 10 11; do
		region $foo $((owner_number * 4096))-$((owner_number * 4096 + 4095)) \
			812 5230 $uverbs
	done
	owner_number=9
	region /mnt/pmem/bar 0-4095 812 5230 $uverbs
	owner_number=7
}

# Owners of other kinds than RDMA.
root_kinds()
{
	local ring='anon_inode:[io_uring]' socket='socket:[4711]' foo=/mnt/pmem/foo
	new_root kinds
	file $foo
	process 820 rings 0
	printf '%s: %s\n\t%s\n' 5 "$ring" $foo io_uring "$ring" $foo | put proc/820/file_pins
	owned 820 5 7
	process 821 packets 0
	printf '6: %s\n\t%s\n' "$socket" $foo | put proc/821/file_pins
	owned 821 6 9
	process 822 machine 0
	printf '9: %s\n\t%s\n' /dev/vfio/vfio $foo | put proc/822/file_pins
	owned 822 9 10
	region $foo 0-4095 820 5230 "$ring"
	owner_number=8
	region $foo 4096-8191 820 5230 "$ring"
	owner_number=9
	region $foo 8192-12287 821 5230 "$socket"
	owner_number=10
	region $foo 12288-16383 822 5230 /dev/vfio/vfio
	owner_number=7
}

# Nothing but a breakable lease.
root_breakable()
{
	new_root breakable
	file /mnt/pmem/foo
	process 900 writer 0
	opened 900 7 /mnt/pmem/foo 'ACTIVE    SHARED 900'
	lease ACTIVE SHARED 900 /mnt/pmem/foo
}

# Characters that the kernel escapes, and those that an output format does.
root_strange()
{
	local name=$'/mnt/pmem/new\nline "\\'
	new_root strange
	file "$name"
	process 812 $'odd\033[1m' 0
	printf '4: /dev/infiniband/uverbs0\n\t%s\n' "${name/$'\n'/\\012}" |
		put proc/812/file_pins
	region "$name" 0-4095 812 5230 /dev/infiniband/uverbs0 \
		'/mnt/pmem/new\012line\040"\134'
}

# Usage: escape NAME: $escaped as file_pins has it, $quoted as the table in debugfs.
escape()
{
	escaped=${1//\\/\\134}
	escaped=${escaped//$'\n'/\\012}
	quoted=${escaped// /\\040}
	quoted=${quoted//$'\t'/\\011}
}

# A file for each byte that a name can have, and one whose name would be other records
# if its escapes were read twice or not at all.
root_bytes()
{
	local byte name fake escaped quoted
	new_root bytes
	process 812 writer 0
	fake='/mnt/pmem/\012\t9: x\134012'$'\n\t/mnt/pmem/fake\n/mnt/pmem/mm\n5: /dev/x\\'
	for byte in {1..255} fake; do
		[ "$byte" != 47 ] || continue
		# shellcheck disable=SC2059
		[ "$byte" = fake ] || printf -v name \
			"/mnt/pmem/%03d\\x$(printf %02x "$byte")." "$byte"
		[ "$byte" != fake ] || name=$fake
		file "$name"
		escape "$name"
		printf '\t%s\n' "$escaped" >&3
		region "$name" 0-4095 812 5230 /dev/infiniband/uverbs0 "$quoted"
	done 3> "$work/names"
	{ echo '4: /dev/infiniband/uverbs0'; cat "$work/names"; } |
		put proc/812/file_pins
}

# Owners without a descriptor; a process of which only a second thread lives; and a
# wrapper that has a lease and no pins.
root_threads()
{
	new_root threads
	file /mnt/pmem/foo
	file /mnt/pmem/bar
	file /mnt/pmem/wrapped
	process 600 mapper 0
	printf 'vma: /dev/infiniband/uverbs0\n\t/mnt/pmem/foo\n' |
		put proc/600/file_pins
	process 601 ring 0
	printf 'io_uring: /dev/infiniband/uverbs1\n\t/mnt/pmem/foo\n/mnt/pmem/bar\n' |
		put proc/601/file_pins
	process 602 leader 0
	process 602/task/602 leader 0
	process 602/task/603 ended 0
	process 602/task/604 lives 0
	sed -i 's/) S /) Z /' "$root"/proc/602/{stat,task/60[23]/stat}
	printf '3: /dev/infiniband/uverbs0\n\t/mnt/pmem/bar\n' |
		put proc/602/task/604/file_pins
	opened 602/task/604 5 /mnt/pmem/bar 'ACTIVE    UNBREAK 602'
	lease ACTIVE UNBREAK 602 /mnt/pmem/bar
	region /mnt/pmem/foo 0-4095 600 5230 /dev/infiniband/uverbs0
	region /mnt/pmem/foo 0-8191 601 5230 /dev/infiniband/uverbs1
	region /mnt/pmem/bar 0-8191 602 5230 /dev/infiniband/uverbs0
	process 605 timeout 0
	opened 605 3 /mnt/pmem/wrapped 'ACTIVE    EXCL 605'
	process 606 child 0
	opened 606 3 /mnt/pmem/wrapped 'ACTIVE    EXCL 605'
	lease ACTIVE EXCL 605 /mnt/pmem/wrapped
	# And one of which nothing lives.
	process 607 dead 0
	process 607/task/607 dead 0
	sed -i 's/) S /) Z /' "$root"/proc/607/{stat,task/607/stat}
	rm "$root/proc/607/file_pins"
}

root_damaged()
{
	new_root damaged
	file /mnt/pmem/foo
	process 812 ib_write_bw 0
	printf '4: /dev/infiniband/uverbs0\n\t/mnt/pmem/foo\n5: \n6\n\t' |
		put proc/812/file_pins
	echo '(' | put proc/812/stat
	: | put proc/812/status
	region /mnt/pmem/foo 0-4095 812 5230 /dev/infiniband/uverbs0
	region /mnt/pmem/foo 8192-4095 812 5230 /dev/infiniband/uverbs0
	printf 'nonsense\n%s 0-4095 pid' "$(device_inode /mnt/pmem/foo)" \
		>> "$root/$table"
	printf '9: LAYOUT ODD EXCL 1 0:0:1 0 EOF\n10: LAYOUT\n' >> "$root/proc/locks"
}

# Directories of processes of which nothing is left, and a lease of one.
root_ended()
{
	new_root ended
	file /mnt/pmem/foo
	process 812 ib_write_bw 0
	printf '4: /dev/infiniband/uverbs0\n\t/mnt/pmem/foo\n' |
		put proc/812/file_pins
	rm "$root/proc/812/comm" "$root/proc/812/status" "$root/proc/812/stat"
	mkdir "$root/proc/813"
	lease ACTIVE SHARED 814 /mnt/pmem/foo
}

root_watch()
{
	new_root watch
	file /mnt/pmem/foo
	process 812 ib_write_bw 0
	process 900 writer 0
	printf '4: /dev/infiniband/uverbs0\n\t/mnt/pmem/foo\n' |
		put proc/812/file_pins
	opened 900 7 /mnt/pmem/foo
	lease ACTIVE SHARED 900 /mnt/pmem/foo
}
