// SPDX-License-Identifier: GPL-2.0-only
/*
 * For whom pins were made: owners. An owner is an open file of a driver, or an
 * mm. It has a link for each file that it pins, see link.c.
 *
 * A driver has a struct vaddr_pin_owner in its own object. The first pin makes
 * the owner here, and the driver says when it ends. If pins are left then (a
 * driver that frees them from a work item), their links stay, and show under
 * the mm that pinned, until the last of these pins goes. A driver that names no
 * owner pins for the mm, which is found in the hash of keys.
 *
 * Locks, outermost first:
 *	layout_owners_lock	which owners there are, and the hash of keys
 *	owner->lock		the owner's tree of links
 */
#include <linux/fs.h>
#include <linux/hashtable.h>
#include <linux/rbtree.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "internal.h"

/* There may be many: the processes of a job, each with an open device. */
#define LAYOUT_OWNER_BITS	12

static DEFINE_SPINLOCK(layout_owners_lock);
static DEFINE_HASHTABLE(layout_owner_keys, LAYOUT_OWNER_BITS);
static struct rb_root layout_owners = RB_ROOT;	/* by number */
static LIST_HEAD(layout_closed_owners);

/* Number of the youngest owner; none is used twice. */
static u64 layout_owner_numbers;

/* Under rcu_read_lock() or layout_owners_lock. */
static struct layout_owner *layout_owner_find(void *key)
{
	struct layout_owner *owner;

	hash_for_each_possible_rcu(layout_owner_keys, owner, node,
				   (unsigned long)key,
				   lockdep_is_held(&layout_owners_lock))
		if (READ_ONCE(owner->key) == key)
			return owner;
	return NULL;
}

/**
 * layout_owner_put() - put a reference
 * @owner: the owner
 */
void layout_owner_put(struct layout_owner *owner)
{
	if (!refcount_dec_and_test(&owner->refs))
		return;
	if (owner->is_mm)
		mmdrop(owner->key);
	kfree_rcu(owner, rcu);
}

/**
 * layout_owner_get() - find the owner that is an open file or an mm
 * @key: the open file or the mm; the caller holds it
 *
 * Return: the owner, referenced, or NULL if nothing was pinned for @key yet.
 */
struct layout_owner *layout_owner_get(void *key)
{
	struct layout_owner *owner;

	rcu_read_lock();
	owner = layout_owner_find(key);
	if (owner && !refcount_inc_not_zero(&owner->refs))
		owner = NULL;
	rcu_read_unlock();
	return owner;
}

static bool layout_owner_less(struct rb_node *new, const struct rb_node *node)
{
	return rb_entry(new, struct layout_owner, all)->number <
		rb_entry(node, struct layout_owner, all)->number;
}

/**
 * layout_owner_next() - walk all owners, the oldest first
 * @after: number of the one before; 0 at first
 *
 * Return: the next owner, referenced, or NULL.
 */
struct layout_owner *layout_owner_next(u64 after)
{
	struct layout_owner *owner, *found = NULL;
	struct rb_node *node;

	spin_lock(&layout_owners_lock);
	node = layout_owners.rb_node;
	while (node) {
		owner = rb_entry(node, struct layout_owner, all);
		if (owner->number > after) {
			found = owner;
			node = node->rb_left;
		} else {
			node = node->rb_right;
		}
	}
	if (found)
		refcount_inc(&found->refs);
	spin_unlock(&layout_owners_lock);
	return found;
}

/**
 * layout_owner_next_closed() - walk owners that ended while pins were left
 * @after: number of the one before; 0 at first
 *
 * Return: the next owner, referenced, or NULL.
 */
struct layout_owner *layout_owner_next_closed(u64 after)
{
	struct layout_owner *owner, *found = NULL;

	if (list_empty(&layout_closed_owners))
		return NULL;
	spin_lock(&layout_owners_lock);
	list_for_each_entry(owner, &layout_closed_owners, closed)
		if (owner->number > after &&
		    (!found || owner->number < found->number))
			found = owner;
	if (found)
		refcount_inc(&found->refs);
	spin_unlock(&layout_owners_lock);
	return found;
}

/**
 * layout_owner_current() - find the running task's owner
 *
 * Context: rcu_read_lock() or layout_owners_lock held.
 * Return: the owner, not referenced, or NULL if it has not pinned yet.
 */
struct layout_owner *layout_owner_current(void)
{
	struct vaddr_pin_owner *driver = current->pin_owner;

	/* Pairs with layout_owner_register(). */
	return driver ? smp_load_acquire(&driver->owner) :
			layout_owner_find(current->mm);
}

/* Under layout_owners_lock. */
static void layout_owner_register(struct layout_owner *owner)
{
	struct vaddr_pin_owner *driver = current->pin_owner;

	spin_lock_init(&owner->lock);
	refcount_set(&owner->refs, 1);
	INIT_LIST_HEAD(&owner->closed);
	owner->links = RB_ROOT;
	owner->number = ++layout_owner_numbers;
	owner->is_mm = !driver;
	if (driver) {
		owner->key = driver->file;
		/* Pairs with layout_owner_current(), which takes no lock. */
		smp_store_release(&driver->owner, owner);
	} else {
		owner->key = current->mm;
		mmgrab(current->mm);
	}
	rb_add(&owner->all, &layout_owners, layout_owner_less);
	hash_add_rcu(layout_owner_keys, &owner->node,
		     (unsigned long)owner->key);
}

/**
 * layout_owner_make() - get or make the running task's owner
 *
 * Context: may sleep.
 * Return: the owner, referenced, or NULL without memory.
 */
struct layout_owner *layout_owner_make(void)
{
	struct layout_owner *new = kzalloc(sizeof(*new), GFP_KERNEL_ACCOUNT);
	struct layout_owner *owner;

	if (!new)
		return NULL;
	spin_lock(&layout_owners_lock);
	owner = layout_owner_current();
	if (!owner) {
		owner = new;
		new = NULL;
		layout_owner_register(owner);
	}
	refcount_inc(&owner->refs);
	spin_unlock(&layout_owners_lock);
	kfree(new);
	return owner;
}

/**
 * layout_owner_transient() - does this owner go with its last link?
 * @owner: the owner
 *
 * An open file's stays until the driver says that the open file ends.
 */
bool layout_owner_transient(const struct layout_owner *owner)
{
	return owner->is_mm || !READ_ONCE(owner->key);
}

/**
 * layout_owner_retire() - end an owner that has no link
 * @owner: the owner, referenced by the caller
 *
 * Does nothing if there is a link, or if another task was faster.
 */
void layout_owner_retire(struct layout_owner *owner)
{
	bool retire;

	spin_lock(&layout_owners_lock);
	spin_lock(&owner->lock);
	retire = RB_EMPTY_ROOT(&owner->links) && !owner->retired;
	if (retire) {
		owner->retired = true;
		hash_del_rcu(&owner->node);
		rb_erase(&owner->all, &layout_owners);
		list_del_init(&owner->closed);
	}
	spin_unlock(&owner->lock);
	spin_unlock(&layout_owners_lock);
	if (retire)
		layout_owner_put(owner);
}

/**
 * layout_owner_close() - the open file that is this owner ends
 * @owner: the owner
 *
 * Nobody finds it by its key any more. It is listed with those whose pins
 * outlive it until layout_owner_retire().
 */
void layout_owner_close(struct layout_owner *owner)
{
	spin_lock(&layout_owners_lock);
	hash_del_rcu(&owner->node);
	list_add_tail(&owner->closed, &layout_closed_owners);
	spin_unlock(&layout_owners_lock);
}
