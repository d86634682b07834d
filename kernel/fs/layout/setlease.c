// SPDX-License-Identifier: GPL-2.0-only
/*
 * ->setlease() of file systems that opt in: may this open file take a layout
 * lease now? lease.c says which leases may stand at once.
 *
 * i_rwsem of the inode is held shared while a lease is granted, see internal.h.
 */
#include <linux/delay.h>
#include <linux/fcntl.h>
#include <linux/filelock.h>
#include <linux/fs.h>
#include <linux/layout_pin.h>
#include <linux/sched/signal.h>
#include <linux/sysctl.h>

#include "internal.h"

#include <trace/events/layout_pin.h>

static int layout_leases_enable __read_mostly = 1;

static struct ctl_table layout_pin_sysctls[] = {
	{
		.procname	= "layout-leases-enable",
		.data		= &layout_leases_enable,
		.maxlen		= sizeof(int),
		.mode		= 0644,
		.proc_handler	= proc_dointvec_minmax,
		.extra1		= SYSCTL_ZERO,
		.extra2		= SYSCTL_ONE,
	},
};

static int __init layout_pin_sysctl_init(void)
{
	register_sysctl_init("fs", layout_pin_sysctls);
	return 0;
}
fs_initcall(layout_pin_sysctl_init);

static int layout_setlease_allowed(struct file *filp, bool unbreakable)
{
	if (unbreakable && !(filp->f_mode & FMODE_WRITE))
		return -EBADF;
	if (!layout_leases_enable)
		return -EINVAL;
	/* swapon(2) holds the inode lock from its check until it sets this. */
	if (IS_SWAPFILE(file_inode(filp)))
		return -ETXTBSY;
	return 0;
}

/*
 * A change of the layout may hold the inode lock for as long as somebody uses a
 * page, and nobody can tell how long. fcntl(2) never slept here, so do not
 * queue for the lock. But changes that follow each other leave it free only for
 * a moment, so try often.
 */
static int layout_lock_shared(struct inode *inode)
{
	unsigned long end = jiffies + HZ / 4;

	while (!inode_trylock_shared(inode)) {
		if (signal_pending(current))
			return -EINTR;
		if (time_after(jiffies, end))
			return -EAGAIN;
		usleep_range_state(20, 60, TASK_INTERRUPTIBLE);
	}
	return 0;
}

/**
 * layout_setlease_if() - ->setlease() of a file system with its own condition
 * @filp: open file
 * @arg: argument of F_SETLEASE
 * @flp: the lease made of it; NULL for F_UNLCK
 * @priv: passed on
 * @allowed: called with the inode lock held shared, before a layout lease is
 *	granted: 0 to go on, or the errno to answer. May be NULL.
 *
 * Plain leases pass through, and so does F_UNLCK: letting go takes no lock that
 * a change of the layout may hold.
 *
 * Context: may sleep; takes the inode lock, so that no lease is granted while
 *	blocks move.
 * Return: as layout_setlease(), or what @allowed answers.
 */
int layout_setlease_if(struct file *filp, int arg, struct file_lease **flp,
		       void **priv, int (*allowed)(struct inode *inode))
{
	bool unbreakable = arg & (F_UNBREAK | F_EXCLUSIVE);
	struct inode *inode = file_inode(filp);
	int error;

	if (!layout_lease_arg(arg))
		return generic_setlease(filp, arg, flp, priv);

	error = layout_setlease_allowed(filp, unbreakable);
	if (error)
		return error;
	/* A hint that stays: this process's pins look for FS DAX. */
	if (unbreakable)
		WRITE_ONCE(current->signal->layout_holder, true);

	error = layout_lock_shared(inode);
	if (error)
		return error;
	error = layout_setlease_allowed(filp, unbreakable);
	if (!error && allowed)
		error = allowed(inode);
	if (!error)
		error = generic_setlease(filp, F_RDLCK, flp, priv);
	inode_unlock_shared(inode);
	if (!error)
		trace_lease_set(inode, arg);
	return error;
}
EXPORT_SYMBOL_GPL(layout_setlease_if);

/**
 * layout_setlease() - ->setlease() of a file system that opts in
 * @filp: open file
 * @arg: argument of F_SETLEASE
 * @flp: the lease made of it; NULL for F_UNLCK
 * @priv: passed on
 *
 * By opting in a file system promises to call layout_break() and
 * layout_pin_check() wherever blocks move.
 *
 * Context: as layout_setlease_if().
 * Return: as generic_setlease(), and for layout leases: -EBADF if an
 *	unbreakable one is asked for through a descriptor not open for writing,
 *	-ETXTBSY for an active swap file, -EINVAL if layout leases are switched
 *	off, -EINTR if a signal comes while another task holds the inode lock,
 *	-EAGAIN if that task holds it for long; -EAGAIN, -EBUSY and -EINVAL as
 *	layout_lease_grant() and layout_lease_change().
 */
int layout_setlease(struct file *filp, int arg, struct file_lease **flp,
		    void **priv)
{
	return layout_setlease_if(filp, arg, flp, priv, NULL);
}
EXPORT_SYMBOL_GPL(layout_setlease);
