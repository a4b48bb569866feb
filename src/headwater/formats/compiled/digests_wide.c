/* SPDX-License-Identifier: Apache-2.0
 *
 * The leaves of sixteen chunks at once (as in digests.c), where the processor has AVX-512: each chunk in a lane of its own,
 * which takes half the time of the SHA instructions. The two are not mixed: an SHA instruction costs hundreds of cycles
 * while the upper halves of the registers are in use. FIPS 180-4.
 */
#include "sha.h"

#ifdef HW_HAS_SHA

#define HW_WIDE __attribute__((target("avx512f,avx512bw")))
#define HW_WITHIN HW_WIDE static inline __attribute__((always_inline))
#define LANES 16

typedef __m512i Wide;

#define ADD(x, y) _mm512_add_epi32(x, y)
#define XOR(x, y, z) _mm512_ternarylogic_epi32(x, y, z, 0x96)
#define CHOICE(x, y, z) _mm512_ternarylogic_epi32(x, y, z, 0xCA)
#define MAJORITY(x, y, z) _mm512_ternarylogic_epi32(x, y, z, 0xE8)
#define TURNED(x, a, b, c) XOR(_mm512_ror_epi32(x, a), _mm512_ror_epi32(x, b), _mm512_ror_epi32(x, c))
#define SHIFTED(x, a, b, c) XOR(_mm512_ror_epi32(x, a), _mm512_ror_epi32(x, b), _mm512_srli_epi32(x, c))

/* A block of each chunk, big-endian, so that word k of all chunks stands in w[k]. */
HW_WITHIN void words_of(Text lanes, int64_t stride, Wide w[LANES]) {
    const Wide turn = _mm512_broadcast_i32x4(_mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL));
    Wide t[LANES];
#pragma GCC unroll 16
    for (int i = 0; i < LANES; i++) w[i] = _mm512_shuffle_epi8(_mm512_loadu_si512(lanes + stride * i), turn);
#pragma GCC unroll 8
    for (int i = 0; i < LANES; i += 2) {
        t[i] = _mm512_unpacklo_epi32(w[i], w[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(w[i], w[i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < LANES; i += 4) {
        w[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        w[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        w[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        w[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_i32x4(w[i], w[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(w[i], w[i + 4], 0xDD);
        t[i + 8] = _mm512_shuffle_i32x4(w[i + 8], w[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_i32x4(w[i + 8], w[i + 12], 0xDD);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        w[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
        w[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
        w[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xDD);
        w[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xDD);
    }
}

/* One round of all chunks; the eight words change places by `at`, and the schedule goes on in place. */
HW_WITHIN void wide_round(Wide s[8], Wide w[LANES], int at) {
#define PLACE(k) s[((k) - at) & 7]
    Wide e = PLACE(4), a = PLACE(0), here = w[at & 15];
    Wide one = ADD(ADD(PLACE(7), TURNED(e, 6, 11, 25)), ADD(CHOICE(e, PLACE(5), PLACE(6)), here));
    one = ADD(one, _mm512_set1_epi32((int)HW_ROUND[at]));
    PLACE(3) = ADD(PLACE(3), one);
    PLACE(7) = ADD(one, ADD(TURNED(a, 2, 13, 22), MAJORITY(a, PLACE(1), PLACE(2))));
#undef PLACE
    if (at < 48) {
        Wide second = w[(at + 1) & 15], last = w[(at + 14) & 15];
        w[at & 15] = ADD(ADD(here, SHIFTED(second, 7, 18, 3)), ADD(w[(at + 9) & 15], SHIFTED(last, 17, 19, 10)));
    }
}

/* `count` blocks of each chunk. */
HW_WIDE static void wide_blocks(Wide state[8], Text lanes, int64_t stride, int64_t count) {
    for (; count > 0; count--, lanes += HW_BLOCK) {
        Wide w[LANES], s[8];
        words_of(lanes, stride, w);
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) s[i] = state[i];
#pragma GCC unroll 64
        for (int at = 0; at < 64; at++) wide_round(s, w, at);
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) state[i] = ADD(state[i], s[i]);
    }
}

HW_API int64_t hw_wide_there(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
}

/* The leaves of sixteen chunks of `length` bytes (a multiple of 64), each `stride` bytes behind the one before.
 * hw_wide_there has said 1. */
HW_WIDE HW_API int64_t hw_wide_leaves(Text data, int64_t stride, int64_t length, uint8_t *leaves) {
    if (length < HW_BLOCK || length % HW_BLOCK || stride < length) return HW_BAD;
    uint8_t ends[LANES * HW_BLOCK];
    uint32_t words[8 * LANES];
    Wide state[8];
    for (int i = 0; i < 8; i++) state[i] = _mm512_set1_epi32((int)HW_START[i]);
    for (int i = 0; i < LANES; i++) {
        ends[HW_BLOCK * i] = 0;
        memcpy(ends + HW_BLOCK * i + 1, data + stride * i, HW_BLOCK - 1);
    }
    wide_blocks(state, ends, HW_BLOCK, 1);
    wide_blocks(state, data + HW_BLOCK - 1, stride, length / HW_BLOCK - 1);
    for (int i = 0; i < LANES; i++) {
        ends[HW_BLOCK * i] = data[stride * i + length - 1];
        hw_padded(ends + HW_BLOCK * i, 1, (uint64_t)length + 1);
    }
    wide_blocks(state, ends, HW_BLOCK, 1);
    for (int i = 0; i < 8; i++) _mm512_storeu_si512(words + LANES * i, state[i]);
    for (int lane = 0; lane < LANES; lane++) {
        uint32_t its[8];
        for (int i = 0; i < 8; i++) its[i] = words[LANES * i + lane];
        hw_written(its, leaves + 32 * lane);
    }
    return 0;
}

#else

HW_API int64_t hw_wide_there(void) { return 0; }

HW_API int64_t hw_wide_leaves(Text data, int64_t stride, int64_t length, uint8_t *leaves) { return HW_BAD; }

#endif
