/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the kernel's allocator has handed out, and how long things take: for
 * scale.c, which compares them between few and many, and between memory of files
 * and other memory.
 */
#ifndef LAYOUT_PIN_SCALE_H
#define LAYOUT_PIN_SCALE_H

#include <sys/resource.h>

/* Bytes. Caches of kmalloc by the size in their name, debugging aside. */
struct slab {
	long kmalloc;
	long all;
};

static inline long size_in_name(const char *name)
{
	const char *number = strrchr(name, '-');
	char *unit;
	long size;

	if (strncmp(name, "kmalloc", 7) || !number)
		return 0;
	size = strtol(number + 1, &unit, 10);
	return *unit == 'k' ? size << 10 : *unit == 'M' ? size << 20 : size;
}

/* Objects that are freed by RCU, or kept for a processor, are in there, too. */
static inline struct slab slab_now(void)
{
	FILE *file = fopen("/proc/slabinfo", "re");
	long active, pages, slabs;
	struct slab slab = { };
	char line[512], name[64], *rest;

	while (file && fgets(line, sizeof(line), file)) {
		rest = strstr(line, "slabdata");
		if (!rest || sscanf(rest, "slabdata %*d %ld", &slabs) != 1 ||
		    sscanf(line, "%63s %ld %*d %*d %*d %ld", name, &active,
			   &pages) != 3)
			continue;
		slab.kmalloc += active * size_in_name(name);
		slab.all += slabs * pages * PAGE;
	}
	if (file)
		fclose(file);
	return slab;
}

static inline struct slab slab_since(struct slab before)
{
	struct slab now = slab_now();

	return (struct slab){ now.kmalloc - before.kmalloc, now.all - before.all };
}

/* Each object for itself; 300 of them may be kept beside those in use. */
static inline double per_object(long bytes, long nr)
{
	return (double)bytes / nr;
}

static inline double slack(long nr, long size)
{
	return 300.0 * size / nr;
}

/* As many descriptors as are asked for, beside those that are open. */
static inline int allow_descriptors(long nr)
{
	struct rlimit limit;
	FILE *file = fopen("/proc/sys/fs/nr_open", "we");

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur += nr;
	limit.rlim_max += nr;
	if (!file || fprintf(file, "%ld\n", nr < 1000000 ? 1048576 : 2 * nr) < 0 ||
	    fclose(file))
		return EINVAL;
	return setrlimit(RLIMIT_NOFILE, &limit) ? errno : 0;
}

static inline long faults_now(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt + usage.ru_majflt;
}

/* The first and the last tenth of many, in seconds. */
struct tenths {
	double start;
	double first, last;
};

static inline void tenth(struct tenths *tenths, long i, long nr)
{
	if (i == 0 || i == nr - nr / 10)
		tenths->start = seconds();
	if (i == nr / 10 - 1)
		tenths->first = seconds() - tenths->start;
	if (i == nr - 1)
		tenths->last = seconds() - tenths->start;
}

#endif /* LAYOUT_PIN_SCALE_H */
