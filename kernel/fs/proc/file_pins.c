// SPDX-License-Identifier: GPL-2.0-only
/*
 * /proc/<pid>/file_pins: the files of which a process holds pages pinned for a
 * device, by the descriptor through which it holds them.
 *
 * Only reads: paths are collected and referenced by layout_owner_paths(), some
 * at a time, and printed without a lock.
 */
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/proc_fs.h>
#include <linux/ptrace.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/seq_file.h>

#include "internal.h"
#include "../layout_pin_internal.h"

/* Paths at a time: they are on the stack, and others wait for the lock. */
#define FILE_PINS_BATCH		32

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
			seq_path(m, &paths[i], "\n");
			seq_putc(m, '\n');
		}
		layout_owner_put_paths(paths, nr);
		cond_resched();
	}
}

static int file_pins_show_file(struct seq_file *m, unsigned int fd,
			       struct file *file)
{
	if (!layout_owner_known(file))
		return 0;
	seq_printf(m, "%u: ", fd);
	seq_file_path(m, file, "\n");
	seq_putc(m, '\n');
	file_pins_show_paths(m, file, "\t");
	return 0;
}

static int file_pins_show_fds(struct seq_file *m, struct task_struct *task)
{
	struct file *file;
	unsigned int fd;
	int error = 0;

	for (fd = 0; !error; fd++) {
		rcu_read_lock();
		file = task_lookup_next_fdget_rcu(task, &fd);
		rcu_read_unlock();
		if (!file)
			break;
		error = file_pins_show_file(m, fd, file);
		fput(file);
		cond_resched();
	}
	return error;
}

static int file_pins_show(struct seq_file *m, void *v)
{
	struct inode *inode = m->private;
	struct task_struct *task = get_proc_task(inode);
	struct mm_struct *mm;
	int error;

	if (!task)
		return -ESRCH;
	error = file_pins_show_fds(m, task);
	mm = error ? NULL : get_task_mm(task);
	if (mm) {
		file_pins_show_paths(m, mm, "");
		mmput(mm);
	}
	put_task_struct(task);
	return error;
}

/* As /proc/<pid>/fdinfo: who may look into the process, when it is opened. */
static int file_pins_open(struct inode *inode, struct file *file)
{
	struct task_struct *task = get_proc_task(inode);
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
