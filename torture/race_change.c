// SPDX-License-Identifier: GPL-2.0
/*
 * The race test: who changes layouts, and is refused while somebody holds a
 * lease or a pin; who grows, writes and syncs, and never is; who frees and
 * allocates blocks of other files; who freezes.
 */
#include "race.h"
#include "churn.h"
#include <linux/fs.h>

#define KEEP	FALLOC_FL_KEEP_SIZE
#define NAMES	48
#define SPARE	(10UL << 20)	/* for those who unshare and replace */

struct change {
	enum op op;
	int fd;
	long first, nr;		/* pages */
};

/* Not the name, which may be another file by now. */
static int open_and_truncate(int fd)
{
	char path[64];
	int other;

	sprintf(path, "/proc/self/fd/%d", fd);
	other = open(path, O_RDWR | O_TRUNC | O_CLOEXEC);
	if (other < 0)
		return errno;
	close(other);
	return 0;
}

static int remove_mapped(const struct change *c)
{
	char *memory = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
			    c->fd, 0);
	int error;

	if (memory == MAP_FAILED)
		return errno;
	error = errno_of(madvise(memory + c->first * PAGE, c->nr * PAGE,
				 MADV_REMOVE));
	munmap(memory, FILE_SIZE);
	return error;
}

static void scratch_path(char *path)
{
	sprintf(path, "%s/scratch%d", kind_dir(&kinds[me->fs]), me->nr);
}

static int open_scratch(char *path)
{
	scratch_path(path);
	return open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

/* To or from a file of our own, which goes again. */
static int clone(const struct change *c)
{
	char path[64];
	int error, fd;

	fd = open_scratch(path);
	if (fd < 0)
		return errno;
	error = errno_of(ftruncate(fd, 16 * PAGE)) ?:
		errno_of(roll(2) ? ioctl(fd, FICLONE, c->fd) :
				   ioctl(c->fd, FICLONE, fd));
	close(fd);
	unlink(path);
	return error;
}

/*
 * Found other data, and so changed nothing. The file system looks at the data
 * before it asks for the file, unless a page of it is in use.
 */
static bool differed;

static int dedupe(const struct change *c)
{
	struct {
		struct file_dedupe_range range;
		struct file_dedupe_range_info info;
	} args = { .range = { .src_length = PAGE, .dest_count = 1 } };
	char path[64];
	int error, fd;

	fd = open_scratch(path);
	if (fd < 0)
		return errno;
	args.info.dest_fd = c->fd;
	error = errno_of(ftruncate(fd, PAGE)) ?:
		errno_of(ioctl(fd, FIDEDUPERANGE, &args));
	close(fd);
	unlink(path);
	differed = !error && args.info.status == FILE_DEDUPE_RANGE_DIFFERS;
	return error ?: args.info.status < 0 ? -args.info.status : 0;
}

static int do_change(const struct change *c)
{
	loff_t at = c->first * PAGE, size = c->nr * PAGE;

	switch (c->op) {
	case TRUNCATE:
		return errno_of(ftruncate(c->fd, at));
	case OPEN_TRUNC:
		return open_and_truncate(c->fd);
	case PUNCH:
		return errno_of(fallocate(c->fd, FALLOC_FL_PUNCH_HOLE | KEEP,
					  at, size));
	case ZERO:
		return errno_of(fallocate(c->fd, FALLOC_FL_ZERO_RANGE | KEEP,
					  at, size));
	case COLLAPSE:
		return errno_of(fallocate(c->fd, FALLOC_FL_COLLAPSE_RANGE, at,
					  size));
	case INSERT:
		return errno_of(fallocate(c->fd, FALLOC_FL_INSERT_RANGE, at,
					  size));
	case REMOVE:
		return remove_mapped(c);
	case CLONE:
		return clone(c);
	default:
		return dedupe(c);
	}
}

/* What the change takes away, in pages, as a zombie's range sees it. */
static bool takes(const struct change *c, const struct slot *slot)
{
	long first = c->first, last = c->first + c->nr - 1;

	if (c->op == OPEN_TRUNC)
		first = 0;
	if (c->op == TRUNCATE || c->op == OPEN_TRUNC || c->op == COLLAPSE ||
	    c->op == INSERT)
		last = LONG_MAX;
	return slot->first <= last && slot->first + slot->nr > first;
}

/* Somebody who holds something that refuses this change. */
static struct worker *find_holder(const struct change *c, int file,
				  unsigned int *changes)
{
	struct worker *worker;
	struct slot *slot;
	struct stat st;
	int i, from = roll(shared->nr_workers);

	if (fstat(c->fd, &st))
		return NULL;
	for (i = 0; i < shared->nr_workers; i++) {
		worker = &shared->worker[(from + i) % shared->nr_workers];
		slot = &worker->slot;
		*changes = look_at(slot);
		if (*changes == 1 || slot->held == NOTHING || worker == me ||
		    slot->fs != me->fs || slot->file != file ||
		    slot->ino != st.st_ino)
			continue;
		/* Dedupe and clone may find nothing to do before they ask. */
		if (slot->held == ZOMBIE &&
		    (c->op == CLONE || c->op == DEDUPE || !takes(c, slot)))
			continue;
		return worker;
	}
	return NULL;
}

/* As large as it was, so that there is something to pin. */
static void restore(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return;
	if (st.st_size > 2 * FILE_SIZE)
		perform(TRUNCATE, errno_of(ftruncate(fd, FILE_SIZE)));
	else if (st.st_size < FILE_SIZE || !roll(4))
		make_room(fd, 0, FILE_PAGES);
}

static void change_raced(struct change *c, int file)
{
	unsigned int changes;
	struct worker *worker = find_holder(c, file, &changes);

	differed = false;
	if (perform(c->op, do_change(c)) || differed)
		return;
	if (worker)
		looked(LOOK_LEASE);
	if (worker && still_so(worker, changes))
		wrong(LOST_LEASE, "change %d of pages %ld+%ld of %d/%d that %s %d holds (%d)",
		      c->op, c->first, c->nr, me->fs, file, worker->role->name,
		      worker->nr, worker->slot.held);
	restore(c->fd);
}

/* Of these two one knows what the answer is. */
static void change_known(struct change *c, int file)
{
	int error;

	differed = false;
	error = perform(c->op, do_change(c));
	if (file == FREE) {
		if (error == ETXTBSY)
			wrong(ANSWER, "change %d of a file that nobody holds: %s",
			      c->op, strerror(error));
		if (c->op == CLONE && !error)
			perform(UNSHARE, errno_of(fallocate(c->fd,
							    FALLOC_FL_UNSHARE_RANGE,
							    0, FILE_SIZE)));
		restore(c->fd);
	} else if (error != ETXTBSY && !differed && (c->op < CLONE ||
		   (error != EOPNOTSUPP && error != ENOSPC))) {
		/* A clone asks for room before it asks for the file. */
		wrong(LOST_LEASE, "change %d of a file that is held: %s", c->op,
		      strerror(error));
	}
	looked(LOOK_LEASE);
}

/* By name: the names of all files are other files, now and then. */
static void replace(int file)
{
	char path[64], new_path[64];
	int fd, error;

	path_of(path, me->fs, file);
	scratch_path(new_path);
	fd = open(new_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return;
	begin(REPLACE);
	error = errno_of(fallocate(fd, 0, 0, FILE_SIZE)) ?:
		errno_of(rename(new_path, path));
	answered(REPLACE, error);
	close(fd);
	if (error)
		unlink(new_path);
}

static void change_round(void)
{
	static const enum op ops[] = {
		TRUNCATE, OPEN_TRUNC, PUNCH, ZERO, COLLAPSE, INSERT, REMOVE,
		PUNCH, CLONE, CLONE, CLONE, DEDUPE,
	};
	int file = roll(ALL_FILES);
	struct change c = { .op = ops[roll(ARRAY_SIZE(ops))] };

	if (file != HELD && !roll(15)) {
		replace(file);
		return;
	}
	c.fd = open_raced(me->fs, file);
	if (c.fd < 0)
		return;
	c.first = roll(FILE_PAGES / 2);
	c.nr = 1 + roll(FILE_PAGES / 4);
	if (file >= FILES)
		change_known(&c, file);
	else
		change_raced(&c, file);
	close(c.fd);
	nap(5);
}

const struct role changer = {
	.name = "changer", .round = change_round, .mortal = true,
};

/* What moves no block: always done, whoever holds what. */
static void write_round(void)
{
	__u64 page[PAGE / sizeof(__u64)] = { };
	int file = roll(ALL_FILES), fd = open_raced(me->fs, file);
	long index = roll(FILE_PAGES);
	struct stat st;

	if (fd < 0)
		return;
	switch (roll(4)) {
	case 0:
		fstat(fd, &st);
		if (st.st_size < 2 * FILE_SIZE)
			perform(GROW, errno_of(fallocate(fd, 0, st.st_size,
							 4 * PAGE)));
		break;
	case 1:
		perform(FSYNC, errno_of(roll(2) ? fsync(fd) : fdatasync(fd)));
		break;
	default:
		tag_page(page, file, index);
		perform(WRITE, errno_of(pwrite(fd, page, sizeof(page),
					       index * PAGE)));
	}
	perform(CLOSE, errno_of(close(fd)));
	nap(20);
}

const struct role writer = {
	.name = "writer", .round = write_round, .mortal = true,
};

/* A plain lease in the way of opens goes at once. */
static void take_plain(int file)
{
	char path[64];
	int fd;

	path_of(path, me->fs, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	perform(TAKE_PLAIN, set_lease(fd, roll(2) ? F_RDLCK : F_WRLCK));
	close(fd);
}

static void pin_without(int fd)
{
	char *memory = map_raced(fd, roll(2));
	int owner = open_owner();

	perform(PIN_WITHOUT, pin_with(owner, memory, PAGE, PIN_WRITE | PIN_FAST));
	close(owner);
	munmap(memory, FILE_SIZE);
}

static void take_round(void)
{
	static const int args[] = { F_LAYOUT, UNBREAK, EXCLUSIVE };
	int file = roll(FILES), fd = open_raced(me->fs, file);
	int arg = args[roll(3)];

	signal(SIGIO, SIG_IGN);
	if (fd < 0)
		return;
	if (!roll(4))
		take_plain(file);
	if (!roll(4))
		pin_without(fd);
	if (!take_lease(fd, arg) && roll(4)) {
		if (arg == F_LAYOUT)
			pin_without(fd);
		perform(arg == F_LAYOUT ? DROP_BROKEN : DROP,
			set_lease(fd, F_UNLCK));
	}
	perform(CLOSE, errno_of(close(fd)));
	nap(60);
}

const struct role taker = {
	.name = "taker", .round = take_round, .mortal = true,
};

static bool is_full(int fs)
{
	struct statvfs st;

	return !statvfs(kind_dir(&kinds[fs]), &st) &&
		st.f_bfree * st.f_bsize < SPARE;
}

static void churn_path(char *path, int fs, int nr, int name)
{
	sprintf(path, "%s/churn/%d.%d", kind_dir(&kinds[fs]), nr, name);
}

/* The file system is nearly full, of blocks that just were somebody else's. */
static void churn_round(void)
{
	char path[96];
	int i;

	churn_path(path, me->fs, me->nr, roll(NAMES));
	perform(CHURN, churn(path, random()));
	for (i = 0; i < 8 && is_full(me->fs); i++) {
		churn_path(path, me->fs, me->nr, roll(NAMES));
		unlink(path);
		churn_path(path, me->fs, 0, roll(NAMES));
		unlink(path);
	}
	nap(4);
}

/* So that it is full from the beginning. */
void fill_with_churn(int fs)
{
	char path[96];
	int i;

	for (i = 0; i < NAMES && !is_full(fs); i++) {
		churn_path(path, fs, 0, i);
		churn(path, 7 << 8 | 4);
	}
}

const struct role churner = {
	.name = "churner", .round = churn_round, .mortal = true,
};

/* Not killed: nobody else would thaw. */
static void freeze_round(void)
{
	int fd = open(kind_dir(&kinds[me->fs]), O_RDONLY | O_CLOEXEC);

	if (!perform(FREEZE, errno_of(ioctl(fd, FIFREEZE, 0)))) {
		nap(30);
		perform(THAW, errno_of(ioctl(fd, FITHAW, 0)));
	}
	close(fd);
	nap(4000);
}

const struct role freezer = { .name = "freezer", .round = freeze_round };
