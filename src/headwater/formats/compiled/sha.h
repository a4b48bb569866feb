/* SPDX-License-Identifier: Apache-2.0
 *
 * SHA-256 by the processor's own instructions, four rounds at a time, for those who put more than one digest side by side.
 *
 * FIPS 180-4; Intel, "Intel SHA Extensions", 2013.
 */
#ifndef HEADWATER_SHA_H
#define HEADWATER_SHA_H

#include "block.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define HW_HAS_SHA 1
#include <immintrin.h>

#define HW_SHA __attribute__((target("no-avx,sha,ssse3,sse4.1")))
#define HW_BLOCK 64

HW_API int64_t hw_twin_there(void); /* whether this processor has these instructions */

static const uint32_t HW_ROUND[64] __attribute__((aligned(16))) = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
static const uint32_t HW_START[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                  0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

/* The instructions hold the eight words of a state as (a b e f) and (c d g h), highest first. */
typedef struct { __m128i abef, cdgh; } Sha;

HW_SHA static inline Sha hw_taken(const uint32_t words[8]) {
    __m128i low = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)words), 0xB1);
    __m128i high = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(words + 4)), 0x1B);
    return (Sha){_mm_alignr_epi8(low, high, 8), _mm_blend_epi16(high, low, 0xF0)};
}

HW_SHA static inline void hw_given(Sha s, uint32_t words[8]) {
    __m128i feba = _mm_shuffle_epi32(s.abef, 0x1B), dchg = _mm_shuffle_epi32(s.cdgh, 0xB1);
    _mm_storeu_si128((__m128i *)words, _mm_blend_epi16(feba, dchg, 0xF0));
    _mm_storeu_si128((__m128i *)(words + 4), _mm_alignr_epi8(dchg, feba, 8));
}

/* Four rounds of one digest with the words w[at & 3]; where more are needed, the next four take their place. */
HW_SHA static inline __attribute__((always_inline)) void hw_rounds(Sha *s, __m128i w[4], int at) {
    __m128i here = w[at & 3];
    __m128i k = _mm_add_epi32(here, _mm_load_si128((const __m128i *)(HW_ROUND + 4 * at)));
    s->cdgh = _mm_sha256rnds2_epu32(s->cdgh, s->abef, k);
    s->abef = _mm_sha256rnds2_epu32(s->abef, s->cdgh, _mm_shuffle_epi32(k, 0x0E));
    if (at < 12) {
        __m128i last = w[(at + 3) & 3], seventh = _mm_alignr_epi8(last, w[(at + 2) & 3], 4);
        here = _mm_add_epi32(_mm_sha256msg1_epu32(here, w[(at + 1) & 3]), seventh);
        w[at & 3] = _mm_sha256msg2_epu32(here, last);
    }
}

/* Behind the `held` last bytes of a message of `total` bytes (64 at most) its padding; how many blocks that makes. */
static inline int64_t hw_padded(uint8_t *end, int64_t held, uint64_t total) {
    int64_t size = held < 56 ? HW_BLOCK : 2 * HW_BLOCK;
    memset(end + held, 0, (size_t)(size - held));
    end[held] = 0x80;
    for (int i = 0; i < 8; i++) end[size - 1 - i] = (uint8_t)((total << 3) >> (8 * i));
    return size / HW_BLOCK;
}

static inline void hw_written(const uint32_t words[8], uint8_t out[32]) {
    for (int i = 0; i < 8; i++) {
        uint32_t word = __builtin_bswap32(words[i]);
        memcpy(out + 4 * i, &word, 4);
    }
}

#endif
#endif
