# SPDX-License-Identifier: Apache-2.0
"""The clock against a reference: a wrong sign, a forged answer or a guessed precision would move every time of a case."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from headwater.acquire.clock_reference import ClockReading, by_person, by_sntp, from_round_trip, judge
from headwater.acquire.system_files import NotRecorded
from headwater.model.errors import UsageError

NS = 1_000_000_000
NOW = 1_763_784_000 * NS


def _stamp(ns: int) -> tuple[int, int]:
    seconds, rest = divmod(ns, NS)
    return (seconds + 2_208_988_800) & 0xFFFFFFFF, (rest << 32) // NS


def _answer(received: int, sent: int, *, origin: bytes = bytes(8), head: int = 4 << 3 | 4, stratum: int = 2) -> bytes:
    first = struct.pack(">BBbbII4s", head, stratum, 0, -20, 0x0100, 0x0200, b"RATE" if not stratum else b"\x7f\0\0\1")
    return first + struct.pack(">2I", *_stamp(received)) + origin + struct.pack(">4I", *_stamp(received), *_stamp(sent))


@contextmanager
def _server(reply: Callable[[bytes], list[bytes]]) -> Iterator[str]:
    """A tiny time server on loopback that answers one question."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.bind(("127.0.0.1", 0))
        link.settimeout(5)

        def serve() -> None:
            try:
                question, who = link.recvfrom(1024)
            except TimeoutError:
                return
            for data in reply(question):
                link.sendto(data, who)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{link.getsockname()[1]}"
        thread.join()


def test_server_behind_us_means_that_we_are_ahead() -> None:
    import time

    def reply(question: bytes) -> list[bytes]:
        assert (len(question), question[0], question[1:40]) == (48, 0x23, bytes(39))
        now = time.time_ns() - 90 * NS
        return [_answer(now, now, origin=question[40:48])]

    with _server(reply) as name:
        found = by_sntp(name)
    assert isinstance(found, ClockReading)
    assert abs(found.ahead_ns - 90 * NS) <= found.uncertainty_ns
    assert 0 < found.uncertainty_ns < 5 * NS
    assert found.reference == name
    assert found.plain()["ahead_ns"] == str(found.ahead_ns)


def test_answer_to_another_question_is_not_believed() -> None:
    def reply(question: bytes) -> list[bytes]:
        return [_answer(NOW, NOW, origin=b"guessed!"), b"short", question[:20]]

    with _server(reply) as name:
        found = by_sntp(name, seconds=0.3)
    assert isinstance(found, NotRecorded)
    assert "no fitting answer" in found.reason


def test_silent_or_absent_server_is_not_recorded() -> None:
    with _server(lambda q: []) as name:
        assert isinstance(by_sntp(name, seconds=0.2), NotRecorded)
    assert isinstance(by_sntp("127.0.0.1:9", seconds=0.5), NotRecorded)
    assert isinstance(by_sntp("no-such-host.invalid", seconds=0.5), NotRecorded)


def test_four_times_give_offset_delay_and_bounds() -> None:
    found = judge(_answer(NOW + 2 * NS, NOW + 2 * NS + 1000), "x", NOW, NOW + 20_001_000)
    assert isinstance(found, ClockReading)
    assert found.ahead_ns == pytest.approx(-2 * NS + 10_000_000, abs=10)
    assert found.uncertainty_ns == pytest.approx(10_000_000 + 7_812_500 + 1_953_125 + 953, abs=10)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (_answer(NOW, NOW, stratum=0), "declines: RATE"),
        (_answer(NOW, NOW, stratum=16), "not set"),
        (_answer(NOW, NOW, head=0xE4), "not set"),
        (_answer(NOW, NOW, head=4 << 3 | 3), "not a server's answer"),
        (_answer(NOW + 5, NOW), "without a usable time"),
        (_answer(NOW, NOW + 3600 * NS), "worked longer"),
        (_answer(NOW, NOW)[:40] + bytes(8), "without a usable time"),
    ],
)
def test_answer_that_cannot_be_right_is_said(answer: bytes, why: str) -> None:
    found = judge(answer, "x", NOW, NOW + NS)
    assert isinstance(found, NotRecorded)
    assert why in found.reason


def test_era_after_2036_is_not_taken_for_1900() -> None:
    later = (4_294_967_296 - 2_208_988_800 + 1000) * NS
    found = judge(_answer(later, later), "x", later, later + 1000)
    assert isinstance(found, ClockReading)
    assert abs(found.ahead_ns) < NS


@pytest.mark.parametrize("name", ["a b", "host:0", "host:99999", "-\n", "[::1", "h/x"])
def test_server_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="HW2062"):
        by_sntp(name)


def test_person_states_both_clocks() -> None:
    found = by_person("2026-11-22T12:00:05+08:00@2026-11-22T04:00:07.5Z 国家授时中心")
    assert found.ahead_ns == 2_500_000_000
    assert found.uncertainty_ns == NS + NS // 10 + NS // 2
    assert (found.reference, found.method, found.at) == ("国家授时中心", "person", "2026-11-22T04:00:07.500000000Z")
    assert by_person("2026-11-22T12:00+08:00@2026-11-22T04:00:00Z").uncertainty_ns == 61 * NS + NS // 2


@pytest.mark.parametrize(
    "text", ["", "12:00", "2026-11-22T12:00:05@2026-11-22T04:00:07Z", "2026-11-22T12:00:05Z", "x@y", "2026-11-22@noon"]
)
def test_time_without_its_offset_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="HW2062"):
        by_person(text)


def test_servers_clock_is_bounded_by_the_round_trip() -> None:
    found = from_round_trip(b"1763784010.250000000\n", "web01", NOW, NOW + 500_000_000)
    assert isinstance(found, ClockReading)
    assert (found.ahead_ns, found.uncertainty_ns, found.clock) == (10 * NS, 250_000_000, "web01")


@pytest.mark.parametrize("printed", [b"1763784010.N\n", b"1763784010.%N\n", b"1763784010\n", b"1763784010.\n"])
def test_clock_that_tells_whole_seconds_is_less_sure(printed: bytes) -> None:
    found = from_round_trip(printed, "web01", NOW, NOW)
    assert isinstance(found, ClockReading)
    assert (found.ahead_ns, found.uncertainty_ns) == (10 * NS + NS // 2, NS // 2)


@pytest.mark.parametrize("printed", [b"", b"\x1b[2J", b"date: not found", b"9" * 40])
def test_clock_that_cannot_be_read_is_not_recorded(printed: bytes) -> None:
    found = from_round_trip(printed, "web01", NOW, NOW)
    assert isinstance(found, NotRecorded)
    assert "\x1b" not in found.reason
