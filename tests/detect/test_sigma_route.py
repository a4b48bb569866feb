# SPDX-License-Identifier: Apache-2.0
"""A rule must reach every log that its log source means and no other, and a field written in two cases is one field."""

from __future__ import annotations

from pathlib import Path

import pytest
from memory_events import MemoryEvents

from headwater.detect.sigma import run_rules
from headwater.detect.sigma_columns import Columns
from headwater.detect.sigma_route import Route, route
from headwater.model.kinds import EventKind as K
from headwater.model.ports import Settings

FEEDS = [
    "web.access",
    "web.error",
    "windows.iis",
    "windows.evtx",
    "cloud.waf",
    "web.modsecurity",
    "ftp.vsftpd",
    "linux.auth",
]


@pytest.mark.parametrize(
    ("source", "feeds"),
    [
        ({"category": "webserver"}, ["web.access", "windows.iis", "cloud.waf", "web.modsecurity"]),
        ({"category": "webserver", "service": "iis"}, ["windows.iis"]),
        ({"product": "apache", "service": "error"}, ["web.error"]),
        ({"product": "linux", "service": "vsftpd"}, ["ftp.vsftpd"]),
        ({"product": "zeek", "service": "http"}, []),
    ],
)
def test_where_a_log_source_leads(source: dict[str, str], feeds: list[str]) -> None:
    way = route(source)
    assert isinstance(way, Route)
    assert sorted(way.chosen(FEEDS)) == sorted(feeds)


def test_a_request_that_a_firewall_or_iis_logged_is_background_until_answered(tmp_path: Path) -> None:
    (tmp_path / "r.yml").write_text(
        "title: Traversal\nid: 11111111-1111-4111-8111-111111111111\nauthor: A\nlevel: high\n"
        "logsource: {category: webserver}\ndetection: {s: {cs-uri-query|contains: '../'}, condition: s}\n"
    )
    events = MemoryEvents()
    for feed, outcome in (("windows.iis", "success"), ("cloud.waf", "failure")):
        own = {"cs-uri-query": "f=../../x", "sc-status": 200 if outcome == "success" else 405}
        events.say(feed, f"{feed}.log", (K.WEB_REQUEST, "2026-03-02 03:04:05", {"outcome": outcome, "fields": own}))
    found, _ = run_rules(tmp_path, events, Settings())
    assert {(f.facts["reach"], f.severity.value) for f in found} == {("answered", "high"), ("requested", "low")}


def test_a_field_in_two_cases_is_one_field(tmp_path: Path) -> None:
    columns = Columns(["ts", "kind", "Workstation", "WorkStation", "Threat Name"])
    assert columns.every("workstation") == ("Workstation", "WorkStation")
    assert columns.every("ThreatName") == ("Threat Name",)
    (tmp_path / "r.yml").write_text(
        "title: W\nid: 11111111-1111-4111-8111-111111111111\nauthor: A\nlevel: high\n"
        "logsource: {product: linux, service: auth}\ndetection: {s: {WorkStation: evil}, condition: s}\n"
    )
    events = MemoryEvents()
    for name in ("workstation", "WorkStation"):
        events.say("linux.auth", "a", (K.LOG_MESSAGE, "2026-03-02 03:04:05", {"fields": {name: "evil"}}))
    (found,) = run_rules(tmp_path, events, Settings())[0]
    assert len(found.spans) == 2
