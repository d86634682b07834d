// SPDX-License-Identifier: GPL-2.0
/*
 * Memory fails under a pin: mappers are told as they always were, the block
 * stays the file's, and the log says which lease and which owner it is pinned
 * through. The failure is madvise(2)'s; the device is bound anew at the end,
 * which makes its pages good again.
 */
#include <sys/prctl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>

#include "layout_pin_fixture.h"

#define UNBREAK	(F_LAYOUT | F_UNBREAK)
#define BAD	PAGE	/* offset of the bad page: not the first of its entry */

static volatile sig_atomic_t told, told_code;
static void *volatile told_addr;

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	told++;
	told_code = info->si_code;
	told_addr = info->si_addr;
}

/* Who does not touch the page is told only on request. */
static void listen_for_sigbus(void)
{
	struct sigaction act = {
		.sa_sigaction = on_sigbus,
		/* Or it ended the wait for another process. */
		.sa_flags = SA_SIGINFO | SA_RESTART,
	};

	sigaction(SIGBUS, &act, NULL);
	prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0);
	told = 0;
}

/*
 * Another process finds the page bad. It is told at once, by a signal that it
 * cannot put off; returns 0 if it was.
 */
static int find_bad(char *page)
{
	listen_for_sigbus();
	*(volatile char *)page = 'b';
	if (madvise(page, PAGE, MADV_HWPOISON))
		return errno;
	if (told != 1 || told_code != BUS_MCEERR_AR)
		return 254;
	return (char *)told_addr == page ? 0 : 253;
}

/* Where the block behind an offset is on the device, 0 if nowhere. */
static long block_of(int fd, long offset)
{
	char buffer[sizeof(struct fiemap) + sizeof(struct fiemap_extent)] = { };
	struct fiemap *map = (struct fiemap *)buffer;
	struct fiemap_extent *extent = map->fm_extents;

	map->fm_start = offset;
	map->fm_length = PAGE;
	map->fm_flags = FIEMAP_FLAG_SYNC;
	map->fm_extent_count = 1;
	if (ioctl(fd, FS_IOC_FIEMAP, map) || !map->fm_mapped_extents)
		return 0;
	return extent->fe_physical + offset - extent->fe_logical;
}

/* Does the log name this holder and the owner? */
static bool said_in_the_log(pid_t holder, long page)
{
	char command[320];

	snprintf(command, sizeof(command),
		 "dmesg | grep -q 'layout_pin: page %ld of file on pmem[0-9] has failed; it is pinned through .*/gup_test, under the lease of process %d; processes that have it:.* %d\\>'",
		 page, holder, holder);
	return !system(command);
}

static int lines_in_the_log(void)
{
	FILE *dmesg = popen("dmesg | "
			    "grep -c 'layout_pin: page .* has failed'", "r");
	int lines = -1;

	if (!dmesg || fscanf(dmesg, "%d", &lines) != 1)
		lines = -1;
	if (dmesg)
		pclose(dmesg);
	return lines;
}

/* Bound anew, a device has its memory described anew. */
static void make_good(struct __test_metadata *_metadata,
		      FIXTURE_DATA(layout) *self)
{
	signal(SIGBUS, SIG_DFL);
	let_go(self);
	EXPECT_EQ(0, kind_umount(&self->kind));
	EXPECT_EQ(0, kind_driver(&self->kind, "unbind"));
	EXPECT_EQ(0, kind_driver(&self->kind, "bind"));
	EXPECT_EQ(0, kind_mount(&self->kind));
}

static bool no_memory_failure(void)
{
	return access("/proc/sys/vm/memory_failure_recovery", F_OK);
}

/*
 * A page that is pinned goes bad; the pin ends, and then the file can shrink.
 */
static void bad_page(struct __test_metadata *_metadata,
		     FIXTURE_DATA(layout) *self)
{
	int lines = lines_in_the_log();
	long block;
	struct pin p;

	ASSERT_EQ(0, set_lease(self->fd, UNBREAK));
	memset(self->memory, 'k', 2 * PAGE);
	p = pin(self->memory, 2 * PAGE);
	ASSERT_EQ(0, p.error);
	block = block_of(self->fd, BAD);
	EXPECT_NE(0, block);
	listen_for_sigbus();

	EXPECT_EQ(0, elsewhere(find_bad(self->memory + BAD)));
	EXPECT_EQ(1, told);
	EXPECT_EQ(BUS_MCEERR_AO, told_code);
	EXPECT_EQ(self->memory + BAD, (char *)told_addr);
	EXPECT_TRUE(said_in_the_log(getpid(), BAD / PAGE));
	EXPECT_EQ(lines + 1, lines_in_the_log());

	EXPECT_EQ(block, block_of(self->fd, BAD));
	EXPECT_EQ(1, count_pins());
	EXPECT_EQ(ETXTBSY, elsewhere(truncate(self->path, 0) ? errno : 0));
	EXPECT_EQ(ETXTBSY, ftruncate(self->fd, 0) ? errno : 0);
	EXPECT_EQ(ETXTBSY, fallocate(self->fd, FALLOC_FL_PUNCH_HOLE |
				     FALLOC_FL_KEEP_SIZE, BAD, PAGE) ?
			   errno : 0);
	EXPECT_EQ(block, block_of(self->fd, BAD));
	unpin(p);
	EXPECT_EQ(0, ftruncate(self->fd, 0));
	make_good(_metadata, self);
}

TEST_F(layout, bad_page_under_a_pin_stays_the_files)
{
	if (no_memory_failure())
		SKIP(return, "no CONFIG_MEMORY_FAILURE");
	bad_page(_metadata, self);
}

/* Two owners, of two processes: the log has both. */
TEST_F(layout, each_owner_of_a_bad_page_is_named)
{
	struct holder other;
	struct pin p;

	if (no_memory_failure())
		SKIP(return, "no CONFIG_MEMORY_FAILURE");
	ASSERT_EQ(0, set_lease(self->fd, UNBREAK));
	listen_for_sigbus();	/* the holder inherits it, and lives on */
	other = start_holder(self->path, UNBREAK, self->unit, 0, 2 * PAGE);
	EXPECT_EQ(0, other.error);
	p = pin(self->memory, 2 * PAGE);
	EXPECT_EQ(0, p.error);
	EXPECT_EQ(0, elsewhere(find_bad(self->memory + BAD)));
	EXPECT_TRUE(said_in_the_log(getpid(), BAD / PAGE));
	EXPECT_TRUE(said_in_the_log(other.pid, BAD / PAGE));
	unpin(p);
	EXPECT_EQ(ETXTBSY, elsewhere(truncate(self->path, 0) ? errno : 0));
	end_holder(other);
	make_good(_metadata, self);
}

/*
 * A page of the same file beside the pinned entry is no business of the holder.
 */
TEST_F(layout, bad_page_that_is_not_pinned_names_nobody)
{
	char *page = self->memory + 2 * self->unit;
	int lines = lines_in_the_log();
	struct pin p;

	if (no_memory_failure())
		SKIP(return, "no CONFIG_MEMORY_FAILURE");
	ASSERT_EQ(0, set_lease(self->fd, UNBREAK));
	memset(self->memory, 'k', PAGE);
	p = pin(self->memory, PAGE);
	EXPECT_EQ(0, p.error);
	listen_for_sigbus();
	EXPECT_EQ(0, elsewhere(find_bad(page)));
	EXPECT_EQ(lines, lines_in_the_log());
	unpin(p);
	make_good(_metadata, self);
}

/* With a map of who has which block, XFS finds the files itself. */
FIXTURE(mapped) {
	FIXTURE_DATA(layout) layout;
};

FIXTURE_SETUP(mapped)
{
	struct kind kind = { "xfs", true };
	const struct file_system *fs = kind_fs(&kind);

	self->layout.kind = kind;
	self->layout.unit = kind_unit(&kind);
	ASSERT_EQ(0, fs_make(fs, fs->aligned, "-m rmapbt=1", fs->device));
	/* So that make_good() mounts this one again. */
	fs_set_made(fs);
	ASSERT_EQ(0, kind_mount(&kind));
	self->layout.fd = make_file(kind_path(&kind, self->layout.path, "file"),
				    self->layout.unit);
	ASSERT_LE(0, self->layout.fd);
	self->layout.memory = map_file(self->layout.fd, self->layout.unit);
	ASSERT_NE(MAP_FAILED, self->layout.memory);
}

FIXTURE_TEARDOWN(mapped)
{
	let_go(&self->layout);
	unlink(self->layout.path);
	EXPECT_EQ(0, kind_umount(&self->layout.kind));
	EXPECT_EQ(0, count_pins());
	kind_make_anew_later(&self->layout.kind);
}

TEST_F(mapped, bad_page_that_xfs_is_told_of)
{
	if (no_memory_failure())
		SKIP(return, "no CONFIG_MEMORY_FAILURE");
	bad_page(_metadata, &self->layout);
}

TEST_HARNESS_MAIN
