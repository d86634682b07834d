// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of all records, layout_pin/pins in debugfs: one line for each, by
 * owner, file and offset.
 *
 * A reader holds the locks of a walk while it prints lines, see walk.c, but not
 * between two reads.
 */
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/seq_file.h>

#include "internal.h"

static void *layout_table_start(struct seq_file *m, loff_t *pos)
{
	struct layout_walk *walk = m->private;

	if (!*pos)
		layout_walk_begin(walk);
	return layout_walk_seek(walk) ? walk : NULL;
}

static void *layout_table_next(struct seq_file *m, void *v, loff_t *pos)
{
	++*pos;
	return layout_walk_next(v) ? v : NULL;
}

static void layout_table_stop(struct seq_file *m, void *v)
{
	if (v)
		layout_walk_unlock(v);
}

/* One line: file as in /proc/locks, byte range, process, time, paths. */
static int layout_table_show(struct seq_file *m, void *v)
{
	struct layout_walk *walk = v;
	struct layout_owner *owner = walk->owner;
	struct inode *inode = walk->link->inode;
	struct layout_pin *pin = walk->pin;

	seq_printf(m, "%02x:%02x:%llu %llu-%llu pid %d since %u owner %llu ",
		   MAJOR(inode->i_sb->s_dev), MINOR(inode->i_sb->s_dev),
		   (u64)inode->i_ino, (u64)pin->it.start << PAGE_SHIFT,
		   (((u64)pin->it.last + 1) << PAGE_SHIFT) - 1,
		   pid_nr(pin->lease->holder), pin->since, owner->number);
	/* An owner that ended with pins left shows as the mm that pinned. */
	if (owner->key && !owner->is_mm)
		seq_file_path(m, owner->key, " \t\n\\");
	else
		seq_puts(m, "mm");
	seq_puts(m, " file ");
	seq_path(m, &walk->link->path, " \t\n\\");
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
				sizeof(struct layout_walk));
}

static int layout_table_release(struct inode *inode, struct file *file)
{
	struct seq_file *m = file->private_data;

	layout_walk_end(m->private);
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
