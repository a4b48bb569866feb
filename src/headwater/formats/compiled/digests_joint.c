/* SPDX-License-Identifier: Apache-2.0
 *
 * SHA-256, SHA-1 and MD5 of the same bytes in one pass, as many of the three as are asked for.
 *
 * Each of them is a chain in which every step waits for the one before. SHA-256 and SHA-1 go by the processor's own
 * instructions, MD5 by its ordinary ones: put side by side they fill each other's waits, and all three cost little more than MD5.
 * Where the processor has no such instructions hw_joint_room says 0, and Python digests by its library.
 * FIPS 180-4; RFC 1321; Intel, "Intel SHA Extensions", 2013.
 */
#include "sha.h"

#define HW_SHA256 1
#define HW_SHA1 2
#define HW_MD5 4

#ifdef HW_HAS_SHA

typedef struct {
    uint32_t sha256[8], sha1[5], md5[4];
    uint32_t which, held; /* the digests asked for; bytes of `rest` */
    uint64_t total;
    uint8_t rest[2 * HW_BLOCK];
} Joint;

static const uint32_t SINES[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391};
static const uint8_t TURNS[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
static const uint8_t FIRST[4] = {0, 1, 5, 0}, STEP[4] = {1, 5, 3, 7}; /* which word a step takes, by round */

#define INLINE HW_SHA static inline __attribute__((always_inline))

/* One step of MD5; the word that the step before made comes in as late as it can. */
INLINE void md5_step(uint32_t s[4], Text block, int step) {
    int round = step >> 4, at = -step & 3;
    uint32_t b = s[(at + 1) & 3], c = s[(at + 2) & 3], d = s[(at + 3) & 3];
    uint32_t sum = s[at] + hw_half(block + 4 * ((FIRST[round] + STEP[round] * (step & 15)) & 15)) + SINES[step];
    switch (round) {
        case 0: sum += d ^ (b & (c ^ d)); break;
        case 1: sum += c & ~d; sum += b & d; break;
        case 2: sum += b ^ (c ^ d); break;
        default: sum += c ^ (b | ~d);
    }
    int turn = TURNS[round][step & 3];
    s[at] = b + (sum << turn | sum >> (32 - turn));
}

typedef struct { __m128i abcd, last; } Sha1; /* `last`: the words before the last four rounds, of which the fifth word comes */

INLINE __m128i four_rounds(__m128i abcd, __m128i words, int group) {
    switch (group / 5) { /* the instruction takes the kind of round as a constant */
        case 0: return _mm_sha1rnds4_epu32(abcd, words, 0);
        case 1: return _mm_sha1rnds4_epu32(abcd, words, 1);
        case 2: return _mm_sha1rnds4_epu32(abcd, words, 2);
        default: return _mm_sha1rnds4_epu32(abcd, words, 3);
    }
}

INLINE void sha1_rounds(Sha1 *s, __m128i fifth, __m128i w[4], int group) {
    if (group >= 4) {
        __m128i more = _mm_sha1msg1_epu32(w[group & 3], w[(group + 1) & 3]);
        w[group & 3] = _mm_sha1msg2_epu32(_mm_xor_si128(more, w[(group + 2) & 3]), w[(group + 3) & 3]);
    }
    __m128i words = group ? _mm_sha1nexte_epu32(s->last, w[group & 3]) : _mm_add_epi32(fifth, w[0]);
    s->last = s->abcd;
    s->abcd = four_rounds(s->abcd, words, group);
}

/* `count` blocks into the digests of `which`, which the compiler knows in each place where this stands. */
INLINE void blocks(Joint *j, Text data, int64_t count, int which) {
    const __m128i turn = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
    const __m128i back = _mm_set_epi64x(0x0001020304050607LL, 0x08090a0b0c0d0e0fLL);
    Sha a = {_mm_setzero_si128(), _mm_setzero_si128()};
    Sha1 b = {_mm_setzero_si128(), _mm_setzero_si128()};
    __m128i fifth = _mm_setzero_si128();
    uint32_t m[4] = {0, 0, 0, 0};
    if (which & HW_SHA256) a = hw_taken(j->sha256);
    if (which & HW_SHA1) {
        b.abcd = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)j->sha1), 0x1B);
        fifth = _mm_set_epi32((int)j->sha1[4], 0, 0, 0);
    }
    if (which & HW_MD5) memcpy(m, j->md5, sizeof m);
    for (; count > 0; count--, data += HW_BLOCK) {
        Sha olda = a;
        Sha1 oldb = b;
        uint32_t oldm[4] = {m[0], m[1], m[2], m[3]};
        __m128i x[4], y[4];
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            __m128i words = _mm_loadu_si128((const __m128i *)(data + 16 * i));
            x[i] = which & HW_SHA256 ? _mm_shuffle_epi8(words, turn) : words;
            y[i] = which & HW_SHA1 ? _mm_shuffle_epi8(words, back) : words;
        }
#pragma GCC unroll 16
        for (int at = 0; at < 16; at++) {
            if (which & HW_SHA256) hw_rounds(&a, x, at);
            if (which & HW_SHA1) {
                sha1_rounds(&b, fifth, y, at + at / 4);
                if (at % 4 == 3) sha1_rounds(&b, fifth, y, at + at / 4 + 1);
            }
            if (which & HW_MD5) {
                md5_step(m, data, 4 * at);
                md5_step(m, data, 4 * at + 1);
                md5_step(m, data, 4 * at + 2);
                md5_step(m, data, 4 * at + 3);
            }
        }
        if (which & HW_SHA256) a = (Sha){_mm_add_epi32(a.abef, olda.abef), _mm_add_epi32(a.cdgh, olda.cdgh)};
        if (which & HW_SHA1) {
            fifth = _mm_sha1nexte_epu32(b.last, fifth);
            b.abcd = _mm_add_epi32(b.abcd, oldb.abcd);
        }
        if (which & HW_MD5)
            for (int i = 0; i < 4; i++) m[i] += oldm[i];
    }
    if (which & HW_SHA256) hw_given(a, j->sha256);
    if (which & HW_SHA1) {
        _mm_storeu_si128((__m128i *)j->sha1, _mm_shuffle_epi32(b.abcd, 0x1B));
        j->sha1[4] = (uint32_t)_mm_extract_epi32(fifth, 3);
    }
    if (which & HW_MD5) memcpy(j->md5, m, sizeof m);
}

HW_SHA static void some(Joint *j, Text data, int64_t count, uint32_t which) {
    switch (which) {
        case 1: blocks(j, data, count, 1); break;
        case 2: blocks(j, data, count, 2); break;
        case 3: blocks(j, data, count, 3); break;
        case 4: blocks(j, data, count, 4); break;
        case 5: blocks(j, data, count, 5); break;
        case 6: blocks(j, data, count, 6); break;
        case 7: blocks(j, data, count, 7); break;
        default: break;
    }
}

/* Bytes that a joint digest takes in memory; 0 where this processor cannot. */
HW_API int64_t hw_joint_room(void) { return hw_twin_there() ? (int64_t)sizeof(Joint) : 0; }

HW_API int64_t hw_joint_begin(uint8_t *place, int64_t which) {
    static const uint32_t start[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    if (which < 1 || which > 7) return HW_BAD;
    Joint j = {.which = (uint32_t)which};
    memcpy(j.sha256, HW_START, sizeof HW_START);
    memcpy(j.sha1, start, sizeof j.sha1);
    memcpy(j.md5, start, sizeof j.md5);
    memcpy(place, &j, sizeof j);
    return which;
}

HW_API int64_t hw_joint_update(uint8_t *place, Text data, int64_t size) {
    Joint j;
    memcpy(&j, place, sizeof j);
    if (size < 0 || j.held >= HW_BLOCK) return HW_BAD;
    j.total += (uint64_t)size;
    if (j.held) {
        int64_t more = HW_BLOCK - (int64_t)j.held;
        if (more > size) more = size;
        memcpy(j.rest + j.held, data, (size_t)more);
        j.held += (uint32_t)more;
        data += more;
        size -= more;
        if (j.held == HW_BLOCK) {
            some(&j, j.rest, 1, j.which);
            j.held = 0;
        }
    }
    if (size) { /* then nothing is held */
        some(&j, data, size / HW_BLOCK, j.which);
        j.held = (uint32_t)(size % HW_BLOCK);
        memcpy(j.rest, data + size - j.held, j.held);
    }
    memcpy(place, &j, sizeof j);
    return size;
}

/* The digests of what came so far, SHA-256, SHA-1 and MD5 one behind the other (32, 20, 16 bytes); more may come afterwards. */
HW_API int64_t hw_joint_end(const uint8_t *place, uint8_t *out) {
    Joint j;
    memcpy(&j, place, sizeof j);
    if (j.held >= HW_BLOCK) return HW_BAD;
    int64_t count = hw_padded(j.rest, j.held, j.total);
    some(&j, j.rest, count, j.which & (HW_SHA256 | HW_SHA1));
    uint64_t bits = j.total << 3; /* MD5 writes its length the other way round */
    memcpy(j.rest + HW_BLOCK * count - 8, &bits, 8);
    some(&j, j.rest, count, j.which & HW_MD5);
    hw_written(j.sha256, out);
    for (int i = 0; i < 5; i++) {
        uint32_t word = __builtin_bswap32(j.sha1[i]);
        memcpy(out + 32 + 4 * i, &word, 4);
    }
    memcpy(out + 52, j.md5, 16);
    return 68;
}

#else

HW_API int64_t hw_joint_room(void) { return 0; }

HW_API int64_t hw_joint_begin(uint8_t *place, int64_t which) { return HW_BAD; }

HW_API int64_t hw_joint_update(uint8_t *place, Text data, int64_t size) { return HW_BAD; }

HW_API int64_t hw_joint_end(const uint8_t *place, uint8_t *out) { return HW_BAD; }

#endif
