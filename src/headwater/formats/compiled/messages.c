/* SPDX-License-Identifier: Apache-2.0
 *
 * The heads of syslog lines, and the phrases of their messages, as headwater.examine.syslog_lines, line_time and
 * line_templates describe them.
 */
#include "times.h"

#define MOST_SPACES 16
#define MOST_HOST 255 /* bytes */
#define MOST_DIGITS 18
#define MOST_PID 7 /* digits */
#define NAME_SLOTS 8192
#define MOST_NAMES 2048

static int64_t behind_spaces(Text data, int64_t at, int64_t end) {
    for (int k = 0; k < MOST_SPACES && at < end && data[at] == ' '; k++) at++;
    return at;
}

/* `Mmm dd HH:MM:SS ` of RFC 3164; the day's first digit may be a space or a zero. Where it is none, ok is 0. */
HW_API int64_t hw_bsd(Text data, int64_t size, const int64_t *at, int64_t rows, uint8_t *ok, int64_t *month, int64_t *day,
                      int64_t *second) {
    static const int8_t lengths[] = {0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    uint64_t before = 0;
    int64_t m = 0, d = 0;
    for (int64_t k = 0; k < rows; k++) {
        if (at[k] < 0 || at[k] > size - HW_PADDING) return HW_BAD;
        Text here = data + at[k];
        uint64_t head = hw_word(here) & 0xFFFFFFFFFFFFFF;
        if (!m || head != before) {
            before = head;
            m = hw_month(here);
            if (here[3] != ' ' || here[6] != ' ' || !hw_number(here + 4 + (here[4] == ' '), 2 - (here[4] == ' '), &d)) m = 0;
            if (d < 1 || d > lengths[m]) m = 0;
        }
        month[k] = m ? m : 1;
        day[k] = m ? d : 1;
        second[k] = 0;
        ok[k] = (uint8_t)(m && hw_clock(here + 7, second + k) && here[15] == ' ');
    }
    return rows;
}

/* `[digits]` that ends at `close`: where it opens, or -1. */
static int64_t pid_at(Text data, int64_t close, int64_t from, int64_t *pid) {
    int64_t at = close;
    while (at > from && close - at < MOST_PID && hw_is_digit(data[at - 1])) at--;
    if (at == close || at <= from + 1 || data[at - 1] != '[') return -1;
    hw_number(data + at, (int)(close - at), pid);
    return at - 1;
}

/* Whether data[at:stop] has the form of a host: a name or an address, of more than digits. No tag and no dash has it. */
static int host_form(Text data, int64_t at, int64_t stop) {
    if (stop <= at || stop - at > MOST_HOST) return 0;
    int more = 0;
    for (int64_t k = at; k < stop; k++) {
        uint8_t c = data[k], letter = (uint8_t)((c | 32) - 'a') < 26;
        if (letter || c == '.' || c == ':') {
            more = 1;
            if (c == '.' && k == at) return 0;
        } else if (!hw_is_digit(c) && ((c != '_' && c != '/' && c != '-') || k == at || k == stop - 1)) {
            return 0;
        }
    }
    return more && data[stop - 1] != ':';
}

/* Whether `text` (of `size` bytes) begins as what is written behind the host without a tag, by syslogd, login, anacron, and
 * by BusyBox, which writes facility and severity there. */
static int untagged(Text text, int64_t size) {
    static const char *const begins[] = {"last message repeated ", "message repeated ", "syslogd ", "exiting on signal ", "-- ",
                                         "Job `"};
    static const char *const severities[] = {"emerg ", "alert ", "crit ", "err ", "warn ", "notice ", "info ", "debug "};
    for (size_t k = 0; k < sizeof begins / sizeof *begins; k++) {
        int64_t length = (int64_t)strlen(begins[k]);
        if (size >= length && !memcmp(text, begins[k], (size_t)length)) return 1;
    }
    int64_t at = 0;
    while (at < size && at < 13 && ((uint8_t)(text[at] - 'a') < 26 || hw_is_digit(text[at]))) at++;
    if (at < 1 || at > 12 || at >= size || text[at++] != '.') return 0;
    for (size_t k = 0; k < sizeof severities / sizeof *severities; k++) {
        int64_t length = (int64_t)strlen(severities[k]);
        if (size - at >= length && !memcmp(text + at, severities[k], (size_t)length)) return 1;
    }
    return 0;
}

/* A tag in [at, limit): where it ends (-1 where none is) and where its word does. */
typedef struct {
    int64_t at, end, stop, pid;
    int numbered;
} Tag;

static Tag tag_at(Text data, int64_t at, int64_t limit) {
    at = behind_spaces(data, at, limit);
    int64_t stop = hw_first(data, at, limit, ' ');
    Tag tag = {at, -1, stop, 0, 0};
    if (stop <= at) return tag;
    int colon = data[stop - 1] == ':';
    int64_t close = stop - 1 - colon, opened = -1;
    if (close >= at && data[close] == ']') opened = pid_at(data, close, at, &tag.pid);
    int64_t end = opened >= 0 ? opened : stop - 1;
    if ((colon || opened >= 0) && end > at) tag.end = end;
    tag.numbered = tag.end >= 0 && opened >= 0;
    if (!tag.numbered) tag.pid = 0;
    return tag;
}

/* Host, tag and text behind the time of each line; `at` is where the host should stand. Ends are -1 where there is no host
 * or no tag. A host has a host's form, and a tag behind it or what needs none. */
HW_API int64_t hw_heads(Text data, int64_t size, const int64_t *from, const int64_t *end, int64_t rows, int64_t *host,
                        int64_t *host_end, int64_t *tag, int64_t *tag_end, int64_t *pid, uint8_t *numbered, int64_t *text) {
    for (int64_t k = 0; k < rows; k++) {
        int64_t limit = end[k], at = from[k] < limit ? from[k] : limit;
        if (at < 1 || limit > size - HW_PADDING) return HW_BAD;
        int64_t stop = hw_first(data, at, limit, ' ');
        int named = host_form(data, at, stop);
        Tag found = tag_at(data, named && stop < limit ? stop + 1 : (named ? limit : at), limit);
        if (named && found.end < 0 && !untagged(data + found.at, limit - found.at)) {
            named = 0;
            found = tag_at(data, at, limit);
        }
        host[k] = at;
        host_end[k] = named ? stop : -1;
        tag[k] = found.at;
        tag_end[k] = found.end;
        pid[k] = found.pid;
        numbered[k] = (uint8_t)found.numbered;
        at = found.at;
        if (found.end >= 0) at = found.stop + 1 < limit ? found.stop + 1 : limit;
        text[k] = behind_spaces(data, at, limit);
    }
    return rows;
}

static uint32_t name_hash(Text at, int64_t size) {
    uint64_t hash = (uint64_t)size;
    for (int64_t k = 0; k < size; k++) hash = (hash ^ at[k]) * 0x100000001B3ULL;
    return (uint32_t)(hash >> 20 ^ hash);
}

/* Numbers the distinct texts data[start:end] (nothing where end < start) in order of appearance; `first` gets a row of each.
 * Returns how many there are, or MOST_NAMES + 1 where they are more than that. */
HW_API int64_t hw_names(Text data, int64_t size, const int64_t *start, const int64_t *end, int64_t rows, int64_t *codes,
                        int64_t *first) {
    int32_t slots[NAME_SLOTS] = {0};
    int64_t count = 0;
    for (int64_t k = 0; k < rows; k++) {
        int64_t length = end[k] < start[k] ? 0 : end[k] - start[k];
        if (start[k] < 0 || start[k] > size || length > size - start[k]) return HW_BAD;
        if (k && length && count) { /* mostly the one before */
            int64_t other = first[codes[k - 1]];
            if (end[other] - start[other] == length && !memcmp(data + start[other], data + start[k], (size_t)length)) {
                codes[k] = codes[k - 1];
                continue;
            }
        }
        uint32_t slot = name_hash(data + start[k], length) % NAME_SLOTS;
        for (; slots[slot]; slot = (slot + 1) % NAME_SLOTS) {
            int64_t other = first[slots[slot] - 1];
            int64_t its = end[other] < start[other] ? 0 : end[other] - start[other];
            if (its == length && !memcmp(data + start[other], data + start[k], (size_t)length)) break;
        }
        if (!slots[slot]) {
            if (count == MOST_NAMES) return MOST_NAMES + 1;
            first[count] = k;
            slots[slot] = (int32_t)++count;
        }
        codes[k] = slots[slot] - 1;
    }
    return count;
}

enum { LITERAL, WORD, NUMBER, STAR };

/* A rule: what a text begins with, and the parts of its phrase behind that; a rule that is no phrase has `parts` -1. */
typedef struct {
    int32_t start, start_size, first, parts, star;
} Rule;

/* `at` and `size` are of a literal in the pool; the glues are what of the neighbouring literals touches a word. */
typedef struct {
    int32_t sort, at, size, field, left_glue, right_glue;
} Part;

typedef struct {
    Text pool;
    const Rule *rules;
    const Part *parts;
} Phrases;

typedef struct {
    int64_t low, high; /* of a text; of a number the value is in low */
} Found;

#define MOST_PARTS 24

static int has(Text data, int64_t at, int64_t end, Text literal, int64_t size) {
    return end - at >= size && !memcmp(data + at, literal, (size_t)size);
}

/* Takes one part off the left end; the new left end, or -1. */
static int64_t rightward(const Phrases *all, const Part *part, Text data, int64_t low, int64_t high, Found *found) {
    int64_t at;
    if (part->sort == LITERAL) return has(data, low, high, all->pool + part->at, part->size) ? low + part->size : -1;
    if (part->sort == NUMBER) {
        at = hw_digits(data, low, high, MOST_DIGITS, &found->low);
    } else {
        at = hw_first(data, low, high, ' ') - part->right_glue;
        *found = (Found){low, at};
    }
    return at > low ? at : -1;
}

/* Takes one part off the right end; the new right end, or -1. */
static int64_t leftward(const Phrases *all, const Part *part, Text data, int64_t low, int64_t high, Found *found) {
    int64_t at = high;
    if (part->sort == LITERAL) {
        at = high - part->size;
        return at >= low && !memcmp(data + at, all->pool + part->at, (size_t)part->size) ? at : -1;
    }
    if (part->sort == NUMBER) {
        while (at > low && high - at < MOST_DIGITS && hw_is_digit(data[at - 1])) at--;
        hw_digits(data, at, high, MOST_DIGITS, &found->low);
    } else {
        at = hw_last(data, high, low, ' ') + part->left_glue;
        *found = (Found){at, high};
    }
    return at < high ? at : -1;
}

static int fits(const Phrases *all, const Rule *rule, Text data, int64_t low, int64_t high, Found *found) {
    const Part *parts = all->parts + rule->first;
    for (int k = 0; k < rule->star; k++)
        if ((low = rightward(all, parts + k, data, low, high, found + k)) < 0) return 0;
    for (int k = rule->parts - 1; k > rule->star; k--)
        if ((high = leftward(all, parts + k, data, low, high, found + k)) < 0) return 0;
    if (rule->star == rule->parts) return low == high;
    found[rule->star] = (Found){low, high};
    return low <= high;
}

typedef struct {
    Column *texts; /* one a field */
    int64_t *values, lines;
    int64_t user, address, odd; /* fields: may be empty; should be an address, and how many are no plain one */
} Fields;

static void keep(const Phrases *all, const Rule *rule, const Found *found, Text data, int64_t row, Fields *out) {
    for (int k = 0; k < rule->parts; k++) {
        const Part *part = all->parts + rule->first + k;
        Column *column = out->texts + part->field;
        if (part->sort == LITERAL) continue;
        if (part->sort == NUMBER) {
            out->values[part->field * out->lines + row] = found[k].low;
            hw_mark(column->bits, row);
            column->count++;
            continue;
        }
        if (found[k].low == found[k].high && part->field != out->user) continue;
        hw_put(column, row, data, found[k].low, found[k].high);
        if (part->field == out->address && !hw_is_ipv4(data + found[k].low, found[k].high - found[k].low)) out->odd++;
    }
}

/* The rule that each text fits. `group` is the list of rules of a text's process (below 0: none is tried); the lists stand in
 * `order`, list g from bounds[g] to bounds[g + 1]. Gives -1 where no rule fits and -2 where a rule that is no phrase has to be
 * asked. What phrases find stands in `fields` columns of texts (`views`) and of numbers (`values`), with `bits` and `counts`
 * for either; all come zeroed. Returns how many addresses are none of the plain form. */
HW_API int64_t hw_phrases(Text data, int64_t size, const int64_t *start, const int64_t *end, int64_t rows,
                          const int64_t *group, const int32_t *order, const int32_t *bounds, Text pool, const Rule *rules,
                          const Part *parts, int64_t fields, int64_t user, int64_t address, int64_t *rule, int64_t *values,
                          uint64_t *views, uint8_t *bits, int64_t *counts) {
    const Phrases all = {pool, rules, parts};
    Found found[MOST_PARTS];
    Column columns[64];
    Fields out = {columns, values, rows, user, address, 0};
    if (fields > 64) return HW_BAD;
    for (int64_t k = 0; k < fields; k++) columns[k] = (Column){views + 2 * rows * k, bits + (rows + 7) / 8 * k, 0};
    for (int64_t k = 0; k < rows; k++) {
        if (start[k] < 0 || end[k] < start[k] || end[k] > size - HW_PADDING) return HW_BAD;
        rule[k] = -1;
        if (group[k] < 0) continue;
        uint32_t head = hw_half(data + start[k]);
        for (int32_t n = bounds[group[k]]; n < bounds[group[k] + 1]; n++) {
            const Rule *one = rules + order[n];
            if (one->start_size >= 4 && hw_half(pool + one->start) != head) continue;
            if (!has(data, start[k], end[k], pool + one->start, one->start_size)) continue;
            if (one->parts < 0 || one->parts > MOST_PARTS) {
                rule[k] = -2;
                break;
            }
            if (!fits(&all, one, data, start[k] + one->start_size, end[k], found)) continue;
            rule[k] = order[n];
            keep(&all, one, found, data, k, &out);
            break;
        }
    }
    for (int64_t k = 0; k < fields; k++) counts[k] = columns[k].count;
    return out.odd;
}
