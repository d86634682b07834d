// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls of fuzz.c: descriptors of files come, go, and pass from process to
 * process; names are unlinked and renamed over; files are written.
 */
#include <sys/socket.h>
#include "descriptor.h"
#include "fuzz.h"

static const struct {
	int flags, mode;
} modes[] = {
	{ O_RDWR, READS | WRITES }, { O_RDWR, READS | WRITES },
	{ O_RDWR, READS | WRITES }, { O_RDWR, READS | WRITES },
	{ O_RDONLY, READS }, { O_WRONLY, WRITES },
	{ O_RDWR | O_TRUNC, READS | WRITES }, { O_PATH, PATH_ONLY },
};

/* a: name, b: slot, c: to be closed by exec, x: mode */
static void make_open(struct world *w, struct op *op)
{
	op->a = rnd(w, NAMES);
	op->b = free_file_slot(w, op->actor);
	op->c = rnd(w, 2);
	op->x = rnd(w, ARRAY_SIZE(modes));
}

static void rule_open(struct world *w, const struct op *op,
		      struct rule *rule)
{
	struct descriptor *d = file_slot(w, op, op->b);
	int file = w->name[op->a];

	rule->skip = !d || d->of >= 0 || free_ofd(w) < 0;
	rule->plain = true;
	if ((modes[op->x].flags & O_TRUNC) && w->files[file].size)
		model_change(w, op->actor, file, 0, LONG_MAX, rule);
	if (!rule->blocked)
		may(rule, 0);
}

static int run_open(struct world *w, const struct op *op)
{
	char path[64];

	w->learned = open(file_path(w, op->a, path),
			  modes[op->x].flags | (op->c ? O_CLOEXEC : 0));
	return errno_of(w->learned);
}

static void apply_open(struct world *w, const struct op *op, int got)
{
	struct file *file = &w->files[w->name[op->a]];
	int ofd = free_ofd(w);

	if (got)
		return;
	w->ofds[ofd] = (struct ofd){
		.used = true, .file = w->name[op->a],
		.mode = modes[op->x].mode,
		.signal_to.slot = -1, .holder.slot = -1,
	};
	*file_slot(w, op, op->b) = (struct descriptor){
		.fd = w->learned, .of = ofd, .cloexec = op->c,
	};
	if (!(modes[op->x].flags & O_TRUNC))
		return;
	file->size = 0;
	if (file->sharing == SHARED)
		file->sharing = MAYBE_SHARED;
}

/* Never fails because of a pin or a lease. */
static void rule_close(struct world *w, const struct op *op,
		       struct rule *rule)
{
	if (fd_of(w, op, op->a) >= 0)
		may(rule, 0);
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

static void rule_dup(struct world *w, const struct op *op, struct rule *rule)
{
	struct descriptor *d = file_slot(w, op, op->b);

	rule->skip = !d || d->of >= 0;
}

static int run_dup(struct world *w, const struct op *op)
{
	w->learned = fcntl(fd_of(w, op, op->a),
			   op->c ? F_DUPFD_CLOEXEC : F_DUPFD, 3);
	return errno_of(w->learned);
}

static void apply_dup(struct world *w, const struct op *op, int got)
{
	if (!got)
		*file_slot(w, op, op->b) = (struct descriptor){
			.fd = w->learned, .of = file_slot(w, op, op->a)->of,
			.cloexec = op->c,
		};
}

/* a: slot of a file, or b: of a driver; c: the actor that is to get it */
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

static void rule_send(struct world *w, const struct op *op,
		      struct rule *rule)
{
	struct descriptor *d = parcel(w, op);

	rule->skip = !d || d->of < 0 || w->queued[op->c] == QUEUE;
}

static int run_send(struct world *w, const struct op *op)
{
	return send_descriptor(w->sockets[op->c][1], parcel(w, op)->fd);
}

static void apply_send(struct world *w, const struct op *op, int got)
{
	if (!got)
		w->queue[op->c][w->queued[op->c]++] = (struct flight){
			.owner = op->a < 0, .of = parcel(w, op)->of,
		};
}

/* Into a free slot of whatever it is; there may be nothing. */
static void make_receive(struct world *w, struct op *op)
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

static void rule_receive(struct world *w, const struct op *op,
			 struct rule *rule)
{
	rule->skip = !w->queued[op->actor] || !shelf(w, op->actor);
}

static int run_receive(struct world *w, const struct op *op)
{
	w->learned = receive_descriptor(w->sockets[op->actor][0]);
	return w->learned < 0 ? EBADMSG : 0;
}

static void apply_receive(struct world *w, const struct op *op, int got)
{
	struct flight *queue = w->queue[op->actor];

	if (got)
		return;
	*shelf(w, op->actor) = (struct descriptor){
		.fd = w->learned, .of = queue->of,
	};
	w->queued[op->actor]--;
	memmove(queue, queue + 1, w->queued[op->actor] * sizeof(*queue));
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

static void rule_replace(struct world *w, const struct op *op,
			 struct rule *rule)
{
	rule->skip = free_file(w) < 0 || w->actor[op->actor].uid;
	may(rule, 0);
}

static int run_replace(struct world *w, const struct op *op)
{
	char path[64], other[80];
	int error;

	file_path(w, op->a, path);
	snprintf(other, sizeof(other), "%s.new", path);
	if (!op->x && unlink(path))
		return errno;
	error = create_file(w, op->a, op->x ? other : path);
	if (!error && op->x && rename(other, path))
		error = errno;
	return error;
}

static void apply_replace(struct world *w, const struct op *op, int got)
{
	int file = free_file(w);

	if (got)
		return;
	w->files[w->name[op->a]].named = false;
	new_file(w, file, op->a);
	w->hook = HOOK_FILE;
	w->hook_arg = file;
}

/* a: slot, x: offset, y: length */
static void make_write(struct world *w, struct op *op)
{
	op->a = some_file(w, op->actor);
	op->x = some_offset(w);
	op->y = 1 + rnd(w, 8192);
}

/* Holes are filled and files grow, whatever leases and pins there are. */
static void rule_write(struct world *w, const struct op *op,
		       struct rule *rule)
{
	struct ofd *ofd = usable(w, op, op->a);

	rule->skip = op->y <= 0 || op->y > 8192;
	if (ofd && (ofd->mode & WRITES) && op->x >= 0 &&
	    op->x <= 16 * w->unit && !w->files[ofd->file].odd)
		may(rule, 0);
}

static int run_write(struct world *w, const struct op *op)
{
	static char text[8192];
	long done;

	memset(text, 'a' + op->actor, sizeof(text));
	done = pwrite(fd_of(w, op, op->a), text, op->y, op->x);
	w->learned = done;
	return errno_of(done);
}

static void apply_write(struct world *w, const struct op *op, int got)
{
	struct file *file;

	if (got)
		return;
	file = file_of(w, op, op->a);
	if (op->x + w->learned > file->size)
		file->size = op->x + w->learned;
}

static int run_sync(struct world *w, const struct op *op)
{
	return errno_of(fsync(fd_of(w, op, op->a)));
}

const struct call file_calls[] = {
	{ "open", 60, false, make_open, rule_open, run_open, apply_open },
	{ "close", 45, false, make_fd, rule_close, run_close, apply_close },
	{ "dup", 12, false, make_dup, rule_dup, run_dup, apply_dup },
	{ "send", 14, false, make_send, rule_send, run_send, apply_send },
	{ "receive", 18, false, make_receive, rule_receive, run_receive,
	  apply_receive },
	{ "replace", 5, false, make_replace, rule_replace, run_replace,
	  apply_replace },
	{ "write", 40, false, make_write, rule_write, run_write,
	  apply_write },
	{ "fsync", 6, false, make_fd, NULL, run_sync },
	{ }
};
