// SPDX-License-Identifier: GPL-2.0-only
/*
 * Look at what a ring and a thread have registered: a process may have a file
 * in no other way than as a registered one.
 *
 * Takes no lock: a task can keep its ring's lock for as long as it likes, by
 * the way it serves a page fault under the lock. RCU frees tables after a grace
 * period, and a table of files has its size with it, see filetable.h.
 */
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <linux/io_uring_registered.h>
#include <linux/rcupdate.h>

#include "io_uring.h"
#include "rsrc.h"
#include "filetable.h"
#include "tctx.h"

static struct io_file_table *io_uring_files(struct file *ring)
{
	struct io_ring_ctx *ctx = ring->private_data;

	return &ctx->file_table;
}

/**
 * io_uring_nr_files() - how many files a ring has room for
 * @ring: an io_uring that the caller holds
 */
unsigned int io_uring_nr_files(struct file *ring)
{
	unsigned int nr;

	rcu_read_lock();
	nr = io_file_table_size(io_uring_files(ring));
	rcu_read_unlock();
	return nr;
}

/**
 * io_uring_file_at() - a registered file of a ring
 * @ring: an io_uring that the caller holds
 * @index: of the file; may be any number
 *
 * Context: rcu_read_lock(). The file is not referenced, and may be gone or be
 *	another one. Reference it, then check that it still is at this index.
 * Return: the file, or NULL if there is none.
 */
struct file *io_uring_file_at(struct file *ring, unsigned int index)
{
	return io_file_table_at(io_uring_files(ring), index);
}

/**
 * io_uring_ring_at() - a ring that a thread has registered
 * @task: the thread
 * @index: below IO_RINGFD_REG_MAX
 *
 * A thread may have a ring only in this way, with its descriptor closed.
 *
 * Context: rcu_read_lock(). The ring is not referenced, and may be gone or be
 *	another file. Reference it, then check that it still is at this index.
 * Return: the ring, or NULL if there is none.
 */
struct file *io_uring_ring_at(struct task_struct *task, unsigned int index)
{
	/* Pairs with the store of a new context in tctx.c. */
	struct io_uring_task *tctx = smp_load_acquire(&task->io_uring);

	return tctx ? READ_ONCE(tctx->registered_rings[index]) : NULL;
}
