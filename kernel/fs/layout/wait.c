// SPDX-License-Identifier: GPL-2.0-only
/*
 * How a change of the layout waits, and for what; linux/layout_wait.h says why
 * the outermost function of a system call waits.
 *
 * struct layout_wait belongs to the task whose current->layout_wait it is, and
 * needs no lock. The files that somebody waits for are on a list of their own.
 * layout_closed_lock protects it: a leaf, taken inside flc_lock.
 */
#include <linux/dax.h>
#include <linux/filelock.h>
#include <linux/fs.h>
#include <linux/layout_pin.h>
#include <linux/layout_pin_compat.h>
#include <linux/layout_wait.h>
#include <linux/memremap.h>
#include <linux/sched/signal.h>
#include <linux/wait_bit.h>

#include "internal.h"

/* How long to wait for one page at most, before the call is made again. */
#define LAYOUT_WAIT_PAGE	HZ

/* How long a kernel thread, which no signal reaches, waits without an end. */
#define LAYOUT_WAIT_KTHREAD	(10 * HZ)

/* For threads that never wait, see layout_wait_never(). */
static struct layout_wait layout_never_waits;

static DEFINE_SPINLOCK(layout_closed_lock);
static LIST_HEAD(layout_closed_files);

/**
 * layout_wait_closed() - does a change of this file's layout wait?
 * @inode: file on which a layout lease is asked for
 *
 * Nobody would ask the holder of such a lease to let go, since the change has
 * asked the holders before.
 *
 * Context: flc_lock held. A task that waits puts the file on the list before it
 *	looks for leases once more, under flc_lock.
 * Return: true if no layout lease is to be granted.
 */
bool layout_wait_closed(struct inode *inode)
{
	struct layout_closed *closed;
	bool found = false;

	if (list_empty(&layout_closed_files))
		return false;
	spin_lock(&layout_closed_lock);
	list_for_each_entry(closed, &layout_closed_files, list)
		found |= closed->inode == inode;
	spin_unlock(&layout_closed_lock);
	return found;
}

/**
 * layout_wait_close() - grant no layout lease on a file until the call has
 *	ended
 * @wait: of the call
 * @inode: the file
 */
void layout_wait_close(struct layout_wait *wait, struct inode *inode)
{
	struct layout_closed *closed = wait->closed;
	int i;

	for (i = 0; i < LAYOUT_WAIT_FILES; i++, closed++) {
		if (closed->inode == inode)
			return;
		if (!closed->inode)
			break;
	}
	/* An overlay may have copied a file up meanwhile: a third one. */
	if (i == LAYOUT_WAIT_FILES)
		return;
	ihold(inode);
	closed->inode = inode;
	spin_lock(&layout_closed_lock);
	list_add(&closed->list, &layout_closed_files);
	spin_unlock(&layout_closed_lock);
}

static void layout_wait_end(struct layout_wait *wait)
{
	struct layout_closed *closed = wait->closed;
	int i;

	current->layout_wait = NULL;
	for (i = 0; i < LAYOUT_WAIT_FILES && closed->inode; i++, closed++) {
		spin_lock(&layout_closed_lock);
		list_del(&closed->list);
		spin_unlock(&layout_closed_lock);
		iput(closed->inode);
	}
}

/* Where to note what to wait for, or NULL; only the first is noted. */
static struct layout_wait *layout_wait_current(void)
{
	struct layout_wait *wait = current->layout_wait;

	if (!wait || wait == &layout_never_waits || wait->inode)
		return NULL;
	return wait;
}

/**
 * layout_wait_lease() - note that there are leases to wait for
 * @inode: the file
 *
 * Context: any lock may be held.
 * Return: -EAGAIN, for the caller to pass up.
 */
int layout_wait_lease(struct inode *inode)
{
	struct layout_wait *wait = layout_wait_current();

	if (wait) {
		ihold(inode);
		wait->inode = inode;
		wait->page = NULL;
	}
	return -EAGAIN;
}

/**
 * layout_wait_page() - note that a page of the range is in use
 * @inode: the file
 * @page: the page
 * @start: first byte of the range
 * @end: last byte of it
 *
 * Context: the caller holds the lock that keeps the page the file's, and may
 *	hold any other.
 * Return: -EAGAIN, for the caller to pass up, or 0 if no function further out
 *	waits: then the caller has to wait itself.
 */
int layout_wait_page(struct inode *inode, struct page *page, loff_t start,
		     loff_t end)
{
	struct layout_wait *wait = layout_wait_current();
	struct dev_pagemap *pgmap;

	if (!current->layout_wait)
		return 0;
	if (!wait)
		return -EAGAIN;
	pgmap = layout_get_pgmap(page);
	if (!pgmap)
		return 0;
	ihold(inode);
	wait->inode = inode;
	wait->page = page;
	wait->pgmap = pgmap;
	wait->start = start;
	wait->end = end;
	return -EAGAIN;
}

/*
 * Nobody wakes this task when a long-term pin arrives, and that page will not
 * be idle for hours: so look now and then. Nor does anybody if the page goes to
 * another file, which nothing prevents here: so end after a while, and let the
 * call look again. wait->pgmap keeps the page readable.
 */
static int layout_wait_idle(struct layout_wait *wait, struct inode *inode)
{
	unsigned long end = jiffies + LAYOUT_WAIT_PAGE;
	struct page *page = wait->page;

	return ___wait_var_event(layout_page_event(page),
			layout_page_idle(page) || time_after(jiffies, end) ||
			layout_pin_check(inode, wait->start, wait->end),
			TASK_INTERRUPTIBLE, 0, 0, schedule_timeout(HZ / 10));
}

static bool layout_wait_expired(const struct layout_wait *wait)
{
	return (current->flags & PF_KTHREAD) &&
		time_after(jiffies, wait->since + LAYOUT_WAIT_KTHREAD);
}

/*
 * With a lease-break-time of 0 a holder has all the time that it wants. No
 * signal would end the wait of a kernel thread then, so it looks again now and
 * then.
 */
static int layout_wait_leases(struct layout_wait *wait, struct inode *inode)
{
	if (!(current->flags & PF_KTHREAD) || !layout_break_endless(inode))
		return layout_break_leases(inode, true);
	if (layout_wait_expired(wait))
		return -EAGAIN;
	schedule_timeout_interruptible(HZ / 10);
	return 0;
}

static int layout_wait_for(struct layout_wait *wait, struct inode *inode)
{
	if (wait->nonblock)
		return -EAGAIN;
	if (signal_pending(current))
		return -ERESTARTSYS;
	/*
	 * A wait for leases has an end, if no more of them are granted. One for
	 * a page has none: a stranger may wait for a page that he keeps in use
	 * himself, and must not keep the owner from a lease by that.
	 */
	if (!wait->page || layout_may_lease(&nop_mnt_idmap, inode))
		layout_wait_close(wait, inode);
	if (!wait->page)
		return layout_wait_leases(wait, inode);
	return layout_wait_expired(wait) ? -EAGAIN :
		layout_wait_idle(wait, inode);
}

/* No system call is made again for a worker of io_uring. */
static int layout_wait_errno(int error)
{
	return error == -ERESTARTSYS && (current->flags & PF_IO_WORKER) ?
		-EINTR : error;
}

static void layout_wait_forget(struct layout_wait *wait)
{
	struct inode *inode = wait->inode;

	if (wait->page)
		put_dev_pagemap(wait->pgmap);
	wait->inode = NULL;
	iput(inode);
}

bool __layout_wait_again(struct layout_wait *wait, int *error)
{
	bool again = false;

	if (!wait->since)
		wait->since = jiffies ?: 1;
	if (wait->inode) {
		/* A caller in between may have done without, as a copy does. */
		if (*error < 0) {
			*error = layout_wait_for(wait, wait->inode);
			*error = layout_wait_errno(*error);
			again = !*error;
		}
		layout_wait_forget(wait);
	}
	if (!again)
		layout_wait_end(wait);
	return again;
}
EXPORT_SYMBOL_GPL(__layout_wait_again);

/**
 * layout_wait_never() - this thread waits for no lease and no page
 *
 * For the threads of a server: there are few of them, no signal reaches them,
 * and -EAGAIN is an answer that the server's clients understand.
 */
void layout_wait_never(void)
{
	current->layout_wait = &layout_never_waits;
}
EXPORT_SYMBOL_GPL(layout_wait_never);
