// SPDX-License-Identifier: GPL-2.0-only
/*
 * Long-term pins of user addresses on behalf of an owner.
 *
 * For memory that is not FS DAX this is pin_user_pages_fast(). FS DAX pages are
 * blocks of a file: they are pinned only under a layout lease, and a record of
 * the range keeps the file system from moving them. So a process that never
 * asked for an unbreakable lease goes to GUP at once, and only one that did
 * pays for a look at the mapping first.
 *
 * GUP still refuses long-term pins of FS DAX pages, to everybody. Here a walk
 * of the page tables finds them, and the record has one reference to each entry
 * of the mapping, on the first page of it. The file system looks at entries: a
 * reference to each of 512 pages would cost 512 atomic operations and say no
 * more.
 *
 * The lock of the mapping is held for reading over the check of the mapping,
 * the record and the references, so the mapping cannot change in between. If a
 * change of it is under way, mmap_lock is taken instead. The record comes
 * first: a truncate that sees the entry busy then always sees why. References
 * are taken under the page table lock, while the entry is mapped: a task that
 * takes it from the file unmaps it before. Inner locks: fs/layout/internal.h.
 */
#include <linux/dax.h>
#include <linux/error-injection.h>
#include <linux/layout_pin.h>
#include <linux/layout_pin_compat.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/mmu_context.h>
#include <linux/pagewalk.h>
#include <linux/sched/signal.h>
#include <linux/vaddr_pin.h>

#include "internal.h"

/**
 * struct vaddr_range - what one call asks for
 * @vp: the driver's object
 * @start: user address of the first page
 * @nr: number of pages; no more than the mapping at @start has
 * @gup_flags: as for pin_user_pages_fast()
 * @pages: where the pages go
 */
struct vaddr_range {
	struct vaddr_pin *vp;
	unsigned long start;
	int nr;
	unsigned int gup_flags;
	struct page **pages;
};

/**
 * struct vaddr_walk - a walk that pins the pages of one mapping of a file
 * @pages: where the pages go
 * @nr: how many there are so far
 * @entry: first page of the entry of the mapping that was referenced last
 * @pgmap: the device they are on, referenced
 */
struct vaddr_walk {
	struct page **pages;
	int nr;
	struct page *entry;
	struct dev_pagemap *pgmap;
};

/*
 * Get the device that a page is on. The reference stays until the last unpin,
 * and an unbind waits for that. NULL if the device is being removed: then
 * nobody may look at the page. Error injection can fail this, since a removal
 * is hard to time.
 */
static noinline struct dev_pagemap *vaddr_pin_pgmap(struct page *page)
{
	return layout_get_pgmap(page);
}
ALLOW_ERROR_INJECTION(vaddr_pin_pgmap, NULL);

/*
 * Is a page on the device that the walk holds? Nobody may look at the page
 * before that is known. A device with one range is the rule.
 */
static bool vaddr_pin_same_device(struct dev_pagemap *pgmap, unsigned long pfn)
{
	if (likely(pgmap->nr_range == 1))
		return pfn >= PHYS_PFN(pgmap->range.start) &&
			pfn <= PHYS_PFN(pgmap->range.end);
	return pgmap_pfn_valid(pgmap, pfn);
}

/*
 * Reference the entry of the mapping, of 1 << @order pages, that has @page at
 * @index of the file, unless the page before was in it. @page is NULL where
 * nothing is mapped for writing. The reference to the device comes first: a
 * file system that is shut down leaves its pages mapped when their device goes.
 *
 * One device may end and another begin inside a file (device mapper): a record
 * holds one device's memory, so the walk ends there.
 *
 * Return: 0, 1 to end the walk before this page, -ENXIO if its device goes, or
 *	-ENOMEM if the count of references is full.
 */
static int vaddr_pin_entry(struct vaddr_walk *walk, struct page *page,
			   pgoff_t index, unsigned int order)
{
	struct page *entry;
	int err;

	if (!page)
		return 1;
	entry = page - (index & ((1UL << order) - 1));
	if (entry == walk->entry)
		return 0;
	if (!walk->pgmap) {
		walk->pgmap = vaddr_pin_pgmap(page);
		if (!walk->pgmap)
			return -ENXIO;
	} else if (!vaddr_pin_same_device(walk->pgmap, page_to_pfn(page))) {
		return 1;
	}
	err = try_grab_folio(page_folio(entry), 1, FOLL_PIN);
	if (err)
		return err;
	walk->entry = entry;
	return 0;
}

/* Under the page table lock. */
static int vaddr_pin_huge(struct vaddr_walk *walk, struct page *page,
			  pgoff_t index, int nr)
{
	struct page **pages = walk->pages + walk->nr;
	int i, stop = vaddr_pin_entry(walk, page, index, PMD_ORDER);

	if (stop)
		return stop;
	for (i = 0; i < nr; i++)
		pages[i] = page + i;
	walk->nr += nr;
	return 0;
}

/*
 * A table of small pages, locked. Entries of the file may be larger than the
 * pages that map them. They do not change while mapped, and those of the size
 * of a PMD start at multiples of it: so one look for each PMD is enough.
 */
static int vaddr_pin_table(struct vaddr_walk *walk, pte_t *pte,
			   struct vm_area_struct *vma, unsigned long addr,
			   unsigned long end)
{
	pgoff_t index = linear_page_index(vma, addr), ask = index;
	unsigned int order = 0;
	struct page *page;
	int stop;

	for (; addr != end; addr += PAGE_SIZE, pte++, index++) {
		if (index == ask) {
			order = layout_entry_order(vma->vm_file->f_mapping,
						   index, 0);
			ask = (index | ((1UL << PMD_ORDER) - 1)) + 1;
		}
		page = layout_pte_page(ptep_get(pte));
		stop = vaddr_pin_entry(walk, page, index, order);
		if (stop)
			return stop;
		walk->pages[walk->nr++] = page;
	}
	return 0;
}

/* Return: 0 to go on, 1 at a page not mapped for writing, or an errno. */
static int vaddr_pin_pmd(pmd_t *pmd, unsigned long addr, unsigned long end,
			 struct mm_walk *mm_walk)
{
	struct vaddr_walk *walk = mm_walk->private;
	struct vm_area_struct *vma = mm_walk->vma;
	spinlock_t *ptl = pmd_lock(mm_walk->mm, pmd);
	bool huge = pmd_leaf(*pmd);
	int stop = 1;
	pte_t *pte;

	if (huge)
		stop = vaddr_pin_huge(walk, layout_pmd_page(*pmd, addr),
				      linear_page_index(vma, addr),
				      (end - addr) >> PAGE_SHIFT);
	spin_unlock(ptl);
	if (huge)
		return stop;
	pte = pte_offset_map_lock(mm_walk->mm, pmd, addr, &ptl);
	if (!pte)
		return 1;
	__acquire(ptl);	/* sparse does not see it in there */
	stop = vaddr_pin_table(walk, pte, vma, addr, end);
	pte_unmap_unlock(pte, ptl);
	return stop;
}

static int vaddr_pin_hole(unsigned long addr, unsigned long end, int depth,
			  struct mm_walk *mm_walk)
{
	return 1;
}

/* Under mmap_lock. */
static const struct mm_walk_ops vaddr_pin_mm_ops = {
	.pmd_entry = vaddr_pin_pmd,
	.pte_hole = vaddr_pin_hole,
	.walk_lock = PGWALK_RDLOCK,
};

/* Under the lock of the mapping. */
static const struct mm_walk_ops vaddr_pin_vma_ops = {
	.pmd_entry = vaddr_pin_pmd,
	.pte_hole = vaddr_pin_hole,
	.walk_lock = PGWALK_VMA_RDLOCK_VERIFY,
};

/*
 * Reference the mapped pages of a range whose record is in place. They have to
 * be mapped for writing, even if the device only reads: a write fault allocates
 * the block, converts it and unshares it, and never maps the zero page.
 *
 * Return: number of pages, -EAGAIN if the first is not mapped, or an errno.
 */
static int vaddr_pin_mapped(struct vaddr_range *range, struct layout_pin *pin,
			    struct vm_area_struct *vma,
			    const struct mm_walk_ops *ops)
{
	struct vaddr_walk walk = { .pages = range->pages };
	pgoff_t first = linear_page_index(vma, range->start);
	int ret;

	ret = walk_page_range_vma(vma, range->start,
				  range->start + range->nr * PAGE_SIZE,
				  ops, &walk);
	if (!walk.nr) {
		put_dev_pagemap(walk.pgmap);
		layout_pin_drop(pin);
		return ret < 0 ? ret : -EAGAIN;
	}
	layout_pin_commit(range->vp, pin, first, first + walk.nr - 1,
			  walk.pgmap);
	return walk.nr;
}

/*
 * Pin up to @range->nr pages of the mapping @vma, after reducing that to what
 * the mapping covers. Its lock or mmap_lock is held for reading, as @ops say.
 *
 * Return: as vaddr_pin_mapped().
 */
static int vaddr_pin_vma(struct vaddr_range *range, struct vm_area_struct *vma,
			 const struct mm_walk_ops *ops)
{
	struct layout_pin *pin;
	pgoff_t first;

	if (!vma || !vma_is_fsdax(vma) || (range->gup_flags & FOLL_FORCE) ||
	    (vma->vm_flags & (VM_SHARED | VM_WRITE)) != (VM_SHARED | VM_WRITE))
		return -EOPNOTSUPP;
	range->nr = min_t(unsigned long, range->nr,
			  (vma->vm_end - range->start) >> PAGE_SHIFT);
	first = linear_page_index(vma, range->start);
	pin = layout_pin_add(range->vp, file_inode(vma->vm_file), first,
			     first + range->nr - 1);
	if (IS_ERR(pin))
		return PTR_ERR(pin);
	/* After the lease: without one the errno is always -EOPNOTSUPP. */
	if (!arch_vma_access_permitted(vma, true, false, false)) {
		layout_pin_drop(pin);
		return -EFAULT;
	}
	return vaddr_pin_mapped(range, pin, vma, ops);
}

/* Return: as vaddr_pin_mapped(), or -EINTR. */
static int vaddr_pin_locked(struct vaddr_range *range)
{
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	int ret;

	vma = lock_vma_under_rcu(mm, range->start);
	if (vma) {
		ret = vaddr_pin_vma(range, vma, &vaddr_pin_vma_ops);
		vma_end_read(vma);
		return ret;
	}
	if (mmap_read_lock_killable(mm))
		return -EINTR;
	ret = vaddr_pin_vma(range, vma_lookup(mm, range->start),
			    &vaddr_pin_mm_ops);
	mmap_read_unlock(mm);
	return ret;
}

/*
 * Fault pages in for writing. The first one is faulted in by itself, for the
 * errno. The others may fail, since the missing ones have their turn. No record
 * stands meanwhile: a fault waits for a truncate that is under way.
 */
static int vaddr_pin_fault(unsigned long start, int nr)
{
	bool unlocked = false;
	int ret, locked = 1;

	if (mmap_read_lock_killable(current->mm))
		return -EINTR;
	ret = fixup_user_fault(current->mm, start, FAULT_FLAG_WRITE, &unlocked);
	if (!ret && nr > 1)
		faultin_page_range(current->mm, start + PAGE_SIZE,
				   start + nr * PAGE_SIZE, true, &locked);
	if (locked)
		mmap_read_unlock(current->mm);
	return ret;
}

static int vaddr_pin_fsdax(struct vaddr_range *range)
{
	struct vaddr_pin *vp = range->vp;
	bool again = false;
	int ret;

	for (;;) {
		ret = vaddr_pin_locked(range);
		if (ret != -EAGAIN)
			return ret;
		/*
		 * To fault all of them in takes long. An fsync by another task
		 * meanwhile may write-protect the first page. If that happened
		 * once, pin each page as soon as it is faulted in.
		 */
		vp->one_by_one |= again;
		again = true;
		ret = vaddr_pin_fault(range->start,
				      vp->one_by_one ? 1 : range->nr);
		if (ret)
			return ret;
		/* As GUP does, or another thread could keep this one here. */
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
}

/* vaddr_pin_user_pages_fast() for a process that may hold a lease. */
int __vaddr_pin_user_pages_fast(struct vaddr_pin *vp, unsigned long start,
				int nr_pages, unsigned int gup_flags,
				struct page **pages)
{
	struct vaddr_range range = {
		.vp = vp,
		.start = untagged_addr(start) & PAGE_MASK,
		.nr = nr_pages,
		.gup_flags = gup_flags,
		.pages = pages,
	};
	int ret;

	ret = vaddr_pin_fsdax(&range);
	/* GUP refuses FS DAX memory again here. */
	if (ret == -EOPNOTSUPP)
		ret = pin_user_pages_fast(start, nr_pages, gup_flags, pages);
	return ret;
}
EXPORT_SYMBOL_GPL(__vaddr_pin_user_pages_fast);

/* How much is walked in one go, with the lock of the mapping held. */
#define VADDR_PIN_STEP		(SZ_128M >> PAGE_SHIFT)

/*
 * vaddr_pin_user_pages_full() for a process that may hold a lease. A failure is
 * told as GUP tells it (pages so far) if no FS DAX memory has to do with it.
 */
int __vaddr_pin_user_pages_full(struct vaddr_pin *vp, unsigned long start,
				int nr_pages, unsigned int gup_flags,
				struct page **pages)
{
	int ret, nr = 0;

	do {
		ret = vaddr_pin_user_pages_fast(vp, start + nr * PAGE_SIZE,
						min_t(int, nr_pages - nr,
						      VADDR_PIN_STEP),
						gup_flags, pages + nr);
		if (ret > 0)
			nr += ret;
		if (fatal_signal_pending(current))
			ret = -EINTR;
		cond_resched();
	} while (ret > 0 && nr < nr_pages);

	if (ret > 0 || (ret != -EOPNOTSUPP && !vaddr_pin_any(vp)))
		return nr ?: ret;
	vaddr_unpin_user_pages(pages, nr);
	vaddr_pin_abandon(vp);
	return ret ?: -EFAULT;
}
EXPORT_SYMBOL_GPL(__vaddr_pin_user_pages_full);

/**
 * vaddr_pin_again() - reference a page once more for a long-term pin
 * @page: first page of an entry of the mapping that a record keeps
 *
 * Unlike a system call that pins, one that shares pins is not charged for the
 * memory. So a process could make the count of references overflow.
 *
 * Return: false if the count is too large.
 */
bool vaddr_pin_again(struct page *page)
{
	struct folio *folio = page_folio(page);

	return folio_ref_count(folio) > 0 &&
		!try_grab_folio(folio, 1, FOLL_PIN);
}

/**
 * vaddr_unpin_user_folio() - unpin pages of a folio that no device wrote to
 * @folio: the folio
 * @npages: number of pages of it that were pinned
 *
 * unpin_user_folio(), except for FS DAX pages, as in
 * vaddr_unpin_user_page_range_dirty_lock().
 *
 * Context: any.
 */
void vaddr_unpin_user_folio(struct folio *folio, unsigned long npages)
{
	if (!layout_page_is_fsdax(&folio->page))
		unpin_user_folio(folio, npages);
}
EXPORT_SYMBOL_GPL(vaddr_unpin_user_folio);

/**
 * vaddr_unpin_user_page_range_dirty_lock() - unpin pages next to each other
 * @page: the first page
 * @npages: number of pages, all of one device or none
 * @make_dirty: whether the device wrote
 *
 * unpin_user_page_range_dirty_lock(), except for FS DAX pages: their references
 * and their dirtiness belong to the record, and go in vaddr_unpin_done().
 *
 * Context: may sleep.
 */
void vaddr_unpin_user_page_range_dirty_lock(struct page *page,
					    unsigned long npages,
					    bool make_dirty)
{
	if (!layout_page_is_fsdax(page))
		unpin_user_page_range_dirty_lock(page, npages, make_dirty);
}
EXPORT_SYMBOL_GPL(vaddr_unpin_user_page_range_dirty_lock);

/**
 * vaddr_unpin_user_pages_dirty_lock() - unpin an array of pages
 * @pages: what vaddr_pin_user_pages_fast() filled
 * @npages: number of pages
 * @make_dirty: whether the device wrote
 *
 * As vaddr_unpin_user_page_range_dirty_lock(); the array may have pages of all
 * kinds.
 *
 * Context: may sleep.
 */
void vaddr_unpin_user_pages_dirty_lock(struct page **pages,
				       unsigned long npages, bool make_dirty)
{
	unsigned long i, n;

	for (i = 0; i < npages; i += n) {
		bool fsdax = layout_page_is_fsdax(pages[i]);

		n = 1;
		while (i + n < npages &&
		       layout_page_is_fsdax(pages[i + n]) == fsdax)
			n++;
		if (!fsdax)
			unpin_user_pages_dirty_lock(pages + i, n, make_dirty);
	}
}
EXPORT_SYMBOL_GPL(vaddr_unpin_user_pages_dirty_lock);
