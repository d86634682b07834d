/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What lspins knows at one moment. Everything read belongs to a snapshot and goes
 * with it; -w makes one snapshot after the other.
 *
 * The readers (process, region, lease, rdma) fill lists, lspins-join.c makes rows
 * of them, lspins-table.c and lspins-explain.c show rows.
 */
#ifndef LSPINS_DATA_H
#define LSPINS_DATA_H

#include <obstack.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* What has no descriptor: the mm, and how a process has an owner without one. */
enum { FD_MM = -1, FD_VMA = -2, FD_IO_URING = -3 };

enum { EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_NOTHING = 3 };

typedef int (*compare_fn)(const void *a, const void *b);

struct list {
	void **item;
	size_t nr;
	size_t max;
};

/* A file by device and inode. What nobody could stat has @known false. */
struct file {
	dev_t dev;
	ino_t ino;
	bool known;
	const char *path;		/* or NULL */
	const struct mount *mount;	/* or NULL */
	unsigned int nr_unbreak;	/* unbreakable leases, of which */
	struct lease *unbreak;		/* this is one */
};

struct mount {
	dev_t dev;
	const char *type;
	const char *target;
};

/* Owner number @number has this paragraph of file_pins, and so no other. */
struct claim {
	unsigned int table;
	uint64_t number;
};

/* A descriptor for, or a mapping of, a file. */
struct open_file {
	struct file *file;
	const char *path;
	int fd;				/* -1: mapped */
};

struct process {
	pid_t pid;
	pid_t thread;			/* one that lives where the first has ended */
	bool alive;			/* exists and has not exited */
	bool has_uid;
	bool opens_read;
	bool opens_denied;
	uid_t uid;
	double start;			/* seconds since boot */
	const char *command;		/* or NULL */
	struct list opens;		/* struct open_file, by path */
	struct list claims;
};

/* One line of a file_pins: a file pinned through a descriptor or by the mm. */
struct pin {
	struct process *process;
	int fd;				/* or an FD_ constant */
	unsigned int table;		/* number of the owner's paragraph */
	const char *owner;		/* path, or "mm" */
	const char *path;
};

/* Bytes of a file. */
struct range {
	uint64_t first, last;
};

/* The regions of one process, owner and file. */
struct group {
	const char *raw;		/* as the lines of the table end */
	const char *owner;		/* path, or "mm" */
	const char *path;
	struct file *file;
	pid_t pid;			/* which pinned */
	uint64_t number;		/* of the owner; 0: unknown */
	struct range *ranges;		/* one for each region */
	size_t nr, max;
	uint64_t bytes;
	uint64_t end;			/* behind the last one */
	double since;			/* the oldest, in seconds since boot */
	unsigned int table;		/* where it was last met */
	bool certain;			/* whose it is */
	bool shown;
	bool counted;			/* of a path's first group only: */
	size_t nr_rest;			/* those that are not certain, of which */
	struct group *rest;		/* this is one */
};

enum lease_kind { LEASE_SHARED, LEASE_UNBREAK, LEASE_EXCLUSIVE };
enum lease_state { STATE_ACTIVE, STATE_BREAKING, STATE_ZOMBIE };

struct lease {
	struct file *file;
	struct process *process;	/* that took it; may have ended */
	enum lease_kind kind;
	enum lease_state state;
	bool shown;
};

struct row {
	struct process *process;	/* NULL: in no descriptor table */
	int fd;				/* or an FD_ constant */
	const char *owner;		/* NULL: a lease without pins */
	uint64_t number;		/* of the owner; 0: unknown */
	const char *path;		/* NULL: unknown */
	struct file *file;
	struct lease *lease;		/* or NULL */
	struct group *group;		/* NULL: ranges unknown, or a lease */
};

struct mr_count {
	const char *device;
	pid_t pid;
	unsigned long nr;
};

struct snapshot {
	struct obstack memory;
	const char *root;
	double uptime;
	time_t boot;			/* 0: unknown */
	bool supported;			/* the kernel has layout leases */
	bool regions_read;
	int regions_error;		/* errno where they are not */
	bool rdma_read;			/* how many memory regions there are */
	unsigned int unreadable;	/* processes */
	void *files, *paths, *processes;	/* of tsearch(3) */
	struct list pins, groups, leases, mounts, mrs, rows;
};

/* lspins-util.c */
void keep_node(void *node);
void list_add(struct list *list, void *item);
void list_sort(struct list *list, compare_fn compare);
size_t list_find(const struct list *list, const void *key, compare_fn compare);
void *snap_alloc(struct snapshot *snap, size_t size);
char *snap_copy(struct snapshot *snap, const char *text);
__attribute__((format(printf, 2, 3)))
char *snap_printf(struct snapshot *snap, const char *format, ...);
char *read_text(struct snapshot *snap, const char *path);
void unescape(char *text, const char *what);
const char *human_size(struct snapshot *snap, uint64_t bytes);
const char *time_text(struct snapshot *snap, double since);

/* lspins-file.c */
struct file *file_get(struct snapshot *snap, dev_t dev, ino_t ino);
struct file *file_at(struct snapshot *snap, const char *path);
struct file *file_unknown(struct snapshot *snap, const char *path);
void mounts_read(struct snapshot *snap);
void files_find_mounts(struct snapshot *snap);

/* lspins-process.c */
struct process *process_get(struct snapshot *snap, pid_t pid);
void process_identify(struct snapshot *snap, struct process *process);
const char *process_dir(struct snapshot *snap, const struct process *process);
bool process_since(const struct process *process, double since);
const char *process_user(struct snapshot *snap, const struct process *process);
void processes_read(struct snapshot *snap);
uint64_t pin_number(const struct pin *pin);
bool pin_may_be(const struct pin *pin, uint64_t number);
void pin_is(struct snapshot *snap, const struct pin *pin, uint64_t number);

/* lspins-open.c */
void process_opens(struct snapshot *snap, struct process *process);
struct file *process_find(struct snapshot *snap, struct process *process,
			  const char *path);
void processes_open_all(struct snapshot *snap);
bool fd_has_lease(struct snapshot *snap, const struct process *process,
		  int fd, const struct lease *lease);

/* lspins-region.c */
void regions_read(struct snapshot *snap);
struct group *group_find(struct snapshot *snap, const struct pin *pin);
void groups_mark(struct snapshot *snap);
void groups_free(struct snapshot *snap);
char *group_ranges(struct snapshot *snap, const struct group *group,
		   char between);

/* lspins-lease.c */
bool lease_parse(char *line, struct lease *lease, pid_t *pid, dev_t *dev,
		 ino_t *ino);
void leases_read(struct snapshot *snap);
struct lease *lease_find(struct snapshot *snap, const struct file *file,
			 pid_t pid);
const char *lease_kind_name(const struct lease *lease);
const char *lease_state_name(const struct lease *lease);

/* lspins-owner.c */
const char *owner_short(const char *owner);
const char *owner_ends(const char *owner);

/* lspins-rdma.c */
void rdma_read(struct snapshot *snap);
const char *rdma_device(struct snapshot *snap, const char *owner);
unsigned long rdma_mrs(struct snapshot *snap, const char *device, pid_t pid);

/* lspins-join.c */
struct snapshot *snapshot_take(const char *root);
void snapshot_free(struct snapshot *snap);

/* lspins-table.c */
struct table_options {
	bool json, raw, noheadings, bytes;
};

bool columns_parse(const char *list);
void columns_all(void);
void columns_list(FILE *to);
char *table_print(struct snapshot *snap, const struct list *rows,
		  const struct table_options *opt);

/* lspins-explain.c */
bool explain(struct snapshot *snap, const char *name, const struct list *rows);

#endif
