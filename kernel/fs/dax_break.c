// SPDX-License-Identifier: GPL-2.0-only
/*
 * How a change of a DAX file's layout waits for the users of its pages. All
 * file systems share this loop; each passes a function that sleeps without its
 * lock.
 *
 * No lock of ours. The caller holds the lock that keeps page faults out and the
 * file's blocks in place. Its callback drops that lock while it sleeps.
 */
#include <linux/dax.h>
#include <linux/fs.h>
#include <linux/layout_pin.h>
#include <linux/layout_pin_compat.h>
#include <linux/layout_wait.h>
#include <linux/memremap.h>
#include <linux/wait_bit.h>

/*
 * Hold the device over the sleep: the condition reads the page after a wakeup,
 * and the same wakeup may let a task that removes the device go on.
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
 * @start: first byte of the range that the caller takes away
 * @end: last byte of it; LLONG_MAX for the end of the file
 * @cb: calls schedule(), without the lock that keeps page faults out
 *
 * Never sleeps for a long-term pin: a pin refuses the change. Nor does it sleep
 * with the caller's locks if the system call began with layout_wait_begin():
 * layout_wait_again() then waits without them.
 *
 * Context: the caller holds the lock that keeps page faults out. @cb drops it
 *	while it sleeps, so what the caller read before may have changed.
 * Return: 0 if no page is in use, and none will be until the lock is dropped;
 *	-ETXTBSY if a layout lease or a pin stands against the change, -EAGAIN
 *	to pass up to layout_wait_again(), -ERESTARTSYS if a signal came.
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
		 * A pin is recorded before its pages are referenced. So if a
		 * long-term pin holds this page, the check finds its record
		 * now.
		 */
		error = layout_pin_check(inode, start, end) ?:
			layout_wait_page(inode, page, start, end) ?:
			dax_wait_page_idle(inode, page, start, end, cb);
	} while (!error);

	return error;
}
EXPORT_SYMBOL_GPL(dax_break_layout);
