/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What fs/layout_pin.c (leases), fs/layout_record.c (records of pins),
 * fs/proc/file_pins.c and mm/vaddr_pin.c share.
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
 * Order: mmap_lock (read) -> flc_lock -> layout_table_lock, and
 * i_rwsem -> invalidate_lock -> flc_lock. All are taken with interrupts on and
 * never under a page table lock or the lock of an xarray.
 */
#ifndef _FS_LAYOUT_PIN_INTERNAL_H
#define _FS_LAYOUT_PIN_INTERNAL_H

#include <linux/interval_tree.h>
#include <linux/layout_pin.h>
#include <linux/path.h>
#include <linux/pid.h>

/**
 * struct layout_ctx - pins of one inode; hangs off its file_lock_context
 * @pins: records, by page offset
 */
struct layout_ctx {
	struct rb_root_cached pins;
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
 * @key: struct file, without a reference, or struct mm_struct, grabbed
 * @is_mm: which of both
 * @links: files pinned through this owner
 *
 * An open file is not referenced: pin -> uverbs file -> region -> pin would be
 * a cycle that no close could end. __fput() detaches it instead.
 */
struct layout_owner {
	struct hlist_node node;
	void *key;
	bool is_mm;
	struct list_head links;
};

/**
 * struct layout_link - one owner pins one file, however many times
 * @list: in layout_owner.links
 * @owner: the owner
 * @inode: the file; pinned by the leases' open files
 * @path: a name of it, referenced
 * @nr_pins: records
 */
struct layout_link {
	struct list_head list;
	struct layout_owner *owner;
	struct inode *inode;
	struct path path;
	unsigned long nr_pins;
};

/**
 * struct layout_pin - record of a pinned part of a file
 * @it: first and last page offset; in layout_ctx.pins
 * @list: in vaddr_pin.records; the driver's object serialises
 * @table: in the table of all records
 * @lease: the lease it was made under
 * @link: whom it counts for
 * @pgmap: the memory it is in, referenced once committed: keeps struct page
 *
 * Stands from before the first page reference until after the last one.
 */
struct layout_pin {
	struct interval_tree_node it;
	struct list_head list;
	struct list_head table;
	struct layout_lease *lease;
	struct layout_link *link;
	struct dev_pagemap *pgmap;
};

extern struct list_head layout_table;
extern spinlock_t layout_table_lock;

bool layout_lease_conflict(unsigned int held, unsigned int asked);
bool layout_lease_live(const struct layout_lease *lease);
struct layout_lease *layout_lease_find(struct inode *inode, struct pid *holder);

struct layout_pin *layout_pin_add(struct vaddr_pin *vp, struct file *mapped,
				  pgoff_t first, pgoff_t last);
void layout_pin_commit(struct vaddr_pin *vp, struct layout_pin *pin,
		       struct address_space *mapping, pgoff_t first,
		       pgoff_t last, struct dev_pagemap *pgmap);
void layout_pin_drop(struct layout_pin *pin);

/* Paths of the files pinned through an owner, for /proc. */
bool layout_owner_known(void *key);
int layout_owner_paths(void *key, struct path **paths);
void layout_owner_put_paths(struct path *paths, int nr);

#endif /* _FS_LAYOUT_PIN_INTERNAL_H */
