/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of fs/layout/ and fs/proc/file_pins.c share: lease.c (the
 * kinds, and who may hold what), check.c (may blocks move), record.c (what is
 * pinned), owner.c (for whom), wait.c (who waits), report.c and table.c (what
 * is told).
 *
 * Locks:
 *	i_rwsem of the inode
 *		shared while a lease is granted, so that none comes in while a
 *		change of the layout is under way. Dropping a lease does not
 *		take it, or nobody could let go of what a change waits for.
 *	flc_lock of the inode (file_lock_context)
 *		the list of leases, struct layout_lease, struct layout_ctx with
 *		its records and its links, and all that is in a record. The same
 *		lock as the lease list, so that "drop the lease" and "pin under
 *		it" are ordered without a second one. The only one that a pin
 *		and an unpin take.
 *	layout_owner.lock
 *		the owner's tree of links
 *	layout_owners_lock (global)
 *		which owners there are; taken when one comes or goes
 *	layout_closed_lock (global)
 *		the files that a change of the layout waits for, see wait.c;
 *		empty list, no lock
 *
 * Order: mmap_lock (read) -> flc_lock,
 * i_rwsem -> invalidate_lock -> file_rwsem -> flc_lock -> layout_closed_lock,
 * and layout_owners_lock -> layout_owner.lock -> flc_lock. All are taken with
 * interrupts on and never under a page table lock or the lock of an xarray.
 */
#ifndef _FS_LAYOUT_INTERNAL_H
#define _FS_LAYOUT_INTERNAL_H

#include <linux/interval_tree.h>
#include <linux/layout_pin.h>
#include <linux/layout_wait.h>
#include <linux/path.h>
#include <linux/pid.h>
#include <linux/refcount.h>
#include <linux/vaddr_pin.h>

#include "lease.h"

/**
 * struct layout_ctx - pins of one inode; hangs off its file_lock_context
 * @pins: records, by page offset
 * @links: who has this file pinned, or had, by owner
 * @nr_writable: records of memory that a device may write
 * @changes: of @pins, so that a reader knows whether a record is still there
 */
struct layout_ctx {
	struct rb_root_cached pins;
	struct rb_root links;
	unsigned long nr_writable;
	unsigned long changes;
};

/**
 * struct layout_lease - what a lease taken by fcntl(2) has beyond file_lease
 * @fl: the lease
 * @flctx: lock context of the inode; set when the lease was granted
 * @ctx: to become flctx->flc_layout, unless that is there; else NULL
 * @holder: the process that may pin; compared by pointer, never by number
 * @want: kind asked for by a second F_SETLEASE, for ->lm_change()
 * @nr_pins: records made under this lease. While there are any, the lease
 *	has one reference to its open file: that is what keeps it when the last
 *	descriptor and the last mapping are gone (a zombie lease).
 */
struct layout_lease {
	struct file_lease *fl;
	struct file_lock_context *flctx;
	struct layout_ctx *ctx;
	struct pid *holder;
	unsigned int want;
	unsigned long nr_pins;
};

/**
 * struct layout_owner - for whom pins were made
 * @node: in the hash of keys, until the open file is closed
 * @key: struct file, without a reference, or struct mm_struct, grabbed; NULL
 *	once the driver said that the open file ends
 * @is_mm: true if @key is an mm
 * @retired: nothing finds it any more
 * @number: of this owner and no other since boot
 * @all: in the tree of all owners, by number
 * @closed: in the list of those that ended while pins were left
 * @lock: protects @links
 * @links: files that it pins, or pinned, by number
 * @refs: one while it is not retired, one for each link
 * @rcu: the hash is searched without a lock
 *
 * An open file is not referenced: pin -> uverbs file -> region -> pin would be
 * a cycle that no close could end. The driver says when it ends, before its
 * memory can be another file.
 */
struct layout_owner {
	struct hlist_node node;
	void *key;
	bool is_mm;
	bool retired;
	u64 number;
	struct rb_node all;
	struct list_head closed;
	spinlock_t lock;
	struct rb_root links;
	refcount_t refs;
	struct rcu_head rcu;
};

/**
 * struct layout_link - one owner pins one file, however many times
 * @of_owner: in layout_owner.links; empty once the link has ended
 * @of_inode: in layout_ctx.links: where the owner's next pin finds the link
 * @owner: the owner, referenced
 * @inode: the file; there as long as @of_owner is not empty
 * @flctx: its lock context
 * @number: greater than that of any link before: where a reader goes on
 * @refs: one while it has not ended
 * @nr_pins: records; written under flc_lock
 * @path: a name of the file, referenced, while there are records
 * @mm: who pinned first, grabbed, while there are records
 */
struct layout_link {
	struct rb_node of_owner;
	struct rb_node of_inode;
	struct layout_owner *owner;
	struct inode *inode;
	struct file_lock_context *flctx;
	u64 number;
	refcount_t refs;
	unsigned long nr_pins;
	struct path path;
	struct mm_struct *mm;
};

/**
 * struct layout_left - what the last record of a link had
 * @path: to put
 * @mm: to drop; NULL if there is nothing to put
 * @link: to end, referenced, or NULL
 */
struct layout_left {
	struct path path;
	struct mm_struct *mm;
	struct layout_link *link;
};

/**
 * struct layout_pin - record of a pinned part of a file
 * @it: first and last page offset; in layout_ctx.pins
 * @list: in vaddr_pin.records; the driver's object serialises
 * @lease: the lease it was made under
 * @link: whom it counts for
 * @pgmap: the memory it is in, referenced once committed: keeps struct page
 * @since: when it was made, in seconds since boot
 * @writable: a device may write, so that the times of the file are its times,
 *	too
 *
 * Once committed it has one page reference to each entry of the mapping in its
 * range. Stands from before the first of them until after the last.
 */
struct layout_pin {
	struct interval_tree_node it;
	struct list_head list;
	struct layout_lease *lease;
	struct layout_link *link;
	struct dev_pagemap *pgmap;
	u32 since;
	bool writable;
};

/* A million regions are to cost little: what kmalloc() rounds up to. */
static_assert(sizeof(struct layout_pin) <= 96);

/*
 * The first and the last page that an entry of this order around @index covers.
 */
static inline pgoff_t layout_round_down(pgoff_t index, unsigned int order)
{
	return index & ~((1UL << order) - 1);
}

static inline pgoff_t layout_round_up(pgoff_t index, unsigned int order)
{
	return index | ((1UL << order) - 1);
}

/* Does any record meet these pages? Under flc_lock. */
static inline bool layout_range_pinned(struct layout_ctx *lctx, pgoff_t first,
				       pgoff_t last)
{
	return interval_tree_iter_first(&lctx->pins, first, last);
}

/* owner.c */
struct layout_owner *layout_owner_get(void *key);
struct layout_owner *layout_owner_next(u64 after);
struct layout_owner *layout_owner_next_closed(u64 after);
void layout_owner_put(struct layout_owner *owner);
struct layout_link *layout_link_find(struct layout_ctx *lctx);
struct layout_link *layout_link_next(struct layout_owner *owner, u64 after);
int layout_link_make(struct inode *inode);
void layout_link_put(struct layout_link *link);
void layout_link_count(struct layout_link *link, struct file *file);
void layout_link_uncount(struct layout_link *link, struct layout_left *left);
void layout_link_leave(struct layout_left *left);
void layout_links_free(struct file_lock_context *ctx);

int layout_break_leases(struct inode *inode, bool wait);
void layout_wait_close(struct layout_wait *wait, struct inode *inode);

int layout_lease_parse(int arg, int rdlck, unsigned int *flags);
bool layout_lease_conflict(unsigned int held, unsigned int asked);
bool layout_lease_live(const struct layout_lease *lease);
struct layout_lease *layout_lease_find(struct inode *inode, struct pid *holder);

void layout_pin_resize(struct layout_pin *pin, pgoff_t first, pgoff_t last);

/**
 * struct layout_cursor - a reader of what is pinned through an owner
 * @after: number of the last link that was read
 * @until: number of the youngest link when reading began
 * @end: there is no more
 */
struct layout_cursor {
	u64 after;
	u64 until;
	bool end;
};

/* Paths of the files pinned through an owner, for /proc. */
u64 layout_owner_number(void *key);
bool layout_owner_known(void *key);
unsigned int layout_owner_paths(struct layout_owner *owner,
				struct mm_struct *mm,
				struct layout_cursor *cursor,
				struct path *paths, unsigned int room);
void layout_owner_put_paths(struct path *paths, unsigned int nr);

#endif /* _FS_LAYOUT_INTERNAL_H */
