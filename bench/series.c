// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Series of samples, and the line that is printed for one:
 *
 *	WHAT SUBJECT SIZE MINIMUM MEDIAN MAXIMUM SAMPLES
 *
 * separated by tabs. The report takes the median: a timer tick or a flush of
 * the journal falls into few of the samples.
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

void print(struct series *series, const char *what, const char *subject,
	   uint64_t size)
{
	uint64_t *v = series->value;
	int nr = series->nr;

	if (!nr)
		errx(1, "no samples of %s %s", what, subject);
	qsort(v, nr, sizeof(*v), compare);
	printf("%s\t%s\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%d\n",
	       what, subject, size, v[0], v[nr / 2], v[nr - 1], nr);
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
