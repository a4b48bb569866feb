/* SPDX-License-Identifier: Apache-2.0
 *
 * LZ4 blocks, compressed greedily: each place of four bytes is looked up in one table by a hash of them.
 */
#include "lz4.h"
#include "block.h"

#define TABLE_BITS 13
#define LAST_LITERALS 5 /* the format's own rules: the last five bytes are literals, */
#define LAST_MATCH 12   /* and no match begins in the last twelve */
#define FARTHEST 65535

static uint32_t slot(uint32_t four) { return four * 2654435761u >> (32 - TABLE_BITS); }

static uint8_t *rest_of(uint8_t *out, int64_t left) {
    for (; left >= 255; left -= 255) *out++ = 255;
    *out++ = (uint8_t)left;
    return out;
}

/* `spare`: how many bytes can be read behind the literals; the bound leaves more than that to write. */
static uint8_t *put_literals(uint8_t *out, const uint8_t *from, int64_t count, int match, int64_t spare) {
    *out++ = (uint8_t)((count < 15 ? count : 15) << 4 | match);
    if (count >= 15) out = rest_of(out, count - 15);
    if (count <= 16 && spare >= 16) { /* most are short: two words, of which what follows overwrites the rest */
        memcpy(out, from, 16);
        return out + count;
    }
    memcpy(out, from, (size_t)count);
    return out + count;
}

static int64_t same_bytes(const uint8_t *a, const uint8_t *b, const uint8_t *end) {
    const uint8_t *first = a;
    while (a + 8 <= end) {
        uint64_t difference = hw_word(a) ^ hw_word(b);
        if (difference) {
#if defined(__GNUC__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
            return a - first + (__builtin_ctzll(difference) >> 3);
#else
            break;
#endif
        }
        a += 8;
        b += 8;
    }
    while (a < end && *a == *b) a++, b++;
    return a - first;
}

int64_t hw_lz4(const uint8_t *from, int64_t size, uint8_t *out) {
    uint32_t table[1 << TABLE_BITS];
    uint8_t *first = out;
    int64_t at = 1, done = 0, misses = 0;
    memset(table, 0, sizeof table);
    while (at < size - LAST_MATCH) {
        uint32_t four = hw_half(from + at), *place = table + slot(four);
        int64_t before = *place;
        *place = (uint32_t)at;
        if (before >= at || at - before > FARTHEST || hw_half(from + before) != four) {
            at += 1 + (misses++ >> 6); /* what does not repeat is passed over faster and faster */
            continue;
        }
        misses = 0;
        while (at > done && before > 0 && from[at - 1] == from[before - 1]) at--, before--;
        int64_t length = 4 + same_bytes(from + at + 4, from + before + 4, from + size - LAST_LITERALS);
        out = put_literals(out, from + done, at - done, (int)(length - 4 < 15 ? length - 4 : 15), size - at);
        *out++ = (uint8_t)(at - before);
        *out++ = (uint8_t)((at - before) >> 8);
        if (length - 4 >= 15) out = rest_of(out, length - 4 - 15);
        at += length;
        done = at;
        if (at < size - LAST_MATCH) table[slot(hw_half(from + at - 2))] = (uint32_t)(at - 2);
    }
    out = put_literals(out, from + done, size - done, 0, 0);
    return out - first;
}
