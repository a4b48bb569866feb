/* SPDX-License-Identifier: Apache-2.0
 *
 * Processes that were created, joined from the audit records of one serial; headwater.examine.audit_join says what is joined
 * with what. A derived event gets a row behind the row that it stands on, so the rows behind it move down.
 */
#include "audit.h"

#define WINDOW 256         /* lines */
#define REACH (4LL << 20)  /* bytes */
#define MOST_CALLS 16

typedef struct {
    Columns to;
    const int64_t *ns, *serial, *place, *offset, *length; /* of each row; `place` is the number of its line */
    const uint8_t *part, *outcome;
    const uint64_t *calls; /* eight bytes of an architecture, number of a call that runs a program; pairs */
    int32_t *before, *behind, *slots; /* of each row the neighbours of its time and serial */
    const int64_t *stand; /* of each row its row in the columns */
    int32_t *partners; /* four for each derived event: the row it stands on, those of the call, the folder and the title; -1 */
} Join;

/* Links the rows that take part by their time and serial. */
static void link_rows(const Join *join, int64_t rows, int64_t slots) {
    uint64_t first = hw_chance(0), second = hw_chance(1);
    int shift = 64 - hw_highest((uint64_t)slots);
    for (int64_t k = 0; k < rows; k++) {
        join->before[k] = join->behind[k] = -1;
        if (!join->part[k]) continue;
        int64_t at = (int64_t)(((uint64_t)join->ns[k] * first + (uint64_t)join->serial[k] * second) >> shift);
        for (int32_t last; (last = join->slots[at]); at = (at + 1) & (slots - 1)) {
            last--;
            if (join->ns[last] != join->ns[k] || join->serial[last] != join->serial[k]) continue;
            join->before[k] = last;
            join->behind[last] = (int32_t)k;
            break;
        }
        join->slots[at] = (int32_t)k + 1;
    }
}

/* The nearest row of a part with the time and serial of `row`, the later of two; -1 where none is near. */
static int32_t nearest(const Join *join, int64_t row, int part) {
    int64_t back = row, forth = row;
    const int64_t *place = join->place;
    while (back >= 0 && place[row] - place[back] < WINDOW && join->part[back] != part) back = join->before[back];
    while (forth >= 0 && place[forth] - place[row] < WINDOW && join->part[forth] != part) forth = join->behind[forth];
    int64_t far_back = back < 0 ? WINDOW : place[row] - place[back], far_forth = forth < 0 ? WINDOW : place[forth] - place[row];
    int64_t found = far_forth <= far_back ? forth : back;
    if (far_back >= WINDOW && far_forth >= WINDOW) return -1;
    int64_t reach = join->offset[found] - join->offset[row];
    return reach < REACH && -reach < REACH ? (int32_t)found : -1;
}

/* Whether a call runs a program, and succeeded. */
static int executes(const Join *join, int64_t stride, int64_t row, int arch, int number) {
    if (join->outcome[row] != GOOD || arch < 0 || number < 0) return 0;
    int64_t at = join->stand[row];
    if (at < 0 || at >= stride || !hw_has(&join->to, stride, arch, at) || !hw_has(&join->to, stride, number, at)) return 0;
    const uint64_t *view = join->to.views + 2 * (stride * arch + at);
    if ((uint32_t)view[0] != 8) return 0;
    uint64_t text = view[0] >> 32 | view[1] << 32;
    uint64_t call = (uint64_t)join->to.values[stride * (number - TEXTS) + at];
    for (int k = 0; k < MOST_CALLS; k += 2)
        if (join->calls[k] == text && join->calls[k + 1] == call) return 1;
    return 0;
}

/* Finds the derived events of the lines `low` to `high`: commands, and calls without one, with their partners, in order of row.
 * `slots` is a power of two, more than twice the rows, and zeroed. Returns how many. */
HW_API int64_t hw_audit_join(const Join *join, int64_t rows, int64_t stride, int64_t slots, int64_t low, int64_t high, int64_t arch,
                             int64_t number) {
    int64_t count = 0;
    if (rows > stride || slots < 2 * rows || slots & (slots - 1) || arch >= TEXTS || number >= TEXTS + COUNTED) return HW_BAD;
    if (number >= 0 && number < TEXTS) return HW_BAD;
    link_rows(join, rows, slots);
    for (int64_t k = 0; k < rows; k++) {
        if (join->place[k] < low || join->place[k] >= high) continue;
        int32_t call = -1;
        if (join->part[k] == CALL) {
            if (!executes(join, stride, k, (int)arch, (int)number) || nearest(join, k, EXECUTED) >= 0) continue;
            call = (int32_t)k;
        } else if (join->part[k] == EXECUTED) {
            call = nearest(join, k, CALL);
            if (call >= 0 && join->outcome[call] == BAD) continue;
        } else {
            continue;
        }
        int32_t *to = join->partners + 4 * count++;
        to[0] = (int32_t)k, to[1] = call, to[2] = nearest(join, k, FOLDER), to[3] = nearest(join, k, TITLE);
    }
    return count;
}

/* The bits of 64 rows, those from a row on that is a multiple of 64; none of rows behind the last. */
static uint64_t word_at(const uint8_t *bits, int64_t from, int64_t rows) {
    uint64_t word = 0;
    if (rows - from >= 64) return hw_word(bits + from / 8);
    for (int k = 0; k < (int)((rows - from + 7) / 8); k++) word |= (uint64_t)bits[from / 8 + k] << 8 * k;
    return word & ((1ULL << (rows - from)) - 1);
}

static inline void move_one(uint8_t *bits, uint64_t *views, int64_t *values, int64_t row, int64_t there) {
    if (values) values[there] = values[row];
    else views[2 * there] = views[2 * row], views[2 * there + 1] = views[2 * row + 1];
    bits[row >> 3] &= (uint8_t)~(1u << (row & 7));
    hw_mark(bits, there);
}

/* Moves the values of one column, those that go down from the last on and then those that go up from the first on; as order
 * stays, none meets one that is still to go. The bits of a word are read before any of its rows moves. */
static void move_column(uint8_t *bits, uint64_t *views, int64_t *values, int64_t rows, int64_t stay, const int64_t *target) {
    for (int64_t from = (rows - 1) & ~63LL; from >= 0 && from + 63 >= stay; from -= 64) {
        for (uint64_t word = word_at(bits, from, rows); word;) {
            int bit = hw_highest(word);
            word &= ~(1ULL << bit);
            if (target[from + bit] > from + bit) move_one(bits, views, values, from + bit, target[from + bit]);
        }
    }
    for (int64_t from = stay & ~63LL; from < rows; from += 64) {
        for (uint64_t word = word_at(bits, from, rows); word; word &= word - 1) {
            int64_t row = from + hw_lowest(word);
            if (target[row] < row) move_one(bits, views, values, row, target[row]);
        }
    }
}

/* Moves the rows of all columns, of which `rows` are in use, to where `target` says; order stays. */
HW_API int64_t hw_audit_move(const Columns *to, int64_t rows, int64_t stride, const int64_t *target) {
    int64_t stay = 0;
    if (rows > stride) return HW_BAD;
    for (int64_t k = 0; k < rows; k++)
        if (target[k] < 0 || target[k] >= stride) return HW_BAD;
    while (stay < rows && target[stay] == stay) stay++;
    if (stay == rows) return 0;
    for (int column = 0; column < TEXTS + COUNTED; column++) {
        if (!to->counts[column]) continue;
        int text = column < TEXTS;
        move_column(hw_bits_of(to, stride, column), text ? to->views + 2 * stride * column : NULL,
                    text ? NULL : to->values + stride * (column - TEXTS), rows, stay, target);
    }
    return 0;
}

/* Gives derived rows the values that their partners have: `pairs` are columns from and to and which partner. */
HW_API int64_t hw_audit_copy(const Columns *to, int64_t rows, int64_t stride, const int64_t *moved, const int32_t *partners, int64_t count,
                             const int32_t *pairs, int64_t many) {
    for (int64_t n = 0; n < many; n++) {
        int from = pairs[3 * n], into = pairs[3 * n + 1], which = pairs[3 * n + 2];
        int number = from >= TEXTS;
        if (from < 0 || from >= TEXTS + COUNTED || into < 0 || into >= TEXTS + COUNTED || number != (into >= TEXTS)) return HW_BAD;
        if (which < 0 || which > 3) return HW_BAD;
        if (!to->counts[from]) continue;
        for (int64_t k = 0; k < count; k++) {
            int32_t partner = partners[4 * k + which];
            if (partner < 0) continue;
            if (partner >= rows || partners[4 * k] >= rows || partners[4 * k] < 0) return HW_BAD;
            int64_t row = moved[partner], there = moved[partners[4 * k]] + 1;
            if (row < 0 || row >= stride || there >= stride) return HW_BAD;
            if (!hw_has(to, stride, from, row)) continue;
            if (number) {
                to->values[stride * (into - TEXTS) + there] = to->values[stride * (from - TEXTS) + row];
            } else {
                const uint64_t *view = to->views + 2 * (stride * from + row);
                uint64_t *copy = to->views + 2 * (stride * into + there);
                copy[0] = view[0], copy[1] = view[1];
            }
            hw_mark_in(to, stride, into, there);
        }
    }
    return 0;
}
