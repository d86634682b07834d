/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Waiting for what stands against a change of the layout: breakable leases, and
 * short references to DAX pages.
 *
 * A file system finds out deep inside, with the inode locked and write access
 * to the file system held. Who waits there makes others wait: writers of the
 * file, a freeze and all who write behind it. So it notes in
 * current->layout_wait what it found, and fails with -EAGAIN. The outermost
 * function of the system call that began with layout_wait_begin() gets that
 * answer, when all locks are dropped. It waits, and makes the whole call again,
 * with every check:
 *
 *	return layout_wait_call(false, all_of_it(...));
 *
 * What is noted says that there is something to wait for, not the errno: an
 * EAGAIN of somebody else's stands. It passes through stacked file systems, of
 * which only the outermost waits.
 *
 * Without layout_wait_begin() a lease is not waited for: it is asked to go, and
 * the answer is -EAGAIN. Nobody else writes or reads current->layout_wait.
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

/* A change of the layout is of one file or of two. */
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
 * @nested: somebody further out waits
 * @nonblock: nobody waits; what stands against the call is asked to go
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
 * layout_wait_begin() - this call waits without locks
 * @wait: on the caller's stack
 * @nonblock: do not wait: layout_wait_again() ends it
 *
 * Followed by layout_wait_again() on every path.
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
 * Until the call was made again nobody is granted a layout lease on the file,
 * so a wait for leases has an end: lease-break-time.
 *
 * Context: may sleep, interruptibly; the caller holds no lock and no write
 *	access to a file system, and keeps the file by its path or an open file.
 * Return: true if the call is to be made again. False if @error stands:
 *	-ERESTARTSYS if a signal came, -EAGAIN if nobody waits here, or if a
 *	kernel thread, which no signal reaches, has waited ten seconds for
 *	pages.
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
 * @no_wait: what stands against it is asked to go, but not waited for
 * @call: an expression, negative for an errno; made again after each wait
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
