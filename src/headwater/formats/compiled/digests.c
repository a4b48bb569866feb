/* SPDX-License-Identifier: Apache-2.0
 *
 * Two SHA-256 digests at a time by the processor's own instructions.
 *
 * Within one digest each of these instructions waits for the one before; two digests side by side fill each other's
 * waits. What comes in twos: an entry of a ledger and its leaf in a Merkle tree (RFC 6962: a byte 00 before the bytes), two
 * nodes of such a tree, two chunks. Where the processor has no such instructions hw_twin_there says 0, and Python digests by
 * its library. FIPS 180-4; Intel, "Intel SHA Extensions", 2013.
 */
#include "sha.h"

#ifdef HW_HAS_SHA
#include <cpuid.h>

/* `count` blocks from each of two places into two digests. */
HW_SHA static void both(uint32_t one[8], Text first, uint32_t other[8], Text second, int64_t count) {
    const __m128i turn = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
    Sha a = hw_taken(one), b = hw_taken(other);
    for (; count > 0; count--, first += HW_BLOCK, second += HW_BLOCK) {
        Sha olda = a, oldb = b;
        __m128i x[4], y[4];
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            x[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(first + 16 * i)), turn);
            y[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(second + 16 * i)), turn);
        }
#pragma GCC unroll 16
        for (int at = 0; at < 16; at++) {
            hw_rounds(&a, x, at);
            hw_rounds(&b, y, at);
        }
        a = (Sha){_mm_add_epi32(a.abef, olda.abef), _mm_add_epi32(a.cdgh, olda.cdgh)};
        b = (Sha){_mm_add_epi32(b.abef, oldb.abef), _mm_add_epi32(b.cdgh, oldb.cdgh)};
    }
    hw_given(a, one);
    hw_given(b, other);
}

/* `count` blocks into one digest. */
HW_SHA static void single(uint32_t words[8], Text data, int64_t count) {
    const __m128i turn = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
    Sha s = hw_taken(words);
    for (; count > 0; count--, data += HW_BLOCK) {
        Sha old = s;
        __m128i w[4];
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(data + 16 * i)), turn);
#pragma GCC unroll 16
        for (int at = 0; at < 16; at++) hw_rounds(&s, w, at);
        s = (Sha){_mm_add_epi32(s.abef, old.abef), _mm_add_epi32(s.cdgh, old.cdgh)};
    }
    hw_given(s, words);
}

/* The full blocks of `length` bytes into the whole, and into the leaf, which is one byte ahead; the leaf's last bytes
 * (1 to 64) into `end`. Returns how many they are. */
static int64_t begun(uint32_t whole[8], Text data, int64_t length, uint32_t leaf[8], uint8_t end[2 * HW_BLOCK]) {
    int64_t blocks = length / HW_BLOCK;
    memcpy(leaf, HW_START, sizeof HW_START);
    end[0] = 0;
    if (!blocks) {
        if (length) memcpy(end + 1, data, (size_t)length);
        return length + 1;
    }
    memcpy(end + 1, data, HW_BLOCK - 1);
    both(whole, data, leaf, end, 1);
    both(whole, data + HW_BLOCK, leaf, data + HW_BLOCK - 1, blocks - 1);
    int64_t held = length + 1 - HW_BLOCK * blocks;
    memcpy(end, data + HW_BLOCK * blocks - 1, (size_t)held);
    return held;
}

HW_API int64_t hw_twin_there(void) {
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & (1u << 29))) return 0; /* SHA */
    return __get_cpuid(1, &a, &b, &c, &d) && (c & (1u << 9)) && (c & (1u << 19)); /* SSSE3, SSE4.1 */
}

/* The leaves of `count` chunks of `length` bytes (a multiple of 64), each `stride` bytes behind the one before; by twos, an
 * odd last one beside itself. */
HW_API int64_t hw_twin_leaves(Text data, int64_t stride, int64_t length, int64_t count, uint8_t *leaves) {
    if (length < HW_BLOCK || length % HW_BLOCK || stride < length || count < 0) return HW_BAD;
    for (int64_t at = 0; at < count; at += 2, data += 2 * stride, leaves += 64) {
        int64_t apart = at + 1 < count ? stride : 0;
        uint32_t words[2][8];
        uint8_t ends[2][2 * HW_BLOCK];
        for (int i = 0; i < 2; i++) {
            memcpy(words[i], HW_START, sizeof HW_START);
            ends[i][0] = 0;
            memcpy(ends[i] + 1, data + apart * i, HW_BLOCK - 1);
        }
        both(words[0], ends[0], words[1], ends[1], 1);
        both(words[0], data + HW_BLOCK - 1, words[1], data + apart + HW_BLOCK - 1, length / HW_BLOCK - 1);
        for (int i = 0; i < 2; i++) {
            ends[i][0] = data[apart * i + length - 1];
            hw_padded(ends[i], 1, (uint64_t)length + 1);
        }
        both(words[0], ends[0], words[1], ends[1], 1);
        hw_written(words[0], leaves);
        if (apart) hw_written(words[1], leaves + 32);
    }
    return count;
}

/* Digest and leaf of each of `count` messages that stand one behind the other; `ends` tells where each ends. */
HW_API int64_t hw_twin_rows(Text data, int64_t size, const int64_t *ends, int64_t count, uint8_t *digests, uint8_t *leaves) {
    int64_t at = 0;
    for (int64_t row = 0; row < count; row++, digests += 32, leaves += 32) {
        int64_t length = ends[row] - at;
        if (length < 0 || ends[row] > size) return HW_BAD;
        uint32_t whole[8], leaf[8];
        uint8_t end[2 * HW_BLOCK], rest[2 * HW_BLOCK];
        memcpy(whole, HW_START, sizeof HW_START);
        int64_t held = begun(whole, data + at, length, leaf, end), left = length % HW_BLOCK;
        if (left) memcpy(rest, data + ends[row] - left, (size_t)left);
        int64_t more = hw_padded(end, held, (uint64_t)length + 1), last = hw_padded(rest, left, (uint64_t)length);
        both(whole, rest, leaf, end, last); /* never more than the leaf has */
        if (more > last) single(leaf, end + HW_BLOCK, 1);
        hw_written(whole, digests);
        hw_written(leaf, leaves);
        at = ends[row];
    }
    return at;
}

/* The next level of a Merkle tree: for each of `count` pairs of digests the digest of a byte 01 and the pair. */
HW_API int64_t hw_twin_nodes(Text level, int64_t count, uint8_t *above) {
    uint8_t one[2 * HW_BLOCK], other[2 * HW_BLOCK];
    for (int64_t at = 0; at < count; at += 2) {
        uint32_t first[8], second[8];
        Text next = at + 1 < count ? level + HW_BLOCK : level; /* an odd last pair is digested twice */
        memcpy(first, HW_START, sizeof HW_START);
        memcpy(second, HW_START, sizeof HW_START);
        one[0] = other[0] = 1;
        memcpy(one + 1, level, HW_BLOCK);
        memcpy(other + 1, next, HW_BLOCK);
        hw_padded(one + HW_BLOCK, 1, HW_BLOCK + 1);
        hw_padded(other + HW_BLOCK, 1, HW_BLOCK + 1);
        both(first, one, second, other, 2);
        hw_written(first, above);
        if (at + 1 < count) hw_written(second, above + 32);
        level += 2 * HW_BLOCK;
        above += 64;
    }
    return count;
}

#else

HW_API int64_t hw_twin_there(void) { return 0; }

HW_API int64_t hw_twin_leaves(Text data, int64_t stride, int64_t length, int64_t count, uint8_t *leaves) { return HW_BAD; }

HW_API int64_t hw_twin_rows(Text data, int64_t size, const int64_t *ends, int64_t count, uint8_t *digests, uint8_t *leaves) {
    return HW_BAD;
}

HW_API int64_t hw_twin_nodes(Text level, int64_t count, uint8_t *above) { return HW_BAD; }

#endif
