/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The few things in which kernel versions differ for layout leases and pins. No
 * other file of theirs may test LINUX_VERSION_CODE.
 */
#ifndef _LINUX_LAYOUT_PIN_COMPAT_H
#define _LINUX_LAYOUT_PIN_COMPAT_H

#include <linux/fs.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/pgtable.h>
#include <linux/pid.h>
#include <linux/version.h>
#include <linux/xarray.h>

/*
 * Number of open descriptors, mappings and pins of an open file. Exact only
 * for "is it one?": the caller owns one of the references it compares with.
 */
static inline long layout_file_refs(const struct file *file)
{
	return file_count(file);
}

/* Take a reference, unless the last one is gone. RCU frees files. */
static inline bool layout_file_get(struct file *file)
{
	return atomic_long_inc_not_zero(&file->f_count);
}

/*
 * Send the signals of an open file to @to if they went to @from, or to a dead
 * process. Keep any other owner set by F_SETOWN, even "nobody".
 */
static inline void layout_file_move_owner(struct file *file, struct pid *from,
					  struct pid *to)
{
	struct fown_struct *owner = file_f_owner(file);
	bool move;

	if (!owner)
		return;
	read_lock_irq(&owner->lock);
	move = owner->pid == from ||
	       (owner->pid && !pid_has_task(owner->pid, PIDTYPE_PID));
	read_unlock_irq(&owner->lock);
	if (move)
		__f_setown(file, to, PIDTYPE_TGID, 1);
}

static inline struct dev_pagemap *layout_page_pgmap(const struct page *page)
{
	return page->pgmap;
}

/* FS DAX pages are pinned for long only under layout leases. */
static inline bool layout_page_is_fsdax(const struct page *page)
{
	return is_zone_device_page(page) &&
		layout_page_pgmap(page)->type == MEMORY_DEVICE_FS_DAX;
}

/* Does nobody but the file use this page of FS DAX? */
static inline bool layout_page_idle(const struct page *page)
{
	return page_ref_count(page) == 1;
}

/*
 * Is a page of FS DAX memory one of this file, and at which index? Only for
 * comparison: without a pin the page may leave the file at any time.
 */
static inline bool layout_page_is_of(const struct page *page,
				     const struct address_space *mapping,
				     pgoff_t *index)
{
	*index = READ_ONCE(page->index);
	return READ_ONCE(page->mapping) == mapping;
}

/* The page that is mapped for writing in an FS DAX mapping, or NULL. */
static inline struct page *layout_pte_page(pte_t pte)
{
	if (!pte_present(pte) || !pte_devmap(pte) || !pte_write(pte))
		return NULL;
	return pte_page(pte);
}

static inline struct page *layout_pmd_page(pmd_t pmd, unsigned long addr)
{
	if (!pmd_present(pmd) || !pmd_devmap(pmd) || !pmd_write(pmd))
		return NULL;
	return pmd_page(pmd) + ((addr & ~PMD_MASK) >> PAGE_SHIFT);
}

/* Order of the DAX entry at @index; @none if there is no entry. */
static inline unsigned int layout_entry_order(struct address_space *mapping,
					      pgoff_t index, unsigned int none)
{
	XA_STATE(xas, &mapping->i_pages, index);
	unsigned int order = none;

	rcu_read_lock();
	if (xas_load(&xas))
		order = xas_get_order(&xas);
	rcu_read_unlock();
	return order;
}

#endif /* _LINUX_LAYOUT_PIN_COMPAT_H */
