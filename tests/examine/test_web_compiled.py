# SPDX-License-Identifier: Apache-2.0
"""Compiled web shells are told apart from honest code; broken classes, archives and assemblies neither raise nor vanish."""

from __future__ import annotations

import io
import random
import struct
import zipfile
from pathlib import Path

import pytest

from headwater.examine import dotnet_names, java_class
from headwater.examine.parsers import web_compiled
from headwater.model.kinds import GapReason
from headwater.model.records import Event, File, Gap, Record

GOLDEN = Path(__file__).parents[1] / "golden" / "web_compiled"


def parsed(data: bytes, path: str = "p1!/opt/tomcat/webapps/ROOT/WEB-INF/classes/A.class") -> list[Record]:
    return list(web_compiled.parse(File.of(data, path)))


def tiles(records: list[Record], size: int) -> bool:
    """Whether the ranges, of which several events may share one, lie side by side over all bytes."""
    at = 0
    for offset, length in dict.fromkeys((r.offset, r.length) for r in records):
        if offset != at:
            return False
        at = offset + length
    return at == size


def traits(data: bytes) -> list[str]:
    return [str(r.fields["trait"]) for r in parsed(data) if isinstance(r, Event)]


def pool(*entries: bytes) -> bytes:
    return java_class.MAGIC + struct.pack(">HHH", 0, 61, len(entries) + 1) + b"".join(entries)


def text(words: str) -> bytes:
    return b"\x01" + struct.pack(">H", len(words)) + words.encode()


def test_a_command_reached_by_reflection_is_seen_by_its_texts() -> None:
    words = ["java.lang.Runtime", "javax/servlet/http/HttpServletRequest", "getHeader", "()V"]
    entries = [text(w) for w in words]
    entries += [b"\x08\x00\x01", b"\x07\x00\x02", b"\x0c\x00\x03\x00\x04", b"\x0b\x00\x06\x00\x07"]
    assert traits(pool(*entries)) == ["exec-beside-request"]
    assert traits(pool(*entries[1:4], text("Runtime"), *entries[5:])) == []


@pytest.mark.parametrize("name", ["Shell.class", "Loader.class", "shell.dll", "tools.jar"])
def test_a_cut_file_neither_raises_nor_grows(name: str) -> None:
    data = (GOLDEN / name).read_bytes()
    for cut in range(0, len(data), max(1, len(data) // 60)):
        for record in parsed(data[:cut]):
            assert 0 <= record.offset <= record.offset + record.length <= cut
        assert tiles(parsed(data[:cut]), cut)


def test_noise_behind_each_magic_is_bounded() -> None:
    dice = random.Random(3)
    for begin in (java_class.MAGIC + b"\0\0\0\x3d", b"MZ" + bytes(60) + b"BSJB", b"PK\x03\x04"):
        for _ in range(60):
            data = begin + dice.randbytes(400)
            assert tiles(parsed(data), len(data))
    whole = bytearray((GOLDEN / "shell.dll").read_bytes())
    for _ in range(200):
        whole[dice.randrange(len(whole))] = dice.randrange(256)
        held = dotnet_names.assembly(bytes(whole))
        places = () if held is None else (*held.names.values(), *held.texts.values())
        assert all(0 <= at <= at + size <= len(whole) for at, size in places)


def test_an_archive_without_its_directory_is_a_gap() -> None:
    data = (GOLDEN / "tools.jar").read_bytes()[:-30]
    (gap,) = parsed(data)
    assert isinstance(gap, Gap)
    assert (gap.reason, gap.length) == (GapReason.TRUNCATED, len(data))


def test_what_is_no_code_is_said_to_be_none() -> None:
    (gap,) = parsed(b"hello, this is no class")
    assert isinstance(gap, Gap)
    assert gap.reason is GapReason.NOT_THIS_FORMAT


def test_honest_members_of_an_archive_say_nothing() -> None:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for n in range(20):
            archive.writestr(f"a/B{n}.class", (GOLDEN / "Honest.class").read_bytes())
        archive.writestr("a/notes.txt", "Runtime.exec servlet/ getParameter")
    assert traits(held.getvalue()) == []


def test_an_applications_assembly_of_thousands_of_names_is_told_by_families_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = (GOLDEN / "shell.dll").read_bytes()
    assert traits(data) == ["exec-beside-request"]
    monkeypatch.setattr(web_compiled, "MOST_NAMES", 5)
    assert traits(data) == []


def _reflecting(extra: bytes = b"") -> bytes:
    words = ["java.lang.Runtime", "javax/servlet/http/HttpServletRequest", "getHeader", "()V"]
    entries = [*map(text, words), b"\x08\x00\x01", b"\x07\x00\x02", b"\x0c\x00\x03\x00\x04", b"\x0b\x00\x06\x00\x07"]
    return pool(*entries) + extra


def _archive(*members: tuple[str, bytes]) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in members:
            made.writestr(name, data)
    return held.getvalue()


def test_members_that_were_not_looked_at_are_gaps_and_not_called_harmless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_compiled, "MOST_CLASS", 4096)
    data = _archive(("A.class", _reflecting()), ("Big.class", _reflecting(bytes(5000))), ("C.class", _reflecting()))
    records = parsed(data, "p1!/opt/tomcat/webapps/a.war")
    assert [r.fields["member"] for r in records if isinstance(r, Event)] == ["/A.class", "/C.class"]
    (gap,) = (r for r in records if isinstance(r, Gap))
    assert gap.reason == GapReason.LIMIT
    monkeypatch.setattr(web_compiled, "MOST_UNPACKED", 150)
    late = parsed(data, "p1!/opt/tomcat/webapps/a.war")
    assert sum(isinstance(r, Gap) for r in late) == 2, "behind the bound on what is unpacked"
    assert sum(r.length for r in late) == len(data)


def test_members_over_one_another_hide_no_event() -> None:
    data = bytearray(_archive(("A.class", _reflecting()), ("B.class", _reflecting())))
    second = data.rfind(b"PK\x01\x02")
    first = data.find(b"PK\x01\x02")
    data[second + 42 : second + 46] = data[first + 42 : first + 46]
    told = [r for r in parsed(bytes(data), "p1!/opt/tomcat/webapps/a.war") if isinstance(r, Event)]
    assert len(told) == 2


def test_a_class_with_a_broken_pool_is_a_gap() -> None:
    data = _reflecting()
    cut = java_class.MAGIC + struct.pack(">HHH", 0, 61, 40) + data[10:] + b"ProcessBuilder servlet/"
    assert traits(cut) == ["exec-beside-request"], "what could be read speaks"
    broken = java_class.MAGIC + struct.pack(">HHH", 0, 61, 40) + text("servlet/") + text("Runtime") + b"\x63rest"
    (gap,) = parsed(broken)
    assert isinstance(gap, Gap)
    assert gap.length == len(broken)


def test_a_shell_in_an_archive_within_an_archive_is_told_by_its_whole_way() -> None:
    jar = (GOLDEN / "tools.jar").read_bytes()
    war = _archive(("index.html", b"<p>"), ("WEB-INF/lib/tools.jar", jar))
    for data, way in (
        (war, "/WEB-INF/lib/tools.jar!/org/x/Shell.class"),
        (_archive(("web.war", war)), "/web.war!/WEB-INF/lib/tools.jar!/org/x/Shell.class"),
    ):
        found = [r for r in parsed(data, "p1!/opt/app/deployments/a.ear") if isinstance(r, Event)]
        assert [(r.fields["trait"], r.fields["member"]) for r in found] == [("exec-beside-request", way)]
        assert tiles(parsed(data), len(data))


def test_archives_packed_too_deep_or_too_large_are_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    data = (GOLDEN / "tools.jar").read_bytes()
    for _ in range(5):
        data = _archive(("in.jar", data))
    assert [r.reason for r in parsed(data) if isinstance(r, Gap)] == [GapReason.LIMIT]
    monkeypatch.setattr(web_compiled, "MOST_UNPACKED", 1000)
    war = _archive(("WEB-INF/lib/tools.jar", (GOLDEN / "tools.jar").read_bytes()))
    assert "256 MiB" in next(r.detail for r in parsed(war) if isinstance(r, Gap))


def test_a_nested_archive_cut_anywhere_neither_raises_nor_grows() -> None:
    data = (GOLDEN / "app.war").read_bytes()
    for cut in range(0, len(data), max(1, len(data) // 60)):
        assert tiles(parsed(data[:cut]), cut)
