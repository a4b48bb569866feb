# SPDX-License-Identifier: Apache-2.0
"""What a library of ours hides from ps, ss, netstat and ls is found by the real collector; an ordinary system hides nothing."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import live_system
import pytest

from headwater.detect import registry
from headwater.detect.detectors import (
    hidden_file,
    hidden_library,
    hidden_listener,
    hidden_module,
    hidden_port,
    hidden_process,
    hidden_program,
)
from headwater.formats.collection import CollectionTree
from headwater.formats.collection_records import Records
from headwater.formats.sources import MemorySource
from headwater.model.kinds import Confidence, Severity
from headwater.model.nouns import Finding
from headwater.model.ports import Settings

CROSS = (hidden_process, hidden_port, hidden_module, hidden_file)
ALL = (*CROSS, hidden_program, hidden_library, hidden_listener)


def found(stream: bytes, *modules: object) -> list[Finding]:
    events = live_system.events_of(stream)
    return [f for m in modules for f in registry.run(m, events, Settings())]  # type: ignore[arg-type]


def by_rule(findings: list[Finding]) -> Iterator[tuple[str, Severity, Confidence]]:
    return ((f.rule.id, f.severity, f.confidence) for f in findings)


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The same system collected as it is, with replaced tools, with a library in every program, and with odd programs."""
    tops = {name: tmp_path_factory.mktemp(name) for name in ("plain", "tools", "library", "programs")}
    hooks = {"tools": live_system.in_tools(tops["tools"]), "library": live_system.everywhere(tops["library"])}

    def collect(name: str) -> bytes:
        extra = live_system.EXTRA if name == "programs" else ""
        return live_system.collect(tops[name], hooks.get(name, ""), extra)

    with ThreadPoolExecutor(len(tops)) as together:
        return dict(zip(tops, together.map(collect, tops), strict=True))


def test_an_ordinary_system_hides_nothing(streams: dict[str, bytes]) -> None:
    # the interpreter that runs the tests may lie in a hidden folder of some home
    assert not [
        f for f in found(streams["plain"], *ALL) if "/bin/python" not in f.text.en and "lib-dynload" not in f.text.en
    ]


def test_replaced_tools_are_found_out_by_the_kernel(streams: dict[str, bytes]) -> None:
    process, port, file = found(streams["tools"], *CROSS)
    high = (Severity.HIGH, Confidence.HIGH)
    assert list(by_rule([process, port, file])) == [
        ("hidden-process", *high),
        ("hidden-port", *high),
        ("hidden-file", *high),
    ]
    assert live_system.MARK in process.text.zh
    assert process.facts["reason"] == "proved"
    assert {c.span.path for c in process.spans} >= {"/@command/ps-ef.stdout", "/@raw/pids.txt"}
    assert port.facts["port"] == live_system.PORT
    assert str(port.facts["pids"]) == str(process.facts["pid"])
    assert str(file.facts["path"]).endswith(f"/{live_system.MARK}.txt")


def test_a_library_in_every_program_is_found_past_the_c_library(streams: dict[str, bytes]) -> None:
    findings = found(streams["library"], *CROSS)
    assert [f.rule.id for f in findings] == ["hidden-process", "hidden-port", "hidden-file"]
    assert findings[0].facts["reason"] == "library"
    preloaded = [f for f in found(streams["library"], hidden_library) if f.facts["reason"] in ("preload", "mapped")]
    assert {f.facts["reason"] for f in preloaded} == {"preload", "mapped"}
    assert all("hide.so" in f.text.en for f in preloaded)


def test_programs_without_a_file_and_preloaded_ones_are_told(streams: dict[str, bytes], tmp_path: Path) -> None:
    if not tmp_path.as_posix().startswith(("/tmp/", "/var/tmp/")):
        pytest.skip("the folder for tests is not a temporary one of the system")
    findings = found(streams["programs"], *ALL)
    reasons = {str(f.facts["reason"]): f for f in findings}
    assert {"deleted-odd", "memory", "environment"} <= reasons.keys()
    assert all(reasons[r].severity == Severity.HIGH for r in ("deleted-odd", "memory", "environment"))
    assert not [f for f in findings if f.rule.id in {m.RULE.id for m in CROSS}]


def test_line_that_was_cut_hides_nothing(streams: dict[str, bytes]) -> None:
    whole = streams["plain"]
    members = [m for m in CollectionTree(MemorySource(whole)).members() if m.size]
    ends = {str(m.said.get("artifact")): m.end for m in members}  # within the last of each artifact
    ends |= {f"raw {m.path!r}": m.end for m in members if m.path.startswith(b"/@raw/")}
    for place, end in ends.items():
        told = found(whole[: end - 7], *CROSS)
        assert not told, (place, told[0].text.en)


def _halved(stream: bytes, status: bytes) -> bytes:
    """The same stream, of each command the first half of its lines, with this status."""
    first = stream[: stream.index(b"\n") + 1]
    out, command = bytearray(first), False
    for record in Records(MemorySource(stream)).walk():
        begin = stream.index(b"\n", record.offset) + 1
        head, data = stream[begin : record.data], stream[record.data : record.end]
        command = record.fields.get("kind") == "command" if record.kind == "B" else command
        if command and record.kind == "D":
            data = data[: data.rfind(b"\n", 0, len(data) // 2) + 1]
        elif command and record.kind == "E":
            head = head.replace(b"status=success", b"status=" + status)
        out += b"%s %s %d %d\n" % (first.split()[1], record.kind.encode(), len(head), len(data)) + head + data
    return bytes(out)


def test_tool_that_did_not_come_to_its_end_hides_nothing(streams: dict[str, bytes]) -> None:
    """A slow server: ps, ss and ls printed a part and were ended, and the kernel's own views are whole."""
    assert found(_halved(streams["plain"], b"success"), *CROSS)  # a tool that says that this is all hides something
    for status in (b"timeout", b"cut"):
        assert not found(_halved(streams["plain"], status), *CROSS)
