# SPDX-License-Identifier: Apache-2.0
"""An indicator must be found where it stands and not in what only looks like it."""

from __future__ import annotations

from memory_events import MemoryEvents

from headwater.detect.indicators import Wanted, match
from headwater.model.kinds import EventKind, TimeBasis
from headwater.model.records import Event

DAY = 1_772_000_000_000_000_000


def events() -> MemoryEvents:
    lines = [
        Event(
            0,
            90,
            EventKind.AUTH_SUCCESS,
            DAY,
            TimeBasis.UTC,
            user="root",
            src_ip="203.0.113.7",
            fields={"message": "ok"},
        ),
        Event(100, 90, EventKind.AUTH_FAILURE, DAY, TimeBasis.UTC, src_ip="198.51.100.77", fields={"message": "no"}),
        Event(
            200, 90, EventKind.LOG_MESSAGE, DAY, TimeBasis.UTC, fields={"message": "to 203.0.113.70 and 1203.0.113.7"}
        ),
        Event(300, 90, EventKind.LOG_MESSAGE, DAY, TimeBasis.UTC, fields={"message": "dropped 203.0.113.7, again"}),
        Event(
            400, 90, EventKind.LOG_MESSAGE, DAY, TimeBasis.UTC, fields={"message": "GET http://a.evil.example.com/x"}
        ),
        Event(
            500,
            90,
            EventKind.LOG_MESSAGE,
            DAY,
            TimeBasis.UTC,
            fields={"message": "notevil.example.com evil.example.com.cn"},
        ),
        Event(600, 90, EventKind.LOG_MESSAGE, DAY, TimeBasis.UTC, fields={"message": "/tmp/xmrig -o pool; xmrig2"}),
    ]
    files = [
        Event(
            0,
            10,
            EventKind.STATE_FILE,
            None,
            TimeBasis.NONE,
            file_path="/tmp/.x/kit.sh",
            hash="ab" * 32,
            fields={"md5": "cd" * 16},
        ),
        Event(
            0,
            10,
            EventKind.STATE_FILE,
            None,
            TimeBasis.NONE,
            file_path="/opt/my-kit.sh",
            hash="ef" * 32,
            fields={"md5": "00" * 16},
        ),
    ]
    held = MemoryEvents().put("linux.auth", "/var/log/auth.log", lines)
    return held.put("fs.content", "/x", files)


def wanted(kind: str, value: str) -> Wanted:
    return Wanted(kind, value, "line 1", "", "list.txt", "0" * 64)


def found(kind: str, value: str) -> set[tuple[str, int]]:
    held = list(match(events(), [wanted(kind, value)]))
    return {(c.span.path, c.span.offset) for f in held for c in f.spans}


def test_address_is_found_in_its_columns_and_in_text_and_not_in_longer_numbers() -> None:
    assert {offset for _, offset in found("address", "203.0.113.7")} == {0, 300}


def test_network_holds_its_addresses_alone() -> None:
    assert {offset for _, offset in found("network", "198.51.100.64/26")} == {100}
    assert found("network", "198.51.100.128/26") == set()


def test_domain_holds_what_is_below_it_and_no_other_name() -> None:
    assert {offset for _, offset in found("domain", "evil.example.com")} == {400}


def test_file_name_is_the_whole_name() -> None:
    assert len(found("file", "kit.sh")) == 1
    assert {offset for _, offset in found("file", "xmrig")} == {600}


def test_digests_are_found_whatever_their_case() -> None:
    assert len(found("sha256", "ab" * 32)) == 1
    assert len(found("md5", "cd" * 16)) == 1
    assert found("md5", "11" * 16) == set()


def test_finding_states_list_place_and_values_it_cites() -> None:
    (finding,) = match(events(), [wanted("address", "203.0.113.7"), wanted("address", "203.0.113.7")])
    assert finding.facts["indicator"] == "203.0.113.7"
    assert finding.facts["list_sha256"] == "0" * 64
    assert all(c.claims for c in finding.spans)
    assert {c.claims.get("src_ip") for c in finding.spans} >= {"203.0.113.7"}


def test_empty_lists_find_nothing() -> None:
    assert list(match(events(), [])) == []


def test_an_indicator_in_a_setting_whose_column_is_called_value_ends_no_run() -> None:
    held = MemoryEvents().put(
        "linux.startup", "p1!/etc/hosts",
        [Event(0, 20, EventKind.STATE_SETTING, None, TimeBasis.NONE, fields={"value": "203.0.113.7 mirror", "setting": "x"})],
    )  # fmt: skip
    told = list(match(held, [wanted("address", "203.0.113.7")]))
    assert [(f.facts["records"], [c.claims.get("value") for c in f.spans]) for f in told] == [
        (1, ["203.0.113.7 mirror"])
    ]
