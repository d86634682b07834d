// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The RDMA device, and regions of memory.
 */
#include <err.h>
#include <string.h>

#include "bench.h"

struct ibv_pd *open_device(const char *name)
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	struct ibv_context *context = NULL;
	struct ibv_pd *pd;
	int i;

	for (i = 0; list && list[i]; i++)
		if (!strcmp(ibv_get_device_name(list[i]), name))
			context = ibv_open_device(list[i]);
	pd = context ? ibv_alloc_pd(context) : NULL;
	if (!pd)
		err(1, "cannot open the RDMA device %s", name);
	ibv_free_device_list(list);
	return pd;
}

struct ibv_mr *reg(struct ibv_pd *pd, void *at, size_t size)
{
	struct ibv_mr *mr = ibv_reg_mr(pd, at, size, IBV_ACCESS_LOCAL_WRITE |
				       IBV_ACCESS_REMOTE_WRITE);

	if (!mr)
		err(1, "ibv_reg_mr of %zu bytes", size);
	return mr;
}

void dereg(struct ibv_mr *mr)
{
	int error = ibv_dereg_mr(mr);

	if (error)
		errx(1, "ibv_dereg_mr: %s", strerror(error));
}
