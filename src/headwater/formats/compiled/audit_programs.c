/* SPDX-License-Identifier: Apache-2.0
 *
 * The last program of each process number, as a file of audit records has it so far, and what derived events say of it: the
 * program of the parent, and the places of the records joined. headwater.examine.audit_join has the same in Python.
 */
#include <stdlib.h>

#include "audit.h"

#define PROCESSES 65536
#define REMEMBERED (64LL << 20) /* bytes of texts */
#define BUCKETS 65536
#define NOTHING UINT32_MAX
#define EXTRA 3 /* the number of the buffer that `out` becomes */

typedef struct {
    int64_t pid;
    uint8_t *text; /* image, command line, place */
    uint32_t image, line, place; /* their sizes; NOTHING where there is none */
    int32_t next, newer, older;
    int64_t round, at; /* where the texts stand in `out`, in this round */
} Program;

typedef struct {
    int32_t bucket[BUCKETS], newest, oldest, used, spare; /* numbers of programs plus one */
    int64_t held, round, out_size, out_room;
    uint64_t chance;
    uint8_t *out;
    Program programs[PROCESSES + 1];
} Programs;

typedef struct {
    Columns to;
    Text buffer[EXTRA];
    int64_t size[EXTRA];
    const int64_t *moved, *offset, *length;
    const int32_t *partners;
} Named;

HW_API void hw_programs_free(Programs *all) {
    if (!all) return;
    for (int32_t at = all->newest; at; at = all->programs[at - 1].older) free(all->programs[at - 1].text);
    free(all->out);
    free(all);
}

/* A new memory of programs; 0 where there is none to be had. */
HW_API Programs *hw_programs_new(void) {
    Programs *all = calloc(1, sizeof(Programs));
    if (all) all->chance = hw_chance(2);
    return all;
}

static int32_t *bucket_of(Programs *all, int64_t pid) {
    return all->bucket + (((uint64_t)pid * all->chance) >> 48);
}

static Program *program_of(Programs *all, int64_t pid) {
    int32_t at = *bucket_of(all, pid);
    while (at && all->programs[at - 1].pid != pid) at = all->programs[at - 1].next;
    return at ? all->programs + at - 1 : NULL;
}

static int64_t weight(const Program *one) {
    return (one->image == NOTHING ? 0 : (int64_t)one->image) + (one->line == NOTHING ? 0 : (int64_t)one->line);
}

static void forget(Programs *all, Program *one) {
    int32_t number = (int32_t)(one - all->programs) + 1, *at = bucket_of(all, one->pid);
    while (*at != number) at = &all->programs[*at - 1].next;
    *at = one->next;
    if (one->newer) all->programs[one->newer - 1].older = one->older;
    else all->newest = one->older;
    if (one->older) all->programs[one->older - 1].newer = one->newer;
    else all->oldest = one->newer;
    all->held -= weight(one);
    free(one->text);
    one->next = all->spare;
    all->spare = number;
}

static int remember(Programs *all, int64_t pid, Text image, uint32_t image_size, Text line, uint32_t line_size, const char *place,
                    uint32_t place_size) {
    Program *one = program_of(all, pid);
    if (one) forget(all, one);
    uint32_t first = image ? image_size : 0, second = line ? line_size : 0;
    uint8_t *text = malloc((size_t)first + second + place_size);
    if (!text) return 0;
    if (first) memcpy(text, image, first);
    if (second) memcpy(text + first, line, second);
    memcpy(text + first + second, place, place_size);
    int32_t number = all->spare ? all->spare : ++all->used;
    one = all->programs + number - 1;
    if (all->spare) all->spare = one->next;
    int32_t *at = bucket_of(all, pid);
    *one = (Program){pid, text, image ? image_size : NOTHING, line ? line_size : NOTHING, place_size, *at, 0, all->newest, -1, 0};
    *at = number;
    if (all->newest) all->programs[all->newest - 1].newer = number;
    else all->oldest = number;
    all->newest = number;
    all->held += weight(one);
    while (all->used - PROCESSES > 0 && !all->spare) forget(all, all->programs + all->oldest - 1);
    while (all->held > REMEMBERED) forget(all, all->programs + all->oldest - 1);
    return 1;
}

static int reserve(Programs *all, int64_t size) {
    if (all->out_size + size + HW_PADDING <= all->out_room) return 1;
    int64_t room = (all->out_size + size) * 2 + 65536;
    uint8_t *out = room > INT32_MAX ? NULL : realloc(all->out, (size_t)room);
    if (!out) return 0;
    memset(out + all->out_size, 0, (size_t)(room - all->out_size));
    all->out = out;
    all->out_room = room;
    return 1;
}

static void put(const Named *named, const Programs *all, int64_t stride, int column, int64_t row, int64_t start, int64_t end) {
    uint64_t *view = named->to.views + 2 * (stride * column + row);
    hw_view(view, all->out, start, end);
    if (end - start > 12) view[1] |= EXTRA;
    hw_mark_in(&named->to, stride, column, row);
}

static int64_t put_parent(const Named *named, Programs *all, int64_t stride, int64_t row, Program *parent) {
    int64_t image = parent->image == NOTHING ? 0 : parent->image, line = parent->line == NOTHING ? 0 : parent->line;
    if (parent->round != all->round) {
        int64_t size = image + line + parent->place;
        if (!reserve(all, size)) return HW_BAD;
        memcpy(all->out + all->out_size, parent->text, (size_t)size);
        parent->at = all->out_size;
        parent->round = all->round;
        all->out_size += size;
    }
    int64_t at = parent->at;
    if (parent->image != NOTHING) put(named, all, stride, PARENT_IMAGE, row, at, at + image);
    at += image;
    if (parent->line != NOTHING) put(named, all, stride, PARENT_LINE, row, at, at + line);
    at += line;
    put(named, all, stride, PARENT_RECORD, row, at, at + parent->place);
    return 0;
}

static char *put_number(char *to, int64_t number) {
    char digits[20];
    int count = 0;
    uint64_t left = number < 0 ? 0 : (uint64_t)number;
    do digits[count++] = (char)('0' + left % 10);
    while (left /= 10);
    while (count) *to++ = digits[--count];
    return to;
}

static char *put_place(char *to, const Named *named, int32_t row) {
    to = put_number(to, named->offset[row]);
    *to++ = '+';
    return put_number(to, named->length[row]);
}

/* The places of all records of an event, in order, each once. */
static int64_t put_records(const Named *named, Programs *all, int64_t stride, int64_t row, const int32_t *partners) {
    int32_t rows[4];
    int count = 0;
    for (int k = 0; k < 4; k++) {
        int at = count;
        if (partners[k] < 0) continue;
        while (at && named->offset[rows[at - 1]] > named->offset[partners[k]]) at--;
        if (at && named->offset[rows[at - 1]] == named->offset[partners[k]]) continue;
        for (int n = count; n > at; n--) rows[n] = rows[n - 1];
        rows[at] = partners[k];
        count++;
    }
    if (!reserve(all, 4 * 42)) return HW_BAD;
    char *first = (char *)all->out + all->out_size, *to = first;
    for (int k = 0; k < count; k++) {
        if (k) *to++ = ',';
        to = put_place(to, named, rows[k]);
    }
    put(named, all, stride, RECORDS, row, all->out_size, all->out_size + (to - first));
    all->out_size += to - first;
    return 0;
}

/* The text of a cell; NULL where there is none. */
static Text text_of(const Named *named, int64_t stride, int column, int64_t row, uint32_t *size) {
    if (!hw_has(&named->to, stride, column, row)) return NULL;
    const uint64_t *view = named->to.views + 2 * (stride * column + row);
    *size = (uint32_t)view[0];
    if (*size <= 12) return (Text)view + 4;
    uint32_t buffer = (uint32_t)view[1], at = (uint32_t)(view[1] >> 32);
    return buffer < EXTRA && (int64_t)at + *size <= named->size[buffer] ? named->buffer[buffer] + at : NULL;
}

/* Says of each derived event what it was joined from and what its parent ran, and remembers it; the texts stand in `out`.
 * Returns how many bytes these are, or HW_BAD. */
HW_API int64_t hw_programs_name(Programs *all, const Named *named, int64_t rows, int64_t stride, int64_t count) {
    all->round++;
    all->out_size = 0;
    for (int64_t k = 0; k < count; k++) {
        const int32_t *partners = named->partners + 4 * k;
        for (int n = 0; n < 4; n++)
            if (partners[n] >= rows) return HW_BAD;
        if (partners[0] < 0) return HW_BAD;
        int64_t row = named->moved[partners[0]] + 1;
        if (row < 1 || row >= stride) return HW_BAD;
        const int64_t *ids = named->to.values + row;
        if (hw_has(&named->to, stride, TEXTS + PARENT_ID, row)) {
            Program *parent = program_of(all, ids[stride * PARENT_ID]);
            if (parent && put_parent(named, all, stride, row, parent)) return HW_BAD;
        }
        if (put_records(named, all, stride, row, partners)) return HW_BAD;
        if (!hw_has(&named->to, stride, TEXTS + PROCESS_ID, row)) continue;
        uint32_t image_size = 0, line_size = 0;
        Text image = text_of(named, stride, IMAGE, row, &image_size), line = text_of(named, stride, LINE, row, &line_size);
        char place[48];
        uint32_t size = (uint32_t)(put_place(place, named, partners[0]) - place);
        if (!remember(all, ids[stride * PROCESS_ID], image, image_size, line, line_size, place, size)) return HW_BAD;
    }
    return reserve(all, 0) ? all->out_size : HW_BAD;
}

/* Copies the texts of the last round, with padding, to where there is room for them. */
HW_API int64_t hw_programs_texts(const Programs *all, uint8_t *to) {
    memcpy(to, all->out, (size_t)all->out_size + HW_PADDING);
    return all->out_size;
}
