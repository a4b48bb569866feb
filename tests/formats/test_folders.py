# SPDX-License-Identifier: Apache-2.0
"""A collected folder: links lead nowhere, depth and odd names hide nothing, copies have the same manifest."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from headwater.formats.folders import FolderTree, open_root
from headwater.formats.manifests import manifest
from headwater.formats.trees import Tree
from headwater.model.kinds import GapReason
from headwater.model.paths import decode_name


@pytest.fixture
def tree(tmp_path: Path):
    root = open_root(tmp_path)
    made = FolderTree(root)
    yield made
    made.close()
    os.close(root)


def read(tree: Tree, key: str) -> bytes:
    source = tree.open(key)
    try:
        return source.pread(0, source.size)
    finally:
        source.close()


def test_names_are_bytes_and_come_in_their_order(tmp_path: Path, tree: FolderTree) -> None:
    names = [b"a b", b"A", b"\xff\xfe.log", "日志".encode(), b"x!y%z", b"new\nline", b"b"]
    for name in names:
        (Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name)))).write_bytes(name)
    entries = list(tree.entries())
    assert [decode_name(e.path) for e in entries] == [b"/" + n for n in sorted(names)]
    for entry in entries:
        assert read(tree, entry.key) == decode_name(entry.path)[1:]
        assert json.loads(json.dumps(entry.key)) == entry.key


def test_links_are_listed_and_never_followed(tmp_path: Path, tree: FolderTree) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/loop").symlink_to("..")
    (tmp_path / "passwd").symlink_to("/etc/passwd")
    (tmp_path / "out").symlink_to("/etc")
    entries = {e.path: e for e in tree.entries()}
    assert set(entries) == {"/d", "/d/loop", "/passwd", "/out"}
    assert entries["/passwd"].target == "/etc/passwd"
    for key in ("/passwd", "/out/passwd", "/d/loop/d", "/../x", "/d/./loop", "nothing", "", "/"):
        with pytest.raises(KeyError):
            tree.open(key)


def test_pipes_and_sockets_do_not_hang(tmp_path: Path, tree: FolderTree, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("sock")
        assert [(e.path, e.kind) for e in tree.entries()] == [("/pipe", "fifo"), ("/sock", "socket")]
        for key in ("/pipe", "/sock"):
            with pytest.raises(KeyError):
                tree.open(key)
        assert manifest(tree).entries == 2


def test_depth_hides_nothing(tmp_path: Path, tree: FolderTree) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    with open(os.open("deep.log", os.O_CREAT | os.O_WRONLY, dir_fd=fd), "wb") as file:
        file.write(b"found")
    os.close(fd)
    last = list(tree.entries())[-1]
    assert last.path == "/d" * 1500 + "/deep.log"
    assert read(tree, last.key) == b"found"
    assert FolderTree.kind == "folder"
    subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)  # shutil and pytest would recurse


def test_access_times_stay(tmp_path: Path, tree: FolderTree) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"x" * 10_000)
    os.utime(path, ns=(1, 2))
    before = path.stat()
    manifest(tree)
    assert path.stat().st_atime_ns == before.st_atime_ns


def test_unreadable_file_is_said_not_hashed(tmp_path: Path, tree: FolderTree, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shadow").write_bytes(b"root:!:\n")
    real = os.open

    def refuse(path: object, *args: object, **more: object) -> int:
        if path == b"shadow":
            raise PermissionError(13, "Permission denied")
        return real(path, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refuse)
    lines: list[bytes] = []
    made = manifest(tree, lines.append)
    assert json.loads(lines[1])["unreadable"] is True
    assert [(g.length, g.reason) for g in made.gaps] == [(8, GapReason.UNREADABLE)]
    assert made.gaps[0].detail.startswith("/shadow: ")


def test_folder_that_cannot_be_listed_is_a_warning(
    tmp_path: Path, tree: FolderTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "locked").mkdir()
    (tmp_path / "z").write_bytes(b"")

    def refuse(fd: int) -> list[str]:
        if os.readlink(f"/proc/self/fd/{fd}").endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return real(fd)

    real = os.listdir
    monkeypatch.setattr(os, "listdir", refuse)
    assert [e.path for e in tree.entries()] == ["/locked", "/z"]
    assert [w.detail for w in tree.warnings] == ["/locked: Permission denied"]


def test_manifest_of_a_copy_is_the_same_and_of_a_change_is_not(tmp_path: Path) -> None:
    first = tmp_path / "a"
    (first / "etc").mkdir(parents=True)
    (first / "etc/passwd").write_bytes(b"root:x:0:0::/root:/bin/sh\n")
    (first / "etc/link").symlink_to("passwd")
    shutil.copytree(first, tmp_path / "b", symlinks=True)
    digests = []
    for name in ("a", "b"):
        root = open_root(tmp_path / name)
        tree = FolderTree(root)
        lines: list[bytes] = []
        made = manifest(tree, lines.append)
        assert made.digest == hashlib.sha256(b"".join(lines)).hexdigest()
        assert (made.entries, made.size, made.gaps) == (3, 26, ())
        digests.append(made.digest)
        (tmp_path / name / "etc/passwd").write_bytes(b"root:x:0:0::/root:/bin/xx\n")
        digests.append(manifest(tree).digest)
        tree.close()
        os.close(root)
    assert digests[0] == digests[2]
    assert digests[1] != digests[0]
