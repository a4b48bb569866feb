/* SPDX-License-Identifier: Apache-2.0
 *
 * Columns of 64-bit integers and of booleans as pages of Parquet.
 *
 * https://github.com/apache/parquet-format/blob/master/Encodings.md (DELTA_BINARY_PACKED: blocks of 128 differences
 * in four miniblocks, each packed to the width of its widest)
 */
#include <stdlib.h>

#include "columns.h"

#define IN_BLOCK 128
#define IN_MINIBLOCK 32
#define MINIBLOCKS 4
#define WIDEST 61 /* bits that the values of a column of differences may lie apart */

static uint64_t zigzag(int64_t value) { return (uint64_t)value << 1 ^ (uint64_t)(value >> 63); }

/* All values that are no nulls, behind each other, and the least and the greatest of them; whether none is less than the one
 * before it. */
static int take_integers(const Input *input, Encoded *out, int64_t *values) {
    int64_t count = 0, row = 0;
    int descends = 0;
    for (int64_t c = 0; c < input->count; c++) {
        const struct ArrowArray *chunk = input->chunks + c;
        const int64_t *from = chunk->buffers[1];
        int64_t end = chunk->offset + chunk->length;
        row += chunk->length;
        for (int64_t k = chunk->offset; k < end; k += 32) {
            int some = end - k < 32 ? (int)(end - k) : 32;
            uint32_t there = hw_valid_rows(chunk->buffers[0], k, some);
            if (!(~there << (32 - some))) {
                memcpy(values + count, from + k, (size_t)some * sizeof *values);
                count += some;
                continue;
            }
            for (; there; there &= there - 1) values[count++] = from[k + hw_lowest(there)];
        }
    }
    out->nulls = row - count;
    if (!count) return 0;
    out->least = out->greatest = values[0];
    for (int64_t k = 1; k < count; k++) {
        descends |= values[k] < values[k - 1];
        out->least = values[k] < out->least ? values[k] : out->least;
        out->greatest = values[k] > out->greatest ? values[k] : out->greatest;
    }
    return !descends;
}

/* Numbers the values as long as these are few; 1 where a dictionary serves, 0 where it does not, HW_BAD without memory. */
static int number_integers(Dictionary *found, const int64_t *values, int64_t count, int rises) {
    int64_t before = 0, asked = SAMPLE;
    uint32_t code = NULL_CODE;
    for (int64_t k = 0; k < count; k++) {
        if (code == NULL_CODE || values[k] != before) {
            code = hw_code_of(found, (const uint8_t *)(values + k), 8);
            if (code == NULL_CODE) return HW_BAD;
            before = values[k];
            /* what rises, as times and serials do, has short differences */
            if (rises && found->count > 256 && found->count * 8 > k) return 0;
            if (found->count >= asked && (asked = found->count * 2) && hw_too_many(found->count, k + 1)) return 0;
        }
        found->codes[k] = code;
    }
    return found->count * 3 <= count * 2 || count < 2;
}

static uint8_t *put_miniblock(uint8_t *to, const uint64_t *values, int width) {
    uint64_t held = 0;
    int bits = 0;
    for (int k = 0; k < IN_MINIBLOCK; k++) {
        uint64_t value = values[k];
        for (int left = width; left > 0;) {
            int some = left < 32 ? left : 32;
            held |= (value & ((1ULL << some) - 1)) << bits;
            bits += some;
            value >>= some;
            left -= some;
            while (bits >= 8) *to++ = (uint8_t)held, held >>= 8, bits -= 8;
        }
    }
    return to; /* 32 values of any width end on a byte */
}

static uint8_t *put_block(uint8_t *to, const int64_t *values, int64_t count) {
    uint64_t above[IN_BLOCK] = {0};
    int64_t least = INT64_MAX;
    for (int64_t k = 0; k < count; k++)
        if (values[k + 1] - values[k] < least) least = values[k + 1] - values[k];
    for (int64_t k = 0; k < count; k++) above[k] = (uint64_t)(values[k + 1] - values[k] - least);
    to = hw_varint(to, zigzag(least));
    uint8_t *widths = to;
    to += MINIBLOCKS;
    for (int m = 0; m < MINIBLOCKS; m++) {
        uint64_t all = 0;
        for (int k = 0; k < IN_MINIBLOCK; k++) all |= above[m * IN_MINIBLOCK + k];
        widths[m] = (uint8_t)hw_bits_for(all);
        if (m * IN_MINIBLOCK < count) to = put_miniblock(to, above + m * IN_MINIBLOCK, widths[m]);
    }
    return to;
}

static int as_differences(const Input *input, Encoded *out, const int64_t *values) {
    int64_t count = out->rows - out->nulls;
    int64_t blocks = (count + IN_BLOCK - 1) / IN_BLOCK;
    Buffer data = {malloc((size_t)(hw_levels_room(out->rows) + 40 + blocks * (16 + 8 * IN_BLOCK))), 0};
    if (!data.bytes) return 0;
    uint8_t *to = hw_put_levels(input, out, data.bytes);
    to = hw_varint(to, IN_BLOCK);
    to = hw_varint(to, MINIBLOCKS);
    to = hw_varint(to, (uint64_t)count);
    to = hw_varint(to, zigzag(count ? values[0] : 0));
    for (int64_t k = 0; k + 1 < count; k += IN_BLOCK)
        to = put_block(to, values + k, count - 1 - k < IN_BLOCK ? count - 1 - k : IN_BLOCK);
    data.size = to - data.bytes;
    out->encoding = DELTA_BINARY_PACKED;
    int done = hw_finish(out, (Buffer){0}, data, 0);
    free(data.bytes);
    return done;
}

static int as_they_are(const Input *input, Encoded *out, const int64_t *values) {
    int64_t count = out->rows - out->nulls;
    Buffer data = {malloc((size_t)(hw_levels_room(out->rows) + 8 * count)), 0};
    if (!data.bytes) return 0;
    uint8_t *to = hw_put_levels(input, out, data.bytes);
    memcpy(to, values, (size_t)(8 * count));
    data.size = to + 8 * count - data.bytes;
    out->encoding = PLAIN;
    int done = hw_finish(out, (Buffer){0}, data, 1);
    free(data.bytes);
    return done;
}

int hw_encode_integers(const Input *input, Encoded *out) {
    Dictionary found;
    int64_t *values = malloc((size_t)(input->rows + 1) * sizeof *values);
    int done = 0;
    if (hw_begin(&found, input->rows, 0) && values) {
        int rises = take_integers(input, out, values);
        int few = number_integers(&found, values, out->rows - out->nulls, rises);
        int close = (uint64_t)out->greatest - (uint64_t)out->least < 1ULL << WIDEST;
        if (few > 0) done = hw_numbered(input, &found, out);
        else if (!few) done = close ? as_differences(input, out, values) : as_they_are(input, out, values);
    }
    free(values);
    hw_end(&found);
    return done;
}

int hw_encode_booleans(const Input *input, Encoded *out) {
    Buffer data = {calloc((size_t)(hw_levels_room(input->rows) + (input->rows + 7) / 8), 1), 0};
    uint8_t *values = calloc((size_t)(input->rows + 7) / 8, 1);
    int done = 0;
    if (data.bytes && values) {
        int64_t count = 0;
        for (int64_t c = 0; c < input->count; c++) {
            const struct ArrowArray *chunk = input->chunks + c;
            for (int64_t k = chunk->offset; k < chunk->offset + chunk->length; k++) {
                if (!hw_is_valid(chunk->buffers[0], k)) out->nulls++;
                else if (hw_is_valid(chunk->buffers[1], k)) hw_mark(values, count++);
                else count++;
            }
        }
        uint8_t *to = hw_put_levels(input, out, data.bytes);
        memcpy(to, values, (size_t)((count + 7) / 8));
        data.size = to + (count + 7) / 8 - data.bytes;
        out->encoding = PLAIN;
        done = hw_finish(out, (Buffer){0}, data, 1);
    }
    free(values);
    free(data.bytes);
    return done;
}
