# SPDX-License-Identifier: Apache-2.0
"""A Windows system's own zone and name are read from its hives, and nothing is made up where they do not say."""

from __future__ import annotations

import random
import sys
import zoneinfo
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "formats"))

import hive_samples as samples
from hive_writing import tree, write

from headwater.case.settings import CaseSettings
from headwater.examine.windows_facts import SOFTWARE, SYSTEM, ZONES, facts
from headwater.procedure.corridor import zone_for

ZONE = "ControlSet001\\Control\\TimeZoneInformation"


def said(data: bytes, path: str = SYSTEM) -> dict[str, str]:
    return facts(path, lambda at, n: data[at : at + n])


def test_the_zone_and_name_of_the_host_are_found() -> None:
    assert said(samples.system()) == {
        "hostname": "srv-finance01", "windows_zone": "China Standard Time", "timezone": "Asia/Shanghai",
    }  # fmt: skip
    assert said(samples.software(), SOFTWARE) == {"os_release": "Windows Server 2019 Standard"}


def test_every_zone_of_windows_is_one_that_is_known_here() -> None:
    assert set(ZONES.values()) <= zoneinfo.available_timezones()
    assert len(ZONES) == 139


def test_a_zone_that_is_not_known_is_told_and_not_guessed() -> None:
    data = write(tree({"Select": {"Current": 1}, ZONE: {"TimeZoneKeyName": "Atlantis Standard Time"}}), "SYSTEM")
    assert said(data) == {"windows_zone": "Atlantis Standard Time"}


@pytest.mark.parametrize("current", [2, 0xFFFF_FFFF])
def test_the_control_set_in_use_counts(current: int) -> None:
    data = write(tree({"Select": {"Current": current}, ZONE: {"TimeZoneKeyName": "Tokyo Standard Time"}}), "SYSTEM")
    assert said(data) == {}


def test_wall_clocks_of_the_host_are_read_in_the_zone_of_its_registry() -> None:
    zone, where = zone_for(CaseSettings(), 1, {"p2": said(samples.system())})
    assert (zone, where) == ("Asia/Shanghai", "p2!/Windows/System32/config/SYSTEM")


def test_a_hive_in_many_lists_is_looked_up_as_well() -> None:
    keys = {f"ControlSet001\\Services\\s{n:04d}": {} for n in range(900)}
    keys["ControlSet001\\Services\\Tcpip\\Parameters"] = {"Hostname": "many"}
    data = write(tree(keys | {"Select": {"Current": 1}}), "SYSTEM", split=50)
    assert said(data) == {"hostname": "many"}


def test_spoilt_hives_never_raise() -> None:
    chance, data = random.Random(3), samples.system()
    for _ in range(100):
        bent = bytearray(data[: chance.randrange(len(data))] if chance.random() < 0.3 else data)
        for _ in range(30):
            if bent:
                bent[chance.randrange(len(bent))] = chance.randrange(256)
        said(bytes(bent))
    assert said(b"") == {}
