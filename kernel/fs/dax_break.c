// SPDX-License-Identifier: GPL-2.0-only
/*
 * How a change of a DAX file's layout waits for those who use its pages. The
 * one loop of all file systems: each says only how to sleep without its own
 * lock.
 *
 * No lock of ours. The caller holds what keeps page faults out and the file's
 * blocks as they are; its callback drops that over the sleep.
 */
#include <linux/dax.h>
#include <linux/fs.h>
#include <linux/layout_pin.h>
#include <linux/layout_pin_compat.h>
#include <linux/layout_wait.h>
#include <linux/memremap.h>
#include <linux/wait_bit.h>

/*
 * The device is held over the sleep: the page is looked at once more when it is
 * idle, even if somebody waits to remove the device, whom the same event wakes.
 */
static int dax_wait_page_idle(struct inode *inode, struct page *page,
			      loff_t start, loff_t end,
			      void (*cb)(struct inode *inode))
{
	struct dev_pagemap *pgmap;
	int error;

	pgmap = get_dev_pagemap(page_to_pfn(page), NULL);
	if (!pgmap)
		return 0;
	error = ___wait_var_event(&page->_refcount,
			layout_page_idle(page) ||
			layout_pin_check(inode, start, end),
			TASK_INTERRUPTIBLE, 0, 0, cb(inode));
	put_dev_pagemap(pgmap);
	return error;
}

/**
 * dax_break_layout() - wait until nobody uses pages of a part of a file
 * @inode: file, DAX or not
 * @start: first byte of what the caller takes away
 * @end: last byte of it; LLONG_MAX for the end of the file
 * @cb: calls schedule(), without the lock that keeps page faults out
 *
 * It never sleeps for a long-term pin: that refuses the change. Nor does it
 * sleep, with the locks that the caller has, if the call began with
 * layout_wait_begin(): then that waits, without them.
 *
 * Context: the lock that keeps page faults out is held, and dropped while @cb
 *	sleeps: what the caller looked at before may have changed.
 * Return: 0 if no page is in use, and none will be until the lock is dropped;
 *	-ETXTBSY if a layout lease or a pin stands against it, -EAGAIN to hand
 *	on to who waits, -ERESTARTSYS if a signal came.
 */
int dax_break_layout(struct inode *inode, loff_t start, loff_t end,
		     void (*cb)(struct inode *inode))
{
	struct page *page;
	int error;

	do {
		error = layout_pin_check(inode, start, end);
		if (error)
			return error;
		page = dax_layout_busy_page_range(inode->i_mapping, start, end);
		if (!page)
			return 0;
		/*
		 * A pin is recorded before its pages are referenced, so if this
		 * page is pinned for long, that shows by now.
		 */
		error = layout_pin_check(inode, start, end) ?:
			layout_wait_page(inode, page, start, end) ?:
			dax_wait_page_idle(inode, page, start, end, cb);
	} while (!error);

	return error;
}
EXPORT_SYMBOL_GPL(dax_break_layout);
