/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers the distinct values of one column, in order of appearance, and says which of them each row has.
 *
 * A column comes as an Arrow stream of chunks (string views or 64-bit integers), as the encoder of Parquet columns takes
 * it. Memory is that of the distinct values, and what the caller gives.
 */
#include "columns.h"

/* Spreads the numbers of the rows that have one over all of these rows; from the last on, for they stand in the same place. */
static void spread(uint32_t *codes, int rows, int values, uint32_t there) {
    if (values == rows) return;
    for (int k = rows - 1; k >= 0; k--) codes[k] = there >> k & 1 ? codes[--values] : NULL_CODE;
}

static int64_t number(const Input *input, Dictionary *found, uint32_t *codes, int64_t *first) {
    int64_t row = 0, total = 0;
    Seen seen;
    for (int64_t c = 0; c < input->count; c++) {
        const struct ArrowArray *chunk = input->chunks + c;
        int64_t end = chunk->offset + chunk->length;
        hw_forget(&seen);
        for (int64_t k = chunk->offset; k < end; k += TOGETHER) {
            int some = end - k < TOGETHER ? (int)(end - k) : TOGETHER;
            int64_t before = found->count;
            if (input->format == 'v') {
                uint32_t there;
                int values = hw_number_rows(chunk, k, some, found, &seen, &total, codes + row, &there);
                if (values < 0) return HW_BAD;
                spread(codes + row, some, values, there);
            } else {
                for (int r = 0; r < some; r++) {
                    const uint8_t *value = (const uint8_t *)chunk->buffers[1] + 8 * (k + r);
                    codes[row + r] = NULL_CODE;
                    if (!hw_is_valid(chunk->buffers[0], k + r)) continue;
                    codes[row + r] = hw_code_of(found, value, 8);
                    if (codes[row + r] == NULL_CODE) return HW_BAD;
                }
            }
            for (int r = 0; r < some && before < found->count; r++)
                if (codes[row + r] == before) first[before++] = row + r;
            row += some;
        }
    }
    return row;
}

/* The number of each row's value in `codes` (nulls have the number behind the last), and in `first` the row in which each
 * value stands first; both have room for `rows`. Returns how many values there are, or HW_BAD: number them another way. */
HW_API int64_t hw_codes(struct ArrowArrayStream *stream, uint32_t *codes, int64_t *first, int64_t rows) {
    Input input;
    Dictionary found = {0};
    int64_t count = HW_BAD;
    if (hw_take(stream, &input) && input.format != 'b' && input.rows == rows && hw_begin(&found, rows, 0) &&
        number(&input, &found, codes, first) == rows) {
        count = found.count;
        for (int64_t k = 0; k < rows; k++)
            if (codes[k] == NULL_CODE) codes[k] = (uint32_t)count;
    }
    hw_end(&found);
    hw_release(&input);
    return count;
}
