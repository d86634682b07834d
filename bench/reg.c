// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * reg KIND [FILE]: ibv_reg_mr() plus ibv_dereg_mr() of memory of one kind, for
 * regions from 4 KiB to 512 MiB. FS DAX memory is registered under a lease; other
 * memory, KIND-leased, by a process that has a lease on FILE.
 *
 * BENCH_SIZES in the environment, in KiB, replaces the sizes.
 */
#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"

#define SAMPLES		9

static const size_t default_sizes[] = {
	4L << 10, 16L << 10, 64L << 10, 256L << 10, 2L << 20, 8L << 20,
	32L << 20, 128L << 20, 512L << 20,
};

/*
 * Until nothing is left to do that earlier calls put off: RCU frees their memory
 * up to 5 seconds later. Nobody waits for it, the clock jumps when all sleep.
 */
static void settle(void)
{
	struct timespec ts = { .tv_sec = 6 };

	nanosleep(&ts, NULL);
}

/*
 * The mean of a few in a row. Each row begins in the same state, so that it meets
 * the same number of empty caches of allocators, which are part of the cost. Not
 * of many: what RCU puts off falls into some long rows and not into others.
 */
static uint64_t row(struct ibv_pd *pd, const struct memory *memory, size_t size)
{
	int nr = size <= 256L << 10 ? 32 : size <= 2L << 20 ? 4 : 1, i;
	uint64_t start;

	settle();
	start = now();
	for (i = 0; i < nr; i++)
		dereg(reg(pd, memory->at, size));
	return (now() - start) / nr;
}

static void one_size(struct ibv_pd *pd, const struct memory *memory,
		     const char *subject, size_t size)
{
	struct series series = { };
	int i;

	for (i = 0; i < SAMPLES + 2; i++) {
		uint64_t took = row(pd, memory, size);

		if (i >= 2)	/* the first ones warm up */
			add(&series, took);
	}
	print(&series, "reg", subject, size);
}

static size_t parse_sizes(size_t *sizes, size_t max)
{
	char *text = getenv("BENCH_SIZES"), *end;
	size_t nr = 0;

	if (!text) {
		memcpy(sizes, default_sizes, sizeof(default_sizes));
		return sizeof(default_sizes) / sizeof(*default_sizes);
	}
	while (*text && nr < max) {
		sizes[nr] = strtoul(text, &end, 0) << 10;
		if (!sizes[nr++] || end == text)
			errx(2, "BENCH_SIZES: sizes in KiB");
		text = end;
	}
	return nr;
}

int measure_reg(int argc, char **argv)
{
	struct ibv_pd *pd = open_device("rxe0");
	struct memory memory;
	size_t sizes[16], nr, i, largest = 0;
	char *kind, *leased;

	if (argc < 1)
		return 2;
	nr = parse_sizes(sizes, sizeof(sizes) / sizeof(*sizes));
	for (i = 0; i < nr; i++)
		largest = sizes[i] > largest ? sizes[i] : largest;
	kind = strdup(argv[0]);
	leased = strstr(kind, "-leased");
	if (leased)
		*leased = 0;
	map_memory(&memory, kind, argv[1], largest);
	if (leased || !strncmp(kind, "fsdax", 5))
		take_lease(leased ? make_file(argv[1], HUGE) : memory.fd,
			   F_LAYOUT | F_UNBREAK);
	for (i = 0; i < nr; i++)
		one_size(pd, &memory, argv[0], sizes[i]);
	unmap_memory(&memory);
	return 0;
}
