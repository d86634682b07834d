// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The table: a new column is a row of columns[] and a case of cell().
 */
#define _GNU_SOURCE
#include <err.h>
#include <inttypes.h>
#include <libsmartcols.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "lspins-data.h"

enum column {
	COL_COMMAND, COL_PID, COL_USER, COL_OWNER, COL_PATH, COL_INODE,
	COL_MAJMIN, COL_FSTYPE, COL_MOUNT, COL_LEASE, COL_STATE, COL_PINNED,
	COL_REGIONS, COL_RANGES, COL_SINCE, COL_PINNER, COL_OWNERID, COL_RDMA,
	COL_MRS,
	NR_COLUMNS
};

static const struct {
	const char *name;
	double width;
	int flags;
	int json;
	const char *help;
} columns[NR_COLUMNS] = {
	[COL_COMMAND] = { "COMMAND", 8, 0, SCOLS_JSON_STRING,
		"command of the process" },
	[COL_PID] = { "PID", 5, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER,
		"process that has the owner open, or that took the lease" },
	[COL_USER] = { "USER", 4, 0, SCOLS_JSON_STRING,
		"user of the process" },
	[COL_OWNER] = { "OWNER", 8, SCOLS_FL_WRAP, SCOLS_JSON_STRING,
		"through what it is pinned: descriptor and path, or mm" },
	[COL_PATH] = { "PATH", 0.3, SCOLS_FL_WRAP, SCOLS_JSON_STRING,
		"file that is pinned or leased" },
	[COL_INODE] = { "INODE", 5, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER,
		"inode number of the file" },
	[COL_MAJMIN] = { "MAJ:MIN", 7, 0, SCOLS_JSON_STRING,
		"device of the file, decimal" },
	[COL_FSTYPE] = { "FSTYPE", 4, 0, SCOLS_JSON_STRING,
		"type of the file system" },
	[COL_MOUNT] = { "MOUNTPOINT", 0.2, SCOLS_FL_WRAP, SCOLS_JSON_STRING,
		"where the file system is mounted" },
	[COL_LEASE] = { "LEASE", 6, 0, SCOLS_JSON_STRING,
		"kind of the layout lease: shared, unbreak or exclusive" },
	[COL_STATE] = { "STATE", 6, 0, SCOLS_JSON_STRING,
		"state of the lease: active, breaking or zombie" },
	[COL_PINNED] = { "PINNED", 5, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER,
		"bytes of the file that are pinned" },
	[COL_REGIONS] = { "REGIONS", 3, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER,
		"number of pinned regions" },
	[COL_RANGES] = { "RANGES", 11, SCOLS_FL_WRAP, SCOLS_JSON_ARRAY_STRING,
		"pinned bytes, first to last" },
	[COL_SINCE] = { "SINCE", 24, 0, SCOLS_JSON_STRING,
		"when the oldest region was pinned" },
	[COL_PINNER] = { "PINNER", 5, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER,
		"process that pinned, which may have ended" },
	[COL_OWNERID] = { "OWNERID", 2, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER,
		"number of the owner, which is its own since boot" },
	[COL_RDMA] = { "RDMA", 4, 0, SCOLS_JSON_STRING,
		"RDMA device of the owner" },
	[COL_MRS] = { "MRS", 3, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER,
		"memory regions that the process has on the RDMA device" },
};

static enum column chosen[NR_COLUMNS] = {
	COL_COMMAND, COL_PID, COL_USER, COL_OWNER, COL_PATH, COL_LEASE,
	COL_STATE, COL_PINNED,
};
static size_t nr_chosen = 8;

static bool choose(const char *name, size_t len)
{
	size_t i, j;

	for (i = 0; i < NR_COLUMNS; i++)
		if (!strncasecmp(columns[i].name, name, len) &&
		    !columns[i].name[len])
			break;
	if (i == NR_COLUMNS)
		return false;
	for (j = 0; j < nr_chosen; j++)
		if (chosen[j] == i)
			return true;
	chosen[nr_chosen++] = i;
	return true;
}

/* "PID,PATH" instead of the usual ones, "+PID,PATH" after them. */
bool columns_parse(const char *list)
{
	size_t len;

	if (*list == '+')
		list++;
	else
		nr_chosen = 0;
	for (;; list += len + 1) {
		len = strcspn(list, ",");
		if (!len || !choose(list, len))
			return false;
		if (!list[len])
			return true;
	}
}

void columns_all(void)
{
	for (nr_chosen = 0; nr_chosen < NR_COLUMNS; nr_chosen++)
		chosen[nr_chosen] = nr_chosen;
}

void columns_list(FILE *to)
{
	size_t i;

	for (i = 0; i < NR_COLUMNS; i++)
		fprintf(to, "%-10s  %s\n", columns[i].name, columns[i].help);
}

static const char *owner_text(struct snapshot *snap, const struct row *row)
{
	const char *owner = owner_short(row->owner);

	if (owner && row->fd >= 0)
		return snap_printf(snap, "%d:%s", row->fd, owner);
	if (owner && row->fd != FD_MM)
		return snap_printf(snap, "%s:%s", row->fd == FD_VMA ? "vma" :
				   "io_uring", owner);
	return owner;
}

static const char *mrs_text(struct snapshot *snap, const struct row *row)
{
	const char *device = rdma_device(snap, row->owner);

	if (!device || !row->process || !snap->rdma_read)
		return NULL;
	return snap_printf(snap, "%lu", rdma_mrs(snap, device, row->process->pid));
}

/* Columns about what is pinned, known where the table in debugfs is. */
static const char *group_cell(struct snapshot *snap, const struct group *group,
			      enum column column, const struct table_options *opt)
{
	switch (column) {
	case COL_PINNED:
		if (opt->bytes || opt->json)
			return snap_printf(snap, "%" PRIu64, group->bytes);
		return human_size(snap, group->bytes);
	case COL_REGIONS:
		return snap_printf(snap, "%zu", group->nr);
	case COL_RANGES:
		return group_ranges(snap, group, opt->raw ? ',' : '\n');
	case COL_SINCE:
		return time_text(snap, group->since);
	case COL_PINNER:
		return snap_printf(snap, "%d", group->pid);
	default:
		return NULL;
	}
}

static const char *file_cell(struct snapshot *snap, const struct file *file,
			     enum column column)
{
	if (!file->known)
		return NULL;
	switch (column) {
	case COL_INODE:
		return snap_printf(snap, "%ju", (uintmax_t)file->ino);
	case COL_MAJMIN:
		return snap_printf(snap, "%u:%u", major(file->dev),
				   minor(file->dev));
	case COL_FSTYPE:
		return file->mount ? file->mount->type : NULL;
	case COL_MOUNT:
		return file->mount ? file->mount->target : NULL;
	default:
		return NULL;
	}
}

/* NULL: unknown, or there is no such thing. */
static const char *cell(struct snapshot *snap, const struct row *row,
			enum column column, const struct table_options *opt)
{
	const struct process *process = row->process;

	switch (column) {
	case COL_COMMAND:
		return process ? process->command : NULL;
	case COL_PID:
		return process ? snap_printf(snap, "%d", process->pid) : NULL;
	case COL_USER:
		return process && process->has_uid ?
		       process_user(snap, process) : NULL;
	case COL_OWNER:
		return owner_text(snap, row);
	case COL_PATH:
		return row->path;
	case COL_LEASE:
		return row->lease ? lease_kind_name(row->lease) : NULL;
	case COL_STATE:
		return row->lease ? lease_state_name(row->lease) : NULL;
	case COL_OWNERID:
		return row->number ? snap_printf(snap, "%" PRIu64, row->number) :
		       NULL;
	case COL_RDMA:
		return rdma_device(snap, row->owner);
	case COL_MRS:
		return mrs_text(snap, row);
	case COL_INODE:
	case COL_MAJMIN:
	case COL_FSTYPE:
	case COL_MOUNT:
		return file_cell(snap, row->file, column);
	default:
		return row->group ? group_cell(snap, row->group, column, opt) :
		       NULL;
	}
}

static void add_columns(struct libscols_table *table,
			const struct table_options *opt)
{
	struct libscols_column *column;
	size_t i;

	for (i = 0; i < nr_chosen; i++) {
		column = scols_table_new_column(table, columns[chosen[i]].name,
						columns[chosen[i]].width,
						columns[chosen[i]].flags);
		if (!column)
			err(EXIT_FAILED, NULL);
		if (opt->json)
			scols_column_set_json_type(column, columns[chosen[i]].json);
		if (chosen[i] != COL_RANGES || opt->raw)
			continue;
		scols_column_set_wrapfunc(column, scols_wrapnl_chunksize,
					  scols_wrapnl_nextchunk, NULL);
		scols_column_set_safechars(column, "\n");
	}
}

static void add_line(struct snapshot *snap, struct libscols_table *table,
		     const struct row *row, const struct table_options *opt)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	const char *data;
	size_t i;

	if (!line)
		err(EXIT_FAILED, NULL);
	for (i = 0; i < nr_chosen; i++) {
		data = cell(snap, row, chosen[i], opt);
		if (!data && !opt->json)
			data = "-";
		if (data && scols_line_set_data(line, i, data))
			err(EXIT_FAILED, NULL);
	}
}

/* The rows as text, to be freed. */
char *table_print(struct snapshot *snap, const struct list *rows,
		  const struct table_options *opt)
{
	struct libscols_table *table = scols_new_table();
	char *text = NULL;
	size_t i;

	if (!table)
		err(EXIT_FAILED, NULL);
	scols_table_set_name(table, "lspins");
	scols_table_enable_json(table, opt->json);
	scols_table_enable_raw(table, opt->raw);
	scols_table_enable_noheadings(table, opt->noheadings);
	add_columns(table, opt);
	for (i = 0; i < rows->nr; i++)
		add_line(snap, table, rows->item[i], opt);
	if (scols_print_table_to_string(table, &text))
		errx(EXIT_FAILED, "cannot make the table");
	scols_unref_table(table);
	return text;
}
