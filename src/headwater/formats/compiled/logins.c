/* SPDX-License-Identifier: Apache-2.0
 *
 * The fields of login records, utmp(5), as columns; headwater.examine.parsers._utmp says what they mean.
 */
#include "block.h"

enum { LINE, USER, HOST, TEXTS };

/* Where the fields of a record stand, and how its numbers are written; in the order of the array that Python gives. */
typedef struct {
    int32_t size, type, pid, line, user, host, termination, exit, session, sec, usec, addr, wide, big;
} Layout;

/* Columns to fill, one entry a record. */
typedef struct {
    int64_t *type, *pid, *termination, *exit, *session, *ns;
    uint8_t *stated, *backward, *six;
} Numbers;

static uint64_t number(Text at, int bytes, int big) {
    uint64_t value = 0;
    for (int k = 0; k < bytes; k++) value |= (uint64_t)at[big ? bytes - 1 - k : k] << 8 * k;
    return value;
}

static int64_t signed_number(Text at, int bytes, int big) {
    int drop = 64 - 8 * bytes;
    return (int64_t)(number(at, bytes, big) << drop) >> drop;
}

/* Nanoseconds of a record's time; 0 where it holds none. */
static int time_of(Text at, const Layout *layout, int64_t *ns) {
    int wide = layout->wide, big = layout->big;
    int64_t sec = wide ? signed_number(at + layout->sec, 8, big) : (int64_t)number(at + layout->sec, 4, big);
    int64_t usec = signed_number(at + layout->usec, wide ? 8 : 4, big);
    *ns = 0;
    if ((!sec && !usec) || sec < 0 || sec >= 1LL << 33) return 0;
    *ns = sec * 1000000000LL + (usec >= 0 && usec < 1000000 ? usec * 1000 : 0);
    return 1;
}

static int64_t put_address(uint8_t *to, Text at) {
    uint8_t *first = to;
    for (int k = 0; k < 4; k++) {
        uint8_t value = at[k];
        if (k) *to++ = '.';
        if (value >= 100) *to++ = (uint8_t)('0' + value / 100);
        if (value >= 10) *to++ = (uint8_t)('0' + value / 10 % 10);
        *to++ = (uint8_t)('0' + value % 10);
    }
    return to - first;
}

/* A text that ends at the first zero byte; whether it has a byte that is no ASCII. */
static int put_text(Text data, int64_t from, int64_t width, Column *column, int64_t row) {
    int64_t stop = hw_first(data, from, from + width, 0);
    uint64_t high = 0;
    for (int64_t k = from; k < stop; k++) high |= data[k];
    if (stop > from) hw_put(column, row, data, from, stop);
    return (high & 128) != 0;
}

/* The records `rows` of a block. `views`, `bits` and `counts` are those of line, user, host and address, and come zeroed;
 * addresses stand in `pool` (16 bytes a row and padding). `six` marks addresses that are not of four bytes, `backward` times
 * before the last one stated (`before`, where `known`, in front of the block). `high` gets how many texts of each of line,
 * user and host are no ASCII. Returns how many addresses are not of four bytes. */
HW_API int64_t hw_logins(Text data, int64_t size, const int64_t *rows, int64_t count, const Layout *layout, int64_t before,
                         int64_t known, int64_t *const *numbers, uint8_t *const *flags, uint8_t *pool, uint64_t *views,
                         uint8_t *bits, int64_t *counts, int64_t *high) {
    static const int widths[TEXTS] = {32, 32, 256};
    const int32_t places[TEXTS] = {layout->line, layout->user, layout->host};
    Column columns[TEXTS + 1];
    Numbers out = {numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5], flags[0], flags[1], flags[2]};
    int64_t sixes = 0;
    int big = layout->big;
    for (int k = 0; k <= TEXTS; k++) columns[k] = (Column){views + 2 * count * k, bits + (count + 7) / 8 * k, 0};
    for (int64_t k = 0; k < count; k++) {
        if (rows[k] < 0 || rows[k] > (size - HW_PADDING) / layout->size - 1) return HW_BAD;
        int64_t from = rows[k] * layout->size;
        Text at = data + from;
        out.type[k] = (int64_t)number(at + layout->type, 2, big);
        out.pid[k] = signed_number(at + layout->pid, 4, big);
        out.termination[k] = signed_number(at + layout->termination, 2, big);
        out.exit[k] = signed_number(at + layout->exit, 2, big);
        out.session[k] = signed_number(at + layout->session, layout->wide ? 8 : 4, big);
        out.stated[k] = (uint8_t)time_of(at, layout, out.ns + k);
        out.backward[k] = (uint8_t)(out.stated[k] && known && out.ns[k] < before);
        if (out.stated[k]) before = out.ns[k], known = 1;
        for (int t = 0; t < TEXTS; t++) high[t] += put_text(data, from + places[t], widths[t], columns + t, k);
        Text address = at + layout->addr;
        out.six[k] = (hw_half(address + 4) | hw_half(address + 8) | hw_half(address + 12)) != 0;
        sixes += out.six[k];
        if (!out.six[k] && hw_half(address)) {
            int64_t length = put_address(pool + 16 * k, address);
            hw_put(columns + TEXTS, k, pool, 16 * k, 16 * k + length);
            if (length > 12) columns[TEXTS].views[2 * k + 1] |= 1; /* the second buffer */
        }
    }
    for (int k = 0; k <= TEXTS; k++) counts[k] = columns[k].count;
    return sixes;
}
