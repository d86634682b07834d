// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls of fuzz.c: RDMA contexts and memory regions on soft RoCE, by addresses,
 * lengths and rights as they come. Only the process that opened a context can
 * use it through libibverbs; its descriptor can go anywhere.
 */
#include <infiniband/verbs.h>
#include <stdalign.h>
#include "fuzz.h"
#include "rdma_loop.h"

static struct {
	struct ibv_context *context;
	struct ibv_pd *pd;
	struct ibv_mr *mr[MRS];
} local[OWNS];

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

/* Make soft RoCE on a dummy interface, if the kernel can. */
bool verbs_there(void)
{
	struct rdma_loop loop = { };

	if (loop_open_device(&loop))
		return false;
	ibv_close_device(loop.context);
	return true;
}

/* Regions that are left go with the last copy of the descriptor. */
void verbs_close(int slot, int fd)
{
	ibv_close_device(local[slot].context);
	memset(&local[slot], 0, sizeof(local[slot]));
}

/* After fork(2) they are the parent's. */
void verbs_forget(void)
{
	memset(local, 0, sizeof(local));
}

static void make_verbs_open(struct world *w, struct op *op)
{
	op->b = free_own_slot(w, op->actor);
}

static void predict_verbs_open(struct world *w, const struct op *op,
			       struct answers *want)
{
	struct descriptor *d = own_slot(w, op, op->b);

	if (!d || d->of >= 0 || free_owner(w) < 0 || !w->verbs)
		want->skip = true;
	may(want, 0);
}

static int run_verbs_open(struct world *w, const struct op *op)
{
	local[op->b].context = open_device();
	if (!local[op->b].context)
		return errno ?: ENODEV;
	local[op->b].pd = ibv_alloc_pd(local[op->b].context);
	if (!local[op->b].pd)
		return errno;
	w->learned = local[op->b].context->cmd_fd;
	return 0;
}

static void apply_verbs_open(struct world *w, const struct op *op, int got)
{
	int owner = free_owner(w);

	if (got)
		return;
	w->owners[owner] = (struct owner){ .used = true, .verbs = true };
	*own_slot(w, op, op->b) = (struct descriptor){
		.fd = w->learned, .of = owner, .cloexec = true, .native = true,
	};
}

/* a: 1 for anonymous memory, b: slot, c: region, x: address, y: length,
 * z: rights
 */
static void make_reg(struct world *w, struct op *op)
{
	static const int rights[] = {
		IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE |
		IBV_ACCESS_REMOTE_READ,
		IBV_ACCESS_LOCAL_WRITE, 0, IBV_ACCESS_REMOTE_READ,
		IBV_ACCESS_REMOTE_WRITE, IBV_ACCESS_REMOTE_ATOMIC,
	};

	op->b = some_own(w, op->actor, true);
	op->c = rnd(w, MRS);
	op->x = (unsigned long)cell_at(w, rnd(w, ARENAS), rnd(w, CELLS));
	if (rnd(w, 2))
		op->x += rnd(w, w->unit);
	op->y = 1 + rnd(w, rnd(w, 2) ? PAGE : 3 * w->unit);
	op->z = rights[rnd(w, sizeof(rights) / sizeof(*rights))];
	if (!rnd(w, 16))
		op->x = wild(w);
	if (!rnd(w, 16))
		op->y = wild(w);
	if (!rnd(w, 32))
		op->a = 1;
}

static bool bad_rights(const struct op *op)
{
	return (op->z & (IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC)) &&
		!(op->z & IBV_ACCESS_LOCAL_WRITE);
}

/* The pages of a region; none if the kernel cannot count them. */
static bool region_pages(const struct op *op, struct pinning *p)
{
	unsigned long at = op->x, end = at + op->y;

	if (end < at || ((end + PAGE - 1) & -PAGE) < end)
		return false;
	p->tracks = true;
	p->at = at & -PAGE;
	p->size = ((end + PAGE - 1) & -PAGE) - p->at;
	return p->size && p->size / PAGE <= UINT32_MAX;
}

static void predict_reg(struct world *w, const struct op *op,
			struct answers *want)
{
	struct descriptor *d = own_slot(w, op, op->b);
	struct pinning p = { };

	if (!d || d->of < 0 || !d->native || op->c < 0 || op->c >= MRS ||
	    w->owners[d->of].region[op->c]) {
		want->skip = true;
		return;
	}
	if (bad_rights(op))
		may(want, EINVAL);
	if (op->a != 1 && !region_pages(op, &p))
		may(want, EINVAL);
	if (want->nr)
		return;
	if (op->a == 1)
		may(want, 0);
	else
		predict_pin(w, op->actor, &p, want);
}

static int run_reg(struct world *w, const struct op *op)
{
	void *at = op->a == 1 ? buffer + 100 : (void *)op->x;
	struct ibv_mr **mr = &local[op->b].mr[op->c];

	errno = 0;
	*mr = ibv_reg_mr(local[op->b].pd, at, op->a == 1 ? 5000 : op->y,
			 op->z);
	return *mr ? 0 : errno;
}

static void apply_reg(struct world *w, const struct op *op, int got)
{
	struct pinning p = { };

	if (got)
		return;
	if (op->a != 1)
		region_pages(op, &p);
	p.owner = own_slot(w, op, op->b)->of;
	p.region = op->c;
	w->owners[p.owner].region[op->c] = true;
	apply_pin(w, op->actor, &p);
}

static void make_dereg(struct world *w, struct op *op)
{
	op->b = some_own(w, op->actor, true);
	op->c = rnd(w, MRS);
}

static void predict_dereg(struct world *w, const struct op *op,
			  struct answers *want)
{
	struct descriptor *d = own_slot(w, op, op->b);

	if (!d || d->of < 0 || !d->native || op->c < 0 || op->c >= MRS ||
	    !w->owners[d->of].region[op->c])
		want->skip = true;
	may(want, 0);
}

static int run_dereg(struct world *w, const struct op *op)
{
	int error = ibv_dereg_mr(local[op->b].mr[op->c]);

	local[op->b].mr[op->c] = NULL;
	return error;
}

static void apply_dereg(struct world *w, const struct op *op, int got)
{
	int owner = own_slot(w, op, op->b)->of;

	w->owners[owner].region[op->c] = false;
	drop_pins(w, owner, op->c);
}

const struct call verbs_calls[] = {
	{ "verbs_open", 4, false, make_verbs_open, predict_verbs_open,
	  run_verbs_open, apply_verbs_open },
	{ "reg", 40, false, make_reg, predict_reg, run_reg, apply_reg },
	{ "dereg", 20, false, make_dereg, predict_dereg, run_dereg,
	  apply_dereg },
	{ }
};
