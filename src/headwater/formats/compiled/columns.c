/* SPDX-License-Identifier: Apache-2.0
 *
 * Encodes one column as the bodies of a dictionary page and a data page of Parquet.
 *
 * A column comes as an Arrow stream of chunks (string views, 64-bit integers, booleans). Distinct values are numbered in
 * order of appearance; where most are distinct, texts are written plainly and integers as differences. The pages are
 * compressed with LZ4 where that is shorter. Memory is that of the column itself: a code a row, the distinct values once.
 *
 * https://github.com/apache/parquet-format/blob/master/Encodings.md
 */
#include <stdlib.h>

#include "columns.h"
#include "lz4.h"

HW_API void hw_free(void *memory) { free(memory); }

void hw_release(Input *input) {
    for (int64_t k = 0; k < input->count; k++)
        if (input->chunks[k].release) input->chunks[k].release(input->chunks + k);
    free(input->chunks);
}

/* All chunks of a stream; 0 where it is of another kind or fails. */
int hw_take(struct ArrowArrayStream *stream, Input *input) {
    struct ArrowSchema schema = {0};
    int64_t room = 0;
    memset(input, 0, sizeof *input);
    if (stream->get_schema(stream, &schema)) return 0;
    input->format = !strcmp(schema.format, "vu") ? 'v' : schema.format[0] && !schema.format[1] ? schema.format[0] : 0;
    if (schema.release) schema.release(&schema);
    if (input->format != 'v' && input->format != 'l' && input->format != 'b') return 0;
    for (;;) {
        struct ArrowArray chunk = {0};
        if (stream->get_next(stream, &chunk)) return 0;
        if (!chunk.release) return 1;
        if (input->count == room) {
            struct ArrowArray *more = realloc(input->chunks, (size_t)(room = room * 2 + 4) * sizeof *more);
            if (!more) {
                chunk.release(&chunk);
                return 0;
            }
            input->chunks = more;
        }
        input->chunks[input->count++] = chunk;
        input->rows += chunk.length;
    }
}

static uint32_t mixed(uint64_t hash) { return (uint32_t)(hash * 0x9E3779B97F4A7C15ULL >> 32); }

static uint32_t hash_of(const uint8_t *at, uint32_t size) {
    uint64_t hash = size;
    if (size < 8) /* then it stands in its view, and twelve bytes can be read */
        return mixed(hash ^ (hw_word(at) & ((1ULL << 8 * size) - 1)) * 0xD6E8FEB86659FD93ULL);
    for (uint32_t k = 0; k + 8 < size; k += 8) {
        hash = (hash ^ hw_word(at + k)) * 0xD6E8FEB86659FD93ULL;
        hash ^= hash >> 32;
    }
    return mixed((hash ^ hw_word(at + size - 8)) * 0xD6E8FEB86659FD93ULL);
}

static int widen(Dictionary *found) {
    int64_t size = (found->mask + 1) * 4;
    uint64_t *slots = calloc((size_t)size, sizeof *slots);
    Entry *entries = realloc(found->entries, (size_t)(size / 2) * sizeof *entries);
    if (entries) found->entries = entries;
    if (!slots || !entries) {
        free(slots);
        return 0;
    }
    for (int64_t k = 0; k < found->count; k++) {
        int64_t at = found->entries[k].hash & (size - 1);
        while (slots[at]) at = (at + 1) & (size - 1);
        slots[at] = (uint64_t)found->entries[k].hash << 32 | (uint64_t)(k + 1);
    }
    free(found->slots);
    found->slots = slots;
    found->mask = size - 1;
    found->room = size / 2;
    return 1;
}

static int same(const uint8_t *a, const uint8_t *b, uint32_t size) {
    if (size < 8) return !((hw_word(a) ^ hw_word(b)) & ((1ULL << 8 * size) - 1));
    for (uint32_t k = 0; k + 8 < size; k += 8)
        if (hw_word(a + k) != hw_word(b + k)) return 0;
    return hw_word(a + size - 8) == hw_word(b + size - 8);
}

static uint32_t code_by(Dictionary *found, const uint8_t *at, uint32_t size, uint32_t hash) {
    int64_t place = hash & found->mask;
    found->steps += STEPS_EACH;
    for (uint64_t slot; (slot = found->slots[place]); place = (place + 1) & found->mask) {
        if (!found->steps--) return NULL_CODE;
        if (slot >> 32 != hash) continue;
        Entry *entry = found->entries + (uint32_t)slot - 1;
        if (entry->size == size && same(found->page + entry->at, at, size)) return (uint32_t)slot - 1;
    }
    if (found->count >= found->room) {
        if (!widen(found)) return NULL_CODE;
        place = hash & found->mask;
        while (found->slots[place]) place = (place + 1) & found->mask;
    }
    if (found->bytes + size + 16 > found->page_room) {
        int64_t room = (found->bytes + size) * 2 + 4096;
        uint8_t *page = found->bytes > MOST_BYTES ? NULL : realloc(found->page, (size_t)room);
        if (!page) return NULL_CODE;
        found->page = page;
        found->page_room = room;
    }
    if (found->sized) memcpy(found->page + found->bytes, &size, 4), found->bytes += 4;
    memcpy(found->page + found->bytes, at, size);
    found->entries[found->count] = (Entry){(uint32_t)found->bytes, size, hash};
    found->slots[place] = (uint64_t)hash << 32 | (uint64_t)(found->count + 1);
    found->bytes += size;
    return (uint32_t)found->count++;
}

/* A chunk's text at `row`; NULL where the view leads nowhere. */
static inline const uint8_t *text_at(const struct ArrowArray *chunk, int64_t row, uint32_t *size) {
    const uint8_t *view = (const uint8_t *)chunk->buffers[1] + 16 * row;
    *size = hw_half(view);
    if (*size <= 12) return view + 4;
    uint32_t buffer = hw_half(view + 8), offset = hw_half(view + 12);
    int64_t buffers = chunk->n_buffers - 3;
    if (buffer >= buffers) return NULL;
    if ((int64_t)offset + *size > ((const int64_t *)chunk->buffers[chunk->n_buffers - 1])[buffer]) return NULL;
    return (const uint8_t *)chunk->buffers[2 + buffer] + offset;
}

/* How many nulls there are, and how many bytes all texts have; 0, or HW_BAD where they are too many for one page. */
static int measure(const Input *input, Encoded *out, int64_t *total) {
    *total = out->nulls = 0;
    for (int64_t c = 0; c < input->count; c++) {
        const struct ArrowArray *chunk = input->chunks + c;
        for (int64_t k = chunk->offset; k < chunk->offset + chunk->length; k++) {
            uint32_t size;
            if (!hw_is_valid(chunk->buffers[0], k)) out->nulls++;
            else if (!text_at(chunk, k, &size)) return HW_BAD;
            else *total += size;
        }
    }
    return *total > MOST_BYTES - 4 * out->rows ? HW_BAD : 0;
}

uint32_t hw_code_of(Dictionary *found, const uint8_t *at, uint32_t size) {
    return code_by(found, at, size, hash_of(at, size));
}

/* Texts on their way through four steps; each step asks the memory for what the next one needs. */
typedef struct {
    const uint8_t *at;
    uint32_t size, hash;
} Waiting;

/* The numbers of so many texts, in order; 0 where there is no memory. */
static int number_some(Dictionary *found, Waiting *texts, int count, uint32_t *codes) {
    for (int k = 0; k < count; k++) {
        texts[k].hash = hash_of(texts[k].at, texts[k].size);
        hw_soon(found->slots + (texts[k].hash & found->mask));
    }
    for (int k = 0; k < count; k++) {
        uint64_t slot = found->slots[texts[k].hash & found->mask];
        if (slot && slot >> 32 == texts[k].hash) hw_soon(found->entries + (uint32_t)slot - 1);
    }
    for (int k = 0; k < count; k++) {
        codes[k] = code_by(found, texts[k].at, texts[k].size, texts[k].hash);
        if (codes[k] == NULL_CODE) return 0;
    }
    return 1;
}

void hw_forget(Seen *seen) {
    memset(seen->code, 0xFF, sizeof seen->code);
    seen->last_code = NULL_CODE;
}

static inline uint64_t place_of(uint64_t low, uint64_t high) {
    return (low * 0x9E3779B97F4A7C15ULL ^ high * 0xD6E8FEB86659FD93ULL) >> (64 - SEEN_BITS);
}

/* Whether so many views are all the same as another. */
static int all_are(const uint8_t *view, int rows, const uint64_t *as) {
    uint64_t other = 0;
    for (int k = 0; k < rows; k++) other |= (hw_word(view + 16 * k) ^ as[0]) | (hw_word(view + 16 * k + 8) ^ as[1]);
    return !other;
}

int hw_number_rows(const struct ArrowArray *chunk, int64_t first, int rows, Dictionary *found, Seen *seen, int64_t *total,
                   uint32_t *codes, uint32_t *there) {
    Waiting texts[TOGETHER];
    uint32_t numbers[TOGETHER];
    int which[TOGETHER], place[TOGETHER], count = 0, all = 0;
    const uint8_t *views = (const uint8_t *)chunk->buffers[1] + 16 * first;
    uint32_t left = *there = hw_valid_rows(chunk->buffers[0], first, rows);
    if (!(~left << (32 - rows)) && seen->last_code != NULL_CODE && all_are(views, rows, seen->last)) {
        for (int k = 0; k < rows; k++) codes[k] = seen->last_code;
        *total += (int64_t)rows * (uint32_t)seen->last[0];
        return rows;
    }
    for (; left; left &= left - 1) {
        uint32_t size;
        int row = hw_lowest(left);
        uint64_t low = hw_word(views + 16 * row), high = hw_word(views + 16 * row + 8), at = place_of(low, high);
        seen->last[0] = low, seen->last[1] = high;
        if (seen->code[at] != NULL_CODE && seen->view[at][0] == low && seen->view[at][1] == high) {
            codes[all++] = seen->last_code = seen->code[at];
            *total += (uint32_t)low;
            continue;
        }
        const uint8_t *text = text_at(chunk, first + row, &size);
        if (!text) return HW_BAD;
        *total += size;
        hw_soon(text);
        hw_soon(text + (size > 8 ? size - 8 : 0));
        seen->view[at][0] = low, seen->view[at][1] = high;
        seen->code[at] = NULL_CODE; /* until it has its number */
        texts[count] = (Waiting){text, size, 0};
        which[count] = all++;
        place[count++] = (int)at;
        seen->last_code = NULL_CODE;
    }
    if (!count) return all;
    if (!number_some(found, texts, count, numbers)) return HW_BAD;
    for (int k = 0; k < count; k++) codes[which[k]] = numbers[k];
    /* two views of these rows may have met in one place: what stands there is that of the later */
    for (int k = 0; k < count; k++) seen->code[place[k]] = numbers[k];
    if (seen->last_code == NULL_CODE) seen->last_code = codes[all - 1];
    return all;
}

/* Numbers the texts; 1 where a dictionary serves, 0 where texts are to be written plainly, HW_BAD on a fault. */
static int number_texts(const Input *input, Dictionary *found, Encoded *out, int64_t *total) {
    int64_t row = 0, texts = 0, asked = SAMPLE;
    uint32_t there;
    Seen seen;
    for (int64_t c = 0; c < input->count; c++) {
        const struct ArrowArray *chunk = input->chunks + c;
        int64_t end = chunk->offset + chunk->length;
        hw_forget(&seen);
        for (int64_t k = chunk->offset; k < end; k += TOGETHER) {
            int some = end - k < TOGETHER ? (int)(end - k) : TOGETHER;
            int more = hw_number_rows(chunk, k, some, found, &seen, total, found->codes + texts, &there);
            if (more < 0) return HW_BAD;
            row += some;
            texts += more;
            if (found->count < asked) continue;
            asked = found->count * 2;
            if (hw_too_many(found->count, texts)) return measure(input, out, total);
        }
    }
    out->nulls = row - texts;
    return 1;
}

/* One bit a row behind their length; a single run where every row has a value. */
uint8_t *hw_put_levels(const Input *input, const Encoded *out, uint8_t *to) {
    uint8_t *first = to + 4, *at;
    int64_t row = 0, bytes = (out->rows + 7) / 8;
    if (out->nulls) {
        at = hw_varint(first, (uint64_t)bytes << 1 | 1);
        memset(at, 0, (size_t)bytes);
        for (int64_t c = 0; c < input->count; c++) {
            const struct ArrowArray *chunk = input->chunks + c;
            const uint8_t *bits = chunk->buffers[0];
            if (bits && !(row & 7) && !(chunk->offset & 7)) {
                memcpy(at + row / 8, bits + chunk->offset / 8, (size_t)((chunk->length + 7) / 8));
                row += chunk->length;
                if (row & 7) at[row >> 3] &= (uint8_t)((1u << (row & 7)) - 1);
                continue;
            }
            for (int64_t k = 0; k < chunk->length; k += 32) {
                int some = chunk->length - k < 32 ? (int)(chunk->length - k) : 32;
                uint64_t word = (uint64_t)hw_valid_rows(bits, chunk->offset + k, some) << (row & 7);
                for (uint8_t *into = at + (row >> 3); word; word >>= 8) *into++ |= (uint8_t)word;
                row += some;
            }
        }
        at += bytes;
    } else {
        at = hw_varint(first, (uint64_t)out->rows << 1);
        *at++ = 1;
    }
    uint32_t size = (uint32_t)(at - first);
    memcpy(to, &size, 4);
    return at;
}

/* Packs values of `width` bits (up to 32), the lowest first. Returns the place behind. */
static uint8_t *pack_codes(uint8_t *to, const uint32_t *codes, int64_t count, int width) {
    uint64_t held = 0;
    int bits = 0;
    for (int64_t k = 0; k < count; k++) {
        held |= (uint64_t)codes[k] << bits;
        bits += width;
        if (bits < 32) continue;
        uint32_t low = (uint32_t)held;
        memcpy(to, &low, 4);
        to += 4, held >>= 32, bits -= 32;
    }
    for (; bits > 0; bits -= 8, held >>= 8) *to++ = (uint8_t)held;
    return to;
}

static uint8_t *put_codes(uint8_t *to, const Dictionary *found, const Encoded *out) {
    int64_t values = out->rows - out->nulls;
    int width = hw_bits_for((uint64_t)(found->count > 1 ? found->count - 1 : 1));
    uint64_t head = found->count > 1 ? (uint64_t)((values + 7) / 8) << 1 | 1 : (uint64_t)values << 1;
    *to++ = (uint8_t)width;
    if (!values) return to;
    to = hw_varint(to, head);
    if (found->count <= 1) {
        *to++ = 0;
        return to;
    }
    uint8_t *whole = to + (values + 7) / 8 * width;
    to = pack_codes(to, found->codes, values, width);
    memset(to, 0, (size_t)(whole - to)); /* the last group of eight is filled up */
    return whole;
}

static int64_t codes_room(int64_t rows) { return 16 + (rows + 7) / 8 * 32; }

int hw_finish(Encoded *out, Buffer dictionary, Buffer data, int compress) {
    int64_t room = hw_lz4_bound(dictionary.size) + hw_lz4_bound(data.size);
    uint8_t *pages = malloc((size_t)room);
    if (!pages || dictionary.size > MOST_BYTES || data.size > MOST_BYTES) {
        free(pages);
        return 0;
    }
    out->pages = pages;
    out->dictionary_raw = out->dictionary_size = dictionary.size;
    out->data_raw = out->data_size = data.size;
    if (compress) {
        if (out->distinct) out->dictionary_size = hw_lz4(dictionary.bytes, dictionary.size, pages);
        out->data_size = hw_lz4(data.bytes, data.size, pages + out->dictionary_size);
        int64_t raw = dictionary.size + data.size;
        out->compressed = out->dictionary_size + out->data_size < raw - raw / 20;
        if (out->compressed) return 1;
        out->dictionary_size = dictionary.size;
        out->data_size = data.size;
    }
    memcpy(pages, dictionary.bytes ? dictionary.bytes : pages, (size_t)dictionary.size);
    memcpy(pages + dictionary.size, data.bytes, (size_t)data.size);
    return 1;
}

static int plain_texts(const Input *input, Encoded *out, int64_t total) {
    Buffer data = {malloc((size_t)(hw_levels_room(out->rows) + total + 4 * out->rows)), 0};
    if (!data.bytes) return 0;
    uint8_t *to = hw_put_levels(input, out, data.bytes);
    for (int64_t c = 0; c < input->count; c++) {
        const struct ArrowArray *chunk = input->chunks + c;
        for (int64_t k = chunk->offset; k < chunk->offset + chunk->length; k++) {
            uint32_t size;
            if (!hw_is_valid(chunk->buffers[0], k)) continue;
            const uint8_t *at = text_at(chunk, k, &size);
            memcpy(to, &size, 4);
            memcpy(to + 4, at, size);
            to += 4 + size;
        }
    }
    data.size = to - data.bytes;
    out->encoding = PLAIN;
    int done = hw_finish(out, (Buffer){0}, data, 1);
    free(data.bytes);
    return done;
}

int hw_numbered(const Input *input, const Dictionary *found, Encoded *out) {
    Buffer data = {malloc((size_t)(hw_levels_room(out->rows) + codes_room(out->rows))), 0};
    if (!data.bytes) return 0;
    data.size = put_codes(hw_put_levels(input, out, data.bytes), found, out) - data.bytes;
    out->encoding = RLE_DICTIONARY;
    out->distinct = found->count;
    int done = hw_finish(out, (Buffer){found->page, found->bytes}, data, 1);
    free(data.bytes);
    return done;
}

int hw_begin(Dictionary *found, int64_t rows, int sized) {
    memset(found, 0, sizeof *found);
    found->sized = sized;
    found->mask = 63;
    found->steps = STEPS;
    found->codes = malloc((size_t)(rows + 1) * sizeof *found->codes);
    return found->codes && widen(found);
}

void hw_end(Dictionary *found) {
    free(found->entries);
    free(found->slots);
    free(found->codes);
    free(found->page);
}

static int encode_texts(const Input *input, Encoded *out) {
    Dictionary found;
    int64_t total = 0;
    int done = 0;
    if (hw_begin(&found, input->rows, 1)) {
        int sort = number_texts(input, &found, out, &total);
        if (sort == 0) done = plain_texts(input, out, total);
        else if (sort > 0) done = hw_numbered(input, &found, out);
    }
    hw_end(&found);
    return done;
}

/* Encode a whole column; 0 where it is of a kind that is not known here, or too large, or memory is short. */
HW_API int64_t hw_encode(struct ArrowArrayStream *stream, Encoded *out) {
    Input input;
    int done = 0;
    memset(out, 0, sizeof *out);
    if (hw_take(stream, &input) && input.rows > 0 && input.rows < MOST_BYTES / 8) {
        out->rows = input.rows;
        done = input.format == 'v' ? encode_texts(&input, out)
             : input.format == 'l' ? hw_encode_integers(&input, out)
                                   : hw_encode_booleans(&input, out);
    }
    hw_release(&input);
    return done;
}
