# SPDX-License-Identifier: Apache-2.0
"""A collection whose line was cut is gone on with: nothing is missing, little comes twice, and both say that they belong together."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "acquire"))

from collected_ground import entries, files, ground, manifest, order, url
from collecting_here import content, listed, tree_of
from loopback_sshd import Server, sshd_or_skip

from headwater.acquire.collector_wire import MARK, Marks, mark
from headwater.model.errors import IntegrityError, UsageError
from headwater.model.paths import encode_name
from headwater.procedure import collecting_again
from headwater.procedure.collecting import Collected, collect

PROFILE = "uname-a,Ground,id"  # one before what is cut, one behind it


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("sshd"), sshd_or_skip())
    made.make()
    made.start()
    yield made
    made.stop()


def _many(top: Path) -> None:
    for number in range(40):
        (top / f"log/old-{number:02d}").write_bytes(b"%d" % number * 100)


@pytest.fixture(scope="module")
def cut(server: Server, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Collected]:
    """A ground whose collection was cut within its largest file."""
    top = ground(tmp_path_factory.mktemp("cut"))
    _many(top)
    (top / "log/large").write_bytes(os.urandom(24 << 20))
    cuts: list[int] = []

    def progress(stage: str, done: int, total: int | None, unit: str) -> None:
        if stage == "collect" and not cuts and done > 4 << 20:
            cuts.append(server.cut())

    first = collect(order(url(server), top, server, profile=PROFILE), progress)
    assert cuts
    assert not first.whole
    return top, first


def _there(top: Path) -> dict[str, str]:
    """What the folders hold, by path."""
    plain = [p for p in top.rglob("*") if p.is_file() and not p.is_symlink()]
    return {encode_name(bytes(p)): hashlib.sha256(p.read_bytes()).hexdigest() for p in plain}


def _content(done: Collected) -> dict[str, str]:
    return {p: row[2] for p, row in files(done).items() if row[0] == "file"}


def test_another_machine_is_not_gone_on_with_nor_a_stream_that_was_altered(
    server: Server, cut: tuple[Path, Collected], monkeypatch: pytest.MonkeyPatch
) -> None:
    top, first = cut
    path = Path(first.evidence.source_path)
    data = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(data[:-1] + b"?")
    with pytest.raises(IntegrityError, match="HW3003"):
        collect(replace(order(url(server), top, server), resume=0))
    path.write_bytes(data)
    known = {"boot_id": ("a", "b"), "ssh_host_key": ("SHA256:c", "SHA256:d")}
    monkeypatch.setattr(collecting_again, "_known", lambda then, visit: known)
    with pytest.raises(UsageError, match="HW2105"):
        collect(replace(order(url(server), top, server), resume=0))


def test_second_collection_takes_what_is_missing_and_names_the_first(
    server: Server, cut: tuple[Path, Collected]
) -> None:
    top, first = cut
    held = {r["path"] for r in manifest(first)[1:] if r["status"] in ("success", "empty") and r["kind"] == "file"}
    assert held
    (top / "log/old-07").write_bytes(b"written to meanwhile")
    second = collect(replace(order(url(server), top, server), resume=0))
    assert second.clean
    assert second.evidence.number == first.evidence.number + 1
    assert second.evidence.notes["continues"] == f"E{first.evidence.number}"
    one, two = _content(first), _content(second)
    merged = {**{p: d for p, d in one.items() if p in held}, **two}
    assert {p: d for p, d in merged.items() if not p.startswith("/@command/")} == _there(top)
    again = {p for p in two if p in held and p.startswith(str(top))}
    assert again <= {f"{top}/log/old-07"}  # what is held as it is does not come twice
    assert "/@command/uname-a.stdout" in {*one, *two}
    assert "/@command/id.stdout" in {*one, *two}
    note = entries(top.parent / "case", "scene-act")[-1]["collection"]["continues"]
    assert note["sha256"] == first.evidence.digests["sha256"]
    assert note["same_boot"] is True
    assert manifest(second)[0]["continues"]["evidence"] == first.evidence.number
    with pytest.raises(UsageError, match="HW2105"):  # it is whole now
        collect(replace(order(url(server), top, server), resume=second.evidence.number))


def test_nothing_to_go_on_with_is_refused(tmp_path: Path) -> None:
    top = ground(tmp_path)
    with pytest.raises(UsageError, match="HW2105"):
        collect(replace(order("local:", top), resume=0))


def test_mark_knows_a_file_by_name_and_times_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x")
    st = path.stat()
    others = [mark(b"/%d" % n, n, n, n, n) for n in range(1000)]
    own = mark(bytes(path), st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns)
    marks = Marks(b"".join(sorted([*others, own])))
    assert len(own) == MARK
    assert marks.has(bytes(path), st)
    assert not marks.has(bytes(path) + b"2", st)
    path.write_bytes(b"y")
    os.utime(path, ns=(st.st_mtime_ns, st.st_mtime_ns))  # put back by whoever wrote: the change time tells
    assert not marks.has(bytes(path), path.stat())
    assert marks.passed == 1
    assert not Marks().has(bytes(path), st)


def test_script_passes_over_what_is_held_and_tells_how_many(tmp_path: Path) -> None:
    import subprocess

    from headwater.acquire import collector

    for name in ("a", "b", "c"):
        (tmp_path / name).write_bytes(name.encode())
    held = [tmp_path / "a", tmp_path / "c"]
    marks = b"".join(
        sorted(mark(bytes(p), s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for p in held for s in [p.stat()])
    )
    asked = [{"name": "x", "collect": [{"files": [f"{tmp_path}/*"]}]}]
    told = collector.order_of("0" * 16, asked, tool="t", facts={"continues": "ab"}, held=len(marks))
    given = collector.said(collector.script()) + collector.said(told) + marks
    words = [sys.executable, "-I", "-S", "-B", "-c", collector.BOOT]
    tree = tree_of(subprocess.run(words, input=given, capture_output=True, timeout=60, check=True).stdout[2:])
    found = listed(tree)
    assert list(found) == [f"{tmp_path}/b"]
    assert content(tree, found[f"{tmp_path}/b"]) == b"b"
    list(tree.members())
    assert tree.ended()["passed_over"] == "2"
    assert tree.facts["continues"] == "ab"


def test_collection_that_reached_its_limit_is_gone_on_with_until_nothing_is_missing(tmp_path: Path) -> None:
    top = ground(tmp_path)
    for number in range(12):
        (top / f"log/part-{number:02d}").write_bytes(os.urandom(200_000))
    told: dict[str, str] = {}
    again = None
    for _ in range(6):
        done = collect(order("local:", top, resume=again, most=3 << 19))
        kept = {r["path"] for r in manifest(done)[1:] if r["status"] in ("success", "empty") and r["kind"] == "file"}
        came = {p: d for p, d in _content(done).items() if p in kept and p.startswith(str(top))}
        assert not told.keys() & came.keys()  # what any of those before holds does not come again
        told |= came
        if done.whole:
            break
        again = 0
    assert done.whole
    assert done.evidence.number >= 3
    assert told == _there(top)
