/* SPDX-License-Identifier: Apache-2.0
 *
 * The usual access lines of web servers, cut and typed in one pass; headwater.examine.web_lines says what each field is.
 *
 * Only what is certain is taken: a line with a virtual host in front, with a time in another form, with a quote that
 * nothing escapes, and the like is left (its flag stays 0) to the Python, which knows them all. What is taken has the
 * values that the Python would give it.
 */
#include "times.h"

enum { PEER, NAME, USER, IDENT, METHOD, URI, STEM, QUERY, VERSION, REQUEST, REFERER, AGENT, EXTRA, COLUMNS };

#define MOST_BACKSLASHES 64

typedef struct {
    uint8_t date[12]; /* dd/Mon/yyyy: of the line before, and its day */
    int64_t day;
    int known;
} Memory;

static int is_hex(uint8_t c) { return hw_is_digit(c) || (uint8_t)((c | 32) - 'a') < 6; }

/* Hexadecimal digits with two colons or more, and dots behind the last. */
static int is_ipv6(Text at, int64_t size) {
    int colons = 0, dots = 0;
    for (int64_t k = 0; k < size; k++) {
        if (at[k] == ':') {
            if (dots) return 0;
            colons++;
        } else if (at[k] == '.') {
            dots++;
        } else if (!is_hex(at[k])) {
            return 0;
        }
    }
    return colons >= 2 && !(dots && colons < 2);
}

/* The first quote from `at` on that no odd run of backslashes stands before; -1 where there are too many of these. */
static int64_t quote_from(Text data, int64_t at, int64_t end) {
    int64_t stop = hw_first(data, at, end, '"');
    for (int tries = 0; stop < end; tries++) {
        int64_t back = stop;
        while (back > at && data[back - 1] == '\\') back--;
        if (stop - back >= MOST_BACKSLASHES - 1 || tries >= MOST_BACKSLASHES) return -1;
        if ((stop - back) % 2 == 0) return stop;
        stop = hw_first(data, stop + 1, end, '"');
    }
    return stop;
}

/* 10/Oct/2000:13:55:36 -0700] " at `at`, as nanoseconds; 0 where it is anything else. */
static int time_at(Text at, Memory *memory, int64_t *ns) {
    int64_t day, year, second, ahead;
    if (!memory->known || memcmp(at, memory->date, sizeof memory->date)) {
        int64_t month = hw_month(at + 3);
        if (at[2] != '/' || at[6] != '/' || at[11] != ':' || !hw_number(at, 2, &day) || !hw_number(at + 7, 4, &year) ||
            !month || !hw_days(year, month, day, &day))
            return 0;
        memcpy(memory->date, at, sizeof memory->date);
        memory->day = day;
        memory->known = 1;
    }
    if (!hw_clock(at + 12, &second) || at[20] != ' ' || !hw_zone(at + 21, &ahead) || memcmp(at + 26, "] \"", 3)) return 0;
    *ns = (memory->day * HW_DAY + second - ahead) * HW_SECOND;
    return 1;
}

/* `" 200 1234` at a closing quote: the place behind, or -1; -1 stands for a dash. */
static int64_t answer_at(Text data, int64_t quote, int64_t end, int64_t *status, int64_t *size) {
    int64_t at = quote + 2, from;
    if (data[quote + 1] != ' ') return -1;
    if (data[at] == '-') {
        *status = -1;
        at++;
    } else {
        if (!hw_number(data + at, 3, status)) return -1;
        at += 3;
    }
    if (at >= end || data[at] != ' ') return -1;
    from = ++at;
    at = hw_digits(data, at, end, 18, size);
    if (at == from) {
        if (at >= end || data[at] != '-') return -1;
        *size = -1;
        at++;
    }
    if (at == end) return hw_is_digit(data[at]) ? -1 : at; /* a number that the limit of a line cuts is not taken */
    return data[at] == ' ' ? at : -1;
}

/* Peer, ident and user between the beginning of a line and its bracket; 0 where a virtual host or a port stands there. */
static int peer_at(Text data, int64_t start, int64_t bracket, Column *out, int64_t row) {
    int64_t first = hw_first(data, start, bracket, ' ');
    int64_t ident = first + 1 < bracket ? first + 1 : bracket;
    int64_t second = hw_first(data, ident, bracket, ' ');
    int64_t user = second + 1 < bracket ? second + 1 : bracket;
    int64_t third = hw_first(data, user, bracket, ' ');
    int64_t user_end = bracket - 1 > user ? bracket - 1 : user;
    int dash = second == ident + 1 && data[ident] == '-';
    if (!dash && third == user + 1 && data[user] == '-') return 0;
    if (hw_is_ipv4(data + start, first - start) || is_ipv6(data + start, first - start)) {
        hw_put(out + PEER, row, data, start, first);
    } else {
        for (int64_t k = start; k < first; k++)
            if (data[k] == ':' || data[k] == '[') return 0;
        hw_put(out + NAME, row, data, start, first);
    }
    if (second > ident && !dash) hw_put(out + IDENT, row, data, ident, second);
    if (user_end > user && !(user_end == user + 1 && data[user] == '-')) hw_put(out + USER, row, data, user, user_end);
    return 1;
}

static void request_at(Text data, int64_t low, int64_t high, int64_t end, Column *out, int64_t row) {
    int64_t method_end = hw_first(data, low, end, ' ');
    int64_t version = high - 8 > low ? high - 8 : low;
    int capital = data[low] >= 'A' && data[low] <= 'Z';
    if (method_end > high) method_end = high;
    if (memcmp(data + version - 1, " HTTP/1.", 8) || version <= method_end) version = hw_last(data, high, low, ' ');
    int proper = capital && method_end > low && version > method_end + 1 && version < high && !memcmp(data + version, "HTTP/", 5);
    /* HTTP/0.9 and servers that leave the version out: a method and a path are enough */
    int bare = !proper && capital && method_end > low && method_end + 1 < high && data[method_end + 1] == '/';
    if (!proper && !bare) {
        hw_put(out + REQUEST, row, data, low, high);
        return;
    }
    int64_t uri = method_end + 1 < high ? method_end + 1 : high;
    int64_t uri_end = proper ? version - 1 : high;
    if (uri_end < uri) uri_end = uri;
    int64_t mark = hw_first(data, uri, uri_end, '?');
    hw_put(out + METHOD, row, data, low, method_end);
    hw_put(out + URI, row, data, uri, uri_end);
    hw_put(out + STEM, row, data, uri, mark);
    if (mark < uri_end) hw_put(out + QUERY, row, data, mark + 1, uri_end);
    if (proper) hw_put(out + VERSION, row, data, version, high);
}

static void put_field(Text data, int64_t low, int64_t high, Column *out, int64_t row) {
    if (high > low && !(high == low + 1 && data[low] == '-')) hw_put(out, row, data, low, high);
}

/* Referer, agent and the rest; `at` is the end of the size. 0 where a field is too odd. */
static int behind_at(Text data, int64_t at, int64_t end, Column *out, int64_t row) {
    for (int field = REFERER; field <= AGENT; field++) {
        if (at + 1 >= end || data[at + 1] != '"') break;
        int64_t low = at + 2, stop = quote_from(data, low, end);
        if (stop < 0) return 0;
        put_field(data, low, stop, out + field, row); /* cut off before its closing quote, it still says what it says */
        at = stop < end ? stop + 1 : end;
        if (stop >= end) break;
    }
    if (at + 1 < end && !(end - at == 4 && !memcmp(data + at + 1, "\"-\"", 3))) hw_put(out + EXTRA, row, data, at + 1, end);
    return 1;
}

/* Undo what a line that is not taken after all has put into the columns. */
static void undo(Column *out, int64_t row) {
    for (int k = 0; k < COLUMNS; k++) {
        if (!(out[k].bits[row >> 3] >> (row & 7) & 1)) continue;
        out[k].bits[row >> 3] &= (uint8_t) ~(1u << (row & 7));
        out[k].views[2 * row] = out[k].views[2 * row + 1] = 0;
        out[k].count--;
    }
}

static int line_at(Text data, int64_t start, int64_t end, Memory *memory, int64_t row, int64_t *ns, int64_t *status,
                   int64_t *size, Column *out) {
    int64_t space = hw_first(data, start, end, ' ');
    int64_t bracket = hw_first(data, space, end, '[');
    int64_t low = bracket + 30;
    if (low > end || bracket <= start || !time_at(data + bracket + 1, memory, ns)) return 0;
    int64_t quote = quote_from(data, low, end);
    if (quote < 0 || quote >= end) return 0;
    int64_t at = answer_at(data, quote, end, status, size);
    if (at < 0) return 0;
    if (!peer_at(data, start, bracket, out, row) || !behind_at(data, at, end, out, row)) {
        undo(out, row);
        return 0;
    }
    request_at(data, low, quote, end, out, row);
    return 1;
}

/* Access lines. `fits` gets a flag for every line; everything else one entry for every line that fits, in order:
 * `views` and `bits` are those of COLUMNS columns behind each other with room for all lines, and come zeroed; `counts`
 * gets how many texts each has. Returns how many lines fit. */
HW_API int64_t hw_access(Text data, int64_t size, const int64_t *start, const int64_t *end, int64_t lines, uint8_t *fits,
                         int64_t *ns, int64_t *status, int64_t *bytes, uint64_t *views, uint8_t *bits, int64_t *counts) {
    Column out[COLUMNS];
    Memory memory = {{0}, 0, 0};
    int64_t row = 0;
    for (int k = 0; k < COLUMNS; k++)
        out[k] = (Column){views + 2 * lines * k, bits + (lines + 7) / 8 * k, 0};
    for (int64_t k = 0; k < lines; k++) {
        if (start[k] < 0 || end[k] < start[k] || end[k] > size - HW_PADDING) return HW_BAD;
        fits[k] = (uint8_t)line_at(data, start[k], end[k], &memory, row, ns + row, status + row, bytes + row, out);
        row += fits[k];
    }
    for (int k = 0; k < COLUMNS; k++) counts[k] = out[k].count;
    return row;
}
