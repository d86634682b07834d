/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Waiting for what stands against a change of the layout: breakable leases, and
 * short references to DAX pages.
 *
 * A file system finds these deep inside, with the inode locked and write access
 * to the file system held. A task that waits there makes others wait: writers
 * of the file, a freeze, and all that write behind the freeze. So the file
 * system notes in current->layout_wait what it found, and fails with -EAGAIN.
 * The outermost function of the system call, which began with
 * layout_wait_begin(), gets that answer when all locks are dropped. It waits,
 * and makes the whole call again, with every check:
 *
 *	return layout_wait_call(false, all_of_it(...));
 *
 * The note says that there is something to wait for; the errno does not, so an
 * -EAGAIN for another reason stands. The note passes through stacked file
 * systems, of which only the outermost waits.
 *
 * Without layout_wait_begin() nobody waits for a lease: its holder is asked to
 * let go, and the answer is -EAGAIN. No other code writes or reads
 * current->layout_wait.
 */
#ifndef _LINUX_LAYOUT_WAIT_H
#define _LINUX_LAYOUT_WAIT_H

#include <linux/list.h>
#include <linux/sched.h>
#include <linux/types.h>

struct dev_pagemap;
struct inode;
struct page;

#ifdef CONFIG_LAYOUT_PIN

/**
 * struct layout_closed - a file that gets no layout lease while a change waits
 * @list: in the list of all such files
 * @inode: the file, referenced; NULL if unused
 */
struct layout_closed {
	struct list_head list;
	struct inode *inode;
};

/* A change of the layout touches one file or two. */
#define LAYOUT_WAIT_FILES	2

/**
 * struct layout_wait - on the stack of a call that may change a layout
 * @inode: the file to wait for, referenced; NULL if there is nothing to wait
 *	for
 * @page: one of its pages that is in use; NULL to wait for leases
 * @pgmap: the memory that @page is in, referenced
 * @start: first byte of the range that the call takes away
 * @end: last byte of it
 * @closed: files that the call waited for so far
 * @since: when the first wait began, in jiffies; 0 before
 * @nested: a function further out waits
 * @nonblock: ask holders to let go, but do not wait
 */
struct layout_wait {
	struct inode *inode;
	struct page *page;
	struct dev_pagemap *pgmap;
	loff_t start;
	loff_t end;
	struct layout_closed closed[LAYOUT_WAIT_FILES];
	unsigned long since;
	bool nested;
	bool nonblock;
};

bool __layout_wait_again(struct layout_wait *wait, int *error);
int layout_wait_lease(struct inode *inode);
int layout_wait_page(struct inode *inode, struct page *page, loff_t start,
		     loff_t end);
bool layout_wait_closed(struct inode *inode);
void layout_wait_never(void);

/**
 * layout_wait_begin() - begin a call that waits without locks
 * @wait: on the caller's stack
 * @nonblock: do not wait: layout_wait_again() ends the call
 *
 * Call layout_wait_again() on every path that follows.
 */
static inline void layout_wait_begin(struct layout_wait *wait, bool nonblock)
{
	int i;

	wait->inode = NULL;
	wait->since = 0;
	wait->nonblock = nonblock;
	for (i = 0; i < LAYOUT_WAIT_FILES; i++)
		wait->closed[i].inode = NULL;
	wait->nested = current->layout_wait;
	if (!wait->nested)
		current->layout_wait = wait;
}

/**
 * layout_wait_again() - wait for what stood against the call
 * @wait: as given to layout_wait_begin()
 * @error: what the call answered, negative for an errno; replaced if the wait
 *	fails
 *
 * After a wait for leases no layout lease is granted on the file until the call
 * has ended, so these waits have an end: lease-break-time. So it is after a
 * wait for a page, but only if the caller could take a lease himself.
 *
 * Context: may sleep, interruptibly; the caller holds no lock and no write
 *	access to a file system, and keeps the file by its path or an open file.
 * Return: true if the call is to be made again. False if @error stands:
 *	-ERESTARTSYS if a signal came (-EINTR in a worker of io_uring), -EAGAIN
 *	if this call does not wait, or if a kernel thread, which no signal
 *	reaches, has waited ten seconds for what has no end.
 */
static inline bool layout_wait_again(struct layout_wait *wait, int *error)
{
	if (unlikely(wait->inode || wait->since))
		return __layout_wait_again(wait, error);
	if (!wait->nested)
		current->layout_wait = NULL;
	return false;
}

#else /* !CONFIG_LAYOUT_PIN */

struct layout_wait {
};

static inline void layout_wait_begin(struct layout_wait *wait, bool nonblock)
{
}

static inline bool layout_wait_again(struct layout_wait *wait, int *error)
{
	return false;
}

static inline int layout_wait_page(struct inode *inode, struct page *page,
				   loff_t start, loff_t end)
{
	return 0;
}

static inline void layout_wait_never(void)
{
}

#endif /* CONFIG_LAYOUT_PIN */

/**
 * layout_wait_call() - make a call that waits without locks
 * @no_wait: ask holders to let go, but do not wait for them
 * @call: an expression, negative for an errno; evaluated again after each wait
 *
 * Context: as layout_wait_again().
 * Return: what @call answered in the end, or the errno of the wait.
 */
#define layout_wait_call(no_wait, call)					\
({									\
	struct layout_wait __wait;					\
	typeof(call) __ret;						\
	int __error;							\
									\
	layout_wait_begin(&__wait, no_wait);				\
	do {								\
		__ret = (call);						\
		__error = __ret < 0 ? __ret : 0;			\
	} while (layout_wait_again(&__wait, &__error));			\
	__error ? __error : __ret;					\
})

#endif /* _LINUX_LAYOUT_WAIT_H */
