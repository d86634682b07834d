// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Files by device and inode, and by path; the file systems they are on.
 */
#define _GNU_SOURCE
#include <libmount.h>
#include <err.h>
#include <search.h>
#include <string.h>
#include <sys/stat.h>

#include "lspins-data.h"

struct named {
	const char *path;
	struct file *file;
};

static int file_compare(const void *a, const void *b)
{
	const struct file *x = a, *y = b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

static int named_compare(const void *a, const void *b)
{
	const struct named *x = a, *y = b;

	return strcmp(x->path, y->path);
}

struct file *file_get(struct snapshot *snap, dev_t dev, ino_t ino)
{
	struct file key = { .dev = dev, .ino = ino };
	struct file **found = tfind(&key, &snap->files, file_compare);
	struct file *file;

	if (found)
		return *found;
	file = snap_alloc(snap, sizeof(*file));
	*file = (struct file){ .dev = dev, .ino = ino, .known = true };
	if (!tsearch(file, &snap->files, file_compare))
		err(EXIT_FAILED, NULL);
	return file;
}

/* A file of which no more than the path is known, and perhaps not that. */
struct file *file_unknown(struct snapshot *snap, const char *path)
{
	struct file *file = snap_alloc(snap, sizeof(*file));

	file->path = path;
	return file;
}

/* The file that now has this path, or NULL. Each path is looked up once. */
struct file *file_at(struct snapshot *snap, const char *path)
{
	struct named key = { .path = path };
	struct named **found = tfind(&key, &snap->paths, named_compare);
	struct named *named;
	struct stat st;

	if (found)
		return (*found)->file;
	named = snap_alloc(snap, sizeof(*named));
	named->path = path;
	if (!stat(snap_printf(snap, "%s%s", snap->root, path), &st)) {
		named->file = file_get(snap, st.st_dev, st.st_ino);
		if (!named->file->path)
			named->file->path = path;
	}
	if (!tsearch(named, &snap->paths, named_compare))
		err(EXIT_FAILED, NULL);
	return named->file;
}

static int mount_compare(const void *a, const void *b)
{
	const struct mount *x = a, *y = b;

	return x->dev < y->dev ? -1 : x->dev > y->dev;
}

static void mount_add(struct snapshot *snap, struct libmnt_fs *fs)
{
	struct mount *mount = snap_alloc(snap, sizeof(*mount));
	const char *type = mnt_fs_get_fstype(fs);
	const char *target = mnt_fs_get_target(fs);

	mount->dev = mnt_fs_get_devno(fs);
	mount->type = type ? snap_copy(snap, type) : NULL;
	mount->target = target ? snap_copy(snap, target) : NULL;
	list_add(&snap->mounts, mount);
}

void mounts_read(struct snapshot *snap)
{
	char *path = snap_printf(snap, "%s/proc/self/mountinfo", snap->root);
	struct libmnt_table *table = mnt_new_table_from_file(path);
	struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
	struct libmnt_fs *fs;

	while (table && iter && !mnt_table_next_fs(table, iter, &fs))
		mount_add(snap, fs);
	mnt_free_iter(iter);
	mnt_unref_table(table);
	list_sort(&snap->mounts, mount_compare);
}

/* The mount of each row's file: one of that device. */
void files_find_mounts(struct snapshot *snap)
{
	size_t i, at;

	for (i = 0; i < snap->rows.nr; i++) {
		struct file *file = ((struct row *)snap->rows.item[i])->file;
		struct mount key = { .dev = file->dev };

		if (!file->known || file->mount)
			continue;
		at = list_find(&snap->mounts, &key, mount_compare);
		if (at < snap->mounts.nr &&
		    !mount_compare(snap->mounts.item[at], &key))
			file->mount = snap->mounts.item[at];
	}
}
