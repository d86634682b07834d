/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of fs/layout/ and fs/proc/file_pins.c share: lease.c (which
 * leases may stand at once), setlease.c (may an open file take one now),
 * check.c (whether blocks may move), record.c (what is pinned), owner.c (for
 * whom), link.c (which files an owner pins), wait.c (how a change waits),
 * walk.c (all records, one after the other), report.c (what the log says) and
 * table.c (what debugfs shows).
 *
 * Locks:
 *	i_rwsem of the inode
 *		held shared while a lease is granted, so that none comes in
 *		while a change of the layout is under way. Dropping a lease does
 *		not take it, or no holder could let go of a lease that a change
 *		waits for.
 *	flc_lock of the inode (file_lock_context)
 *		protects the list of leases, struct layout_lease, struct
 *		layout_ctx with its records and its links, and all that is in a
 *		record. It is the lock of the lease list, and so it also orders
 *		"drop the lease" and "pin under it". A pin and an unpin take no
 *		other lock of these, unless they make or end a link.
 *	layout_owner.lock
 *		protects the owner's tree of links
 *	layout_owners_lock (global)
 *		protects the tree, the hash and the list of owners; taken when
 *		an owner comes or goes, and by readers that walk all owners
 *	layout_closed_lock (global)
 *		protects the list of files that changes of the layout wait for,
 *		see wait.c; not taken while the list is empty
 *
 * Order: mmap_lock or the lock of a mapping (read) -> flc_lock,
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
 * @links: one for each owner that pins this file, or did
 * @nr_writable: number of records of memory that a device may write
 * @changes: counts changes of @pins; tells a reader whether its record is still
 *	there
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
 * @ctx: preallocated; becomes flctx->flc_layout if the inode has none, then
 *	NULL
 * @holder: the process that may pin; compared by pointer, never by number
 * @want: kind that a second F_SETLEASE asks for; ->lm_change() applies it
 * @nr_pins: number of records made under this lease. While there are any, the
 *	lease holds one reference to its open file. That keeps the file when the
 *	last descriptor and the last mapping are gone (a zombie lease).
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
 * struct layout_owner - the open file or the mm for which pins were made
 * @node: in the hash of keys, until the owner ends or retires
 * @key: struct file, without a reference, or struct mm_struct, grabbed; NULL
 *	once the driver has said that the open file ends
 * @is_mm: true if @key is an mm
 * @retired: no lookup finds it any more, and it gets no link
 * @number: unique since boot
 * @all: in the tree of all owners, by number
 * @closed: in the list of owners that ended while pins were left
 * @lock: protects @links
 * @links: one for each file that it pins or pinned, by number
 * @refs: one while it is not retired, one for each link
 * @rcu: the hash is searched without a lock
 *
 * The owner does not reference its open file: pin -> uverbs file -> region ->
 * pin would be a cycle that no close could end. The driver says when the open
 * file ends, before its memory can become another file.
 */
struct layout_owner {
	struct hlist_node node;
	void *key;
	bool is_mm;
	bool retired;
	u64 number;
	struct rb_node all;
	struct list_head closed;
	spinlock_t lock;	/* see above */
	struct rb_root links;
	refcount_t refs;
	struct rcu_head rcu;
};

/**
 * struct layout_link - one owner pins one file, however many times
 * @of_owner: in layout_owner.links; empty once the link has ended
 * @of_inode: in layout_ctx.links, where the owner's next pin finds the link
 * @owner: the owner, referenced
 * @inode: the file; valid while @of_owner is not empty
 * @flctx: its lock context
 * @number: greater than that of every older link; a reader goes on from it
 * @refs: one until the link ends, more for its users
 * @nr_pins: number of records; written under flc_lock
 * @path: a name of the file, referenced, while there are records
 * @mm: the mm that pinned first, grabbed, while there are records
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
 * struct layout_left - what is to be put after the last record of a link
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
 * @list: in vaddr_pin.records; the driver serialises the use of its object
 * @lease: the lease it was made under
 * @link: the link between its owner and its file, which counts it
 * @pgmap: the memory it is in, referenced once committed; that keeps struct
 *	page
 * @since: when it was made, in seconds since boot
 * @writable: a device may write, so the times of the file have to move
 *
 * Once committed it has one page reference to each entry of the mapping in its
 * range. The record is in the tree from before the first of them is taken until
 * after the last is put.
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

/* There may be a million records, and kmalloc() rounds up to this size. */
static_assert(sizeof(struct layout_pin) <= 96);

/* First and last page of the entry of this order that covers @index. */
static inline pgoff_t layout_round_down(pgoff_t index, unsigned int order)
{
	return index & ~((1UL << order) - 1);
}

static inline pgoff_t layout_round_up(pgoff_t index, unsigned int order)
{
	return index | ((1UL << order) - 1);
}

/* Does any record overlap these pages? Under flc_lock. */
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
struct layout_owner *layout_owner_current(void);
struct layout_owner *layout_owner_make(void);
bool layout_owner_transient(const struct layout_owner *owner);
void layout_owner_retire(struct layout_owner *owner);
void layout_owner_close(struct layout_owner *owner);

/* link.c */
struct layout_link *layout_link_find(struct layout_ctx *lctx);
struct layout_link *layout_link_next(struct layout_owner *owner, u64 after);
int layout_link_make(struct inode *inode);
void layout_link_abandon(struct inode *inode);
void layout_link_put(struct layout_link *link);
void layout_link_count(struct layout_link *link, struct file *file);
void layout_link_uncount(struct layout_link *link, struct layout_left *left);
void layout_link_leave(struct layout_left *left);
void layout_links_free(struct file_lock_context *ctx);

/* check.c */
bool layout_break_endless(struct inode *inode);
bool layout_may_lease(struct mnt_idmap *idmap, struct inode *inode);
void layout_wait_close(struct layout_wait *wait, struct inode *inode);

int layout_lease_parse(int arg, int rdlck, unsigned int *flags);
bool layout_lease_conflict(unsigned int held, unsigned int asked);
bool layout_lease_live(const struct layout_lease *lease);
struct layout_lease *layout_lease_find(struct inode *inode, struct pid *holder);

void layout_pin_resize(struct layout_pin *pin, pgoff_t first, pgoff_t last);

/**
 * struct layout_cursor - the place of a reader of an owner's files
 * @after: number of the last link that was read
 * @until: number of the youngest link when reading began
 * @end: nothing is left to read
 */
struct layout_cursor {
	u64 after;
	u64 until;
	bool end;
};

/**
 * struct layout_walk - the place of a walk through all records, see walk.c
 * @owner: whose records come next, referenced; NULL at the end
 * @link: of which file; not followed without locks, but found by @number
 * @number: of @link
 * @changes: layout_ctx.changes of the file when @pin was noted
 * @pin: the next record; NULL if the file has no more
 * @start: its first page
 * @skip: records that start at that page and come before it
 * @held: records and files looked at since the locks were taken
 */
struct layout_walk {
	struct layout_owner *owner;
	struct layout_link *link;
	u64 number;
	unsigned long changes;
	struct layout_pin *pin;
	pgoff_t start;
	unsigned long skip;
	unsigned int held;
};

void layout_walk_begin(struct layout_walk *walk);
bool layout_walk_seek(struct layout_walk *walk);
bool layout_walk_next(struct layout_walk *walk);
void layout_walk_unlock(struct layout_walk *walk);
void layout_walk_end(struct layout_walk *walk);

/* For /proc: the paths of the files pinned through an owner. */
u64 layout_owner_number(void *key);
bool layout_owner_known(void *key);
unsigned int layout_owner_paths(struct layout_owner *owner,
				struct mm_struct *mm,
				struct layout_cursor *cursor,
				struct path *paths, unsigned int room);
void layout_owner_put_paths(struct path *paths, unsigned int nr);

#endif /* _FS_LAYOUT_INTERNAL_H */
