// SPDX-License-Identifier: GPL-2.0-only
/*
 * What fuzz.c checks beside answers, from outside: no block of a pinned page
 * moves, the table of records covers what is pinned and nothing else,
 * /proc/locks shows the leases that were granted, file_pins shows what each
 * process has pinned, and files are as long as calls have made them.
 */
#include <linux/fiemap.h>
#include <linux/fs.h>
#include "fuzz.h"

#define EXTENTS		256
#define RECORDS		256
#define TEXT		16384

struct record {
	unsigned long ino;
	long from, to;		/* pages */
};

static const char table[] = "/sys/kernel/debug/layout_pin/pins";

static int reopen(const struct file *file)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", file->path_fd);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static unsigned long mix(unsigned long hash, unsigned long value)
{
	return (hash ^ value) * 0x100000001b3UL;
}

/* A hash of which blocks pages @first to @last are in; 0 if one is in none. */
static unsigned long where(int fd, long first, long last)
{
	static union {
		struct fiemap map;
		char room[sizeof(struct fiemap) +
			  EXTENTS * sizeof(struct fiemap_extent)];
	} u;
	unsigned long hash = 0xcbf29ce484222325UL;
	unsigned int i;
	long page = first;

	while (page <= last) {
		memset(&u.map, 0, sizeof(u.map));
		u.map.fm_start = page * PAGE;
		u.map.fm_length = (last - page + 1) * PAGE;
		u.map.fm_extent_count = EXTENTS;
		if (ioctl(fd, FS_IOC_FIEMAP, &u.map) ||
		    !u.map.fm_mapped_extents)
			return 0;
		for (i = 0; i < u.map.fm_mapped_extents; i++) {
			struct fiemap_extent *e = &u.map.fm_extents[i];
			long end = (e->fe_logical + e->fe_length) / PAGE;

			if ((long)e->fe_logical > page * PAGE)
				return 0;
			for (; page < end && page <= last; page++)
				hash = mix(hash, e->fe_physical +
					   page * PAGE - e->fe_logical);
		}
	}
	return hash;
}

static unsigned long pin_blocks(const struct world *w, const struct pinned *pin)
{
	int fd = reopen(&w->files[pin->file]);
	unsigned long hash = where(fd, pin->first, pin->last);

	close(fd);
	return hash;
}

/* The table of all records; returns how many there are. */
static int read_records(struct record *records)
{
	FILE *file = fopen(table, "re");
	long from, to;
	char line[512];
	int nr = 0;

	while (file && nr < RECORDS && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%*x:%*x:%lu %ld-%ld pid", &records[nr].ino,
			   &from, &to) != 3)
			continue;
		records[nr].from = from / PAGE;
		records[nr].to = to / PAGE;
		nr++;
	}
	if (file)
		fclose(file);
	return nr;
}

/* The smallest record of these pages; others are of other pins. */
static const struct record *smallest(const struct world *w,
				     const struct pinned *pin,
				     const struct record *records, int nr)
{
	const struct record *r, *best = NULL;

	for (r = records; r < records + nr; r++)
		if (r->ino == w->files[pin->file].ino &&
		    r->from <= pin->first && r->to >= pin->last &&
		    (!best || r->to - r->from < best->to - best->from))
			best = r;
	return best;
}

/*
 * A record protects the pages, and all of a huge entry that covers one: the
 * kernel says which of both, and it has to stay so.
 */
static bool find_range(struct world *w, struct pinned *pin,
		       const struct record *records, int nr)
{
	const struct record *r = smallest(w, pin, records, nr);
	long round = w->unit / PAGE;

	if (!r)
		return false;
	pin->from = pin->first / round * round;
	if (r->from > pin->from)
		pin->from = pin->first;
	pin->to = pin->last / round * round + round - 1;
	if (r->to < pin->to)
		pin->to = pin->last;
	return true;
}

/* Pins were made: note what they protect, and where it is. */
void hook_pin(struct world *w)
{
	struct record records[RECORDS];
	int i, nr = read_records(records);

	for (i = 0; i < PINS; i++) {
		struct pinned *pin = &w->pins[i];

		if (!pin->used || pin->from >= 0)
			continue;
		pin->blocks = pin_blocks(w, pin);
		if (!pin->blocks)
			fail(w, WRONG_TABLE,
			     "pages %ld-%ld are pinned, but no blocks",
			     pin->first, pin->last);
		if (!find_range(w, pin, records, nr))
			fail(w, WRONG_TABLE, "no record of pages %ld-%ld",
			     pin->first, pin->last);
	}
}

static void check_files(struct world *w)
{
	struct stat st;
	int i;

	for (i = 0; i < INODES; i++) {
		const struct file *file = &w->files[i];

		if (file->used && !fstat(file->path_fd, &st) &&
		    st.st_size != file->size)
			fail(w, WRONG_TABLE, "file %d has %ld bytes, not %ld",
			     i, (long)st.st_size, file->size);
	}
	for (i = 0; i < PINS; i++) {
		const struct pinned *pin = &w->pins[i];

		if (pin->used && pin_blocks(w, pin) != pin->blocks)
			fail(w, WRONG_TABLE,
			     "blocks of file %d, pages %ld-%ld, moved",
			     pin->file, pin->first, pin->last);
	}
}

static int by_start(const void *a, const void *b)
{
	const struct record *x = a, *y = b;

	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	return x->from < y->from ? -1 : x->from > y->from;
}

/* Sort ranges and join those that touch. */
static int join(struct record *records, int nr)
{
	int i, last = 0;

	qsort(records, nr, sizeof(*records), by_start);
	for (i = 1; i < nr; i++) {
		if (records[i].ino == records[last].ino &&
		    records[i].from <= records[last].to + 1) {
			if (records[i].to > records[last].to)
				records[last].to = records[i].to;
		} else {
			records[++last] = records[i];
		}
	}
	return nr ? last + 1 : 0;
}

static void check_records(struct world *w)
{
	struct record kernel[RECORDS], model[PINS];
	int i, nr, nr_model = 0;

	for (i = 0; i < PINS; i++)
		if (w->pins[i].used)
			model[nr_model++] = (struct record){
				w->files[w->pins[i].file].ino,
				w->pins[i].from, w->pins[i].to,
			};
	nr = join(kernel, read_records(kernel));
	nr_model = join(model, nr_model);
	for (i = 0; i < nr && i < nr_model; i++)
		if (memcmp(&kernel[i], &model[i], sizeof(*model)))
			break;
	if (i < nr)
		fail(w, WRONG_TABLE,
		     "a record of pages %ld-%ld that are not pinned so",
		     kernel[i].from, kernel[i].to);
	else if (i < nr_model)
		fail(w, WRONG_TABLE, "no record of pages %ld-%ld",
		     model[i].from, model[i].to);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

struct line {
	char text[96];
};

static int locks_of_kernel(struct line *lines)
{
	FILE *file = fopen("/proc/locks", "re");
	char text[256], state[16], kind[16];
	unsigned long ino;
	int pid, nr = 0;

	while (file && nr < OFDS && fgets(text, sizeof(text), file))
		if (sscanf(text, "%*d: LAYOUT %15s %15s %d %*x:%*x:%lu",
			   state, kind, &pid, &ino) == 4)
			snprintf(lines[nr++].text, sizeof(*lines),
				 "%s %s %d %lu", state, kind, pid, ino);
	if (file)
		fclose(file);
	return nr;
}

static int locks_of_model(const struct world *w, struct line *lines)
{
	static const char * const kinds[] = {
		[LAYOUT] = "SHARED", [UNBREAK] = "UNBREAK",
		[EXCLUSIVE] = "EXCL",
	};
	const struct ofd *ofd;
	int nr = 0;

	for (ofd = w->ofds; ofd < w->ofds + OFDS; ofd++)
		if (ofd->used && ofd->lease != NO_LEASE)
			snprintf(lines[nr++].text, sizeof(*lines),
				 "%s %s %d %lu",
				 ofd->refs ? "ACTIVE" : "ZOMBIE",
				 kinds[ofd->lease], ofd->holder_pid,
				 w->files[ofd->file].ino);
	return nr;
}

static void check_locks(struct world *w)
{
	struct line kernel[OFDS], model[OFDS];
	int i, nr = locks_of_kernel(kernel);
	int nr_model = locks_of_model(w, model);

	qsort(kernel, nr, sizeof(*kernel), by_text);
	qsort(model, nr_model, sizeof(*model), by_text);
	for (i = 0; i < nr || i < nr_model; i++) {
		const char *has = i < nr ? kernel[i].text : "";
		const char *wants = i < nr_model ? model[i].text : "";

		if (strcmp(has, wants))
			fail(w, WRONG_TABLE, "/proc/locks has '%s', not '%s'",
			     has, wants);
	}
}

/* The lines of files below an owner, sorted: their order means nothing. */
static void append_sorted(char *text, struct line *lines, int nr)
{
	int i;

	qsort(lines, nr, sizeof(*lines), by_text);
	for (i = 0; i < nr; i++)
		strcat(text, lines[i].text);
}

static bool pin_shows(const struct world *w, const struct pinned *pin,
		      int owner, int slot)
{
	if (!pin->used)
		return false;
	if (owner >= 0)
		return !pin->by_mm && pin->owner == owner;
	return pin->by_mm && pin->mm.slot == slot &&
		pin->mm.life == w->actor[slot].mm_life;
}

/* The files pinned through an owner, or, with owner -1, by a process itself. */
static int shown_files(const struct world *w, int owner, int slot,
		       struct line *lines)
{
	bool seen[INODES] = { };
	char path[64];
	int i, nr = 0;

	for (i = 0; i < PINS; i++) {
		const struct file *file = &w->files[w->pins[i].file];

		if (!pin_shows(w, &w->pins[i], owner, slot) ||
		    seen[w->pins[i].file])
			continue;
		seen[w->pins[i].file] = true;
		snprintf(lines[nr++].text, sizeof(*lines), "%s%s%s\n",
			 owner < 0 ? "" : "\t",
			 file_path(w, file->name, path),
			 file->named ? "" : " (deleted)");
	}
	return nr;
}

static void model_file_pins(const struct world *w, int slot, char *text)
{
	const struct actor *actor = &w->actor[slot];
	struct line lines[INODES];
	int fd, i, nr;

	*text = 0;
	for (fd = 0; fd < 1024; fd++) {
		for (i = 0; i < OWNS; i++) {
			const struct descriptor *d = &actor->own[i];

			if (d->of < 0 || d->fd != fd)
				continue;
			nr = shown_files(w, d->of, slot, lines);
			if (nr)
				sprintf(text + strlen(text), "%d: %s\n", fd,
					w->owners[d->of].verbs ?
					"/dev/infiniband/uverbs0" :
					"/sys/kernel/debug/gup_test");
			append_sorted(text, lines, nr);
		}
	}
	nr = shown_files(w, -1, slot, lines);
	append_sorted(text, lines, nr);
}

static bool kernel_file_pins(pid_t pid, char *text)
{
	struct line lines[INODES * 4], line;
	char path[64], kind = 0;
	FILE *file;
	int nr = 0;

	snprintf(path, sizeof(path), "/proc/%d/file_pins", pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	*text = 0;
	while (fgets(line.text, sizeof(line), file)) {
		bool is_file = strchr("\t/", *line.text);

		if (!is_file || *line.text != kind) {
			append_sorted(text, lines, nr);
			nr = 0;
		}
		kind = *line.text;
		if (is_file && nr < INODES * 4)
			lines[nr++] = line;
		else
			strcat(text, line.text);
	}
	append_sorted(text, lines, nr);
	fclose(file);
	return true;
}

/* NULL if it is as the model says, "" if it cannot be read, or both texts. */
const char *file_pins_differ(const struct world *w, int slot)
{
	static char kernel[TEXT], model[TEXT], both[500];

	if (!kernel_file_pins(w->actor[slot].pid, kernel))
		return "";
	model_file_pins(w, slot, model);
	if (!strcmp(kernel, model))
		return NULL;
	snprintf(both, sizeof(both), "kernel '%.220s', model '%.220s'", kernel,
		 model);
	return both;
}

void check_world(struct world *w)
{
	const char *differs;
	int i;

	check_files(w);
	check_records(w);
	check_locks(w);
	for (i = 1; i < ACTORS; i++) {
		differs = w->actor[i].alive ? file_pins_differ(w, i) : NULL;
		if (differs)
			fail(w, WRONG_TABLE, "file_pins of actor %d: %s", i,
			     *differs ? differs : strerror(errno));
	}
}
