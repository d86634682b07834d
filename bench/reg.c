// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * reg KIND [FILE]: ibv_reg_mr() plus ibv_dereg_mr() of memory of one kind, for
 * regions from 4 KiB to 512 MiB. FS DAX memory is registered under a lease.
 *
 * BENCH_SIZES in the environment, in KiB, replaces the sizes.
 */
#include <err.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

static const size_t default_sizes[] = {
	4L << 10, 16L << 10, 64L << 10, 256L << 10, 2L << 20, 8L << 20,
	32L << 20, 128L << 20, 512L << 20,
};

/* More of the short ones: they differ more, see print(). */
static void one_size(struct ibv_pd *pd, const struct memory *memory,
		     size_t size)
{
	int nr = size <= 2L << 20 ? 601 : size <= 32L << 20 ? 61 :
		size <= 128L << 20 ? 15 : 7;
	struct series series = { };
	uint64_t start;
	int i;

	/* The first ones fill the caches. */
	for (i = -nr / 3; i < nr; i++) {
		start = now();
		dereg(reg(pd, memory->at, size));
		if (i >= 0)
			add(&series, now() - start);
	}
	print(&series, "reg", memory->kind, size);
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

	if (argc < 1)
		return 2;
	nr = parse_sizes(sizes, sizeof(sizes) / sizeof(*sizes));
	for (i = 0; i < nr; i++)
		largest = sizes[i] > largest ? sizes[i] : largest;
	map_memory(&memory, argv[0], argv[1], largest);
	if (!strncmp(argv[0], "fsdax", 5))
		take_lease(memory.fd, F_LAYOUT | F_UNBREAK);
	for (i = 0; i < nr; i++)
		one_size(pd, &memory, sizes[i]);
	unmap_memory(&memory);
	return 0;
}
