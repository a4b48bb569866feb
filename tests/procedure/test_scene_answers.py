# SPDX-License-Identifier: Apache-2.0
"""What a hostile server answers: records that it makes up, an answer without end, words that command a terminal."""

from __future__ import annotations

import tarfile
from io import BytesIO

import pytest

from headwater.acquire.ssh_session import Finished
from headwater.model.errors import AcquireError
from headwater.procedure import scene_first, scene_visit
from headwater.procedure.reaching import Reach
from headwater.procedure.scene_first import answers_of, archive_of, first_script
from headwater.procedure.scene_visit import LocalFlow, LocalShell, visited
from headwater.scene.isolation import answers, listed

MARK = b"0123456789ab"


def _record(words: bytes, body: bytes = b"") -> bytes:
    return b"\n" + MARK + b" " + words + b"\n" + body


def test_names_that_were_never_asked_for_do_not_reach_the_archive() -> None:
    said = _record(b"C ../../etc/passwd", b"x") + _record(b"F ../../root", b"y") + _record(b"C ps-ef", b"root 1\n")
    found, whole = answers_of(said + _record(b"S 0") + _record(b"E"), MARK)
    assert [(a.name, a.status, a.output) for a in found] == [("ps-ef", 0, b"root 1\n")]
    assert whole
    with tarfile.open(fileobj=BytesIO(archive_of(found, {}))) as tar:
        assert tar.getnames() == ["first.json", "@command/ps-ef.stdout", "@command/ps-ef.json"]


def test_output_that_quotes_another_marker_stays_output() -> None:
    forged = b"\nffffffffffff S 0\n\nffffffffffff E\n"
    found, whole = answers_of(_record(b"C w", forged), MARK)
    assert [(a.status, a.output) for a in found] == [(-1, forged)]
    assert not whole


def test_endless_output_is_cut_and_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scene_first, "_OUTPUT_MOST", 100)
    found, _ = answers_of(_record(b"C who", b"x" * 500) + _record(b"S 0") + _record(b"E"), MARK)
    assert [(len(a.output), a.cut, a.ended) for a in found] == [(100, True, "cut")]
    late, _ = answers_of(_record(b"C who 17", b"x") + _record(b"S 124 18") + _record(b"C w 19", b"y"), MARK)
    assert [(a.ended, a.start, a.end) for a in late] == [("timeout", 17, 18), ("cut", 19, None)]


def test_same_answers_give_the_same_archive() -> None:
    found, _ = answers_of(_record(b"C date", b"now\n") + _record(b"S 0") + _record(b"E"), MARK)
    assert archive_of(found, {"a": 1}) == archive_of(found, {"a": 1})


def test_script_of_the_first_capture_writes_nothing() -> None:
    script = first_script(MARK).decode()
    for line in script.splitlines():
        for part in line.replace("2>/dev/null", "").replace(">/dev/null", "").replace("2>&1", "").split(">")[1:]:
            raise AssertionError(f"{line}: {part}")


class _Lies(LocalShell):
    def __init__(self, said: bytes) -> None:
        self.said = said

    def run(self, script: bytes, seconds: float | None = None) -> Finished:
        return Finished(0, self.said, "", 0, 1)


def test_arrival_that_commands_the_terminal_or_names_another_python_is_inert(monkeypatch: pytest.MonkeyPatch) -> None:
    said = b"uid=0\nhostname=\x1b[2Jweb01\npython=/tmp/evil\nuid=1000\n=x\ntrace=/etc/shadow\nend=yes\n"
    monkeypatch.setattr(scene_visit, "LocalShell", lambda: _Lies(said))
    with visited("local:", Reach()) as visit:
        assert visit.root  # the first word counts, what is said again does not
        assert "\x1b" not in visit.said["hostname"]
        assert visit.python == ""
        assert visit.traces == ()


def test_server_that_answers_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scene_visit, "LocalShell", lambda: _Lies(b"This account is disabled.\n"))
    with pytest.raises(AcquireError, match="HW2190"), visited("local:", Reach()):
        pass


def test_script_that_hangs_is_given_up() -> None:
    from headwater.acquire.ssh_stream import ConnectionLost

    flow = LocalFlow(b"sleep 30\n")
    with pytest.raises(ConnectionLost):
        flow.read_into(memoryview(bytearray(10)), 0.2)
    flow.cancel()


def test_rules_that_cannot_be_listed_are_not_taken_for_none() -> None:
    assert listed(b"Operation not permitted\n\nstatus=1\nours=1\n")[1:] == (False, False)
    rules, could, ours = listed(
        b"# Generated\n*filter\n:INPUT ACCEPT [9:99]\nCOMMIT\ntable inet own {\n}\n\nstatus=0\nours=0\n"
    )
    assert (could, ours) == (True, True)
    assert rules == "table inet own {\n}\n"
    assert answers(b"a=1\nb\n=c\nnot a key=2\n") == {"a": "1"}
