// SPDX-License-Identifier: GPL-2.0
/*
 * The race test: threads of one process against each other. One pins, one takes
 * the mapping away and gives it back, one takes and drops the lease and closes
 * the file. Any of them may come first, so that many answers are right; none of
 * them may leave anything behind.
 */
#include "race.h"
#include <pthread.h>

/* Of the process; the mapping stays at its place, the file at its number. */
static struct {
	int fd;
	int file;
	char *memory;
	pthread_mutex_t once;
} ours = { .once = PTHREAD_MUTEX_INITIALIZER };

static void set_up(void)
{
	pthread_mutex_lock(&ours.once);
	if (!ours.memory) {
		ours.file = roll(FILES);
		ours.fd = open_raced(me->fs, ours.file);
		ours.memory = map_raced(ours.fd, me->nr & 1);
	}
	pthread_mutex_unlock(&ours.once);
}

static void map_again(int flags)
{
	void *at;

	begin(MAP);
	at = mmap(ours.memory, FILE_SIZE, PROT_READ | PROT_WRITE,
		  flags | MAP_FIXED, ours.fd, 0);
	answered(MAP, at == MAP_FAILED ? errno : 0);
}

static void move_away_and_back(void)
{
	void *away = mmap(NULL, FILE_SIZE, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED;

	perform(REMAP, mremap(ours.memory, FILE_SIZE, FILE_SIZE, flags, away) ==
		MAP_FAILED ? errno : 0);
	nap(2);
	perform(REMAP, mremap(away, FILE_SIZE, FILE_SIZE, flags, ours.memory) ==
		MAP_FAILED ? errno : 0);
}

static void map_round(void)
{
	set_up();
	switch (roll(4)) {
	case 0:
		perform(UNMAP, errno_of(munmap(ours.memory, FILE_SIZE)));
		nap(2);
		map_again(MAP_SHARED);
		break;
	case 1:
		map_again(MAP_PRIVATE);
		nap(2);
		map_again(MAP_SHARED);
		break;
	case 2:
		move_away_and_back();
		break;
	default:
		madvise(ours.memory, FILE_SIZE, MADV_DONTNEED);
	}
	nap(20);
}

static const struct role clash_map = { .name = "mapper", .round = map_round };

/* Another open file takes the number: the lease goes if there are no pins. */
static void reopen(void)
{
	int fd = open_raced(me->fs, ours.file);

	if (fd < 0)
		return;
	perform(DUPLICATE, errno_of(dup3(fd, ours.fd, O_CLOEXEC)));
	perform(CLOSE, errno_of(close(fd)));
}

static void take_round(void)
{
	static const int args[] = { UNBREAK, UNBREAK, EXCLUSIVE };

	set_up();
	signal(SIGIO, SIG_IGN);
	if (!take_lease(ours.fd, args[roll(3)])) {
		nap(20);
		if (roll(3))
			perform(DROP_CLASH, set_lease(ours.fd, F_UNLCK));
	}
	if (!roll(8))
		reopen();
	nap(30);
}

static const struct role clash_take = {
	.name = "clashing taker", .round = take_round, .also = &clash_map,
};

static void pin_round(void)
{
	long nr = 1 + roll(16), first = roll(FILE_PAGES - nr);
	int owner;

	set_up();
	make_room(ours.fd, first, nr);
	owner = open_owner();
	if (!perform(PIN_CLASH, pin_with(owner, ours.memory + first * PAGE,
					 nr * PAGE, PIN_WRITE | PIN_FAST)))
		nap(3);
	perform(CLOSE, errno_of(close(owner)));
	nap(10);
}

const struct role clash = {
	.name = "clash", .round = pin_round, .also = &clash_take, .mortal = true,
};
