// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rdma-file - RDMA into a file, for the demonstration
 *
 *	rdma-file serve FILE SOCKET	maps FILE, takes an exclusive layout lease,
 *					registers the memory, waits for a client on
 *					SOCKET, then obeys words on its input:
 *					unmap, dereg, quit; answers each with it
 *	rdma-file try FILE		registers FILE's memory without a lease
 *	rdma-file write SOCKET BYTES	writes BYTES of a pattern into that memory
 *
 * Both ends use the first RDMA device and a reliable connection; what they have
 * to know of each other goes over the Unix socket.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <infiniband/verbs.h>

#include "unix_socket.h"

#ifndef F_LAYOUT
#define F_LAYOUT	16
#define F_EXCLUSIVE	32
#endif

struct peer {
	union ibv_gid gid;
	uint64_t address;
	uint32_t rkey;
	uint32_t qpn;
};

struct end {
	struct ibv_context *context;
	struct ibv_pd *pd;
	struct ibv_cq *cq;
	struct ibv_qp *qp;
	struct ibv_mr *mr;
	int gid_index;
	struct peer self;
};

/* The last RoCE v2 address that is IPv4: the one given to the interface. */
static int find_gid(struct ibv_context *context, union ibv_gid *gid)
{
	static const uint8_t ipv4[12] = { [10] = 0xff, [11] = 0xff };
	union ibv_gid candidate;
	int i, found = 0;

	for (i = 0; i < 16 && !ibv_query_gid(context, 1, i, &candidate); i++)
		if (!memcmp(candidate.raw, ipv4, sizeof(ipv4)))
			found = i;
	if (ibv_query_gid(context, 1, found, gid))
		err(1, "cannot query the address of the RDMA device");
	return found;
}

static void open_end(struct end *end, void *memory, size_t size)
{
	struct ibv_device **devices = ibv_get_device_list(NULL);
	struct ibv_qp_init_attr init = {
		.cap = { .max_send_wr = 16, .max_recv_wr = 1,
			 .max_send_sge = 1, .max_recv_sge = 1 },
		.qp_type = IBV_QPT_RC,
	};

	if (!devices || !devices[0])
		errx(1, "no RDMA device");
	end->context = ibv_open_device(devices[0]);
	if (!end->context)
		err(1, "cannot open the RDMA device");
	end->pd = ibv_alloc_pd(end->context);
	end->mr = ibv_reg_mr(end->pd, memory, size,
			     IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
	if (!end->mr)
		err(1, "ibv_reg_mr");
	end->cq = ibv_create_cq(end->context, 16, NULL, NULL, 0);
	init.send_cq = end->cq;
	init.recv_cq = end->cq;
	end->qp = ibv_create_qp(end->pd, &init);
	if (!end->qp)
		err(1, "ibv_create_qp");
	end->gid_index = find_gid(end->context, &end->self.gid);
	end->self.address = (uintptr_t)memory;
	end->self.rkey = end->mr->rkey;
	end->self.qpn = end->qp->qp_num;
}

static void connect_end(struct end *end, const struct peer *peer)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_INIT,
		.port_num = 1,
		.qp_access_flags = IBV_ACCESS_REMOTE_WRITE,
	};

	if (ibv_modify_qp(end->qp, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX |
			  IBV_QP_PORT | IBV_QP_ACCESS_FLAGS))
		err(1, "queue pair to INIT");
	attr = (struct ibv_qp_attr) {
		.qp_state = IBV_QPS_RTR,
		.path_mtu = IBV_MTU_1024,
		.dest_qp_num = peer->qpn,
		.max_dest_rd_atomic = 1,
		.min_rnr_timer = 12,
		.ah_attr = {
			.is_global = 1,
			.port_num = 1,
			.grh = { .dgid = peer->gid, .hop_limit = 1,
				 .sgid_index = end->gid_index },
		},
	};
	if (ibv_modify_qp(end->qp, &attr, IBV_QP_STATE | IBV_QP_AV |
			  IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
			  IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER))
		err(1, "queue pair to RTR");
	attr = (struct ibv_qp_attr) {
		.qp_state = IBV_QPS_RTS,
		.timeout = 14, .retry_cnt = 7, .rnr_retry = 7,
		.max_rd_atomic = 1,
	};
	if (ibv_modify_qp(end->qp, &attr, IBV_QP_STATE | IBV_QP_TIMEOUT |
			  IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN |
			  IBV_QP_MAX_QP_RD_ATOMIC))
		err(1, "queue pair to RTS");
}

static void exchange(int sock, const struct peer *self, struct peer *peer)
{
	if (write(sock, self, sizeof(*self)) != sizeof(*self) ||
	    read(sock, peer, sizeof(*peer)) != sizeof(*peer))
		err(1, "cannot exchange addresses");
}

static void accept_client(struct end *end, const char *path)
{
	struct sockaddr_un addr;
	struct peer peer;
	int sock = unix_socket(path, &addr), client;
	char done;

	if (bind(sock, (struct sockaddr *)&addr, sizeof(addr)) || listen(sock, 1))
		err(1, "%s", path);
	puts("ready");
	fflush(stdout);
	client = accept(sock, NULL, NULL);
	exchange(client, &end->self, &peer);
	connect_end(end, &peer);
	/* Tell the client that this end is up, and wait until it wrote. */
	if (write(client, "u", 1) != 1 || read(client, &done, 1) != 1)
		errx(1, "the client failed");
	close(client);
	puts("written");
	fflush(stdout);
}

static void *map_file(const char *file, int *fd, size_t *size)
{
	struct stat st;
	void *memory;

	*fd = open(file, O_RDWR);
	if (*fd < 0 || fstat(*fd, &st))
		err(1, "%s", file);
	*size = st.st_size;
	memory = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	if (memory == MAP_FAILED)
		err(1, "mmap");
	return memory;
}

static int try(const char *file)
{
	struct end end = { };
	size_t size;
	int fd;
	void *memory = map_file(file, &fd, &size);

	open_end(&end, memory, size);
	return 0;
}

static int serve(const char *file, const char *path)
{
	struct end end = { };
	char word[16];
	size_t size;
	int fd;
	void *memory = map_file(file, &fd, &size);

	if (fcntl(fd, F_SETLEASE, F_LAYOUT | F_EXCLUSIVE))
		err(1, "no layout lease on %s", file);
	open_end(&end, memory, size);
	accept_client(&end, path);

	while (scanf("%15s", word) == 1 && strcmp(word, "quit")) {
		if (!strcmp(word, "unmap") &&
		    (munmap(memory, size) || close(fd)))
			err(1, "unmap");
		if (!strcmp(word, "dereg") &&
		    (ibv_destroy_qp(end.qp) || ibv_dereg_mr(end.mr)))
			err(1, "dereg");
		puts(word);
		fflush(stdout);
	}
	return 0;
}

static int write_pattern(const char *path, size_t size)
{
	struct end end = { };
	struct sockaddr_un addr;
	struct peer peer;
	struct ibv_wc wc = { };
	int sock = unix_socket(path, &addr), nr;
	char up;
	size_t i;
	uint8_t *memory = malloc(size);

	if (!memory)
		err(1, "malloc");
	for (i = 0; i < size; i++)
		memory[i] = "holdfast"[i % 8] ^ (i >> 12);
	if (connect(sock, (struct sockaddr *)&addr, sizeof(addr)))
		err(1, "%s", path);
	open_end(&end, memory, size);
	exchange(sock, &end.self, &peer);
	connect_end(&end, &peer);
	if (read(sock, &up, 1) != 1)
		errx(1, "the server failed");

	struct ibv_sge sge = { (uintptr_t)memory, size, end.mr->lkey };
	struct ibv_send_wr *bad, wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = IBV_WR_RDMA_WRITE,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.rdma = { peer.address, peer.rkey },
	};
	if (ibv_post_send(end.qp, &wr, &bad))
		err(1, "ibv_post_send");
	while (!(nr = ibv_poll_cq(end.cq, 1, &wc)))
		;
	if (nr < 0 || wc.status != IBV_WC_SUCCESS)
		errx(1, "RDMA write: %s", ibv_wc_status_str(wc.status));
	if (write(sock, "d", 1) != 1)
		err(1, "the server is gone");
	/* The same bytes for the script to compare with. */
	return fwrite(memory, 1, size, stdout) == size ? 0 : 1;
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "serve"))
		return serve(argv[2], argv[3]);
	if (argc == 3 && !strcmp(argv[1], "try"))
		return try(argv[2]);
	if (argc == 4 && !strcmp(argv[1], "write"))
		return write_pattern(argv[2], strtoul(argv[3], NULL, 0));
	fprintf(stderr, "Usage: rdma-file serve FILE SOCKET | try FILE | write SOCKET BYTES\n");
	return 2;
}
