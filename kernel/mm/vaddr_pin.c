// SPDX-License-Identifier: GPL-2.0-only
/*
 * Long-term pins of user addresses on behalf of an owner.
 *
 * For memory that is not FS DAX this is pin_user_pages_fast() and nothing else.
 * FS DAX pages are blocks of a file: they are pinned only under a layout
 * lease, and a record of the range keeps the file system from moving them.
 *
 * mmap_lock is held for reading over the check of the mapping, the record and
 * the page references, and GUP does not drop it, so the mapping cannot change
 * in between. The record comes first: a truncate that sees the pages busy then
 * always sees why. Locks further down: fs/layout_pin_internal.h.
 */
#include <linux/layout_pin.h>
#include <linux/layout_pin_compat.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>

#include "internal.h"

/*
 * One device may end and another begin inside a file (device mapper): a record
 * holds one device's memory, so the caller gets the pages up to there.
 */
static int vaddr_pin_one_pgmap(struct page **pages, int nr)
{
	int i;

	for (i = 1; i < nr; i++) {
		if (layout_page_pgmap(pages[i]) != layout_page_pgmap(pages[0])) {
			unpin_user_pages(pages + i, nr - i);
			return i;
		}
	}
	return nr;
}

/*
 * Reference the pages of a record that is in place. Always for writing, also
 * where the device only reads: a write fault allocates the block, converts it
 * and unshares it, and never maps the zero page.
 */
static int vaddr_pin_pages(struct vaddr_pin *vp, struct layout_pin *pin,
			   struct address_space *mapping, pgoff_t first,
			   unsigned long start, int nr, unsigned int gup_flags,
			   struct page **pages)
{
	struct dev_pagemap *pgmap;
	int ret;

	ret = gup_layout_locked(start, nr, gup_flags | FOLL_WRITE, pages);
	if (ret <= 0)
		goto drop;
	ret = vaddr_pin_one_pgmap(pages, ret);

	/* Held until the last unpin: unbinding the device waits for it. */
	pgmap = get_dev_pagemap(page_to_pfn(pages[0]), NULL);
	if (!pgmap) {
		unpin_user_pages(pages, ret);
		ret = -ENXIO;
		goto drop;
	}
	layout_pin_commit(vp, pin, mapping, first, first + ret - 1, pgmap);
	return ret;
drop:
	layout_pin_drop(pin);
	return ret;
}

/* mmap_lock is held for reading. */
static int vaddr_pin_fsdax(struct vaddr_pin *vp, unsigned long start,
			   int nr_pages, unsigned int gup_flags,
			   struct page **pages)
{
	struct vm_area_struct *vma = vma_lookup(current->mm, start);
	struct layout_pin *pin;
	pgoff_t first;
	int nr;

	if (!vma)
		return -EFAULT;
	if (!vma_is_fsdax(vma) || (gup_flags & FOLL_FORCE) ||
	    (vma->vm_flags & (VM_SHARED | VM_WRITE)) != (VM_SHARED | VM_WRITE))
		return -EOPNOTSUPP;

	nr = min_t(unsigned long, nr_pages, (vma->vm_end - start) >> PAGE_SHIFT);
	first = linear_page_index(vma, start);
	pin = layout_pin_add(vp, file_inode(vma->vm_file), first, first + nr - 1);
	if (IS_ERR(pin))
		return PTR_ERR(pin);
	return vaddr_pin_pages(vp, pin, vma->vm_file->f_mapping, first, start,
			       nr, gup_flags, pages);
}

/**
 * vaddr_pin_user_pages_fast() - pin_user_pages_fast() that can pin FS DAX pages
 * @vp: records of the driver's object, see vaddr_pin_init()
 * @start: user address of the first page
 * @nr_pages: number of pages
 * @gup_flags: as for pin_user_pages_fast()
 * @pages: array for at least @nr_pages pages
 *
 * Records are attributed to the open file of vaddr_pin_owner_enter(), without
 * one to the caller's mm. A driver that pins in chunks passes the same @vp:
 * chunks that follow each other share a record.
 *
 * Unpin the pages with unpin_user_pages() or its kin, then, when the last one
 * is unpinned, also after a failure, call vaddr_unpin_done().
 *
 * Context: may sleep, takes mmap_lock for reading.
 * Return: number of pages pinned, which may be less than asked for, or a
 *	negative errno: those of pin_user_pages_fast(), and for FS DAX
 *	-EOPNOTSUPP without a live unbreakable layout lease of this process, and
 *	for a mapping that is private or not writable; -ENOMEM; -ENXIO if the
 *	device is being removed; -EINTR if the process is being killed.
 */
int vaddr_pin_user_pages_fast(struct vaddr_pin *vp, unsigned long start,
			      int nr_pages, unsigned int gup_flags,
			      struct page **pages)
{
	int ret = pin_user_pages_fast(start, nr_pages, gup_flags, pages);

	if (ret != -EOPNOTSUPP || !(gup_flags & FOLL_LONGTERM))
		return ret;
	if (mmap_read_lock_killable(current->mm))
		return -EINTR;
	start = untagged_addr(start) & PAGE_MASK;
	ret = vaddr_pin_fsdax(vp, start, nr_pages, gup_flags, pages);
	mmap_read_unlock(current->mm);
	return ret;
}
EXPORT_SYMBOL_GPL(vaddr_pin_user_pages_fast);
