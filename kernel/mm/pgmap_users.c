// SPDX-License-Identifier: GPL-2.0-only
/*
 * The users of FS DAX pages whose memmap is about to go.
 *
 * pgmap->ref does not count references that get_user_pages() takes on such
 * pages. They outlive mappings and even the file system. Once the pgmap is dead
 * no new one can come, and the removal waits for those that are there: their
 * users would put them in a memmap that is gone.
 *
 * From then on a page no longer tells its file, since a file system does not
 * look at pages whose pgmap is dead, even when it forgets an inode. So the
 * removal notes files before. The notes belong to the task that removes the
 * memory. No locks, but RCU for the name of a file.
 */
#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/layout_pin_compat.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "pgmap_users.h"

#define PGMAP_USERS	8	/* pages whose files are noted */

/**
 * struct pgmap_users - files of pages that were in use
 * @nr: how many are noted
 * @user: the page, and what to call its file
 */
struct pgmap_users {
	int nr;
	struct {
		unsigned long pfn;
		char file[80];
	} user[PGMAP_USERS];
};

/* RCU frees an inode, and only after its pages have lost it. */
static void pgmap_name_file(struct page *page, char *name, size_t size)
{
	struct address_space *mapping;
	struct dentry *dentry;
	struct inode *inode;

	rcu_read_lock();
	mapping = layout_page_mapping(page);
	if (!mapping) {
		rcu_read_unlock();
		return;
	}
	inode = mapping->host;
	dentry = d_find_alias_rcu(inode);
	if (dentry)
		snprintf(name, size, " of inode %llu on %s, %pd",
			 (u64)inode->i_ino, inode->i_sb->s_id, dentry);
	else
		snprintf(name, size, " of inode %llu on %s, deleted",
			 (u64)inode->i_ino, inode->i_sb->s_id);
	rcu_read_unlock();
}

/**
 * pgmap_users_note() - note the files of pages that are in use
 * @users: notes to go on with, or NULL
 * @pgmap: the memory, still alive
 * @first: first page frame of a range of it
 * @end: the one behind the last
 *
 * Context: may sleep.
 * Return: notes, to be freed with kfree(); NULL if no page is in use, if this
 *	is not the memory of FS DAX, or if there is no memory for notes.
 */
struct pgmap_users *pgmap_users_note(struct pgmap_users *users,
				     struct dev_pagemap *pgmap,
				     unsigned long first, unsigned long end)
{
	unsigned long pfn;

	if (pgmap->type != MEMORY_DEVICE_FS_DAX)
		return NULL;
	for (pfn = first; pfn < end; pfn++) {
		struct page *page = pfn_to_page(pfn);

		if (!(pfn % PTRS_PER_PTE))
			cond_resched();
		if (!layout_page_users(page))
			continue;
		if (!users)
			users = kzalloc(sizeof(*users), GFP_KERNEL);
		if (!users || users->nr == PGMAP_USERS)
			break;
		users->user[users->nr].pfn = pfn;
		pgmap_name_file(page, users->user[users->nr].file,
				sizeof(users->user[0].file));
		users->nr++;
	}
	return users;
}

static const char *pgmap_users_file(const struct pgmap_users *users,
				    unsigned long pfn)
{
	int i;

	for (i = 0; users && i < users->nr; i++)
		if (users->user[i].pfn == pfn)
			return users->user[i].file;
	return "";
}

/**
 * pgmap_users_wait() - wait until nobody uses the pages
 * @users: notes of pgmap_users_note(), or NULL
 * @pgmap: the memory, dead by now
 * @first: first page frame of a range of it
 * @end: the one behind the last
 *
 * The log says at once, and every ten seconds, which page of which file it is.
 *
 * Context: sleeps for as long as there are users. A thread of its own removes
 *	persistent memory, see drivers/nvdimm/unbind.c.
 */
void pgmap_users_wait(const struct pgmap_users *users,
		      struct dev_pagemap *pgmap, unsigned long first,
		      unsigned long end)
{
	bool told = false;
	unsigned long pfn;

	if (pgmap->type != MEMORY_DEVICE_FS_DAX)
		return;
	for (pfn = first; pfn < end; pfn++) {
		struct page *page = pfn_to_page(pfn);

		while (!wait_var_event_timeout(layout_page_event(page),
					       !layout_page_users(page),
					       told ? 10 * HZ : 1)) {
			pr_warn("memremap: removal of the memory at %#llx waits for a user of its page %lu%s, such as direct I/O, a pipe or a socket\n",
				(u64)PFN_PHYS(first), pfn - first,
				pgmap_users_file(users, pfn));
			told = true;
		}
		if (!(pfn % PTRS_PER_PTE))
			cond_resched();
	}
}
