/* SPDX-License-Identifier: Apache-2.0
 *
 * How often each byte stands in some bytes. Four tables, so that equal bytes behind each other do not wait for one counter.
 */
#include "block.h"

HW_API int64_t hw_histogram(Text data, int64_t size, int64_t counts[256]) {
    if (size < 0) return HW_BAD;
    uint32_t tables[4][256];
    memset(counts, 0, 256 * sizeof *counts);
    for (int64_t done = 0; done < size;) { /* a counter of 32 bits holds a gigabyte's bytes */
        int64_t end = size - done > 1 << 30 ? done + (1 << 30) : size;
        memset(tables, 0, sizeof tables);
        for (; done + 8 <= end; done += 8) {
            uint64_t word = hw_word(data + done);
            for (int i = 0; i < 8; i++) tables[i & 3][(uint8_t)(word >> (8 * i))]++;
        }
        for (; done < end; done++) tables[0][data[done]]++;
        for (int i = 0; i < 256; i++) counts[i] += (int64_t)tables[0][i] + tables[1][i] + tables[2][i] + tables[3][i];
    }
    return size;
}
