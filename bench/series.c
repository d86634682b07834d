// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Series of samples, and the line that is printed for one:
 *
 *	WHAT SUBJECT SIZE MINIMUM TYPICAL MAXIMUM SAMPLES
 *
 * separated by tabs. Typical is the mean without the tenth that is smallest and
 * the tenth that is largest. A timer tick, RCU that frees for thousands at once,
 * a flush of the journal fall into few samples: they are left out. That every
 * other operation finds a cache of the allocator empty is part of its cost: a
 * median would show either of both, by chance.
 */
#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

void add(struct series *series, uint64_t value)
{
	if (series->nr == MAX_SAMPLES)
		errx(1, "more than %d samples", MAX_SAMPLES);
	series->value[series->nr++] = value;
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static uint64_t typical(const uint64_t *v, int nr)
{
	int out = nr < 3 ? 0 : nr < 20 ? 1 : nr / 10, i;
	uint64_t sum = 0;

	for (i = out; i < nr - out; i++)
		sum += v[i];
	return sum / (nr - 2 * out);
}

void print(struct series *series, const char *what, const char *subject,
	   uint64_t size)
{
	uint64_t *v = series->value;
	int nr = series->nr;

	if (!nr)
		errx(1, "no samples of %s %s", what, subject);
	qsort(v, nr, sizeof(*v), compare);
	printf("%s\t%s\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%d\n",
	       what, subject, size, v[0], typical(v, nr), v[nr - 1], nr);
	fflush(stdout);
}

/* A loop of two instructions: tells whether the clock counts them. */
void check_clock(void)
{
	unsigned long loops = 1000000;
	uint64_t start = now(), took;

	asm volatile("1: dec %0; jnz 1b" : "+r"(loops) : : "cc");
	took = now() - start;
	if (took < 2000000 || took > 2100000)
		errx(1, "2000000 instructions took %" PRIu64
		     " ticks: not a machine of vm/run --icount", took);
}
