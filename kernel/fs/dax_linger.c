// SPDX-License-Identifier: GPL-2.0-only
/*
 * DAX inodes that lose their last user while one of their pages is in use.
 *
 * Direct I/O, a pipe or a socket may hold a page of a DAX file longer than
 * anybody holds the file. Until that ends the block must not be freed, nor the
 * page forgotten. But the task that puts the last reference to the inode must
 * not wait for it: that may be a worker that others need, or the task that
 * holds the page. So the inode lingers: it keeps a reference, and a work item
 * of its own puts that when the page is idle.
 *
 * Long-term pins hold the file and so the inode, and never get here.
 *
 * Nothing maps such a file any more, so its pages only become idle, and each
 * look goes on where the last one stopped. If somebody finds the inode by a
 * file handle and uses it again, iput() looks once more.
 *
 * An inode that lingers has an active reference to its super block. So the file
 * system stays after umount -l, and the last work item shuts it down.
 *
 * Locks: dax_linger_lock protects the list. It is a leaf.
 */
#include <linux/dax.h>
#include <linux/fs.h>
#include <linux/layout_pin_compat.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>
#include <linux/workqueue.h>

#include "internal.h"

/**
 * struct dax_linger - an inode that waits for the users of its pages
 * @list: in the list of all
 * @work: looks whether the wait is over
 * @inode: the inode; one reference is ours
 * @sb: its super block; one active reference is ours until dax_linger_end()
 *	puts it, after which @sb is only compared
 * @index: pages before this one are idle
 * @since: when it began, in jiffies
 * @told: the log has named the inode
 * @ending: @work is at its end, and must not be queued again
 */
struct dax_linger {
	struct list_head list;
	struct delayed_work work;
	struct inode *inode;
	struct super_block *sb;
	pgoff_t index;
	unsigned long since;
	bool told;
	bool ending;
};

static LIST_HEAD(dax_lingering);
static DEFINE_SPINLOCK(dax_linger_lock);
static struct workqueue_struct *dax_linger_wq;

static void dax_linger_end(struct dax_linger *linger)
{
	/* Nobody queues the item from here on: cancel what was queued. */
	spin_lock(&dax_linger_lock);
	linger->ending = true;
	spin_unlock(&dax_linger_lock);
	cancel_delayed_work(&linger->work);

	iput(linger->inode);
	deactivate_super(linger->sb);

	spin_lock(&dax_linger_lock);
	list_del(&linger->list);
	spin_unlock(&dax_linger_lock);
	wake_up_var(&dax_lingering);
	kfree(linger);
}

/*
 * Poll, rather than sleep on the page: nobody is in a hurry, and a sleeper
 * would have to keep the page's device.
 */
static void dax_linger_work(struct work_struct *work)
{
	struct dax_linger *linger = container_of(to_delayed_work(work),
						 struct dax_linger, work);
	struct inode *inode = linger->inode;
	bool late = time_after(jiffies, linger->since + 10 * HZ);
	bool busy = dax_mapping_busy(inode->i_mapping, &linger->index);

	/* Eviction starts a transaction, and would wait for a thaw. */
	if (!busy && inode->i_sb->s_writers.frozen == SB_UNFROZEN) {
		dax_linger_end(linger);
		return;
	}
	if (busy && late && !linger->told) {
		linger->told = true;
		pr_warn("dax: %s: inode %llu cannot be freed yet: its page %lu is in use, by direct I/O, a pipe or a socket\n",
			inode->i_sb->s_id, (u64)inode->i_ino, linger->index);
	}
	queue_delayed_work(dax_linger_wq, &linger->work,
			   late ? HZ / 2 : HZ / 20);
}

/*
 * Allocate for an inode that has a page in use, and reference its super block.
 * NULL if the super block is being shut down: no inode can be kept then.
 */
static struct dax_linger *dax_linger_alloc(struct inode *inode, pgoff_t index)
{
	struct dax_linger *linger;

	if (!atomic_inc_not_zero(&inode->i_sb->s_active))
		return NULL;
	/* Small, and no caller can fail. */
	linger = kzalloc(sizeof(*linger), GFP_NOFS | __GFP_NOFAIL);
	INIT_DELAYED_WORK(&linger->work, dax_linger_work);
	linger->inode = inode;
	linger->sb = inode->i_sb;
	linger->index = index;
	linger->since = jiffies;
	return linger;
}

/* Takes over a reference to the inode. */
static void dax_linger_start(struct dax_linger *linger)
{
	spin_lock(&dax_linger_lock);
	list_add_tail(&linger->list, &dax_lingering);
	spin_unlock(&dax_linger_lock);
	queue_delayed_work(dax_linger_wq, &linger->work, HZ / 20);
}

/**
 * __dax_linger_inode() - keep an inode that would be evicted if its pages are
 *	in use
 * @inode: DAX inode without a reference
 *
 * Tasks that look for the inode meanwhile wait for the end of the scan, as they
 * would wait for the eviction.
 *
 * Context: i_lock held; dropped and taken again. May sleep, but never for a
 *	page.
 * Return: true if the inode stays: it has a reference again.
 */
bool __dax_linger_inode(struct inode *inode)
	__releases(&inode->i_lock) __acquires(&inode->i_lock)
{
	struct dax_linger *linger = NULL;
	pgoff_t index = 0;

	layout_inode_state_set(inode, I_WILL_FREE);
	spin_unlock(&inode->i_lock);

	if (dax_mapping_busy(inode->i_mapping, &index))
		linger = dax_linger_alloc(inode, index);

	spin_lock(&inode->i_lock);
	layout_inode_state_clear(inode, I_WILL_FREE);
	if (!linger)
		return false;
	atomic_inc(&inode->i_count);
	/* As in unlock_new_inode(): I_WILL_FREE makes tasks wait for this. */
	smp_mb();
	inode_wake_up_bit(inode, __I_NEW);
	dax_linger_start(linger);
	return true;
}

static void dax_linger_one(struct inode *inode, pgoff_t index)
{
	struct dax_linger *linger = dax_linger_alloc(inode, index);

	if (linger) {
		ihold(inode);
		dax_linger_start(linger);
	}
}

/*
 * Is a page of any cached DAX inode in use? With @keep look at all inodes, and
 * let each one that has a page in use linger.
 */
static bool dax_super_busy(struct super_block *sb, bool keep)
{
	struct inode *inode, *last = NULL;
	bool busy = false;
	pgoff_t index;

	spin_lock(&sb->s_inode_list_lock);
	list_for_each_entry(inode, &sb->s_inodes, i_sb_list) {
		if (!IS_DAX(inode) || mapping_empty(inode->i_mapping))
			continue;
		spin_lock(&inode->i_lock);
		if (layout_inode_state(inode) &
		    (I_FREEING | I_WILL_FREE | I_NEW)) {
			spin_unlock(&inode->i_lock);
			continue;
		}
		__iget(inode);
		spin_unlock(&inode->i_lock);
		/* The reference keeps our place in the list. */
		spin_unlock(&sb->s_inode_list_lock);
		iput(last);
		last = inode;

		index = 0;
		if (dax_mapping_busy(inode->i_mapping, &index)) {
			busy = true;
			if (keep)
				dax_linger_one(inode, index);
		}
		cond_resched();
		spin_lock(&sb->s_inode_list_lock);
		if (busy && !keep)
			break;
	}
	spin_unlock(&sb->s_inode_list_lock);
	iput(last);
	return busy;
}

/**
 * dax_linger_super() - keep the inodes whose pages are in use
 * @sb: super block whose cached inodes are about to be evicted, because its
 *	device or its last active reference goes
 *
 * Context: s_umount held; may sleep, but never for a page.
 */
void dax_linger_super(struct super_block *sb)
{
	dax_super_busy(sb, true);
}

static int dax_linger_count(struct super_block *sb)
{
	struct dax_linger *linger;
	int count = 0;

	spin_lock(&dax_linger_lock);
	list_for_each_entry(linger, &dax_lingering, list)
		count += linger->sb == sb;
	spin_unlock(&dax_linger_lock);
	return count;
}

/* Some pages may be idle already: look at once, and wait up to a second. */
static bool dax_linger_hurry(struct super_block *sb)
{
	struct dax_linger *linger;

	spin_lock(&dax_linger_lock);
	list_for_each_entry(linger, &dax_lingering, list) {
		if (linger->sb == sb && !linger->ending)
			mod_delayed_work(dax_linger_wq, &linger->work, 0);
	}
	spin_unlock(&dax_linger_lock);
	return wait_var_event_timeout(&dax_lingering, !dax_linger_count(sb),
				      HZ);
}

/**
 * dax_linger_umount() - may the last mount of a file system go?
 * @sb: its super block; the caller holds a mount of it
 *
 * A snapshot: a page may come into use after the look. Then the mount goes, and
 * the file system goes when the page is idle, as after umount -l.
 *
 * Context: may sleep, for a second at most.
 * Return: 0 if @sb has other mounts or no page of a file is in use, else
 *	-EBUSY.
 */
int dax_linger_umount(struct super_block *sb)
{
	int lingering = dax_linger_count(sb);

	if (atomic_read(&sb->s_active) > 1 + lingering)
		return 0;
	if (dax_super_busy(sb, false))
		return -EBUSY;
	return lingering && !dax_linger_hurry(sb) ? -EBUSY : 0;
}

static int __init dax_linger_init(void)
{
	/* Unbound: an item that evicts a large file may run for long. */
	dax_linger_wq = alloc_workqueue("dax_linger", WQ_UNBOUND, 0);
	return dax_linger_wq ? 0 : -ENOMEM;
}
fs_initcall(dax_linger_init);
