// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Lists, memory and text for lspins.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lspins-data.h"

#define obstack_chunk_alloc malloc
#define obstack_chunk_free free

/* What a tree leaves alone where it goes. */
void keep_node(void *node)
{
	(void)node;
}

void list_add(struct list *list, void *item)
{
	if (list->nr == list->max) {
		list->max = list->max ? 2 * list->max : 16;
		list->item = reallocarray(list->item, list->max,
					  sizeof(*list->item));
		if (!list->item)
			err(EXIT_FAILED, NULL);
	}
	list->item[list->nr++] = item;
}

static int compare_items(const void *a, const void *b, void *compare)
{
	return (*(compare_fn *)compare)(*(void **)a, *(void **)b);
}

void list_sort(struct list *list, compare_fn compare)
{
	if (list->nr)
		qsort_r(list->item, list->nr, sizeof(*list->item),
			compare_items, &compare);
}

/* Index of the first item that is not less than @key, or the list's length. */
size_t list_find(const struct list *list, const void *key, compare_fn compare)
{
	size_t low = 0, high = list->nr;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare(list->item[middle], key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Zeroed. */
void *snap_alloc(struct snapshot *snap, size_t size)
{
	return memset(obstack_alloc(&snap->memory, size), 0, size);
}

char *snap_copy(struct snapshot *snap, const char *text)
{
	return obstack_copy0(&snap->memory, text, strlen(text));
}

char *snap_printf(struct snapshot *snap, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	obstack_vprintf(&snap->memory, format, args);
	va_end(args);
	obstack_1grow(&snap->memory, 0);
	return obstack_finish(&snap->memory);
}

/* All of a file, or NULL with errno. */
char *read_text(struct snapshot *snap, const char *path)
{
	static char buffer[1 << 16];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t nr;
	int error;

	if (fd < 0)
		return NULL;
	while ((nr = read(fd, buffer, sizeof(buffer))) > 0)
		obstack_grow(&snap->memory, buffer, nr);
	error = errno;
	close(fd);
	obstack_1grow(&snap->memory, 0);
	if (nr < 0) {
		obstack_free(&snap->memory, obstack_finish(&snap->memory));
		errno = error;
		return NULL;
	}
	return obstack_finish(&snap->memory);
}

/* Undo seq_path(): \ooo becomes a character where that is one of @what. */
void unescape(char *text, const char *what)
{
	char *to = text;

	while (*text) {
		if (text[0] == '\\' && text[1] >= '0' && text[1] <= '3' &&
		    text[2] >= '0' && text[2] <= '7' &&
		    text[3] >= '0' && text[3] <= '7') {
			int c = (text[1] - '0') << 6 | (text[2] - '0') << 3 |
				(text[3] - '0');

			if (c && strchr(what, c)) {
				*to++ = c;
				text += 4;
				continue;
			}
		}
		*to++ = *text++;
	}
	*to = 0;
}

/* 1536 as "1.5K". */
const char *human_size(struct snapshot *snap, uint64_t bytes)
{
	static const char units[] = "BKMGTPE";
	const char *unit = units;
	double size = bytes;

	while (size >= 1024) {
		size /= 1024;
		unit++;
	}
	if (size == (uint64_t)size)
		return snap_printf(snap, "%" PRIu64 "%c", (uint64_t)size, *unit);
	return snap_printf(snap, "%.1f%c", size, *unit);
}

/* Seconds since boot as a local date; NULL where the time of boot is unknown. */
const char *time_text(struct snapshot *snap, double since)
{
	time_t when = snap->boot + (time_t)since;
	char text[32];
	struct tm tm;

	if (!snap->boot || !localtime_r(&when, &tm))
		return NULL;
	strftime(text, sizeof(text), "%FT%T%z", &tm);
	return snap_copy(snap, text);
}
