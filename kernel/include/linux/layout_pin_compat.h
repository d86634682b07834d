/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The few things in which kernel versions differ for layout leases and pins. No
 * other file of theirs may test LINUX_VERSION_CODE. What a function is for is
 * said where it is longer, for the older kernel.
 */
#ifndef _LINUX_LAYOUT_PIN_COMPAT_H
#define _LINUX_LAYOUT_PIN_COMPAT_H

#include <linux/fcntl.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/filelock.h>
#include <linux/fs.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/pgtable.h>
#include <linux/pid.h>
#include <linux/version.h>
#include <linux/xarray.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)

static inline bool layout_file_get(struct file *file)
{
	return file_ref_get(&file->f_ref);
}

static inline struct file *layout_next_file(struct task_struct *task,
					    unsigned int *fd)
{
	return fget_task_next(task, fd);
}

static inline int layout_break_leases(struct inode *inode, bool wait)
{
	return __break_lease(inode, LEASE_BREAK_LAYOUT |
			     LEASE_BREAK_LAYOUT_UNMAP |
			     (wait ? 0 : LEASE_BREAK_NONBLOCK));
}

static inline unsigned int layout_inode_state(struct inode *inode)
{
	return inode_state_read(inode);
}

static inline void layout_inode_state_set(struct inode *inode,
					  unsigned int flags)
{
	inode_state_set(inode, flags);
}

static inline void layout_inode_state_clear(struct inode *inode,
					    unsigned int flags)
{
	inode_state_clear(inode, flags);
}

static inline void layout_inode_touch(struct inode *inode)
{
	if (inode->i_op->update_time)
		inode->i_op->update_time(inode, FS_UPD_CMTIME, 0);
	else
		generic_update_time(inode, FS_UPD_CMTIME, 0);
}

static inline void layout_inode_touch_memory(struct inode *inode)
{
	inode_update_time(inode, FS_UPD_CMTIME, 0);
}

static inline struct dev_pagemap *layout_page_pgmap(const struct page *page)
{
	return page_pgmap(page);
}

static inline struct dev_pagemap *layout_get_pgmap(const struct page *page)
{
	return get_dev_pagemap(page_to_pfn(page));
}

/* Mappings count as well. Of a large folio only the first page counts. */
static inline int layout_page_users(const struct page *page)
{
	return page_ref_count(page);
}

static inline void *layout_page_event(struct page *page)
{
	return page;
}

static inline struct address_space *layout_page_mapping(const struct page *page)
{
	return READ_ONCE(page_folio(page)->mapping);
}

static inline pgoff_t layout_page_index(const struct page *page)
{
	const struct folio *folio = page_folio(page);

	return READ_ONCE(folio->index) + folio_page_idx(folio, page);
}

/* The entry of a zero page is special. */
static inline bool layout_pte_device(pte_t pte)
{
	return !pte_special(pte);
}

static inline bool layout_pmd_device(pmd_t pmd)
{
	return !pmd_special(pmd);
}

#else

/* Take a reference, unless the last one is gone. RCU frees files. */
static inline bool layout_file_get(struct file *file)
{
	return atomic_long_inc_not_zero(&file->f_count);
}

/* Get the open file of a task at descriptor *@fd or above, which it sets. */
static inline struct file *layout_next_file(struct task_struct *task,
					    unsigned int *fd)
{
	struct file *file;

	rcu_read_lock();
	file = task_lookup_next_fdget_rcu(task, fd);
	rcu_read_unlock();
	return file;
}

/*
 * Ask the holders of breakable leases on a file that had a layout lease to let
 * go. With @wait, wait until they have, at most lease-break-time.
 *
 * Return: 0, -EWOULDBLOCK if !@wait and some have not let go yet, -ERESTARTSYS,
 *	-ENOMEM.
 */
static inline int layout_break_leases(struct inode *inode, bool wait)
{
	return __break_lease(inode, wait ? O_WRONLY : O_WRONLY | O_NONBLOCK,
			     FL_LAYOUT | FL_LAYOUT_UNMAP);
}

/* Under i_lock. */
static inline unsigned int layout_inode_state(struct inode *inode)
{
	return inode->i_state;
}

static inline void layout_inode_state_set(struct inode *inode,
					  unsigned int flags)
{
	WRITE_ONCE(inode->i_state, inode->i_state | flags);
}

static inline void layout_inode_state_clear(struct inode *inode,
					    unsigned int flags)
{
	WRITE_ONCE(inode->i_state, inode->i_state & ~flags);
}

/* Move the times of a file and its change attribute, as after a store. */
static inline void layout_inode_touch(struct inode *inode)
{
	inode_update_time(inode, S_MTIME | S_CTIME | S_VERSION);
}

/* The same, in memory only. */
static inline void layout_inode_touch_memory(struct inode *inode)
{
	inode_update_timestamps(inode, S_MTIME | S_CTIME | S_VERSION);
}

static inline struct dev_pagemap *layout_page_pgmap(const struct page *page)
{
	return page->pgmap;
}

/* Get the device that a page is on, or NULL if it is being removed. */
static inline struct dev_pagemap *layout_get_pgmap(const struct page *page)
{
	return get_dev_pagemap(page_to_pfn(page), NULL);
}

/* How many references a page of FS DAX has beside that of the device. */
static inline int layout_page_users(const struct page *page)
{
	return page_ref_count(page) - 1;
}

/* The event that layout_page_users() became 0, for wait_var_event(). */
static inline void *layout_page_event(struct page *page)
{
	return &page->_refcount;
}

/*
 * The file that a page of FS DAX is one of, or NULL if there is none or
 * several. For a look: without a pin the page may leave the file at any time.
 */
static inline struct address_space *layout_page_mapping(const struct page *page)
{
	struct address_space *mapping = READ_ONCE(page->mapping);

	return (unsigned long)mapping & PAGE_MAPPING_FLAGS ? NULL : mapping;
}

/* Where in its file a page of FS DAX is. For a look, as above. */
static inline pgoff_t layout_page_index(const struct page *page)
{
	return READ_ONCE(page->index);
}

/* Is a present entry of an FS DAX mapping one of the file's memory? */
static inline bool layout_pte_device(pte_t pte)
{
	return pte_devmap(pte);
}

static inline bool layout_pmd_device(pmd_t pmd)
{
	return pmd_devmap(pmd);
}

#endif

/*
 * Number of open descriptors, mappings and pins of an open file. Exact only
 * for "is it one?": the caller owns one of the references it compares with.
 */
static inline long layout_file_refs(struct file *file)
{
	return file_count(file);
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

/* Does nobody but the file use this page of FS DAX? */
static inline bool layout_page_idle(const struct page *page)
{
	return !layout_page_users(page);
}

/* FS DAX pages are pinned for long only under layout leases. */
static inline bool layout_page_is_fsdax(const struct page *page)
{
	return is_zone_device_page(page) &&
		layout_page_pgmap(page)->type == MEMORY_DEVICE_FS_DAX;
}

/* The page that is mapped for writing in an FS DAX mapping, or NULL. */
static inline struct page *layout_pte_page(pte_t pte)
{
	if (!pte_present(pte) || !layout_pte_device(pte) || !pte_write(pte))
		return NULL;
	return pte_page(pte);
}

static inline struct page *layout_pmd_page(pmd_t pmd, unsigned long addr)
{
	if (!pmd_present(pmd) || !layout_pmd_device(pmd) || !pmd_write(pmd))
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
