// SPDX-License-Identifier: GPL-2.0-only
/*
 * Records of pinned ranges.
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
#include <linux/dax.h>
#include <linux/debugfs.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/layout_pin_compat.h>
#include <linux/mm.h>
#include <linux/oom.h>
#include <linux/pid_namespace.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "layout_pin_internal.h"
#include <trace/events/layout_pin.h>

static LIST_HEAD(layout_table);
DEFINE_SPINLOCK(layout_table_lock);

/*
 * Put a record under the lease of the running process, if it has one.
 * Return: 0, -EOPNOTSUPP without a lease, -EAGAIN if a spare link or
 *	owner is needed.
 */
static int layout_pin_insert(struct inode *inode, struct layout_spare *spare)
{
	struct file_lock_context *ctx = locks_inode_context(inode);
	struct layout_pin *pin = spare->pin;
	struct layout_lease *lease;
	struct file *file;

	lockdep_assert_held(&ctx->flc_lock);
	lease = layout_lease_find(inode, task_tgid(current));
	if (!lease)
		return -EOPNOTSUPP;
	file = lease->fl->c.flc_file;
	/* The first pin of a lease keeps its open file, if it still can. */
	if (!lease->nr_pins && !layout_file_get(file))
		return -EOPNOTSUPP;

	/* Before the record is in the table: readers there look at it. */
	pin->lease = lease;
	spin_lock(&layout_table_lock);
	pin->link = layout_link_get(ctx->flc_layout, spare, file);
	if (pin->link)
		list_add_tail(&pin->table, &layout_table);
	spin_unlock(&layout_table_lock);
	if (!pin->link) {
		/* If this is the last one, what follows is deferred. */
		if (!lease->nr_pins)
			fput(file);
		return -EAGAIN;
	}
	lease->nr_pins++;
	ctx->flc_layout->nr_writable += pin->writable;
	interval_tree_insert(&pin->it, &ctx->flc_layout->pins);
	spare->pin = NULL;
	return 0;
}

/**
 * layout_pin_add() - record a range, before its pages are referenced
 * @vp: the driver's object
 * @inode: file that is mapped
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
struct layout_pin *layout_pin_add(struct vaddr_pin *vp, struct inode *inode,
				  pgoff_t first, pgoff_t last)
{
	struct layout_spare spare = { };
	struct file_lock_context *ctx;
	struct layout_pin *pin;
	int error;

	if (!layout_pin_inode(inode))
		return ERR_PTR(-EOPNOTSUPP);
	/* Not before: it may come at any time, and then stays. */
	ctx = locks_inode_context(inode);
	pin = kzalloc(sizeof(*pin), GFP_KERNEL_ACCOUNT);
	if (!pin)
		return ERR_PTR(-ENOMEM);
	pin->it.start = layout_round_down(first, PMD_ORDER);
	pin->it.last = layout_round_up(last, PMD_ORDER);
	pin->since = ktime_get_boottime_seconds();
	pin->writable = vp->writable;
	spare.pin = pin;

	error = layout_link_likely() ? 0 : layout_spare_link(&spare);
	while (!error) {
		spin_lock(&ctx->flc_lock);
		error = layout_pin_insert(inode, &spare);
		spin_unlock(&ctx->flc_lock);
		if (error != -EAGAIN)
			break;
		error = layout_spare_link(&spare);
	}

	layout_spare_free(&spare);
	if (error)
		return ERR_PTR(error);
	list_add_tail(&pin->list, &vp->records);
	return pin;
}

/**
 * layout_pin_resize() - change the range of a record in its tree
 * @pin: the record
 * @first: first page offset
 * @last: last page offset
 *
 * Context: flc_lock held. Readers of the table of records look at the range
 *	under layout_table_lock only.
 */
void layout_pin_resize(struct layout_pin *pin, pgoff_t first, pgoff_t last)
{
	struct layout_ctx *lctx = pin->lease->flctx->flc_layout;

	lockdep_assert_held(&pin->lease->flctx->flc_lock);
	if (pin->it.start == first && pin->it.last == last)
		return;
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
		prev->writable == pin->writable && prev->pgmap == pgmap &&
		prev->it.start <= first &&
		prev->it.last + 1 >= first;
}

/* The record before @pin becomes @pin as well; it has references of its own. */
static void layout_pin_merge(struct layout_pin *pin, pgoff_t first, pgoff_t last)
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
 * layout_pin_commit() - the pages are referenced: make the record exact
 * @vp: the driver's object
 * @pin: the youngest record of @vp
 * @first: first page offset really pinned
 * @last: last page offset really pinned
 * @pgmap: the memory of these pages; the caller's reference goes to the record
 *
 * The caller's references, one to each entry of the mapping, go to the record,
 * too, which is rounded out to entries. A referenced entry is not split or
 * replaced while the record stands, so its order is stable by now.
 *
 * Context: mmap_lock held for reading.
 */
void layout_pin_commit(struct vaddr_pin *vp, struct layout_pin *pin,
		       pgoff_t first, pgoff_t last, struct dev_pagemap *pgmap)
{
	struct address_space *mapping = pin->link->inode->i_mapping;
	struct file_lock_context *ctx = pin->lease->flctx;
	unsigned int order = layout_entry_order(mapping, first);

	trace_pin_add(mapping->host, first, last);
	first = layout_round_down(first, order);
	if (last > layout_round_up(first, order))
		order = layout_entry_order(mapping, last);
	last = layout_round_up(last, order);

	if (layout_pin_continues(vp, pin, first, pgmap)) {
		layout_pin_merge(pin, first, last);
		put_dev_pagemap(pgmap);
		return;
	}
	spin_lock(&layout_table_lock);
	pin->pgmap = pgmap;
	spin_unlock(&layout_table_lock);

	spin_lock(&ctx->flc_lock);
	layout_pin_resize(pin, first, last);
	spin_unlock(&ctx->flc_lock);
}

/**
 * layout_pin_drop() - put the references of a record, then the record
 * @pin: the record; freed. One that was not committed has no references.
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

	if (pin->pgmap) {
		trace_pin_drop(pin->link->inode, pin->it.start, pin->it.last);
		dax_unpin_entries(pin->link->inode->i_mapping, pin->it.start,
				  pin->it.last);
	}
	list_del(&pin->list);
	spin_lock(&ctx->flc_lock);
	interval_tree_remove(&pin->it, &ctx->flc_layout->pins);
	ctx->flc_layout->nr_writable -= pin->writable;
	spin_lock(&layout_table_lock);
	list_del(&pin->table);
	link = layout_link_put(ctx->flc_layout, pin->link);
	spin_unlock(&layout_table_lock);
	if (!--lease->nr_pins)
		fput(lease->fl->c.flc_file);
	spin_unlock(&ctx->flc_lock);

	layout_link_free(link);
	put_dev_pagemap(pin->pgmap);
	kfree(pin);
}

/*
 * A device may have written: the times of the file and its change attribute move,
 * as after a store, or a backup would pass the file by.
 *
 * This waits for no process. While a file system is being frozen, or is, there is
 * no transaction to be had until somebody thaws it, and a close must not wait for
 * that: then they move in memory, and reach the disk with the inode's next change.
 * So they do for who flushes the file inside of a transaction of his own.
 * The trylock also makes it safe where the freezer already waits for us.
 *
 * Called with locks of a driver under which user memory is copied, and from the
 * write-back of the same inode, which both may start a transaction anyway: the one
 * for a page fault, the other as ->dirty_inode() does for lazy times.
 */
static void layout_pin_touch(struct inode *inode)
{
	int times = S_MTIME | S_CTIME | S_VERSION;

	if (IS_NOCMTIME(inode) || IS_RDONLY(inode))
		return;
	if (!current->journal_info && sb_start_write_trylock(inode->i_sb)) {
		inode_update_time(inode, times);
		sb_end_write(inode->i_sb);
	} else {
		inode_update_timestamps(inode, times);
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
 * Times move before the record goes, which keeps the file open for writing and
 * the file system mounted. A region of many records, as one of a file with
 * many devices, touches the file once for each run of them.
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

/* Processes that a report names. */
#define LAYOUT_REPORT_MAX	8

/**
 * struct layout_report - what is said of a device that cannot go away
 * @key: owner of a pin, as in struct layout_owner; only compared, since the last
 *	reference to what it is must not be ours: the caller's task work, which
 *	would then end the owner, runs after the wait for it
 * @is_mm: kind of owner
 * @device: name of the file system's device
 * @file: name of a pinned file
 * @path: where the owner's path is in @buffer, or what else it is
 * @processes: who has the owner, as numbers
 * @buffer: for the path
 */
struct layout_report {
	void *key;
	bool is_mm;
	char device[32];
	char file[NAME_MAX + 1];
	const char *path;
	char processes[LAYOUT_REPORT_MAX * 12 + sizeof(" and others")];
	char buffer[PATH_MAX];
};

/* Find a pin that keeps @pgmap, and copy what is to be said of it. */
static bool layout_report_pin(struct layout_report *report,
			      struct dev_pagemap *pgmap)
{
	struct layout_owner *owner;
	struct layout_pin *pin;
	bool found = false;

	spin_lock(&layout_table_lock);
	list_for_each_entry(pin, &layout_table, table) {
		if (!pin->link || pin->pgmap != pgmap)
			continue;
		owner = pin->link->owner;
		report->key = owner->key;
		report->is_mm = owner->is_mm;
		strscpy(report->device, pin->link->inode->i_sb->s_id);
		snprintf(report->file, sizeof(report->file), "%pd",
			 pin->link->path.dentry);
		if (owner->is_mm)
			report->path = "memory of a process";
		else if (owner->key)	/* detached under this lock */
			report->path = file_path(owner->key, report->buffer,
						 sizeof(report->buffer));
		else
			report->path = "closed owner";
		if (IS_ERR(report->path))
			report->path = "owner";
		found = true;
		break;
	}
	spin_unlock(&layout_table_lock);
	return found;
}

static int layout_report_same(const void *key, struct file *file,
			      unsigned int fd)
{
	return file == key && layout_owner_known(file);
}

/* Is an owner mapped? Somebody else may have the lock for long: do not wait. */
static bool layout_report_mapped(struct mm_struct *mm, const void *key)
{
	VMA_ITERATOR(vmi, mm, 0);
	struct vm_area_struct *vma;
	bool found = false;

	if (!mmap_read_trylock(mm))
		return false;
	for_each_vma(vmi, vma) {
		found = vma->vm_file &&
			layout_report_same(key, vma->vm_file, 0);
		if (found)
			break;
	}
	mmap_read_unlock(mm);
	return found;
}

/* Has a process the owner: as its memory, in its descriptor table or mapped? */
static bool layout_report_has(struct task_struct *process,
			      const struct layout_report *report)
{
	struct task_struct *thread;
	struct mm_struct *mm;
	bool has;

	if (process->flags & PF_KTHREAD)
		return false;
	/* The first thread may have ended. */
	thread = find_lock_task_mm(process);
	if (!thread)
		return false;
	__acquire(&thread->alloc_lock);	/* for sparse, which does not see it */
	mm = thread->mm;
	has = report->is_mm ? mm == report->key :
		iterate_fd(thread->files, 0, layout_report_same, report->key);
	if (has || report->is_mm) {
		task_unlock(thread);
		return has;
	}
	mmget(mm);
	task_unlock(thread);
	has = layout_report_mapped(mm, report->key);
	/* Not here: what is mapped would be put by the caller's task work. */
	mmput_async(mm);
	return has;
}

/* The next process, referenced, from a number on that is in the initial namespace. */
static struct task_struct *layout_report_next(int *nr)
{
	struct task_struct *process = NULL;
	struct pid *pid;

	rcu_read_lock();
	while (!process) {
		pid = find_ge_pid(*nr, &init_pid_ns);
		if (!pid)
			break;
		*nr = pid_nr(pid) + 1;
		process = pid_task(pid, PIDTYPE_TGID);
	}
	if (process)
		get_task_struct(process);
	rcu_read_unlock();
	return process;
}

/* No lock is held from one process to the next, since there may be many. */
static void layout_report_processes(struct layout_report *report)
{
	struct task_struct *process;
	int nr = 1, found = 0;
	size_t len = 0;

	while (report->key && found <= LAYOUT_REPORT_MAX &&
	       !fatal_signal_pending(current)) {
		process = layout_report_next(&nr);
		if (!process)
			break;
		if (layout_report_has(process, report)) {
			if (found++ < LAYOUT_REPORT_MAX)
				len += scnprintf(report->processes + len,
						 sizeof(report->processes) - len,
						 " %d", nr - 1);
			else
				strlcat(report->processes, " and others",
					sizeof(report->processes));
		}
		put_task_struct(process);
		cond_resched();
	}
	if (!found)
		strscpy(report->processes, " none");
}

/**
 * layout_pin_report() - log who keeps a device from going away
 * @pgmap: the device's memory
 *
 * Names one owner, and the processes that have it: those are what to end. Who
 * pinned may be gone, or have let go long ago.
 *
 * Context: may sleep.
 */
void layout_pin_report(struct dev_pagemap *pgmap)
{
	struct layout_report *report = kzalloc(sizeof(*report), GFP_KERNEL);

	if (!report)
		return;
	if (layout_report_pin(report, pgmap)) {
		layout_report_processes(report);
		pr_warn("layout_pin: removal of %s waits for %s, which pinned %s; processes that have it:%s\n",
			report->device, report->path, report->file,
			report->processes);
	}
	kfree(report);
}

/*
 * A reader of the table keeps its place with a record of its own, which has no
 * link. A position in numbers would cost a walk from the start for each piece
 * that is read, and lose a place for each record that goes meanwhile.
 */
static void *layout_table_from(struct list_head *at)
{
	while (!list_is_head(at, &layout_table)) {
		if (list_entry(at, struct layout_pin, table)->link)
			return at;
		at = at->next;
	}
	return NULL;
}

static void *layout_table_start(struct seq_file *m, loff_t *pos)
	__acquires(&layout_table_lock)
{
	struct layout_pin *place = m->private;

	spin_lock(&layout_table_lock);
	if (!*pos)
		list_move(&place->table, &layout_table);
	return layout_table_from(place->table.next);
}

static void *layout_table_next(struct seq_file *m, void *v, loff_t *pos)
{
	struct list_head *at = v;

	++*pos;
	return layout_table_from(at->next);
}

static void layout_table_stop(struct seq_file *m, void *v)
	__releases(&layout_table_lock)
{
	struct layout_pin *place = m->private;

	list_move_tail(&place->table, v ?: &layout_table);
	spin_unlock(&layout_table_lock);
}

/* One line: file as in /proc/locks, byte range, who pinned it when, and paths. */
static int layout_table_show(struct seq_file *m, void *v)
{
	struct layout_pin *pin = list_entry(v, struct layout_pin, table);
	struct layout_owner *owner = pin->link->owner;
	struct inode *inode = pin->link->inode;

	seq_printf(m, "%02x:%02x:%lu %llu-%llu pid %d since %lld owner %llu ",
		   MAJOR(inode->i_sb->s_dev), MINOR(inode->i_sb->s_dev),
		   inode->i_ino, (u64)pin->it.start << PAGE_SHIFT,
		   (((u64)pin->it.last + 1) << PAGE_SHIFT) - 1,
		   pid_nr(pin->lease->holder), pin->since, owner->number);
	if (owner->is_mm)
		seq_puts(m, "mm");
	else if (owner->key)
		seq_file_path(m, owner->key, " \t\n\\");
	else
		seq_puts(m, "closed");
	seq_puts(m, " file ");
	seq_path(m, &pin->link->path, " \t\n\\");
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
	struct layout_pin *place;

	place = __seq_open_private(file, &layout_table_sops, sizeof(*place));
	if (!place)
		return -ENOMEM;
	INIT_LIST_HEAD(&place->table);
	return 0;
}

static int layout_table_release(struct inode *inode, struct file *file)
{
	struct seq_file *m = file->private_data;
	struct layout_pin *place = m->private;

	spin_lock(&layout_table_lock);
	list_del(&place->table);
	spin_unlock(&layout_table_lock);
	return seq_release_private(inode, file);
}

static const struct file_operations layout_table_fops = {
	.owner		= THIS_MODULE,
	.open		= layout_table_open,
	.read		= seq_read,
	.llseek		= seq_lseek,
	.release	= layout_table_release,
};

static int __init layout_record_init(void)
{
	struct dentry *dir = debugfs_create_dir("layout_pin", NULL);

	debugfs_create_file("pins", 0400, dir, NULL, &layout_table_fops);
	return 0;
}
late_initcall(layout_record_init);
