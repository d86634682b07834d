// SPDX-License-Identifier: GPL-2.0-only
/*
 * /proc/<pid>/file_pins: the files of which a process holds pages pinned for a
 * device, by the descriptor or the mapping through which it holds them.
 *
 * Only reads: paths are collected and referenced by layout_owner_paths(), some
 * at a time, and printed without a lock.
 */
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/proc_fs.h>
#include <linux/ptrace.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/seq_file.h>
#include <linux/xarray.h>

#include "internal.h"
#include "../layout_pin_internal.h"

/* Paths at a time: they are on the stack, and others wait for the lock. */
#define FILE_PINS_BATCH		32

/* Escaped, so that what is printed can be read back. */
#define FILE_PINS_ESCAPE	"\n\\"

static void file_pins_show_paths(struct seq_file *m, void *key,
				 const char *indent)
{
	struct path paths[FILE_PINS_BATCH];
	struct layout_cursor cursor = { };
	unsigned int i, nr;

	/* If the buffer is too small all of it is done again with a larger one. */
	while (!seq_has_overflowed(m)) {
		nr = layout_owner_paths(key, &cursor, paths,
					ARRAY_SIZE(paths));
		if (!nr)
			break;
		for (i = 0; i < nr; i++) {
			seq_puts(m, indent);
			seq_path(m, &paths[i], FILE_PINS_ESCAPE);
			seq_putc(m, '\n');
		}
		layout_owner_put_paths(paths, nr);
		cond_resched();
	}
}

static void file_pins_show_owner(struct seq_file *m, struct file *file)
{
	seq_file_path(m, file, FILE_PINS_ESCAPE);
	seq_putc(m, '\n');
	file_pins_show_paths(m, file, "\t");
}

/*
 * Note that an owner is shown. The reference to it goes to @shown: without one
 * its address could be another file's before the mappings are looked at.
 *
 * Return: 0, -EBUSY if it was noted before, or another reason.
 */
static int file_pins_note(struct xarray *shown, struct file *file)
{
	int error = xa_insert(shown, (unsigned long)file, file, GFP_KERNEL);

	if (error)
		fput(file);
	return error;
}

/* Each descriptor of an owner has its line, also two of one owner. */
static int file_pins_show_fds(struct seq_file *m, struct task_struct *task,
			      struct xarray *shown)
{
	struct file *file;
	unsigned int fd;
	int error;

	for (fd = 0;; fd++) {
		rcu_read_lock();
		file = task_lookup_next_fdget_rcu(task, &fd);
		rcu_read_unlock();
		if (!file)
			return 0;
		if (layout_owner_known(file)) {
			seq_printf(m, "%u: ", fd);
			file_pins_show_owner(m, file);
			error = file_pins_note(shown, file);
			if (error && error != -EBUSY)
				return error;
		} else {
			fput(file);
		}
		cond_resched();
	}
}

/*
 * The next owner that is mapped at *@addr or above, referenced, and not shown
 * yet; NULL if there is none. *@addr becomes the end of its mapping.
 */
static struct file *file_pins_next_mapped(struct mm_struct *mm,
					  unsigned long *addr,
					  struct xarray *shown)
{
	VMA_ITERATOR(vmi, mm, *addr);
	struct vm_area_struct *vma;
	struct file *file = NULL;

	if (mmap_read_lock_killable(mm))
		return ERR_PTR(-EINTR);
	for_each_vma(vmi, vma) {
		if (!vma->vm_file || !layout_owner_known(vma->vm_file) ||
		    xa_load(shown, (unsigned long)vma->vm_file))
			continue;
		file = get_file(vma->vm_file);
		*addr = vma->vm_end;
		break;
	}
	mmap_read_unlock(mm);
	return file;
}

/*
 * A driver's file may live on in a mapping of it alone, as that of an RDMA
 * context in the memory of its queues: then the process keeps what is pinned,
 * with no descriptor. Printed without mmap_lock, which a path has no need of.
 */
static int file_pins_show_mapped(struct seq_file *m, struct mm_struct *mm,
				 struct xarray *shown)
{
	unsigned long addr = 0;
	struct file *file;
	int error;

	for (;;) {
		file = file_pins_next_mapped(mm, &addr, shown);
		if (IS_ERR_OR_NULL(file))
			return PTR_ERR_OR_ZERO(file);
		seq_puts(m, "vma: ");
		file_pins_show_owner(m, file);
		error = file_pins_note(shown, file);
		if (error)
			return error;
	}
}

/*
 * The thread to look at. The first one of a process may end before the others,
 * which have the descriptors and the memory then; whoever asks for it means the
 * process.
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

static int file_pins_show(struct seq_file *m, void *v)
{
	struct task_struct *task = file_pins_task(m->private);
	struct mm_struct *mm;
	struct xarray shown;
	unsigned long index;
	struct file *file;
	int error;

	if (!task)
		return -ESRCH;
	xa_init(&shown);
	error = file_pins_show_fds(m, task, &shown);
	mm = error ? NULL : get_task_mm(task);
	if (mm) {
		error = file_pins_show_mapped(m, mm, &shown);
		if (!error)
			file_pins_show_paths(m, mm, "");
		mmput(mm);
	}
	put_task_struct(task);
	xa_for_each(&shown, index, file)
		fput(file);
	xa_destroy(&shown);
	return error;
}

/* As /proc/<pid>/fdinfo: who may look into the process, when it is opened. */
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
