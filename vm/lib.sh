# shellcheck shell=bash
# What the scripts of vm/, bench/run and demo/run share: which kernel, the command line,
# configuring and making a kernel, the series of patches, and what QEMU runs on. They
# source this.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
script=$(basename "$(cd "$(dirname "$0")" && pwd)")/$(basename "$0")
version=$(< "$top/vm/version")

die()
{
	echo "$script: $*" >&2
	exit 1
}

misused()
{
	echo "$script: $*; try --help" >&2
	exit 2
}

# The comment at the head of the script, which is its help.
usage()
{
	sed -n -e 1d -e '/^#/!q' -e '/^# shellcheck/d' -e 's/^# \?//p' "$0"
}

# Usage: set_option NAME [VALUE]
set_option()
{
	local variable=${1//-/_}
	[ "$1" != kernel ] || variable=version
	printf -v "$variable" %s "${2-1}"
}

# Usage: parse KNOWN "$@": reads the command line. KNOWN has a word for each option beside
# --kernel and --help: "name=" for --name VALUE, which sets $name, "name" for --name, which
# sets it to 1. The word "..." allows operands, the word "--" a command behind that: they
# are in $arguments then, the command with its "--".
parse()
{
	local known=" kernel= $1 " name
	shift
	arguments=()
	while [ $# -gt 0 ]; do
		name=${1#--}
		case $1 in
		--help) usage; exit 0 ;;
		--) [[ $known != *" -- "* ]] || { arguments+=("$@"); return; } ;;&
		--?*)
			if [[ $known == *" $name= "* ]]; then
				[ $# -ge 2 ] || misused "$1 needs a value"
				set_option "$name" "$2"
				shift
			elif [[ $known == *" $name "* ]]; then
				set_option "$name"
			else
				misused "unknown option '$1'"
			fi
			;;
		-*) misused "unknown option '$1'" ;;
		*)
			[[ $known == *" ... "* ]] || misused "unknown argument '$1'"
			arguments+=("$1")
			;;
		esac
		shift
	done
}

# Usage: kmake TARGET...: makes it of $src in $out, for $arch and with the compiler of
# $cross if these are set. Objects are shared by all checkouts and do not depend on where
# they are, nor, but for $build_time, on when they are made.
build_time=@0
kmake()
{
	CCACHE_BASEDIR=$top CCACHE_NOHASHDIR=1 KBUILD_BUILD_TIMESTAMP=$build_time \
	KBUILD_BUILD_USER=holdfast KBUILD_BUILD_HOST=holdfast \
		make -C "$src" O="$out" ${arch:+ARCH="$arch"} ${cross:+CROSS_COMPILE="$cross"} \
		CC="ccache ${cross-}gcc" HOSTCC="ccache gcc" LOCALVERSION=-holdfast \
		-j"$(nproc)" "$@" 9>&-
}

# Usage: merge START FILE...: makes $out/.config of START, which is a target or an .xz, with
# the options of FILE... over it.
merge()
{
	local start=$1
	shift
	case $start in
	*.xz) xzcat "$start" > "$out/.config" ;;
	*) kmake "$start" ;;
	esac &&
		(cd "$src" && scripts/kconfig/merge_config.sh -m -O "$out" "$out/.config" "$@") &&
		kmake olddefconfig
}

# Usage: is_configured: whether $out/.config is there and was made of what is now in
# $out/fragments.new, and what may be chosen has not changed since.
is_configured()
{
	[ -e "$out/.config" ] && cmp -s "$out/fragments.new" "$out/fragments" &&
		[ "$src/fs/Kconfig" -ot "$out/fragments" ]
}

# Usage: lost FILE...: which of their options $out/.config does not have.
lost()
{
	local option
	grep -hE '^(CONFIG_[A-Z0-9_]*=|# CONFIG_.* is not set$)' "$@" | while read -r option; do
		grep -qxF -- "$option" "$out/.config" && continue
		# An option that is not offered is off as well.
		case $option in
		'# '*) grep -q "^${option:2:-11}=" "$out/.config" || continue ;;
		esac
		printf ' %s' "${option// /_}"
	done
}

# Usage: configure START FILE...: as merge, if need be; all options have to survive.
configure()
{
	local lost
	{
		[[ $1 != *.xz ]] || xzcat "$1"
		cat "${@:2}"
	} > "$out/fragments.new"
	! is_configured || return 0
	rm -f "$out/fragments"
	merge "$@" >> "$log" 2>&1 || failed "the configuration"
	lost=$(lost "${@:2}")
	[ -z "$lost" ] || die "options did not survive:$lost; does the configuration fit" \
		"the source? see what they depend on in $src"
	mv "$out/fragments.new" "$out/fragments"
}

# Usage: packaged NAME: where the file NAME of the kernel's packages is: installed, or
# unpacked by vm/install.
packaged()
{
	if [ -e "/usr/src/$1" ]; then
		echo "/usr/src/$1"
	else
		echo "$top/build/$version/package/usr/src/$1"
	fi
}

# How many objects the kernel's log speaks of.
objects_made()
{
	grep -cE '^ +(CC|AS) ' "$log" || true
}

# Usage: progress COMMAND: shows again and again what it says and the time.
progress()
{
	local line start=$SECONDS last=-60
	while sleep 2; do
		line="$("$1"), $((SECONDS - start)) s"
		if [ -t 1 ]; then
			printf '\r%-78s' "$line"
		elif [ $((SECONDS - last)) -ge 60 ]; then
			last=$SECONDS
			echo "$line"
		fi
	done
}

# Usage: begin_progress COMMAND: one line that moves on a terminal, a line a minute
# elsewhere, until end_progress.
progress_pid=""
begin_progress()
{
	progress "$1" 9>&- &
	progress_pid=$!
}

end_progress()
{
	[ -n "$progress_pid" ] || return 0
	kill "$progress_pid" 2> /dev/null || true
	progress_pid=""
	[ ! -t 1 ] || echo
}

# What went wrong, from $log.
show_errors()
{
	{ grep -E -A3 'error:|\*\*\* |undefined reference|No space left' "$log" ||
		tail -n 20 "$log"; } | tail -n 30 >&2
}

# Usage: failed WHAT: the end of the log, and what is likely to help.
failed()
{
	end_progress
	echo "$script: $1 failed; from $log:" >&2
	show_errors
	if grep -q 'No space left' "$log"; then
		echo "$script: the disk is full: make room below build/ and run this again;" \
			"it goes on where it stopped" >&2
	fi
	exit 1
}

# The files of the series, one a line, in its order.
series()
{
	[ -e "$top/patches/$version/series" ] || die "no patches/$version/series"
	sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' -e "s|^|$top/patches/$version/|" \
		"$top/patches/$version/series"
}

# Usage: subjects VERSION: those of its series, in order.
subjects()
{
	local version=$1 file
	series | while read -r file; do
		sed -n -e '/^$/q' -e '/^Subject: /,/^[^ ]/{/^[^ ]/{/^Subject: /!q};p}' "$file" |
			tr -d '\n' | sed -e 's/^Subject: \[PATCH[^]]*\] //'
		echo
	done
}

# The files that the series changes, not those that it adds.
changed_files()
{
	series | xargs -r -d '\n' sed -n 's|^--- a/\([^[:space:]]*\).*|\1|p' | sort -u
}

# The new files that this version has: all of kernel/ but those that its series does without.
kernel_files()
{
	local without=$top/patches/$version/without
	[ -e "$without" ] || without=/dev/null
	(cd "$top/kernel" && find . -type f) |
		grep -vxFf <(sed -n 's|^\([^#[:space:]][^[:space:]]*\).*|./\1|p' "$without") |
		sort
}

# Usage: patch_tree DIRECTORY FILE
patch_tree()
{
	patch -d "$1" -p1 --fuzz=0 --no-backup-if-mismatch -s < "$2"
}

# Does a guest really boot under KVM? There are hosts where /dev/kvm opens and a guest
# hangs, so boot one. The answer is kept in build/kvm for the next time.
kvm_works()
{
	local answer=$top/build/kvm log
	if [ ! -e "$answer" ]; then
		log=$(mktemp)
		timeout -k 1 20 qemu-system-x86_64 -accel kvm -cpu host -machine q35 \
			-m 1G -nographic -no-reboot -nodefaults -serial "file:$log" \
			-kernel "$1" -append "console=ttyS0 panic=-1" \
			< /dev/null > /dev/null 2>&1 || true
		# Without a root file system a kernel that works panics about just that.
		if grep -aq 'Unable to mount root' "$log"; then
			echo yes > "$answer"
		else
			echo no > "$answer"
			echo "$script: KVM does not boot a guest here; using TCG" >&2
		fi
		rm -f "$log"
	fi
	grep -q yes "$answer"
}

# Usage: choose_accelerator IMAGE: sets $accel to QEMU's options for this machine.
choose_accelerator()
{
	accel=(-accel "tcg,thread=multi" -cpu "${VM_CPU:-max}")
	if [ -w /dev/kvm ] && kvm_works "$1"; then
		accel=(-accel kvm -cpu host)
	fi
}
