/* SPDX-License-Identifier: GPL-2.0 */
/* Rings of io_uring: what is registered with them, and one request. */
#ifndef LAYOUT_PIN_RING_H
#define LAYOUT_PIN_RING_H

#include <sys/syscall.h>
#include <sys/uio.h>
#include <linux/io_uring.h>
#include "layout_pin_test.h"

/* Newer than some headers. */
#ifndef IORING_REGISTER_USE_REGISTERED_RING
#define IORING_REGISTER_USE_REGISTERED_RING	(1U << 31)
#endif
#ifndef IORING_SETUP_NO_MMAP
#define IORING_SETUP_NO_MMAP	(1U << 14)
#endif
#define RING_CLONE_BUFFERS	30	/* IORING_REGISTER_CLONE_BUFFERS */

#define RING	"anon_inode:[io_uring]"

/* struct io_uring_clone_buffers */
struct ring_clone {
	__u32 src_fd;
	__u32 flags;
	__u32 pad[6];
};

static inline int ring_new_with(struct io_uring_params *params)
{
	return syscall(SYS_io_uring_setup, 4, params);
}

static inline int ring_new(void)
{
	struct io_uring_params params = { };

	return ring_new_with(&params);
}

static inline int ring_register(int ring, unsigned int what, void *arg,
				unsigned int nr)
{
	return syscall(SYS_io_uring_register, ring, what, arg, nr) < 0 ? errno :
									 0;
}

/* One fixed buffer. */
static inline int ring_buffer(int ring, void *memory, size_t size)
{
	struct iovec iov = { memory, size };

	return ring_register(ring, IORING_REGISTER_BUFFERS, &iov, 1);
}

static inline int ring_no_buffers(int ring)
{
	return ring_register(ring, IORING_UNREGISTER_BUFFERS, NULL, 0);
}

/* Put other memory into the slot of a buffer; none if there is no @memory. */
static inline int ring_update_buffer(int ring, unsigned int slot, void *memory,
				     size_t size)
{
	struct iovec iov = { memory, size };
	struct io_uring_rsrc_update2 update = {
		.offset = slot, .data = (uintptr_t)&iov, .nr = 1,
	};

	return ring_register(ring, IORING_REGISTER_BUFFERS_UPDATE, &update,
			     sizeof(update));
}

static inline int ring_clone(int ring, int from)
{
	struct ring_clone clone = { .src_fd = from };

	return ring_register(ring, RING_CLONE_BUFFERS, &clone, 1);
}

/* Registered with the thread that did it, and nowhere else. */
static inline int ring_without_descriptor(int ring)
{
	struct io_uring_rsrc_update update = { .offset = -1, .data = ring };
	int error = ring_register(ring, IORING_REGISTER_RING_FDS, &update, 1);

	close(ring);
	return error;
}

/* The first ring that a thread has registered so goes again. */
static inline int ring_unregister(void)
{
	return ring_register(0, IORING_UNREGISTER_RING_FDS |
				IORING_REGISTER_USE_REGISTERED_RING,
			     &(struct io_uring_rsrc_update){ }, 1);
}

/* A ring ends what is registered in the background. */
static inline bool pins_end_within(double bound)
{
	double end = seconds() + bound;

	while (count_pins() && seconds() < end)
		usleep(10000);
	return !count_pins();
}

static inline bool pins_end(void)
{
	return pins_end_within(30);
}

/* A ring with its queues mapped, for requests one by one. */
struct ring {
	int fd;
	struct io_uring_params params;
	char *queues;
	struct io_uring_sqe *sqes;
};

static inline size_t ring_queues_size(const struct ring *ring)
{
	return ring->params.cq_off.cqes +
		ring->params.cq_entries * sizeof(struct io_uring_cqe);
}

static inline size_t ring_sqes_size(const struct ring *ring)
{
	return ring->params.sq_entries * sizeof(struct io_uring_sqe);
}

/* Both queues are in one mapping. */
static inline int ring_open(struct ring *ring, unsigned int flags)
{
	*ring = (struct ring){ .params.flags = flags };
	ring->fd = ring_new_with(&ring->params);
	if (ring->fd < 0)
		return errno;
	ring->queues = mmap(NULL, ring_queues_size(ring),
			    PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd,
			    IORING_OFF_SQ_RING);
	ring->sqes = mmap(NULL, ring_sqes_size(ring), PROT_READ | PROT_WRITE,
			  MAP_SHARED, ring->fd, IORING_OFF_SQES);
	return ring->queues == MAP_FAILED || (void *)ring->sqes == MAP_FAILED ?
		errno : 0;
}

static inline void ring_close(struct ring *ring)
{
	munmap(ring->queues, ring_queues_size(ring));
	munmap(ring->sqes, ring_sqes_size(ring));
	close(ring->fd);
}

static inline unsigned int *ring_word(const struct ring *ring, __u32 offset)
{
	return (unsigned int *)(ring->queues + offset);
}

/* Submit a request on the whole of some bytes of fixed buffer 0. */
static inline int ring_submit(struct ring *ring, int opcode, int fd, void *at,
			      unsigned int size)
{
	const struct io_sqring_offsets *off = &ring->params.sq_off;
	unsigned int *tail = ring_word(ring, off->tail);
	unsigned int slot = *tail & (ring->params.sq_entries - 1);

	ring->sqes[slot] = (struct io_uring_sqe){
		.opcode = opcode, .fd = fd, .addr = (uintptr_t)at, .len = size,
		.off = -1,
	};
	ring_word(ring, off->array)[slot] = slot;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (ring->params.flags & IORING_SETUP_SQPOLL)
		return syscall(SYS_io_uring_enter, ring->fd, 0, 0,
			       IORING_ENTER_SQ_WAKEUP, NULL, 0) < 0 ? errno : 0;
	return syscall(SYS_io_uring_enter, ring->fd, 1, 0, 0, NULL, 0) == 1 ?
		0 : errno;
}

/* What the next request to end has to say. */
static inline int ring_result(struct ring *ring)
{
	const struct io_cqring_offsets *off = &ring->params.cq_off;
	unsigned int *head = ring_word(ring, off->head);
	struct io_uring_cqe *cqes = (void *)(ring->queues + off->cqes);
	int result;

	if (syscall(SYS_io_uring_enter, ring->fd, 0, 1, IORING_ENTER_GETEVENTS,
		    NULL, 0) < 0)
		return -errno;
	result = cqes[*head & (ring->params.cq_entries - 1)].res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return result;
}

#endif /* LAYOUT_PIN_RING_H */
