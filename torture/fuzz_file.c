// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls of fuzz.c: descriptors of files come, go, and pass from process to
 * process; names are unlinked and renamed over; files are written.
 */
#include <sys/socket.h>
#include "descriptor.h"
#include "fuzz.h"

struct descriptor *file_slot(struct world *w, const struct op *op, int slot)
{
	if (slot < 0 || slot >= FDS)
		return NULL;
	return &w->actor[op->actor].file[slot];
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

int errno_of(long result)
{
	return result < 0 ? errno : 0;
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

int free_file_slot(struct world *w, int actor)
{
	int i;

	for (i = 0; i < FDS; i++)
		if (w->actor[actor].file[i].of < 0)
			return i;
	return -1;
}

int free_ofd(const struct world *w)
{
	int i;

	for (i = 0; i < OFDS; i++)
		if (!w->ofds[i].used)
			return i;
	return -1;
}

void new_ofd(struct world *w, int index, int file, int mode)
{
	w->ofds[index] = (struct ofd){
		.used = true, .file = file, .mode = mode,
		.signal_to.slot = -1, .holder.slot = -1,
	};
}

/* Somewhere around what the files have, mostly at the edge of something. */
long file_offset(struct world *w)
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

static const struct {
	int flags, mode;
} modes[] = {
	{ O_RDWR, READS | WRITES }, { O_RDWR, READS | WRITES },
	{ O_RDWR, READS | WRITES }, { O_RDWR, READS | WRITES },
	{ O_RDONLY, READS }, { O_RDONLY, READS }, { O_WRONLY, WRITES },
	{ O_RDWR | O_TRUNC, READS | WRITES }, { O_PATH, PATH_ONLY },
};

#define MODES	(sizeof(modes) / sizeof(*modes))

/* a: name, b: slot, c: to be closed by exec, x: mode */
static void make_open(struct world *w, struct op *op)
{
	op->a = rnd(w, NAMES);
	op->b = free_file_slot(w, op->actor);
	op->c = rnd(w, 2);
	op->x = rnd(w, MODES);
}

static void predict_open(struct world *w, const struct op *op,
			 struct answers *want)
{
	struct descriptor *d = file_slot(w, op, op->b);
	int file, flags;

	if (!d || d->of >= 0 || free_ofd(w) < 0 || op->a < 0 ||
	    op->a >= NAMES || op->x < 0 || op->x >= (long)MODES) {
		want->skip = true;
		return;
	}
	file = w->name[op->a];
	flags = modes[op->x].flags;
	if (!(flags & O_PATH))
		model_open(w, op->actor, file, modes[op->x].mode, want);
	/* An empty file keeps its size: nobody is asked, and nothing refused. */
	if ((flags & O_TRUNC) && w->files[file].size &&
	    model_change(w, op->actor, file, 0, LONG_MAX, want))
		return;
	may(want, 0);
}

static int run_open(struct world *w, const struct op *op)
{
	char path[64], name[16];
	int fd;

	snprintf(name, sizeof(name), "file%d", op->a);
	fd = open(kind_path(&w->kind, path, name),
		  modes[op->x].flags | (op->c ? O_CLOEXEC : 0));
	w->learned = fd;
	return errno_of(fd);
}

static void apply_open(struct world *w, const struct op *op, int got)
{
	struct descriptor *d = file_slot(w, op, op->b);
	int ofd = free_ofd(w);

	if (got)
		return;
	new_ofd(w, ofd, w->name[op->a], modes[op->x].mode);
	*d = (struct descriptor){
		.fd = w->learned, .of = ofd, .cloexec = op->c,
	};
	if (modes[op->x].flags & O_TRUNC) {
		w->files[w->name[op->a]].size = 0;
		if (w->files[w->name[op->a]].sharing == SHARED)
			w->files[w->name[op->a]].sharing = MAYBE_SHARED;
	}
}

static void make_close(struct world *w, struct op *op)
{
	op->a = some_file(w, op->actor);
}

static void predict_close(struct world *w, const struct op *op,
			  struct answers *want)
{
	may(want, fd_of(w, op, op->a) < 0 ? EBADF : 0);
}

static int run_close(struct world *w, const struct op *op)
{
	return errno_of(close(fd_of(w, op, op->a)));
}

static void apply_close(struct world *w, const struct op *op, int got)
{
	if (!got)
		file_slot(w, op, op->a)->of = -1;
}

static void make_dup(struct world *w, struct op *op)
{
	op->a = some_file(w, op->actor);
	op->b = free_file_slot(w, op->actor);
	op->c = rnd(w, 2);
}

static void predict_dup(struct world *w, const struct op *op,
			struct answers *want)
{
	struct descriptor *d = file_slot(w, op, op->b);

	if (!d || d->of >= 0)
		want->skip = true;
	may(want, fd_of(w, op, op->a) < 0 ? EBADF : 0);
}

static int run_dup(struct world *w, const struct op *op)
{
	int fd = fcntl(fd_of(w, op, op->a),
		       op->c ? F_DUPFD_CLOEXEC : F_DUPFD, 3);

	w->learned = fd;
	return errno_of(fd);
}

static void apply_dup(struct world *w, const struct op *op, int got)
{
	if (got)
		return;
	*file_slot(w, op, op->b) = (struct descriptor){
		.fd = w->learned, .of = file_slot(w, op, op->a)->of,
		.cloexec = op->c,
	};
}

/* To an actor over its socket: a: slot of a file, or b: of a driver; c: whom. */
static void make_send(struct world *w, struct op *op)
{
	op->a = rnd(w, 4) ? some_file(w, op->actor) : -1;
	op->b = some_own(w, op->actor, rnd(w, 2));
	op->c = 1 + rnd(w, ACTORS - 1);
}

static struct descriptor *parcel(struct world *w, const struct op *op)
{
	return op->a >= 0 ? file_slot(w, op, op->a) : own_slot(w, op, op->b);
}

static void predict_send(struct world *w, const struct op *op,
			 struct answers *want)
{
	struct descriptor *d = parcel(w, op);

	if (!d || d->of < 0 || op->c < 1 || op->c >= ACTORS ||
	    w->queued[op->c] == QUEUE)
		want->skip = true;
	may(want, 0);
}

static int run_send(struct world *w, const struct op *op)
{
	return send_descriptor(w->sockets[op->c][1], parcel(w, op)->fd);
}

static void apply_send(struct world *w, const struct op *op, int got)
{
	w->queue[op->c][w->queued[op->c]++] = (struct flight){
		.owner = op->a < 0, .of = parcel(w, op)->of,
	};
}

/* Into a free slot of whatever it is; there may be nothing. */
static void make_none(struct world *w, struct op *op)
{
}

static struct descriptor *shelf(struct world *w, int actor)
{
	bool owner = w->queue[actor][0].owner;
	int slot = owner ? free_own_slot(w, actor) : free_file_slot(w, actor);

	if (slot < 0)
		return NULL;
	return owner ? &w->actor[actor].own[slot] : &w->actor[actor].file[slot];
}

static void predict_receive(struct world *w, const struct op *op,
			    struct answers *want)
{
	if (w->queued[op->actor] && !shelf(w, op->actor))
		want->skip = true;
	may(want, w->queued[op->actor] ? 0 : EAGAIN);
}

static int run_receive(struct world *w, const struct op *op)
{
	char control[CMSG_SPACE(sizeof(int))], byte;
	struct iovec part = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *header;
	int fd;

	if (recvmsg(w->sockets[op->actor][0], &message, MSG_DONTWAIT) < 0)
		return errno;
	header = CMSG_FIRSTHDR(&message);
	if (!header)
		return EBADMSG;
	memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	w->learned = fd;
	return 0;
}

static void apply_receive(struct world *w, const struct op *op, int got)
{
	int i;

	if (got)
		return;
	*shelf(w, op->actor) = (struct descriptor){
		.fd = w->learned, .of = w->queue[op->actor][0].of,
	};
	w->queued[op->actor]--;
	for (i = 0; i < w->queued[op->actor]; i++)
		w->queue[op->actor][i] = w->queue[op->actor][i + 1];
}

/* A name gets a new file, by unlink(2) or rename(2): never refused. */
static void make_replace(struct world *w, struct op *op)
{
	op->a = rnd(w, NAMES);
	op->x = rnd(w, 2);
}

static int free_file(const struct world *w)
{
	int i;

	for (i = 0; i < INODES; i++)
		if (!w->files[i].used)
			return i;
	return -1;
}

static void predict_replace(struct world *w, const struct op *op,
			    struct answers *want)
{
	if (free_file(w) < 0 || op->a < 0 || op->a >= NAMES)
		want->skip = true;
	may(want, w->actor[op->actor].uid ? EACCES : 0);
}

static int run_replace(struct world *w, const struct op *op)
{
	char path[64], other[80], name[16];
	int fd, error = 0;

	snprintf(name, sizeof(name), "file%d", op->a);
	kind_path(&w->kind, path, name);
	snprintf(other, sizeof(other), "%s.new", path);
	if (!op->x && unlink(path))
		return errno;
	fd = open(op->x ? other : path, O_RDWR | O_CREAT | O_EXCL, 0666);
	if (fd < 0)
		return errno;
	if (fchmod(fd, 0666) ||
	    (op->a == NAMES - 1 && fchown(fd, NOBODY, NOBODY)) ||
	    ftruncate(fd, 4 * w->unit) || (op->x && rename(other, path)))
		error = errno;
	close(fd);
	return error;
}

static void apply_replace(struct world *w, const struct op *op, int got)
{
	int file = free_file(w);

	if (got)
		return;
	w->files[w->name[op->a]].named = false;
	w->name[op->a] = file;
	w->files[file] = (struct file){
		.used = true, .named = true, .name = op->a,
		.uid = op->a == NAMES - 1 ? NOBODY : 0, .size = 4 * w->unit,
		.path_fd = w->files[file].path_fd,
	};
	w->hook = HOOK_FILE;
	w->hook_arg = file;
}

/* a: slot, x: offset, y: length */
static void make_write(struct world *w, struct op *op)
{
	op->a = some_file(w, op->actor);
	op->x = rnd(w, 8) ? file_offset(w) : wild(w);
	op->y = 1 + rnd(w, 8192);
	if (op->x > 16 * w->unit && op->x <= w->max_bytes)
		op->x = w->max_bytes;
}

static void predict_write(struct world *w, const struct op *op,
			  struct answers *want)
{
	struct ofd *ofd = usable(w, op, op->a);

	if (op->y <= 0 || op->y > 8192)
		want->skip = true;
	if (!ofd || !(ofd->mode & WRITES))
		may(want, EBADF);
	if (op->x < 0 || op->x > LONG_MAX - op->y)
		may(want, EINVAL);
	if (op->x >= w->max_bytes)
		may(want, EFBIG);
	if (!want->nr)
		may(want, 0);
}

static int run_write(struct world *w, const struct op *op)
{
	static char text[8192];
	long done;

	memset(text, 'a' + op->actor, sizeof(text));
	done = pwrite(fd_of(w, op, op->a), text, op->y, op->x);
	return done < 0 ? errno : done == op->y ? 0 : EIO;
}

static void apply_write(struct world *w, const struct op *op, int got)
{
	struct file *file;

	if (got)
		return;
	file = &w->files[usable(w, op, op->a)->file];
	if (op->x + op->y > file->size)
		file->size = op->x + op->y;
}

static void predict_sync(struct world *w, const struct op *op,
			 struct answers *want)
{
	may(want, usable(w, op, op->a) ? 0 : EBADF);
}

static int run_sync(struct world *w, const struct op *op)
{
	return errno_of(fsync(fd_of(w, op, op->a)));
}

const struct call file_calls[] = {
	{ "open", 60, false, make_open, predict_open, run_open, apply_open },
	{ "close", 45, false, make_close, predict_close, run_close,
	  apply_close },
	{ "dup", 12, false, make_dup, predict_dup, run_dup, apply_dup },
	{ "send", 14, false, make_send, predict_send, run_send, apply_send },
	{ "receive", 18, false, make_none, predict_receive, run_receive,
	  apply_receive },
	{ "replace", 5, false, make_replace, predict_replace, run_replace,
	  apply_replace },
	{ "write", 40, false, make_write, predict_write, run_write,
	  apply_write },
	{ "fsync", 6, false, make_close, predict_sync, run_sync },
	{ }
};
