# SPDX-License-Identifier: Apache-2.0
"""Harms: a line that only looks like its neighbours is read by their layout; NumPy alone says other than the slow way of an audit trail."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from headwater.examine import audit_join, audit_plain, audit_programs, audit_shapes
from headwater.examine.audit_shapes import layout_of
from headwater.examine.lines import line_batches
from headwater.examine.parsers import linux_audit
from headwater.formats import compiled
from headwater.model.records import File

GOLDEN = Path(__file__).parents[1] / "golden" / "linux_audit"
HEAD = b"type=%s msg=audit(1772500000.%03d:%d): "
_CALL = (
    b'arch=c000003e syscall=59 success=yes exit=0 ppid=%d pid=%d auid=1000 uid=0 comm="sh" exe="/usr/bin/dash" key="x"'
)
_LOGIN = (
    b'pid=1 uid=0 auid=4294967295 ses=4294967295 msg=\'op=PAM:authentication acct="root" exe="/usr/sbin/sshd" '
    b"hostname=192.0.2.1 addr=192.0.2.1 terminal=ssh res=failed'"
)
# bodies that differ little from those of their neighbours, each with its type
_NEAR_MISSES = (
    *((b"USER_AUTH", _LOGIN.replace(old, new)) for old, new in (
        (b"pid=1 ", b"pid=1  "), (b"pid=1 ", b"pid= "), (b"pid=1 ", b"pid=-1 "), (b"pid=1 ", b"pid=1234567890123456 "),
        (b"pid=1 ", b"pid=123456789012345 "), (b"pid=1 ", b"pid=12x "), (b"pid=1 ", b'pid="1" '), (b"pid=1 ", b"pid=0001 "),
        (b"uid=0 auid", b"op=old auid"), (b"uid=0 auid", b"old auid"), (b"uid=0 auid", b"unit=cold auid"), (b"ses=4294967295", b"ses=7"),
        (b"msg='op", b"msg=op"), (b"msg='op", b"msg=' op"), (b"msg='op", b"msg=''op"), (b"failed'", b"failed"), (b"failed'", b"failed''"),
        (b"failed'", b"success'"), (b"failed'", b"failed'\x1dUID=\"root\" AUID=\"unset\""), (b"failed'", b"failed' "),
        (b'"root"', b'"ro ot"'), (b'"root"', b"\"ro'ot\""), (b'"root"', b"\"root'"), (b'"root"', b'"'), (b'"root"', b'""'),
        (b'"root"', b"726F6F74"), (b'"root"', b"726f6f74"), (b'"root"', b"726F6F7"), (b'"root"', b"6500660000"), (b'"root"', b"00"),
        (b'"root"', b"FFFE41"), (b'"root"', b"E6BAAFE6BA90E6BAAFE6BA90"), (b'"root"', b"28696E76616C6964207573657229"),
        (b"PAM:authentication", b"a=b"), (b"PAM:authentication", b"two words"), (b"PAM:authentication", b"pubkey"),
        (b"op=PAM:authentication", b"op=a  "), (b"op=PAM:authentication", b"grantors=?"), (b"hostname=192.0.2.1", b"hostname=?"),
        (b"addr=192.0.2.1", b"addr=?"), (b"addr=192.0.2.1", b"addr=::ffff:192.0.2.1"), (b"addr=192.0.2.1", b"addr=2001:db8::1%eth0"),
        (b"addr=192.0.2.1", b"addr=::ffff:c000:201"), (b"addr=192.0.2.1", b"addr=999.1"), (b"addr=192.0.2.1", b'addr="192.0.2.1"'),
        (b'"/usr/sbin/sshd"', b'"/usr/sbin/"'), (b'"/usr/sbin/sshd"', b"?"), (b'"/usr/sbin/sshd"', b"2F7573722F73"),
        (b"terminal=ssh", b"terminal=a=msg='b"), (b"terminal=ssh", b"uid=9"), (b"terminal=ssh", b"weird=9"), (b"terminal=ssh", b"lone"),
        (b"terminal=ssh", "terminal=溯源".encode()), (b"terminal=ssh", b"terminal=\xff\xfe"),
    )),
    (b"ADD_USER", _LOGIN.replace(b"PAM:authentication", b"add-user")), (b"ADD_USER", _LOGIN + b'\x1dUID="root" AUID="unset" ID="new"'),
    (b"PATH", b'item=0 name="/bin/a=b c" inode=1'), (b"PATH", b'item=0 name=(null) inode=1'), (b"PATH", b'item=0 name="(null)" inode=1'),
    (b"PATH", b"item=0 name=286E756C6C29 inode=1"), (b"CWD", b' cwd="/root"'), (b"CWD", b'cwd="/root" '), (b"CWD", b"cwd=/root\x1d"),
    (b"EXECVE", b'argc=2 a0="sh" a1=2D6320E6BAAF'), (b"EXECVE", b'argc=2 a0=ABCD a1="x'), (b"EXECVE", b"argc=0 a1="), (b"EXECVE", b"argc=0"),
    (b"EXECVE", b'argc=18 a0="x" a16="y" a17[0]=2D a17[1]=2D'), (b"PROCTITLE", b"proctitle=7368002D63006964000000"),
    *((b"AVC", b"avc:  denied  { read } for  pid=1 comm=" + comm + b" path=\"/x\" res=" + said + b" tclass=file") for comm, said in (
        (b'"ls"', b"1"), (b'"ls"', b"0"), (b'"ls"', b"2"), (b'"ls" ', b"1"), (b'"ls" lone', b"1"), (b'"ls lone', b"1"), (b'"l lone"', b"1"),
        (b"ls lone", b"1"), (b"6C73 lone", b"1 lone"), (b"6C73 old", b"1"),
    )),
    (b"AVC", b"avc:  granted  { read } for  pid=1 comm=x"), (b"AVC", b"avc:  denied  { read write } for  pid=1 comm=x lone"),
    (b"LOGIN", b"pid=1 uid=0 old auid=1 new auid=2 old ses=3 new ses=4"), (b"LOGIN", b"pid=1 uid=0 old auid=1 auid=2 old ses=3 ses=4"),
    (b"SOCKADDR", b"saddr=0200\x1dSADDR={ saddr_fam=inet laddr=192.0.2.1 lport=80 }"), (b"SOCKADDR", b"saddr=0200\x1dSADDR={ saddr_fam=inet }}"),
    (b"EOE", b""), (b"EOE", b" "), (b"EOE", b"lone"), (b"EOE", b"lone 'words'"), (b"EOE", b"lone" * 30),
    (b"SYSCALL", _CALL % (1, 2)), (b"SYSCALL", _CALL.replace(b"yes", b"no") % (1, 2)), (b"X", b"="), (b"X", b"a=="), (b"X", b""), (b"X", b" "),
)  # fmt: skip
_HEADS = (
    *((b"audit(1772500000.", new) for new in (b"audit(177250000.", b"audit(17725000000.", b"audit(9999999999.", b"audit(1772500000,")),
    *((b"type=", new) for new in (b"node=a type=", b"node=a=b type=", b"node= type=", b"node=a\x1db type=", b"Type=", b"type=1", b"type=[")),
    (b"): ", b"):"), (b"): ", b"):  "), (b":7): ", b":1234567890123456789): "), (b":7): ", b":123456789012345): "), (b":7): ", b":): "),
    (b"type=", "node=溯 type=".encode()), (b"type=", b"node=" + b"h" * 40 + b" type="), (b"type=", b"type=" + b"T" * 30),
    (b" msg=audit", b"  msg=audit"), (b"(1772500000.007", b"(1772500000.7"),
)  # fmt: skip


@pytest.fixture(autouse=True)
def _without_the_scanner() -> Any:
    compiled.forbid()
    yield
    compiled.allow()


def _said(data: bytes, block: int) -> list[pl.DataFrame]:
    batches = list(line_batches(linux_audit.GRAMMAR, File.of(data), block))
    assert sum(b.end - b.start for b in batches) == len(data)
    return [b.events.select(sorted(b.events.columns)) for b in batches]


def _same(data: bytes, block: int = 1 << 22) -> None:
    """By shapes wherever two lines are alike, and line by line: the same rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audit_shapes, "FEW", 1)
        patch.setattr(audit_shapes, "FOR_WORD", 0)
        patch.setattr(audit_plain, "_MOST_ODD", 1)
        quick = _said(data, block)
        patch.setattr(linux_audit, "plain_rows", lambda near, memory: None)
        slow = _said(data, block)
    for a, b in zip(quick, slow, strict=True):
        assert_frame_equal(a, b)


def _fixtures() -> list[bytes]:
    return [
        line
        for name in ("enriched", "selinux", "web")
        for line in (GOLDEN / f"{name}.log").read_bytes().splitlines(True)
    ]


def test_a_line_that_only_looks_like_its_neighbours_is_read_as_it_is() -> None:
    chance = random.Random(7)
    usual = [(b"USER_AUTH", _LOGIN), (b"SYSCALL", _CALL % (1, 2)), (b"CWD", b'cwd="/"'), (b"EXECVE", b'argc=1 a0="sh"')]
    for _ in range(3):
        some = [*_NEAR_MISSES, *(chance.choice(usual) for _ in range(60))]
        chance.shuffle(some)
        lines = [HEAD % (kind, n % 3, n // 5) + body + b"\n" for n, (kind, body) in enumerate(some)]
        _same(b"".join(lines))
    lines = [(HEAD % (b"USER_AUTH", 7, 7) + _LOGIN + b"\n").replace(old, new) for old, new in _HEADS for _ in range(2)]
    _same(b"".join(lines))


def test_shapes_say_what_line_by_line_says() -> None:
    chance = random.Random(5)
    lines = _fixtures()
    for block, count in ((2_000, 40), (9_001, 120), (1 << 22, 120)):
        data = bytearray(b"".join(chance.choice(lines) for _ in range(count)))
        for _ in range(6):
            at = chance.randrange(len(data))
            data[at : at + chance.choice((0, 1))] = bytes([chance.choice(b" \"'=:()\x1d\0\xff\n")])
        _same(bytes(data), block)


def test_most_lines_of_a_trail_have_a_shape() -> None:
    """Else the quick way is none: rows are the same in either."""
    taken: list[bool] = []
    made = linux_audit.plain_rows

    def watched(near: Any, memory: dict[str, Any]) -> Any:
        cut = made(near, memory)
        taken.append(cut is not None)
        return cut

    data = b"".join(line for line in _fixtures() for _ in range(audit_shapes.FOR_WORD * 30))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linux_audit, "plain_rows", watched)
        _said(data, 1 << 22)
        _said(b"".join(b"type=X msg=audit(1772500000.000:%d): %s\n" % (n, b"a" * n) for n in range(100)), 1 << 22)
    assert taken[0]
    assert not taken[-1]


def test_texts_of_programs_stay_when_room_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_programs, "_ROOM", 16)
    chance = random.Random(3)
    data = b"".join(
        HEAD % (b"SYSCALL", n % 1000, n) + _CALL % (chance.randrange(-1, 30), chance.randrange(30) + (n == 70) * 5_000_000) + b"\n"
        + HEAD % (b"EXECVE", n % 1000, n) + b'argc=1 a0="%s"\n' % (b"x" * chance.choice((1, 12, 13, 60)))
        for n in range(140)
    )  # fmt: skip
    _same(data, 3_000)


def test_programs_are_forgotten_alike() -> None:
    data = b"".join(
        HEAD % (b"SYSCALL", n % 1000, n) + (_CALL % (n % 7, n % 11)) + b"\n" + HEAD % (b"EXECVE", n % 1000, n) + b'argc=1 a0="%d"\n' % n
        for n in range(120)
    )  # fmt: skip
    for processes, size in ((4, 1 << 20), (1000, 60)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(audit_join, "PROCESSES", processes)
            patch.setattr(audit_join, "REMEMBERED", size)
            _same(data)
            _same(data, 2_000)


@pytest.mark.parametrize(
    "body", [b"=", b"uid=1 uid=2", b"weird=1", b"msg=x", b"msg='", b"uid=1     gid=2", b"comm=\"it's\"", b"a" * 70_000, b"op=a b uid=1"]
)  # fmt: skip
def test_a_layout_that_is_not_certain_is_none(body: bytes) -> None:
    assert layout_of(body) is None
    assert layout_of(b"uid=1 gid=2") is not None
