/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Layout leases and long-term pins of FS DAX pages.
 *
 * What a file system calls:
 *	layout_setlease()	as its ->setlease(), to opt in; or from there
 *				layout_setlease_if(), if it has a condition;
 *	layout_break()		before a change of the layout, with the inode
 *				lock held: refuses early, then asks the holders
 *				of breakable leases to let go;
 *	layout_pin_check()	under the invalidate lock (or whatever else
 *				keeps page faults out), before blocks move: the
 *				range it is about to take away, in bytes,
 *				inclusive;
 *	layout_exchange()	in place of layout_break() for operations that
 *				exchange blocks of files (swap, defrag); for
 *				those that share them (reflink, dedupe) the
 *				VFS asks, in generic_remap_file_range_prep();
 *	layout_in_use()		before it changes a file in the background,
 *				unasked: it leaves a file in use alone;
 *	linux/layout_range.h	computes the range of truncate and fallocate.
 *
 * linux/layout_wait.h waits for leases and pages, without a lock.
 *
 * What a driver calls: linux/vaddr_pin.h.
 *
 * With CONFIG_LAYOUT_PIN=n all of it compiles to what the caller did before.
 */
#ifndef _LINUX_LAYOUT_PIN_H
#define _LINUX_LAYOUT_PIN_H

#include <linux/types.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/layout_range.h>
#include <linux/list.h>
#include <linux/sched.h>
#include <linux/filelock.h>

struct dev_pagemap;
struct file;
struct inode;
struct layout_pin;
struct page;
struct vaddr_pin;

#ifdef CONFIG_LAYOUT_PIN

/* fs/layout/lease.c and check.c, for file systems and the VFS */
int layout_setlease(struct file *filp, int arg, struct file_lease **flp,
		    void **priv);
int layout_setlease_if(struct file *filp, int arg, struct file_lease **flp,
		       void **priv, int (*allowed)(struct inode *inode));
int __layout_break(struct inode *inode, loff_t start, loff_t end);
int __layout_pin_check(struct inode *inode, loff_t start, loff_t end);
bool __layout_in_use(struct inode *inode);
bool __layout_fallocate_fails(struct inode *inode, int mode, loff_t offset,
			      loff_t len, u64 unit);
int __layout_exchange_check(struct inode *inode1, struct inode *inode2);
int __layout_exchange(struct inode *inode1, struct inode *inode2);
int __layout_remap(struct file *file_in, struct file *file_out,
		   unsigned int remap_flags);
bool __layout_pin_covers(struct inode *inode, pgoff_t index, pgoff_t last);
void __layout_pin_synced(struct inode *inode);

/* Did @inode ever have a layout lease? Costs one or two loads. */
static inline bool layout_pin_inode(const struct inode *inode)
{
	const struct file_lock_context *ctx = locks_inode_context(inode);

	return ctx && READ_ONCE(ctx->flc_layout);
}

/**
 * layout_pin_check() - may the blocks behind a range be taken away?
 * @inode: file about to change
 * @start: first byte of the range
 * @end: last byte of the range, LLONG_MAX for "to the end of the file"
 *
 * Page granular: any page that the range touches counts. A file system whose
 * unit of allocation is larger rounds outwards before it calls.
 *
 * Context: caller excludes page faults (invalidate lock held for writing).
 *	Takes flc_lock. Never sleeps, signals nobody.
 * Return: 0, or -ETXTBSY if the range meets a pin or if another process
 *	holds a live unbreakable layout lease on the file.
 */
static inline int layout_pin_check(struct inode *inode, loff_t start,
				   loff_t end)
{
	return layout_pin_inode(inode) ?
		__layout_pin_check(inode, start, end) : 0;
}

/**
 * layout_in_use() - is there any pin, or any layout lease of a process?
 * @inode: the file
 *
 * Counts leases of every kind, even the caller's own. For what a file system
 * does in the background, unasked: it leaves such a file alone, and signals
 * nobody.
 *
 * Context: the inode lock held, so that no lease is granted meanwhile. Takes
 *	flc_lock, never sleeps. Not for an inode that is on its way out.
 */
static inline bool layout_in_use(struct inode *inode)
{
	return layout_pin_inode(inode) && __layout_in_use(inode);
}

/**
 * layout_swap_check() - may this file become a swap file?
 * @inode: the file
 *
 * swapon(2) does not ask the holders of breakable leases to let go: they would
 * work on the blocks, and swap does.
 *
 * Context: as layout_in_use().
 * Return: 0, or -ETXTBSY if it is in use.
 */
static inline int layout_swap_check(struct inode *inode)
{
	return layout_in_use(inode) ? -ETXTBSY : 0;
}

/**
 * layout_break() - get layout leases out of the way of a layout change
 * @inode: file about to change
 * @start: first byte of the range, as for layout_pin_check()
 * @end: last byte of the range
 *
 * Refuses first, so that a doomed change signals nobody; then signals the
 * holders of breakable leases. Does not wait for them, since they may have to
 * write before they let go: pass -EAGAIN up to the function that called
 * layout_wait_begin(). Says nothing about pins that come later: call
 * layout_pin_check() under the invalidate lock as well.
 *
 * Context: may sleep. The inode lock held, which keeps new leases out.
 * Return: 0, -ETXTBSY as layout_pin_check(), -EAGAIN if there is a lease to
 *	wait for, -ENOMEM.
 */
static inline int layout_break(struct inode *inode, loff_t start, loff_t end)
{
	return layout_pin_inode(inode) ? __layout_break(inode, start, end) : 0;
}

/**
 * layout_fallocate_fails() - will the file system refuse this fallocate(2)?
 * @inode: the file
 * @mode: FALLOC_FL_ flags, checked by the caller
 * @offset: as given, in bytes
 * @len: as given, in bytes
 * @unit: what the file system allocates at a time, in bytes
 *
 * Says so if the arguments are wrong, whatever leases there are. The file
 * system then calls layout_pin_check() and not layout_break(), since no holder
 * has to let go for a call that changes nothing. It still makes its own checks.
 *
 * Context: may wait for direct I/O. The lock held that keeps the size of the
 *	file, and held until the file system has made its checks.
 * Return: false if it may succeed, or if the file never had a layout lease.
 */
static inline bool layout_fallocate_fails(struct inode *inode, int mode,
					  loff_t offset, loff_t len, u64 unit)
{
	return layout_pin_inode(inode) &&
		__layout_fallocate_fails(inode, mode, offset, len, unit);
}

/**
 * layout_exchange_check() - may blocks of these files be shared or exchanged?
 * @inode1: one of the files
 * @inode2: the other one; @inode1 again if there is none
 *
 * For what takes long or asks others before layout_exchange() or layout_remap()
 * is called: it would be in vain. Asks nobody.
 *
 * Context: takes flc_lock. Without the locks of the inodes the answer may
 *	change at once.
 * Return: 0, or -ETXTBSY if there is a pin or a live unbreakable layout lease,
 *	even the caller's own.
 */
static inline int layout_exchange_check(struct inode *inode1,
					struct inode *inode2)
{
	return layout_pin_inode(inode1) || layout_pin_inode(inode2) ?
		__layout_exchange_check(inode1, inode2) : 0;
}

/**
 * layout_exchange() - get layout leases out of the way of an exchange of blocks
 * @inode1: one of the files
 * @inode2: the other one; @inode1 again if there is none
 *
 * Checks both files as a whole; even the caller's own unbreakable lease
 * refuses. Refuses before it asks holders, as layout_break() does. Call it when
 * nothing else can fail.
 *
 * Context: may sleep. The locks of both inodes held.
 * Return: 0; -ETXTBSY if there is a pin or an unbreakable layout lease, -EAGAIN
 *	if there is a lease to wait for, -ENOMEM.
 */
static inline int layout_exchange(struct inode *inode1, struct inode *inode2)
{
	return layout_pin_inode(inode1) || layout_pin_inode(inode2) ?
		__layout_exchange(inode1, inode2) : 0;
}

/**
 * layout_remap() - get layout leases out of the way of a sharing of blocks
 * @file_in: file whose blocks are shared
 * @file_out: file that gets them
 * @remap_flags: REMAP_FILE flags
 *
 * As layout_exchange(), but sharing blocks takes no more rights than reading a
 * file. So a caller that could not take the lease itself breaks no lease of
 * others. Nor does a copy, which can do without sharing. For both a breakable
 * lease of another process refuses as well.
 *
 * Context: as layout_exchange().
 * Return: as layout_exchange().
 */
static inline int layout_remap(struct file *file_in, struct file *file_out,
			       unsigned int remap_flags)
{
	return layout_pin_inode(file_inode(file_in)) ||
	       layout_pin_inode(file_inode(file_out)) ?
		__layout_remap(file_in, file_out, remap_flags) : 0;
}

/**
 * layout_pin_covers() - is any page of this part of the file pinned?
 * @inode: file
 * @index: first page offset
 * @last: last page offset
 *
 * For fsync: a pinned entry stays dirty, since the device may write again.
 *
 * Context: takes flc_lock, so not under the xarray lock.
 */
static inline bool layout_pin_covers(struct inode *inode, pgoff_t index,
				     pgoff_t last)
{
	return layout_pin_inode(inode) &&
		__layout_pin_covers(inode, index, last);
}

/**
 * layout_pin_synced() - what a device wrote so far was flushed for an fsync
 * @inode: file
 *
 * No device says when it writes. So fsync and sync move the times of a file
 * that has pages pinned for writing, as a store before them would have.
 *
 * Context: write-back of the inode: may start a transaction. No spinlock.
 */
static inline void layout_pin_synced(struct inode *inode)
{
	if (layout_pin_inode(inode))
		__layout_pin_synced(inode);
}

/**
 * layout_wait_schedule() - sleep while pages are busy
 * @inode: their file; the inode lock is held
 *
 * In place of schedule(), for the loop in which a change of the layout waits
 * for short references. Nobody wakes that task when a long-term pin arrives
 * meanwhile, and that page will not be idle for hours. So it looks again now
 * and then, with layout_pin_check() in the condition of the wait. A file
 * without leases gets neither leases nor pins while the inode lock is held.
 *
 * Context: the caller has set the state of the task.
 */
static inline void layout_wait_schedule(const struct inode *inode)
{
	if (layout_pin_inode(inode))
		schedule_timeout(HZ / 10);
	else
		schedule();
}

/* fs/layout/record.c, for mm/vaddr_pin.c */
struct layout_pin *layout_pin_add(struct vaddr_pin *vp, struct inode *inode,
				  pgoff_t first, pgoff_t last);
void layout_pin_commit(struct vaddr_pin *vp, struct layout_pin *pin,
		       pgoff_t first, pgoff_t last, struct dev_pagemap *pgmap);
void layout_pin_drop(struct layout_pin *pin);

/* fs/dax_pinned.c, for fs/layout/record.c */
void dax_unpin_entries(struct address_space *mapping, pgoff_t first,
		       pgoff_t last);
int dax_pin_entries(struct address_space *mapping, pgoff_t first, pgoff_t last);

/* mm/vaddr_pin.c, for fs/dax_pinned.c */
bool vaddr_pin_again(struct page *page);

/* fs/layout/report.c, for mm/memremap.c */
void layout_pin_report(struct dev_pagemap *pgmap);

#else /* !CONFIG_LAYOUT_PIN */

static inline int layout_pin_check(struct inode *inode, loff_t start,
				   loff_t end)
{
	return 0;
}

static inline bool layout_in_use(struct inode *inode)
{
	return false;
}

static inline int layout_swap_check(struct inode *inode)
{
	return 0;
}

static inline int layout_break(struct inode *inode, loff_t start, loff_t end)
{
	return 0;
}

static inline bool layout_fallocate_fails(struct inode *inode, int mode,
					  loff_t offset, loff_t len, u64 unit)
{
	return false;
}

static inline int layout_exchange_check(struct inode *inode1,
					struct inode *inode2)
{
	return 0;
}

static inline int layout_exchange(struct inode *inode1, struct inode *inode2)
{
	return 0;
}

static inline int layout_remap(struct file *file_in, struct file *file_out,
			       unsigned int remap_flags)
{
	return 0;
}

static inline bool layout_pin_covers(struct inode *inode, pgoff_t index,
				     pgoff_t last)
{
	return false;
}

static inline void layout_pin_synced(struct inode *inode)
{
}

static inline void layout_wait_schedule(const struct inode *inode)
{
	schedule();
}

static inline int layout_setlease(struct file *filp, int arg,
				  struct file_lease **flp, void **priv)
{
	return generic_setlease(filp, arg, flp, priv);
}

static inline int
layout_setlease_if(struct file *filp, int arg, struct file_lease **flp,
		   void **priv, int (*allowed)(struct inode *inode))
{
	return generic_setlease(filp, arg, flp, priv);
}

static inline void layout_pin_report(struct dev_pagemap *pgmap)
{
}

#endif /* CONFIG_LAYOUT_PIN */
#endif /* _LINUX_LAYOUT_PIN_H */
