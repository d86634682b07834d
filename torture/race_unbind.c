// SPDX-License-Identifier: GPL-2.0
/*
 * The race test, second part: the device is unbound while files on it are
 * leased, pinned, registered and changed. Whatever workers are answered then is
 * right, and accesses that fail may kill them; but the unbind ends as soon as
 * the last pin goes, and not before, and nothing is left.
 */
#include "race.h"

#define BEFORE		1.0	/* seconds of race before the unbind */
#define AFTER		3.0	/* and meanwhile */
#define BOUND		60.0	/* until all is over */

static const struct role * const roles[] = {
	&holder, &holder, &device, &clash, &changer, &writer, &reader,
};

static pid_t start_unbind(int fs)
{
	pid_t pid = fork();

	if (!pid)
		_exit(kind_driver(&kinds[fs], "unbind"));
	return pid;
}

/* A process that pins and stays: for its sake the device stays, too. */
static struct holder start_staying(int fs)
{
	char path[64];

	path_of(path, fs, HELD);
	return start_holder(path, EXCLUSIVE, PAGE, 0, PAGE);
}

bool unbind_race(int fs)
{
	struct holder staying = start_staying(fs);
	bool ended, early, all_ended;
	unsigned int i;
	int status = -1;
	pid_t pid;

	shared->lenient = true;
	shared->stop = false;
	for (i = 0; i < ARRAY_SIZE(roles); i++)
		spawn(roles[i], fs);
	usleep(BEFORE * 1e6);
	pid = start_unbind(fs);
	early = ends_within(pid, &status, AFTER);
	if (early)
		printf("# unbind ended with %d beside a pin\n",
		       WEXITSTATUS(status));
	all_ended = stop_all(BOUND);
	if (!all_ended)
		printf("# workers hang after unbind\n");
	if (count_pins() < 1)
		printf("# the pin that stays is gone\n");
	end_holder(staying);
	ended = early || ends_within(pid, &status, BOUND);
	if (!ended)
		printf("# unbind does not end\n");
	shared->lenient = false;
	return !staying.error && !early && all_ended && ended &&
		WEXITSTATUS(status) == 0;
}
