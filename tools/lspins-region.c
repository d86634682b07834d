// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pinned ranges, from the table in debugfs that only root may read.
 *
 * The table names the process that pinned, file_pins the processes that have the
 * owner open. Usually these are the same.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "lspins-data.h"

static const char table_path[] = "/sys/kernel/debug/layout_pin/pins";
static const char escaped[] = " \t\n\\";

/* By owner, path and process, then by file: paths are not unique. */
static int group_key_compare(const struct region *x, const struct region *y)
{
	int order = strcmp(x->owner, y->owner);

	if (!order)
		order = strcmp(x->path, y->path);
	if (order)
		return order;
	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

static int group_file_compare(const struct region *x, const struct region *y)
{
	int order = group_key_compare(x, y);

	if (order || x->file == y->file)
		return order;
	if (x->file->dev != y->file->dev)
		return x->file->dev < y->file->dev ? -1 : 1;
	return x->file->ino < y->file->ino ? -1 : 1;
}

int region_compare(const void *a, const void *b)
{
	const struct region *x = a, *y = b;
	int order = group_file_compare(x, y);

	if (order)
		return order;
	return x->first < y->first ? -1 : x->first > y->first;
}

/*
 * "103:00:12 4096-12287 pid 812 since 5230 owner 7 PATH file PATH". The number of the
 * owner, which no path begins with, was not always there.
 */
static bool parse_region(struct snapshot *snap, char *line, struct region *region)
{
	unsigned int major, minor;
	unsigned long inode;
	int owner = 0;
	char *path;

	if (sscanf(line, "%x:%x:%lu %" SCNu64 "-%" SCNu64
			 " pid %d since %lf owner %n", &major, &minor, &inode,
		   &region->first, &region->last, &region->pid, &region->since,
		   &owner) != 7 || !owner ||
	    region->last < region->first)
		return false;
	owner += strspn(line + owner, "0123456789");
	owner += line[owner] == ' ';
	path = strstr(line + owner, " file ");
	if (!path)
		return false;
	*path = 0;
	path += strlen(" file ");
	unescape(line + owner, escaped);
	unescape(path, escaped);
	region->owner = line + owner;
	region->path = path;
	region->file = file_get(snap, makedev(major, minor), inode);
	if (!region->file->path)
		region->file->path = path;
	return true;
}

static struct group *new_group(struct snapshot *snap, size_t start)
{
	struct group *group = snap_alloc(snap, sizeof(*group));

	group->one = snap->regions.item[start];
	group->start = start;
	group->since = group->one->since;
	list_add(&snap->groups, group);
	return group;
}

/* Regions may overlap; what two of them pin is counted once. */
static void make_groups(struct snapshot *snap)
{
	struct group *group = NULL;
	struct region *region;
	uint64_t from, end = 0;
	size_t i;

	for (i = 0; i < snap->regions.nr; i++) {
		region = snap->regions.item[i];
		if (!group || group_file_compare(group->one, region)) {
			group = new_group(snap, i);
			end = 0;
		}
		from = region->first > end ? region->first : end;
		if (region->last + 1 > from) {
			group->bytes += region->last + 1 - from;
			end = region->last + 1;
		}
		if (region->since < group->since)
			group->since = region->since;
		group->nr++;
	}
}

void regions_read(struct snapshot *snap)
{
	char *path = snap_printf(snap, "%s%s", snap->root, table_path);
	char *text = read_text(snap, path), *line;
	struct region *region;
	unsigned int bad = 0;

	if (!text) {
		snap->regions_error = errno;
		if (errno != ENOENT && errno != EACCES && errno != EPERM)
			warn("%s", path);
		return;
	}
	snap->regions_read = true;
	while ((line = strsep(&text, "\n"))) {
		region = snap_alloc(snap, sizeof(*region));
		if (parse_region(snap, line, region))
			list_add(&snap->regions, region);
		else if (*line)
			bad++;
	}
	if (bad)
		warnx("%s: %u lines are not understood", path, bad);
	list_sort(&snap->regions, region_compare);
	make_groups(snap);
}

static int group_compare(const void *a, const void *b)
{
	const struct group *x = a, *y = b;

	return group_key_compare(x->one, y->one);
}

static bool same_path(const struct group *a, const struct region *b)
{
	return !strcmp(a->one->owner, b->owner) && !strcmp(a->one->path, b->path);
}

/* One file has one line in an owner's paragraph, so take each group once. */
static struct group *take(struct group *group, const struct pin *pin)
{
	if (group->table == pin->table)
		return NULL;
	group->table = pin->table;
	group->shown = true;
	return group;
}

static struct group *group_exact(struct snapshot *snap, const struct pin *pin)
{
	struct region one = { .owner = pin->owner, .path = pin->path,
			      .pid = pin->process->pid };
	struct group key = { .one = &one }, *group;
	size_t i = list_find(&snap->groups, &key, group_compare);

	for (; i < snap->groups.nr; i++) {
		group = snap->groups.item[i];
		if (group_compare(group, &key))
			break;
		if (take(group, pin))
			return group;
	}
	return NULL;
}

/* Counts once for all of a path: whose process does not have the owner open? */
static void count_rest(struct snapshot *snap, size_t at)
{
	struct group *first = snap->groups.item[at], *group;
	bool one_pid;
	size_t end;

	for (end = at; end < snap->groups.nr; end++) {
		group = snap->groups.item[end];
		if (!same_path(group, first->one))
			break;
		if (group->exact)
			continue;
		group->shown = true;
		first->nr_rest++;
		first->rest = group;
	}
	group = snap->groups.item[end - 1];
	one_pid = group->one->pid == first->one->pid;
	if (!first->nr_rest && one_pid) {
		first->nr_rest = 1;
		first->rest = group;
	}
	first->counted = true;
}

/*
 * The regions behind a line of file_pins; NULL if several come into question, as
 * when two processes passed descriptors of the same path.
 */
struct group *group_find(struct snapshot *snap, const struct pin *pin)
{
	struct region one = { .owner = pin->owner, .path = pin->path,
			      .pid = -1 };
	struct group key = { .one = &one };
	struct group *group = group_exact(snap, pin);
	size_t at;

	if (group)
		return group;
	at = list_find(&snap->groups, &key, group_compare);
	if (at == snap->groups.nr || !same_path(snap->groups.item[at], &one))
		return NULL;
	group = snap->groups.item[at];
	if (!group->counted)
		count_rest(snap, at);
	return group->nr_rest == 1 ? group->rest : NULL;
}

/* Before the first group_find(): which groups are their own process's? */
void groups_mark(struct snapshot *snap)
{
	struct group *group;
	size_t i;

	for (i = 0; i < snap->pins.nr; i++) {
		group = group_exact(snap, snap->pins.item[i]);
		if (group)
			group->exact = true;
	}
	for (i = 0; i < snap->groups.nr; i++)
		((struct group *)snap->groups.item[i])->table = 0;
}

/* "4096-12287", ...: ranges that touch are one. */
char *group_ranges(struct snapshot *snap, const struct group *group,
		   char between)
{
	struct region *region = snap->regions.item[group->start];
	uint64_t first = region->first, last = region->last;
	size_t i;

	for (i = group->start + 1; i < group->start + group->nr; i++) {
		region = snap->regions.item[i];
		if (region->first > last + 1) {
			obstack_printf(&snap->memory, "%" PRIu64 "-%" PRIu64 "%c",
				       first, last, between);
			first = region->first;
			last = region->last;
		}
		if (region->last > last)
			last = region->last;
	}
	return snap_printf(snap, "%" PRIu64 "-%" PRIu64, first, last);
}
