// SPDX-License-Identifier: Apache-2.0
// A disk that loses power: a layer over SQLite's own file access that remembers what was written and not yet synced. At the
// crash each such write is kept, lost or torn, sector by sector, as the seed says. Synced bytes are always kept.
#ifndef SKIFF_TESTS_TORN_VFS_H
#define SKIFF_TESTS_TORN_VFS_H

#include <stdint.h>

// Becomes SQLite's default until torn_vfs_end. After `writes` writes every further one fails: the power is gone.
void torn_vfs_begin(uint64_t seed, int64_t writes);
// The power is gone now, if it is not already.
void torn_vfs_cut(void);
// What the platters hold: takes back what was not synced, as the seed says. Call it when all files are closed. Returns how many
// writes were lost or torn.
unsigned torn_vfs_end(void);

#endif
