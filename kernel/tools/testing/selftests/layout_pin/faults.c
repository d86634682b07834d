// SPDX-License-Identifier: GPL-2.0
/*
 * Every allocation, and every copy to or from user space, failed in turn
 * (fail-nth): in taking a lease, changing its kind, pinning, breaking, reading
 * what is pinned. Each try either works or is ENOMEM or EFAULT, and leaves what
 * was there before: no lease, no record, no reference too many or too few.
 */
#include "layout_pin_fixture.h"
#include "faults.h"

#define UNBREAK		(F_LAYOUT | F_UNBREAK)
#define EXCLUSIVE	(F_LAYOUT | F_EXCLUSIVE)

static int nothing_pinned(void)
{
	return !count_pins();
}

TEST_F(layout, taking_a_lease)
{
	ASSERT_EQ(0, allow_faults());
	sweep(set_lease(self->fd, EXCLUSIVE), set_lease(self->fd, F_UNLCK),
	      !count_locks("LAYOUT"));
}

TEST_F(layout, changing_its_kind)
{
	ASSERT_EQ(0, allow_faults());
	ASSERT_EQ(0, set_lease(self->fd, UNBREAK));
	sweep(set_lease(self->fd, EXCLUSIVE), set_lease(self->fd, UNBREAK),
	      count_locks("UNBREAK") == 1);
}

TEST_F(layout, pinning)
{
	int owner = open_owner();

	ASSERT_EQ(0, allow_faults());
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	/*
	 * Blocks and entries of the mapping are there: the file system's own.
	 */
	memset(self->memory, 'x', UNITS * self->unit);
	sweep(pin_with(owner, self->memory, self->unit, PIN_WRITE | PIN_FAST),
	      ioctl(owner, PIN_LONGTERM_TEST_STOP), nothing_pinned());
	EXPECT_EQ(0, set_lease(self->fd, F_UNLCK));
	close(owner);
}

TEST_F(layout, pinning_two_files_at_once)
{
	int owner = open_owner(), second;
	char path[64];

	ASSERT_EQ(0, allow_faults());
	second = make_file(kind_path(&self->kind, path, "second"), self->unit);
	ASSERT_NE(MAP_FAILED, mmap(self->memory + self->unit, self->unit,
				   PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_FIXED, second, 0));
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	ASSERT_EQ(0, set_lease(second, EXCLUSIVE));
	memset(self->memory, 'x', 2 * self->unit);
	sweep(pin_with(owner, self->memory, 2 * self->unit,
		       PIN_WRITE | PIN_FAST),
	      ioctl(owner, PIN_LONGTERM_TEST_STOP), nothing_pinned());
	EXPECT_EQ(0, set_lease(self->fd, F_UNLCK));
	EXPECT_EQ(0, set_lease(second, F_UNLCK));
	close(owner);
	close(second);
	unlink(path);
}

static int read_pins(void)
{
	char text[4096];
	int fd = open("/proc/self/file_pins", O_RDONLY), error = 0;

	if (fd < 0)
		return errno;
	if (read(fd, text, sizeof(text)) <= 0)
		error = errno ?: ENODATA;
	close(fd);
	return error;
}

TEST_F(layout, reading_what_is_pinned)
{
	struct pin p;

	ASSERT_EQ(0, allow_faults());
	ASSERT_EQ(0, set_lease(self->fd, EXCLUSIVE));
	p = pin(self->memory, PAGE);
	ASSERT_EQ(0, p.error);
	sweep(read_pins(), (void)0, count_pins() == 1);
	unpin(p);
}

/* The one who breaks needs memory; the lease stands if there is none. */
TEST_F(layout, breaking_a_lease)
{
	struct holder holder = start_holder(self->path, F_LAYOUT, self->unit,
					    0, 0);
	int n, error;

	ASSERT_EQ(0, allow_faults());
	ASSERT_EQ(0, holder.error);
	for (n = 1; n < 4; n++) {
		ASSERT_EQ(0, fail_nth(n));
		error = fallocate(self->fd, FALLOC_FL_PUNCH_HOLE |
				  FALLOC_FL_KEEP_SIZE, 0, self->unit) ?
			errno : 0;
		if (fails_left() || error != ENOMEM)
			break;
		EXPECT_EQ(1, count_locks("LAYOUT ACTIVE"));
	}
	EXPECT_LT(1, n);
	end_holder(holder);
}

TEST_HARNESS_MAIN
