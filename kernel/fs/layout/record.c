// SPDX-License-Identifier: GPL-2.0-only
/*
 * Records of pinned ranges.
 *
 * A record is in the tree of its inode (which file systems ask) and in the list
 * of the driver's object (which ends it). The link between its owner and its
 * file counts it, so that the cost of /proc/<pid>/file_pins grows with the
 * files and not with the regions.
 *
 * flc_lock of the inode protects all of it but the driver's list, see
 * internal.h. Everything is allocated before that lock is taken.
 */
#include <linux/dax.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/layout_pin_compat.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "internal.h"
#include <trace/events/layout_pin.h>

static void layout_pin_link(struct layout_pin *pin, struct layout_ctx *lctx)
{
	interval_tree_insert(&pin->it, &lctx->pins);
	lctx->changes++;
}

static void layout_pin_unlink(struct layout_pin *pin, struct layout_ctx *lctx)
{
	interval_tree_remove(&pin->it, &lctx->pins);
	lctx->changes++;
}

/*
 * Put a record under its lease, or under that of the running process if it has
 * none yet.
 * Return: 0, -EOPNOTSUPP without a lease, -EAGAIN if there is no link yet.
 */
static int layout_pin_insert(struct inode *inode, struct layout_pin *pin)
{
	struct file_lock_context *ctx = locks_inode_context(inode);
	struct layout_ctx *lctx = ctx->flc_layout;
	struct layout_lease *lease;
	struct file *file;

	lockdep_assert_held(&ctx->flc_lock);
	lease = pin->lease ?: layout_lease_find(inode, task_tgid(current));
	if (!lease)
		return -EOPNOTSUPP;
	pin->link = layout_link_find(lctx);
	if (!pin->link)
		return -EAGAIN;
	file = lease->fl->c.flc_file;
	/* The first pin of a lease references its open file, if it can. */
	if (!lease->nr_pins && !layout_file_get(file))
		return -EOPNOTSUPP;

	pin->lease = lease;
	lease->nr_pins++;
	lctx->nr_writable += pin->writable;
	layout_link_count(pin->link, file);
	layout_pin_link(pin, lctx);
	return 0;
}

/*
 * Round out to whole entries. Where there is no entry yet, a large one may
 * come, so assume that; layout_pin_commit() trims the record then. The record
 * must never be too small: a truncate next to it could find the entry busy but
 * no record that explains it, and sleep.
 */
static void layout_pin_round(struct layout_pin *pin,
			     struct address_space *mapping, pgoff_t first,
			     pgoff_t last)
{
	unsigned int order = layout_entry_order(mapping, first, PMD_ORDER);

	pin->it.start = layout_round_down(first, order);
	if (last > layout_round_up(first, order))
		order = layout_entry_order(mapping, last, PMD_ORDER);
	pin->it.last = layout_round_up(last, order);
}

/* A record of nothing yet. */
static struct layout_pin *layout_pin_new(bool writable)
{
	struct layout_pin *pin = kzalloc(sizeof(*pin), GFP_KERNEL_ACCOUNT);

	if (pin) {
		pin->since = ktime_get_boottime_seconds();
		pin->writable = writable;
	}
	return pin;
}

/*
 * Put a record into the tree of its file and the list of its object, for the
 * running task's owner. Frees it on failure. Return: as layout_pin_insert().
 */
static int layout_pin_place(struct vaddr_pin *vp, struct inode *inode,
			    struct layout_pin *pin)
{
	struct file_lock_context *ctx = locks_inode_context(inode);
	int error;

	do {
		rcu_read_lock();
		spin_lock(&ctx->flc_lock);
		error = layout_pin_insert(inode, pin);
		spin_unlock(&ctx->flc_lock);
		rcu_read_unlock();
	} while (error == -EAGAIN && !(error = layout_link_make(inode)));

	if (error) {
		layout_link_abandon(inode);
		kfree(pin);
		return error;
	}
	list_add_tail(&pin->list, &vp->records);
	return 0;
}

/**
 * layout_pin_add() - record a range, before its pages are referenced
 * @vp: the driver's object
 * @inode: file that is mapped
 * @first: first page offset
 * @last: last page offset
 *
 * Context: the lock of the mapping or mmap_lock held for reading. May sleep.
 * Return: the record, -ENOMEM, or -EOPNOTSUPP if the running process has no
 *	live unbreakable lease on the file.
 */
struct layout_pin *layout_pin_add(struct vaddr_pin *vp, struct inode *inode,
				  pgoff_t first, pgoff_t last)
{
	struct layout_pin *pin;
	int error;

	/* What this looks for may appear at any time, and then stays. */
	if (!layout_pin_inode(inode))
		return ERR_PTR(-EOPNOTSUPP);
	pin = layout_pin_new(vp->writable);
	if (!pin)
		return ERR_PTR(-ENOMEM);
	layout_pin_round(pin, inode->i_mapping, first, last);
	error = layout_pin_place(vp, inode, pin);
	return error ? ERR_PTR(error) : pin;
}

/**
 * layout_pin_resize() - change the range of a record in its tree
 * @pin: the record
 * @first: first page offset
 * @last: last page offset
 *
 * Context: flc_lock held.
 */
void layout_pin_resize(struct layout_pin *pin, pgoff_t first, pgoff_t last)
{
	struct layout_ctx *lctx = pin->lease->flctx->flc_layout;

	lockdep_assert_held(&pin->lease->flctx->flc_lock);
	if (pin->it.start == first && pin->it.last == last)
		return;
	layout_pin_unlink(pin, lctx);
	pin->it.start = first;
	pin->it.last = last;
	layout_pin_link(pin, lctx);
}

/* Drivers pin in chunks: does this record continue the one before? */
static bool layout_pin_continues(struct vaddr_pin *vp, struct layout_pin *pin,
				 pgoff_t first, struct dev_pagemap *pgmap)
{
	struct layout_pin *prev;

	if (list_is_first(&pin->list, &vp->records))
		return false;
	prev = list_prev_entry(pin, list);
	return prev->lease == pin->lease && prev->link == pin->link &&
		prev->writable == pin->writable && prev->pgmap == pgmap &&
		prev->it.start <= first &&
		prev->it.last + 1 >= first;
}

/* Merge a record into the one before, which has references to the overlap. */
static void layout_pin_merge(struct layout_pin *pin, pgoff_t first,
			     pgoff_t last)
{
	struct layout_pin *prev = list_prev_entry(pin, list);
	struct file_lock_context *ctx = pin->lease->flctx;
	pgoff_t end = prev->it.last;

	spin_lock(&ctx->flc_lock);
	layout_pin_resize(prev, prev->it.start, max(end, last));
	spin_unlock(&ctx->flc_lock);

	if (first <= end)
		dax_unpin_entries(pin->link->inode->i_mapping, first,
				  min(end, last));
	layout_pin_drop(pin);
}

/**
 * layout_pin_commit() - make a record exact once its pages are referenced
 * @vp: the driver's object
 * @pin: the youngest record of @vp
 * @first: first page offset really pinned
 * @last: last page offset really pinned
 * @pgmap: the memory of these pages; the caller's reference goes to the record
 *
 * The record takes over the caller's references, one to each entry of the
 * mapping, and is rounded out to entries. A referenced entry is not split or
 * replaced while the record stands, so its order is stable by now.
 *
 * Context: the lock of the mapping or mmap_lock held for reading.
 */
void layout_pin_commit(struct vaddr_pin *vp, struct layout_pin *pin,
		       pgoff_t first, pgoff_t last, struct dev_pagemap *pgmap)
{
	struct address_space *mapping = pin->link->inode->i_mapping;
	struct file_lock_context *ctx = pin->lease->flctx;
	unsigned int order = layout_entry_order(mapping, first, 0);

	trace_pin_add(mapping->host, first, last);
	first = layout_round_down(first, order);
	if (last > layout_round_up(first, order))
		order = layout_entry_order(mapping, last, 0);
	last = layout_round_up(last, order);

	if (layout_pin_continues(vp, pin, first, pgmap)) {
		layout_pin_merge(pin, first, last);
		put_dev_pagemap(pgmap);
		return;
	}
	spin_lock(&ctx->flc_lock);
	pin->pgmap = pgmap;
	layout_pin_resize(pin, first, last);
	spin_unlock(&ctx->flc_lock);
}

/**
 * layout_pin_drop() - put the references of a record, and free it
 * @pin: the record; freed. One that was not committed has no references.
 *
 * Context: process context. Puts the lease's open file under flc_lock, so that
 *	nobody sees the lease without pins and with a reference too many. The
 *	work of the last fput() is deferred.
 */
void layout_pin_drop(struct layout_pin *pin)
{
	struct layout_lease *lease = pin->lease;
	struct file_lock_context *ctx = lease->flctx;
	struct layout_left left;

	if (pin->pgmap) {
		trace_pin_drop(pin->link->inode, pin->it.start, pin->it.last);
		dax_unpin_entries(pin->link->inode->i_mapping, pin->it.start,
				  pin->it.last);
	}
	list_del(&pin->list);
	spin_lock(&ctx->flc_lock);
	layout_pin_unlink(pin, ctx->flc_layout);
	ctx->flc_layout->nr_writable -= pin->writable;
	layout_link_uncount(pin->link, &left);
	if (!--lease->nr_pins)
		fput(lease->fl->c.flc_file);
	spin_unlock(&ctx->flc_lock);

	layout_link_leave(&left);
	put_dev_pagemap(pin->pgmap);
	kfree(pin);
}

/*
 * Make a record of the same range under the same lease for the running task's
 * owner. The lease may be a zombie: it protects the range already.
 */
static int layout_pin_share(struct vaddr_pin *to, const struct layout_pin *from)
{
	struct file_lock_context *ctx = from->lease->flctx;
	struct layout_pin *pin = layout_pin_new(from->writable);
	int error;

	if (!pin)
		return -ENOMEM;
	pin->it.start = from->it.start;
	pin->it.last = from->it.last;
	pin->lease = from->lease;
	error = layout_pin_place(to, from->link->inode, pin);
	if (error)
		return error;
	error = -ENXIO;
	if (!percpu_ref_tryget_live(&from->pgmap->ref))
		goto drop;
	error = dax_pin_entries(pin->link->inode->i_mapping, pin->it.start,
				pin->it.last);
	if (error)
		goto put;
	trace_pin_add(pin->link->inode, pin->it.start, pin->it.last);
	spin_lock(&ctx->flc_lock);
	pin->pgmap = from->pgmap;
	spin_unlock(&ctx->flc_lock);
	return 0;
put:
	put_dev_pagemap(from->pgmap);
drop:
	layout_pin_drop(pin);
	return error;
}

/**
 * vaddr_pin_share() - pin for a second open file what a first one has pinned
 * @to: records of the second one's object, which has none
 * @from: records of the first one's object
 *
 * For a driver whose open files can share an object. The records of @to count
 * for the open file of vaddr_pin_owner_enter(), and stand when those of @from
 * are gone. Other memory than FS DAX needs no record: its pages stay pinned as
 * long as the driver says.
 *
 * Needs no live lease, since it keeps nobody from a block who was not kept
 * already.
 *
 * Context: may sleep. The driver serialises its calls for both objects.
 * Return: 0, or with @to as it was: -ENOMEM, also if a page has too many
 *	references; -ENXIO if the device is being removed.
 */
int vaddr_pin_share(struct vaddr_pin *to, struct vaddr_pin *from)
{
	struct layout_pin *pin;
	int error = 0;

	to->writable = from->writable;
	list_for_each_entry(pin, &from->records, list) {
		error = layout_pin_share(to, pin);
		if (error)
			break;
		cond_resched();
	}
	if (error)
		vaddr_pin_abandon(to);
	return error;
}
EXPORT_SYMBOL_GPL(vaddr_pin_share);

/**
 * vaddr_pin_abandon() - forget pins that no device has seen
 * @vp: the object's records
 *
 * vaddr_unpin_done() for a call that failed: no time of a file moves.
 *
 * Context: as vaddr_unpin_done().
 */
void vaddr_pin_abandon(struct vaddr_pin *vp)
{
	struct layout_pin *pin, *next;

	list_for_each_entry_safe(pin, next, &vp->records, list)
		layout_pin_drop(pin);
}
EXPORT_SYMBOL_GPL(vaddr_pin_abandon);

/*
 * A device may have written: move the times of the file and its change
 * attribute, as after a store, or a backup would pass the file by.
 *
 * This waits for no process. No transaction starts on a frozen file system
 * until somebody thaws it, and a close must not wait for that. The times move
 * in memory then, and reach the disk with the inode's next change. The same
 * holds for a task that flushes the file inside a transaction of its own. The
 * trylock also makes it safe where the freezer already waits for us.
 *
 * Callers hold locks of a driver under which user memory is copied, or write
 * this inode back. Both may start a transaction anyway: the first for a page
 * fault, the second as ->dirty_inode() does for lazy times.
 */
static void layout_pin_touch(struct inode *inode)
{
	if (IS_NOCMTIME(inode) || IS_RDONLY(inode))
		return;
	if (!current->journal_info && sb_start_write_trylock(inode->i_sb)) {
		layout_inode_touch(inode);
		sb_end_write(inode->i_sb);
	} else {
		layout_inode_touch_memory(inode);
	}
}

/* For layout_pin_synced(). */
void __layout_pin_synced(struct inode *inode)
{
	struct file_lock_context *ctx = locks_inode_context(inode);
	bool writable;

	spin_lock(&ctx->flc_lock);
	writable = ctx->flc_layout->nr_writable;
	spin_unlock(&ctx->flc_lock);
	if (writable)
		layout_pin_touch(inode);
}

/*
 * Move the times before the record goes, which keeps the file open for writing
 * and the file system mounted. A region may have many records, as in a file
 * with many devices: touch the file once for each run of them.
 */
void __vaddr_unpin_done(struct vaddr_pin *vp)
{
	struct layout_pin *pin, *next;
	struct inode *inode, *touched = NULL;

	list_for_each_entry_safe(pin, next, &vp->records, list) {
		inode = pin->link->inode;
		if (pin->writable && inode != touched) {
			layout_pin_touch(inode);
			touched = inode;
		}
		layout_pin_drop(pin);
	}
}
EXPORT_SYMBOL_GPL(__vaddr_unpin_done);
