# SPDX-License-Identifier: GPL-2.0
# How the tests are compiled, those outside of the kernel tree as well.

# Not -O2: the harness keeps a flag in a variable that longjmp clobbers then,
# and a test whose assertion fails is not torn down.
CFLAGS += -Wall -Wextra -Wno-unused-parameter -Wno-clobbered -Og -g -pthread
CFLAGS += -Wno-missing-field-initializers -D_GNU_SOURCE=
LDLIBS += -libverbs
