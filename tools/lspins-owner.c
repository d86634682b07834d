// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Kinds of owners, told apart by their paths: a short name for those whose path
 * says little, and what ends the pins of each.
 */
#include <string.h>

#include "lspins-data.h"

static const struct kind {
	const char *path;	/* begins so */
	const char *name;	/* NULL: the path is good enough */
	const char *ends;
} kinds[] = {
	{ "/dev/infiniband/uverbs", NULL,
	  "deregistering the memory or closing the context" },
	{ "anon_inode:[io_uring]", "io_uring",
	  "IORING_UNREGISTER_BUFFERS, or closing the ring once its requests end" },
	{ "socket:[", "xdp",
	  "closing every AF_XDP socket that uses the umem" },
	{ "/dev/vfio/vfio", "vfio",
	  "VFIO_IOMMU_UNMAP_DMA, or closing the container and its groups" },
};

static const struct kind *kind_of(const char *owner)
{
	size_t i;

	for (i = 0; owner && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strncmp(owner, kinds[i].path, strlen(kinds[i].path)))
			return &kinds[i];
	return NULL;
}

/* "io_uring" for "anon_inode:[io_uring]"; the path where there is no such name. */
const char *owner_short(const char *owner)
{
	const struct kind *kind = kind_of(owner);

	return kind && kind->name ? kind->name : owner;
}

/* What a program does to end its pins, or NULL if that is not known. */
const char *owner_ends(const char *owner)
{
	const struct kind *kind = kind_of(owner);

	return kind ? kind->ends : NULL;
}
