// SPDX-License-Identifier: GPL-2.0-only
/*
 * Records of pinned ranges, and who they were made for.
 *
 * A record is in four places: the tree of its inode (what file systems ask),
 * the list of the driver's object (what ends it), the table of all records
 * (debugfs, and the report of an unbind that waits), and counted in the link
 * between its owner and its file (/proc/<pid>/file_pins), so that a reader's
 * cost grows with the files and not with the regions.
 *
 * Locks: see layout_pin_internal.h. Everything is allocated before flc_lock
 * is taken.
 */
#include <linux/debugfs.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/hashtable.h>
#include <linux/layout_pin_compat.h>
#include <linux/sched/mm.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "layout_pin_internal.h"
#include <trace/events/layout_pin.h>

#define LAYOUT_OWNER_BITS	8

LIST_HEAD(layout_table);
DEFINE_SPINLOCK(layout_table_lock);
static DEFINE_HASHTABLE(layout_owners, LAYOUT_OWNER_BITS);

/* What one pin may need, made before the locks; leftovers are freed after. */
struct layout_spare {
	struct layout_pin *pin;
	struct layout_link *link;
	struct layout_owner *owner;
};

static void layout_spare_free(struct layout_spare *spare)
{
	kfree(spare->pin);
	kfree(spare->link);
	kfree(spare->owner);
}

static int layout_spare_alloc(struct layout_spare *spare)
{
	spare->pin = kzalloc(sizeof(*spare->pin), GFP_KERNEL_ACCOUNT);
	spare->link = kzalloc(sizeof(*spare->link), GFP_KERNEL_ACCOUNT);
	spare->owner = kzalloc(sizeof(*spare->owner), GFP_KERNEL_ACCOUNT);
	if (spare->pin && spare->link && spare->owner)
		return 0;
	layout_spare_free(spare);
	return -ENOMEM;
}

static struct layout_owner *layout_owner_find(void *key)
{
	struct layout_owner *owner;

	lockdep_assert_held(&layout_table_lock);
	hash_for_each_possible(layout_owners, owner, node, (unsigned long)key)
		if (owner->key == key)
			return owner;
	return NULL;
}

/* The running task's owner: the open file it entered, else its mm. */
static struct layout_owner *layout_owner_get(struct layout_spare *spare)
{
	bool is_mm = !current->pin_owner;
	void *key = is_mm ? (void *)current->mm : (void *)current->pin_owner;
	struct layout_owner *owner = layout_owner_find(key);

	if (owner)
		return owner;
	owner = spare->owner;
	spare->owner = NULL;
	owner->key = key;
	owner->is_mm = is_mm;
	INIT_LIST_HEAD(&owner->links);
	if (is_mm)
		mmgrab(current->mm);
	hash_add(layout_owners, &owner->node, (unsigned long)key);
	return owner;
}

static struct layout_link *layout_link_get(struct layout_spare *spare,
					   struct file *file)
{
	struct layout_owner *owner = layout_owner_get(spare);
	struct inode *inode = file_inode(file);
	struct layout_link *link;

	list_for_each_entry(link, &owner->links, list)
		if (link->inode == inode)
			goto out;
	link = spare->link;
	spare->link = NULL;
	link->owner = owner;
	link->inode = inode;
	link->path = file->f_path;
	path_get(&link->path);
	list_add_tail(&link->list, &owner->links);
out:
	link->nr_pins++;
	return link;
}

/* One record less; returns the link, off its list, if that was its last. */
static struct layout_link *layout_link_put(struct layout_link *link)
{
	struct layout_owner *owner = link->owner;

	lockdep_assert_held(&layout_table_lock);
	if (--link->nr_pins)
		return NULL;
	list_del(&link->list);
	if (list_empty(&owner->links))
		hash_del(&owner->node);
	else
		link->owner = NULL;
	return link;
}

/* Outside of the locks, since the last reference to a path may go. */
static void layout_link_free(struct layout_link *link)
{
	if (!link)
		return;
	path_put(&link->path);
	if (link->owner) {
		if (link->owner->is_mm)
			mmdrop(link->owner->key);
		kfree(link->owner);
	}
	kfree(link);
}

/**
 * layout_pin_add() - record a range, before its pages are referenced
 * @vp: the driver's object
 * @mapped: open file of the mapping, on the inode in question
 * @first: first page offset
 * @last: last page offset
 *
 * The range is rounded out to what one huge mapping entry could cover:
 * layout_pin_commit() trims it. Never the other way round, or a truncate next
 * to it could find the entry busy and no record that explains it, and sleep.
 *
 * Context: mmap_lock held for reading. May sleep.
 * Return: the record, -ENOMEM, or -EOPNOTSUPP if the running process has no
 *	live unbreakable lease on the file.
 */
struct layout_pin *layout_pin_add(struct vaddr_pin *vp, struct file *mapped,
				  pgoff_t first, pgoff_t last)
{
	struct inode *inode = file_inode(mapped);
	struct file_lock_context *ctx = locks_inode_context(inode);
	struct layout_lease *lease;
	struct layout_spare spare;
	struct layout_pin *pin;
	struct file *file;

	if (!layout_pin_inode(inode))
		return ERR_PTR(-EOPNOTSUPP);
	if (layout_spare_alloc(&spare))
		return ERR_PTR(-ENOMEM);

	spin_lock(&ctx->flc_lock);
	lease = layout_lease_find(inode, task_tgid(current));
	/* The first pin of a lease keeps its open file, if it still can. */
	if (!lease || (!lease->nr_pins &&
		       !layout_file_get(lease->fl->c.flc_file))) {
		spin_unlock(&ctx->flc_lock);
		layout_spare_free(&spare);
		return ERR_PTR(-EOPNOTSUPP);
	}
	file = lease->fl->c.flc_file;
	lease->nr_pins++;
	pin = spare.pin;
	spare.pin = NULL;
	pin->lease = lease;
	pin->it.start = round_down(first, PTRS_PER_PMD);
	pin->it.last = round_up(last + 1, PTRS_PER_PMD) - 1;
	interval_tree_insert(&pin->it, &ctx->flc_layout->pins);

	spin_lock(&layout_table_lock);
	pin->link = layout_link_get(&spare, file);
	list_add_tail(&pin->table, &layout_table);
	spin_unlock(&layout_table_lock);
	spin_unlock(&ctx->flc_lock);

	list_add_tail(&pin->list, &vp->records);
	layout_spare_free(&spare);
	return pin;
}

static void layout_pin_resize(struct layout_pin *pin, pgoff_t first,
			      pgoff_t last)
{
	struct layout_ctx *lctx = pin->lease->flctx->flc_layout;

	lockdep_assert_held(&pin->lease->flctx->flc_lock);
	interval_tree_remove(&pin->it, &lctx->pins);
	spin_lock(&layout_table_lock);
	pin->it.start = first;
	pin->it.last = last;
	spin_unlock(&layout_table_lock);
	interval_tree_insert(&pin->it, &lctx->pins);
}

/* Drivers pin in chunks: a record that continues the one before becomes it. */
static bool layout_pin_continues(struct vaddr_pin *vp, struct layout_pin *pin,
				 pgoff_t first, struct dev_pagemap *pgmap)
{
	struct layout_pin *prev;

	if (list_is_first(&pin->list, &vp->records))
		return false;
	prev = list_prev_entry(pin, list);
	return prev->lease == pin->lease && prev->link == pin->link &&
		prev->pgmap == pgmap && prev->it.start <= first &&
		prev->it.last + 1 >= first;
}

/**
 * layout_pin_commit() - the pages are referenced: make the record exact
 * @vp: the driver's object
 * @pin: the youngest record of @vp
 * @mapping: of the file
 * @first: first page offset really pinned
 * @last: last page offset really pinned
 * @pgmap: the memory of these pages; the caller's reference goes to the record
 *
 * A pinned entry cannot be split or replaced, so its order is stable by now.
 *
 * Context: mmap_lock held for reading.
 */
void layout_pin_commit(struct vaddr_pin *vp, struct layout_pin *pin,
		       struct address_space *mapping, pgoff_t first,
		       pgoff_t last, struct dev_pagemap *pgmap)
{
	struct file_lock_context *ctx = pin->lease->flctx;
	bool merge = layout_pin_continues(vp, pin, first, pgmap);

	trace_pin_add(mapping->host, first, last);
	first = round_down(first, 1UL << layout_entry_order(mapping, first));
	last = round_up(last + 1, 1UL << layout_entry_order(mapping, last)) - 1;

	spin_lock(&ctx->flc_lock);
	if (merge) {
		struct layout_pin *prev = list_prev_entry(pin, list);

		layout_pin_resize(prev, prev->it.start,
				  max(prev->it.last, last));
	} else {
		layout_pin_resize(pin, first, last);
	}
	spin_unlock(&ctx->flc_lock);

	pin->pgmap = pgmap;
	if (merge)
		layout_pin_drop(pin);
}

/**
 * layout_pin_drop() - end of a record; its pages are not referenced any more
 * @pin: the record; freed
 *
 * Context: process context. The lease's open file is put under flc_lock, so
 *	that nobody sees the lease without pins and with a reference too many;
 *	what follows from the last fput() is deferred to task work.
 */
void layout_pin_drop(struct layout_pin *pin)
{
	struct layout_lease *lease = pin->lease;
	struct file_lock_context *ctx = lease->flctx;
	struct layout_link *link;

	list_del(&pin->list);
	spin_lock(&ctx->flc_lock);
	trace_pin_drop(pin->link->inode, pin->it.start, pin->it.last);
	interval_tree_remove(&pin->it, &ctx->flc_layout->pins);
	spin_lock(&layout_table_lock);
	list_del(&pin->table);
	link = layout_link_put(pin->link);
	spin_unlock(&layout_table_lock);
	if (!--lease->nr_pins)
		fput(lease->fl->c.flc_file);
	spin_unlock(&ctx->flc_lock);

	layout_link_free(link);
	put_dev_pagemap(pin->pgmap);
	kfree(pin);
}

void __vaddr_unpin_done(struct vaddr_pin *vp)
{
	struct layout_pin *pin, *next;

	list_for_each_entry_safe(pin, next, &vp->records, list)
		layout_pin_drop(pin);
}
EXPORT_SYMBOL_GPL(__vaddr_unpin_done);

/*
 * The owner is gone, its last pins are not yet (a driver that frees them from
 * a work item): the file's memory may be reused, so nothing may find it by key.
 */
void __layout_pin_owner_release(struct file *file)
{
	struct layout_owner *owner;

	spin_lock(&layout_table_lock);
	owner = layout_owner_find(file);
	if (owner) {
		hash_del(&owner->node);
		owner->key = NULL;
	}
	spin_unlock(&layout_table_lock);
}

/**
 * layout_owner_known() - is anything pinned through this?
 * @key: an open file or an mm that the caller holds
 */
bool layout_owner_known(void *key)
{
	bool known;

	spin_lock(&layout_table_lock);
	known = layout_owner_find(key);
	spin_unlock(&layout_table_lock);
	return known;
}

/**
 * layout_owner_paths() - what is pinned through an owner
 * @key: an open file or an mm that the caller holds
 * @paths: where to put an array of referenced paths; NULL if there are none.
 *	For layout_owner_put_paths().
 *
 * Context: may sleep.
 * Return: number of paths, or -ENOMEM.
 */
int layout_owner_paths(void *key, struct path **paths)
{
	struct layout_owner *owner;
	struct layout_link *link;
	size_t room = 0, nr;

	for (*paths = NULL;; room = nr) {
		kvfree(*paths);
		*paths = NULL;
		if (room) {
			*paths = kvmalloc_array(room, sizeof(**paths), GFP_KERNEL);
			if (!*paths)
				return -ENOMEM;
		}
		nr = 0;
		spin_lock(&layout_table_lock);
		owner = layout_owner_find(key);
		if (owner)
			nr = list_count_nodes(&owner->links);
		if (nr <= room)
			break;
		spin_unlock(&layout_table_lock);
	}
	nr = 0;
	if (owner) {
		list_for_each_entry(link, &owner->links, list) {
			path_get(&link->path);
			(*paths)[nr++] = link->path;
		}
	}
	spin_unlock(&layout_table_lock);
	return nr;
}

/**
 * layout_owner_put_paths() - the other end of layout_owner_paths()
 * @paths: the array
 * @nr: what that returned
 */
void layout_owner_put_paths(struct path *paths, int nr)
{
	while (nr > 0)
		path_put(&paths[--nr]);
	kvfree(paths);
}

/**
 * layout_pin_report() - log who keeps a device from going away
 * @pgmap: the device's memory
 *
 * Context: any that may take layout_table_lock.
 */
void layout_pin_report(struct dev_pagemap *pgmap)
{
	struct layout_pin *pin;

	spin_lock(&layout_table_lock);
	list_for_each_entry(pin, &layout_table, table) {
		if (pin->pgmap != pgmap)
			continue;
		pr_warn("layout_pin: removal of %s waits for process %d, which pinned %pd; see /proc/*/file_pins\n",
			pin->link->inode->i_sb->s_id,
			pid_nr(pin->lease->holder), pin->link->path.dentry);
		break;
	}
	spin_unlock(&layout_table_lock);
}

static void *layout_table_start(struct seq_file *m, loff_t *pos)
{
	spin_lock(&layout_table_lock);
	return seq_list_start(&layout_table, *pos);
}

static void *layout_table_next(struct seq_file *m, void *v, loff_t *pos)
{
	return seq_list_next(v, &layout_table, pos);
}

static void layout_table_stop(struct seq_file *m, void *v)
{
	spin_unlock(&layout_table_lock);
}

/* One line: file, byte range, process of the lease, kind of owner. */
static int layout_table_show(struct seq_file *m, void *v)
{
	struct layout_pin *pin = list_entry(v, struct layout_pin, table);
	struct layout_owner *owner = pin->link->owner;

	seq_path(m, &pin->link->path, " \t\n\\");
	seq_printf(m, " %llu-%llu pid %d owner ",
		   (u64)pin->it.start << PAGE_SHIFT,
		   (((u64)pin->it.last + 1) << PAGE_SHIFT) - 1,
		   pid_nr(pin->lease->holder));
	if (owner->is_mm)
		seq_puts(m, "mm");
	else if (owner->key)
		seq_file_path(m, owner->key, " \t\n\\");
	else
		seq_puts(m, "closed");
	seq_putc(m, '\n');
	return 0;
}

static const struct seq_operations layout_table_sops = {
	.start	= layout_table_start,
	.next	= layout_table_next,
	.stop	= layout_table_stop,
	.show	= layout_table_show,
};
DEFINE_SEQ_ATTRIBUTE(layout_table);

static int __init layout_record_init(void)
{
	struct dentry *dir = debugfs_create_dir("layout_pin", NULL);

	debugfs_create_file("pins", 0400, dir, NULL, &layout_table_fops);
	return 0;
}
late_initcall(layout_record_init);
