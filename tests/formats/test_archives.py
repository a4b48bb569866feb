# SPDX-License-Identifier: Apache-2.0
"""Archives of collected files: every member is listed under its own bytes, nothing is followed, nothing grows unbounded."""

from __future__ import annotations

import io
import os
import random
import shutil
import stat
import struct
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.formats.archives import archive_kind, open_archive
from headwater.formats.compressed import Limits
from headwater.formats.sources import MemorySource
from headwater.formats.trees import Entry, Tree
from headwater.model.kinds import GapReason
from headwater.model.paths import decode_name

SHARED = Path(__file__).parents[3] / "shared/data"
LONG = "very/" * 60 + "long-" * 30 + "名.log"


def tree_of(data: bytes, name: str = "x") -> Tree:
    source = MemorySource(data)
    kind = archive_kind(source, name)
    assert kind is not None
    return open_archive(source, kind)


def read(tree: Tree, entry: Entry) -> bytes:
    source = tree.open(entry.key)
    return source.pread(0, source.size)


def tar(members: list[tuple[tarfile.TarInfo, bytes]], form: int = tarfile.PAX_FORMAT, mode: str = "w") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=form) as archive:
        for info, data in members:
            info.size = len(data) if info.isreg() else 0
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def info(name: str, kind: bytes = tarfile.REGTYPE, **more: object) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type = kind
    for key, value in {"mode": 0o640, "mtime": 1_700_000_000, **more}.items():
        setattr(made, key, value)
    return made


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tar_of_each_form(form: int) -> None:
    long = LONG if form != tarfile.USTAR_FORMAT else "p/" * 50 + "n" * 90
    members = [
        (info("./etc", tarfile.DIRTYPE), b""),
        (info("etc/passwd", uid=70_000, gid=5), b"root:x:0:0\n"),
        (info(long), b"deep"),
        (info("link", tarfile.SYMTYPE, linkname="/etc/passwd"), b""),
        (info("hard", tarfile.LNKTYPE, linkname="etc/passwd"), b""),
        (info("pipe", tarfile.FIFOTYPE), b""),
        (info("sda", tarfile.BLKTYPE), b""),
    ]
    tree = tree_of(tar(members, form))
    entries = list(tree.entries())
    assert [(decode_name(e.path), e.kind) for e in entries] == [
        (b"/etc", "dir"),
        (b"/etc/passwd", "file"),
        (b"/" + long.encode(), "file"),
        (b"/link", "link"),
        (b"/hard", "link"),
        (b"/pipe", "fifo"),
        (b"/sda", "block"),
    ]
    passwd = entries[1]
    assert (passwd.uid, passwd.gid, passwd.size, passwd.modified) == (70_000, 5, 11, 1_700_000_000 * 10**9)
    assert stat.S_IMODE(passwd.mode) == 0o640
    assert read(tree, passwd) == b"root:x:0:0\n"
    assert read(tree, entries[2]) == b"deep"
    assert (entries[3].target, entries[4].target) == ("/etc/passwd", "etc/passwd")
    for key in (entries[3].key, entries[5].key, "7", "x", "-512", "99999999"):
        with pytest.raises(KeyError):
            tree.open(key)
    assert tree.warnings == ()


def test_names_are_bytes_not_text() -> None:
    names = [b"\xff\xfe.log", b"a!b%c", b"\xc4\xe3\xba\xc3.txt", b"new\nline"]
    data = tar([(info(os.fsdecode(name)), name) for name in names], tarfile.GNU_FORMAT)
    tree = tree_of(data)
    entries = list(tree.entries())
    assert [decode_name(e.path)[1:] for e in entries] == names
    assert [read(tree, e) for e in entries] == names


def test_fractions_of_a_second_are_exact() -> None:
    made = info("f", pax_headers={"mtime": "1700000000.123456789", "atime": "-1.5"})
    entry = next(iter(tree_of(tar([(made, b"")])).entries()))
    assert (entry.modified, entry.accessed) == (1_700_000_000_123_456_789, -1_500_000_000)


def test_same_name_twice_is_two_pieces_of_evidence() -> None:
    tree = tree_of(tar([(info("log"), b"old"), (info("./log"), b"newer")]))
    entries = list(tree.entries())
    assert [(e.path, read(tree, e)) for e in entries] == [("/log", b"old"), ("/log!2", b"newer")]


def test_climbing_and_absolute_names_stay_names() -> None:
    tree = tree_of(tar([(info("/etc/shadow"), b"1"), (info("../../etc/cron.d/x"), b"2")], tarfile.GNU_FORMAT))
    assert [e.path for e in tree.entries()] == ["/etc/shadow", "/../../etc/cron.d/x"]


def test_what_stands_behind_the_end_marker_is_listed() -> None:
    tree = tree_of(tar([(info("a"), b"1")]) + tar([(info("b"), b"2")]))
    assert [e.path for e in tree.entries()] == ["/a", "/b"]


def test_broken_header_is_a_gap_and_the_rest_is_listed() -> None:
    data = bytearray(tar([(info(n), n.encode() * 700) for n in "abc"], tarfile.GNU_FORMAT))
    data[512 * 3 + 10] ^= 1  # the header of b
    tree = tree_of(bytes(data))
    assert [e.path for e in tree.entries()] == ["/a", "/c"]
    assert [(w.offset, w.length) for w in tree.warnings] == [(512 * 3, 512 * 3)]


def test_cut_tar_keeps_what_is_there() -> None:
    tree = tree_of(tar([(info("a"), b"1" * 600), (info("b"), b"2" * 5000)])[: 512 * 5])
    entries = list(tree.entries())
    assert [(e.path, e.size) for e in entries] == [("/a", 600), ("/b", 512 * 1)]
    assert read(tree, entries[1]) == b"2" * 512
    assert tree.open(entries[1].key).bad[0][:3] == (512, 4488, GapReason.TRUNCATED)
    assert tree.warnings[-1].reason is GapReason.TRUNCATED


def test_size_without_end_does_not_make_a_source_without_end() -> None:
    made = bytearray(tar([(info("a"), b"x" * 512)], tarfile.GNU_FORMAT))
    made[124:136] = b"\x80" + bytes(3) + b"\x3f" + b"\xff" * 7
    made[148:156] = b" " * 8
    made[148:156] = b"%06o\0 " % sum(made[:512])
    tree = tree_of(bytes(made))
    entry = next(iter(tree.entries()))
    assert entry.size <= len(made)


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_compressed_tar(mode: str) -> None:
    body = random.Random(1).randbytes(90_000)
    tree = tree_of(tar([(info("a"), body), (info("b"), b"tail")], mode=mode))
    entries = list(tree.entries())
    assert tree.kind == f"tar.{mode[2:]}"
    assert [read(tree, e) for e in reversed(entries)] == [b"tail", body]
    assert tree.extents(entries[0].key) == ()


def test_cut_compressed_tar_says_so() -> None:
    packed = tar([(info("a"), random.Random(1).randbytes(90_000)), (info("b"), b"tail")], mode="w:gz")
    tree = tree_of(packed[:60_000])
    assert [e.path for e in tree.entries()] == ["/a"]
    assert tree.warnings[0].reason is GapReason.TRUNCATED


def test_bomb_in_a_tar_stops_at_the_limit() -> None:
    packed = tar([(info("a"), bytes(30_000_000))], mode="w:gz")
    tree = open_archive(MemorySource(packed), "tar.gz", limits=Limits(total=1_000_000))
    list(tree.entries())
    assert tree.warnings[0].reason is GapReason.LIMIT


@pytest.mark.skipif(not shutil.which("tar"), reason="GNU tar is not installed")
@pytest.mark.parametrize(
    "form", ["--format=gnu", "--sparse-version=0.0", "--sparse-version=0.1", "--sparse-version=1.0"]
)
def test_sparse_members_are_whole(tmp_path: Path, form: str) -> None:
    path = tmp_path / "lastlog"
    with path.open("wb") as file:
        for index in range(30):  # more ranges than a header holds
            file.seek(index * 200_000)
            file.write(b"login %d" % index)
        file.truncate(7_000_000)
    options = [form] if "gnu" in form else ["--format=posix", form]
    out = subprocess.run(
        ["tar", "-cS", *options, "-C", str(tmp_path), "lastlog"], capture_output=True, check=True
    ).stdout + tar([(info("after"), b"x")])
    tree = tree_of(out)
    entries = list(tree.entries())
    assert [(e.path, e.size) for e in entries] == [("/lastlog", 7_000_000), ("/after", 1)]
    assert read(tree, entries[0]) == path.read_bytes()
    assert len(out) < 1_500_000
    assert tree.warnings == ()


def zipped(members: list[tuple[zipfile.ZipInfo | str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_zip_of_each_method(method: int) -> None:
    body = b"GET /cmd.php?cmd=id\n" * 5000
    tree = tree_of(zipped([("var/log/access.log", body), ("var/empty", b""), ("日志.log", b"x")], method))
    entries = list(tree.entries())
    assert [decode_name(e.path).decode() for e in entries] == ["/var/log/access.log", "/var/empty", "/日志.log"]
    assert [read(tree, e) for e in entries] == [body, b"", b"x"]
    assert [e.modified for e in entries] == [None] * 3
    assert tree.warnings == ()


def test_zip_behind_a_stub_and_before_a_comment() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a", b"content")
        archive.comment = b"PK\x05\x06 is not the end"
    tree = open_archive(MemorySource(b"#!/bin/sh\n" * 50 + out.getvalue()), "zip")
    entry = next(iter(tree.entries()))
    assert read(tree, entry) == b"content"
    fresh = open_archive(MemorySource(b"#!/bin/sh\n" * 50 + out.getvalue()), "zip")
    assert read(fresh, entry) == b"content"


def test_encrypted_member_is_a_gap_and_the_others_are_read() -> None:
    data = bytearray(zipped([("secret", b"s" * 100), ("open", b"o")]))
    place = data.find(b"PK\x01\x02")
    data[place + 8] |= 1
    tree = tree_of(bytes(data))
    secret, plain = list(tree.entries())
    assert [w.reason for w in tree.warnings] == [GapReason.ENCRYPTED]
    assert tree.open(secret.key).bad[0][2] is GapReason.ENCRYPTED
    assert read(tree, plain) == b"o"


def test_zip_member_with_wrong_checksum_is_listed_as_bad() -> None:
    data = bytearray(zipped([("a", b"content")], zipfile.ZIP_STORED))
    data[data.find(b"content")] ^= 1
    tree = tree_of(bytes(data))
    source = tree.open(next(iter(tree.entries())).key)
    assert source.bad[0][:3] == (0, 7, GapReason.UNREADABLE)


def test_zip_without_its_directory_is_said() -> None:
    tree = tree_of(zipped([("a", b"content" * 100)])[:-30])
    assert list(tree.entries()) == []
    assert tree.warnings[0].reason is GapReason.TRUNCATED


def test_zip_bomb_stops_at_the_limit() -> None:
    packed = zipped([("a", bytes(30_000_000))])
    tree = open_archive(MemorySource(packed), "zip", limits=Limits(total=1_000_000))
    entry = next(iter(tree.entries()))
    source = tree.open(entry.key)
    assert source.size == 1_000_000
    assert source.bad[0][2] is GapReason.LIMIT


def test_zip_times_count_only_where_they_state_utc() -> None:
    made = zipfile.ZipInfo("a", (2026, 3, 2, 11, 22, 34))
    made.extra = struct.pack("<HHBi", 0x5455, 5, 1, 1_700_000_000)
    link = zipfile.ZipInfo("l")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    entries = list(tree_of(zipped([(made, b"x"), (link, b"/etc/passwd")])).entries())
    assert entries[0].modified == 1_700_000_000 * 10**9
    assert (entries[1].kind, entries[1].target) == ("link", "/etc/passwd")


@pytest.mark.parametrize("data", [b"", b"PK", b"text\n" * 300, bytes(2048), b"\x1f\x8b\x08" + bytes(100)])
def test_what_is_no_archive_is_not_taken_for_one(data: bytes) -> None:
    assert archive_kind(MemorySource(data), "x.log") is None


@settings(max_examples=200, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**48), which=st.sampled_from(["tar", "gnu", "zip"]), cut=st.booleans())
def test_damaged_archives_never_raise(seed: int, which: str, cut: bool) -> None:
    rng = random.Random(seed)
    if which == "zip":
        data = bytearray(zipped([("a", b"x" * 2000), ("d/b", b"y" * 30)]))
    else:
        form = tarfile.GNU_FORMAT if which == "gnu" else tarfile.PAX_FORMAT
        data = bytearray(tar([(info(LONG), b"x" * 700), (info("b", pax_headers={"mtime": "1.5"}), b"y")], form)[:6000])
    for _ in range(rng.randrange(1, 10)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    if cut:
        del data[rng.randrange(len(data)) :]
    tree = open_archive(MemorySource(bytes(data)), "zip" if which == "zip" else "tar")
    for entry in tree.entries():
        if entry.kind == "file":
            source = tree.open(entry.key)
            assert len(source.pread(0, min(source.size, 10_000))) == min(source.size, 10_000)


@pytest.mark.parametrize("name", ["tar/mixed_paths.tar", "zip/with_directory.zip", "syslog.tgz"])
def test_real_archives(name: str) -> None:
    path = SHARED / "dfvfs/test_data" / name
    if not path.exists():
        pytest.skip("no ../shared/data/dfvfs")
    tree = tree_of(path.read_bytes())
    found = {e.path: read(tree, e) for e in tree.entries() if e.kind == "file"}
    syslog = found.get("/folder/syslog", found.get("/syslog"))
    assert syslog == (SHARED / "dfvfs/test_data/syslog").read_bytes()
    assert tree.warnings == ()
