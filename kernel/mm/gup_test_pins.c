// SPDX-License-Identifier: GPL-2.0-only
/*
 * PIN_LONGTERM_TEST of /sys/kernel/debug/gup_test: memory that stays pinned
 * until the open file is told to stop or is closed. It pins as a driver does,
 * so all that layout leases promise can be tested without RDMA hardware.
 *
 * The mutex of an open file's state serialises its ioctls.
 */
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vaddr_pin.h>

#include "gup_test.h"
#include "gup_test_pins.h"

#define PIN_LONGTERM_TEST_FLAGS \
	(PIN_LONGTERM_TEST_FLAG_USE_WRITE | PIN_LONGTERM_TEST_FLAG_USE_FAST | \
	 PIN_LONGTERM_TEST_FLAG_MM_OWNER)

/**
 * struct pin_longterm_state - what one open of the file keeps pinned
 * @mutex: protects the rest
 * @pages: NULL if nothing is pinned
 * @nr_pages: number of pages pinned
 * @vpin: records of FS DAX memory among them
 * @owner: this open file
 */
struct pin_longterm_state {
	struct mutex mutex;	/* see above */
	struct page **pages;
	unsigned long nr_pages;
	struct vaddr_pin vpin;
	struct vaddr_pin_owner owner;
};

static void pin_longterm_test_stop(struct pin_longterm_state *state)
{
	if (!state->pages)
		return;
	if (state->nr_pages)
		vaddr_unpin_user_pages_dirty_lock(state->pages, state->nr_pages,
						  false);
	vaddr_unpin_done(&state->vpin);
	kvfree(state->pages);
	state->pages = NULL;
	state->nr_pages = 0;
}

/* Without USE_FAST nothing is recorded, so FS DAX memory is refused. */
static long pin_longterm_test_some(struct pin_longterm_state *state,
				   const struct pin_longterm_test *args,
				   long left)
{
	unsigned long addr = args->addr + state->nr_pages * PAGE_SIZE;
	struct page **pages = state->pages + state->nr_pages;
	int gup_flags = FOLL_LONGTERM;
	long ret;

	if (args->flags & PIN_LONGTERM_TEST_FLAG_USE_WRITE)
		gup_flags |= FOLL_WRITE;
	if (args->flags & PIN_LONGTERM_TEST_FLAG_USE_FAST)
		return vaddr_pin_user_pages_fast(&state->vpin, addr,
						 min_t(long, left, INT_MAX),
						 gup_flags, pages);

	if (mmap_read_lock_killable(current->mm))
		return -EINTR;
	ret = pin_user_pages(addr, left, gup_flags, pages);
	mmap_read_unlock(current->mm);
	return ret;
}

static int pin_longterm_test_all(struct pin_longterm_state *state,
				 const struct pin_longterm_test *args,
				 long nr_pages)
{
	struct vaddr_pin_owner *owner = &state->owner, *old;
	long ret = 0;

	if (args->flags & PIN_LONGTERM_TEST_FLAG_MM_OWNER)
		owner = NULL;
	old = vaddr_pin_owner_enter(owner);
	while (ret >= 0 && state->nr_pages < nr_pages) {
		ret = pin_longterm_test_some(state, args,
					     nr_pages - state->nr_pages);
		if (ret > 0)
			state->nr_pages += ret;
	}
	vaddr_pin_owner_exit(old);
	return ret < 0 ? ret : 0;
}

static int pin_longterm_test_start(struct pin_longterm_state *state,
				   void __user *arg)
{
	struct pin_longterm_test args;
	int ret;

	if (state->pages)
		return -EINVAL;
	if (copy_from_user(&args, arg, sizeof(args)))
		return -EFAULT;
	if ((args.flags & ~PIN_LONGTERM_TEST_FLAGS) ||
	    !IS_ALIGNED(args.addr | args.size, PAGE_SIZE) ||
	    args.size > LONG_MAX || !args.size)
		return -EINVAL;

	state->pages = kvcalloc(args.size / PAGE_SIZE, sizeof(void *),
				GFP_KERNEL);
	if (!state->pages)
		return -ENOMEM;
	state->nr_pages = 0;
	ret = pin_longterm_test_all(state, &args, args.size / PAGE_SIZE);
	if (ret)
		pin_longterm_test_stop(state);
	return ret;
}

static int pin_longterm_test_read(struct pin_longterm_state *state,
				  void __user *arg)
{
	__u64 user_addr;
	unsigned long i;

	if (!state->pages)
		return -EINVAL;
	if (copy_from_user(&user_addr, arg, sizeof(user_addr)))
		return -EFAULT;

	for (i = 0; i < state->nr_pages; i++) {
		void *addr = kmap_local_page(state->pages[i]);
		unsigned long ret;

		ret = copy_to_user(u64_to_user_ptr(user_addr), addr, PAGE_SIZE);
		kunmap_local(addr);
		if (ret)
			return -EFAULT;
		user_addr += PAGE_SIZE;
	}
	return 0;
}

/**
 * pin_longterm_test_ioctl() - the ioctls PIN_LONGTERM_TEST_*
 * @file: open file
 * @cmd: PIN_LONGTERM_TEST_START, STOP or READ
 * @arg: user address of struct pin_longterm_test; for READ, of the address to
 *	which the pinned memory is copied
 *
 * Context: may sleep, killably.
 * Return: 0; -EINVAL for a wrong command, flag or range, for START while memory
 *	is pinned, and for READ while none is; -EFAULT if @arg or what it points
 *	to cannot be read or written; -ENOMEM; -EINTR if the process is being
 *	killed; for START also the errnos of vaddr_pin_user_pages_fast().
 */
long pin_longterm_test_ioctl(struct file *file, unsigned int cmd,
			     unsigned long arg)
{
	struct pin_longterm_state *state = file->private_data;
	long ret = -EINVAL;

	if (mutex_lock_killable(&state->mutex))
		return -EINTR;

	switch (cmd) {
	case PIN_LONGTERM_TEST_START:
		ret = pin_longterm_test_start(state, (void __user *)arg);
		break;
	case PIN_LONGTERM_TEST_STOP:
		pin_longterm_test_stop(state);
		ret = 0;
		break;
	case PIN_LONGTERM_TEST_READ:
		ret = pin_longterm_test_read(state, (void __user *)arg);
		break;
	}

	mutex_unlock(&state->mutex);
	return ret;
}

/**
 * pin_longterm_test_open() - ->open() of gup_test
 * @inode: of debugfs
 * @file: open file
 *
 * Return: 0, or -ENOMEM.
 */
int pin_longterm_test_open(struct inode *inode, struct file *file)
{
	struct pin_longterm_state *state;

	state = kzalloc(sizeof(*state), GFP_KERNEL);
	if (!state)
		return -ENOMEM;
	mutex_init(&state->mutex);
	vaddr_pin_init(&state->vpin);
	vaddr_pin_owner_init(&state->owner, file);
	file->private_data = state;
	return nonseekable_open(inode, file);
}

/**
 * pin_longterm_test_release() - ->release() of gup_test
 * @inode: of debugfs
 * @file: open file
 *
 * Return: 0.
 */
int pin_longterm_test_release(struct inode *inode, struct file *file)
{
	struct pin_longterm_state *state = file->private_data;

	pin_longterm_test_stop(state);
	vaddr_pin_owner_end(&state->owner);
	kfree(state);
	return 0;
}
