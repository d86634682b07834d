// SPDX-License-Identifier: GPL-2.0
/*
 * Who waits for a breakable lease or a short reference has nothing that others
 * need: section 3 of the contract, and 6.5.
 *
 * Each change of the layout is made to wait, first for a process that has
 * F_LAYOUT, then for a page in a pipe. Meanwhile others write to the file,
 * freeze the file system, and ask for a lease.
 */
#define LAYOUT_PIN_SMALL_ONLY
#include "layout_pin_fixture.h"
#include "asked_holder.h"
#include "holes.h"
#include "change.h"
#include <pthread.h>

#define PUNCH	(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)

static int op_truncate(struct world *w)
{
	return truncate(w->path, 0) ? errno : 0;
}

static int op_ftruncate(struct world *w)
{
	return ftruncate(w->fd, 0) ? errno : 0;
}

static int op_open(struct world *w)
{
	return open(w->path, O_RDWR | O_TRUNC) < 0 ? errno : 0;
}

static int op_punch(struct world *w)
{
	return fallocate(w->fd, PUNCH, 0, PAGE) ? errno : 0;
}

static int op_collapse(struct world *w)
{
	return fallocate(w->fd, FALLOC_FL_COLLAPSE_RANGE, 0, PAGE) ? errno : 0;
}

static int op_remove(struct world *w)
{
	return madvise(w->memory, PAGE, MADV_REMOVE) ? errno : 0;
}

/* Where there is no answer the file system has the operation. */
static const struct op ops[] = {
	{ "truncate", op_truncate },
	{ "ftruncate", op_ftruncate },
	{ "open with O_TRUNC", op_open },
	{ "punch", op_punch },
	{ "collapse", op_collapse },
	{ "MADV_REMOVE", op_remove },
	{ "clone from", op_clone_from, .ext4 = EOPNOTSUPP },
	{ "clone to", op_clone_to, .ext4 = EOPNOTSUPP },
	{ "dedupe from", op_dedupe_from, .ext4 = EOPNOTSUPP },
	{ "dedupe to", op_dedupe_to, .ext4 = EOPNOTSUPP },
	{ "SWAPEXT", op_swap_extents, .ext4 = ENOTTY },
	{ "SWAP_BOOT", op_swap_boot, .xfs = ENOTTY },
};

static bool has(FIXTURE_DATA(layout) *self, const struct op *op)
{
	return !op_is_missing(op, &self->kind);
}

static struct world begin(FIXTURE_DATA(layout) *self)
{
	struct world w = { .kind = &self->kind, .unit = self->unit };

	let_go(self);
	unlink(self->path);
	snprintf(w.path, sizeof(w.path), "%s", self->path);
	kind_path(&self->kind, w.other, "other");
	w.fd = make_file(w.path, self->unit);
	w.other_fd = make_file(w.other, self->unit);
	w.memory = map_file(w.fd, self->unit);
	self->fd = w.fd;
	self->memory = w.memory;
	/* Written, so that dedupe finds both the same. */
	memset(w.memory, 'k', UNITS * self->unit);
	if (ftruncate(w.fd, FILE_SIZE(self->unit)) ||
	    ftruncate(w.other_fd, FILE_SIZE(self->unit)) ||
	    pwrite(w.other_fd, w.memory, UNITS * self->unit, 0) < 0 ||
	    fsync(w.fd) || fsync(w.other_fd))
		w.fd = -1;
	return w;
}

static void end(struct world *w)
{
	close(w->other_fd);
	unlink(w->other);
}

static int freeze_and_thaw(const char *dir)
{
	int fd = open(dir, O_RDONLY);

	if (ioctl(fd, FIFREEZE, 0))
		return errno;
	return ioctl(fd, FITHAW, 0) ? errno : 0;
}

/* What is there already, or there were nothing to dedupe. */
static int write_elsewhere(const char *path)
{
	int fd = open(path, O_RDWR);

	return pwrite(fd, "k", 1, 2 * PAGE) == 1 ? 0 : errno;
}

/* The errno of what somebody else does meanwhile, RUNNING if he had to wait. */
#define meanwhile(expression) ({					\
	struct job __other = start(expression);				\
	int __error = wait_for(&__other, SOON);				\
									\
	end_job(&__other);						\
	__error;							\
})

static void others_go_on(struct __test_metadata *_metadata,
			 FIXTURE_DATA(layout) *self, struct job *job,
			 const char *name)
{
	EXPECT_EQ(RUNNING, wait_for(job, 0.2))
		TH_LOG("%s does not wait", name);
	EXPECT_EQ(0, meanwhile(write_elsewhere(self->path)))
		TH_LOG("beside %s", name);
	EXPECT_EQ(0, meanwhile(freeze_and_thaw(kind_dir(&self->kind))))
		TH_LOG("beside %s", name);
	/*
	 * The other file may be the one that is waited for: ask for this one.
	 */
	EXPECT_EQ(EAGAIN, meanwhile(set_lease(open(self->path, O_RDWR),
					      F_LAYOUT | F_UNBREAK)))
		TH_LOG("beside %s", name);
}

/* He who wrote meanwhile has changed what SWAPEXT compares. */
static void goes_through(struct __test_metadata *_metadata, struct job *job,
			 const struct op *op)
{
	wait_for(job, SOON);
	EXPECT_TRUE(job->result == 0 || op->run == op_swap_extents)
		TH_LOG("%s: %d", op->name, job->result);
	end_job(job);
}

typedef void (*beside_fn)(struct __test_metadata *_metadata,
			  FIXTURE_DATA(layout) *self, const struct op *op);

static void each_op(struct __test_metadata *_metadata,
		    FIXTURE_DATA(layout) *self, beside_fn beside)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ops); i++)
		if (has(self, &ops[i]))
			beside(_metadata, self, &ops[i]);
}

static void beside_a_lease(struct __test_metadata *_metadata,
			   FIXTURE_DATA(layout) *self, const struct op *op)
{
	struct world w = begin(self);
	struct holder holder;
	struct job job;

	ASSERT_LE(0, w.fd);
	holder = hold(w.path);
	ASSERT_EQ(0, holder.error);
	job = start(op->run(&w));
	EXPECT_TRUE(is_asked());
	others_go_on(_metadata, self, &job, op->name);
	shared->let_go = 1;
	goes_through(_metadata, &job, op);
	end_holder(holder);
	end(&w);
}

TEST_F(layout, waiting_for_a_lease_stops_nobody)
{
	each_op(_metadata, self, beside_a_lease);
}

static void beside_a_page(struct __test_metadata *_metadata,
			  FIXTURE_DATA(layout) *self, const struct op *op)
{
	struct world w = begin(self);
	struct job job, killed;
	int fds[2];

	ASSERT_LE(0, w.fd);
	ASSERT_EQ(0, hold_page(w.memory, fds));
	job = start(op->run(&w));
	killed = start(op->run(&w));
	others_go_on(_metadata, self, &job, op->name);
	EXPECT_EQ(RUNNING, wait_for(&killed, 0));
	kill(killed.pid, SIGKILL);
	EXPECT_EQ(BY_SIGNAL + SIGKILL, wait_for(&killed, SOON))
		TH_LOG("%s", op->name);
	EXPECT_TRUE(drop_page(fds));
	goes_through(_metadata, &job, op);
	end_job(&killed);
	end(&w);
}

TEST_F(layout, waiting_for_a_page_stops_nobody)
{
	each_op(_metadata, self, beside_a_page);
}

static void *truncate_all(void *arg)
{
	FIXTURE_DATA(layout) *self = arg;

	return (void *)(long)(ftruncate(self->fd, 0) ? errno : 0);
}

/* The holder's own change waits for a page, and then his pin refuses it. */
TEST_F(layout, pin_ends_the_wait_for_a_page)
{
	pthread_t thread;
	void *error;
	double start;
	struct pin p;
	int fds[2];

	ASSERT_EQ(0, set_lease(self->fd, F_LAYOUT | F_UNBREAK));
	ASSERT_EQ(0, hold_page(self->memory, fds));
	ASSERT_EQ(0, pthread_create(&thread, NULL, truncate_all, self));
	usleep(300000);
	ASSERT_EQ(EBUSY, pthread_tryjoin_np(thread, NULL));
	p = pin(self->memory, PAGE);
	EXPECT_EQ(0, p.error);
	start = seconds();
	ASSERT_EQ(0, pthread_join(thread, &error));
	EXPECT_GE(AT_ONCE, seconds() - start);
	EXPECT_EQ(ETXTBSY, (long)error);
	EXPECT_TRUE(drop_page(fds));
	unpin(p);
}

/* To copy is to read one file and to write another, whoever uses the pages. */
TEST_F(layout, copy_waits_for_no_page)
{
	struct world w = begin(self);
	struct job job;
	int fds[2];

	ASSERT_LE(0, w.fd);
	ASSERT_EQ(0, hold_page(w.memory, fds));
	job = start(op_copy_from(&w));
	EXPECT_EQ(0, wait_for(&job, SOON));
	end_job(&job);
	job = start(op_copy_to(&w));
	EXPECT_EQ(0, wait_for(&job, SOON));
	end_job(&job);
	EXPECT_TRUE(drop_page(fds));
	end(&w);
}

/* Below an overlay the file system finds out, and the call on top waits. */
TEST_F(layout, change_through_an_overlay_waits_outside)
{
	const char *dir = kind_dir(&self->kind);
	char command[512], path[128];
	struct holder holder;
	struct job job;
	int fds[2];

	snprintf(command, sizeof(command),
		 "cd %s && mkdir -p lower upper work merged && "
		 "mv file upper/ && mount -t overlay "
		 "-o lowerdir=lower,upperdir=upper,workdir=work "
		 "overlay merged", dir);
	ASSERT_EQ(0, system(command));
	snprintf(path, sizeof(path), "%s/merged/file", dir);
	snprintf(self->path, sizeof(self->path), "%s/upper/file", dir);

	holder = hold(self->path);
	ASSERT_EQ(0, holder.error);
	job = start(truncate(path, 3 * PAGE) ? errno : 0);
	EXPECT_TRUE(is_asked());
	others_go_on(_metadata, self, &job, "truncate on an overlay");
	shared->let_go = 1;
	EXPECT_EQ(0, wait_for(&job, SOON));
	end_job(&job);
	end_holder(holder);

	ASSERT_EQ(0, hold_page(self->memory, fds));
	job = start(open(path, O_RDWR | O_TRUNC) < 0 ? errno : 0);
	others_go_on(_metadata, self, &job, "open on an overlay");
	/* Busy because of the open, not with a page that nobody knows of. */
	snprintf(command, sizeof(command), "%s/merged", dir);
	EXPECT_EQ(EBUSY, meanwhile(umount(command) ? errno : 0));
	drop_page(fds);
	EXPECT_EQ(0, wait_for(&job, SOON));
	end_job(&job);

	let_go(self);
	snprintf(command, sizeof(command), "cd %s && umount merged && "
		 "rm -rf lower upper work merged", dir);
	EXPECT_EQ(0, system(command));
}

static int discard_through_loop(const char *path)
{
	char command[256];

	/*
	 * The file takes no lease as a loop device either: it is not asked
	 * for.
	 */
	snprintf(command, sizeof(command),
		 "dev=$(losetup --show -f %s) && blkdiscard -f -l 4096 $dev; "
		 "error=$?; losetup -d $dev; exit $error", path);
	return system(command) ? EIO : 0;
}

TEST_F(layout, loop_device_waits_for_a_lease)
{
	struct world w = begin(self);
	struct holder holder;
	struct job job;

	ASSERT_LE(0, w.fd);
	holder = hold(w.path);
	ASSERT_EQ(0, holder.error);
	job = start(discard_through_loop(w.path));
	EXPECT_TRUE(is_asked());
	EXPECT_EQ(RUNNING, wait_for(&job, 0.2));
	EXPECT_EQ(0, meanwhile(write_elsewhere(w.path)));
	shared->let_go = 1;
	EXPECT_EQ(0, wait_for(&job, SOON));
	end_job(&job);
	end_holder(holder);
	end(&w);
}

TEST_HARNESS_MAIN
