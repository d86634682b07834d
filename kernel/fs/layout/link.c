// SPDX-License-Identifier: GPL-2.0-only
/*
 * Links: one owner pins one file, however many times. /proc/<pid>/file_pins
 * shows links, so its cost grows with the files and not with the regions.
 *
 * A link stays while its owner and its file do, even if nothing is pinned: a
 * program that registered memory usually does so again. It has no path then, so
 * that the file system can be unmounted. Links of an mm go with their last pin,
 * since nobody says when an mm ends.
 *
 * Locks, outermost first, inside layout_owners_lock of owner.c:
 *	owner->lock		the owner's tree of links
 *	flc_lock of the file	its tree of links, and what a link counts
 * A pin and an unpin take the last only, unless they make or end a link.
 */
#include <linux/fs.h>
#include <linux/path.h>
#include <linux/rbtree.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "internal.h"

/* Numbers of links; none is used twice. */
static atomic64_t layout_link_numbers;

/* In the tree of a file the links are sorted by the address of the owner. */
static int layout_link_cmp(const void *owner, const struct rb_node *node)
{
	const struct layout_link *link = rb_entry(node, struct layout_link,
						  of_inode);

	if (owner == link->owner)
		return 0;
	return owner < (void *)link->owner ? -1 : 1;
}

static bool layout_link_less(struct rb_node *new, const struct rb_node *node)
{
	return layout_link_cmp(rb_entry(new, struct layout_link,
					of_inode)->owner, node) < 0;
}

/* In the tree of an owner they are sorted by number, the oldest first. */
static bool layout_link_older(struct rb_node *new, const struct rb_node *node)
{
	return rb_entry(new, struct layout_link, of_owner)->number <
		rb_entry(node, struct layout_link, of_owner)->number;
}

/**
 * layout_link_find() - the link between the running task's owner and a file
 * @lctx: of the file
 *
 * Context: flc_lock held, and rcu_read_lock(), so that the address of the owner
 *	is not used again.
 * Return: the link, or NULL: then call layout_link_make().
 */
struct layout_link *layout_link_find(struct layout_ctx *lctx)
{
	struct layout_owner *owner = layout_owner_current();
	struct rb_node *node;

	node = owner ? rb_find(owner, &lctx->links, layout_link_cmp) : NULL;
	return node ? rb_entry(node, struct layout_link, of_inode) : NULL;
}

/* Under owner->lock and flc_lock. False if there is a link already. */
static bool layout_link_add(struct layout_link *link,
			    struct layout_owner *owner,
			    struct file_lock_context *ctx)
{
	struct layout_ctx *lctx = ctx->flc_layout;

	if (rb_find(owner, &lctx->links, layout_link_cmp))
		return false;
	refcount_set(&link->refs, 1);
	link->owner = owner;
	link->flctx = ctx;
	link->number = atomic64_inc_return(&layout_link_numbers);
	rb_add(&link->of_owner, &owner->links, layout_link_older);
	rb_add(&link->of_inode, &lctx->links, layout_link_less);
	return true;
}

/**
 * layout_link_make() - make a link between the running task's owner and a file
 * @inode: the file, which has a struct layout_ctx
 *
 * Makes the owner as well if there is none. If another task retires that owner
 * meanwhile, no link is made: the caller looks for the link again, and calls
 * again if there is none.
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM.
 */
int layout_link_make(struct inode *inode)
{
	struct file_lock_context *ctx = locks_inode_context(inode);
	struct layout_link *link = kzalloc(sizeof(*link), GFP_KERNEL_ACCOUNT);
	struct layout_owner *owner;
	bool added = false;

	if (!link)
		return -ENOMEM;
	owner = layout_owner_make();
	if (!owner) {
		kfree(link);
		return -ENOMEM;
	}
	link->inode = inode;
	spin_lock(&owner->lock);
	spin_lock(&ctx->flc_lock);
	if (!owner->retired)
		added = layout_link_add(link, owner, ctx);
	spin_unlock(&ctx->flc_lock);
	spin_unlock(&owner->lock);
	if (added)	/* the link has our reference to the owner now */
		return 0;
	kfree(link);
	layout_owner_put(owner);
	return 0;
}

/**
 * layout_link_put() - put a reference
 * @link: the link
 */
void layout_link_put(struct layout_link *link)
{
	if (!refcount_dec_and_test(&link->refs))
		return;
	layout_owner_put(link->owner);
	kfree(link);
}

/* Take a link off both trees, unless it has pins. Under owner->lock. */
static void layout_link_erase(struct layout_link *link)
{
	struct file_lock_context *ctx = link->flctx;
	bool erase;

	/* A file that goes ends its links first, so this link's file exists. */
	if (RB_EMPTY_NODE(&link->of_owner))
		return;
	spin_lock(&ctx->flc_lock);
	erase = !link->nr_pins;
	if (erase)
		rb_erase(&link->of_inode, &ctx->flc_layout->links);
	spin_unlock(&ctx->flc_lock);
	if (!erase)
		return;
	rb_erase(&link->of_owner, &link->owner->links);
	RB_CLEAR_NODE(&link->of_owner);
	layout_link_put(link);
}

/* End a link without pins, and its owner if that goes with its last link. */
static void layout_link_reap(struct layout_link *link)
{
	struct layout_owner *owner = link->owner;

	spin_lock(&owner->lock);
	layout_link_erase(link);
	spin_unlock(&owner->lock);
	if (layout_owner_transient(owner))
		layout_owner_retire(owner);
}

/**
 * layout_link_abandon() - end the running task's link if it has no pin
 * @inode: the file, which has a struct layout_ctx
 *
 * For a pin that failed after layout_link_make(). An mm's link goes with its
 * last pin, and this one may never get any.
 *
 * Context: process context.
 */
void layout_link_abandon(struct inode *inode)
{
	struct file_lock_context *ctx = locks_inode_context(inode);
	struct layout_link *link;

	rcu_read_lock();
	spin_lock(&ctx->flc_lock);
	link = layout_link_find(ctx->flc_layout);
	if (link && !link->nr_pins && layout_owner_transient(link->owner))
		refcount_inc(&link->refs);
	else
		link = NULL;
	spin_unlock(&ctx->flc_lock);
	rcu_read_unlock();
	if (!link)
		return;
	layout_link_reap(link);
	layout_link_put(link);
}

/**
 * layout_link_count() - count one more record
 * @link: from layout_link_find()
 * @file: open file of the lease; its path becomes the link's
 *
 * Context: flc_lock held.
 */
void layout_link_count(struct layout_link *link, struct file *file)
{
	WRITE_ONCE(link->nr_pins, link->nr_pins + 1);
	if (link->nr_pins > 1)
		return;
	link->path = file->f_path;
	path_get(&link->path);
	link->mm = current->mm;
	mmgrab(link->mm);
}

/**
 * layout_link_uncount() - count one record less
 * @link: link of the record
 * @left: becomes what layout_link_leave() is to put after the locks
 *
 * Context: flc_lock held.
 */
void layout_link_uncount(struct layout_link *link, struct layout_left *left)
{
	WRITE_ONCE(link->nr_pins, link->nr_pins - 1);
	left->mm = NULL;
	if (link->nr_pins)
		return;
	left->path = link->path;
	left->mm = link->mm;
	link->mm = NULL;
	/*
	 * __vaddr_pin_owner_end() clears the key, and then looks at each link
	 * under this lock. So either it finds this link unused, or this
	 * function sees that the key is gone.
	 */
	left->link = layout_owner_transient(link->owner) ? link : NULL;
	if (left->link)
		refcount_inc(&link->refs);
}

/**
 * layout_link_leave() - put what the last record of a link had
 * @left: from layout_link_uncount()
 *
 * Context: no lock held, since the last reference to a path may go.
 */
void layout_link_leave(struct layout_left *left)
{
	if (!left->mm)
		return;
	path_put(&left->path);
	mmdrop(left->mm);
	if (left->link) {
		layout_link_reap(left->link);
		layout_link_put(left->link);
	}
}

/**
 * layout_links_free() - end the links of a file that goes
 * @ctx: lock context of the file; nothing is pinned
 */
void layout_links_free(struct file_lock_context *ctx)
{
	struct layout_link *link;
	struct rb_node *node;

	for (;;) {
		spin_lock(&ctx->flc_lock);
		node = rb_first(&ctx->flc_layout->links);
		link = rb_entry_safe(node, struct layout_link, of_inode);
		if (link)
			refcount_inc(&link->refs);
		spin_unlock(&ctx->flc_lock);
		if (!link)
			return;
		layout_link_reap(link);
		layout_link_put(link);
	}
}

/**
 * layout_link_next() - walk the links of an owner, the oldest first
 * @owner: the owner
 * @after: number of the link before; 0 at first
 *
 * Context: owner->lock held.
 * Return: the next link, or NULL.
 */
struct layout_link *layout_link_next(struct layout_owner *owner, u64 after)
{
	struct rb_node *node = owner->links.rb_node;
	struct layout_link *link, *found = NULL;

	while (node) {
		link = rb_entry(node, struct layout_link, of_owner);
		if (link->number > after) {
			found = link;
			node = node->rb_left;
		} else {
			node = node->rb_right;
		}
	}
	return found;
}

/* For vaddr_pin_owner_end(). */
void __vaddr_pin_owner_end(struct vaddr_pin_owner *driver)
{
	struct layout_owner *owner = driver->owner;
	struct layout_link *link;
	u64 at = 0;

	/* Without its key, the owner goes with its last pin, in any task. */
	refcount_inc(&owner->refs);
	driver->owner = NULL;
	layout_owner_close(owner);
	/* Readers that print the open file's path hold this lock. */
	spin_lock(&owner->lock);
	WRITE_ONCE(owner->key, NULL);
	while ((link = layout_link_next(owner, at))) {
		at = link->number;
		layout_link_erase(link);
	}
	spin_unlock(&owner->lock);
	layout_owner_retire(owner);
	layout_owner_put(owner);
}
EXPORT_SYMBOL_GPL(__vaddr_pin_owner_end);

/**
 * layout_owner_number() - number of an owner in the table of all records
 * @key: an open file that the caller holds
 *
 * Return: the number, or 0 if nothing is pinned through it.
 */
u64 layout_owner_number(void *key)
{
	struct layout_owner *owner = layout_owner_get(key);
	struct rb_node *node;
	u64 number = 0;

	if (!owner)
		return 0;
	spin_lock(&owner->lock);
	for (node = rb_first(&owner->links); node && !number;
	     node = rb_next(node))
		if (READ_ONCE(rb_entry(node, struct layout_link,
				       of_owner)->nr_pins))
			number = owner->number;
	spin_unlock(&owner->lock);
	layout_owner_put(owner);
	return number;
}

/**
 * layout_owner_known() - is anything pinned through this?
 * @key: an open file or an mm that the caller holds
 */
bool layout_owner_known(void *key)
{
	return layout_owner_number(key);
}

/* Reference the link's path, if it has pins and, with @mm, if @mm pinned. */
static bool layout_link_path(struct layout_link *link, struct mm_struct *mm,
			     struct path *path)
{
	bool show;

	if (!READ_ONCE(link->nr_pins))
		return false;
	spin_lock(&link->flctx->flc_lock);
	show = link->nr_pins && (!mm || link->mm == mm);
	if (show) {
		*path = link->path;
		path_get(path);
	}
	spin_unlock(&link->flctx->flc_lock);
	return show;
}

/**
 * layout_owner_paths() - paths of some files that are pinned through an owner
 * @owner: the owner, referenced
 * @mm: only files that this mm pinned, or NULL
 * @cursor: where to go on, all zero at first; updated
 * @paths: array for referenced paths, for layout_owner_put_paths()
 * @room: size of the array
 *
 * An owner may pin tens of thousands of files, and links are made and ended
 * under its lock. So one call looks at a few of them. The numbers of links
 * grow, so a reader finds a file that stays pinned once. It leaves out links
 * that are younger than its first call, or a task that pins again and again
 * would keep it for ever.
 *
 * Return: number of paths; there are no more when cursor->end is set.
 */
unsigned int layout_owner_paths(struct layout_owner *owner,
				struct mm_struct *mm,
				struct layout_cursor *cursor,
				struct path *paths, unsigned int room)
{
	struct layout_link *link;
	unsigned int nr = 0, seen;

	if (!cursor->until)
		cursor->until = atomic64_read(&layout_link_numbers);
	spin_lock(&owner->lock);
	for (seen = 0; nr < room && seen < 8 * room; seen++) {
		link = layout_link_next(owner, cursor->after);
		cursor->end = !link || link->number > cursor->until;
		if (cursor->end)
			break;
		cursor->after = link->number;
		nr += layout_link_path(link, mm, &paths[nr]);
	}
	spin_unlock(&owner->lock);
	return nr;
}

/**
 * layout_owner_put_paths() - put what layout_owner_paths() returned
 * @paths: the array
 * @nr: number of paths
 */
void layout_owner_put_paths(struct path *paths, unsigned int nr)
{
	while (nr)
		path_put(&paths[--nr]);
}
