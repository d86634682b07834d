// SPDX-License-Identifier: GPL-2.0
/*
 * The race test: who takes a lease, pins under it, does what it may while the
 * pins stand, and lets go in any order. One pins for gup_test, which reads like
 * a device; the other one registers with soft RoCE, which writes like one.
 */
#include "race.h"
#include "rdma_loop.h"
#include <sys/prctl.h>
#include <linux/fs.h>

#define REGION		(64L << 10)

struct hold {
	int file, arg, fd, owner;
	char *memory;		/* all of the file; NULL when it is unmapped */
	long first, nr;
	bool pinned;
};

static const int kinds_to_pin[] = { UNBREAK, UNBREAK, EXCLUSIVE };

/* A lease of any kind; counted by what it is. */
int take_lease(int fd, int arg)
{
	enum op op = arg & F_EXCLUSIVE ? TAKE_EXCLUSIVE :
		arg & F_UNBREAK ? TAKE_UNBREAK : TAKE_LAYOUT;
	int error = perform(op, set_lease(fd, arg));

	/* Somebody cloned it. */
	if (error == EOPNOTSUPP)
		perform(UNSHARE, errno_of(fallocate(fd, FALLOC_FL_UNSHARE_RANGE,
						    0, FILE_SIZE)));
	return error;
}

/* So that the file has blocks there, whatever others took away before. */
int make_room(int fd, long first, long nr)
{
	return perform(GROW, errno_of(fallocate(fd, 0, first * PAGE,
						nr * PAGE)));
}

/* All of the file, so that entries can be huge, or so that none can. */
char *map_raced(int fd, bool huge)
{
	long size = FILE_SIZE + HUGE + PAGE;
	char *area = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	char *at = (char *)(((uintptr_t)area + HUGE - 1) & ~(HUGE - 1));

	if (area == MAP_FAILED)
		return NULL;
	if (!huge)
		at += PAGE;
	munmap(area, at - area);
	munmap(at + FILE_SIZE, area + size - at - FILE_SIZE);
	begin(MAP);
	area = mmap(at, FILE_SIZE, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_FIXED, fd, 0);
	return answered(MAP, area == MAP_FAILED ? errno : 0) ? NULL : area;
}

void tag_pages(char *memory, int file, long first, long nr)
{
	long i;

	for (i = first; i < first + nr; i++)
		tag_page(memory + i * PAGE, file, i);
}

static volatile sig_atomic_t asked;

static void note_asked(int sig)
{
	asked = 1;
}

/* Until somebody wants it broken, or a little while. */
static void hold_breakable(int fd)
{
	int i;

	for (i = 0; i < 20 && !asked; i++)
		nap(4);
	perform(asked ? DROP_BROKEN : DROP, set_lease(fd, F_UNLCK));
}

static void close_lease(struct hold *h)
{
	if (h->fd < 0)
		return;
	if (!h->memory)
		held_no_more(h->pinned ? ZOMBIE : NOTHING);
	perform(CLOSE, errno_of(close(h->fd)));
	h->fd = -1;
}

static void unmap(struct hold *h)
{
	if (!h->memory)
		return;
	if (h->fd < 0)
		held_no_more(h->pinned ? ZOMBIE : NOTHING);
	perform(UNMAP, errno_of(munmap(h->memory, FILE_SIZE)));
	h->memory = NULL;
}

static void unpin_raced(struct hold *h)
{
	if (h->owner < 0)
		return;
	if (roll(2))
		perform(UNPIN, errno_of(ioctl(h->owner, PIN_LONGTERM_TEST_STOP)));
	perform(CLOSE, errno_of(close(h->owner)));
	h->owner = -1;
}

static void duplicate(int fd)
{
	int other;

	begin(DUPLICATE);
	other = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	answered(DUPLICATE, errno_of(other));
	perform(CLOSE, errno_of(close(other)));
}

static void move(struct hold *h)
{
	char *to = mmap(NULL, FILE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);
	char *at;

	begin(REMAP);
	at = mremap(h->memory, FILE_SIZE, FILE_SIZE,
		    MREMAP_MAYMOVE | MREMAP_FIXED, to);
	if (!answered(REMAP, at == MAP_FAILED ? errno : 0))
		h->memory = at;
}

/* A child has all that its parent has, for a moment. */
static void fork_and_forget(void)
{
	pid_t pid;

	begin(FORK);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		nap(20);
		_exit(0);
	}
	answered(FORK, errno_of(pid));
}

/* Its own lease only: refused where it is pinned, and nowhere else. */
static void change_own(struct hold *h)
{
	int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

	if (!perform(PUNCH, errno_of(fallocate(h->fd, mode, h->first * PAGE,
					       h->nr * PAGE))))
		wrong(LOST_LEASE, "own pages %ld to %ld of %d were punched",
		      h->first, h->first + h->nr - 1, h->file);
}

static void ask_for_kind(struct hold *h)
{
	int kind;

	begin(GET_LEASE);
	kind = fcntl(h->fd, F_GETLEASE);
	answered(GET_LEASE, errno_of(kind));
	if (kind != (h->arg & F_EXCLUSIVE ? EXCLUSIVE : h->arg))
		wrong(LOST_LEASE, "%d is held as %d, F_GETLEASE says %d",
		      h->file, h->arg, kind);
}

static int count_own_leases(const char *inode)
{
	FILE *file = fopen("/proc/locks", "re");
	char line[256], pid[32];
	int nr = 0;

	sprintf(pid, " %d ", getpid());
	while (file && fgets(line, sizeof(line), file))
		nr += strstr(line, "LAYOUT") && strstr(line, inode) &&
			strstr(line, pid);
	if (file)
		fclose(file);
	return nr;
}

/*
 * An earlier one of this process may live on, with a child or on its way round:
 * then that one may have the pins. Asked again and again: the list is read in
 * pieces, and a line is missed if one before it goes in between.
 */
static void drop_only_lease(int fd)
{
	struct stat st = { };
	char inode[32];
	int i;

	fstat(fd, &st);
	sprintf(inode, ":%lu ", (unsigned long)st.st_ino);
	for (i = 0; i < 4; i++)
		if (count_own_leases(inode) != 1)
			return;
	if (!perform(DROP_PINNED, set_lease(fd, F_UNLCK)))
		wrong(LOST_LEASE, "dropped, and pinned; %d others of this process",
		      count_own_leases(inode));
}

static void do_something(struct hold *h)
{
	switch (roll(13)) {
	case 0:
		if (h->fd >= 0)
			drop_only_lease(h->fd);
		break;
	case 1:
		if (h->fd >= 0)
			perform(FSYNC, errno_of(fsync(h->fd)));
		break;
	case 2:
		duplicate(h->fd >= 0 ? h->fd : h->owner);
		break;
	case 3:
		if (h->memory)
			move(h);
		break;
	case 4:
		pass_on(h->owner);
		break;
	case 5:
		if (h->fd < 0 || roll(4))
			break;
		pass_on(h->fd);
		break;
	case 6:
		close_lease(h);
		break;
	case 7:
		unmap(h);
		break;
	case 8:
		fork_and_forget();
		break;
	case 9:
		if (h->fd >= 0)
			change_own(h);
		break;
	case 10:
		if (h->fd >= 0)
			ask_for_kind(h);
		break;
	case 11:
		check_pinned(h->owner, h->fd, h->file, h->first, h->nr);
		break;
	default:
		nap(10);
	}
}

static void choose_range(struct hold *h, bool huge)
{
	h->nr = huge ? MAX_PAGES : 1 + roll(24);
	h->first = huge ? roll(2) * MAX_PAGES : roll(FILE_PAGES - h->nr);
}

static void pin_and_play(struct hold *h)
{
	unsigned int flags = PIN_WRITE | PIN_FAST | (roll(4) ? 0 : PIN_MM);
	int i;

	if (perform(PIN, pin_with(h->owner, h->memory + h->first * PAGE,
				  h->nr * PAGE, flags)))
		return;
	h->pinned = true;
	tag_pages(h->memory, h->file, h->first, h->nr);
	now_pinned(h->fd, h->first, h->nr, h->memory + h->first * PAGE);
	for (i = roll(8); i > 0 && !shared->stop; i--)
		do_something(h);
	check_pinned(h->owner, h->fd, h->file, h->first, h->nr);
}

/* In each of the orders. */
static void let_all_go(struct hold *h)
{
	void (*const steps[])(struct hold *) = { close_lease, unmap, unpin_raced };
	int i, from = roll(3), way = 1 + roll(2);

	held_no_more(NOTHING);
	h->pinned = false;
	for (i = 0; i < 3; i++)
		steps[(from + i * way) % 3](h);
}

static void hold_unbreakable(struct hold *h)
{
	bool huge = !roll(12);

	now_held(LEASED, me->fs, h->file, h->fd);
	ask_for_kind(h);
	choose_range(h, huge);
	if (!make_room(h->fd, h->first, h->nr)) {
		h->memory = map_raced(h->fd, huge || roll(2));
		h->owner = open_owner();
		if (h->memory)
			pin_and_play(h);
	} else {
		held_no_more(NOTHING);
		perform(DROP, set_lease(h->fd, F_UNLCK));
	}
	let_all_go(h);
}

static void hold_round(void)
{
	struct hold h = { .file = roll(FILES), .owner = -1 };

	signal(SIGCHLD, SIG_IGN);
	signal(SIGIO, note_asked);
	asked = 0;
	h.arg = roll(5) ? kinds_to_pin[roll(3)] : F_LAYOUT;
	h.fd = open_raced(me->fs, h.file);
	if (h.fd < 0)
		return;
	if (!take_lease(h.fd, h.arg)) {
		if (h.arg == F_LAYOUT)
			hold_breakable(h.fd);
		else
			hold_unbreakable(&h);
	}
	close_lease(&h);
	nap(roll(4) ? 10 : 150);	/* nobody may have it, now and then */
}

const struct role holder = {
	.name = "holder", .round = hold_round, .mortal = true,
};

/* A device that writes and reads, with or without what it was registered by. */
static void transfer(struct rdma_loop *loop, struct hold *h)
{
	long i;

	for (i = 0; i < h->nr; i++)
		tag_page(loop->buffer + i * PAGE, h->file, h->first + i);
	perform(TRANSFER, loop_transfer(loop, IBV_WR_RDMA_WRITE));
	memset(loop->buffer, 0, loop->size);
	perform(TRANSFER, loop_transfer(loop, IBV_WR_RDMA_READ));
	for (i = 0; i < h->nr; i++)
		if (!has_tag(loop->buffer + i * PAGE, h->file, h->first + i))
			wrong(FOREIGN, "RDMA reads %#x in page %ld of %d",
			      *(int *)(loop->buffer + i * PAGE), h->first + i,
			      h->file);
	looked(LOOK_DEVICE);
}

static void register_and_play(struct rdma_loop *loop, struct hold *h)
{
	int i;

	if (perform(REGISTER, loop_register(loop, h->memory + h->first * PAGE)))
		return;
	h->pinned = true;
	transfer(loop, h);
	now_pinned(h->fd, h->first, h->nr, h->memory + h->first * PAGE);
	for (i = roll(6); i > 0 && !shared->stop; i--) {
		if (!roll(4))
			close_lease(h);
		if (!roll(4))
			unmap(h);
		transfer(loop, h);
	}
	held_no_more(NOTHING);
	h->pinned = false;
	if (roll(2))
		unmap(h);
	perform(DEREGISTER, loop_deregister(loop));
}

/* Before there are two who would make it at once. */
int make_device(void)
{
	struct rdma_loop loop = { };
	int error = loop_open_device(&loop);

	if (!error)
		ibv_close_device(loop.context);
	return error;
}

static void device_round(void)
{
	static struct rdma_loop loop;
	struct hold h = {
		.file = roll(FILES), .nr = REGION / PAGE, .owner = -1,
		.arg = kinds_to_pin[roll(3)],
	};
	int error = loop.context ? 0 : loop_open(&loop, REGION);

	if (error)
		wrong(ANSWER, "soft RoCE: %s", strerror(error));
	h.fd = open_raced(me->fs, h.file);
	if (error || h.fd < 0)
		return;
	if (!take_lease(h.fd, h.arg)) {
		now_held(LEASED, me->fs, h.file, h.fd);
		h.first = roll(FILE_PAGES - h.nr);
		if (!make_room(h.fd, h.first, h.nr)) {
			h.memory = map_raced(h.fd, roll(2));
			if (h.memory)
				register_and_play(&loop, &h);
		}
		held_no_more(NOTHING);
		unmap(&h);
	}
	close_lease(&h);
	nap(50);
}

const struct role device = {
	.name = "device", .round = device_round, .mortal = true,
};
