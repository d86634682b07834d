/* SPDX-License-Identifier: GPL-2.0-only */
/* For mm/memremap.c: the users of FS DAX pages whose memmap is about to go. */
#ifndef _MM_PGMAP_USERS_H
#define _MM_PGMAP_USERS_H

#include <linux/types.h>

struct dev_pagemap;
struct pgmap_users;

#ifdef CONFIG_FS_DAX
struct pgmap_users *pgmap_users_note(struct pgmap_users *users,
				     struct dev_pagemap *pgmap,
				     unsigned long first, unsigned long end);
void pgmap_users_wait(const struct pgmap_users *users,
		      struct dev_pagemap *pgmap, unsigned long first,
		      unsigned long end);
#else
static inline struct pgmap_users *
pgmap_users_note(struct pgmap_users *users, struct dev_pagemap *pgmap,
		 unsigned long first, unsigned long end)
{
	return NULL;
}

static inline void pgmap_users_wait(const struct pgmap_users *users,
				    struct dev_pagemap *pgmap,
				    unsigned long first, unsigned long end)
{
}
#endif

#endif /* _MM_PGMAP_USERS_H */
