// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bad input for layout leases, judged by the contract. From a seed it makes up
 * calls with hostile arguments (fcntl, open, truncate, fallocate, mmap, ioctl,
 * pins and memory regions) in several processes on several files. A model of
 * the contract says which calls must be refused and which must not be, and
 * which process may have which lease or pin. From outside it checks that no
 * block moves under a pin and that all tables agree. See fuzz.h for the parts.
 *
 *	fuzz			a slice: two seeds that are always the same
 *	fuzz --seed N		that seed only
 *	fuzz --calls N		so many calls in all, from a fresh seed
 *	fuzz --time S		until so many seconds are over, the same
 *	fuzz --kind ext4_2m	on that file system and size of mapping only
 *	fuzz --replay FILE	what a former run has printed as its history
 *	fuzz --verbose		print each call before it is made
 *
 * On a mismatch it prints what the kernel answered, what the model allows, and
 * the shortest history that leads to it.
 */
#include <getopt.h>
#include <sys/random.h>
#include "fuzz.h"
#include "rdma_loop.h"

#define EPISODE		1000	/* calls, then everything is made anew */
#define SLICE		1000	/* calls for each seed and kind by default */

struct options {
	unsigned long seed;
	long calls;
	long time;
	const char *replay;
	const char *kind;
	bool one_seed;
	int actor, world_fd;
	bool verbose;
};

static void usage(void)
{
	printf("Usage: fuzz [--seed N] [--calls N] [--time S] [--kind K]\n"
	       "            [--replay FILE] [--verbose]\n");
	exit(2);
}

static struct options parse(int argc, char **argv)
{
	static const struct option names[] = {
		{ "seed", 1, NULL, 's' }, { "calls", 1, NULL, 'c' },
		{ "time", 1, NULL, 't' }, { "replay", 1, NULL, 'r' },
		{ "kind", 1, NULL, 'k' }, { "verbose", 0, NULL, 'v' },
		{ "actor", 1, NULL, 'a' }, { "world", 1, NULL, 'w' }, { }
	};
	struct options options = { };
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		switch (c) {
		case 's':
			options.seed = strtoul(optarg, NULL, 0);
			options.one_seed = true;
			break;
		case 'c':
			options.calls = strtol(optarg, NULL, 0);
			break;
		case 't':
			options.time = strtol(optarg, NULL, 0);
			break;
		case 'r':
			options.replay = optarg;
			break;
		case 'k':
			options.kind = optarg;
			break;
		case 'v':
			options.verbose = true;
			break;
		case 'a':	/* these two are not for users */
			options.actor = atoi(optarg);
			break;
		case 'w':
			options.world_fd = atoi(optarg);
			break;
		default:
			usage();
		}
	}
	if (optind != argc)
		usage();
	return options;
}

/* Episodes of one seed until there were so many calls, or it is time. */
static bool run_seed(struct world *w, unsigned long seed, long calls,
		     double end)
{
	unsigned long before = w->calls;
	long left;
	int i;

	for (i = 0; (left = calls - (long)(w->calls - before)) > 0; i++) {
		if (end && seconds() > end)
			break;
		if (run_episode(w, seed * 1000003 + i,
				left < EPISODE ? left : EPISODE, NULL))
			continue;
		ksft_print_msg("%s, seed %lu, episode %d: went wrong\n",
			       kind_name(w), seed, i);
		report(w, false);
		if (w->nr_history)
			shrink(w);
		report(w, true);
		return false;
	}
	return true;
}

/* Of the kind that is set. */
static void test_seed(struct world *w, unsigned long seed, long calls,
		      double end)
{
	unsigned long before = w->calls;
	double start = seconds(), took;
	bool ok;

	fflush(stdout);
	ok = run_seed(w, seed, calls, end);
	took = seconds() - start;
	ksft_test_result(ok && w->calls > before,
			 "%s seed %lu: every answer is the model's\n",
			 kind_name(w), seed);
	ksft_print_msg("%lu calls in %.1f s: %.0f a second\n",
		       w->calls - before, took, (w->calls - before) / took);
}

static void summary(const struct world *w)
{
	int i;

	ksft_print_msg("%lu calls, %lu of them refused with ETXTBSY\n",
		       w->calls, w->refused);
	ksft_print_msg("%lu ranges pinned, %lu calls by other threads\n",
		       w->pinned, w->threads);
	ksft_print_msg("calls made/succeeded:");
	for (i = 0; i < nr_calls; i++)
		printf(" %s %lu/%lu", calls[i]->name, w->made[i],
		       w->succeeded[i]);
	printf("\n");
}

/* A model that skips all interesting calls would agree with any kernel. */
static bool reached(const struct world *w)
{
	int i;

	for (i = 0; i < nr_calls; i++)
		if (w->calls > 20000 && calls[i]->weight && !w->made[i]) {
			ksft_print_msg("'%s' was never called\n",
				       calls[i]->name);
			return false;
		}
	return w->refused > w->calls / 200 && w->pinned > w->calls / 500;
}

static bool selected(const struct options *options, struct world *w, int nr)
{
	struct kind kind = kind_nr(nr);

	set_kind(w, &kind);
	return !options->kind || !strcmp(options->kind, kind_name(w));
}

/* A file system that was not used need not exist. */
static bool used(const struct options *options, const struct file_system *fs)
{
	return !options->kind ||
		!strncmp(options->kind, fs->name, strlen(fs->name));
}

static int nr_used(const struct options *options)
{
	unsigned int i;
	int nr = 0;

	for (i = 0; i < ARRAY_SIZE(file_systems); i++)
		nr += used(options, &file_systems[i]);
	return nr;
}

static void test_consistent(const struct options *options)
{
	const struct file_system *fs;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(file_systems); i++) {
		fs = &file_systems[i];
		if (used(options, fs))
			ksft_test_result(!fs_check(fs, "/dev/null"),
					 "%s is consistent\n", fs->name);
	}
}

static void run_tests(struct world *w, const struct options *options)
{
	unsigned long seeds[2] = { 1, 2 };
	int i, k, nr = 2, nr_kinds = 0, tests = 0;
	double start = seconds(), share;
	long calls = SLICE;

	if (options->one_seed || options->calls || options->time) {
		seeds[0] = options->seed;
		if (!options->one_seed)
			getrandom(seeds, 4, 0);
		nr = 1;
		calls = LONG_MAX / 2;
	}
	for (k = 0; k < NR_KINDS; k++)
		nr_kinds += selected(options, w, k);
	if (options->calls)
		calls = options->calls / nr_kinds + 1;
	else if (options->one_seed && !options->time)
		calls = SLICE;
	ksft_set_plan(nr * nr_kinds + 1 + nr_used(options));
	if (nr == 1)
		ksft_print_msg("seed of this run: %lu\n", seeds[0]);
	for (i = 0; i < nr; i++) {
		for (k = 0; k < NR_KINDS; k++) {
			if (!selected(options, w, k))
				continue;
			tests++;
			share = (double)tests / (nr * nr_kinds);
			test_seed(w, seeds[i], calls, options->time ?
				  start + options->time * share : 0);
		}
	}
	test_consistent(options);
	ksft_test_result(reached(w), "calls were refused, and ranges pinned\n");
	summary(w);
}

static void test_replay(struct world *w, const char *path)
{
	bool ok;

	ksft_set_plan(1);
	ok = replay_file(w, path);
	if (!ok)
		report(w, true);
	ksft_test_result(ok, "every answer of the history is the model's\n");
}

/* Make soft RoCE on a dummy interface, if the kernel can. */
static bool verbs_there(void)
{
	struct rdma_loop loop = { };

	if (loop_open_device(&loop))
		return false;
	ibv_close_device(loop.context);
	return true;
}

int main(int argc, char **argv)
{
	struct options options = parse(argc, argv);
	struct world *w;

	/* What was printed must be seen even if this is killed. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	calls_init();
	if (options.actor) {
		w = attach_world(options.world_fd);
		if (!w)
			return 1;
		actor_again(w, options.actor);
	}
	ksft_print_header();
	if (geteuid())
		ksft_exit_skip("not root\n");
	w = make_world();
	if (!w)
		ksft_exit_fail_msg("no memory to share\n");
	w->verbose = options.verbose;
	w->verbs = verbs_there();
	if (!w->verbs)
		ksft_print_msg("no RDMA device\n");
	if (options.replay)
		test_replay(w, options.replay);
	else
		run_tests(w, &options);
	ksft_finished();
}
