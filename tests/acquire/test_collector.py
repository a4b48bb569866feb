# SPDX-License-Identifier: Apache-2.0
"""The collector on a server: what it finds is what is there, and nothing on the server stalls it, fools it or is touched."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from collecting_here import content, interpreters, listed, stream_of, tree_of

from headwater.acquire import collector, collector_shell
from headwater.formats.sources import MemorySource
from headwater.model.paths import decode_name, encode_name

INTERPRETERS = interpreters()


def _files(*patterns: object, exclude: tuple[str, ...] = (), name: str = "x") -> dict[str, Any]:
    return {"name": name, "collect": [{"files": [str(p) for p in patterns], "exclude": list(exclude)}]}


def _said(stream: bytes, path: str) -> dict[str, str]:
    """The fields of the members at a path, later ones winning."""
    found: dict[str, str] = {}
    for member in tree_of(stream).members():
        if encode_name(member.path) == path:
            found |= member.said | {"status": member.status}
    return found


@pytest.fixture
def ground(tmp_path: Path) -> Path:
    """A folder with a little of everything that a server's folder may hold."""
    top = tmp_path / "g"
    (top / "deep/er").mkdir(parents=True)
    (top / "a.txt").write_bytes(b"first\n")
    (top / "empty").write_bytes(b"")
    (top / "deep/er/b.bin").write_bytes(os.urandom(600_000))
    (top / "link").symlink_to("a.txt")
    (top / "loop").symlink_to("loop")
    (top / "up").symlink_to("..")
    os.mkfifo(top / "pipe")
    odd = os.path.join(os.fsencode(top), b"new\nline \x1b[31m \xff%.txt")
    with open(odd, "wb") as file:
        file.write(b"odd")
    return top


@pytest.mark.parametrize("python", INTERPRETERS, ids=lambda p: p.replace("/", "_"))
def test_what_arrives_is_what_is_there_by_any_python(ground: Path, python: str) -> None:
    stream = stream_of([_files(f"{ground}/**")], python)
    tree = tree_of(stream)
    found = listed(tree)
    assert not tree.warnings
    for path in [ground, *ground.rglob("*")]:
        entry = found[encode_name(os.fsencode(path))]
        st = os.lstat(path)
        assert (entry.mode, entry.uid, entry.inode, entry.modified) == (
            st.st_mode,
            st.st_uid,
            st.st_ino,
            st.st_mtime_ns,
        )
        if path.is_file() and not path.is_symlink():
            assert content(tree, entry) == path.read_bytes()
            said = _said(stream, encode_name(os.fsencode(path)))
            assert said["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
            assert said["md5"] == hashlib.md5(path.read_bytes()).hexdigest()
            assert said["status"] == ("success" if path.stat().st_size else "empty")
    assert found[encode_name(os.fsencode(ground / "loop"))].target == "loop"
    assert len(found) == len(list(ground.rglob("*"))) + 1


def test_fifo_and_socket_are_listed_and_never_opened(ground: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(ground / "sock"))
        began = time.monotonic()
        found = listed(tree_of(stream_of([_files(f"{ground}/**")])))
    assert time.monotonic() - began < 60
    assert found[f"{ground}/pipe"].kind == "fifo"
    assert found[f"{ground}/sock"].kind == "socket"


def test_hostile_name_keeps_its_bytes_and_no_control_reaches_a_path(ground: Path) -> None:
    found = listed(tree_of(stream_of([_files(f"{ground}/**")])))
    odd = [p for p in found if "line" in p]
    assert decode_name(odd[0]).endswith(b"new\nline \x1b[31m \xff%.txt")
    assert "\n" not in odd[0]
    assert "\x1b" not in odd[0]


def test_sparse_file_is_not_sent_as_its_zeros(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(16 << 20)
        file.seek(8 << 20)
        file.write(b"middle" * 1000)
    if path.stat().st_blocks * 512 > 8 << 20:
        pytest.skip("the file system here keeps no holes")
    stream = stream_of([_files(path)])
    assert len(stream) < 1 << 20
    tree = tree_of(stream)
    data = content(tree, listed(tree)[str(path)])
    assert data == path.read_bytes()
    assert _said(stream, str(path))["sha256"] == hashlib.sha256(data).hexdigest()


def test_growing_file_is_taken_as_long_as_it_was_and_said_to_grow(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"x" * (12 << 20))
    stop = threading.Event()

    def grow() -> None:
        with path.open("ab") as file:
            while not stop.is_set():
                file.write(b"y" * 4096)
                file.flush()

    worker = threading.Thread(target=grow)
    worker.start()
    try:
        stream = stream_of([_files(path)])
    finally:
        stop.set()
        worker.join()
    said = _said(stream, str(path))
    assert said["changed_while_read"] == "grew"
    assert said["status"] == "success"
    assert len(stream) < path.stat().st_size + (1 << 20)


def test_file_larger_than_its_limit_is_cut_and_said_so(tmp_path: Path) -> None:
    path = tmp_path / "big"
    path.write_bytes(b"z" * (3 << 20))
    stream = stream_of([_files(path)], file_most=1 << 20)
    tree = tree_of(stream)
    assert listed(tree)[str(path)].size == 1 << 20
    assert [w.detail for w in tree.warnings if "larger than the limit" in w.detail]


def test_stream_that_reaches_its_limit_ends_in_order(tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"{number}").write_bytes(os.urandom(100_000))
    stream = stream_of([_files(f"{tmp_path}/*")], most=2_000_000)
    assert len(stream) < 2_100_000
    assert b"\nfull=1\n" in stream[-200:]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file_is_listed_as_failed(tmp_path: Path) -> None:
    path = tmp_path / "closed"
    path.write_bytes(b"secret")
    path.chmod(0)
    assert _said(stream_of([_files(path)]), str(path))["status"] == "failed"


def test_access_time_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "old"
    path.write_bytes(b"x" * 1000)
    os.utime(path, ns=(1_000_000_000, 2_000_000_000_000_000_000))
    stream = stream_of([_files(path)])
    assert path.stat().st_atime_ns == 1_000_000_000
    assert _said(stream, str(path))["atime"] == "kept"


def test_link_before_the_first_wildcard_is_gone_through_and_recorded(tmp_path: Path) -> None:
    (tmp_path / "data/log").mkdir(parents=True)
    (tmp_path / "data/log/auth.log").write_bytes(b"line\n")
    (tmp_path / "var").mkdir()
    (tmp_path / "var/log").symlink_to("../data/log")
    found = listed(tree_of(stream_of([_files(f"{tmp_path}/var/log/**")])))
    assert found[f"{tmp_path}/var/log"].target == "../data/log"
    assert f"{tmp_path}/data/log/auth.log" in found


def test_links_that_lead_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    found = listed(tree_of(stream_of([_files(f"{tmp_path}/a/**")])))
    assert set(found) == {f"{tmp_path}/a", f"{tmp_path}/b"}


def test_file_that_two_artifacts_name_is_sent_once_and_excludes_hold(ground: Path) -> None:
    orders = [
        _files(f"{ground}/a.txt", name="one"),
        _files(f"{ground}/**", exclude=(f"{ground}/deep/**",), name="two"),
        _files(f"{ground}/deep/er/*", name="three"),
    ]
    paths = [(encode_name(m.path), m.said.get("artifact")) for m in tree_of(stream_of(orders)).members()]
    assert len({p for p, _ in paths}) == len(paths)
    assert (f"{ground}/a.txt", "one") in paths
    assert (f"{ground}/deep/er/b.bin", "three") in paths
    assert f"{ground}/deep" not in {p for p, _ in paths}


def test_pattern_without_a_match_is_listed_as_missing(tmp_path: Path) -> None:
    members = list(tree_of(stream_of([_files(f"{tmp_path}/nothing", f"{tmp_path}/*.none")])).members())
    assert [(m.kind, m.status) for m in members] == [("missing", "missing")] * 2


def test_very_deep_folder_costs_neither_descriptors_nor_the_rest(tmp_path: Path) -> None:
    (tmp_path / "z").write_bytes(b"after")
    at = os.open(tmp_path, os.O_RDONLY)
    for _ in range(500):
        os.mkdir("d" * 20, dir_fd=at)
        below = os.open("d" * 20, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    try:
        tree = tree_of(stream_of([_files(f"{tmp_path}/**")]))
        found = listed(tree)
        assert f"{tmp_path}/z" in found
        assert len(found) > 390
        assert any("folders deep" in w.detail for w in tree.warnings)
    finally:
        subprocess.run(["rm", "-rf", str(tmp_path / ("d" * 20))], check=True)


def test_command_is_recorded_with_line_exit_times_and_digests() -> None:
    orders = [
        {"name": "say", "collect": [{"command": ["sh", "-c", "echo out; echo err >&2; exit 3"], "timeout": 20}]},
        {"name": "none", "collect": [{"command": ["no-such-tool-at-all"], "timeout": 20}]},
    ]
    tree = tree_of(stream_of(orders))
    found = listed(tree)
    assert content(tree, found["/@command/say.stdout"]) == b"out\n"
    assert content(tree, found["/@command/say.stderr"]) == b"err\n"
    told = json.loads(content(tree, found["/@command/say.json"]))
    assert told["line"] == "sh -c 'echo out; echo err >&2; exit 3'"
    assert (told["exit"], told["status"]) == (3, "success")
    assert told["sha256"] == hashlib.sha256(b"out\n").hexdigest()
    assert told["start"] < told["end"]
    assert json.loads(content(tree, found["/@command/none.json"]))["status"] == "missing"


def test_tool_that_hangs_or_prints_without_end_is_ended() -> None:
    orders = [
        {"name": "hang", "collect": [{"command": ["sh", "-c", "echo a; sleep 100"], "timeout": 1}]},
        {"name": "flood", "collect": [{"command": ["sh", "-c", "while :; do echo y; done"], "timeout": 1}]},
        {"name": "left", "collect": [{"command": ["sh", "-c", "sleep 90 & echo done"], "timeout": 50}]},
        {"name": "after", "collect": [{"command": ["echo", "still here"], "timeout": 20}]},
    ]
    began = time.monotonic()
    stream = stream_of(orders)
    assert time.monotonic() - began < 45
    tree = tree_of(stream)
    found = listed(tree)
    for name in ("hang", "flood"):
        assert json.loads(content(tree, found[f"/@command/{name}.json"]))["status"] == "timeout"
    assert content(tree, found["/@command/left.stdout"]) == b"done\n"
    assert content(tree, found["/@command/after.stdout"]) == b"still here\n"


def test_command_gets_nothing_of_the_logins_environment() -> None:
    os.environ["HEADWATER_TEST_LEAK"] = "1"
    try:
        tree = tree_of(stream_of([{"name": "env", "collect": [{"command": ["env"], "timeout": 20}]}]))
    finally:
        del os.environ["HEADWATER_TEST_LEAK"]
    said = content(tree, listed(tree)["/@command/env.stdout"]).decode()
    assert "HEADWATER_TEST_LEAK" not in said
    assert "LD_PRELOAD" not in said


def test_program_that_was_deleted_is_had_back_from_its_process(tmp_path: Path) -> None:
    program = tmp_path / "gone"
    program.write_bytes(Path("/bin/sleep").resolve().read_bytes())
    program.chmod(0o700)
    digest = hashlib.sha256(program.read_bytes()).hexdigest()
    child = subprocess.Popen([str(program), "60"])
    try:
        time.sleep(0.2)
        program.unlink()
        stream = stream_of([{"name": "d", "collect": [{"recover": "deleted"}]}])
    finally:
        child.kill()
        child.wait()
    said = _said(stream, f"/@deleted/{child.pid}/exe")
    assert said["sha256"] == digest
    assert said["origin"].endswith("gone%20(deleted)")


def test_process_facts_and_listings_past_the_library_agree_with_the_system(ground: Path) -> None:
    orders = [
        {"name": "proc-pid", "collect": [{"process": ["cmdline", "status"], "links": ["exe", "fd"]}]},
        {"name": "raw-pids", "collect": [{"raw": "pids"}]},
        {"name": "ls-x", "collect": [{"raw": "names", "path": str(ground)}]},
        {"name": "raw-net", "collect": [{"raw": "files", "paths": ["/proc/net/tcp"]}]},
    ]
    tree = tree_of(stream_of(orders))
    found = listed(tree)
    own = os.getpid()
    assert content(tree, found[f"/proc/{own}/cmdline"]) == Path("/proc/self/cmdline").read_bytes()
    assert found[f"/proc/{own}/exe"].target == encode_name(os.fsencode(os.readlink("/proc/self/exe")))
    assert found[f"/proc/{own}/cmdline"].modified is None  # a time of /proc is the time of asking
    if "/@raw/pids.txt" in found and found["/@raw/pids.txt"].size:
        lines = content(tree, found["/@raw/pids.txt"]).decode().splitlines()
        assert any(line.startswith(f"{own}\tlisted\t") for line in lines)
        assert not [line for line in lines if "\tunlisted\t" in line]
        names = {line.split("\t")[2] for line in content(tree, found["/@raw/ls-x.txt"]).decode().splitlines()[1:]}
        assert {"a.txt", "pipe", "deep", ".", ".."} <= names


def test_collector_ends_when_nobody_takes_its_stream(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * (30 << 20))
    order = collector.order_of("0" * 16, [_files(f"{tmp_path}/**") for _ in range(50)], tool="t", facts={})
    child = subprocess.Popen(
        [sys.executable, "-I", "-S", "-B", "-c", collector.BOOT],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(collector.said(collector.script()) + collector.said(order))
    child.stdin.flush()
    child.stdout.read(1000)
    child.stdout.close()
    assert child.wait(30) == 1
    child.communicate()


def test_without_python_or_with_sudo_the_shell_goes_on_with_what_follows() -> None:
    program = b"printf 'here %s\\n' \"$0\"\nexit 7\n"
    done = subprocess.run(["sh"], input=collector.start(shell_only=True) + program, capture_output=True, timeout=30)
    assert done.stdout.startswith(b"N\nhere ")
    assert done.returncode == 7
    assert b"exec sudo -n -- sh -c" in collector.start(sudo=True)
    as_root = collector.start(shell_only=True, sudo=True).replace(b"sudo -n -- ", b"")
    line = subprocess.Popen(["sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert line.stdin is not None
    assert line.stdout is not None
    line.stdin.write(as_root)
    line.stdin.flush()
    assert line.stdout.read(2) == b"N\n"  # as the procedure does: the program is sent once this has come
    line.stdin.write(program)
    line.stdin.close()
    assert line.stdout.read().startswith(b"here ")
    assert line.wait(30) == 7
    line.stdout.close()


def test_script_is_what_python_36_can_read() -> None:
    import ast

    text = collector.script().decode()
    ast.parse(text, feature_version=(3, 6))
    assert "from headwater" not in text
    assert "import headwater" not in text


@pytest.mark.skipif(
    not hasattr(sys, "getandroidapilevel") and not Path("/proc/self/io").exists(), reason="no /proc/PID/io"
)
def test_collector_writes_nothing_but_its_stream(ground: Path, tmp_path: Path) -> None:
    import shutil

    if shutil.which("strace") is None:
        pytest.skip("strace is absent")
    log = tmp_path / "trace"
    order = collector.order_of("0" * 16, [_files(f"{ground}/**")], tool="t", facts={})
    done = subprocess.run(
        ["strace", "-f", "-o", str(log), "-e", "trace=%file", sys.executable, "-I", "-S", "-B", "-c", collector.BOOT],
        input=collector.said(collector.script()) + collector.said(order), capture_output=True, timeout=100,
    )  # fmt: skip
    if done.returncode and b"ptrace" in done.stderr:
        pytest.skip("strace may not trace here")
    text = log.read_text(errors="replace")
    opened = [
        line
        for line in text.splitlines()
        if " open" in line and ("O_WRONLY" in line or "O_RDWR" in line or "O_CREAT" in line)
    ]
    assert not [line for line in opened if "/dev/null" not in line]
    assert not [
        line for line in text.splitlines() if any(c in line for c in (" mkdir(", " unlink(", " rename(", " utime"))
    ]


@pytest.mark.parametrize("digesting", [True, False], ids=["digests", "no-digests"])
@pytest.mark.parametrize("shell", ["dash", "bash", "busybox sh"])
def test_any_posix_shell_gives_the_files_their_lengths_whatever_happens(
    ground: Path, shell: str, digesting: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shutil import which

    words = shell.split()
    if which(words[0]) is None:
        pytest.skip(f"{words[0]} is absent")
    if not digesting:  # a server that has no such tool
        bare = collector_shell._HEAD.replace("command -v sha256sum", "command -v no-such-tool")
        monkeypatch.setattr(collector_shell, "_HEAD", bare)
    orders = [
        _files(f"{ground}/**", f"{ground}/none*", "/proc/self/no-such"),
        {"name": "say", "collect": [{"command": ["sh", "-c", "echo out; echo err >&2; exit 3"], "timeout": 20}]},
        {"name": "hang", "collect": [{"command": ["sleep", "50"], "timeout": 1}]},
        {"name": "p", "collect": [{"pseudo": ["/proc/net/tcp", "/proc/self/environ"]}]},
    ]
    program = collector_shell.program("0123456789abcdef", orders, tool='a $(touch x) `b` "c" \'', facts={})
    done = subprocess.run(words, input=program, capture_output=True, timeout=90, cwd=ground)
    assert done.returncode == 0, done.stderr[-500:]
    tree, program_of = tree_of(done.stdout), MemorySource(done.stdout)
    found = listed(tree)
    assert tree.facts["tool"] == 'a $(touch x) `b` "c" \''
    assert not [w for w in tree.warnings if w.detail.startswith(("no record", "the stream"))]
    for path in ground.rglob("*"):
        entry = found[encode_name(os.fsencode(path))]
        if path.is_file() and not path.is_symlink():
            assert content(tree, entry) == path.read_bytes()
    assert content(tree, found["/@command/say.stdout"]) == b"out\n"
    assert content(tree, found["/@command/say.stderr"]) == b"err\n"
    assert json.loads(content(tree, found["/@command/say.json"]))["exit"] == 3
    assert json.loads(content(tree, found["/@command/hang.json"]))["status"] == "timeout"
    assert content(tree, found["/proc/net/tcp"]).startswith(b"  sl")
    stated = 0
    for member in tree.members():
        if member.kind in ("file", "command") and member.size and "pseudo" not in member.said:
            data = b"".join(program_of.pread(at, length) for at, length in member.data)
            sha, md5 = hashlib.sha256(data).hexdigest(), hashlib.md5(data).hexdigest()
            held = (member.said.get("sha256"), member.said.get("md5"))
            assert held == ((sha, md5) if digesting else (None, None)), member.path
            stated += 1
    assert stated >= 4
    assert not (ground / "x").exists()


def test_walk_without_a_mount_table_says_that_it_may_enter_what_is_mounted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headwater.acquire import collector_walk

    said: list[tuple[bytes, int | None]] = []

    class Hearer:
        class watch:
            @staticmethod
            def set(seconds: int) -> None: ...

        class wire:
            @staticmethod
            def record(kind: str, fields: dict[str, str], last: bytes) -> None: ...

        @staticmethod
        def failed(fields: dict[str, str], path: bytes, error: OSError) -> None:
            said.append((path, error.errno))

    table = tmp_path / "mountinfo"
    for words, why in ((None, errno.ENOENT), (b"not a mount table\n", errno.EINVAL)):
        if words is not None:
            table.write_bytes(words)
        monkeypatch.setattr(collector_walk, "MOUNTS", bytes(table))
        walker = collector_walk.Walker(Hearer())  # type: ignore[arg-type]
        walker.collect("a", [b"/nonexistent/*"], [])
        walker.collect("b", [b"/nonexistent/*"], [])
        assert said == [(bytes(table), why)]
        said.clear()
