/* SPDX-License-Identifier: GPL-2.0 */
/*
 * RDMA from a process to itself over soft RoCE: a buffer, a region of a file,
 * and a connected pair of queue pairs between them. Functions return 0 or what
 * errno was.
 */
#ifndef LAYOUT_PIN_RDMA_LOOP_H
#define LAYOUT_PIN_RDMA_LOOP_H

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <infiniband/verbs.h>

#define LOOP_TIMEOUT	60	/* seconds; instructions may be emulated */

struct rdma_loop {
	struct ibv_context *context;
	struct ibv_pd *pd;
	struct ibv_cq *cq;
	struct ibv_qp *qp[2];
	struct ibv_mr *buffer_mr;
	struct ibv_mr *region;
	char *buffer;
	size_t size;
	union ibv_gid gid;
	int gid_index;
};

static inline int loop_open_device(struct rdma_loop *loop)
{
	struct ibv_device **list;
	int i, nr = 0;

	if (system("rdma link show rxe0/1 >/dev/null 2>&1") &&
	    system("(ip link add dummy0 type dummy; "
		   "ip addr add 10.9.0.1/24 dev dummy0; "
		   "ip link set dummy0 up; "
		   "rdma link add rxe0 type rxe netdev dummy0) "
		   ">/dev/null 2>&1"))
		return ENODEV;
	list = ibv_get_device_list(&nr);
	for (i = 0; list && i < nr; i++)
		if (!strcmp(ibv_get_device_name(list[i]), "rxe0"))
			loop->context = ibv_open_device(list[i]);
	if (list)
		ibv_free_device_list(list);
	return loop->context ? 0 : ENODEV;
}

/* The last address that is IPv4: the one given to the interface. */
static inline int loop_find_gid(struct rdma_loop *loop)
{
	static const unsigned char ipv4[12] = { [10] = 0xff, [11] = 0xff };
	union ibv_gid gid;
	int i;

	for (i = 0; i < 16 && !ibv_query_gid(loop->context, 1, i, &gid); i++)
		if (!memcmp(gid.raw, ipv4, sizeof(ipv4)))
			loop->gid_index = i;
	return ibv_query_gid(loop->context, 1, loop->gid_index, &loop->gid);
}

static inline int loop_connect(struct rdma_loop *loop, struct ibv_qp *qp,
			       struct ibv_qp *peer)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_INIT,
		.port_num = 1,
		.qp_access_flags = IBV_ACCESS_REMOTE_WRITE |
				   IBV_ACCESS_REMOTE_READ,
	};
	int error;

	error = ibv_modify_qp(qp, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX |
			      IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);
	if (error)
		return error;
	attr = (struct ibv_qp_attr) {
		.qp_state = IBV_QPS_RTR,
		.path_mtu = IBV_MTU_1024,
		.dest_qp_num = peer->qp_num,
		.max_dest_rd_atomic = 1,
		.min_rnr_timer = 12,
		.ah_attr = {
			.is_global = 1,
			.port_num = 1,
			.grh = { .dgid = loop->gid, .hop_limit = 1,
				 .sgid_index = loop->gid_index },
		},
	};
	error = ibv_modify_qp(qp, &attr, IBV_QP_STATE | IBV_QP_AV |
			      IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
			      IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC |
			      IBV_QP_MIN_RNR_TIMER);
	if (error)
		return error;
	attr = (struct ibv_qp_attr) {
		.qp_state = IBV_QPS_RTS,
		.timeout = 18, .retry_cnt = 7, .rnr_retry = 7,
		.max_rd_atomic = 1,
	};
	return ibv_modify_qp(qp, &attr, IBV_QP_STATE | IBV_QP_TIMEOUT |
			     IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
			     IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC);
}

/* Everything but the region. */
static inline int loop_open(struct rdma_loop *loop, size_t size)
{
	struct ibv_qp_init_attr init = {
		.cap = { .max_send_wr = 4, .max_recv_wr = 1,
			 .max_send_sge = 1, .max_recv_sge = 1 },
		.qp_type = IBV_QPT_RC,
	};
	int i, error;

	memset(loop, 0, sizeof(*loop));
	loop->size = size;
	loop->buffer = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (loop->buffer == MAP_FAILED)
		return errno;
	error = loop_open_device(loop) ?: loop_find_gid(loop);
	if (error)
		return error;
	loop->pd = ibv_alloc_pd(loop->context);
	if (!loop->pd)
		return errno;
	loop->buffer_mr = ibv_reg_mr(loop->pd, loop->buffer, size,
				     IBV_ACCESS_LOCAL_WRITE);
	loop->cq = ibv_create_cq(loop->context, 8, NULL, NULL, 0);
	if (!loop->buffer_mr || !loop->cq)
		return errno;
	init.send_cq = loop->cq;
	init.recv_cq = loop->cq;
	for (i = 0; i < 2; i++) {
		loop->qp[i] = ibv_create_qp(loop->pd, &init);
		if (!loop->qp[i])
			return errno;
	}
	return loop_connect(loop, loop->qp[0], loop->qp[1]) ?:
		loop_connect(loop, loop->qp[1], loop->qp[0]);
}

/* The other side: as much memory as the buffer has. */
static inline int loop_register(struct rdma_loop *loop, void *memory)
{
	loop->region = ibv_reg_mr(loop->pd, memory, loop->size,
				  IBV_ACCESS_LOCAL_WRITE |
				  IBV_ACCESS_REMOTE_WRITE |
				  IBV_ACCESS_REMOTE_READ);
	return loop->region ? 0 : errno;
}

/* IBV_WR_RDMA_WRITE: buffer to region, IBV_WR_RDMA_READ: region to buffer. */
static inline int loop_transfer(struct rdma_loop *loop,
				enum ibv_wr_opcode opcode)
{
	struct ibv_sge sge = {
		(uintptr_t)loop->buffer, loop->size, loop->buffer_mr->lkey,
	};
	struct ibv_send_wr *bad, wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = opcode,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.rdma = { (uintptr_t)loop->region->addr,
			     loop->region->rkey },
	};
	time_t end = time(NULL) + LOOP_TIMEOUT;
	struct ibv_wc wc = { };
	int nr, error = ibv_post_send(loop->qp[0], &wr, &bad);

	if (error)
		return error;
	while (!(nr = ibv_poll_cq(loop->cq, 1, &wc))) {
		if (time(NULL) > end)
			return ETIMEDOUT;
		usleep(200);
	}
	return nr < 0 || wc.status != IBV_WC_SUCCESS ? EIO : 0;
}

static inline int loop_deregister(struct rdma_loop *loop)
{
	int error = loop->region ? ibv_dereg_mr(loop->region) : 0;

	loop->region = NULL;
	return error;
}

static inline void loop_close(struct rdma_loop *loop)
{
	int i;

	for (i = 0; i < 2; i++)
		if (loop->qp[i])
			ibv_destroy_qp(loop->qp[i]);
	loop_deregister(loop);
	if (loop->buffer_mr)
		ibv_dereg_mr(loop->buffer_mr);
	if (loop->cq)
		ibv_destroy_cq(loop->cq);
	if (loop->pd)
		ibv_dealloc_pd(loop->pd);
	if (loop->context)
		ibv_close_device(loop->context);
	if (loop->buffer)
		munmap(loop->buffer, loop->size);
	memset(loop, 0, sizeof(*loop));
}

#endif /* LAYOUT_PIN_RDMA_LOOP_H */
