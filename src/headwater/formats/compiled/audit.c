/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines of the Linux audit trail: heads, and key=value words as columns; headwater.examine.audit_tokens and audit_lines say
 * what a word is and what its value means. A line in which a word belongs to no known key, comes twice, or has a value that
 * its key should not have, is left to the Python.
 */
#include "audit.h"
#include "times.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define MOST_WORDS 96
#define MOST_KEYS 512
#define WIDEST_KEY 16
#define SLOT_BITS 12
#define MOST_ARGUMENTS 16
#define SAME_BITS 8
#define SAME (1 << SAME_BITS)
#define INLINE 12 /* bytes that a view holds itself */

/* What a type of record means for the header, as flags of a line. */
enum { ACTS = 1, ABOUT = 2, PATH = 4, EXECUTES = 8 };
/* What a key's value is. */
enum { AS_IT_IS, INTEGER, ENCODED, ARGUMENT, NO_COLUMN };
/* Keys that the header is made of, by their place in the list that Python gives. */
enum { K_MSG, K_OP, K_RES, K_SUCCESS, K_UID, K_AUID, K_ID, K_ACCT, K_ADDR, K_COMM, K_EXE, K_CMD, K_TITLE, K_NAME, K_YOUNG_AUID,
       K_YOUNG_SES, K_OLD_AUID, K_OLD_SES, K_FIRST_ARGUMENT, KEYS };

typedef struct {
    uint64_t view[2];
    Text at;
    int64_t size;
} Value;

typedef struct {
    int64_t start, value, stop, until;
    int key;
} Word;

/* A key as its two halves. */
typedef struct {
    uint64_t low, high;
    int key;
} Guess;

/* In the order of the array of places that Python gives. */
typedef struct {
    const uint64_t *low, *high; /* the table of keys by slot: both halves */
    const int64_t *number;      /* and their numbers, -1 where none */
    const uint8_t *sort;        /* of each key */
    const int32_t *named;       /* the numbers of KEYS keys */
    Text unknown;               /* for each key 8 bytes: the size and the text that stands for nothing */
    Columns to;
    int32_t *column; /* for each key its column plus one; 0 where it has none yet */
    uint8_t *pool;
    uint8_t *outcome; /* 0 none, 1 good, 2 bad */
    uint8_t *op;      /* 1 there is one, 2 it is pubkey, 4 it adds a user */
    const int64_t *spans; /* host and type of each line */
    const int64_t *stand; /* the row of the columns that each line gets */
} Places;

typedef struct {
    Places to;
    Text data;
    int64_t stride, row, stand, pooled, pool_room; /* number of the line, and its row in the columns */
    int64_t stamp[MOST_KEYS]; /* the row in which a key was seen last, plus one */
    Value value[MOST_KEYS];
    Guess guess[MOST_KEYS + 1]; /* of the key behind each key, and behind the head of a line */
    Value same[SAME];           /* texts that stood in the block or the pool a moment ago */
    int texts, counted;
} Work;

static uint64_t slot_of(uint64_t low, uint64_t high) {
    return ((low ^ (high >> 7) ^ (high << 11)) * 0x025B413F8A9A021FULL) >> (64 - SLOT_BITS);
}

/* The number of a key; `guess` is the place of the key that stood behind the one before when that was seen last, and is set
 * for the next time: records of one type have the same keys in the same order, and then the table is not asked. */
static int key_at(const Places *to, Text at, int64_t size, Guess *guess) {
    if (size > WIDEST_KEY || !at[size - 1]) return -1; /* halves are filled up with zeros: `uid\0` is not `uid` */
    uint64_t low = hw_word(at), high = 0;
    if (size < 8) low &= (1ULL << 8 * size) - 1;
    if (size > 8) high = size == 16 ? hw_word(at + 8) : hw_word(at + 8) & ((1ULL << 8 * (size - 8)) - 1);
    if (guess->low == low && guess->high == high) return guess->key;
    uint64_t slot = slot_of(low, high);
    if (to->low[slot] != low || to->high[slot] != high) return -1;
    int key = (int)to->number[slot];
    if (key >= 0) *guess = (Guess){low, high, key};
    return key;
}

/* Which of 64 bytes may end a word or begin its value: a space, the separator, a line feed, an equals sign, a quote. */
static uint64_t marks_of(Text at) {
    uint64_t marks = 0;
#if defined(__SSE2__)
    for (int k = 0; k < 4; k++) {
        __m128i some = _mm_loadu_si128((const __m128i *)(const void *)(at + 16 * k));
        __m128i parts = _mm_or_si128(_mm_cmpeq_epi8(some, _mm_set1_epi8(' ')), _mm_cmpeq_epi8(some, _mm_set1_epi8(29)));
        __m128i ends = _mm_or_si128(_mm_cmpeq_epi8(some, _mm_set1_epi8('\n')), _mm_cmpeq_epi8(some, _mm_set1_epi8('\'')));
        parts = _mm_or_si128(_mm_or_si128(parts, ends), _mm_cmpeq_epi8(some, _mm_set1_epi8('=')));
        marks |= (uint64_t)(uint32_t)_mm_movemask_epi8(parts) << 16 * k;
    }
#else
    static const uint8_t is_mark[256] = {[' '] = 1, [29] = 1, ['\n'] = 1, ['='] = 1, ['\''] = 1};
    for (int k = 0; k < 64; k++) marks |= (uint64_t)is_mark[at[k]] << k;
#endif
    return marks;
}

static int opens(Text data, int64_t at) { return at >= 4 && hw_half(data + at - 4) == hw_half((Text) "msg="); }

/* A word that ends at `end` with its equals sign, if it has a key; returns how many there are now, or -1 where there are too many. */
static int add_word(Work *work, int64_t start, int64_t equals, int64_t end, Word *words, int count) {
    uint8_t letter = work->data[start] | 32;
    if (equals <= start || letter < 'a' || letter > 'z') return count;
    if (count == MOST_WORDS) return -1;
    int before = count && words[count - 1].key >= 0 ? words[count - 1].key : MOST_KEYS;
    int key = key_at(&work->to, work->data + start, equals - start, work->guess + before);
    words[count] = (Word){start, equals + 1, end, end, key};
    return count + 1;
}

/* The words of a line that have a key; how many, or -1 where there are too many. The block's padding lets 64 bytes be read at
 * its end. */
static int words_of(Work *work, int64_t body, int64_t end, Word *words) {
    Text data = work->data;
    int64_t start = body, equals = -1;
    int count = 0;
    for (int64_t base = body; base < end; base += 64) {
        uint64_t marks = marks_of(data + base);
        if (end - base < 64) marks &= (1ULL << (end - base)) - 1;
        for (; marks; marks &= marks - 1) {
            int64_t at = base + hw_lowest(marks);
            if (data[at] == '=') {
                if (equals < 0) equals = at;
                continue;
            }
            if (data[at] == '\'' && !opens(data, at)) continue;
            count = add_word(work, start, equals, at, words, count);
            if (count < 0) return -1;
            start = at + 1;
            equals = -1;
        }
    }
    return start < end ? add_word(work, start, equals, end, words, count) : count;
}

static int64_t trimmed(Text data, int64_t start, int64_t end) {
    for (int k = 0; k < 4 && end > start && (data[end - 1] == ' ' || data[end - 1] == 29); k++) end--;
    return end;
}

/* Whether a stretch holds something that no word claims. */
static int says(Text data, int64_t low, int64_t high) {
    if (high - low > 8) return 1;
    for (; low < high; low++)
        if (data[low] != ' ' && data[low] != 29 && data[low] != '\'') return 1;
    return 0;
}

static int is_utf8(Text at, int64_t size) {
    for (int64_t k = 0; k < size;) {
        uint8_t c = at[k];
        int more = c < 0x80 ? 0 : c >= 0xC2 && c < 0xE0 ? 1 : (c & 0xF0) == 0xE0 ? 2 : c >= 0xF0 && c < 0xF5 ? 3 : -1;
        if (more < 0 || k + more >= size) return 0;
        for (int n = 1; n <= more; n++)
            if ((at[k + n] & 0xC0) != 0x80) return 0;
        if ((c == 0xE0 && at[k + 1] < 0xA0) || (c == 0xED && at[k + 1] > 0x9F)) return 0;
        if ((c == 0xF0 && at[k + 1] < 0x90) || (c == 0xF4 && at[k + 1] > 0x8F)) return 0;
        k += more + 1;
    }
    return 1;
}

/* A text that does not fit into its view gets the place of the same text before it, where that is still known; so the same text
 * mostly has the same view, and who numbers texts need not look at them. Returns whether it was known. */
static int shared(Work *work, Value *value) {
    if (value->size <= INLINE) return 0;
    uint64_t first = hw_word(value->at), last = hw_word(value->at + value->size - 8);
    uint64_t slot = (first * 0x9E3779B97F4A7C15ULL ^ (last + (uint64_t)value->size) * 0xD6E8FEB86659FD93ULL) >> (64 - SAME_BITS);
    Value *known = work->same + slot;
    if (known->size == value->size && (known->at == value->at || !memcmp(known->at, value->at, (size_t)value->size))) {
        *value = *known;
        return 1;
    }
    *known = *value;
    return 0;
}

/* Forgets texts in the part of the pool that is given up. */
static void unshare(Work *work) {
    Text first = work->to.pool + work->pooled, end = work->to.pool + work->pool_room;
    for (Value *known = work->same; known < work->same + SAME; known++)
        if (known->size && known->at >= first && known->at < end) known->size = 0;
}

static int nibble(uint8_t c) { return hw_is_digit(c) ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; }

static void of_block(Value *value, Text data, int64_t start, int64_t end) {
    hw_view(value->view, data, start, end);
    value->at = data + start;
    value->size = end - start;
}

/* The text that stands at the end of the pool becomes the value. */
static void of_pool(Work *work, Value *value, int64_t size) {
    hw_view(value->view, work->to.pool, work->pooled, work->pooled + size);
    if (size > 12) value->view[1] |= 1; /* the second buffer */
    value->at = work->to.pool + work->pooled;
    value->size = size;
    work->pooled += size;
}

/* Hexadecimal as the text it stands for; 1 where it is none and stays, 0 where that is no text. */
static int decode(Work *work, Value *value) {
    int64_t size = value->size / 2;
    uint8_t *to = work->to.pool + work->pooled;
    if (value->size % 2 || !size) return 1;
    for (int64_t k = 0; k < value->size; k++)
        if (nibble(value->at[k]) < 0) return 1;
    if (work->pooled + size > work->pool_room) return 0;
    for (int64_t k = 0; k < size; k++) to[k] = (uint8_t)(nibble(value->at[2 * k]) << 4 | nibble(value->at[2 * k + 1]));
    if (!is_utf8(to, size)) return 0;
    while (size && !to[size - 1]) size--;
    for (int64_t k = 0; k < size; k++)
        if (!to[k]) to[k] = ' ';
    int64_t pooled = work->pooled;
    of_pool(work, value, size);
    if (shared(work, value)) work->pooled = pooled;
    return 1;
}

static int whole_number(const Value *value, int64_t *number) {
    int minus = value->size && *value->at == '-';
    int64_t end = hw_digits(value->at, minus, value->size, 18, number);
    if (minus) *number = -*number;
    return end == value->size && end > minus;
}

static void put(Work *work, int column, const Value *value) {
    uint64_t *view = work->to.to.views + 2 * (work->stride * column + work->stand);
    uint64_t low = value->view[0], high = value->view[1];
    /* both were written a moment ago: reading them as one would wait until they have reached the cache */
    hw_apart(low);
    view[0] = low, view[1] = high;
    hw_mark_in(&work->to.to, work->stride, column, work->stand);
}

static const Value *of(const Work *work, int name) {
    int key = work->to.named[name];
    return work->stamp[key] == work->row + 1 ? work->value + key : NULL;
}

static int is(const Value *value, const char *text) {
    return value && value->size == (int64_t)strlen(text) && !memcmp(value->at, text, (size_t)value->size);
}

static int is_hex(uint8_t c) { return hw_is_digit(c) || (uint8_t)((c | 32) - 'a') < 6; }

/* Whether a text is an address, and where it begins behind the mapping of IPv4; -1 where it is none. */
static int64_t address_in(const Value *value) {
    int64_t at = 0, size = value->size, dots = 0, run = 0, colon;
    Text text = value->at;
    for (; at < size && (hw_is_digit(text[at]) || text[at] == '.'); at++) {
        if (text[at] == '.' ? !run : run == 3) break;
        dots += text[at] == '.';
        run = text[at] == '.' ? 0 : run + 1;
    }
    if (at == size && dots == 3 && run) return 0;
    for (colon = 0; colon < size && is_hex(text[colon]);) colon++;
    if (colon >= size || text[colon] != ':') return -1;
    for (at = colon + 1; at < size && (is_hex(text[at]) || text[at] == ':' || text[at] == '.');) at++;
    if (at == colon + 1) return -1;
    if (at < size) {
        if (text[at] != '%' || at + 1 == size) return -1;
        for (at++; at < size; at++)
            if (!hw_is_digit(text[at]) && (uint8_t)((text[at] | 32) - 'a') > 25) return -1;
    }
    if (size <= 7 || memcmp(text, "::ffff:", 7)) return 0;
    for (at = 7; at < size; at++)
        if (!hw_is_digit(text[at]) && text[at] != '.') return 0;
    return 7;
}

static void put_peer(Work *work, const Value *value) {
    int64_t from = value ? address_in(value) : -1;
    if (from < 0) return;
    Value bare = *value;
    if (from) {
        /* the value may stand in the block or in the pool: its place tells which */
        int pooled = value->at >= work->to.pool && value->at < work->to.pool + work->pool_room;
        Text base = pooled ? work->to.pool : work->data;
        of_block(&bare, base, value->at - base + from, value->at - base + value->size);
        if (pooled && bare.size > 12) bare.view[1] |= 1;
    }
    put(work, PEER, &bare);
}

/* The last part of a program's path, where there is no shorter name of it. */
static void put_process(Work *work) {
    const Value *comm = of(work, K_COMM), *exe = of(work, K_EXE);
    if (comm) {
        put(work, PROCESS, comm);
    } else if (exe) {
        int64_t from = hw_last(exe->at, exe->size, 0, '/');
        int pooled = exe->at >= work->to.pool && exe->at < work->to.pool + work->pool_room;
        Text base = pooled ? work->to.pool : work->data;
        Value name;
        if (from == exe->size) return;
        of_block(&name, base, exe->at - base + from, exe->at - base + exe->size);
        if (pooled && name.size > 12) name.view[1] |= 1;
        put(work, PROCESS, &name);
    }
}

/* The arguments of a command behind each other; 0 where there is none, or no room. */
static int put_arguments(Work *work) {
    int64_t size = 0;
    Value joined;
    for (int k = 0; k < MOST_ARGUMENTS; k++) {
        const Value *one = of(work, K_FIRST_ARGUMENT + k);
        if (one) size += one->size + 1;
    }
    if (!size || work->pooled + size > work->pool_room) return 0;
    uint8_t *to = work->to.pool + work->pooled;
    for (int k = 0; k < MOST_ARGUMENTS; k++) {
        const Value *one = of(work, K_FIRST_ARGUMENT + k);
        if (!one) continue;
        memcpy(to, one->at, (size_t)one->size);
        to += one->size;
        *to++ = ' ';
    }
    int64_t pooled = work->pooled;
    of_pool(work, &joined, size - 1);
    if (shared(work, &joined)) work->pooled = pooled;
    put(work, COMMAND, &joined);
    return 1;
}

static void put_first(Work *work, int column, const Value *first, const Value *second) {
    if (first || second) put(work, column, first ? first : second);
}

static int put_header(Work *work, int flags) {
    const Value *said = of(work, K_RES), *op = of(work, K_OP);
    const Value *login = of(work, K_AUID), *user = of(work, K_UID), *account = of(work, K_ACCT);
    if (flags & EXECUTES) {
        if (!put_arguments(work)) return 0;
    } else {
        put_first(work, COMMAND, of(work, K_CMD), of(work, K_TITLE));
    }
    if (!said) said = of(work, K_SUCCESS);
    int good = is(said, "success") || is(said, "yes") || is(said, "1");
    int bad = is(said, "failed") || is(said, "no") || is(said, "0");
    work->to.outcome[work->row] = (uint8_t)(good ? 1 : bad ? 2 : 0);
    work->to.op[work->row] = (uint8_t)(!op ? 0 : 1 | is(op, "pubkey") << 1 | (is(op, "add-user") || is(op, "adding user")) << 2);
    if (is(login, "unset")) login = NULL;
    if (flags & ACTS) put_first(work, USER, account, user);
    else if (flags & ABOUT) put_first(work, USER, login, user);
    else put_first(work, USER, user, login);
    if (flags & ABOUT) put_first(work, TARGET, account, of(work, K_ID));
    put_peer(work, of(work, K_ADDR));
    put_process(work);
    if (flags & PATH) put_first(work, FILE_PATH, of(work, K_NAME), NULL);
    return 1;
}

/* The value of one word; 0 where it is not what its key should have. */
static int value_of(Work *work, const Word *word, int64_t end, int quoted, int flags) {
    const Places *to = &work->to;
    Value *value = work->value + word->key;
    Text unknown = to->unknown + 8 * word->key;
    int64_t number;
    int sort = to->sort[word->key];
    of_block(value, work->data, word->value + quoted, end - quoted);
    if (sort == INTEGER) {
        if (!whole_number(value, &number)) return 0;
        value->view[0] = (uint64_t)number;
    } else if (!quoted) {
        if (sort == ENCODED || (sort == ARGUMENT && flags & EXECUTES))
            if (!decode(work, value)) return 0;
        if (*unknown && value->size == *unknown && !memcmp(value->at, unknown + 1, (size_t)value->size)) {
            value->at = NULL; /* the sign for nothing: seen, but no value */
            return 1;
        }
    }
    if (sort != INTEGER) shared(work, value);
    if (!to->column[word->key] && sort != NO_COLUMN) {
        if (sort == INTEGER ? work->counted == COUNTED : work->texts == TEXTS) return 0;
        to->column[word->key] = 1 + (sort == INTEGER ? TEXTS + work->counted++ : work->texts++);
    }
    return 1;
}

static void put_own(Work *work, const Word *words, int count) {
    const Places *to = &work->to;
    for (int k = 0; k < count; k++) {
        int key = words[k].key, column = to->column[key] - 1;
        if (work->stamp[key] != work->row + 1 || column < 0) continue;
        if (to->sort[key] == INTEGER) {
            to->to.values[(column - TEXTS) * work->stride + work->stand] = (int64_t)work->value[key].view[0];
            hw_mark_in(&to->to, work->stride, column, work->stand);
        } else {
            put(work, column, work->value + key);
        }
    }
}

static void put_head(Work *work) {
    const int64_t *span = work->to.spans + 4 * work->row;
    Value value;
    for (int k = 0; k < 2; k++) {
        if (span[2 * k + 1] <= span[2 * k]) continue;
        of_block(&value, work->data, span[2 * k], span[2 * k + 1]);
        shared(work, &value);
        put(work, k ? TYPE : HOST, &value);
    }
}

/* The words of a line, as their keys' values; 0 where the line is not taken. */
static int values_of(Work *work, Word *words, int count, int64_t body, int64_t end, int flags) {
    const int32_t *named = work->to.named;
    Text data = work->data;
    int opened = 0;
    if (count <= 0 || says(data, body, words[0].start)) return 0;
    for (int k = 0; k < count; k++) {
        Word *word = words + k;
        int old = word->start >= 4 && !memcmp(data + word->start - 4, "old ", 4);
        if (old && word->key == named[K_YOUNG_AUID]) word->key = named[K_OLD_AUID];
        else if (old && word->key == named[K_YOUNG_SES]) word->key = named[K_OLD_SES];
        if (word->key < 0 || (word->key == named[K_MSG] && word->stop > word->value)) return 0;
        opened |= word->key == named[K_MSG] && data[word->value] == '\'';
    }
    for (int k = 0; k < count; k++) {
        Word *word = words + k;
        int last = k + 1 == count;
        int64_t limit = last ? end : words[k + 1].start;
        int quote = word->value < word->stop && data[word->value] == '"';
        int on = word->key == named[K_OP] || (quote && (word->stop <= word->value + 1 || data[word->stop - 1] != '"'));
        int64_t until = on ? limit - !last : word->stop, stop = until > word->value ? until : word->value;
        if (on) stop = trimmed(data, word->value, stop);
        if (opened && stop > word->value && data[stop - 1] == '\'') stop--;
        int quoted = quote && stop - word->value >= 2 && data[stop - 1] == '"';
        if ((limit > until + 1 || (last && limit > until)) && says(data, until, limit)) return 0;
        if (work->stamp[word->key] == work->row + 1) return 0;
        if (!value_of(work, word, stop, quoted, flags)) return 0;
        work->stamp[word->key] = work->row + 1;
    }
    for (int k = 0; k < count; k++)
        if (!work->value[words[k].key].at) work->stamp[words[k].key] = 0;
    if (!put_header(work, flags)) return 0;
    put_own(work, words, count);
    put_head(work);
    return 1;
}

static int64_t head_at(Text data, int64_t at, int64_t end, int64_t *spans, int64_t *ns, int64_t *serial) {
    int64_t from, seconds, ms;
    spans[0] = spans[1] = 0;
    if (end - at > 5 && !memcmp(data + at, "node=", 5)) {
        spans[0] = at + 5;
        spans[1] = at = hw_first(data, at + 5, end, ' ');
        if (spans[1] == spans[0] || spans[1] - spans[0] > 255 || at++ >= end) return -1;
        for (int64_t k = spans[0]; k < spans[1]; k++)
            if (data[k] > 127) return -1;
    }
    if (end - at < 24 || memcmp(data + at, "type=", 5)) return -1;
    spans[2] = at += 5;
    for (; at < end && (hw_is_digit(data[at]) || (uint8_t)((data[at] | 32) - 'a') < 26 || data[at] == '_' || data[at] == '[' || data[at] == ']'); at++) {
        if (at == spans[2] && (hw_is_digit(data[at]) || data[at] == '[' || data[at] == ']')) return -1;
    }
    spans[3] = at;
    if (at == spans[2] || at - spans[2] > 64 || end - at < 11 || memcmp(data + at, " msg=audit(", 11)) return -1;
    from = at += 11;
    at = hw_digits(data, at, end, 10, &seconds);
    if (at == from || at >= end || data[at] != '.' || seconds > 9000000000LL) return -1;
    from = ++at;
    at = hw_digits(data, at, end, 3, &ms);
    if (at == from || at >= end || data[at] != ':') return -1;
    from = ++at;
    at = hw_digits(data, at, end, 18, serial);
    if (at == from || end - at < 2 || data[at] != ')' || data[at + 1] != ':') return -1;
    *ns = seconds * 1000000000LL + ms * 1000000LL;
    at += 2;
    return at < end && data[at] == ' ' ? at + 1 : -1;
}

/* The heads of lines: places of the host and the type (four places a line), time, serial, and where the words begin; that is -1
 * where a head is none or is left to the Python. */
HW_API int64_t hw_audit_heads(Text data, int64_t size, const int64_t *start, const int64_t *end, int64_t lines, int64_t *spans,
                              int64_t *ns, int64_t *serial, int64_t *body) {
    for (int64_t k = 0; k < lines; k++) {
        if (start[k] < 0 || end[k] < start[k] || end[k] > size - HW_PADDING) return HW_BAD;
        ns[k] = serial[k] = 0;
        body[k] = head_at(data, start[k], end[k], spans + 4 * k, ns + k, serial + k);
    }
    return lines;
}

/* The words of lines whose heads are known (`body` is not -1), as columns of `stride` rows; `flags` say what the type
 * of each means. `fits` gets a flag for every line; the rows of those that do not fit stay without a value. Returns how many fit. */
HW_API int64_t hw_audit_words(Text data, int64_t size, const int64_t *body, const int64_t *end, int64_t lines, int64_t stride,
                              const uint8_t *flags, int64_t pool_room, uint8_t *fits, const Places *places, Work *work) {
    Word words[MOST_WORDS];
    int64_t taken = 0;
    if (stride < lines) return HW_BAD;
    memset(work, 0, sizeof *work);
    *work = (Work){.to = *places, .data = data, .stride = stride, .pool_room = pool_room, .texts = FIXED, .counted = FIXED_COUNTED};
    for (int64_t k = 0; k < lines; k++) {
        fits[k] = 0;
        if (body[k] == -1) continue;
        const int64_t *span = places->spans + 4 * k;
        if (body[k] < 4 || end[k] < body[k] || end[k] > size - HW_PADDING) return HW_BAD;
        if (span[0] < 0 || span[2] < 0 || span[1] > body[k] || span[3] > body[k]) return HW_BAD;
        int64_t pooled = work->pooled;
        int count = words_of(work, body[k], end[k], words);
        work->row = k;
        work->stand = places->stand[k];
        if (work->stand < 0 || work->stand >= stride) return HW_BAD;
        fits[k] = (uint8_t)values_of(work, words, count, body[k], end[k], flags[k]);
        taken += fits[k];
        if (!fits[k]) {
            if (work->pooled != pooled) {
                work->pooled = pooled;
                unshare(work);
            }
            for (int n = 0; n < count; n++)
                if (words[n].key >= 0) work->stamp[words[n].key] = 0;
        }
    }
    return taken;
}

/* How many bytes the last argument of hw_audit_words needs, and how many columns of texts and of integers there are. */
HW_API int64_t hw_audit_room(int64_t which) {
    const int64_t rooms[] = {(int64_t)sizeof(Work), TEXTS, COUNTED, MOST_KEYS, FIXED, FIXED_COUNTED};
    return which >= 0 && which < (int64_t)(sizeof rooms / sizeof *rooms) ? rooms[which] : HW_BAD;
}
