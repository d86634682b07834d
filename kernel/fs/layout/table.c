// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of all records, layout_pin/pins in debugfs: one line for each, by
 * owner, file and offset.
 *
 * A reader holds the owner's lock and flc_lock of the file while it prints
 * lines, but not between two reads. It keeps its place by the numbers of owner
 * and link, which are never used twice, and by the record. The record is still
 * there if the file's records did not change. If they did, the reader goes on
 * at its offset.
 */
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/sched.h>
#include <linux/seq_file.h>

#include "internal.h"

/* Records that a reader skips at a time, where many owners pin one file. */
#define LAYOUT_TABLE_SCAN	1024

/**
 * struct layout_table - the place of a reader
 * @owner: whose records come next, referenced; NULL at the end
 * @link: of which file; not followed between reads, but found by @number
 * @number: of @link
 * @changes: layout_ctx.changes of the file when @pin was noted
 * @pin: the next record; NULL if the file has no more
 * @start: its first page
 * @skip: records that start at that page and come before it
 */
struct layout_table {
	struct layout_owner *owner;
	struct layout_link *link;
	u64 number;
	unsigned long changes;
	struct layout_pin *pin;
	pgoff_t start;
	unsigned long skip;
};

static struct layout_pin *layout_table_pin(struct rb_node *node)
{
	return node ? rb_entry(node, struct layout_pin, it.rb) : NULL;
}

static struct layout_ctx *layout_table_ctx(const struct layout_table *table)
{
	return table->link->flctx->flc_layout;
}

/* The first record that starts at this page or after it. */
static struct layout_pin *layout_table_from(struct layout_ctx *lctx,
					    pgoff_t start)
{
	struct rb_node *node = lctx->pins.rb_root.rb_node;
	struct layout_pin *pin, *found = NULL;

	while (node) {
		pin = layout_table_pin(node);
		if (pin->it.start >= start) {
			found = pin;
			node = node->rb_left;
		} else {
			node = node->rb_right;
		}
	}
	return found;
}

/* The record that a reader noted, or the one that is in its place by now. */
static struct layout_pin *layout_table_again(const struct layout_table *table)
{
	struct layout_ctx *lctx = layout_table_ctx(table);
	unsigned long skip = table->skip;
	struct layout_pin *pin;

	if (table->pin && lctx->changes == table->changes)
		return table->pin;
	pin = layout_table_from(lctx, table->start);
	while (pin && skip-- && pin->it.start == table->start)
		pin = layout_table_pin(rb_next(&pin->it.rb));
	return pin;
}

static void layout_table_step(struct layout_table *table)
{
	struct layout_pin *pin = table->pin;

	table->pin = layout_table_pin(rb_next(&pin->it.rb));
	if (!table->pin || table->pin->it.start != pin->it.start) {
		table->start = pin->it.start + 1;
		table->skip = 0;
	} else {
		table->start = pin->it.start;
		table->skip++;
	}
}

static void layout_table_lock(struct layout_table *table)
	__acquires(table->owner->lock)
{
	spin_lock(&table->owner->lock);
	if (table->link) {
		/* A link that ended is off the tree: none has its number. */
		table->link = layout_link_next(table->owner, table->number - 1);
		if (table->link && table->link->number != table->number)
			table->link = NULL;
	}
	if (table->link) {
		spin_lock(&table->link->flctx->flc_lock);
		table->pin = layout_table_again(table);
	}
}

static void layout_table_unlock(struct layout_table *table)
	__releases(table->owner->lock)
{
	if (table->link) {
		table->changes = layout_table_ctx(table)->changes;
		spin_unlock(&table->link->flctx->flc_lock);
	}
	spin_unlock(&table->owner->lock);
}

/* Go on with the next file of the owner. False if there is none. */
static bool layout_table_next_link(struct layout_table *table)
{
	if (table->link)
		spin_unlock(&table->link->flctx->flc_lock);
	do {
		table->link = layout_link_next(table->owner, table->number);
		if (!table->link)
			return false;
		table->number = table->link->number;
	} while (!READ_ONCE(table->link->nr_pins));
	spin_lock(&table->link->flctx->flc_lock);
	table->start = 0;
	table->skip = 0;
	table->pin = layout_table_from(layout_table_ctx(table), 0);
	return true;
}

/*
 * Find the next record of the owner. False if there is none, or, with *@more
 * set, if this reader has held the locks for long enough.
 */
static bool layout_table_find(struct layout_table *table, bool *more)
{
	int scan;

	*more = false;
	for (scan = 0; scan < LAYOUT_TABLE_SCAN; scan++) {
		if (!table->link || !table->pin) {
			if (!layout_table_next_link(table))
				return false;
		} else if (table->pin->link == table->link) {
			return true;
		} else {
			layout_table_step(table);
		}
	}
	*more = true;
	return false;
}

/* Find the next record, and return with its locks held. */
static void *layout_table_seek(struct layout_table *table)
{
	struct layout_owner *owner;
	bool more;

	while (table->owner) {
		layout_table_lock(table);
		if (layout_table_find(table, &more))
			return table;
		layout_table_unlock(table);
		cond_resched();
		if (more)
			continue;
		owner = table->owner;
		table->owner = layout_owner_next(owner->number);
		table->link = NULL;
		table->number = 0;
		layout_owner_put(owner);
	}
	return NULL;
}

static void *layout_table_start(struct seq_file *m, loff_t *pos)
{
	struct layout_table *table = m->private;

	if (!*pos) {
		if (table->owner)
			layout_owner_put(table->owner);
		table->owner = layout_owner_next(0);
		table->link = NULL;
		table->number = 0;
	}
	return layout_table_seek(table);
}

static void *layout_table_next(struct seq_file *m, void *v, loff_t *pos)
{
	struct layout_table *table = v;
	bool more;

	++*pos;
	layout_table_step(table);
	if (layout_table_find(table, &more))
		return table;
	layout_table_unlock(table);
	return layout_table_seek(table);
}

static void layout_table_stop(struct seq_file *m, void *v)
{
	if (v)
		layout_table_unlock(v);
}

/* One line: file as in /proc/locks, byte range, process, time, paths. */
static int layout_table_show(struct seq_file *m, void *v)
{
	struct layout_table *table = v;
	struct layout_owner *owner = table->owner;
	struct inode *inode = table->link->inode;
	struct layout_pin *pin = table->pin;

	seq_printf(m, "%02x:%02x:%lu %llu-%llu pid %d since %u owner %llu ",
		   MAJOR(inode->i_sb->s_dev), MINOR(inode->i_sb->s_dev),
		   inode->i_ino, (u64)pin->it.start << PAGE_SHIFT,
		   (((u64)pin->it.last + 1) << PAGE_SHIFT) - 1,
		   pid_nr(pin->lease->holder), pin->since, owner->number);
	/* An owner that ended with pins left shows as the mm that pinned. */
	if (owner->key && !owner->is_mm)
		seq_file_path(m, owner->key, " \t\n\\");
	else
		seq_puts(m, "mm");
	seq_puts(m, " file ");
	seq_path(m, &table->link->path, " \t\n\\");
	seq_putc(m, '\n');
	return 0;
}

static const struct seq_operations layout_table_sops = {
	.start	= layout_table_start,
	.next	= layout_table_next,
	.stop	= layout_table_stop,
	.show	= layout_table_show,
};

static int layout_table_open(struct inode *inode, struct file *file)
{
	return seq_open_private(file, &layout_table_sops,
				sizeof(struct layout_table));
}

static int layout_table_release(struct inode *inode, struct file *file)
{
	struct seq_file *m = file->private_data;
	struct layout_table *table = m->private;

	if (table->owner)
		layout_owner_put(table->owner);
	return seq_release_private(inode, file);
}

static const struct file_operations layout_table_fops = {
	.owner		= THIS_MODULE,
	.open		= layout_table_open,
	.read		= seq_read,
	.llseek		= seq_lseek,
	.release	= layout_table_release,
};

static int __init layout_table_init(void)
{
	struct dentry *dir = debugfs_create_dir("layout_pin", NULL);

	debugfs_create_file("pins", 0400, dir, NULL, &layout_table_fops);
	return 0;
}
late_initcall(layout_table_init);
