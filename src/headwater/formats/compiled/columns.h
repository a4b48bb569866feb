/* SPDX-License-Identifier: Apache-2.0
 *
 * What the encoders of Parquet columns share: chunks in, numbered values between, two pages out.
 */
#ifndef HEADWATER_COLUMNS_H
#define HEADWATER_COLUMNS_H

#include "arrow.h"
#include "block.h"

#define MOST_BYTES (1LL << 30) /* of one page */
#define SAMPLE 16384           /* so many distinct values tell whether a dictionary is worth its room */
#define NULL_CODE UINT32_MAX
#define TOGETHER 32 /* rows whose texts are numbered side by side */
#define SEEN_BITS 8
/* Texts of evidence may be made to meet in one slot: with more steps than these, and so many for each value asked, the
 * numbering is given up, and the column is written another way. */
#define STEPS (4LL << 20)
#define STEPS_EACH 64
#define SEEN (1 << SEEN_BITS)

enum { PLAIN = 0, RLE_DICTIONARY = 8, DELTA_BINARY_PACKED = 5 };

/* What a call gives back; pages stand behind each other at `pages` (dictionary first) until hw_free. */
typedef struct {
    uint8_t *pages;
    int64_t rows, nulls, distinct; /* distinct is 0 where there is no dictionary */
    int64_t encoding, compressed;
    int64_t dictionary_raw, dictionary_size, data_raw, data_size;
    int64_t least, greatest; /* of integers */
} Encoded;

typedef struct {
    struct ArrowArray *chunks;
    int64_t count, rows;
    char format; /* v: string view, l: int64, b: boolean */
} Input;

typedef struct {
    uint32_t at, size, hash; /* where the value stands in the page */
} Entry;

/* Numbers distinct values: slots hold a hash and the number of an entry plus one. The values are copied at once into what
 * becomes the dictionary page (behind their sizes where `sized`), so that comparing stays within a small stretch of memory. */
typedef struct {
    Entry *entries;
    uint64_t *slots;
    uint32_t *codes; /* one a value, nulls left out */
    uint8_t *page;
    int64_t count, room, mask, bytes, page_room, steps; /* steps that may still be taken */
    int sized;
} Dictionary;

typedef struct {
    uint8_t *bytes;
    int64_t size;
} Buffer;

/* The bits of up to 32 rows, the first row lowest; all of them where there are no bits. */
static inline uint32_t hw_valid_rows(const uint8_t *bits, int64_t first, int rows) {
    uint32_t every = rows < 32 ? (1u << rows) - 1 : UINT32_MAX;
    if (!bits) return every;
    int shift = (int)(first & 7), bytes = (shift + rows + 7) / 8;
    uint64_t word = 0;
    bits += first >> 3;
    if (bytes >= 4) {
        word = hw_half(bits);
        if (bytes == 5) word |= (uint64_t)bits[4] << 32;
    } else {
        for (int k = 0; k < bytes; k++) word |= (uint64_t)bits[k] << 8 * k;
    }
    return (uint32_t)(word >> shift) & every;
}

static inline int hw_is_valid(const uint8_t *bits, int64_t row) { return !bits || bits[row >> 3] >> (row & 7) & 1; }

/* Whether so many distinct values of so many seen are too many for a dictionary; asked now and then. */
static inline int hw_too_many(int64_t distinct, int64_t seen) { return distinct >= SAMPLE && distinct * 4 > seen * 3; }

/* All chunks of a stream; 0 where it is of another kind or fails. What came is to be released in either case. */
int hw_take(struct ArrowArrayStream *stream, Input *input);
void hw_release(Input *input);
/* Views that were numbered a moment ago; a view that is the same bit for bit has the same text. One array's are of no use to
 * another. */
typedef struct {
    uint64_t view[SEEN][2];
    uint32_t code[SEEN]; /* NULL_CODE where nothing was kept */
    uint64_t last[2];
    uint32_t last_code;
} Seen;

void hw_forget(Seen *seen);
/* Numbers the texts of up to TOGETHER rows of a chunk, those that are there, behind each other in `codes`; `there` gets a bit
 * for each. Returns how many, or HW_BAD. */
int hw_number_rows(const struct ArrowArray *chunk, int64_t first, int rows, Dictionary *found, Seen *seen, int64_t *total,
                   uint32_t *codes, uint32_t *there);
int hw_begin(Dictionary *found, int64_t rows, int sized);
void hw_end(Dictionary *found);
/* The number of a value; NULL_CODE where there is no memory, or too many values meet in one place. */
uint32_t hw_code_of(Dictionary *found, const uint8_t *at, uint32_t size);
/* Definition levels of all rows; returns the place behind them. */
uint8_t *hw_put_levels(const Input *input, const Encoded *out, uint8_t *to);
/* Both pages as they are, or compressed where that is a twentieth shorter, into one piece of memory; 0 on a fault. */
int hw_finish(Encoded *out, Buffer dictionary, Buffer data, int compress);
/* The pages of a column whose values have numbers; 0 on a fault. */
int hw_numbered(const Input *input, const Dictionary *found, Encoded *out);
int hw_encode_integers(const Input *input, Encoded *out);
int hw_encode_booleans(const Input *input, Encoded *out);

/* Room that hw_put_levels may take. */
static inline int64_t hw_levels_room(int64_t rows) { return 24 + (rows + 7) / 8; }

static inline int hw_bits_for(uint64_t greatest) {
    int bits = 0;
    while (greatest) bits++, greatest >>= 1;
    return bits;
}

static inline uint8_t *hw_varint(uint8_t *to, uint64_t value) {
    for (; value > 127; value >>= 7) *to++ = (uint8_t)(value | 128);
    *to++ = (uint8_t)value;
    return to;
}

#endif
