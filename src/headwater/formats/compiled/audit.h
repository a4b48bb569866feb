/* SPDX-License-Identifier: Apache-2.0
 *
 * What the two parts of the reader of audit lines share: which columns there are, and where they stand.
 */
#ifndef HEADWATER_AUDIT_H
#define HEADWATER_AUDIT_H

#include "block.h"

#define TEXTS 96   /* columns of texts: the fixed ones, then one for each key in order of appearance */
#define COUNTED 42 /* columns of integers, likewise */

/* The fixed columns of texts, in the order of Python's list; from IMAGE on they are those of derived events, but for OTHER. */
enum { USER, TARGET, PEER, PROCESS, COMMAND, FILE_PATH, HOST, TYPE, IMAGE, LINE, DIRECTORY, ACTOR, RECORDS, PARENT_IMAGE, PARENT_LINE,
       PARENT_RECORD, OTHER, FIXED };
/* The fixed columns of integers. */
enum { PROCESS_ID, PARENT_ID, FIXED_COUNTED };
/* What a record is to a process. */
enum { NO_PART, CALL, EXECUTED, FOLDER, TITLE };
enum { UNSAID, GOOD, BAD };

/* Columns of `stride` rows each: views, then bits of validity of texts and behind them of integers, and how many rows have a
 * value. */
typedef struct {
    uint64_t *views;
    uint8_t *bits;
    int64_t *counts, *values;
} Columns;

static inline uint8_t *hw_bits_of(const Columns *to, int64_t stride, int column) {
    return to->bits + (stride + 7) / 8 * column;
}

static inline int hw_has(const Columns *to, int64_t stride, int column, int64_t row) {
    return hw_bits_of(to, stride, column)[row >> 3] >> (row & 7) & 1;
}

static inline void hw_mark_in(const Columns *to, int64_t stride, int column, int64_t row) {
    hw_mark(hw_bits_of(to, stride, column), row);
    to->counts[column]++;
}

#endif
