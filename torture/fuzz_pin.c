// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls of fuzz.c: long-term pins, through debugfs/gup_test and as memory
 * regions of RDMA contexts on soft RoCE, and the descriptors of these drivers,
 * which keep the pins. Only the process that opened an RDMA context can use it
 * through libibverbs; its descriptor can go anywhere.
 */
#include <infiniband/verbs.h>
#include <stdalign.h>
#include "fuzz.h"

#define MOST	(1L << 30)	/* beyond, gup_test itself is at fault */

/* The RDMA contexts of this process, and useless copies of its parent's. */
static struct {
	struct ibv_context *context;
	struct ibv_pd *pd;
	struct ibv_mr *mr[MRS];
} contexts[OWNS];

static alignas(PAGE) char buffer[4 * PAGE];

static struct ibv_context *open_device(void)
{
	struct ibv_context *context = NULL;
	struct ibv_device **list;
	int i;

	list = ibv_get_device_list(NULL);
	for (i = 0; list && list[i]; i++)
		if (!strcmp(ibv_get_device_name(list[i]), "rxe0"))
			context = ibv_open_device(list[i]);
	if (list)
		ibv_free_device_list(list);
	return context;
}

/* b: slot, c: to be closed by exec, x: RDMA or not */
static void make_own_open(struct world *w, struct op *op)
{
	op->b = free_own_slot(w, op->actor);
	op->c = rnd(w, 2);
	op->x = w->verbs && (w->actor[op->actor].uid || !rnd(w, 4));
}

static void rule_own_open(struct world *w, const struct op *op,
			  struct rule *rule)
{
	struct descriptor *d = own_slot(w, op, op->b);

	rule->skip = !d || d->of >= 0 || free_owner(w) < 0;
}

static int open_verbs(struct world *w, int slot)
{
	struct ibv_context *context = open_device();

	if (!context)
		return errno ?: ENODEV;
	contexts[slot].context = context;
	contexts[slot].pd = ibv_alloc_pd(context);
	w->learned = context->cmd_fd;
	return contexts[slot].pd ? 0 : errno;
}

static int run_own_open(struct world *w, const struct op *op)
{
	if (op->x)
		return open_verbs(w, op->b);
	w->learned = open("/sys/kernel/debug/gup_test",
			  O_RDWR | (op->c ? O_CLOEXEC : 0));
	return errno_of(w->learned);
}

static void apply_own_open(struct world *w, const struct op *op, int got)
{
	int owner = free_owner(w);

	if (got)
		return;
	w->owners[owner] = (struct owner){ .used = true, .verbs = op->x };
	*own_slot(w, op, op->b) = (struct descriptor){
		.fd = w->learned, .of = owner, .cloexec = op->c || op->x,
		.native = op->x,
	};
}

static void make_own_close(struct world *w, struct op *op)
{
	op->b = some_own(w, op->actor, !rnd(w, 3));
}

/* However many pins there are. */
static void rule_own_close(struct world *w, const struct op *op,
			   struct rule *rule)
{
	struct descriptor *d = own_slot(w, op, op->b);

	rule->skip = d->of < 0;
	may(rule, 0);
}

/* Regions that are left go with the last copy of the descriptor. */
static int run_own_close(struct world *w, const struct op *op)
{
	struct descriptor *d = own_slot(w, op, op->b);

	if (!d->native)
		return errno_of(close(d->fd));
	ibv_close_device(contexts[op->b].context);
	memset(&contexts[op->b], 0, sizeof(contexts[op->b]));
	return 0;
}

static void apply_own_close(struct world *w, const struct op *op, int got)
{
	if (!got)
		*own_slot(w, op, op->b) = (struct descriptor){ .of = -1 };
}

static void make_own_dup(struct world *w, struct op *op)
{
	op->a = some_own(w, op->actor, !rnd(w, 3));
	op->b = free_own_slot(w, op->actor);
}

static void rule_own_dup(struct world *w, const struct op *op,
			 struct rule *rule)
{
	struct descriptor *to = own_slot(w, op, op->b);

	rule->skip = own_slot(w, op, op->a)->of < 0 || !to || to->of >= 0;
}

static int run_own_dup(struct world *w, const struct op *op)
{
	w->learned = dup(own_slot(w, op, op->a)->fd);
	return errno_of(w->learned);
}

static void apply_own_dup(struct world *w, const struct op *op, int got)
{
	if (!got)
		*own_slot(w, op, op->b) = (struct descriptor){
			.fd = w->learned, .of = own_slot(w, op, op->a)->of,
		};
}

/* In the arenas, mostly where something can be pinned or at least is mapped. */
static unsigned long some_address(struct world *w, int actor)
{
	int i, arena, cell, picky = rnd(w, 4) ? 40 : 0;

	for (i = 0; i < 50; i++) {
		const struct cell *at;

		arena = rnd(w, ARENAS);
		cell = rnd(w, CELLS);
		at = &w->actor[actor].cell[arena][cell];
		if (pinnable(w, actor, at) || (i >= picky && at->ofd >= 0))
			break;
	}
	return (unsigned long)cell_at(w, arena, cell) +
		(rnd(w, 2) ? 0 : rnd(w, w->unit / PAGE) * PAGE);
}

static unsigned long some_size(struct world *w)
{
	switch (rnd(w, 4)) {
	case 0:
		return w->unit * (1 + rnd(w, 3));
	case 1:
		return PAGE * (1 + rnd(w, 2 * w->unit / PAGE));
	default:
		return PAGE;
	}
}

/* a: 1 for anonymous memory, b: slot, x: address, y: size */
static void make_memory(struct world *w, struct op *op, bool verbs)
{
	op->b = some_own(w, op->actor, verbs);
	op->x = some_address(w, op->actor);
	op->y = some_size(w);
	if (!rnd(w, 16))
		op->x = wild(w);
	if (!rnd(w, 16))
		op->y = wild(w);
	op->a = !rnd(w, 32);
}

/* z: flags */
static void make_pin(struct world *w, struct op *op)
{
	static const int flags[] = {
		PIN_WRITE | PIN_FAST, PIN_WRITE | PIN_FAST, PIN_FAST,
		PIN_WRITE | PIN_FAST | PIN_MM, PIN_WRITE, 0, 8, -1,
	};

	make_memory(w, op, false);
	op->z = flags[rnd(w, rnd(w, 4) ? 4 : 8)];
}

static void rule_pin(struct world *w, const struct op *op, struct rule *rule)
{
	struct descriptor *d = driver(w, op, false);
	struct pinning p = {
		.at = op->x, .size = op->y, .tracks = op->z & PIN_FAST,
	};

	rule->skip = !d || op->y > MOST || op->y < 0;
	if (!d || op->a)
		return;
	rule->plain = !w->owners[d->of].busy && (op->x | op->y) % PAGE == 0 &&
		!(op->z & ~(PIN_WRITE | PIN_FAST | PIN_MM));
	model_pin(w, op->actor, &p, rule);
}

static int run_pin(struct world *w, const struct op *op)
{
	void *at = op->a ? buffer : (void *)op->x;

	return pin_with(own_slot(w, op, op->b)->fd, at, op->a ? PAGE : op->y,
			op->z);
}

static void apply_pin(struct world *w, const struct op *op, int got)
{
	struct pinning p = {
		.region = -1, .at = op->x, .size = op->y,
		.by_mm = op->z & PIN_MM,
	};

	if (got)
		return;
	p.owner = own_slot(w, op, op->b)->of;
	w->owners[p.owner].busy = true;
	if (!op->a)
		model_pinned(w, op->actor, &p);
}

static void make_unpin(struct world *w, struct op *op)
{
	op->b = rnd(w, OWNS);
}

static void rule_unpin(struct world *w, const struct op *op,
		       struct rule *rule)
{
	rule->skip = !driver(w, op, false);
}

static int run_unpin(struct world *w, const struct op *op)
{
	return errno_of(ioctl(own_slot(w, op, op->b)->fd,
			      PIN_LONGTERM_TEST_STOP));
}

static void apply_unpin(struct world *w, const struct op *op, int got)
{
	int owner = own_slot(w, op, op->b)->of;

	if (got)
		return;
	w->owners[owner].busy = false;
	model_unpinned(w, owner, -1);
}

/* c: region, z: rights; x and y may be in the middle of a page */
static void make_reg(struct world *w, struct op *op)
{
	static const int rights[] = {
		IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE |
		IBV_ACCESS_REMOTE_READ,
		IBV_ACCESS_LOCAL_WRITE, 0, IBV_ACCESS_REMOTE_READ,
		IBV_ACCESS_REMOTE_WRITE, IBV_ACCESS_REMOTE_ATOMIC,
	};

	make_memory(w, op, true);
	op->c = rnd(w, MRS);
	op->z = PICK(w, rights);
	if (op->y > 0 && !rnd(w, 3)) {
		op->x += rnd(w, PAGE);
		op->y = 1 + rnd(w, op->y);
	}
}

/* The pages of a region; none if the kernel cannot count them. */
static void region_pages(const struct op *op, struct pinning *p)
{
	unsigned long at = op->x, end = at + op->y;

	p->tracks = true;
	if (end < at || ((end + PAGE - 1) & -PAGE) < end)
		return;
	p->at = at & -PAGE;
	p->size = ((end + PAGE - 1) & -PAGE) - p->at;
}

static void rule_reg(struct world *w, const struct op *op, struct rule *rule)
{
	struct descriptor *d = driver(w, op, true);
	struct pinning p = { };

	rule->skip = !d || w->owners[d->of].region[op->c];
	if (op->a)
		return;
	region_pages(op, &p);
	rule->plain = (op->z & IBV_ACCESS_LOCAL_WRITE) ||
		!(op->z & (IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC));
	model_pin(w, op->actor, &p, rule);
}

static int run_reg(struct world *w, const struct op *op)
{
	void *at = op->a ? buffer + 100 : (void *)op->x;
	struct ibv_mr **mr = &contexts[op->b].mr[op->c];

	errno = 0;
	*mr = ibv_reg_mr(contexts[op->b].pd, at, op->a ? 5000 : op->y, op->z);
	return *mr ? 0 : errno;
}

static void apply_reg(struct world *w, const struct op *op, int got)
{
	struct pinning p = { };

	if (got)
		return;
	if (!op->a)
		region_pages(op, &p);
	p.owner = own_slot(w, op, op->b)->of;
	p.region = op->c;
	w->owners[p.owner].region[op->c] = true;
	model_pinned(w, op->actor, &p);
}

static void make_dereg(struct world *w, struct op *op)
{
	op->b = some_own(w, op->actor, true);
	op->c = rnd(w, MRS);
}

static void rule_dereg(struct world *w, const struct op *op,
		       struct rule *rule)
{
	struct descriptor *d = driver(w, op, true);

	rule->skip = !d || !w->owners[d->of].region[op->c];
	may(rule, 0);
}

static int run_dereg(struct world *w, const struct op *op)
{
	int error = ibv_dereg_mr(contexts[op->b].mr[op->c]);

	contexts[op->b].mr[op->c] = NULL;
	return error;
}

static void apply_dereg(struct world *w, const struct op *op, int got)
{
	int owner = own_slot(w, op, op->b)->of;

	if (got)
		return;
	w->owners[owner].region[op->c] = false;
	model_unpinned(w, owner, op->c);
}

const struct call pin_calls[] = {
	{ "own_open", 20, false, make_own_open, rule_own_open, run_own_open,
	  apply_own_open },
	{ "own_close", 14, false, make_own_close, rule_own_close,
	  run_own_close, apply_own_close },
	{ "own_dup", 4, false, make_own_dup, rule_own_dup, run_own_dup,
	  apply_own_dup },
	{ "pin", 120, false, make_pin, rule_pin, run_pin, apply_pin },
	{ "unpin", 40, false, make_unpin, rule_unpin, run_unpin,
	  apply_unpin },
	{ "reg", 60, false, make_reg, rule_reg, run_reg, apply_reg },
	{ "dereg", 20, false, make_dereg, rule_dereg, run_dereg,
	  apply_dereg },
	{ }
};
