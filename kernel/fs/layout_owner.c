// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who pins were made for: owners, which are open files of drivers or an mm, and
 * the links between an owner and each file that is pinned through it. This is
 * what /proc/<pid>/file_pins shows, so it grows with the files and not with the
 * regions.
 *
 * All of it is under layout_table_lock, see layout_pin_internal.h; the hash of
 * owners is also searched under RCU, for the many open files that own nothing.
 *
 * The owner that is an open file stays until that is closed, since who registers
 * memory mostly does so again; a link does not, or its path would keep the file
 * system from being unmounted.
 */
#include <linux/fs.h>
#include <linux/hashtable.h>
#include <linux/rbtree.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "layout_pin_internal.h"

/* Owners may be many: the processes of a job, each with an open device. */
#define LAYOUT_OWNER_BITS	12

static DEFINE_HASHTABLE(layout_owners, LAYOUT_OWNER_BITS);

/* The youngest link's and owner's number; none is ever used twice. */
static u64 layout_link_numbers;
static u64 layout_owner_numbers;

/* Leftovers of a pin, outside of the locks. */
void layout_spare_free(struct layout_spare *spare)
{
	kfree(spare->pin);
	kfree(spare->link);
	kfree(spare->owner);
}

/*
 * Context: layout_table_lock or rcu_read_lock. Nobody makes an owner of a key
 * while another one lets the last reference to it go, so that without the lock
 * "there is none" is as good an answer.
 */
static struct layout_owner *layout_owner_find(void *key)
{
	struct layout_owner *owner;

	hash_for_each_possible_rcu(layout_owners, owner, node,
				   (unsigned long)key,
				   lockdep_is_held(&layout_table_lock))
		if (READ_ONCE(owner->key) == key)
			return owner;
	return NULL;
}

/* The running task's owner: the open file it entered, else its mm. */
static void *layout_owner_key(void)
{
	return current->pin_owner ? (void *)current->pin_owner :
				    (void *)current->mm;
}

static bool layout_owner_exists(void *key)
{
	bool exists;

	rcu_read_lock();
	exists = layout_owner_find(key);
	rcu_read_unlock();
	return exists;
}

/**
 * layout_spare_link() - memory for a link, and for its owner if there is none
 * @spare: where to put it
 *
 * The owner may be gone when the locks are taken: then call it again.
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM.
 */
int layout_spare_link(struct layout_spare *spare)
{
	if (!spare->link) {
		spare->link = kzalloc(sizeof(*spare->link), GFP_KERNEL_ACCOUNT);
		if (!spare->link)
			return -ENOMEM;
	}
	if (!spare->owner && !layout_owner_exists(layout_owner_key())) {
		spare->owner = kzalloc(sizeof(*spare->owner),
				       GFP_KERNEL_ACCOUNT);
		if (!spare->owner)
			return -ENOMEM;
	}
	return 0;
}

/**
 * layout_link_likely() - has the running task's owner anything pinned?
 *
 * Return: true if the next pin likely finds its link there.
 */
bool layout_link_likely(void)
{
	return layout_owner_known(layout_owner_key());
}

/* Make an owner of the running task's, which has none yet. */
static struct layout_owner *layout_owner_new(struct layout_spare *spare)
{
	struct layout_owner *owner = spare->owner;

	spare->owner = NULL;
	owner->key = layout_owner_key();
	owner->is_mm = !current->pin_owner;
	owner->number = ++layout_owner_numbers;
	owner->links = RB_ROOT;
	if (owner->is_mm)
		mmgrab(current->mm);
	hash_add_rcu(layout_owners, &owner->node, (unsigned long)owner->key);
	return owner;
}

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

/* In the tree of an owner they are in the order in which they came. */
static bool layout_link_older(struct rb_node *new, const struct rb_node *node)
{
	return rb_entry(new, struct layout_link, of_owner)->number <
		rb_entry(node, struct layout_link, of_owner)->number;
}

/**
 * layout_link_get() - count one more pin of a file for the running task's owner
 * @lctx: of the file
 * @spare: what to make a new link of
 * @file: open file of the lease: a name for the link
 *
 * Context: layout_table_lock held.
 * Return: the link; NULL if there is none yet and not all to make it of.
 */
struct layout_link *layout_link_get(struct layout_ctx *lctx,
				    struct layout_spare *spare,
				    struct file *file)
{
	struct layout_owner *owner = layout_owner_find(layout_owner_key());
	struct rb_node *node = NULL;
	struct layout_link *link;

	lockdep_assert_held(&layout_table_lock);
	if (owner)
		node = rb_find(owner, &lctx->links, layout_link_cmp);
	if (node) {
		link = rb_entry(node, struct layout_link, of_inode);
	} else {
		if (!spare->link || !(owner || spare->owner))
			return NULL;
		link = spare->link;
		spare->link = NULL;
		link->owner = owner ?: layout_owner_new(spare);
		link->inode = file_inode(file);
		link->path = file->f_path;
		path_get(&link->path);
		link->number = ++layout_link_numbers;
		rb_add(&link->of_owner, &link->owner->links, layout_link_older);
		rb_add(&link->of_inode, &lctx->links, layout_link_less);
	}
	link->nr_pins++;
	return link;
}

/**
 * layout_link_put() - one record less
 * @lctx: of the file
 * @link: as the record has it
 *
 * Context: layout_table_lock held.
 * Return: the link, off its lists, if that was its last, for layout_link_free();
 *	it has its owner if that goes, too. Else NULL.
 */
struct layout_link *layout_link_put(struct layout_ctx *lctx,
				    struct layout_link *link)
{
	struct layout_owner *owner = link->owner;

	lockdep_assert_held(&layout_table_lock);
	if (--link->nr_pins)
		return NULL;
	rb_erase(&link->of_owner, &owner->links);
	rb_erase(&link->of_inode, &lctx->links);
	/* One whose open file was released is off the hash. */
	if (RB_EMPTY_ROOT(&owner->links) && (owner->is_mm || !owner->key))
		hash_del_rcu(&owner->node);
	else
		link->owner = NULL;
	return link;
}

/**
 * layout_link_free() - the end of a link, and of its owner if that goes, too
 * @link: from layout_link_put(), or NULL
 *
 * Context: no lock held, since the last reference to a path may go.
 */
void layout_link_free(struct layout_link *link)
{
	if (!link)
		return;
	path_put(&link->path);
	if (link->owner) {
		if (link->owner->is_mm)
			mmdrop(link->owner->key);
		kfree_rcu(link->owner, rcu);
	}
	kfree(link);
}

/**
 * layout_owner_number() - the number of an owner, as in the table of all records
 * @key: an open file that the caller holds
 *
 * Return: the number, or 0 if nothing is pinned through it.
 */
u64 layout_owner_number(void *key)
{
	struct layout_owner *owner;
	u64 number;

	rcu_read_lock();
	owner = layout_owner_find(key);
	number = owner && !RB_EMPTY_ROOT(&owner->links) ? owner->number : 0;
	rcu_read_unlock();
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

/*
 * The open file of an owner goes. If pins of it are left (a driver that frees them
 * from a work item), the last one ends the owner; until then nothing may find it
 * by key, since the file's memory may be reused. Not inline: nearly every close
 * ends before it, and should not save registers for it.
 */
static noinline void layout_owner_detach(struct file *file)
{
	struct layout_owner *owner;
	bool idle = false;

	spin_lock(&layout_table_lock);
	owner = layout_owner_find(file);
	if (owner) {
		hash_del_rcu(&owner->node);
		WRITE_ONCE(owner->key, NULL);
		idle = RB_EMPTY_ROOT(&owner->links);
	}
	spin_unlock(&layout_table_lock);
	if (idle)
		kfree_rcu(owner, rcu);
}

void __layout_pin_owner_release(struct file *file)
{
	/* Nearly every file that is closed owns nothing: no lock for those. */
	if (layout_owner_exists(file))
		layout_owner_detach(file);
}

/* The first link of an owner whose number is greater than this. */
static struct layout_link *layout_link_after(struct layout_owner *owner,
					     u64 number)
{
	struct rb_node *node = owner->links.rb_node;
	struct layout_link *link, *found = NULL;

	while (node) {
		link = rb_entry(node, struct layout_link, of_owner);
		if (link->number > number) {
			found = link;
			node = node->rb_left;
		} else {
			node = node->rb_right;
		}
	}
	return found;
}

/**
 * layout_owner_paths() - some of what is pinned through an owner
 * @key: an open file or an mm that the caller holds
 * @cursor: where to go on, all zero at first; updated
 * @paths: array for referenced paths, for layout_owner_put_paths()
 * @room: how many there may be
 *
 * A process may have tens of thousands of files pinned, and all who pin take
 * this lock: so a reader has it for a few files at a time. Links have numbers
 * that grow, also from one owner of a key to the next. So a file that is pinned all
 * the while is found once, whatever comes and goes meanwhile, and what comes later
 * is left out, or who pins again and again would keep a reader for ever.
 *
 * Return: number of paths; 0 if there are no more.
 */
unsigned int layout_owner_paths(void *key, struct layout_cursor *cursor,
				struct path *paths, unsigned int room)
{
	struct layout_owner *owner;
	struct layout_link *link;
	struct rb_node *node;
	unsigned int nr = 0;

	spin_lock(&layout_table_lock);
	if (!cursor->until)
		cursor->until = layout_link_numbers;
	owner = layout_owner_find(key);
	link = owner ? layout_link_after(owner, cursor->after) : NULL;
	while (link && link->number <= cursor->until && nr < room) {
		path_get(&link->path);
		paths[nr++] = link->path;
		cursor->after = link->number;
		node = rb_next(&link->of_owner);
		link = node ? rb_entry(node, struct layout_link, of_owner) :
			      NULL;
	}
	spin_unlock(&layout_table_lock);
	return nr;
}

/**
 * layout_owner_put_paths() - the other end of layout_owner_paths()
 * @paths: the array
 * @nr: what that returned
 */
void layout_owner_put_paths(struct path *paths, unsigned int nr)
{
	while (nr)
		path_put(&paths[--nr]);
}
