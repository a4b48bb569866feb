/* SPDX-License-Identifier: Apache-2.0
 *
 * Cuts a block into lines, looks for bytes in all of them, and makes columns of string views.
 */
#include "block.h"

/* Raised with every change of what a function takes or gives; Python refuses a library of another number. */
#define HW_VERSION 7

HW_API int64_t hw_version(void) { return HW_VERSION; }

/* How many bytes of the text are equal to `byte`. */
HW_API int64_t hw_count(Text data, int64_t size, int64_t byte) {
    int64_t count = 0;
    while (size > 0) {
        int64_t some = size < 4080 ? size : 4080; /* small sums are added up in wide registers */
        uint32_t here = 0;
        for (int64_t k = 0; k < some; k++) here += data[k] == (uint8_t)byte;
        count += here;
        data += some;
        size -= some;
    }
    return count;
}

/* Starts, ends and ends of the text of all lines of a block; `most` is the room in the arrays. Returns their number.
 * A text ends before the line feed, and before a carriage return in front of that. */
HW_API int64_t hw_lines(Text data, int64_t size, int64_t most, int64_t *start, int64_t *end, int64_t *text) {
    int64_t at = 0, count = 0;
    while (at < size) {
        if (count >= most) return HW_BAD;
        int64_t feed = hw_first(data, at, size, '\n');
        int64_t stop = feed;
        if (feed < size && stop > at && data[stop - 1] == '\r') stop--;
        start[count] = at;
        end[count] = at = feed < size ? feed + 1 : size;
        text[count++] = stop;
    }
    return count;
}

/* For each row the first place of `byte` in [at, limit), or limit. */
HW_API int64_t hw_find(Text data, int64_t size, const int64_t *at, const int64_t *limit, int64_t rows, int64_t byte,
                       int64_t *found) {
    for (int64_t k = 0; k < rows; k++) {
        if (at[k] < 0 || limit[k] > size) return HW_BAD;
        found[k] = hw_first(data, at[k], limit[k], (int)byte);
    }
    return rows;
}

/* For each row the place behind the last such byte in [limit, end), or limit. */
HW_API int64_t hw_find_back(Text data, int64_t size, const int64_t *end, const int64_t *limit, int64_t rows, int64_t byte,
                            int64_t *found) {
    for (int64_t k = 0; k < rows; k++) {
        if (limit[k] < 0 || end[k] > size) return HW_BAD;
        found[k] = hw_last(data, end[k], limit[k], (int)byte);
    }
    return rows;
}

/* String views of data[start:end]; `valid` (a byte a row, or NULL for all) says which rows have a text at all.
 * `views` and `bits` come zeroed. Returns the number of nulls. */
HW_API int64_t hw_views(Text data, int64_t size, const int64_t *start, const int64_t *end, const uint8_t *valid,
                        int64_t rows, uint64_t *views, uint8_t *bits) {
    int64_t nulls = 0;
    for (int64_t k = 0; k < rows; k++) {
        if (valid && !valid[k]) {
            nulls++;
            continue;
        }
        if (start[k] < 0 || end[k] < start[k] || end[k] > size - HW_PADDING) return HW_BAD;
        hw_view(views + 2 * k, data, start[k], end[k]);
        if (valid) hw_mark(bits, k);
    }
    return nulls;
}

/* Zeroes the values of rows that have none, so that nothing that stood in this memory before is taken for a view; `words` of eight
 * bytes are one value. */
HW_API int64_t hw_clear(uint64_t *values, const uint8_t *bits, int64_t rows, int64_t words) {
    if (words < 1 || words > 2) return HW_BAD;
    for (int64_t first = 0; first < rows; first += 64) {
        int64_t some = rows - first < 64 ? rows - first : 64;
        uint64_t missing = 0;
        for (int64_t k = 0; k < (some + 7) / 8; k++) missing |= (uint64_t)(uint8_t)~bits[first / 8 + k] << 8 * k;
        if (some < 64) missing &= (1ULL << some) - 1;
        if (missing == UINT64_MAX) {
            memset(values + words * first, 0, (size_t)(8 * words * 64));
            continue;
        }
        for (; missing; missing &= missing - 1) {
            uint64_t *value = values + words * (first + hw_lowest(missing));
            value[0] = value[words - 1] = 0;
        }
    }
    return rows;
}
