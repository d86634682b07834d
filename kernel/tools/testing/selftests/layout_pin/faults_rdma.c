// SPDX-License-Identifier: GPL-2.0
/*
 * As faults.c, for a region of soft RoCE: registering, also memory in so many
 * pieces that the scatter list has several parts
 * (sg_alloc_append_table_from_pages), deregistering, passing the owner, and
 * letting go, which cannot fail.
 *
 * The scatter list fails where it allocates. Mapping for DMA allocates nothing
 * on a device that is software, and no device goes away just then: these
 * functions fail by themselves.
 */
#include "layout_pin_fixture.h"
#include "descriptor.h"
#include "faults.h"
#include "rdma_loop.h"

#define EXCLUSIVE	(F_LAYOUT | F_EXCLUSIVE)
#define PIECES		140	/* a part of a scatter list has 128 at most */
#define LET_GO_FAULTS	30

static int nothing_pinned(void)
{
	return !count_pins();
}

static int something_pinned(void)
{
	return count_pins() > 0;
}

/* What soft RoCE is needed for here: a protection domain. */
static int open_device(struct rdma_loop *loop, size_t size)
{
	int error = loop_open_device(loop);

	loop->size = size;
	if (!error)
		loop->pd = ibv_alloc_pd(loop->context);
	return error ?: loop->pd ? 0 : errno;
}

static void close_device(struct rdma_loop *loop)
{
	ibv_dealloc_pd(loop->pd);
	ibv_close_device(loop->context);
}

TEST_F(layout, registering)
{
	struct rdma_loop loop = { };

	ASSERT_EQ(0, allow_faults());
	ASSERT_EQ(0, open_device(&loop, UNITS * self->unit));
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	memset(self->memory, 'x', UNITS * self->unit);
	sweep(loop_register(&loop, self->memory), loop_deregister(&loop),
	      nothing_pinned());
	EXPECT_EQ(0, set_lease(self->fd, F_UNLCK));
	close_device(&loop);
}

TEST_F(layout, mapping_for_dma)
{
	struct rdma_loop loop = { };

	ASSERT_EQ(0, open_device(&loop, UNITS * self->unit));
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	ASSERT_EQ(0, fail_function("ib_dma_virt_map_sg"));
	EXPECT_EQ(EIO, loop_register(&loop, self->memory));
	EXPECT_TRUE(nothing_pinned());
	EXPECT_EQ(0, count_lines("/proc/self/file_pins", ""));
	ASSERT_EQ(0, fail_function(NULL));
	EXPECT_EQ(0, loop_register(&loop, self->memory));
	EXPECT_TRUE(something_pinned());
	EXPECT_EQ(0, loop_deregister(&loop));
	EXPECT_EQ(0, set_lease(self->fd, F_UNLCK));
	close_device(&loop);
}

/* From the second page on: in the middle of what may be one huge entry. */
TEST_F(layout, device_that_goes_away)
{
	struct rdma_loop loop = { };

	ASSERT_EQ(0, open_device(&loop, (UNITS - 1) * self->unit));
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	memset(self->memory, 'x', UNITS * self->unit);
	ASSERT_EQ(0, fail_function("vaddr_pin_pgmap"));
	EXPECT_EQ(ENXIO, loop_register(&loop, self->memory + PAGE));
	ASSERT_EQ(0, fail_function(NULL));
	EXPECT_TRUE(nothing_pinned());
	EXPECT_EQ(0, count_lines("/proc/self/file_pins", ""));
	EXPECT_EQ(0, loop_register(&loop, self->memory + PAGE));
	EXPECT_TRUE(something_pinned());
	EXPECT_EQ(0, loop_deregister(&loop));
	/* Waits for ever if a reference was left. */
	EXPECT_EQ(0, ftruncate(self->fd, 0));
	EXPECT_EQ(0, set_lease(self->fd, F_UNLCK));
	close_device(&loop);
}

/* Each page of the file a mapping of its own, the last one first. */
static char *map_backwards(int fd)
{
	char *area = mmap(NULL, PIECES * PAGE, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long i;

	for (i = 0; i < PIECES; i++)
		if (mmap(area + i * PAGE, PAGE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, fd, (PIECES - 1 - i) * PAGE) ==
		    MAP_FAILED)
			return NULL;
	memset(area, 'x', PIECES * PAGE);
	return area;
}

TEST_F(layout, registering_many_pieces)
{
	struct rdma_loop loop = { };
	char *memory;

	ASSERT_EQ(0, allow_faults());
	ASSERT_EQ(0, fallocate(self->fd, 0, 0, PIECES * PAGE));
	memory = map_backwards(self->fd);
	ASSERT_NE(NULL, memory);
	ASSERT_EQ(0, open_device(&loop, PIECES * PAGE));
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	sweep(loop_register(&loop, memory), loop_deregister(&loop),
	      nothing_pinned());
	EXPECT_EQ(0, set_lease(self->fd, F_UNLCK));
	close_device(&loop);
	munmap(memory, PIECES * PAGE);
}

/* It is gone, or it stands and can be tried again. */
TEST_F(layout, deregistering)
{
	struct rdma_loop loop = { };

	ASSERT_EQ(0, allow_faults());
	ASSERT_EQ(0, open_device(&loop, UNITS * self->unit));
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	ASSERT_EQ(0, loop_register(&loop, self->memory));
	sweep(ibv_dereg_mr(loop.region), loop_register(&loop, self->memory),
	      something_pinned());
	EXPECT_EQ(0, loop_deregister(&loop));
	EXPECT_TRUE(nothing_pinned());
	close_device(&loop);
}

static int pass_and_close(int *pair, int owner)
{
	int error = send_descriptor(pair[0], owner);
	int received;

	if (error)
		return error;
	received = receive_descriptor(pair[1]);
	if (received >= 0)
		close(received);
	/* Received without it, or not at all: what is there is drained. */
	return received >= 0 ? 0 : errno ?: EFAULT;
}

TEST_F(layout, passing_the_owner)
{
	struct pin p;
	char byte;
	int pair[2];

	ASSERT_EQ(0, allow_faults());
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair));
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	p = pin(self->memory, self->unit);
	ASSERT_EQ(0, p.error);
	sweep(pass_and_close(pair, p.fd), (void)0, ({
		while (recv(pair[1], &byte, 1, 0) == 1)
			;
		count_pins() == 1;
	}));
	unpin(p);
	EXPECT_TRUE(nothing_pinned());
	close(pair[0]);
	close(pair[1]);
}

/* Neither can be told that it is out of memory, so neither may be. */
TEST_F(layout, letting_go_cannot_fail)
{
	struct pin p;
	int n;

	ASSERT_EQ(0, allow_faults());
	for (n = 1; n < LET_GO_FAULTS; n++) {
		ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
		p = pin(self->memory, UNITS * self->unit);
		ASSERT_EQ(0, p.error);
		ASSERT_EQ(0, fail_nth(n));
		if (n & 1)
			EXPECT_EQ(0, ioctl(p.fd, PIN_LONGTERM_TEST_STOP));
		EXPECT_EQ(0, close(p.fd));
		EXPECT_EQ(0, set_lease(self->fd, F_UNLCK));
		fails_left();
		EXPECT_TRUE(nothing_pinned());
		EXPECT_EQ(0, count_locks("LAYOUT"));
	}
}

TEST_HARNESS_MAIN
