# SPDX-License-Identifier: Apache-2.0
"""What a hive's keys mean is told as it stands there: every form of a cache, cut records as gaps, names never guessed."""

from __future__ import annotations

import hashlib
import struct
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "formats"))

import hive_samples as samples
from hive_writing import T0, Writer, changed, dirty, new_log, old_log, tree, write
from tiling import GOLDEN

from headwater.examine import registry
from headwater.examine.artifacts import _telling, account, shimcache, task
from headwater.examine.hive_artifacts import all_artifacts, events_of
from headwater.examine.hive_place import place_of
from headwater.examine.parsers import windows_registry, windows_registry_log
from headwater.formats.registry_hive import Hive, open_hive
from headwater.model.kinds import GapReason
from headwater.model.records import File
from headwater.procedure.companions import Companions

NS = (T0 - 116_444_736_000_000_000) * 100


def opened(data: bytes) -> Hive:
    hive = open_hive(data)
    assert hive is not None
    return hive


def rows(data: bytes, path: str, feed: str | None = None) -> list[dict[str, Any]]:
    """The rows of one feed of a hive (None: its own keys and values) without their nulls."""
    found = []
    for batch in windows_registry.batches(File.of(data, path)):
        if batch.feed == feed:
            found += [{k: v for k, v in r.items() if v is not None} for r in batch.events.iter_rows(named=True)]
    return found


@pytest.mark.parametrize("name", sorted(samples.ALL))
def test_samples_are_the_fixtures(name: str) -> None:
    assert samples.ALL[name]() == (GOLDEN / "windows_registry" / name).read_bytes()  # type: ignore[operator]


def test_every_artifact_has_an_event_in_the_samples() -> None:
    told = {
        batch.feed
        for name, make in samples.ALL.items()
        for batch in windows_registry.batches(File.of(make(), samples.PATHS[name]))  # type: ignore[operator]
    }
    assert {a.feed for a in all_artifacts()} <= told


@pytest.mark.parametrize("name", sorted(samples.ALL))
def test_every_byte_of_a_hive_is_accounted_for(name: str) -> None:
    data = samples.ALL[name]()  # type: ignore[operator]
    parsed = skipped = 0
    for batch in windows_registry.batches(File.of(data, samples.PATHS[name])):
        skipped += sum(s.size for s in batch.skipped) + sum(g.length for g in batch.gaps)
        parsed += int(batch.events["length"].sum()) if batch.feed is None else 0
    assert parsed + skipped == len(data)


def _path(text: str) -> bytes:
    return text.encode("utf-16-le")


def xp(path: str) -> bytes:
    entry = _path(path).ljust(528, b"\0") + struct.pack("<QQQ", T0, 100, T0)
    return struct.pack("<II", 0xDEADBEEF, 1).ljust(400, b"\0") + entry


def table(path: str, magic: int, wide: bool) -> bytes:
    """Windows 2003 to 7 in 32 and 64 bits."""
    first = 128 if magic == 0xBADC0FEE else 8
    size = (48 if wide else 32) if first == 128 else (32 if wide else 24)
    where, length = first + size, len(_path(path))
    head = struct.pack("<HHIQ" if wide else "<HHI", length, length + 2, *((0, where) if wide else (where,)))
    entry = (head + struct.pack("<QI", T0, 2)).ljust(size, b"\0")
    return struct.pack("<II", magic, 1).ljust(first, b"\0") + entry + _path(path)


def eight(path: str, magic: bytes) -> bytes:
    package = struct.pack("<H", 0) if magic == b"10ts" else b""
    body = struct.pack("<H", len(_path(path))) + _path(path) + package + struct.pack("<IIQI", 2, 0, T0, 0)
    return bytes(128) + struct.pack("<4sII", magic, 0, len(body)) + body


PROGRAM = "C:\\Users\\Public\\a.exe"


@pytest.mark.parametrize(
    ("data", "ran"),
    [
        (xp(PROGRAM), None),
        (table(PROGRAM, 0xBADC0FFE, False), None),
        (table(PROGRAM, 0xBADC0FFE, True), None),
        (table(PROGRAM, 0xBADC0FEE, False), True),
        (table(PROGRAM, 0xBADC0FEE, True), True),
        (eight(PROGRAM, b"00ts"), True),
        (eight(PROGRAM, b"10ts"), True),
        (samples.shimcache((PROGRAM, T0)), None),
    ],
    ids=["xp", "2003", "2003-64", "7", "7-64", "8", "8.1", "10"],
)
def test_every_form_of_the_compatibility_cache_is_read(data: bytes, ran: bool | None) -> None:
    ((_, _, path, time, found),) = shimcache.entries(data)
    assert (path, time, found) == (PROGRAM, NS, ran)


def test_a_cut_compatibility_cache_gives_what_is_whole() -> None:
    data = samples.shimcache((PROGRAM, T0), ("C:\\b.exe", T0))
    assert len(list(shimcache.entries(data[:-20]))) == 1
    assert list(shimcache.entries(b"\x34\0\0\0" + bytes(60))) == []


def test_an_unknown_cache_is_a_gap() -> None:
    keys = {
        "Select": {"Current": 1},
        "ControlSet001\\Control\\Session Manager\\AppCompatCache": {"AppCompatCache": bytes(range(200))},
    }
    batches = list(windows_registry.batches(File.of(write(tree(keys), "SYSTEM"), "/config/SYSTEM")))
    assert [g.reason for b in batches for g in b.gaps] == [GapReason.UNSUPPORTED]


def test_an_account_with_a_cut_record_is_a_gap_and_not_an_empty_account() -> None:
    users = "SAM\\Domains\\Account\\Users"
    keys = {
        f"{users}\\000003E9": {"F": bytes(20), "V": samples.account_v("x")},
        f"{users}\\000003EA": {"F": samples.account_f(1002, 0x10), "V": bytes(10)},
    }
    hive = opened(write(tree(keys), "\\SystemRoot\\System32\\Config\\SAM"))
    (found,) = [a for a in all_artifacts() if a.read is account.read]
    events, gaps = events_of(found, hive, place_of(hive, "/config/SAM"))
    assert events == []
    assert len(gaps) == 2


def test_a_lying_length_in_an_account_does_not_reach_beyond_it() -> None:
    variable = bytearray(samples.account_v("x"))
    struct.pack_into("<II", variable, 0x0C, 0xFFFF_FFF0, 0xFFFF_FFFF)
    keys = {"SAM\\Domains\\Account\\Users\\000003E9": {"F": samples.account_f(1001, 0x10), "V": bytes(variable)}}
    (row, *_) = rows(write(tree(keys), "\\SystemRoot\\System32\\Config\\SAM"), "/config/SAM", "windows.account")
    assert "user" not in row


def test_the_actions_of_a_task_are_read_and_noise_ends_them() -> None:
    data = samples.actions("cmd.exe", "/c whoami", "LocalSystem")
    (found,), context = task.actions_of(data)
    assert (found.command, found.arguments, context) == ("cmd.exe", "/c whoami", "LocalSystem")
    assert task.actions_of(data[:9])[0] == []
    assert task.actions_of(b"\x03\0" + b"\xff" * 400)[0] == []
    assert task.actions_of(b"") == ([], None)


def test_a_wall_clock_and_its_impossible_values() -> None:
    assert _telling.systemtime(struct.pack("<8H", 2024, 2, 4, 29, 1, 2, 3, 4)) == 1_709_168_523_004_000_000
    assert _telling.systemtime(struct.pack("<8H", 1970, 1, 4, 1, 0, 0, 0, 0)) == 0
    for wrong in ((2023, 2, 0, 29, 0, 0, 0, 0), (2024, 13, 0, 1, 0, 0, 0, 0), (0,) * 8, (2024, 1, 0, 1, 24, 0, 0, 0)):
        assert _telling.systemtime(struct.pack("<8H", *wrong)) is None
    assert _telling.systemtime(bytes(15)) is None


def test_times_that_were_never_set_are_none() -> None:
    assert _telling.filetime(bytes(8)) is None
    assert _telling.filetime(b"\xff" * 7 + b"\x7f") is None
    assert _telling.filetime(b"\1\2") is None
    assert _telling.filetime(struct.pack("<Q", T0)) == NS


def test_a_key_written_at_an_impossible_time_has_none() -> None:
    for time in (0, 1, 1 << 63, (1 << 64) - 1):
        found = rows(write(tree({"K": {}}, {"K": time}), "x"), "/x")
        (row,) = [r for r in found if r.get("key", "").endswith("\\K")]
        assert "t_recorded" not in row
        assert row["t_basis"] == "none"


@pytest.mark.parametrize(
    ("path", "name", "kind", "mount", "user"),
    [
        ("p2!/Users/张三/NTUSER.DAT", "\\??\\C:\\Users\\x\\ntuser.dat", "user", "HKCU", "张三"),
        ("/a/NTUSER.DAT", "nts and Settings\\joe\\ntuser.dat", "user", "HKCU", "joe"),
        ("/Windows/System32/config/DEFAULT", "temRoot\\System32\\Config\\DEFAULT", "user", "HKU\\.DEFAULT", None),
    ],
)
def test_whose_hive_it_is(path: str, name: str, kind: str, mount: str, user: str | None) -> None:
    hive = opened(write(tree({"Software\\A": {}, "Control Panel": {}}), name))
    place = place_of(hive, path)
    assert (place.kind, place.mount, place.user) == (kind, mount, user)


def test_a_text_ends_at_its_nul_and_what_is_behind_is_told() -> None:
    hidden = "cmd.exe\0".encode("utf-16-le") + b"payload!"
    (row,) = [r for r in rows(write(tree({"K": {"v": (1, hidden)}}), "x"), "/x") if r.get("value") == "v"]
    assert row["data"] == "cmd.exe"
    assert row["claim"] == "8 bytes behind the end of its text"


def test_long_data_is_cut_and_says_so() -> None:
    keys = {"K": {"big": bytes(5000), "text": "x" * 50_000, "small": bytes(10)}}
    found = {r["value"]: r for r in rows(write(tree(keys), "x"), "/x") if "value" in r}
    assert found["big"]["data_cut"]
    assert len(found["big"]["data"]) == 512
    assert found["text"]["data_cut"]
    assert "data_cut" not in found["small"]
    assert found["big"]["data_size"] == 5000


def test_a_dirty_hive_says_that_its_logs_are_not_in_it() -> None:
    batches = list(windows_registry.batches(File.of(dirty(samples.system(), 9), "/config/SYSTEM")))
    assert [g.reason for b in batches for g in b.gaps] == [GapReason.NOT_REPLAYED]


OLD, NEW = samples.system(False), samples.system(True)
HIVE, LOG = "/Windows/System32/config/SYSTEM", "/Windows/System32/config/SYSTEM.LOG1"


def logged(log: bytes, hive: bytes | None, path: str = LOG, **others: bytes) -> list[dict[str, Any]]:
    """The rows of a log beside its hive and other logs (LOG2=…), each with its feed."""
    beside = {HIVE: File.of(hive)} if hive is not None else {}
    beside |= {f"{HIVE}.{name}": File.of(data) for name, data in others.items()}
    file = File(path, len(log), lambda at, n: log[at : at + n], beside=beside)
    found = []
    for batch in windows_registry_log.batches(file):
        feed = batch.feed or windows_registry_log.FEED
        found += [
            {k: v for k, v in r.items() if v is not None} | {"feed": feed} for r in batch.events.iter_rows(named=True)
        ]
    return found


def test_what_a_log_changes_stands_where_its_bytes_stand() -> None:
    log = new_log(7, [(len(NEW) - 4096, changed(OLD, NEW))])
    found = logged(log, dirty(OLD, 7))
    (row,) = [r for r in found if r["feed"] == "windows.registry" and r.get("value") == "UseLogonCredential"]
    assert (row["data"], row["before"], row["state"]) == ("1", "REG_DWORD: 0", "replayed")
    assert log[row["offset"] : row["offset"] + 6] == struct.pack("<i2s", -row["length"], b"vk")
    (row,) = [r for r in found if r["feed"] == "windows.service" and r["unit"] == "WinUpdateSvc"]
    assert row["command_line"] == "C:\\Users\\Public\\upd.exe -s"
    assert log[row["offset"] + 4 : row["offset"] + 6] == b"nk"
    assert not [r for r in found if r["feed"] == "windows.service" and r["unit"] == "Spooler"]


def test_what_is_gone_once_replayed_is_told() -> None:
    log = new_log(7, [(len(OLD) - 4096, changed(NEW, OLD.ljust(len(NEW), b"\0")))])
    gone = [r for r in logged(log, dirty(NEW, 7)) if r.get("state") == "gone-once-replayed"]
    assert any(r["key"].endswith("\\WinUpdateSvc") for r in gone)
    assert {r["offset"] for r in gone} == {512}


def test_two_logs_tell_each_its_own_changes() -> None:
    pages, size = changed(OLD, NEW), len(NEW) - 4096
    first, second = new_log(7, [(size, pages[:1])]), new_log(8, [(size, pages[1:])])
    one = logged(first, dirty(OLD, 7), LOG2=second)
    two = logged(second, dirty(OLD, 7), HIVE + ".LOG2", LOG1=first)
    mine = {(r["key"], r["value"]) for r in one if r.get("state") == "replayed" and "value" in r}
    theirs = {(r["key"], r["value"]) for r in two if r.get("state") == "replayed" and "value" in r}
    whole = logged(new_log(7, [(size, pages)]), dirty(OLD, 7))
    assert mine | theirs >= {
        (r["key"], r["value"])
        for r in whole
        if r.get("state") == "replayed" and r["feed"] == "windows.registry" and "value" in r
    }
    assert [r["applied"] for r in (*one, *two) if r["kind"] == "registry.log"] == ["applied", "applied"]


@pytest.mark.parametrize(
    ("hive", "said"),
    [
        (None, "no hive beside it"),
        (OLD, "its hive is whole and needs no log"),
        (dirty(OLD, 100), "its hive is dirty, but this does not continue it"),
        (b"no hive at all", "its hive is no hive"),
    ],
)
def test_a_log_that_is_not_applied_says_why(hive: bytes | None, said: str) -> None:
    for log in (new_log(7, [(len(NEW) - 4096, changed(OLD, NEW))]), old_log(len(NEW) - 4096, changed(OLD, NEW))):
        if said.startswith("its hive is dirty") and log[512:516] == b"DIRT":
            continue  # an old log is chosen by its time, not by its number
        (row,) = [r for r in logged(log, hive) if r["kind"] == "registry.log"]
        assert row["applied"] == said


def test_a_log_is_handed_its_hive_whatever_the_case_of_its_name() -> None:
    names = (
        "p2!/Windows/System32/config/system",
        "p2!/Windows/System32/config/SYSTEM.LOG1",
        "p2!/Windows/System32/config/SYSTEM.LOG2",
        "p3!/Windows/System32/config/SYSTEM",
    )
    candidates = [
        {"view": n[:2], "key": str(i), "path": n, "size": 1, "mtime": None, "sniff": False} for i, n in enumerate(names)
    ]
    companions = Companions(candidates)
    assert [t["key"] for t in companions.of(candidates[1])["beside"]] == ["0", "2"]
    assert companions.of(candidates[0]) == {}


@pytest.mark.parametrize(
    "path",
    [
        "/Windows/System32/config/SYSTEM",
        "/WINDOWS/system32/config/software",
        "/Users/a/NTUSER.DAT",
        "/Users/a/AppData/Local/Microsoft/Windows/UsrClass.dat",
        "/Windows/AppCompat/Programs/Amcache.hve",
        "/Windows/System32/config/RegBack/SAM",
        "/Windows/System32/config/SYSTEM.LOG1",
        "/Users/a/ntuser.dat.LOG2",
    ],
)
def test_hives_and_logs_are_found_by_their_paths(path: str) -> None:
    assert [p.name for p in registry.by_path(path)] == [
        "windows.registry_log" if ".LOG" in path else "windows.registry"
    ]


def test_a_loose_hive_is_found_by_its_beginning() -> None:
    found = registry.by_content(OLD[:4096])
    assert found is not None
    assert found.name == "windows.registry"
    log = new_log(7, [(len(NEW) - 4096, changed(OLD, NEW))])
    found = registry.by_content(log[:4096])
    assert found is not None
    assert found.name == "windows.registry_log"


def test_the_same_hive_gives_the_same_rows() -> None:
    first, second = (hashlib.sha256(repr(rows(NEW, HIVE)).encode()).hexdigest() for _ in range(2))
    assert first == second


def test_places_of_rows_and_of_what_they_mean_never_clash() -> None:
    seen: set[tuple[int, int]] = set()
    for batch in windows_registry.batches(File.of(NEW, HIVE)):
        for place in zip(batch.events["offset"].to_list(), batch.events["ordinal"].to_list(), strict=True):
            assert place not in seen
            seen.add(place)


def test_an_empty_hive_says_nothing_and_loses_nothing() -> None:
    writer = Writer()
    data = writer.hive(writer.key("ROOT", tree({}), 0xFFFF_FFFF, 0x0C))
    (row,) = rows(data, "/x")
    assert row["key"] == "ROOT"
