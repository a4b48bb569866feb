/* SPDX-License-Identifier: Apache-2.0
 *
 * What all parts of the compiled scanner share: places in a padded block, words of bytes, Arrow's string views.
 *
 * Every entry point is given a block, its size, and how much of that is text: HW_PADDING zero bytes stand behind the
 * text, so that a read of eight bytes at any place of the text, or at its end, stays inside. Places come from Python or
 * from earlier calls and are checked before they are used; a place that is out of bounds makes the call return HW_BAD.
 * Nothing recurses, and no memory is asked for by a size that the text states.
 */
#ifndef HEADWATER_BLOCK_H
#define HEADWATER_BLOCK_H

#include <stdint.h>
#include <string.h>

#if defined(__linux__)
#include <sys/auxv.h>
#else
#include <time.h>
#endif

#define HW_PADDING 64
#define HW_BAD (-1)

#if defined(__GNUC__)
#define HW_API __attribute__((visibility("default")))
#define hw_soon(at) __builtin_prefetch(at)
#define hw_lowest(word) __builtin_ctzll(word)
#define hw_highest(word) (63 - __builtin_clzll(word))
#define hw_apart(word) __asm__("" : "+r"(word))
#else
#define HW_API
#define hw_soon(at) ((void)(at))
#define hw_apart(word) ((void)0)
static inline int hw_lowest(uint64_t word) {
    int at = 0;
    while (!(word >> at & 1)) at++;
    return at;
}
static inline int hw_highest(uint64_t word) {
    int at = 63;
    while (!(word >> at & 1)) at--;
    return at;
}
#endif

typedef const uint8_t *Text;

static inline uint64_t hw_word(Text at) {
    uint64_t word;
    memcpy(&word, at, 8);
    return word;
}

static inline uint32_t hw_half(Text at) {
    uint32_t word;
    memcpy(&word, at, 4);
    return word;
}

/* The first place of a byte in [at, limit), or limit. */
static inline int64_t hw_first(Text data, int64_t at, int64_t limit, int byte) {
    if (at >= limit) return limit;
    Text found = memchr(data + at, byte, (size_t)(limit - at));
    return found ? found - data : limit;
}

/* The place behind the last such byte in [limit, end), or limit. */
static inline int64_t hw_last(Text data, int64_t end, int64_t limit, int byte) {
    while (end > limit && data[end - 1] != byte) end--;
    return end > limit ? end : limit;
}

static inline int hw_is_digit(uint8_t c) { return (uint8_t)(c - '0') <= 9; }

/* Decimal digits from `at` on, at most `most`; gives the value and returns the place behind them. */
static inline int64_t hw_digits(Text data, int64_t at, int64_t limit, int most, int64_t *value) {
    int64_t sum = 0;
    while (most-- > 0 && at < limit && hw_is_digit(data[at])) sum = sum * 10 + (data[at++] - '0');
    *value = sum;
    return at;
}

/* Whether exactly `count` digits stand at `at`, and their value. The bytes must be readable. */
static inline int hw_number(Text at, int count, int64_t *value) {
    int64_t sum = 0;
    for (int k = 0; k < count; k++) {
        if (!hw_is_digit(at[k])) return 0;
        sum = sum * 10 + (at[k] - '0');
    }
    *value = sum;
    return 1;
}

/* One string view of [start, end), as https://arrow.apache.org/docs/format/Columnar.html lays it out; buffer number 0. */
static inline void hw_view(uint64_t *view, Text data, int64_t start, int64_t end) {
    uint64_t size = (uint64_t)(end - start);
    uint64_t first = hw_word(data + start);
    if (size > 12) {
        view[0] = size | first << 32;
        view[1] = (uint64_t)start << 32;
    } else if (size > 8) {
        view[0] = size | first << 32;
        view[1] = first >> 32 | (uint64_t)(hw_half(data + start + 8) & (uint32_t)((1ULL << 8 * (size - 8)) - 1)) << 32;
    } else {
        if (size < 8) first &= (1ULL << 8 * size) - 1;
        view[0] = size | first << 32;
        view[1] = first >> 32;
    }
}

/* Four groups of one to three digits with dots between them. */
static inline int hw_is_ipv4(Text at, int64_t size) {
    int dots = 0, run = 0;
    if (size > 15) return 0;
    for (int64_t k = 0; k < size; k++) {
        if (hw_is_digit(at[k])) {
            if (++run > 3) return 0;
        } else {
            if (at[k] != '.' || !run || ++dots > 3) return 0;
            run = 0;
        }
    }
    return dots == 3 && run > 0;
}

static inline void hw_mark(uint8_t *bits, int64_t row) { bits[row >> 3] |= (uint8_t)(1u << (row & 7)); }

/* An odd number that evidence cannot have foreseen, one for each `which`. Numbers times it, their highest bits taken, fall
 * together no oftener than by chance, however they were chosen: M. Dietzfelbinger and others, "A Reliable Randomized Algorithm for
 * the Closest-Pair Problem", 1997. */
static inline uint64_t hw_chance(uint64_t which) {
    uint64_t word = 0;
#if defined(__linux__)
    const uint8_t *given = (const uint8_t *)(uintptr_t)getauxval(AT_RANDOM); /* 16 bytes that the kernel gives each program */
    if (given) word = hw_word(given) ^ hw_word(given + 8) * 0xD6E8FEB86659FD93ULL;
#else
    word = (uint64_t)(uintptr_t)&word ^ (uint64_t)time(NULL) << 32 ^ (uint64_t)clock();
#endif
    word += (which + 1) * 0x9E3779B97F4A7C15ULL; /* S. Vigna's splitmix64 */
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9ULL;
    word = (word ^ word >> 27) * 0x94D049BB133111EBULL;
    return (word ^ word >> 31) | 1;
}

/* A nullable column of texts under construction: views of 16 bytes, one bit a row, and how many rows have a text. */
typedef struct {
    uint64_t *views;
    uint8_t *bits;
    int64_t count;
} Column;

static inline void hw_put(Column *column, int64_t row, Text data, int64_t start, int64_t end) {
    hw_view(column->views + 2 * row, data, start, end);
    hw_mark(column->bits, row);
    column->count++;
}

#endif
