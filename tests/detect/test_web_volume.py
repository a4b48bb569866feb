# SPDX-License-Identifier: Apache-2.0
"""A database fetched through the web server is told; crawlers, mirrors and one's own backup are not, or barely."""

from __future__ import annotations

import pytest
from memory_events import MemoryEvents

from headwater.detect import registry
from headwater.detect.detectors import web_volume
from headwater.detect.intrusion import Entries, Entry
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import Severity
from headwater.model.nouns import Finding
from headwater.model.ports import Settings

MIB = 1 << 20


class Site(MemoryEvents):
    """A web server with visitors."""

    def sent(self, address: str, stem: str, size: int | str | None, times: int = 1) -> Site:
        own = {"cs-method": "GET", "cs-uri-stem": stem, "sc-status": 200, "sc-bytes": size}
        row = (K.WEB_REQUEST, "2026-03-02 03:04:05", {"src_ip": address, "outcome": "success", "fields": own})
        self.say("web.access", "p1!/var/log/nginx/access.log", *[row] * times)
        return self

    def visited(self, visitors: int = 60, size: int = MIB) -> Site:
        for n in range(visitors):
            self.sent(f"198.51.100.{n}", f"/page{n % 7}", size, 3)
        return self

    def found(self, settings: Settings | None = None) -> list[Finding]:
        return list(registry.run(web_volume, self, settings or Settings()))


def test_a_dump_that_was_fetched_is_told_with_its_name_and_size() -> None:
    (found,) = Site().visited().sent("203.0.113.66", "/uploads/db.sql.gz", 40 * MIB).found()
    assert (found.severity, found.src_ip) == (Severity.MEDIUM, "203.0.113.66")
    assert found.facts["archive_bytes"] == 40 * MIB
    assert "/uploads/db.sql.gz" in found.text.zh
    assert [c.claims["sc-bytes"] for c in found.spans] == [40 * MIB]


def test_a_client_far_above_all_others_is_low_until_more_is_known() -> None:
    (found,) = Site().visited().sent("203.0.113.66", "/api/export", 30 * MIB, 10).found()
    assert (found.severity, found.facts["bytes"]) == (Severity.LOW, 300 * MIB)


def test_ordinary_traffic_gives_nothing() -> None:
    assert not Site().found()
    assert not Site().visited().found()
    assert not Site().visited().sent("10.0.0.9", "/backup.tar.gz", 900 * MIB).found()  # one's own backup
    proxied = Site().visited().sent("203.0.113.8", "/page1", 300 * MIB)
    assert not proxied.found(Settings(trusted_proxies=("203.0.113.8",)))
    video = Site().visited(60, 200 * MIB).sent("203.0.113.66", "/film.mp4", 900 * MIB)
    assert not video.found()  # all fetch much here
    few = Site().sent("203.0.113.66", "/film.mp4", 900 * MIB).sent("203.0.113.67", "/a", 100)
    assert not few.found()  # two clients are no population
    assert not Site().visited().sent("203.0.113.66", "/style.css.gz", 3 * MIB).found()


def test_sizes_that_are_none_break_nothing() -> None:
    site = Site().visited().sent("203.0.113.66", "/x.sql", None)
    assert not site.found()
    assert not Site().visited(3).sent("203.0.113.66", "/x.sql", -5).found()


def test_one_who_entered_is_told_for_less_but_not_for_browsing(monkeypatch: pytest.MonkeyPatch) -> None:
    came = Entries([Entry(1, 0, 0, "203.0.113.66", "root", ())])
    monkeypatch.setattr(web_volume, "entries", lambda *_: came)
    (found,) = Site().visited().sent("203.0.113.66", "/api/export", 40 * MIB).found()
    assert (found.severity, found.facts["entered"]) == (Severity.MEDIUM, True)
    (dump,) = Site().visited().sent("203.0.113.66", "/db.sql", 40 * MIB).found()
    assert dump.severity == Severity.HIGH
    assert not Site().visited().sent("203.0.113.66", "/page1", MIB, 8).found()
