/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of the measuring program share: the clock, series of samples,
 * memory to register, the RDMA device.
 *
 * Time is the time stamp counter. In a machine started with vm/run --icount it
 * counts instructions, whoever executes them: the program's own between two
 * readings are fewer than ten.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <infiniband/verbs.h>
#include <x86intrin.h>

#include "layout_lease.h"

#define PAGE	4096L
#define HUGE	(2L << 20)
#define MAX_SAMPLES	2048

struct series {
	int nr;
	uint64_t value[MAX_SAMPLES];
};

struct memory {
	const char *kind;
	char *at;
	size_t size;
	int fd;		/* -1 if there is no file */
};

static inline uint64_t now(void)
{
	return __rdtsc();
}

/* series.c */
void add(struct series *series, uint64_t value);
void print(struct series *series, const char *what, const char *subject,
	   uint64_t size);
void check_clock(void);

/* memory.c */
void map_memory(struct memory *memory, const char *kind, const char *path,
		size_t size);
void unmap_memory(struct memory *memory);
int make_file(const char *path, size_t size);
void take_lease(int fd, int kind);

/* rdma.c */
struct ibv_pd *open_device(const char *name);
struct ibv_mr *reg(struct ibv_pd *pd, void *at, size_t size);
void dereg(struct ibv_mr *mr);

/* One for each group of rows; argv is what follows the name of the group. */
int measure_reg(int argc, char **argv);
int measure_path(int argc, char **argv);
int measure_regions(int argc, char **argv);
int measure_scan(int argc, char **argv);
int measure_pins(int argc, char **argv);
int measure_threads(int argc, char **argv);

#endif /* BENCH_H */
