/* SPDX-License-Identifier: Apache-2.0
 *
 * LZ4 blocks, compressed greedily.  https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md
 */
#ifndef HEADWATER_LZ4_H
#define HEADWATER_LZ4_H

#include <stdint.h>

/* The most bytes that so many can become. */
static inline int64_t hw_lz4_bound(int64_t size) { return size + size / 255 + 32; }

/* Compress `size` bytes (less than 2 GiB) into `out`, which has room for the bound; returns how many bytes it took. */
int64_t hw_lz4(const uint8_t *from, int64_t size, uint8_t *out);

#endif
