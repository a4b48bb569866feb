# SPDX-License-Identifier: Apache-2.0
"""headwater memory: RAM at another address than its own, a page that was never read, a kernel that shows nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "acquire"))

import synthetic_kcore
from loopback_sshd import Server, sshd_or_skip
from synthetic_kcore import MIB, Kcore, make

from headwater.acquire.memory_layout import NoLayout, Piece, Segment, layout, ram_of, segments_of
from headwater.acquire.memory_reading import Line, MemoryReader
from headwater.case.authority import Claim
from headwater.formats.lime import LimeSource
from headwater.formats.opened import open_readonly
from headwater.formats.sources import FileSource
from headwater.model.errors import AcquireError
from headwater.procedure.corridor import open_case
from headwater.procedure.memory import MemoryOrder, take
from headwater.procedure.reaching import Reach
from headwater.procedure.scene import ACTED, history
from headwater.procedure.scene_errand import Errand

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="reading memory asks for root")


def _order(address: str, kcore: Kcore, tmp_path: Path, **more: object) -> MemoryOrder:
    remote = {"server_location": "here", "remote_method": "ssh", "screen_recording": "none: a test"}
    claim = Claim(None, None, None, None, None, None, "a test")
    errand = Errand(address, tmp_path / "case", claim, ("甲", "乙"), "the test begins here", None, remote, **more)  # type: ignore[arg-type]
    return MemoryOrder(errand, tmp_path / "mem01", kcore.places)


def _holds(path: Path, kcore: Kcore) -> LimeSource:
    source = LimeSource(FileSource(open_readonly(path)))
    for start, data in kcore.ram:
        assert source.pread(start, len(data)) == data
    return source


@ROOT
@pytest.mark.parametrize("old", [False, True], ids=["p_paddr", "before-4.11"])
def test_every_byte_stands_at_its_physical_address(tmp_path: Path, old: bool) -> None:
    kcore = make(tmp_path / "proc", old=old)
    done = take(_order("local:", kcore, tmp_path))
    assert done.whole
    source = _holds(tmp_path / "mem01.lime", kcore)
    assert [r.start for r in source.ranges] == [start for start, _ in kcore.ram]
    source.close()
    assert done.evidence.notes["basis"] == ("lowest segment" if old else "p_paddr")
    assert done.taken.zeros == 2 * MIB
    assert {"mem01.iomem", "mem01.kcore-header", "mem01.kallsyms"} == set(done.beside)
    corridor = open_case(tmp_path / "case")
    with corridor.ledger:
        (act,) = [s for s in corridor.ledger.entries() if s.entry.action == ACTED]
        assert {d.act for d in history(corridor)} == {"memory"}
    assert act.entry.note["inversions"]  # neither captured nor isolated before: said, with its reason
    assert (tmp_path / "mem01.lime").stat().st_mode & 0o222 == 0


@ROOT
def test_ram_that_kcore_hides_is_named_and_not_filled_with_zeros(tmp_path: Path) -> None:
    kcore = make(tmp_path / "proc", hidden=True)
    done = take(_order("local:", kcore, tmp_path))
    assert not done.whole
    assert done.taken.missing == [(0x4000_0000, 2 * MIB)]
    assert [v.result for v in done.evidence.verdicts if v.what == "read-completely"] == ["mismatch"]
    corridor = open_case(tmp_path / "case")
    with corridor.ledger:
        (found,) = history(corridor)
    assert not found.unencrypted  # an image that is not whole does not prove that no key was needed


@ROOT
def test_image_that_is_there_already_is_never_written_over(tmp_path: Path) -> None:
    kcore = make(tmp_path / "proc")
    (tmp_path / "mem01.lime").write_bytes(b"other")
    with pytest.raises(AcquireError, match="HW2176"):
        take(_order("local:", kcore, tmp_path))
    assert (tmp_path / "mem01.lime").read_bytes() == b"other"


@ROOT
@pytest.mark.parametrize(
    ("spoil", "code"),
    [("lockdown", "HW2170"), ("absent", "HW2171"), ("hidden", "HW2172"), ("noise", "HW2173"), ("elsewhere", "HW2174")],
)
def test_kernel_that_shows_no_memory_is_refused_by_name(tmp_path: Path, spoil: str, code: str) -> None:
    kcore = make(tmp_path / "proc")
    folder = tmp_path / "proc"
    if spoil == "lockdown":
        (folder / "lockdown").write_text("none integrity [confidentiality]\n")
    elif spoil == "absent":
        kcore.path.unlink()
    elif spoil == "hidden":
        (folder / "iomem").write_text("00000000-00000000 : System RAM\n00000000-00000000 : Reserved\n")
    elif spoil == "noise":
        kcore.path.write_bytes(b"no core file" * 1000)
    else:
        (folder / "iomem").write_text("9000000000-90ffffffff : System RAM\n")
    with pytest.raises(AcquireError, match=code):
        take(_order("local:", kcore, tmp_path))
    assert not (tmp_path / "mem01.lime").exists()
    corridor = open_case(tmp_path / "case")
    with corridor.ledger:
        last = corridor.ledger.last("scene-attempt")
    assert last is not None  # a login that came to nothing has left its traces all the same
    assert last.entry.note["failed"].startswith(code)


@ROOT
def test_integrity_lockdown_does_not_forbid_it(tmp_path: Path) -> None:
    kcore = make(tmp_path / "proc")
    (tmp_path / "proc" / "lockdown").write_text("none [integrity] confidentiality\n")
    assert take(_order("local:", kcore, tmp_path)).whole


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path / "sshd", sshd_or_skip())
    made.make()
    made.start()
    yield made
    made.stop()


@ROOT
def test_line_cut_in_the_middle_costs_no_byte_and_stands_in_the_record(server: Server, tmp_path: Path) -> None:
    kcore = make(tmp_path / "proc", big=26 * MIB)
    reach = Reach(known_hosts=server.known_hosts, key_file=server.key)
    cuts: list[int] = []

    def progress(stage: str, done: int, total: int | None, unit: str) -> None:
        if stage == "memory" and not cuts and done > 3 * MIB:
            cuts.append(server.cut())

    done = take(_order(f"ssh://{server.user}@127.0.0.1:{server.port}", kcore, tmp_path, reach=reach), progress)
    assert cuts
    assert done.whole
    _holds(tmp_path / "mem01.lime", kcore).close()
    assert [e["what"] for e in done.taken.events] == ["lost", "reconnected"]


class _Dd:
    """A server whose dd cannot read one page, and whose line and boot are as told."""

    def __init__(self, memory: bytes, bad: range, cut: int | None = None) -> None:
        self.memory, self.bad, self.cut = memory, bad, cut

    def __call__(self, script: bytes) -> _Flow:
        words = dict(w.split("=", 1) for w in script.decode().split() if "=" in w)
        skip, count = int(words["skip"]), int(words["count"])
        stop = (
            next((at for at in range(skip, skip + count) if at in self.bad), skip + count) if self.bad else skip + count
        )
        return _Flow(self.memory[skip:stop], "Input/output error" if stop < skip + count else "")


class _Flow:
    def __init__(self, data: bytes, errors: str) -> None:
        self.data, self.errors, self.status = data, errors, 1 if errors else 0

    def read_into(self, buffer: memoryview, seconds: float) -> int:
        got = self.data[: len(buffer)]
        buffer[: len(got)] = got
        self.data = self.data[len(got) :]
        return len(got)

    def cancel(self) -> None:
        pass


def test_page_that_cannot_be_read_is_one_page_and_listed(tmp_path: Path) -> None:
    memory = bytes(range(256)) * 64  # four pages
    reader = MemoryReader(
        Line(_Dd(memory, range(4096, 8192)), lambda: "x", "x"), "/k", byte_flags=True, tell=lambda a, b: None
    )
    taken = reader.read([Piece(0x1000, len(memory), 0)], tmp_path / "m.lime")
    assert [(at, size) for at, size, _, _ in taken.bad] == [(32 + 4096, 4096)]
    data = (tmp_path / "m.lime").read_bytes()[32:]
    assert data[:4096] == memory[:4096]
    assert data[4096:8192] == bytes(4096)
    assert data[8192:] == memory[8192:]
    assert not taken.stopped


def test_restarted_server_is_another_memory_and_reading_ends(tmp_path: Path) -> None:
    from headwater.acquire.ssh_stream import ConnectionLost

    class Lost(_Flow):
        def read_into(self, buffer: memoryview, seconds: float) -> int:
            raise ConnectionLost("cut")

    line = Line(lambda script: Lost(b"", ""), lambda: "another boot", "this boot")
    reader = MemoryReader(line, "/k", byte_flags=True, tell=lambda a, b: None, sleep=lambda s: None)
    taken = reader.read([Piece(0, 8192, 0)], tmp_path / "m.lime")
    assert "restarted" in taken.stopped
    assert taken.size == 32


def test_text_that_shows_memory_a_second_time_does_not_cut_the_range() -> None:
    segments = [Segment(0x1000, 0x9000, 100), Segment(0x4000, 0x1000, 9000)]
    assert layout([(0x1000, 0x9000)], segments) == [Piece(0x1000, 0x9000, 100)]
    assert layout([(0x1000, 0xA000)], segments) == [Piece(0x1000, 0x9000, 100), Piece(0xA000, 0x1000, None)]


def test_nested_and_hidden_resources_are_no_ram() -> None:
    iomem = b"00001000-0009fbff : System RAM\n  00002000-00002fff : System RAM\n00100000-001fffff : Reserved\n"
    assert ram_of(iomem) == [(0x1000, 0x9E000)]
    for none in (b"", b"00000000-00000000 : System RAM\n", b"\xff" * 4096):
        with pytest.raises(NoLayout):
            ram_of(none)


def test_core_headers_that_lie_are_refused() -> None:
    good = synthetic_kcore.header([(synthetic_kcore.DIRECT + 0x1000, 0x1000, 0x9000, 0x1000)])
    assert segments_of(good, 0x1000)[0] == [Segment(0x1000, 0x9000, 0x1000)]
    for bad in (
        good[:100],
        b"\x7fELF\x01" + good[5:],
        good[:54] + b"\x10\x00" + good[56:],
        good[:56] + b"\xff\xff" + good[58:],
    ):
        with pytest.raises(NoLayout):
            segments_of(bad, 0x1000)


def test_not_being_root_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from headwater.acquire import memory_scripts

    monkeypatch.setattr(memory_scripts, "_LOOK", memory_scripts._LOOK.replace(b"id -u", b"echo 1000"))
    with pytest.raises(AcquireError, match="HW2169"):
        take(replace(_order("local:", make(tmp_path / "proc"), tmp_path)))
