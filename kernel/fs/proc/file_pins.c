// SPDX-License-Identifier: GPL-2.0-only
/*
 * /proc/<pid>/file_pins: the files whose pages a process has pinned for a
 * device, under the descriptor, the mapping or the registered file of an
 * io_uring through which it has them pinned.
 *
 * Only reads: layout_owner_paths() collects and references some paths at a
 * time, and they are printed without a lock.
 */
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <linux/io_uring_registered.h>
#include <linux/io_uring_types.h>
#include <linux/layout_pin_compat.h>
#include <linux/mm.h>
#include <linux/proc_fs.h>
#include <linux/ptrace.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/seq_file.h>
#include <linux/xarray.h>

#include "internal.h"
#include "../layout/internal.h"

/* Paths at a time: few, as they are on the stack and others want the lock. */
#define FILE_PINS_BATCH		32

/* Escape these, so that a program can read a path back. */
#define FILE_PINS_ESCAPE	"\n\\"

/* Show the files of an owner; with @mm, only those that @mm pinned. */
static void file_pins_show_paths(struct seq_file *m, struct layout_owner *owner,
				 struct mm_struct *mm, const char *indent)
{
	struct path paths[FILE_PINS_BATCH];
	struct layout_cursor cursor = { };
	unsigned int i, nr;

	/* seq_file begins again with a larger buffer if this is too small. */
	while (!cursor.end && !seq_has_overflowed(m)) {
		nr = layout_owner_paths(owner, mm, &cursor, paths,
					ARRAY_SIZE(paths));
		for (i = 0; i < nr; i++) {
			seq_puts(m, indent);
			seq_path(m, &paths[i], FILE_PINS_ESCAPE);
			seq_putc(m, '\n');
		}
		layout_owner_put_paths(paths, nr);
		cond_resched();
	}
}

/* Show what @mm pinned for no open file, or for one that is closed by now. */
static void file_pins_show_mm(struct seq_file *m, struct mm_struct *mm)
{
	struct layout_owner *owner = layout_owner_get(mm);
	u64 number = 0;

	if (owner) {
		file_pins_show_paths(m, owner, NULL, "");
		layout_owner_put(owner);
	}
	while ((owner = layout_owner_next_closed(number))) {
		number = owner->number;
		file_pins_show_paths(m, owner, mm, "");
		layout_owner_put(owner);
	}
}

static void file_pins_show_file(struct seq_file *m, struct file *file)
{
	struct layout_owner *owner = layout_owner_get(file);

	if (!owner)
		return;
	file_pins_show_paths(m, owner, NULL, "\t");
	layout_owner_put(owner);
}

/**
 * struct file_pins_met - what a reader has met
 * @owners: owners that it has shown
 * @rings: each io_uring, which may have owners as its registered files
 *
 * By address, and referenced: otherwise another file could get the address
 * before the reader is through.
 */
struct file_pins_met {
	struct xarray owners;
	struct xarray rings;
};

/* Note a file, unless it is noted already. Takes over the reference. */
static int file_pins_note(struct xarray *files, struct file *file, gfp_t gfp)
{
	int error = xa_insert(files, (unsigned long)file, file, gfp);

	if (error)
		fput(file);
	return error == -EBUSY ? 0 : error;
}

static void file_pins_forget(struct xarray *files)
{
	unsigned long index;
	struct file *file;

	xa_for_each(files, index, file)
		fput(file);
	xa_destroy(files);
}

/*
 * Show a file of the process if it is an owner, and note it. @how says how the
 * process has it; NULL means as descriptor @fd. Takes over the reference.
 */
static int file_pins_meet(struct seq_file *m, struct file *file,
			  const char *how, unsigned int fd,
			  struct file_pins_met *met)
{
	int error = 0;

	if (io_is_uring_fops(file))
		error = file_pins_note(&met->rings, get_file(file), GFP_KERNEL);
	if (error || !layout_owner_known(file)) {
		fput(file);
		return error;
	}
	if (how)
		seq_puts(m, how);
	else
		seq_printf(m, "%u", fd);
	seq_puts(m, ": ");
	seq_file_path(m, file, FILE_PINS_ESCAPE);
	seq_putc(m, '\n');
	file_pins_show_file(m, file);
	return file_pins_note(&met->owners, file, GFP_KERNEL);
}

/* Each descriptor of an owner has its line, even if two have one owner. */
static int file_pins_show_fds(struct seq_file *m, struct task_struct *task,
			      struct file_pins_met *met)
{
	struct file *file;
	unsigned int fd;
	int error = 0;

	for (fd = 0; !error; fd++) {
		file = layout_next_file(task, &fd);
		if (!file)
			break;
		error = file_pins_meet(m, file, NULL, fd, met);
		cond_resched();
	}
	return error;
}

/* Is this an owner or a ring that was not met yet? */
static bool file_pins_is_new(struct file *file, struct file_pins_met *met)
{
	if (layout_owner_known(file) &&
	    !xa_load(&met->owners, (unsigned long)file))
		return true;
	return io_is_uring_fops(file) &&
		!xa_load(&met->rings, (unsigned long)file);
}

/*
 * Get the next owner or ring that is mapped at *@addr or above and was not met
 * yet, or NULL. *@addr becomes the end of its mapping.
 */
static struct file *file_pins_next_mapped(struct mm_struct *mm,
					  unsigned long *addr,
					  struct file_pins_met *met)
{
	VMA_ITERATOR(vmi, mm, *addr);
	struct vm_area_struct *vma;
	struct file *file = NULL;

	if (mmap_read_lock_killable(mm))
		return ERR_PTR(-EINTR);
	for_each_vma(vmi, vma) {
		if (!vma->vm_file || !file_pins_is_new(vma->vm_file, met))
			continue;
		file = get_file(vma->vm_file);
		*addr = vma->vm_end;
		break;
	}
	mmap_read_unlock(mm);
	return file;
}

/*
 * A mapping alone may keep a driver's file open, such as the mapped queues of
 * an RDMA context. The process then keeps its pins without a descriptor. The
 * file is printed without mmap_lock, since a path does not need it.
 */
static int file_pins_show_mapped(struct seq_file *m, struct mm_struct *mm,
				 struct file_pins_met *met)
{
	unsigned long addr = 0;
	struct file *file;
	int error;

	do {
		file = file_pins_next_mapped(mm, &addr, met);
		if (IS_ERR_OR_NULL(file))
			return PTR_ERR_OR_ZERO(file);
		error = file_pins_meet(m, file, "vma", 0, met);
	} while (!error);
	return error;
}

/* Note the rings that a thread has registered. Under RCU. */
static int file_pins_find_rings(struct task_struct *thread,
				struct file_pins_met *met)
{
	struct file *ring;
	int i, error = 0;

	for (i = 0; i < IO_RINGFD_REG_MAX && !error; i++) {
		ring = io_uring_ring_at(thread, i);
		if (!ring || !layout_file_get(ring))
			continue;
		if (ring == io_uring_ring_at(thread, i))
			error = file_pins_note(&met->rings, ring, GFP_ATOMIC);
		else
			fput(ring);
	}
	return error;
}

/*
 * Get the registered file at an index, if it is an owner that was not shown
 * yet. Look without a reference first: there may be a million files.
 */
static struct file *file_pins_registered(struct file *ring, unsigned int index,
					 struct file_pins_met *met)
{
	struct file *file;

	rcu_read_lock();
	file = io_uring_file_at(ring, index);
	if (file && (!layout_owner_known(file) ||
		     xa_load(&met->owners, (unsigned long)file) ||
		     !layout_file_get(file)))
		file = NULL;
	if (file && file != io_uring_file_at(ring, index)) {
		fput(file);
		file = NULL;
	}
	rcu_read_unlock();
	return file;
}

/*
 * Show a ring, if it is an owner that was not shown yet, and then its files.
 * Takes no lock of the ring, since its user may hold that for long.
 */
static int file_pins_show_ring(struct seq_file *m, struct file *ring,
			       struct file_pins_met *met)
{
	unsigned int i, nr = io_uring_nr_files(ring);
	struct file *file;
	int error = 0;

	if (!xa_load(&met->owners, (unsigned long)ring))
		error = file_pins_meet(m, get_file(ring), "io_uring", 0, met);
	for (i = 0; i < nr && !error; i++) {
		file = file_pins_registered(ring, i, met);
		if (file)
			error = file_pins_meet(m, file, "io_uring", 0, met);
		if (fatal_signal_pending(current))
			error = -EINTR;
		cond_resched();
	}
	return error;
}

/*
 * A process may have an owner as a registered file of an io_uring, and the ring
 * may be an owner itself. It may have that ring by descriptor, mapped, or
 * registered with one of its threads. The rings of the first two kinds are
 * noted already, and shown if they are owners.
 */
static int file_pins_show_rings(struct seq_file *m, struct task_struct *task,
				bool whole, struct file_pins_met *met)
{
	struct task_struct *thread;
	unsigned long index;
	struct file *ring;
	int error = 0;

	rcu_read_lock();
	for_each_thread(task, thread) {
		if (whole || thread == task)
			error = file_pins_find_rings(thread, met);
		if (error)
			break;
	}
	rcu_read_unlock();
	xa_for_each(&met->rings, index, ring) {
		if (!error)
			error = file_pins_show_ring(m, ring, met);
	}
	return error;
}

/*
 * The thread to look at. The first one of a process may end before the others,
 * which have the descriptors and the memory then. A reader that asks for the
 * first one means the process.
 */
static struct task_struct *file_pins_task(struct inode *inode)
{
	struct task_struct *task = get_proc_task(inode), *thread;

	if (!task || !thread_group_leader(task) || !(task->flags & PF_EXITING))
		return task;
	rcu_read_lock();
	for_each_thread(task, thread) {
		if (thread->flags & PF_EXITING)
			continue;
		get_task_struct(thread);
		put_task_struct(task);
		task = thread;
		break;
	}
	rcu_read_unlock();
	return task;
}

/* Is this the file of a process, and not of one of its threads? */
static bool file_pins_whole(struct inode *inode)
{
	return pid_has_task(proc_pid(inode), PIDTYPE_TGID);
}

static int file_pins_show_task(struct seq_file *m, struct task_struct *task,
			       bool whole, struct file_pins_met *met)
{
	int error = file_pins_show_fds(m, task, met);
	struct mm_struct *mm = get_task_mm(task);

	if (!error && mm)
		error = file_pins_show_mapped(m, mm, met);
	if (!error)
		error = file_pins_show_rings(m, task, whole, met);
	if (!error && mm)
		file_pins_show_mm(m, mm);
	if (mm)
		mmput(mm);
	return error;
}

static int file_pins_show(struct seq_file *m, void *v)
{
	struct inode *inode = m->private;
	struct task_struct *task = file_pins_task(inode);
	struct file_pins_met met;
	int error;

	if (!task)
		return -ESRCH;
	xa_init(&met.owners);
	xa_init(&met.rings);
	error = file_pins_show_task(m, task, file_pins_whole(inode), &met);
	put_task_struct(task);
	file_pins_forget(&met.owners);
	file_pins_forget(&met.rings);
	return error;
}

/**
 * proc_show_pin_owner() - show the number of an owner in fdinfo
 * @m: the text
 * @file: any open file
 *
 * The number finds the owner in the table in debugfs, where others may have the
 * same path. A file through which nothing is pinned shows none.
 */
void proc_show_pin_owner(struct seq_file *m, struct file *file)
{
	u64 number = layout_owner_number(file);

	if (number)
		seq_printf(m, "pin_owner:\t%llu\n", number);
}

/* As /proc/<pid>/fdinfo: may the task that opens look into the process? */
static int file_pins_open(struct inode *inode, struct file *file)
{
	struct task_struct *task = file_pins_task(inode);
	bool allowed;

	if (!task)
		return -ESRCH;
	allowed = ptrace_may_access(task, PTRACE_MODE_READ_FSCREDS);
	put_task_struct(task);
	if (!allowed)
		return -EACCES;
	return single_open(file, file_pins_show, inode);
}

const struct file_operations proc_file_pins_operations = {
	.open		= file_pins_open,
	.read		= seq_read,
	.llseek		= seq_lseek,
	.release	= single_release,
};
