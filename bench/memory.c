// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Memory of each kind, mapped, touched, and made sure to be mapped by pages of
 * the size that its name says: by the number of faults that touching it took.
 */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench.h"

/* How to map what; files are by name. */
static const struct kind {
	const char *name;
	int flags;
	int advice;
	bool huge;
	bool file;
} kinds[] = {
	{ "anon", MAP_PRIVATE | MAP_ANONYMOUS, MADV_NOHUGEPAGE, false, false },
	{ "thp", MAP_PRIVATE | MAP_ANONYMOUS, MADV_HUGEPAGE, true, false },
	{ "shmem", MAP_SHARED | MAP_ANONYMOUS, MADV_NORMAL, false, false },
	{ "hugetlb", MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, MADV_NORMAL,
	  true, false },
	{ "devdax", MAP_SHARED, MADV_NORMAL, true, true },
	{ "fsdax-2m", MAP_SHARED, MADV_NORMAL, true, true },
	{ "fsdax-4k", MAP_SHARED, MADV_NORMAL, false, true },
};

static const struct kind *find_kind(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (!strcmp(kinds[i].name, name))
			return &kinds[i];
	errx(2, "no memory of kind '%s'", name);
}

int make_file(const char *path, size_t size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || fallocate(fd, 0, 0, size))
		err(1, "%s", path);
	return fd;
}

void take_lease(int fd, int kind)
{
	if (fcntl(fd, F_SETLEASE, kind))
		err(1, "no layout lease");
}

static void touch(const struct memory *memory, long expected)
{
	struct rusage before, after;
	long faults;
	size_t i;

	getrusage(RUSAGE_SELF, &before);
	for (i = 0; i < memory->size; i += PAGE)
		memory->at[i] = 1;
	getrusage(RUSAGE_SELF, &after);
	faults = after.ru_minflt + after.ru_majflt -
		before.ru_minflt - before.ru_majflt;
	if (faults < expected || faults > expected + expected / 64 + 4)
		errx(1, "%s: touching %zu bytes took %ld faults, not %ld",
		     memory->kind, memory->size, faults, expected);
}

static void use_up(size_t size, int flags, int advice)
{
	char *at = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
	size_t i;

	if (at == MAP_FAILED || (advice != MADV_NORMAL && madvise(at, size, advice)))
		err(1, "mmap");
	for (i = 0; i < size; i += PAGE)
		at[i] = 1;
}

/* The number of a page frame. */
static uint64_t frame(const void *at)
{
	uint64_t entry;
	int fd = open("/proc/self/pagemap", O_RDONLY);

	if (pread(fd, &entry, sizeof(entry), (uintptr_t)at / PAGE * 8) != 8)
		err(1, "pagemap");
	close(fd);
	return entry & ((1ULL << 55) - 1);
}

struct huge_page {
	uint64_t frame;
	char *at;
};

static int compare_frames(const void *a, const void *b)
{
	const struct huge_page *x = a, *y = b;

	return (x->frame > y->frame) - (x->frame < y->frame);
}

/* Where the fewest of these do not follow physically the one before. */
static struct huge_page *best_run(struct huge_page *page, size_t nr, size_t wanted)
{
	size_t i, j, breaks, best = wanted, found = 0;

	for (i = 0; i + wanted <= nr; i++) {
		for (breaks = 0, j = i + 1; j < i + wanted; j++)
			breaks += page[j].frame != page[j - 1].frame + HUGE / PAGE;
		if (breaks < best) {
			best = breaks;
			found = i;
		}
	}
	return page + found;
}

/*
 * Anonymous huge pages at @at that follow each other as well as the blocks of a
 * file do: out of half as many again, put into order. The allocator itself would
 * hand them out in pairs, in one machine more than in another.
 */
static void map_in_order(char *at, size_t size)
{
	size_t wanted = size / HUGE, nr = wanted + wanted / 2 + 1, i;
	struct huge_page *page = calloc(nr, sizeof(*page)), *run;
	char *area = aligned_alloc(HUGE, nr * HUGE);

	if (!page || !area || madvise(area, nr * HUGE, MADV_HUGEPAGE))
		err(1, "huge pages");
	for (i = 0; i < nr; i++) {
		page[i].at = area + i * HUGE;
		page[i].at[0] = 1;
		page[i].frame = frame(page[i].at);
	}
	qsort(page, nr, sizeof(*page), compare_frames);
	run = best_run(page, nr, wanted);
	for (i = 0; i < wanted; i++)
		if (mremap(run[i].at, HUGE, HUGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			   at + i * HUGE) == MAP_FAILED)
			err(1, "mremap");
}

/*
 * What the allocator hands out first is what others had before, in another order
 * in each machine, and pages that follow each other physically are cheaper to
 * register. So all that may have been used is taken away, in large pieces, then
 * small ones; it is not freed before exit.
 */
static void use_up_used(const struct kind *kind)
{
	use_up(1024L << 20, MAP_PRIVATE | MAP_ANONYMOUS, MADV_HUGEPAGE);
	use_up(128L << 20, kind->flags, kind->advice);
}

/*
 * The same for the nodes of XArrays, of which a registration takes and frees a few,
 * under RCU: slabs of them that others had left half empty would last for a while.
 * Each page of a sparse file has a node to itself.
 */
static void use_up_nodes(void)
{
	int fd = memfd_create("nodes", 0), i;

	for (i = 0; i < 4096; i++)
		if (pwrite(fd, "", 1, i * 64 * PAGE) != 1)
			err(1, "memfd");
}

/* A file is mapped congruently to 2 MiB, or just not, to get small entries. */
void map_memory(struct memory *memory, const char *name, const char *path,
		size_t size)
{
	const struct kind *kind = find_kind(name);
	size_t room = (size + HUGE - 1) / HUGE * HUGE;
	char *area, *at;

	area = mmap(NULL, room + 2 * HUGE, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (area == MAP_FAILED)
		err(1, "mmap");
	at = (char *)(((uintptr_t)area + HUGE - 1) & ~(HUGE - 1));
	if (!kind->huge)
		at += PAGE;
	if (!kind->file && !(kind->flags & MAP_HUGETLB))
		use_up_used(kind);
	use_up_nodes();
	*memory = (struct memory){ .kind = name, .size = size, .fd = -1 };
	if (kind->file) {
		memory->fd = strcmp(name, "devdax") ? make_file(path, room) :
			open(path, O_RDWR);
		if (memory->fd < 0)
			err(1, "%s", path);
	}
	if (kind->advice == MADV_HUGEPAGE) {
		memory->at = at;
		map_in_order(at, room);
		touch(memory, 0);	/* all there, and huge */
		return;
	}
	memory->at = mmap(at, room, PROT_READ | PROT_WRITE,
			  kind->flags | MAP_FIXED, memory->fd, 0);
	if (memory->at == MAP_FAILED)
		err(1, "%s: mmap", name);
	if (kind->advice != MADV_NORMAL && madvise(at, room, kind->advice))
		err(1, "%s: madvise", name);
	touch(memory, size / (kind->huge ? HUGE : PAGE));
}

void unmap_memory(struct memory *memory)
{
	munmap(memory->at, memory->size);
	if (memory->fd >= 0)
		close(memory->fd);
}
