/* SPDX-License-Identifier: Apache-2.0
 *
 * Dates and clocks of log lines, checked and counted as headwater.examine.line_time does.
 */
#ifndef HEADWATER_TIMES_H
#define HEADWATER_TIMES_H

#include "block.h"

#define HW_SECOND 1000000000LL
#define HW_DAY 86400LL
#define HW_FARTHEST_DAY 106000 /* what 64-bit nanoseconds can hold, in days from 1970 */

static inline int hw_is_leap(int64_t year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

/* Days since 1970 of a date of the proleptic Gregorian calendar; 0 where there is no such date or it is too far. */
static inline int hw_days(int64_t year, int64_t month, int64_t day, int64_t *days) {
    static const int16_t lengths[] = {0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    static const int16_t before[] = {0, 0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335};
    if (month < 1 || month > 12 || day < 1 || day > lengths[month]) return 0;
    if (month == 2 && day == 29 && !hw_is_leap(year)) return 0;
    int64_t y = year - 1, to_year = y * 365 + (y >= 0 ? y / 4 - y / 100 + y / 400 : -1);
    *days = to_year - 719162 + before[month] - (month > 2 && !hw_is_leap(year)) + day - 1;
    return *days > -HW_FARTHEST_DAY && *days < HW_FARTHEST_DAY;
}

/* Jan ... Dec as 1 ... 12; 0 where it is none. */
static inline int64_t hw_month(Text at) {
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    uint32_t three = hw_half(at) & 0xFFFFFF;
    for (int k = 0; k < 12; k++) {
        uint32_t name = (uint32_t)names[3 * k] | (uint32_t)names[3 * k + 1] << 8 | (uint32_t)names[3 * k + 2] << 16;
        if (name == three) return k + 1;
    }
    return 0;
}

/* HH:MM:SS as seconds of the day; a leap second 60 is taken as the next second. */
static inline int hw_clock(Text at, int64_t *second) {
    int64_t h, m, s;
    if (at[2] != ':' || at[5] != ':' || !hw_number(at, 2, &h) || !hw_number(at + 3, 2, &m) || !hw_number(at + 6, 2, &s))
        return 0;
    *second = h * 3600 + m * 60 + s;
    return h < 24 && m < 60 && s <= 60;
}

/* +HHMM or -HHMM as seconds ahead of UTC. */
static inline int hw_zone(Text at, int64_t *ahead) {
    int64_t h, m;
    if ((at[0] != '+' && at[0] != '-') || !hw_number(at + 1, 2, &h) || !hw_number(at + 3, 2, &m)) return 0;
    *ahead = (h * 3600 + m * 60) * (at[0] == '-' ? -1 : 1);
    return h < 24 && m < 60;
}

#endif
