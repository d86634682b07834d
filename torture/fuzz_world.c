// SPDX-License-Identifier: GPL-2.0-only
/*
 * Look up things in the state of fuzz.c: descriptors, open files, cells of
 * arenas, free places; and choose among them by chance.
 */
#include "fuzz.h"

#define WORLD		((void *)0x180000000000UL)
#define FIRST_ARENA	0x100000000000UL
#define ARENA_SIZE	(64UL << 20)

/* At one address everywhere, for those who come from an execve(2). */
struct world *attach_world(int fd)
{
	struct world *w = mmap(WORLD, sizeof(struct world),
			       PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);

	return w == MAP_FAILED ? NULL : w;
}

struct world *make_world(void)
{
	int i, fd = memfd_create("world", 0);
	struct world *w;

	if (fd < 0 || ftruncate(fd, sizeof(struct world)))
		return NULL;
	w = attach_world(fd);
	if (!w)
		return NULL;
	w->world_fd = fd;
	w->exe_fd = open("/proc/self/exe", O_PATH);
	w->zero_fd = open("/dev/zero", O_RDONLY);
	w->null_fd = memfd_create("scratch", 0);
	for (i = 0; i < INODES; i++)
		w->files[i].path_fd = -1;
	return w;
}

struct who me(const struct world *w, int slot)
{
	return (struct who){ slot, w->actor[slot].life };
}

bool is(const struct world *w, struct who whom, int slot)
{
	return whom.slot == slot && whom.life == w->actor[slot].life;
}

bool alive(const struct world *w, struct who whom)
{
	return whom.slot > 0 && w->actor[whom.slot].alive &&
		is(w, whom, whom.slot);
}

bool shares_blocks(const struct world *w)
{
	return kind_fs(&w->kind)->shares_blocks;
}

char *file_path(const struct world *w, int name, char *path)
{
	char text[16];

	snprintf(text, sizeof(text), "file%d", name);
	return kind_path(&w->kind, path, text);
}

/* An errno. Even ones are allocated, others all hole; the last is a user's. */
int create_file(const struct world *w, int name, const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0666), error = 0;

	if (fd < 0)
		return errno;
	if (fchmod(fd, 0666) || ftruncate(fd, 4 * w->unit) ||
	    (name % 2 == 0 && fallocate(fd, 0, 0, 4 * w->unit)) ||
	    (name == NAMES - 1 && fchown(fd, NOBODY, NOBODY)))
		error = errno;
	close(fd);
	return error;
}

/* Note a file that create_file() made. */
void new_file(struct world *w, int file, int name)
{
	w->name[name] = file;
	w->files[file] = (struct file){
		.used = true, .named = true, .name = name,
		.uid = name == NAMES - 1 ? NOBODY : 0,
		.size = 4 * w->unit, .path_fd = w->files[file].path_fd,
	};
}

struct descriptor *file_slot(struct world *w, const struct op *op, int slot)
{
	if (slot < 0 || slot >= FDS)
		return NULL;
	return &w->actor[op->actor].file[slot];
}

struct descriptor *own_slot(struct world *w, const struct op *op, int slot)
{
	if (slot < 0 || slot >= OWNS)
		return NULL;
	return &w->actor[op->actor].own[slot];
}

/* What op->b says, if that is open and of that kind, else NULL. */
struct descriptor *driver(struct world *w, const struct op *op, bool verbs)
{
	struct descriptor *d = own_slot(w, op, op->b);

	return d && d->of >= 0 && w->owners[d->of].verbs == verbs &&
		(!verbs || d->native) ? d : NULL;
}

/* -1 if there is none, which the kernel has to notice. */
int fd_of(struct world *w, const struct op *op, int slot)
{
	struct descriptor *d = file_slot(w, op, slot);

	return d && d->of >= 0 ? d->fd : -1;
}

/* The open file behind it, unless it is only a path. */
struct ofd *usable(struct world *w, const struct op *op, int slot)
{
	struct descriptor *d = file_slot(w, op, slot);

	if (!d || d->of < 0 || w->ofds[d->of].mode == PATH_ONLY)
		return NULL;
	return &w->ofds[d->of];
}

struct file *file_of(struct world *w, const struct op *op, int slot)
{
	struct ofd *ofd = usable(w, op, slot);

	return ofd ? &w->files[ofd->file] : NULL;
}

/* Mostly one that is open. */
int some_file(struct world *w, int actor)
{
	int i, slot;

	for (i = 0; i < 8; i++) {
		slot = rnd(w, FDS);
		if (w->actor[actor].file[slot].of >= 0)
			return slot;
	}
	return slot;
}

void make_fd(struct world *w, struct op *op)
{
	op->a = some_file(w, op->actor);
}

/* Of that kind; if there is none, any slot. */
int some_own(struct world *w, int actor, bool verbs)
{
	int i, slot;

	for (i = 0; i < 12; i++) {
		const struct descriptor *d;

		slot = rnd(w, OWNS);
		d = &w->actor[actor].own[slot];
		if (d->of >= 0 && w->owners[d->of].verbs == verbs &&
		    (!verbs || d->native) && (i > 6 || !w->owners[d->of].busy))
			return slot;
	}
	return slot;
}

static int free_slot(const struct descriptor *d, int nr)
{
	int i;

	for (i = 0; i < nr; i++)
		if (d[i].of < 0)
			return i;
	return -1;
}

int free_file_slot(const struct world *w, int actor)
{
	return free_slot(w->actor[actor].file, FDS);
}

int free_own_slot(const struct world *w, int actor)
{
	return free_slot(w->actor[actor].own, OWNS);
}

int free_ofd(const struct world *w)
{
	int i;

	for (i = 0; i < OFDS; i++)
		if (!w->ofds[i].used)
			return i;
	return -1;
}

int free_owner(const struct world *w)
{
	int i;

	for (i = 0; i < OWNERS; i++)
		if (!w->owners[i].used)
			return i;
	return -1;
}

/* Somewhere around what the files have, mostly at the edge of something. */
static long file_offset(struct world *w)
{
	long unit = rnd(w, 3) ? w->unit : PAGE;
	long at = rnd(w, 12 * (w->unit / unit)) * unit;

	if (unit == PAGE && w->unit != PAGE)
		at = rnd(w, 10 * w->unit / PAGE) * PAGE;
	if (!rnd(w, 8))
		at += (long)rnd(w, 3) - 1;
	else if (!rnd(w, 8))
		at += 512 * rnd(w, 8);
	return at;
}

long some_offset(struct world *w)
{
	return rnd(w, 8) ? file_offset(w) : wild(w);
}

/* Not congruent with the file unless huge entries are wanted. */
char *cell_at(const struct world *w, int arena, int cell)
{
	unsigned long at = FIRST_ARENA + arena * ARENA_SIZE + cell * w->unit;

	return (char *)(w->unit == HUGE ? at : at + PAGE);
}

void unmap_all(struct actor *actor)
{
	int i, j;

	for (i = 0; i < ARENAS; i++)
		for (j = 0; j < CELLS; j++)
			actor->cell[i][j].ofd = -1;
}

/* It is dead: everything that it had is gone. */
void forget_actor(struct actor *actor)
{
	int i;

	actor->alive = false;
	for (i = 0; i < FDS; i++)
		actor->file[i] = (struct descriptor){ .of = -1 };
	for (i = 0; i < OWNS; i++)
		actor->own[i] = (struct descriptor){ .of = -1 };
	unmap_all(actor);
}
