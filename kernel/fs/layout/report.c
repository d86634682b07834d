// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the log says of pins: which owner keeps a device from going away, and
 * which owners have pinned a page that has failed.
 *
 * Looks for the pin under the owner's lock and flc_lock of the file, see
 * internal.h, and at processes afterwards, without any of these.
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
#include <linux/xarray.h>

#include "internal.h"

/* How many processes a report names. */
#define LAYOUT_REPORT_MAX	8

/* How many registered files of a ring it looks at in one go. */
#define LAYOUT_REPORT_FILES	1024

/**
 * struct layout_report - what the log says of a device that cannot go away, or
 *	of its bad page
 * @work: logs it
 * @pgmap: memory of the device; only compared
 * @page: the bad page, or NULL
 * @number: of the owner; the search for @page goes on with the next greater one
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

/* Find a record of the link that covers the page. Under flc_lock. */
static struct layout_pin *
layout_report_of_page(const struct layout_report *report,
		      const struct layout_link *link)
{
	struct interval_tree_node *it;
	struct layout_pin *pin;
	pgoff_t index = layout_page_index(report->page);

	if (layout_page_mapping(report->page) != link->inode->i_mapping)
		return NULL;
	it = interval_tree_iter_first(&link->flctx->flc_layout->pins, index,
				      index);
	for (; it; it = interval_tree_iter_next(it, index, index)) {
		pin = container_of(it, struct layout_pin, it);
		if (pin->link == link && pin->pgmap == report->pgmap)
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

/* Find a pin in the memory of the device. */
static bool layout_report_device(struct layout_report *report)
{
	struct layout_walk walk = { };
	bool found;

	layout_walk_begin(&walk);
	for (found = layout_walk_seek(&walk); found;
	     found = layout_walk_next(&walk))
		if (walk.pin->pgmap == report->pgmap)
			break;
	if (found) {
		layout_report_fill(report, walk.pin);
		layout_walk_unlock(&walk);
	}
	layout_walk_end(&walk);
	return found;
}

/* Find a pin of the page in the files of one owner. */
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
		pin = layout_report_of_page(report, link);
		if (pin)
			layout_report_fill(report, pin);
		spin_unlock(&link->flctx->flc_lock);
	}
	spin_unlock(&owner->lock);
	return pin;
}

/*
 * Find a pin of the page. Many owners may have pinned it: each call finds a pin
 * of the next owner, by number.
 */
static bool layout_report_page(struct layout_report *report)
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

/* Note a ring, to look at it once and without locks. Takes the reference. */
static void layout_report_note(struct xarray *rings, struct file *ring,
			       gfp_t gfp)
{
	if (xa_insert(rings, (unsigned long)ring, ring, gfp))
		fput(ring);
}

/* Is this file the owner? A ring may have the owner as a registered file. */
static bool layout_report_by_file(struct file *file, const void *key,
				  struct xarray *rings)
{
	if (file == key)
		return layout_owner_known(file);
	if (io_is_uring_fops(file) && !xa_load(rings, (unsigned long)file))
		layout_report_note(rings, get_file(file), GFP_KERNEL);
	return false;
}

static bool layout_report_by_fd(struct task_struct *thread, const void *key,
				struct xarray *rings)
{
	unsigned int fd = 0;
	struct file *file;
	bool found = false;

	for (; !found; fd++) {
		file = layout_next_file(thread, &fd);
		if (!file)
			break;
		found = layout_report_by_file(file, key, rings);
		fput(file);
		cond_resched();
	}
	return found;
}

/* Another task may hold mmap_lock for long: do not wait for it. */
static bool layout_report_by_map(struct mm_struct *mm, const void *key,
				 struct xarray *rings)
{
	VMA_ITERATOR(vmi, mm, 0);
	struct vm_area_struct *vma;
	bool found = false;

	if (!mmap_read_trylock(mm))
		return false;
	for_each_vma(vmi, vma) {
		found = vma->vm_file &&
			layout_report_by_file(vma->vm_file, key, rings);
		if (found)
			break;
		cond_resched();
	}
	mmap_read_unlock(mm);
	return found;
}

/* A thread may have a registered ring and no descriptor of it. */
static void layout_report_find_rings(struct task_struct *process,
				     struct xarray *rings)
{
	struct task_struct *thread;
	struct file *ring;
	int i;

	rcu_read_lock();
	for_each_thread(process, thread) {
		for (i = 0; i < IO_RINGFD_REG_MAX; i++) {
			ring = io_uring_ring_at(thread, i);
			if (!ring || xa_load(rings, (unsigned long)ring) ||
			    !layout_file_get(ring))
				continue;
			if (ring == io_uring_ring_at(thread, i))
				layout_report_note(rings, ring, GFP_ATOMIC);
			else
				fput(ring);
		}
	}
	rcu_read_unlock();
}

/* A table may have a million files: leave RCU now and then. */
static bool layout_report_in_ring(struct file *ring, const void *key)
{
	unsigned int i = 0, end, nr = io_uring_nr_files(ring);
	bool found = false;

	while (i < nr && !found) {
		end = min(nr, i + LAYOUT_REPORT_FILES);
		rcu_read_lock();
		for (; i < end && !found; i++)
			found = io_uring_file_at(ring, i) == key;
		rcu_read_unlock();
		cond_resched();
	}
	return found;
}

/* Look at each ring once, however many ways the process has to it. */
static bool layout_report_by_open_file(struct task_struct *thread,
				       struct mm_struct *mm, const void *key)
{
	struct xarray rings;
	unsigned long index;
	struct file *ring;
	bool found;

	xa_init(&rings);
	found = layout_report_by_fd(thread, key, &rings) ||
		layout_report_by_map(mm, key, &rings);
	if (!found)
		layout_report_find_rings(thread, &rings);
	xa_for_each(&rings, index, ring) {
		found = found || (ring == key && layout_owner_known(ring)) ||
			layout_report_in_ring(ring, key);
		fput(ring);
	}
	xa_destroy(&rings);
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
		layout_report_by_open_file(thread, mm, report->key);
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

	if (layout_report_device(report)) {
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
	while (said++ < LAYOUT_REPORT_MAX && layout_report_page(report)) {
		report->processes[0] = '\0';
		layout_report_processes(report);
		pr_warn("layout_pin: page %lu of %s on %s has failed; it is pinned through %s, under the lease of process %d; processes that have it:%s\n",
			layout_page_index(page), report->file, report->device,
			report->path, report->holder, report->processes);
	}
	kfree(report);
}
