/* SPDX-License-Identifier: GPL-2.0-only */
/* Look at what is registered with io_uring: io_uring/registered.c. */
#ifndef _LINUX_IO_URING_REGISTERED_H
#define _LINUX_IO_URING_REGISTERED_H

#include <linux/types.h>

struct file;
struct task_struct;

#ifdef CONFIG_IO_URING
unsigned int io_uring_nr_files(struct file *ring);
struct file *io_uring_file_at(struct file *ring, unsigned int index);
struct file *io_uring_ring_at(struct task_struct *task, unsigned int index);
#else
static inline unsigned int io_uring_nr_files(struct file *ring)
{
	return 0;
}

static inline struct file *io_uring_file_at(struct file *ring,
					    unsigned int index)
{
	return NULL;
}

static inline struct file *io_uring_ring_at(struct task_struct *task,
					    unsigned int index)
{
	return NULL;
}
#endif

#endif /* _LINUX_IO_URING_REGISTERED_H */
