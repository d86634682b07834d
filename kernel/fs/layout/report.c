// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the log says of pins: which owner keeps a device from going away, and
 * which owners have pinned a page that has failed.
 *
 * Walks all owners, their links under the lock of each, and the records of a
 * file under its flc_lock, see internal.h. It looks at processes afterwards,
 * without any of these.
 */
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <linux/io_uring_registered.h>
#include <linux/io_uring_types.h>
#include <linux/layout_pin_compat.h>
#include <linux/mm.h>
#include <linux/oom.h>
#include <linux/pid_namespace.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "internal.h"

/* How many processes a report names. */
#define LAYOUT_REPORT_MAX	8

/**
 * struct layout_report - what the log says of a device that cannot go away, or
 *	of its bad page
 * @work: logs it
 * @pgmap: memory of the device; only compared
 * @page: the bad page, or NULL
 * @number: of the owner; the search goes on with the next greater one
 * @key: owner of a pin, as in struct layout_owner; only compared
 * @is_mm: kind of owner
 * @device: name of the file system's device
 * @file: name of a pinned file
 * @holder: process that took the lease
 * @path: the owner's path, in @buffer, or what to call it
 * @processes: numbers of the processes that have the owner
 * @buffer: for the path
 */
struct layout_report {
	struct work_struct work;
	struct dev_pagemap *pgmap;
	struct page *page;
	u64 number;
	void *key;
	bool is_mm;
	char device[32];
	char file[NAME_MAX + 1];
	pid_t holder;
	const char *path;
	char processes[LAYOUT_REPORT_MAX * 12 + sizeof(" and others")];
	char buffer[PATH_MAX];
};

/* Is this a record of the link, and in the device's memory? */
static bool layout_report_meant(const struct layout_report *report,
				const struct layout_pin *pin,
				const struct layout_link *link)
{
	return pin->link == link && pin->pgmap == report->pgmap;
}

/* Find a record of the link in the memory. Under flc_lock. */
static struct layout_pin *layout_report_any(const struct layout_report *report,
					    const struct layout_link *link)
{
	struct interval_tree_node *it;
	struct layout_pin *pin;

	it = interval_tree_iter_first(&link->flctx->flc_layout->pins, 0,
				      ULONG_MAX);
	for (; it; it = interval_tree_iter_next(it, 0, ULONG_MAX)) {
		pin = container_of(it, struct layout_pin, it);
		if (layout_report_meant(report, pin, link))
			return pin;
	}
	return NULL;
}

/* Find a record of the link that covers the page. Under flc_lock. */
static struct layout_pin *
layout_report_of_page(const struct layout_report *report,
		      const struct layout_link *link)
{
	struct interval_tree_node *it;
	struct layout_pin *pin;
	pgoff_t index;

	if (!layout_page_is_of(report->page, link->inode->i_mapping, &index))
		return NULL;
	it = interval_tree_iter_first(&link->flctx->flc_layout->pins, index,
				      index);
	for (; it; it = interval_tree_iter_next(it, index, index)) {
		pin = container_of(it, struct layout_pin, it);
		if (layout_report_meant(report, pin, link))
			return pin;
	}
	return NULL;
}

/* Copy what the log says of a pin. Under owner->lock and flc_lock. */
static void layout_report_fill(struct layout_report *report,
			       const struct layout_pin *pin)
{
	struct layout_owner *owner = pin->link->owner;

	report->key = owner->key;
	report->is_mm = owner->is_mm;
	report->holder = pid_nr(pin->lease->holder);
	strscpy(report->device, pin->link->inode->i_sb->s_id);
	snprintf(report->file, sizeof(report->file), "%pd",
		 pin->link->path.dentry);
	/* A driver that ends the owner waits for this lock: its file exists. */
	if (owner->key && !owner->is_mm) {
		report->path = file_path(owner->key, report->buffer,
					 sizeof(report->buffer));
		if (IS_ERR(report->path))
			report->path = "owner";
		return;
	}
	report->path = "memory of a process";
	report->key = pin->link->mm;
	report->is_mm = true;
}

/* Look for a pin in the files of one owner. */
static bool layout_report_owner(struct layout_report *report,
				struct layout_owner *owner)
{
	struct layout_pin *pin = NULL;
	struct layout_link *link;
	struct rb_node *node;

	spin_lock(&owner->lock);
	for (node = rb_first(&owner->links); node && !pin;
	     node = rb_next(node)) {
		link = rb_entry(node, struct layout_link, of_owner);
		if (!READ_ONCE(link->nr_pins))
			continue;
		spin_lock(&link->flctx->flc_lock);
		pin = report->page ? layout_report_of_page(report, link) :
				     layout_report_any(report, link);
		if (pin)
			layout_report_fill(report, pin);
		spin_unlock(&link->flctx->flc_lock);
	}
	spin_unlock(&owner->lock);
	return pin;
}

/*
 * Find a pin in the memory, of the page if there is one, and copy what the log
 * says of it. Many owners may have pinned a page: each call finds a pin of the
 * next owner, by number.
 */
static bool layout_report_pin(struct layout_report *report)
{
	struct layout_owner *owner;
	bool found = false;

	while (!found && (owner = layout_owner_next(report->number))) {
		report->number = owner->number;
		found = layout_report_owner(report, owner);
		layout_owner_put(owner);
		cond_resched();
	}
	return found;
}

static bool layout_report_in_ring(struct file *ring, const void *key)
{
	unsigned int i, nr = io_uring_nr_files(ring);
	bool found = false;

	rcu_read_lock();
	for (i = 0; i < nr && !found; i++)
		found = io_uring_file_at(ring, i) == key;
	rcu_read_unlock();
	return found;
}

/* Is this file the owner, or a ring with the owner as a registered file? */
static bool layout_report_by_file(struct file *file, const void *key)
{
	if (file == key)
		return layout_owner_known(file);
	return io_is_uring_fops(file) && layout_report_in_ring(file, key);
}

static bool layout_report_by_fd(struct task_struct *thread, const void *key)
{
	unsigned int fd = 0;
	struct file *file;
	bool found = false;

	for (; !found; fd++) {
		rcu_read_lock();
		file = task_lookup_next_fdget_rcu(thread, &fd);
		rcu_read_unlock();
		if (!file)
			break;
		found = layout_report_by_file(file, key);
		fput(file);
		cond_resched();
	}
	return found;
}

/* Another task may hold mmap_lock for long: do not wait for it. */
static bool layout_report_by_map(struct mm_struct *mm, const void *key)
{
	VMA_ITERATOR(vmi, mm, 0);
	struct vm_area_struct *vma;
	bool found = false;

	if (!mmap_read_trylock(mm))
		return false;
	for_each_vma(vmi, vma) {
		found = vma->vm_file &&
			layout_report_by_file(vma->vm_file, key);
		if (found)
			break;
	}
	mmap_read_unlock(mm);
	return found;
}

/* A thread may have a registered ring and no descriptor of it. */
static bool layout_report_by_ring(struct task_struct *process, const void *key)
{
	struct task_struct *thread;
	bool found = false;
	struct file *ring;
	int i;

	rcu_read_lock();
	for_each_thread(process, thread) {
		for (i = 0; i < IO_RINGFD_REG_MAX && !found; i++) {
			ring = io_uring_ring_at(thread, i);
			if (!ring || !layout_file_get(ring))
				continue;
			found = ring == io_uring_ring_at(thread, i) &&
				layout_report_by_file(ring, key);
			fput(ring);
		}
	}
	rcu_read_unlock();
	return found;
}

/* Does a process have the owner, in any of the ways that file_pins shows? */
static bool layout_report_has(struct task_struct *process,
			      const struct layout_report *report)
{
	struct task_struct *thread;
	struct mm_struct *mm;
	bool has;

	if (process->flags & PF_KTHREAD)
		return false;
	/* The first thread may have ended: take one that has the mm. */
	thread = find_lock_task_mm(process);
	if (!thread)
		return false;
	__acquire(&thread->alloc_lock);	/* sparse does not see it */
	mm = thread->mm;
	mmget(mm);
	get_task_struct(thread);
	task_unlock(thread);
	has = report->is_mm ? mm == report->key :
		layout_report_by_fd(thread, report->key) ||
		layout_report_by_map(mm, report->key) ||
		layout_report_by_ring(process, report->key);
	put_task_struct(thread);
	mmput_async(mm);
	return has;
}

/* Get the next process, from number *@nr on in the initial namespace. */
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

/* Holds no lock from one process to the next, since there may be many. */
static void layout_report_processes(struct layout_report *report)
{
	const size_t room = sizeof(report->processes);
	struct task_struct *process;
	int nr = 1, found = 0;
	size_t len = 0;

	while (report->key && found <= LAYOUT_REPORT_MAX) {
		process = layout_report_next(&nr);
		if (!process)
			break;
		if (layout_report_has(process, report)) {
			if (found++ < LAYOUT_REPORT_MAX)
				len += scnprintf(report->processes + len,
						 room - len, " %d", nr - 1);
			else
				strlcat(report->processes, " and others", room);
		}
		put_task_struct(process);
		cond_resched();
	}
	if (!found)
		strscpy(report->processes, " none");
}

static void layout_report_work(struct work_struct *work)
{
	struct layout_report *report = container_of(work, struct layout_report,
						    work);

	if (layout_report_pin(report)) {
		layout_report_processes(report);
		pr_warn("layout_pin: removal of %s waits for %s, which pinned %s; processes that have it:%s\n",
			report->device, report->path, report->file,
			report->processes);
	}
	kfree(report);
}

/**
 * layout_pin_report() - log which owner keeps a device from going away
 * @pgmap: the device's memory; only compared
 *
 * Names one owner and the processes that have it, since ending those ends the
 * pins. The process that pinned may be gone, or have let go long ago.
 *
 * Runs in a work item, since another task may close a file while the report
 * looks at it. The report then puts the last reference, and the rest of the
 * close must not become task work of the caller, which waits for the owner.
 *
 * Context: may sleep.
 */
void layout_pin_report(struct dev_pagemap *pgmap)
{
	struct layout_report *report = kzalloc(sizeof(*report), GFP_KERNEL);

	if (!report)
		return;
	INIT_WORK(&report->work, layout_report_work);
	report->pgmap = pgmap;
	queue_work(system_unbound_wq, &report->work);
}

/**
 * layout_pin_report_page() - log which owners have pinned a bad page
 * @pgmap: the memory that it is in, referenced
 * @page: the page
 *
 * Takes nothing from them: a device goes on with the rest of the memory, and
 * the block stays the file's. Processes that map the page get their SIGBUS as
 * before. Call this first, since that may end them, and their pins with them.
 *
 * Context: may sleep.
 */
void layout_pin_report_page(struct dev_pagemap *pgmap, struct page *page)
{
	struct layout_report *report = kzalloc(sizeof(*report), GFP_KERNEL);
	int said = 0;

	if (!report)
		return;
	report->pgmap = pgmap;
	report->page = page;
	while (said++ < LAYOUT_REPORT_MAX && layout_report_pin(report)) {
		report->processes[0] = '\0';
		layout_report_processes(report);
		pr_warn("layout_pin: page %lu of %s on %s has failed; it is pinned through %s, under the lease of process %d; processes that have it:%s\n",
			page->index, report->file, report->device, report->path,
			report->holder, report->processes);
	}
	kfree(report);
}
