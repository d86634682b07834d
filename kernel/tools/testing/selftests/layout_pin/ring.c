// SPDX-License-Identifier: GPL-2.0
/*
 * Fixed buffers of io_uring on leased files: the ring is their owner. Closing a
 * ring does not wait for its requests, so its pins go a moment later.
 */
#include "layout_pin_fixture.h"
#include "faults.h"
#include "file_pins.h"
#include "ring.h"

#define SOON	1.0	/* seconds in which the pins of a closed ring go */

static long size_of(FIXTURE_DATA(layout) *self)
{
	return UNITS * self->unit;
}

static int truncate_elsewhere(FIXTURE_DATA(layout) *self, off_t size)
{
	return elsewhere(truncate(self->path, size) ? errno : 0);
}

static int punch(FIXTURE_DATA(layout) *self)
{
	return fallocate(self->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 0, self->unit) ? errno : 0;
}

static char *line_of(int ring, const char *path, char *line)
{
	sprintf(line, "%d: " RING "\n\t%s\n", ring, path);
	return line;
}

TEST_F(layout, without_a_lease_is_not_supported)
{
	int ring = ring_new();

	EXPECT_EQ(EOPNOTSUPP, ring_buffer(ring, self->memory, size_of(self)));
	ASSERT_EQ(0, set_lease(self->fd, F_LAYOUT));
	EXPECT_EQ(EOPNOTSUPP, ring_buffer(ring, self->memory, size_of(self)));
	close(ring);
}

TEST_F(layout, buffer_keeps_its_blocks)
{
	int ring = ring_new();

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	ASSERT_EQ(0, ring_buffer(ring, self->memory, size_of(self)));
	EXPECT_EQ(ETXTBSY, truncate_elsewhere(self, 0));
	EXPECT_EQ(ETXTBSY, punch(self));
	EXPECT_EQ(0, truncate_elsewhere(self, 2 * size_of(self)));
	EXPECT_EQ(4, pwrite(self->fd, "text", 4, size_of(self)));
	EXPECT_EQ(EBUSY, set_lease(self->fd, F_UNLCK));
	/* Waits for nothing here, and leaves nothing. */
	EXPECT_EQ(0, ring_no_buffers(ring));
	EXPECT_EQ(0, count_pins());
	EXPECT_EQ(0, punch(self));
	EXPECT_EQ(0, set_lease(self->fd, F_UNLCK));
	EXPECT_EQ(0, truncate_elsewhere(self, 0));
	close(ring);
}

TEST_F(layout, ring_is_shown_with_its_files)
{
	int ring = ring_new();
	char want[256];

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	ASSERT_EQ(0, ring_buffer(ring, self->memory, size_of(self)));
	EXPECT_STREQ(line_of(ring, self->path, want), file_pins());
	EXPECT_EQ(1, count_lines("/sys/kernel/debug/layout_pin/pins", RING));
	EXPECT_EQ(0, ring_no_buffers(ring));
	EXPECT_STREQ("", file_pins());
	/* The kernel still knows this ring. */
	ASSERT_EQ(0, ring_buffer(ring, self->memory, PAGE));
	EXPECT_STREQ(want, file_pins());
	close(ring);
	EXPECT_TRUE(pins_end_within(SOON));
}

TEST_F(layout, ring_without_descriptor_is_shown)
{
	int ring = ring_new();
	char want[256];

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	ASSERT_EQ(0, ring_buffer(ring, self->memory, size_of(self)));
	ASSERT_EQ(0, ring_without_descriptor(ring));
	sprintf(want, "io_uring: " RING "\n\t%s\n", self->path);
	EXPECT_STREQ(want, file_pins());
	EXPECT_STREQ(want, file_pins_of_thread(getpid(), gettid()));
	ASSERT_EQ(0, ring_unregister());
	EXPECT_TRUE(pins_end_within(SOON));
	EXPECT_STREQ("", file_pins());
}

/* A socket takes no ring, so the other one fetches it. */
static int fetch(pid_t pid, int fd)
{
	int pidfd = syscall(SYS_pidfd_open, pid, 0);

	return syscall(SYS_pidfd_getfd, pidfd, fd, 0);
}

TEST_F(layout, ring_that_was_passed_is_shown_with_both)
{
	int go[2], tell[2], there, ring = ring_new();
	char want[256], byte;
	pid_t pid;

	ASSERT_EQ(0, pipe(tell));
	ASSERT_EQ(0, pipe(go));
	pid = fork();
	if (!pid) {
		close(ring);
		if (read(go[0], &byte, 1) != 1)
			_exit(1);
		tell_and_wait(tell[1], fetch(getppid(), ring));
	}
	ASSERT_EQ(0, set_lease(self->fd, SHARED));
	ASSERT_EQ(0, ring_buffer(ring, self->memory, size_of(self)));
	EXPECT_STREQ("", file_pins_of(pid));
	ASSERT_EQ(1, write(go[1], "x", 1));
	there = hear(tell);
	EXPECT_LE(0, there);
	EXPECT_STREQ(line_of(ring, self->path, want), file_pins());
	EXPECT_STREQ(line_of(there, self->path, want), file_pins_of(pid));
	close(ring);
	/* The other one has it. */
	EXPECT_STREQ("", file_pins());
	EXPECT_STREQ(want, file_pins_of(pid));
	EXPECT_EQ(ETXTBSY, truncate_elsewhere(self, 0));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	EXPECT_TRUE(pins_end_within(SOON));
	close(go[0]);
	close(go[1]);
}

TEST_F(layout, pins_outlive_descriptor_and_mapping)
{
	int ring = ring_new();

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	ASSERT_EQ(0, ring_buffer(ring, self->memory, size_of(self)));
	let_go(self);
	EXPECT_EQ(1, count_locks("ZOMBIE"));
	EXPECT_EQ(ETXTBSY, truncate_elsewhere(self, 0));
	close(ring);
	EXPECT_TRUE(pins_end_within(SOON));
	EXPECT_EQ(0, truncate_elsewhere(self, 0));
}

TEST_F(layout, kill_ends_the_pins)
{
	int tell[2];
	pid_t pid;

	ASSERT_EQ(0, pipe(tell));
	pid = fork();
	if (!pid) {
		int fd = open(self->path, O_RDWR);

		tell_and_wait(tell[1], set_lease(fd, EXCLUSIVE) ?:
			      ring_buffer(ring_new(), self->memory,
					  size_of(self)));
	}
	ASSERT_EQ(0, hear(tell));
	EXPECT_EQ(ETXTBSY, truncate_elsewhere(self, 0));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	EXPECT_TRUE(pins_end_within(SOON));
	EXPECT_EQ(0, truncate_elsewhere(self, 0));
}

/* With a request in flight that waits for an empty pipe. */
static void close_with_a_request(struct __test_metadata *_metadata,
				 FIXTURE_DATA(layout) *self, unsigned int flags)
{
	struct ring ring;
	int empty[2];

	ASSERT_EQ(0, pipe(empty));
	ASSERT_EQ(0, ring_open(&ring, flags));
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	ASSERT_EQ(0, ring_buffer(ring.fd, self->memory, size_of(self)));
	ASSERT_EQ(0, ring_submit(&ring, IORING_OP_READ_FIXED, empty[0],
				 self->memory, PAGE));
	usleep(100000);
	EXPECT_EQ(ETXTBSY, truncate_elsewhere(self, 0));
	ring_close(&ring);
	EXPECT_TRUE(pins_end_within(SOON));
	EXPECT_EQ(0, set_lease(self->fd, F_UNLCK));
	EXPECT_EQ(0, truncate_elsewhere(self, 0));
	close(empty[0]);
	close(empty[1]);
}

TEST_F(layout, close_with_a_request_in_flight)
{
	close_with_a_request(_metadata, self, 0);
}

TEST_F(layout, close_with_a_request_of_the_polling_thread)
{
	close_with_a_request(_metadata, self, IORING_SETUP_SQPOLL);
}

/* A slot that a request uses: the pin stays until that ends. */
TEST_F(layout, update_waits_for_the_request)
{
	struct ring ring;
	int empty[2];

	ASSERT_EQ(0, pipe(empty));
	ASSERT_EQ(0, ring_open(&ring, 0));
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	ASSERT_EQ(0, ring_buffer(ring.fd, self->memory, size_of(self)));
	ASSERT_EQ(0, ring_submit(&ring, IORING_OP_READ_FIXED, empty[0],
				 self->memory, 4));
	EXPECT_EQ(0, ring_update_buffer(ring.fd, 0, NULL, 0));
	EXPECT_EQ(1, count_pins());
	EXPECT_EQ(ETXTBSY, truncate_elsewhere(self, 0));
	ASSERT_EQ(4, write(empty[1], "text", 4));
	EXPECT_EQ(4, ring_result(&ring));
	EXPECT_EQ(0, memcmp(self->memory, "text", 4));
	EXPECT_TRUE(pins_end_within(SOON));
	/* Without a request it is gone at once. */
	EXPECT_EQ(0, ring_update_buffer(ring.fd, 0, self->memory, PAGE));
	EXPECT_EQ(1, count_pins());
	EXPECT_EQ(0, ring_update_buffer(ring.fd, 0, self->memory + PAGE, PAGE));
	EXPECT_EQ(1, count_pins());
	EXPECT_EQ(0, ring_update_buffer(ring.fd, 0, NULL, 0));
	EXPECT_EQ(0, count_pins());
	ring_close(&ring);
	close(empty[0]);
	close(empty[1]);
}

TEST_F(layout, what_a_request_reads_is_in_the_file)
{
	char want[PAGE], got[PAGE];
	long last = size_of(self) - PAGE;
	struct ring ring;
	int ends[2];

	ASSERT_EQ(0, pipe(ends));
	ASSERT_EQ(0, ring_open(&ring, 0));
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	ASSERT_EQ(0, ring_buffer(ring.fd, self->memory, size_of(self)));
	memset(want, 'w', PAGE);
	ASSERT_EQ(PAGE, write(ends[1], want, PAGE));
	ASSERT_EQ(0, ring_submit(&ring, IORING_OP_READ_FIXED, ends[0],
				 self->memory + last, PAGE));
	EXPECT_EQ(PAGE, ring_result(&ring));
	EXPECT_EQ(PAGE, pread(self->fd, got, PAGE, last));
	EXPECT_EQ(0, memcmp(want, got, PAGE));
	/* And the other way. */
	ASSERT_EQ(4, pwrite(self->fd, "text", 4, PAGE));
	ASSERT_EQ(0, ring_submit(&ring, IORING_OP_WRITE_FIXED, ends[1],
				 self->memory + PAGE, 4));
	EXPECT_EQ(4, ring_result(&ring));
	EXPECT_EQ(4, read(ends[0], got, PAGE));
	EXPECT_EQ(0, memcmp("text", got, 4));
	ring_close(&ring);
	EXPECT_TRUE(pins_end_within(SOON));
	close(ends[0]);
	close(ends[1]);
}

TEST_F(layout, clone_is_a_second_owner)
{
	int ring = ring_new(), clone = ring_new();
	char want[512];

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	ASSERT_EQ(0, ring_buffer(ring, self->memory, size_of(self)));
	ASSERT_EQ(0, ring_clone(clone, ring));
	EXPECT_EQ(2, count_pins());
	line_of(ring, self->path, want);
	line_of(clone, self->path, want + strlen(want));
	EXPECT_STREQ(want, file_pins());
	/* Neither needs the other, nor a live lease. */
	let_go(self);
	close(ring);
	line_of(clone, self->path, want);
	while (count_pins() > 1)
		usleep(10000);
	EXPECT_STREQ(want, file_pins());
	EXPECT_EQ(ETXTBSY, truncate_elsewhere(self, 0));
	ring = ring_new();
	ASSERT_EQ(0, ring_clone(ring, clone));
	EXPECT_EQ(2, count_pins());
	close(clone);
	while (count_pins() > 1)
		usleep(10000);
	EXPECT_STREQ(line_of(ring, self->path, want), file_pins());
	EXPECT_EQ(0, ring_no_buffers(ring));
	EXPECT_EQ(0, count_pins());
	EXPECT_EQ(0, truncate_elsewhere(self, 0));
	close(ring);
}

/* Anonymous memory and two pieces of the file, the last one first. */
static char *map_mixed(FIXTURE_DATA(layout) *self)
{
	char *memory = map_file(self->fd, self->unit);

	if (mmap(memory, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		 self->fd, size_of(self) - PAGE) == MAP_FAILED ||
	    mmap(memory + PAGE, PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		return MAP_FAILED;
	memset(memory, 'x', size_of(self));
	return memory;
}

TEST_F(layout, buffer_of_several_mappings)
{
	int ring = ring_new(), clone = ring_new();
	char *memory = map_mixed(self);

	ASSERT_NE(MAP_FAILED, memory);
	EXPECT_NE(0, ring_buffer(ring, memory, size_of(self)));
	EXPECT_EQ(0, count_pins());
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	ASSERT_EQ(0, ring_buffer(ring, memory, size_of(self)));
	EXPECT_EQ(2, count_pins());
	ASSERT_EQ(0, ring_clone(clone, ring));
	EXPECT_EQ(4, count_pins());
	EXPECT_EQ(0, ring_no_buffers(ring));
	EXPECT_EQ(2, count_pins());
	EXPECT_EQ(0, ring_no_buffers(clone));
	EXPECT_EQ(0, count_pins());
	munmap(memory, size_of(self));
	close(ring);
	close(clone);
}

TEST_F(layout, second_file_without_a_lease_leaves_nothing)
{
	int ring = ring_new(), other;
	char path[64], *memory;

	other = make_file(kind_path(&self->kind, path, "other"), self->unit);
	ASSERT_LE(0, other);
	memory = map_file(self->fd, self->unit);
	ASSERT_NE(MAP_FAILED, mmap(memory + size_of(self) / 2, self->unit,
				   PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_FIXED, other, 0));
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	EXPECT_EQ(EOPNOTSUPP, ring_buffer(ring, memory, size_of(self)));
	EXPECT_EQ(0, count_pins());
	EXPECT_EQ(0, set_lease(self->fd, F_UNLCK));
	EXPECT_EQ(0, truncate_elsewhere(self, 0));
	munmap(memory, size_of(self));
	close(other);
	unlink(path);
	close(ring);
}

/* One of many: the others go again. */
TEST_F(layout, registering_past_the_end_leaves_nothing)
{
	struct iovec iov[2] = {
		{ self->memory, self->unit },
		{ self->memory + self->unit, size_of(self) - self->unit },
	};
	int ring = ring_new();

	ASSERT_EQ(0, ftruncate(self->fd, 2 * self->unit));
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	EXPECT_EQ(EFAULT, ring_register(ring, IORING_REGISTER_BUFFERS, iov, 2));
	EXPECT_EQ(0, count_pins());
	EXPECT_EQ(0, set_lease(self->fd, F_UNLCK));
	EXPECT_EQ(0, truncate_elsewhere(self, 0));
	close(ring);
}

/* The memory of rings is the kernel's: that of a file is refused as before. */
TEST_F(layout, rings_are_not_supported)
{
	struct io_uring_buf_reg buffers = {
		.ring_addr = (uintptr_t)self->memory, .ring_entries = 8,
	};
	struct io_uring_params params = {
		.flags = IORING_SETUP_NO_MMAP,
		.cq_off.resv2 = (uintptr_t)self->memory,
		.sq_off.resv2 = (uintptr_t)self->memory + PAGE,
	};
	int ring = ring_new();

	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	EXPECT_EQ(EOPNOTSUPP, ring_register(ring, IORING_REGISTER_PBUF_RING,
					    &buffers, 1));
	EXPECT_EQ(-1, ring_new_with(&params));
	EXPECT_EQ(EOPNOTSUPP, errno);
	EXPECT_EQ(0, count_pins());
	close(ring);
}

/* Of huge pages io_uring makes one piece each. */
TEST_F(layout, other_memory_needs_no_lease)
{
	char *memory = mmap(NULL, 3 * HUGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int ring = ring_new(), clone = ring_new();

	ASSERT_NE(MAP_FAILED, memory);
	madvise(memory, 3 * HUGE, MADV_HUGEPAGE);
	EXPECT_EQ(0, ring_buffer(ring, memory, 3 * HUGE));
	EXPECT_EQ(0, ring_clone(clone, ring));
	EXPECT_EQ(0, ring_no_buffers(ring));
	EXPECT_EQ(0, ring_no_buffers(clone));
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	EXPECT_EQ(0, ring_buffer(ring, memory, 3 * HUGE));
	EXPECT_EQ(0, count_pins());
	EXPECT_EQ(0, ring_no_buffers(ring));
	/* Where nothing is mapped it is as without a lease. */
	munmap(memory + HUGE, HUGE);
	EXPECT_EQ(EFAULT, ring_buffer(ring, memory, 3 * HUGE));
	munmap(memory, 3 * HUGE);
	close(ring);
	close(clone);
}

#define GIB	(1L << 30)

/* The file again and again: there is not so much persistent memory. */
TEST_F(layout, largest_buffer_there_can_be)
{
	long part = 64 * HUGE, size = self->kind.huge ? GIB : GIB / 4, at;
	char *area = mmap(NULL, size + HUGE, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *memory = (char *)(((uintptr_t)area + HUGE - 1) & ~(HUGE - 1));
	int ring = ring_new();

	ASSERT_EQ(0, fallocate(self->fd, 0, 0, part));
	for (at = 0; at < size; at += part)
		ASSERT_NE(MAP_FAILED,
			  mmap(memory + at, part, PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_FIXED, self->fd, 0));
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	ASSERT_EQ(0, ring_buffer(ring, memory, size));
	/* Each part is the same range, under the same record. */
	EXPECT_EQ(1, count_pins());
	EXPECT_EQ(ETXTBSY, truncate_elsewhere(self, 0));
	EXPECT_EQ(0, ring_no_buffers(ring));
	EXPECT_EQ(0, count_pins());
	munmap(area, size + HUGE);
	close(ring);
}

static int nothing_pinned(void)
{
	return !count_pins();
}

/* Both ends of what a call that fails has done already. */
static int two_buffers(int ring, FIXTURE_DATA(layout) *self)
{
	struct iovec iov[2] = {
		{ self->memory, self->unit },
		{ self->memory + 2 * self->unit, self->unit },
	};

	return ring_register(ring, IORING_REGISTER_BUFFERS, iov, 2);
}

TEST_F(layout, failing_to_register_leaves_nothing)
{
	int ring = ring_new();

	ASSERT_EQ(0, allow_faults());
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	memset(self->memory, 'x', size_of(self));
	sweep(two_buffers(ring, self), ring_no_buffers(ring), nothing_pinned());
	EXPECT_EQ(0, set_lease(self->fd, F_UNLCK));
	close(ring);
}

TEST_F(layout, failing_to_clone_leaves_nothing)
{
	int ring = ring_new(), clone = ring_new();

	ASSERT_EQ(0, allow_faults());
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	ASSERT_EQ(0, two_buffers(ring, self));
	sweep(ring_clone(clone, ring), ring_no_buffers(clone),
	      count_pins() == 2);
	EXPECT_EQ(0, ring_no_buffers(ring));
	EXPECT_EQ(0, set_lease(self->fd, F_UNLCK));
	close(ring);
	close(clone);
}

TEST_HARNESS_MAIN
