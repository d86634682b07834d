// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Rows of what was read: one for each process, owner and file; one for each lease
 * that no such row shows; one for each owner that no process has open.
 */
#define _GNU_SOURCE
#include <obstack.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lspins-data.h"

#define obstack_chunk_alloc malloc
#define obstack_chunk_free free

static bool is_deleted(const char *path)
{
	static const char end[] = " (deleted)";
	size_t len = strlen(path);

	return len >= strlen(end) && !strcmp(path + len - strlen(end), end);
}

/* Where the table in debugfs does not say: by path, or as the process has it. */
static struct file *pin_file(struct snapshot *snap, const struct pin *pin)
{
	struct file *file = NULL;

	if (!is_deleted(pin->path))
		file = file_at(snap, pin->path);
	if (!file)
		file = process_find(snap, pin->process, pin->path);
	return file ? file : file_unknown(snap, pin->path);
}

static struct row *add_row(struct snapshot *snap, struct process *process,
			   struct file *file)
{
	struct row *row = snap_alloc(snap, sizeof(*row));

	row->process = process;
	row->file = file;
	row->fd = -1;
	list_add(&snap->rows, row);
	return row;
}

/* A zombie is nothing but its pins, so their rows show it, whosever they are. */
static void set_lease(struct snapshot *snap, struct row *row, pid_t pid)
{
	struct lease *lease = row->file->known ?
			      lease_find(snap, row->file, pid) : NULL;

	row->lease = lease;
	if (lease && (lease->process == row->process ||
		      lease->state == STATE_ZOMBIE))
		lease->shown = true;
}

static void add_pin(struct snapshot *snap, struct pin *pin)
{
	struct group *group = group_find(snap, pin);
	struct row *row = add_row(snap, pin->process, group ? group->file :
				  pin_file(snap, pin));

	row->fd = pin->fd;
	row->owner = pin->owner;
	row->path = pin->path;
	row->group = group;
	row->number = group ? group->number : pin_number(pin);
	set_lease(snap, row, group ? group->pid : pin->process->pid);
}

static void add_group(struct snapshot *snap, struct group *group)
{
	struct row *row = add_row(snap, NULL, group->file);

	row->owner = group->owner;
	row->path = group->path;
	row->group = group;
	row->number = group->number;
	process_identify(snap, process_get(snap, group->pid));
	set_lease(snap, row, group->pid);
}

static void add_lease(struct snapshot *snap, struct lease *lease)
{
	struct row *row = add_row(snap, lease->process, lease->file);

	row->lease = lease;
}

static int row_compare(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	int order;

	if (!x->process != !y->process)
		return x->process ? -1 : 1;
	if (x->process && x->process != y->process)
		return x->process->pid < y->process->pid ? -1 : 1;
	if (!x->owner != !y->owner)
		return x->owner ? -1 : 1;
	if (x->fd != y->fd)	/* none of them last */
		return (unsigned int)x->fd < (unsigned int)y->fd ? -1 : 1;
	order = x->owner ? strcmp(x->owner, y->owner) : 0;
	if (!order)
		order = strcmp(x->path ? x->path : "", y->path ? y->path : "");
	if (!order && x->number != y->number)
		order = x->number < y->number ? -1 : 1;
	if (!order && x->file->ino != y->file->ino)
		order = x->file->ino < y->file->ino ? -1 : 1;
	return order;
}

/* The process that took a lease knows the file by a path; else any other does. */
static void name_leased(struct snapshot *snap)
{
	bool unnamed = false;
	struct lease *lease;
	size_t i;

	for (i = 0; i < snap->leases.nr; i++) {
		lease = snap->leases.item[i];
		if (!lease->file->path && lease->process->alive)
			process_opens(snap, lease->process);
		if (!lease->file->path && lease->state != STATE_ZOMBIE)
			unnamed = true;
	}
	if (unnamed)
		processes_open_all(snap);
}

static void join(struct snapshot *snap)
{
	struct row *row;
	size_t i;

	groups_mark(snap);
	for (i = 0; i < snap->pins.nr; i++)
		add_pin(snap, snap->pins.item[i]);
	for (i = 0; i < snap->groups.nr; i++)
		if (!((struct group *)snap->groups.item[i])->shown)
			add_group(snap, snap->groups.item[i]);
	for (i = 0; i < snap->leases.nr; i++)
		if (!((struct lease *)snap->leases.item[i])->shown)
			add_lease(snap, snap->leases.item[i]);
	name_leased(snap);
	for (i = 0; i < snap->rows.nr; i++) {
		row = snap->rows.item[i];
		if (!row->path)
			row->path = row->file->path;
	}
	list_sort(&snap->rows, row_compare);
	files_find_mounts(snap);
}

static void read_clock(struct snapshot *snap)
{
	char *text = read_text(snap, snap_printf(snap, "%s/proc/uptime",
						 snap->root));

	if (text)
		snap->uptime = strtod(text, NULL);
	text = read_text(snap, snap_printf(snap, "%s/proc/stat", snap->root));
	text = text ? strstr(text, "btime ") : NULL;
	if (text)
		snap->boot = strtoll(text + strlen("btime "), NULL, 10);
}

struct snapshot *snapshot_take(const char *root)
{
	struct snapshot *snap = calloc(1, sizeof(*snap));
	char *probe;

	if (!snap)
		abort();
	obstack_init(&snap->memory);
	snap->root = root;
	probe = snap_printf(snap, "%s/proc/sys/fs/layout-leases-enable", root);
	snap->supported = read_text(snap, probe);
	read_clock(snap);
	mounts_read(snap);
	processes_read(snap);
	regions_read(snap);
	leases_read(snap);
	rdma_read(snap);
	join(snap);
	return snap;
}

static void free_process(void *node)
{
	free(((struct process *)node)->opens.item);
	free(((struct process *)node)->claims.item);
}

void snapshot_free(struct snapshot *snap)
{
	struct list * const lists[] = { &snap->pins, &snap->groups,
		&snap->leases, &snap->mounts, &snap->mrs, &snap->rows };
	size_t i;

	tdestroy(snap->files, keep_node);
	tdestroy(snap->paths, keep_node);
	tdestroy(snap->processes, free_process);
	groups_free(snap);
	for (i = 0; i < sizeof(lists) / sizeof(*lists); i++)
		free(lists[i]->item);
	obstack_free(&snap->memory, NULL);
	free(snap);
}
