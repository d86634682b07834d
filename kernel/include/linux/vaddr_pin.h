/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Long-term pins of user memory, FS DAX included: what a driver calls.
 *
 *	vaddr_pin_init(), for each object that pins (a memory region);
 *	vaddr_pin_user_pages_fast() in place of pin_user_pages_fast(), or
 *	vaddr_pin_user_pages_full() in a driver that asks once for all pages;
 *	vaddr_unpin_user_pages_dirty_lock(), vaddr_unpin_user_pages(),
 *	vaddr_unpin_user_folio() or vaddr_unpin_user_page_range_dirty_lock() in
 *	place of unpin_*();
 *	vaddr_unpin_done() after that, when the device has let go;
 *	vaddr_pin_share(), if a second open file shares the object;
 *
 *	vaddr_pin_owner_init(), for each open file of the driver;
 *	vaddr_pin_owner_enter() and vaddr_pin_owner_exit() around the system
 *	call that pins, so that pins are attributed to it;
 *	vaddr_pin_owner_end() in ->release(), after its objects have gone; if
 *	they go later, before it can be freed.
 *
 * The driver serialises its calls for one object. mm/vaddr_pin.c says what a
 * pin of FS DAX memory is, and fs/layout/internal.h what its locks are.
 *
 * With CONFIG_LAYOUT_PIN=n all of it compiles to what the caller did before.
 */
#ifndef _LINUX_VADDR_PIN_H
#define _LINUX_VADDR_PIN_H

#include <linux/bug.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>

struct dev_pagemap;
struct file;
struct layout_owner;

/**
 * struct vaddr_pin - the records of one driver object (a memory region)
 * @records: list of struct layout_pin, empty unless FS DAX pages were pinned
 * @writable: the device may write: %FOLL_WRITE was set
 * @one_by_one: fault in and pin one page after the other, since pages that were
 *	faulted in together did not stay
 *
 * Belongs to the driver object; the driver serialises its use, as it does that
 * of the page array.
 */
struct vaddr_pin {
#ifdef CONFIG_LAYOUT_PIN
	struct list_head records;
	bool writable;
	bool one_by_one;
#endif
};

/**
 * struct vaddr_pin_owner - an open file of a driver, through which pins are
 *	made
 * @file: the open file, not referenced; NULL before there is one, and once it
 *	has ended
 * @owner: the owner that its pins count for; NULL before the first pin
 *
 * The driver has it in its object for the open file.
 */
struct vaddr_pin_owner {
#ifdef CONFIG_LAYOUT_PIN
	struct file *file;
	struct layout_owner *owner;
#endif
};

#ifdef CONFIG_LAYOUT_PIN

/**
 * vaddr_pin_init() - begin with no pins
 * @vp: records of the driver's object
 */
static inline void vaddr_pin_init(struct vaddr_pin *vp)
{
	INIT_LIST_HEAD(&vp->records);
	vp->writable = false;
	vp->one_by_one = false;
}

int __vaddr_pin_user_pages_fast(struct vaddr_pin *vp, unsigned long start,
				int nr_pages, unsigned int gup_flags,
				struct page **pages);
int __vaddr_pin_user_pages_full(struct vaddr_pin *vp, unsigned long start,
				int nr_pages, unsigned int gup_flags,
				struct page **pages);
void vaddr_unpin_user_folio(struct folio *folio, unsigned long npages);
void vaddr_unpin_user_page_range_dirty_lock(struct page *page,
					    unsigned long npages,
					    bool make_dirty);
void vaddr_unpin_user_pages_dirty_lock(struct page **pages,
				       unsigned long npages, bool make_dirty);
void __vaddr_unpin_done(struct vaddr_pin *vp);
void vaddr_pin_abandon(struct vaddr_pin *vp);
int vaddr_pin_share(struct vaddr_pin *to, struct vaddr_pin *from);

/**
 * vaddr_pin_possible() - may this process have a lease that it can pin under?
 *
 * Return: false for nearly all processes: then GUP refuses FS DAX memory, and
 *	there is no need to look at the mapping first.
 */
static inline bool vaddr_pin_possible(void)
{
	return unlikely(READ_ONCE(current->signal->layout_holder));
}

/**
 * vaddr_pin_any() - has a driver object any FS DAX memory pinned?
 * @vp: the object's records
 */
static inline bool vaddr_pin_any(const struct vaddr_pin *vp)
{
	return !list_empty(&vp->records);
}

/**
 * vaddr_pin_move() - the pins of one object become those of another
 * @to: the other one's records; not initialised
 * @from: has no records after that
 */
static inline void vaddr_pin_move(struct vaddr_pin *to, struct vaddr_pin *from)
{
	*to = *from;
	list_replace_init(&from->records, &to->records);
}

/**
 * vaddr_pin_user_pages_fast() - pin_user_pages_fast() that can pin FS DAX pages
 * @vp: records of the driver's object, see vaddr_pin_init()
 * @start: user address of the first page
 * @nr_pages: number of pages
 * @gup_flags: as for pin_user_pages_fast(); %FOLL_LONGTERM among them
 * @pages: array for at least @nr_pages pages
 *
 * Records are attributed to the open file of vaddr_pin_owner_enter(), or
 * without one to the caller's mm. A driver that pins in chunks passes the same
 * @vp: chunks that follow each other share a record.
 *
 * Unpin the pages with vaddr_unpin_user_pages_dirty_lock() or
 * vaddr_unpin_user_page_range_dirty_lock(). Then, even after a failure, call
 * vaddr_unpin_done().
 *
 * Context: may sleep, takes the lock of a mapping or mmap_lock for reading.
 * Return: number of pages pinned, which may be less than asked for, or a
 *	negative errno: those of pin_user_pages_fast(), and for FS DAX
 *	-EOPNOTSUPP without a live unbreakable layout lease of this process, and
 *	for a mapping that is private or not writable; -ENOMEM; -ENXIO if the
 *	device is being removed; -EINTR if the process is being killed. -EINVAL
 *	without %FOLL_LONGTERM: a short pin needs no lease, nor this function.
 */
static inline int vaddr_pin_user_pages_fast(struct vaddr_pin *vp,
					    unsigned long start, int nr_pages,
					    unsigned int gup_flags,
					    struct page **pages)
{
	if (WARN_ON_ONCE(!(gup_flags & FOLL_LONGTERM)))
		return -EINVAL;
	/* Other processes cannot pin FS DAX (GUP refuses): skip the look. */
	if (vaddr_pin_possible()) {
		if (gup_flags & FOLL_WRITE)
			vp->writable = true;
		return __vaddr_pin_user_pages_fast(vp, start, nr_pages,
						   gup_flags, pages);
	}
	return pin_user_pages_fast(start, nr_pages, gup_flags, pages);
}

/**
 * vaddr_pin_user_pages_full() - vaddr_pin_user_pages_fast() for a driver that
 *	asks once for all pages
 * @vp: records of the driver's object, which has none yet; NULL for an object
 *	that may not be FS DAX memory
 * @start: user address of the first page
 * @nr_pages: number of pages
 * @gup_flags: as for vaddr_pin_user_pages_fast()
 * @pages: array for at least @nr_pages pages
 *
 * Goes on where a mapping or a device ends, where a pin of FS DAX memory does.
 * If any of the pages is FS DAX memory, all are pinned or none.
 *
 * Context: may sleep, takes the lock of a mapping or mmap_lock for reading, for
 *	128 MiB at a time.
 * Return: @nr_pages, or a negative errno, as vaddr_pin_user_pages_fast(). Where
 *	there is no FS DAX memory, what pin_user_pages_fast() returns, which may
 *	be less than @nr_pages.
 */
static inline int vaddr_pin_user_pages_full(struct vaddr_pin *vp,
					    unsigned long start, int nr_pages,
					    unsigned int gup_flags,
					    struct page **pages)
{
	if (vp && vaddr_pin_possible())
		return __vaddr_pin_user_pages_full(vp, start, nr_pages,
						   gup_flags, pages);
	return pin_user_pages_fast(start, nr_pages, gup_flags, pages);
}

/**
 * vaddr_unpin_user_pages() - unpin an array of pages that no device wrote to
 * @pages: what vaddr_pin_user_pages_fast() filled
 * @npages: number of pages
 *
 * Context: may sleep.
 */
static inline void vaddr_unpin_user_pages(struct page **pages,
					  unsigned long npages)
{
	vaddr_unpin_user_pages_dirty_lock(pages, npages, false);
}

/**
 * vaddr_unpin_done() - forget the pins of a driver object
 * @vp: the object's records
 *
 * Puts the references to FS DAX pages. Call it after the device has let go of
 * the last page, never before: a record must stand as long as a device may
 * write. If the device may write, the files' times move, as after a store.
 *
 * Context: process context, kernel threads and workqueues included; not from
 *	an interrupt, and with no transaction of a file system open. The last
 *	reference to a file is put later, by task work.
 */
static inline void vaddr_unpin_done(struct vaddr_pin *vp)
{
	if (!list_empty(&vp->records))
		__vaddr_unpin_done(vp);
}

void __vaddr_pin_owner_end(struct vaddr_pin_owner *owner);

/**
 * vaddr_pin_owner_init() - set up an open file through which nothing is pinned
 * @owner: of the open file, in the driver's object for it
 * @file: the open file, whose ->release() calls vaddr_pin_owner_end()
 *
 * Before this, an owner that is all zero is good for vaddr_pin_owner_end() and
 * for vaddr_pin_owner_enter(), which takes it for none.
 */
static inline void vaddr_pin_owner_init(struct vaddr_pin_owner *owner,
					struct file *file)
{
	owner->file = file;
	owner->owner = NULL;
}

/**
 * vaddr_pin_owner_enter() - attribute pins made by this task to an open file
 * @owner: of the open file, to which the running system call has a reference;
 *	NULL, or one without an open file, for the mm of the process
 *
 * Return: the former owner, for vaddr_pin_owner_exit().
 */
static inline struct vaddr_pin_owner *
vaddr_pin_owner_enter(struct vaddr_pin_owner *owner)
{
	struct vaddr_pin_owner *old = current->pin_owner;

	current->pin_owner = owner && owner->file ? owner : NULL;
	return old;
}

/**
 * vaddr_pin_owner_enter_file() - vaddr_pin_owner_enter() for a driver's object
 *	that is older than its open file
 * @owner: of the open file; all zero the first time
 * @file: the open file, whose ->release() calls vaddr_pin_owner_end(); NULL if
 *	there is none, as for a socket of the kernel
 *
 * Context: the driver serialises its calls for one object.
 * Return: as vaddr_pin_owner_enter().
 */
static inline struct vaddr_pin_owner *
vaddr_pin_owner_enter_file(struct vaddr_pin_owner *owner, struct file *file)
{
	owner->file = file;
	return vaddr_pin_owner_enter(owner);
}

/**
 * vaddr_pin_owner_exit() - undo vaddr_pin_owner_enter()
 * @old: what that returned
 */
static inline void vaddr_pin_owner_exit(struct vaddr_pin_owner *old)
{
	current->pin_owner = old;
}

/**
 * vaddr_pin_owner_end() - end the owner of an open file that goes
 * @owner: of the open file
 *
 * Pins that are left, which the driver frees later, show under the process that
 * made them.
 *
 * Context: ->release() of the open file, process context.
 */
static inline void vaddr_pin_owner_end(struct vaddr_pin_owner *owner)
{
	if (owner->owner)
		__vaddr_pin_owner_end(owner);
	owner->file = NULL;
}

/* fs/layout/report.c, for mm/memory-failure.c */
void layout_pin_report_page(struct dev_pagemap *pgmap, struct page *page);

#else /* !CONFIG_LAYOUT_PIN */

static inline void vaddr_pin_init(struct vaddr_pin *vp)
{
}

static inline int vaddr_pin_user_pages_fast(struct vaddr_pin *vp,
					    unsigned long start, int nr_pages,
					    unsigned int gup_flags,
					    struct page **pages)
{
	return pin_user_pages_fast(start, nr_pages, gup_flags, pages);
}

static inline bool vaddr_pin_possible(void)
{
	return false;
}

static inline bool vaddr_pin_any(const struct vaddr_pin *vp)
{
	return false;
}

static inline void vaddr_pin_move(struct vaddr_pin *to, struct vaddr_pin *from)
{
}

static inline int vaddr_pin_share(struct vaddr_pin *to, struct vaddr_pin *from)
{
	return 0;
}

static inline int vaddr_pin_user_pages_full(struct vaddr_pin *vp,
					    unsigned long start, int nr_pages,
					    unsigned int gup_flags,
					    struct page **pages)
{
	return pin_user_pages_fast(start, nr_pages, gup_flags, pages);
}

static inline void vaddr_unpin_user_pages(struct page **pages,
					  unsigned long npages)
{
	unpin_user_pages(pages, npages);
}

static inline void vaddr_unpin_user_folio(struct folio *folio,
					  unsigned long npages)
{
	unpin_user_folio(folio, npages);
}

static inline void
vaddr_unpin_user_page_range_dirty_lock(struct page *page, unsigned long npages,
				       bool make_dirty)
{
	unpin_user_page_range_dirty_lock(page, npages, make_dirty);
}

static inline void
vaddr_unpin_user_pages_dirty_lock(struct page **pages, unsigned long npages,
				  bool make_dirty)
{
	unpin_user_pages_dirty_lock(pages, npages, make_dirty);
}

static inline void vaddr_unpin_done(struct vaddr_pin *vp)
{
}

static inline void vaddr_pin_abandon(struct vaddr_pin *vp)
{
}

static inline void vaddr_pin_owner_init(struct vaddr_pin_owner *owner,
					struct file *file)
{
}

static inline struct vaddr_pin_owner *
vaddr_pin_owner_enter(struct vaddr_pin_owner *owner)
{
	return NULL;
}

static inline struct vaddr_pin_owner *
vaddr_pin_owner_enter_file(struct vaddr_pin_owner *owner, struct file *file)
{
	return NULL;
}

static inline void vaddr_pin_owner_exit(struct vaddr_pin_owner *old)
{
}

static inline void vaddr_pin_owner_end(struct vaddr_pin_owner *owner)
{
}

static inline void layout_pin_report_page(struct dev_pagemap *pgmap,
					  struct page *page)
{
}

#endif /* CONFIG_LAYOUT_PIN */
#endif /* _LINUX_VADDR_PIN_H */
