// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * measure GROUP ARGUMENT...: the program that bench/guest runs in the machine
 * under test. Prints one line for each figure, see series.c.
 */
#include <stdio.h>
#include <string.h>

#include "bench.h"

static const struct group {
	const char *name;
	int (*measure)(int argc, char **argv);
	bool counts;	/* needs a clock that counts instructions */
} groups[] = {
	{ "reg", measure_reg, true },
	{ "path", measure_path, true },
	{ "regions", measure_regions, true },
	{ "pins", measure_pins, true },
	{ "scan", measure_scan, true },
	{ "threads", measure_threads, false },
};

int main(int argc, char **argv)
{
	const struct group *group = groups;
	const struct group *end = groups + sizeof(groups) / sizeof(*groups);

	for (; argc > 1 && group < end; group++) {
		if (strcmp(group->name, argv[1]))
			continue;
		if (group->counts)
			check_clock();
		return group->measure(argc - 2, argv + 2);
	}
	fputs("Usage: measure GROUP ARGUMENT..., see bench/guest\n", stderr);
	return 2;
}
