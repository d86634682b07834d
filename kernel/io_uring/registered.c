// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a ring and a thread have registered, for who only looks: a registered
 * file may be the only way in which a process has it.
 *
 * No lock. Who uses a ring may keep its lock for as long as he likes, by what
 * he makes of a page fault under it. Tables are freed after a grace period of
 * RCU, and a table of files has its size with it, see io_alloc_file_tables().
 */
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <linux/io_uring_registered.h>
#include <linux/rcupdate.h>

#include "io_uring.h"
#include "rsrc.h"
#include "filetable.h"
#include "tctx.h"

static struct io_fixed_file *io_uring_files(struct file *ring)
{
	struct io_ring_ctx *ctx = ring->private_data;

	/* Pairs with io_alloc_file_tables(). */
	return smp_load_acquire(&ctx->file_table.files);
}

/**
 * io_uring_nr_files() - how many files a ring has room for
 * @ring: an io_uring that the caller holds
 */
unsigned int io_uring_nr_files(struct file *ring)
{
	struct io_fixed_file *files;
	unsigned int nr;

	rcu_read_lock();
	files = io_uring_files(ring);
	nr = files ? files[-1].file_ptr : 0;
	rcu_read_unlock();
	return nr;
}

/**
 * io_uring_file_at() - a registered file of a ring
 * @ring: an io_uring that the caller holds
 * @index: of the file; may be any
 *
 * Context: rcu_read_lock(). The file is not referenced: it may be gone, or be
 *	another one, unless it still is at this index once it is.
 * Return: the file, or NULL if there is none.
 */
struct file *io_uring_file_at(struct file *ring, unsigned int index)
{
	struct io_fixed_file *files = io_uring_files(ring);

	if (!files || index >= files[-1].file_ptr)
		return NULL;
	return (struct file *)(READ_ONCE(files[index].file_ptr) & FFS_MASK);
}

/**
 * io_uring_ring_at() - a ring that a thread has registered
 * @task: the thread
 * @index: below IO_RINGFD_REG_MAX
 *
 * A thread may have a ring in this way alone, with its descriptor closed.
 *
 * Context: rcu_read_lock(). The ring is not referenced: it may be gone, or be
 *	another file, unless it still is at this index once it is.
 * Return: the ring, or NULL if there is none.
 */
struct file *io_uring_ring_at(struct task_struct *task, unsigned int index)
{
	/* Pairs with io_uring_alloc_task_context(). */
	struct io_uring_task *tctx = smp_load_acquire(&task->io_uring);

	return tctx ? READ_ONCE(tctx->registered_rings[index]) : NULL;
}
