/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Layout leases for programs: the constants of F_SETLEASE, the meaning of its
 * errors, and a probe that says whether a file can have a lease and, if not, why.
 *
 * Everything is in this file; there is no library to link with. Define
 * _GNU_SOURCE before the first #include. See layout_lease(7).
 */
#ifndef HOLDFAST_LAYOUT_LEASE_H
#define HOLDFAST_LAYOUT_LEASE_H

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#ifndef F_SETLEASE
#error "define _GNU_SOURCE before the first #include"
#endif

/* A lease that a change of the layout breaks; for F_SETLEASE. */
#ifndef F_LAYOUT
#define F_LAYOUT	16
#endif
/* With F_LAYOUT: unbreakable, nobody else's beside it. */
#ifndef F_EXCLUSIVE
#define F_EXCLUSIVE	32
#endif
/* With F_LAYOUT: unbreakable, others may hold one as well. */
#ifndef F_UNBREAK
#define F_UNBREAK	64
#endif

/**
 * enum layout_lease_reason - what layout_lease_probe() found
 * @LAYOUT_LEASE_OK: the lease could be had just now, or this open file has one
 *	of this kind, or a stronger one, already
 * @LAYOUT_LEASE_BAD_KIND: the argument is not a kind of layout lease
 * @LAYOUT_LEASE_BAD_FD: the descriptor is not open, or opened with O_PATH
 * @LAYOUT_LEASE_NO_KERNEL: this kernel has no layout leases
 * @LAYOUT_LEASE_OFF: layout leases are switched off
 * @LAYOUT_LEASE_ALL_OFF: leases of every kind are switched off
 * @LAYOUT_LEASE_NOT_REGULAR: not a regular file
 * @LAYOUT_LEASE_NO_FILE_SYSTEM: the file system has not opted in
 * @LAYOUT_LEASE_SHARED_BLOCKS: XFS, and the file shares blocks
 * @LAYOUT_LEASE_NOT_OWNER: the file is another user's, and there is no CAP_LEASE
 * @LAYOUT_LEASE_NOT_WRITABLE: the descriptor is not open for writing
 * @LAYOUT_LEASE_SWAP: the file is an active swap file
 * @LAYOUT_LEASE_CONFLICT: somebody's lease is in the way, or this open file's
 *	own is being broken
 * @LAYOUT_LEASE_PLAIN: this open file has a plain lease
 * @LAYOUT_LEASE_WEAKER: this open file has a layout lease of a weaker kind, which
 *	the probe leaves alone; F_SETLEASE is the only way to know
 * @LAYOUT_LEASE_ERROR: something else; see the errno
 */
enum layout_lease_reason {
	LAYOUT_LEASE_OK,
	LAYOUT_LEASE_BAD_KIND,
	LAYOUT_LEASE_BAD_FD,
	LAYOUT_LEASE_NO_KERNEL,
	LAYOUT_LEASE_OFF,
	LAYOUT_LEASE_ALL_OFF,
	LAYOUT_LEASE_NOT_REGULAR,
	LAYOUT_LEASE_NO_FILE_SYSTEM,
	LAYOUT_LEASE_SHARED_BLOCKS,
	LAYOUT_LEASE_NOT_OWNER,
	LAYOUT_LEASE_NOT_WRITABLE,
	LAYOUT_LEASE_SWAP,
	LAYOUT_LEASE_CONFLICT,
	LAYOUT_LEASE_PLAIN,
	LAYOUT_LEASE_WEAKER,
	LAYOUT_LEASE_ERROR,
};

/**
 * layout_lease_why() - the reason in words, without a full stop
 * @reason: answer of layout_lease_probe()
 *
 * Return: a string constant.
 */
static inline const char *layout_lease_why(enum layout_lease_reason reason)
{
	switch (reason) {
	case LAYOUT_LEASE_OK:
		return "the lease can be had";
	case LAYOUT_LEASE_BAD_KIND:
		return "this is not a kind of layout lease";
	case LAYOUT_LEASE_BAD_FD:
		return "the descriptor is not open for reading or writing";
	case LAYOUT_LEASE_NO_KERNEL:
		return "this kernel has no layout leases";
	case LAYOUT_LEASE_OFF:
		return "layout leases are switched off: set "
		       "/proc/sys/fs/layout-leases-enable to 1";
	case LAYOUT_LEASE_ALL_OFF:
		return "leases are switched off: set "
		       "/proc/sys/fs/leases-enable to 1";
	case LAYOUT_LEASE_NOT_REGULAR:
		return "this is not a regular file";
	case LAYOUT_LEASE_NO_FILE_SYSTEM:
		return "the file system does not offer layout leases (ext4 "
		       "and XFS do)";
	case LAYOUT_LEASE_SHARED_BLOCKS:
		return "the file shares blocks, or its blocks move by design: "
		       "'flease --unshare FILE' clears the former";
	case LAYOUT_LEASE_NOT_OWNER:
		return "the file is somebody else's: run as its owner, or with "
		       "CAP_LEASE";
	case LAYOUT_LEASE_NOT_WRITABLE:
		return "the file is not open for writing";
	case LAYOUT_LEASE_SWAP:
		return "the file is an active swap file: swapoff it first";
	case LAYOUT_LEASE_CONFLICT:
		return "another lease is in the way; see /proc/locks";
	case LAYOUT_LEASE_PLAIN:
		return "this open file has a plain lease: release that, or "
		       "open the file again";
	case LAYOUT_LEASE_WEAKER:
		return "this open file has a weaker layout lease: ask for the "
		       "stronger one with F_SETLEASE";
	case LAYOUT_LEASE_ERROR:
		break;
	}
	return "the system call failed for another reason";
}

/* Not part of the interface: first digit of a file of /proc, or -1. */
static inline int layout_lease_switch(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char digit;
	ssize_t got;

	if (fd < 0)
		return -1;
	got = read(fd, &digit, 1);
	close(fd);
	return got == 1 ? digit - '0' : -1;
}

/* Not part of the interface: which of the kinds is stronger. */
static inline int layout_lease_strength(int kind)
{
	if (kind & F_EXCLUSIVE)
		return 3;
	if (kind & F_UNBREAK)
		return 2;
	return !!(kind & F_LAYOUT);
}

/* Not part of the interface: the cause of an EINVAL. */
static inline enum layout_lease_reason layout_lease_einval(int fd)
{
	int on = layout_lease_switch("/proc/sys/fs/layout-leases-enable");
	struct stat st;

	if (on < 0)
		return LAYOUT_LEASE_NO_KERNEL;
	if (!on)
		return LAYOUT_LEASE_OFF;
	if (!layout_lease_switch("/proc/sys/fs/leases-enable"))
		return LAYOUT_LEASE_ALL_OFF;
	if (!fstat(fd, &st) && !S_ISREG(st.st_mode))
		return LAYOUT_LEASE_NOT_REGULAR;
	return LAYOUT_LEASE_NO_FILE_SYSTEM;
}

/* Not part of the interface: the cause of an EOPNOTSUPP. */
static inline enum layout_lease_reason layout_lease_eopnotsupp(int fd)
{
	struct statfs fs;

	if (layout_lease_switch("/proc/sys/fs/layout-leases-enable") < 0)
		return LAYOUT_LEASE_NO_KERNEL;
	if (!fstatfs(fd, &fs) && fs.f_type == 0x58465342 /* XFS_SUPER_MAGIC */)
		return LAYOUT_LEASE_SHARED_BLOCKS;
	return LAYOUT_LEASE_NO_FILE_SYSTEM;
}

/**
 * layout_lease_reason_of() - why F_SETLEASE refused
 * @fd: the descriptor that it was given
 * @error: the errno of it
 *
 * Return: the reason, for layout_lease_why(); LAYOUT_LEASE_ERROR if the errno
 *	alone says it.
 */
static inline enum layout_lease_reason
layout_lease_reason_of(int fd, int error)
{
	switch (error) {
	case EINVAL:
		return layout_lease_einval(fd);
	case EOPNOTSUPP:
		return layout_lease_eopnotsupp(fd);
	case EACCES:
		return LAYOUT_LEASE_NOT_OWNER;
	case EBADF:
		return LAYOUT_LEASE_NOT_WRITABLE;
	case ETXTBSY:
		return LAYOUT_LEASE_SWAP;
	case EAGAIN:
		return LAYOUT_LEASE_CONFLICT;
	default:
		return LAYOUT_LEASE_ERROR;
	}
}

/*
 * Not part of the interface: take the lease and drop it at once. Dropping a
 * lease makes the kernel forget F_SETSIG and F_SETOWN of the open file, and
 * taking one sets the latter, so both are put back. Returns an errno, or 0.
 */
static inline int layout_lease_try(int fd, int kind)
{
	struct f_owner_ex owner;
	int error = 0, sig = fcntl(fd, F_GETSIG);
	int owned = !fcntl(fd, F_GETOWN_EX, &owner) && owner.pid;

	if (fcntl(fd, F_SETLEASE, kind))
		return errno;
	/* EBUSY: another thread made a pin under it, so it is in use now. */
	if (fcntl(fd, F_SETLEASE, F_UNLCK))
		error = errno;
	if (!error && sig > 0)
		fcntl(fd, F_SETSIG, sig);
	if (!error && owned)
		fcntl(fd, F_SETOWN_EX, &owner);
	return error;
}

/**
 * layout_lease_probe() - can this file have a layout lease, and if not, why?
 * @fd: descriptor of the file, open as it will be for the lease
 * @kind: F_LAYOUT, F_LAYOUT | F_UNBREAK or F_LAYOUT | F_EXCLUSIVE
 * @error: where to put the errno of the refusal, 0 if there was none; or NULL
 *
 * Takes the lease and drops it again at once, unless this open file has a lease:
 * that one is neither dropped nor changed. For that moment the lease stands
 * against others as any does. No other thread may set a lease through the same
 * open file meanwhile, and the answer is about now: be ready for F_SETLEASE to
 * refuse all the same. Says nothing about the right to pin, which needs a DAX
 * file and belongs to the process that took the lease.
 *
 * Return: LAYOUT_LEASE_OK, or why not; for layout_lease_why(). errno is kept.
 */
static inline enum layout_lease_reason
layout_lease_probe(int fd, int kind, int *error)
{
	enum layout_lease_reason reason = LAYOUT_LEASE_OK;
	int type = kind & ~(F_LAYOUT | F_EXCLUSIVE | F_UNBREAK);
	int saved = errno, held, e = 0;

	if (!(kind & F_LAYOUT) || (type && type != F_RDLCK)) {
		reason = LAYOUT_LEASE_BAD_KIND;
		e = EINVAL;
		goto out;
	}
	held = fcntl(fd, F_GETLEASE);
	if (held < 0) {
		e = errno;
		reason = e == EBADF ? LAYOUT_LEASE_BAD_FD : LAYOUT_LEASE_ERROR;
	} else if (held == F_UNLCK) {
		e = layout_lease_try(fd, kind);
		if (e)
			reason = layout_lease_reason_of(fd, e);
	} else if (!layout_lease_strength(held)) {
		reason = LAYOUT_LEASE_PLAIN;
		e = EINVAL;
	} else if (layout_lease_strength(held) < layout_lease_strength(kind)) {
		reason = LAYOUT_LEASE_WEAKER;
	}
out:
	if (error)
		*error = e;
	errno = saved;
	return reason;
}

#endif /* HOLDFAST_LAYOUT_LEASE_H */
