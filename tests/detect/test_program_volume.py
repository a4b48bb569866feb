# SPDX-License-Identifier: Apache-2.0
"""A program that sent a server's data away is told by Windows' own figures; servers, downloads and small traffic are not."""

from __future__ import annotations

from memory_events import MemoryEvents

from headwater.detect import registry
from headwater.detect.detectors import program_volume
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import Severity
from headwater.model.nouns import Finding
from headwater.model.ports import Settings

MIB = 1 << 20
PATH = "/Windows/System32/sru/SRUDB.dat"


class Server(MemoryEvents):
    """What SRUM counted."""

    def sent(
        self,
        process: str,
        path: str | None,
        sent: object,
        received: object,
        hours: int = 1,
        trace: str = "srum network data",
    ) -> Server:
        own = {"BytesSent": sent, "BytesRecvd": received, "trace": trace, "interface_type": "ethernet"}
        row = {"process": process, "file_path": path, "user": "S-1-5-21-1-2-3-500", "fields": own}
        self.say(
            "windows.srum", PATH, *[(K.NETWORK_USAGE, f"2026-03-02 {n % 24:02d}:00:00", row) for n in range(hours)]
        )
        return self

    def found(self) -> list[Finding]:
        return list(registry.run(program_volume, self, Settings()))


def test_a_tool_from_a_users_folder_that_sent_gigabytes_is_high() -> None:
    path = "\\Device\\HarddiskVolume2\\Users\\Public\\rclone.exe"
    (found,) = Server().sent("rclone.exe", path, 4096 * MIB, 10 * MIB, 10).found()
    assert (found.severity, found.user) == (Severity.HIGH, "S-1-5-21-1-2-3-500")
    assert (found.facts["bytes_sent"], found.facts["records"]) == (40960 * MIB, 10)
    assert "40.0 GiB" in found.text.zh
    assert "40.0 GiB" in found.text.en
    assert {c.claims["BytesSent"] for c in found.spans} == {4096 * MIB}


def test_a_tool_without_a_path_and_a_place_alone_are_medium() -> None:
    (found,) = Server().sent("winscp.exe", None, 200 * MIB, MIB).found()
    assert found.severity is Severity.MEDIUM
    (found,) = Server().sent("a.exe", "\\Device\\HarddiskVolume2\\Windows\\Temp\\a.exe", 200 * MIB, MIB).found()
    assert found.severity is Severity.MEDIUM


def test_an_unknown_program_is_low_and_needs_a_gigabyte() -> None:
    path = "\\Device\\HarddiskVolume2\\Program Files\\X\\x.exe"
    assert not Server().sent("x.exe", path, 900 * MIB, MIB).found()
    (found,) = Server().sent("x.exe", path, 900 * MIB, MIB, 3).found()
    assert found.severity is Severity.LOW


def test_ordinary_servers_give_nothing() -> None:
    assert not Server().found()
    server = Server().sent("w3wp.exe", None, 90_000 * MIB, 900 * MIB, 24).sent("System", None, 90_000 * MIB, MIB, 24)
    server.sent("svchost.exe", None, 90_000 * MIB, MIB).sent("curl.exe", None, 90 * MIB, MIB)
    server.sent("chrome.exe", "\\Device\\HarddiskVolume2\\Program Files\\Google\\chrome.exe", 2000 * MIB, 50_000 * MIB)
    server.sent("wget.exe", None, 500 * MIB, 9000 * MIB)  # it fetched
    server.sent("rclone.exe", None, 5000 * MIB, 1, trace="srum network of the host")
    server.sent("rclone.exe", None, None, None).sent("rclone.exe", None, -5, 7)
    assert not server.found()


def test_two_users_of_one_program_are_two_findings() -> None:
    server = Server().sent("rclone.exe", None, 300 * MIB, 1)
    own = {"BytesSent": 500 * MIB, "BytesRecvd": 1, "trace": "srum network data"}
    server.say(
        "windows.srum", PATH, (K.NETWORK_USAGE, None, {"process": "rclone.exe", "user": "S-1-5-18", "fields": own})
    )
    assert [(f.user, f.facts["bytes_sent"]) for f in server.found()] == [
        ("S-1-5-18", 500 * MIB),
        ("S-1-5-21-1-2-3-500", 300 * MIB),
    ]


def test_a_sum_over_more_hours_than_are_cited_says_what_the_cited_ones_prove() -> None:
    path = "\\Device\\HarddiskVolume2\\Users\\Public\\rclone.exe"
    (found,) = Server().sent("rclone.exe", path, 100 * MIB, 1, 70).found()
    assert found.facts["bytes_sent"] == 7000 * MIB
    assert len(found.spans) == 50
    assert sum(int(str(c.claims["BytesSent"])) for c in found.spans) == 5000 * MIB
    assert "所引最大的 50 条合计发出 4.9 GiB" in found.text.zh
    assert "4.9 GiB together" in found.text.en
