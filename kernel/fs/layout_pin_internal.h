/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What fs/layout_lease.c (leases), fs/layout_pin.c (the check), layout_record.c
 * (records of pins), layout_owner.c (who for), layout_report.c (what is told of
 * them), layout_wait.c (who waits) and fs/proc/file_pins.c share.
 *
 * Locks:
 *	flc_lock of the inode (file_lock_context)
 *		the list of leases, struct layout_lease, struct layout_ctx with
 *		its tree of pins and the range of each record. The same lock as
 *		the lease list, so that "drop the lease" and "pin under it" are
 *		ordered without a second one.
 *	layout_table_lock (global)
 *		owners, links and the table of all records. A leaf: taken inside
 *		flc_lock, or alone by readers; nothing is taken inside it.
 *
 * i_rwsem of the inode
 *	shared while a lease is granted, so that none comes in while a change of
 *	the layout is under way. Dropping a lease does not take it, or nobody
 *	could let go of what a change waits for.
 *
 * layout_closed_lock (global)
 *	the files that a change of the layout waits for, see layout_wait.c. A leaf
 *	inside flc_lock; empty list, no lock.
 *
 * Order: mmap_lock (read) -> flc_lock -> layout_table_lock, and
 * i_rwsem -> invalidate_lock -> file_rwsem -> flc_lock. All are taken with interrupts on and
 * never under a page table lock or the lock of an xarray.
 */
#ifndef _FS_LAYOUT_PIN_INTERNAL_H
#define _FS_LAYOUT_PIN_INTERNAL_H

#include <linux/interval_tree.h>
#include <linux/layout_pin.h>
#include <linux/layout_wait.h>
#include <linux/path.h>
#include <linux/pid.h>
#include <linux/vaddr_pin.h>

/**
 * struct layout_ctx - pins of one inode; hangs off its file_lock_context
 * @pins: records, by page offset
 * @links: who has this file pinned, by owner; under layout_table_lock
 * @nr_writable: records of memory that a device may write
 */
struct layout_ctx {
	struct rb_root_cached pins;
	struct rb_root links;
	unsigned long nr_writable;
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
 * struct layout_owner - through whom pins were made
 * @node: in the hash of owners; unhashed when the open file was released
 * @key: struct file, without a reference, or struct mm_struct, grabbed; NULL
 *	once the open file was released
 * @is_mm: which of both
 * @number: of this owner and no other since boot, for the table in debugfs
 * @links: files pinned through this owner, by number; may be none if it is an
 *	open file
 * @rcu: the hash is also searched without a lock
 *
 * An open file is not referenced: pin -> uverbs file -> region -> pin would be
 * a cycle that no close could end. __fput() detaches it instead.
 */
struct layout_owner {
	struct hlist_node node;
	void *key;
	bool is_mm;
	u64 number;
	struct rb_root links;
	struct rcu_head rcu;
};

/**
 * struct layout_link - one owner pins one file, however many times
 * @of_owner: in layout_owner.links: what /proc shows for the owner
 * @of_inode: in layout_ctx.links: where the owner's next pin finds the link
 * @owner: the owner
 * @inode: the file; pinned by the leases' open files
 * @path: a name of it, referenced
 * @number: greater than that of any link before: where a reader goes on
 * @nr_pins: records
 */
struct layout_link {
	struct rb_node of_owner;
	struct rb_node of_inode;
	struct layout_owner *owner;
	struct inode *inode;
	struct path path;
	u64 number;
	unsigned long nr_pins;
};

/**
 * struct layout_pin - record of a pinned part of a file
 * @it: first and last page offset; in layout_ctx.pins
 * @list: in vaddr_pin.records; the driver's object serialises
 * @table: in the table of all records, between which readers of the table
 *	keep their place with records of their own: those have nothing else set
 * @lease: the lease it was made under
 * @link: whom it counts for
 * @pgmap: the memory it is in, referenced once committed: keeps struct page
 * @since: when it was made, in seconds since boot
 * @writable: a device may write, so that the times of the file are its times, too
 *
 * Once committed it has one page reference to each entry of the mapping in its
 * range. Stands from before the first of them until after the last.
 */
struct layout_pin {
	struct interval_tree_node it;
	struct list_head list;
	struct list_head table;
	struct layout_lease *lease;
	struct layout_link *link;
	struct dev_pagemap *pgmap;
	time64_t since;
	bool writable;
};

/* A million regions are to cost little: what kmalloc() rounds up to. */
static_assert(sizeof(struct layout_pin) <= 128);

/* The first and the last page that an entry of this order around @index covers. */
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

/**
 * struct layout_spare - what one pin may need, made before the locks
 * @pin: the record
 * @link: most pins find the link there already
 * @owner: or at least the owner, which is not made where it exists
 *
 * What is left over is freed after the locks.
 */
struct layout_spare {
	struct layout_pin *pin;
	struct layout_link *link;
	struct layout_owner *owner;
};

extern struct list_head layout_table;
extern spinlock_t layout_table_lock;

int layout_spare_link(struct layout_spare *spare);
bool layout_link_likely(void);
void layout_spare_free(struct layout_spare *spare);
struct layout_link *layout_link_get(struct layout_ctx *lctx,
				    struct layout_spare *spare,
				    struct file *file);
struct layout_link *layout_link_put(struct layout_ctx *lctx,
				    struct layout_link *link);
void layout_link_free(struct layout_link *link);

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
 */
struct layout_cursor {
	u64 after;
	u64 until;
};

/* Paths of the files pinned through an owner, for /proc. */
u64 layout_owner_number(void *key);
bool layout_owner_known(void *key);
unsigned int layout_owner_paths(void *key, struct layout_cursor *cursor,
				struct path *paths, unsigned int room);
void layout_owner_put_paths(struct path *paths, unsigned int nr);

#endif /* _FS_LAYOUT_PIN_INTERNAL_H */
