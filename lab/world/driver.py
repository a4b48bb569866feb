# SPDX-License-Identifier: Apache-2.0
"""Live the week: each event in a thread of its own at its own time, and step the clock over the hours between.

The clock is only ever stepped forward, only while nobody is at work, and always to a moment some time before the next
thing that is due (an event, a cron job, a timer), so that every program meets its hour with its clock running.
"""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path

sys.path.insert(0, "/lab")
import intrusion
import life
import services
from actors import record

CRON_LEAD = 64  # seconds: cron sleeps up to a minute on the monotonic clock and must be awake again before its job
EVENT_LEAD = 4
HOLD = 7


def safely(act: Callable[[], None]) -> None:
    """Run one event; a failure is written to the record and ends only that event."""
    try:
        act()
    except Exception:
        record(act="failure", trace=traceback.format_exc())


def quiet_stops(days: Iterable[int], bad: bool) -> list[tuple[datetime, int, int]]:
    """Moments (when, lead, hold) at which the server's own timers and cron jobs must find the clock running."""
    stops = []
    for day in days:
        for hour in range(24):
            if hour % 4 == 0:
                stops.append((life.at(day, hour, 17), CRON_LEAD, HOLD))
            stops += [(life.at(day, hour, minute), EVENT_LEAD, 5) for minute in (0, 20, 40)]
        stops.append((life.at(day, 2, 30), CRON_LEAD, 15))
        stops.append((life.at(day, 6, 25), CRON_LEAD, 15))
        stops.append((life.at(day, 9, 0), CRON_LEAD, HOLD))
        stops += [(life.at(day, 0, 0) + timedelta(minutes=m), EVENT_LEAD, 5) for m in range(5, 60, 5)]
    if bad:
        night = life.at(9, 3, 50)
        stops += [(night + timedelta(minutes=10 * n), CRON_LEAD, HOLD) for n in range(34)]
    return stops


def main() -> None:
    """Wait for each event's time and start it; step the clock when nothing is going on."""
    phase = Path("/run/phase").read_text("ascii").strip()
    bad = phase == "web01"
    services.start(bad)
    Path("/run/ready").touch()
    record(act="begin", phase=phase)
    events = sorted([*life.week(phase), *(intrusion.night() if bad else [])], key=lambda e: e[0])
    events = [(when.timestamp(), act) for when, act in events if when.timestamp() > time.time()]
    stops = [(when.timestamp(), lead, hold) for when, lead, hold in quiet_stops(life.DAYS[phase], bad)]
    stops = sorted([*stops, *((when, EVENT_LEAD, HOLD) for when, _ in events)])
    threads: list[threading.Thread] = []
    busy_until = time.time() + 75  # the boot
    while events or threads:
        while events and events[0][0] <= time.time():
            threads.append(threading.Thread(target=safely, args=(events.pop(0)[1],), daemon=True))
            threads[-1].start()
        alive = [t for t in threads if t.is_alive()]
        if len(alive) < len(threads):
            busy_until = max(busy_until, time.time() + HOLD)
        threads = alive
        while stops and stops[0][0] <= time.time():
            when, _, hold = stops.pop(0)
            busy_until = max(busy_until, when + hold)
        now = time.time()
        target = min((when - lead for when, lead, _ in stops), default=now)
        if not threads and now >= busy_until and target > now + 2:
            time.clock_settime(time.CLOCK_REALTIME, target)
            continue
        time.sleep(min(2.0, max(0.01, (events[0][0] if events else now + 1) - now)))
    time.sleep(86400)


main()
