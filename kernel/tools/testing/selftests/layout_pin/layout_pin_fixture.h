/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The fixture of most programs: a file of one kind, and a mapping of it. What
 * is left behind shows in the teardown.
 */
#ifndef LAYOUT_PIN_FIXTURE_H
#define LAYOUT_PIN_FIXTURE_H

#include "layout_pin_test.h"
#include "kselftest_harness.h"

/* Making a file system takes seconds where instructions are emulated. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 120

FIXTURE(layout) {
	struct kind kind;
	long unit;
	char path[64];
	int fd;
	char *memory;
};

FIXTURE_VARIANT(layout) {
	struct kind kind;
};

#ifndef LAYOUT_PIN_XFS_ONLY
FIXTURE_VARIANT_ADD(layout, ext4_4k) { .kind = { "ext4", false } };
#endif
FIXTURE_VARIANT_ADD(layout, xfs_4k) { .kind = { "xfs", false } };
#ifndef LAYOUT_PIN_SMALL_ONLY	/* where the size of a mapping is no matter */
FIXTURE_VARIANT_ADD(layout, ext4_2m) { .kind = { "ext4", true } };
FIXTURE_VARIANT_ADD(layout, xfs_2m) { .kind = { "xfs", true } };
#endif

FIXTURE_SETUP(layout)
{
	self->kind = variant->kind;
	self->unit = kind_unit(&self->kind);
	ASSERT_EQ(0, kind_mount(&self->kind));
	self->fd = make_file(kind_path(&self->kind, self->path, "file"),
			     self->unit);
	ASSERT_LE(0, self->fd);
	self->memory = map_file(self->fd, self->unit);
	ASSERT_NE(MAP_FAILED, self->memory);
}

/* Drop the descriptor and the mapping, as a process may at any time. */
static inline void let_go(FIXTURE_DATA(layout) *self)
{
	if (self->memory)
		munmap(self->memory, UNITS * self->unit);
	if (self->fd >= 0)
		close(self->fd);
	self->memory = NULL;
	self->fd = -1;
}

/* The same when the file is still open; it is to be opened again. */
static inline int mount_again(FIXTURE_DATA(layout) *self, const char *options)
{
	let_go(self);
	return kind_mount_again(&self->kind, options);
}

/* Nothing is left: no lease, no record, no reference. */
FIXTURE_TEARDOWN(layout)
{
	let_go(self);
	unlink(self->path);
	EXPECT_EQ(0, kind_umount(&self->kind));
	EXPECT_EQ(0, count_locks("LAYOUT"));
	EXPECT_EQ(0, count_pins());
}

#endif /* LAYOUT_PIN_FIXTURE_H */
