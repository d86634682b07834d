// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * RDMA devices: which one an owner is a context of, from sysfs, and how many
 * memory regions a process has there, from the RDMA netlink interface.
 */
#define _GNU_SOURCE
#include <libmnl/libmnl.h>
#include <rdma/rdma_netlink.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lspins-data.h"

static const char uverbs[] = "/dev/infiniband/uverbs";

/* A device that the first dump names and the others ask for. */
struct device {
	uint32_t index;
	const char *name;
};

struct dump {
	struct snapshot *snap;
	struct list devices;
	const struct device *device;	/* of the regions being counted */
};

static int mr_compare(const void *a, const void *b)
{
	const struct mr_count *x = a, *y = b;
	int order = strcmp(x->device, y->device);

	if (order)
		return order;
	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

static int take_device(const struct nlmsghdr *header, void *data)
{
	struct dump *dump = data;
	struct device *device = snap_alloc(dump->snap, sizeof(*device));
	struct nlattr *attr;

	mnl_attr_for_each(attr, header, 0) {
		switch (mnl_attr_get_type(attr)) {
		case RDMA_NLDEV_ATTR_DEV_INDEX:
			if (mnl_attr_validate(attr, MNL_TYPE_U32) < 0)
				return MNL_CB_ERROR;
			device->index = mnl_attr_get_u32(attr);
			break;
		case RDMA_NLDEV_ATTR_DEV_NAME:
			if (mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) < 0)
				return MNL_CB_ERROR;
			device->name = snap_copy(dump->snap,
						 mnl_attr_get_str(attr));
			break;
		}
	}
	if (device->name)
		list_add(&dump->devices, device);
	return MNL_CB_OK;
}

static int take_mr(const struct dump *dump, const struct nlattr *entry)
{
	struct mr_count *mr;
	struct nlattr *attr;

	mnl_attr_for_each_nested(attr, entry) {
		if (mnl_attr_get_type(attr) != RDMA_NLDEV_ATTR_RES_PID)
			continue;
		if (mnl_attr_validate(attr, MNL_TYPE_U32) < 0)
			return MNL_CB_ERROR;
		mr = snap_alloc(dump->snap, sizeof(*mr));
		mr->device = dump->device->name;
		mr->pid = mnl_attr_get_u32(attr);
		mr->nr = 1;
		list_add(&dump->snap->mrs, mr);
	}
	return MNL_CB_OK;
}

static int take_mrs(const struct nlmsghdr *header, void *data)
{
	struct nlattr *attr, *entry;

	mnl_attr_for_each(attr, header, 0) {
		if (mnl_attr_get_type(attr) != RDMA_NLDEV_ATTR_RES_MR)
			continue;
		mnl_attr_for_each_nested(entry, attr)
			if (take_mr(data, entry) != MNL_CB_OK)
				return MNL_CB_ERROR;
	}
	return MNL_CB_OK;
}

static bool run_dump(struct mnl_socket *socket, int command,
		     const struct device *device, mnl_cb_t take, struct dump *dump)
{
	static char buffer[1 << 16];
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
	unsigned int sequence = time(NULL);
	int nr, status = MNL_CB_OK;

	header->nlmsg_type = RDMA_NL_GET_TYPE(RDMA_NL_NLDEV, command);
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_DUMP;
	header->nlmsg_seq = sequence;
	if (device)
		mnl_attr_put_u32(header, RDMA_NLDEV_ATTR_DEV_INDEX, device->index);
	if (mnl_socket_sendto(socket, header, header->nlmsg_len) < 0)
		return false;
	while (status == MNL_CB_OK) {
		nr = mnl_socket_recvfrom(socket, buffer, sizeof(buffer));
		if (nr < 0)
			return false;
		status = mnl_cb_run(buffer, nr, sequence,
				    mnl_socket_get_portid(socket), take, dump);
	}
	return status == MNL_CB_STOP;
}

/* Regions come one by one; add up those of one process. */
static void sum_up(struct list *mrs)
{
	struct mr_count *last = NULL;
	size_t i, nr = 0;

	list_sort(mrs, mr_compare);
	for (i = 0; i < mrs->nr; i++) {
		if (last && !mr_compare(last, mrs->item[i])) {
			last->nr++;
			continue;
		}
		last = mrs->item[i];
		mrs->item[nr++] = last;
	}
	mrs->nr = nr;
}

/* The socket makes the kernel load RDMA, so only where somebody uses it. */
static bool wanted(const struct snapshot *snap)
{
	size_t i;

	for (i = 0; !*snap->root && i < snap->pins.nr; i++) {
		const struct pin *pin = snap->pins.item[i];

		if (!strncmp(pin->owner, uverbs, strlen(uverbs)))
			return true;
	}
	return false;
}

void rdma_read(struct snapshot *snap)
{
	struct dump dump = { .snap = snap };
	struct mnl_socket *socket;
	bool good;
	size_t i;

	if (!wanted(snap))
		return;
	socket = mnl_socket_open(NETLINK_RDMA);
	if (!socket)
		return;
	good = !mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) &&
	       run_dump(socket, RDMA_NLDEV_CMD_GET, NULL, take_device, &dump);
	for (i = 0; good && i < dump.devices.nr; i++) {
		dump.device = dump.devices.item[i];
		good = run_dump(socket, RDMA_NLDEV_CMD_RES_MR_GET, dump.device,
				take_mrs, &dump);
	}
	mnl_socket_close(socket);
	free(dump.devices.item);
	sum_up(&snap->mrs);
	snap->rdma_read = good;
}

/* "rxe0" for "/dev/infiniband/uverbs0", NULL for what is no RDMA context. */
const char *rdma_device(struct snapshot *snap, const char *owner)
{
	char *text;

	if (!owner || strncmp(owner, uverbs, strlen(uverbs)))
		return NULL;
	text = read_text(snap, snap_printf(snap,
			 "%s/sys/class/infiniband_verbs/%s/ibdev", snap->root,
			 strrchr(owner, '/') + 1));
	if (text)
		text[strcspn(text, "\n")] = 0;
	return text;
}

unsigned long rdma_mrs(struct snapshot *snap, const char *device, pid_t pid)
{
	const struct mr_count key = { .device = device, .pid = pid };
	size_t at = list_find(&snap->mrs, &key, mr_compare);
	const struct mr_count *found;

	if (at == snap->mrs.nr)
		return 0;
	found = snap->mrs.item[at];
	return mr_compare(found, &key) ? 0 : found->nr;
}
