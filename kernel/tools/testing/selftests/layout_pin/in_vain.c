// SPDX-License-Identifier: GPL-2.0
/*
 * To share or exchange blocks in a way that cannot be right: refused as without
 * leases, and the holders of breakable ones are not asked to let go for it.
 *
 * Who is asked dies of the signal, and his lease with him.
 */
#define LAYOUT_PIN_SMALL_ONLY
#define LAYOUT_PIN_XFS_ONLY
#include "layout_pin_fixture.h"
#include "exchange.h"
#include <linux/fs.h>
#include <limits.h>
#include <sys/resource.h>

#define SIZE	(UNITS * PAGE)
#define NOBODY	65534

/* "At once", for a machine whose instructions are emulated. */
#define AT_ONCE	2.0

struct files {
	int fd;			/* the leased file */
	int other;		/* same size, same data */
	int odd;		/* ends in the middle of a block */
	int dir;
	int elsewhere;		/* on another file system */
};

static int open_files(FIXTURE_DATA(layout) *self, struct files *files)
{
	char path[64];

	memset(self->memory, 'a', SIZE);
	files->fd = self->fd;
	files->dir = open(kind_dir(&self->kind), O_RDONLY);
	files->other = make_file(kind_path(&self->kind, path, "other"), PAGE);
	unlink(path);
	files->odd = make_file(kind_path(&self->kind, path, "odd"), PAGE);
	unlink(path);
	files->elsewhere = open("/tmp", O_RDWR | O_TMPFILE, 0600);
	return pwrite(files->other, self->memory, SIZE, 0) != SIZE ||
		pwrite(files->odd, self->memory, SIZE, 0) != SIZE ||
		ftruncate(files->odd, SIZE - 100) ||
		pwrite(files->elsewhere, self->memory, SIZE, 0) != SIZE;
}

static void close_files(struct files *files)
{
	close(files->dir);
	close(files->other);
	close(files->odd);
	close(files->elsewhere);
}

static int clone_all(int from, int to)
{
	return ioctl(to, FICLONE, from) ? errno : 0;
}

/*
 * While another process has F_LAYOUT on the file, and still has it behind that.
 */
#define STANDS(error, expression) ({					\
	double __start = seconds();					\
									\
	EXPECT_EQ(error, expression);					\
	EXPECT_GE(AT_ONCE, seconds() - __start);			\
	EXPECT_EQ(1, count_locks("LAYOUT ACTIVE"));			\
})

TEST_F(layout, ranges_that_are_wrong)
{
	struct holder holder;
	struct files f;

	ASSERT_EQ(0, open_files(self, &f));
	holder = start_holder(self->path, F_LAYOUT, PAGE, 0, 0);
	ASSERT_EQ(0, holder.error);
	/* Not aligned to blocks: from where, to where, how much. */
	STANDS(EINVAL, clone(f.fd, 100, PAGE, f.other, 0));
	STANDS(EINVAL, clone(f.other, 100, PAGE, f.fd, 0));
	STANDS(EINVAL, clone(f.fd, 0, PAGE, f.other, 100));
	STANDS(EINVAL, clone(f.other, 0, PAGE, f.fd, 100));
	STANDS(EINVAL, clone(f.fd, 0, 100, f.other, 0));
	STANDS(EINVAL, clone(f.other, 0, 100, f.fd, 0));
	/* Behind the end, and around the end of what can be. */
	STANDS(EINVAL, clone(f.fd, SIZE + PAGE, PAGE, f.other, 0));
	STANDS(EINVAL, clone(f.other, 2 * SIZE, 0, f.fd, 0));
	STANDS(EINVAL, clone(f.fd, 0, 2 * SIZE, f.other, 0));
	STANDS(EINVAL, clone(f.other, 0, LONG_MAX & -PAGE, f.fd, SIZE));
	/* The end of a file that is not the end of a block, into the middle. */
	STANDS(EINVAL, clone(f.odd, 0, 0, f.fd, 0));
	/* Over itself. */
	STANDS(EINVAL, clone(f.fd, 0, 2 * PAGE, f.fd, PAGE));
	STANDS(EINVAL, clone_all(f.fd, f.fd));
	/* Nothing at all is no error. */
	STANDS(0, clone(f.fd, SIZE, 0, f.other, 0));
	STANDS(0, clone(f.other, SIZE, 0, f.fd, 0));
	end_holder(holder);
	close_files(&f);
}

TEST_F(layout, files_that_are_wrong)
{
	struct holder holder;
	int rdonly, wronly, append;
	struct files f;

	ASSERT_EQ(0, open_files(self, &f));
	rdonly = open(self->path, O_RDONLY);
	wronly = open(self->path, O_WRONLY);
	append = open(self->path, O_RDWR | O_APPEND);
	holder = start_holder(self->path, F_LAYOUT, PAGE, 0, 0);
	ASSERT_EQ(0, holder.error);
	STANDS(EBADF, clone_all(-1, f.fd));
	STANDS(EBADF, clone_all(f.other, rdonly));
	STANDS(EBADF, clone_all(wronly, f.other));
	STANDS(EBADF, clone_all(f.other, append));
	STANDS(EISDIR, clone_all(f.dir, f.fd));
	STANDS(EXDEV, clone_all(f.elsewhere, f.fd));
	STANDS(EXDEV, clone_all(f.fd, f.elsewhere));
	end_holder(holder);
	close(rdonly);
	close(wronly);
	close(append);
	close_files(&f);
}

TEST_F(layout, immutable_files)
{
	struct holder holder;
	struct files f;
	int flags = 0, immutable;

	ASSERT_EQ(0, open_files(self, &f));
	holder = start_holder(self->path, F_LAYOUT, PAGE, 0, 0);
	ASSERT_EQ(0, holder.error);
	ioctl(f.fd, FS_IOC_GETFLAGS, &flags);
	immutable = flags | FS_IMMUTABLE_FL;
	ASSERT_EQ(0, ioctl(f.fd, FS_IOC_SETFLAGS, &immutable));
	STANDS(EPERM, clone_all(f.other, f.fd));
	ASSERT_EQ(0, ioctl(f.fd, FS_IOC_SETFLAGS, &flags));
	ASSERT_EQ(0, ioctl(f.other, FS_IOC_SETFLAGS, &immutable));
	STANDS(EPERM, clone_all(f.fd, f.other));
	ASSERT_EQ(0, ioctl(f.other, FS_IOC_SETFLAGS, &flags));
	end_holder(holder);
	close_files(&f);
}

TEST_F(layout, size_that_the_process_may_not_have)
{
	struct rlimit old, small = { SIZE, RLIM_INFINITY };
	struct holder holder;
	struct files f;

	ASSERT_EQ(0, open_files(self, &f));
	holder = start_holder(self->path, F_LAYOUT, PAGE, 0, 0);
	ASSERT_EQ(0, holder.error);
	ASSERT_EQ(0, getrlimit(RLIMIT_FSIZE, &old));
	signal(SIGXFSZ, SIG_IGN);
	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &small));
	STANDS(EFBIG, clone(f.other, 0, PAGE, f.fd, 2 * SIZE));
	STANDS(EFBIG, clone(f.fd, 0, PAGE, f.other, 2 * SIZE));
	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &old));
	signal(SIGXFSZ, SIG_DFL);
	end_holder(holder);
	close_files(&f);
}

static int dedupe_as_nobody(const char *from, const char *to)
{
	int in = open(from, O_RDONLY), out = open(to, O_RDONLY);

	if (setuid(NOBODY))
		return errno;
	return dedupe(in, 0, PAGE, out, 0);
}

TEST_F(layout, dedupe_that_is_wrong)
{
	char differs[SIZE];
	struct holder holder;
	struct files f;

	ASSERT_EQ(0, open_files(self, &f));
	holder = start_holder(self->path, F_LAYOUT, PAGE, 0, 0);
	ASSERT_EQ(0, holder.error);
	STANDS(EINVAL, dedupe(f.fd, 100, PAGE, f.other, 0));
	STANDS(EINVAL, dedupe(f.other, 100, PAGE, f.fd, 0));
	STANDS(EINVAL, dedupe(f.fd, 0, PAGE, f.other, 100));
	STANDS(EINVAL, dedupe(f.other, 0, PAGE, f.fd, 100));
	STANDS(EINVAL, dedupe(f.fd, 0, PAGE, f.other, SIZE));
	STANDS(EINVAL, dedupe(f.other, 0, PAGE, f.fd, SIZE));
	STANDS(EINVAL, dedupe(f.fd, SIZE, PAGE, f.other, 0));
	STANDS(EINVAL, dedupe(f.fd, 0, 2 * PAGE, f.fd, PAGE));
	STANDS(EISDIR, dedupe(f.fd, 0, PAGE, f.dir, 0));
	STANDS(EXDEV, dedupe(f.fd, 0, PAGE, f.elsewhere, 0));
	STANDS(EPERM, elsewhere(dedupe_as_nobody(self->path, self->path)));
	/* Looked at before anybody is asked. */
	memset(differs, 'b', SIZE);
	ASSERT_EQ(SIZE, pwrite(f.odd, differs, SIZE, 0));
	STANDS(FILE_DEDUPE_RANGE_DIFFERS, dedupe(f.fd, 0, PAGE, f.odd, 0));
	STANDS(FILE_DEDUPE_RANGE_DIFFERS, dedupe(f.odd, 0, PAGE, f.fd, 0));
	/* Less than a block is nothing. */
	STANDS(0, dedupe(f.fd, 0, 100, f.other, 0));
	STANDS(0, dedupe(f.other, 0, 100, f.fd, 0));
	end_holder(holder);
	close_files(&f);
}

/* All of the file, but for one field. */
#define EXCHANGE(from, to, field) ({					\
	struct exchange_range __range = {				\
		.file1_fd = from, .length = SIZE,			\
	};								\
									\
	__range field;							\
	exchange_range(to, &__range);					\
})

TEST_F(layout, exchange_that_is_wrong)
{
	struct holder holder;
	struct files f;
	int rdonly;

	ASSERT_EQ(0, mount_with_exchange(self));
	ASSERT_EQ(0, open_files(self, &f));
	rdonly = open(self->path, O_RDONLY);
	holder = start_holder(self->path, F_LAYOUT, PAGE, 0, 0);
	ASSERT_EQ(0, holder.error);
	STANDS(EINVAL, EXCHANGE(f.other, f.fd, .file1_offset = 100));
	STANDS(EINVAL, EXCHANGE(f.other, f.fd, .file2_offset = 100));
	STANDS(EINVAL, EXCHANGE(f.fd, f.other, .file1_offset = PAGE));
	STANDS(EINVAL, EXCHANGE(f.fd, f.other, .length = 2 * SIZE));
	STANDS(EINVAL, EXCHANGE(f.other, f.fd, .length = 100));
	STANDS(EINVAL, EXCHANGE(f.odd, f.fd, .pad = 0));
	STANDS(EINVAL, EXCHANGE(f.fd, f.fd, .length = PAGE));
	STANDS(EINVAL, EXCHANGE(f.other, f.fd, .flags = 1ULL << 63));
	STANDS(EINVAL, EXCHANGE(f.other, f.fd, .pad = 1));
	STANDS(EBADF, EXCHANGE(rdonly, f.other, .pad = 0));
	STANDS(EISDIR, EXCHANGE(f.dir, f.fd, .pad = 0));
	STANDS(EXDEV, EXCHANGE(f.elsewhere, f.fd, .pad = 0));
	STANDS(0, EXCHANGE(f.other, f.fd, .flags = EXCHANGE_RANGE_DRY_RUN));
	/* Of another file than it is told to exchange. */
	STANDS(EBUSY, commit_if(f.fd, f.fd, f.other, SIZE));
	STANDS(EBUSY, commit_if(f.other, f.other, f.fd, SIZE));
	end_holder(holder);
	/* The test of the test. */
	holder = start_holder(self->path, F_LAYOUT, PAGE, 0, 0);
	ASSERT_EQ(0, holder.error);
	EXPECT_EQ(0, exchange(f.other, f.fd, SIZE));
	EXPECT_EQ(0, count_locks("LAYOUT"));
	end_holder(holder);
	close(rdonly);
	close_files(&f);
}

TEST_F(layout, swap_that_is_wrong)
{
	struct holder holder;
	struct xfs_swapext args;
	struct files f;
	int i, from, to;

	ASSERT_EQ(0, open_files(self, &f));
	for (i = 0; i < 2; i++) {
		holder = start_holder(self->path, F_LAYOUT, PAGE, 0, 0);
		ASSERT_EQ(0, holder.error);
		from = i ? f.other : f.fd;
		to = i ? f.fd : f.other;
		ASSERT_EQ(0, swapping(from, to, SIZE, &args));
		args.sx_length -= PAGE;
		STANDS(EFAULT, swap_extents(&args));
		ASSERT_EQ(0, swapping(from, f.odd, SIZE, &args));
		STANDS(EFAULT, swap_extents(&args));
		ASSERT_EQ(0, swapping(from, to, SIZE, &args));
		args.sx_stat.bs_mtime.tv_nsec ^= 1;
		STANDS(EBUSY, swap_extents(&args));
		ASSERT_EQ(0, swapping(from, f.elsewhere, SIZE, &args));
		STANDS(EINVAL, swap_extents(&args));
		/* The test of the test. */
		ASSERT_EQ(0, swapping(from, to, SIZE, &args));
		EXPECT_EQ(0, swap_extents(&args));
		EXPECT_EQ(0, count_locks("LAYOUT"));
		end_holder(holder);
	}
	close_files(&f);
}

/* The test of the test: what is right asks him, and dying he lets go. */
TEST_F(layout, what_is_right_asks)
{
	struct holder holder;
	struct files f;
	int i;

	ASSERT_EQ(0, open_files(self, &f));
	for (i = 0; i < 2; i++) {
		holder = start_holder(self->path, F_LAYOUT, PAGE, 0, 0);
		ASSERT_EQ(0, holder.error);
		EXPECT_EQ(0, i ? dedupe(f.other, 0, SIZE, f.fd, 0) :
			  clone(f.fd, 0, PAGE, f.other, 0));
		EXPECT_EQ(0, count_locks("LAYOUT"));
		end_holder(holder);
		ASSERT_EQ(0, fallocate(self->fd, FALLOC_FL_UNSHARE_RANGE, 0,
				       SIZE));
	}
	close_files(&f);
}

TEST_HARNESS_MAIN
