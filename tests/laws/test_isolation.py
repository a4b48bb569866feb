# SPDX-License-Identifier: Apache-2.0
"""Law 5, isolation: what a confined child tries beyond parsing is refused, and the level reached is said."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater.confine.pool import Limits, Message, Outcome, Pool, Task

HOSTILE = Path(__file__).parent.parent / "confine" / "hostile"
sys.path.append(str(HOSTILE))
import attempts  # noqa: E402

CHANGES, READS = attempts.all_attempts()
if os.uname().machine != "x86_64":  # raw call numbers in the list are this machine's
    RAW = {"memory-of-parent", "mount", "unshare", "bpf", "keyring", "userfault", "handle", "x32"}
    CHANGES = [c for c in CHANGES if c not in RAW]


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool(1, Limits(wall=60.0), paths=[str(HOSTILE)]) as pool:
        yield pool


def _tried(pool: Pool, folder: Path, names: list[str]) -> dict[str, str]:
    """What came of each attempt; checks that the file tried at is as it was."""
    file = folder / "evidence"
    file.write_bytes(b"as it was")
    before = os.stat(file)
    fd = os.open(file, os.O_RDONLY)
    results: dict[str, str] = {}

    def collect(message: Message) -> None:
        results[message.header["name"]] = message.header["result"]

    args = {"names": names, "file": str(file), "home": str(Path.home())}
    outcomes: list[Outcome] = list(pool.run([Task("try", "attempts:attempt", args, (fd,))], collect))
    os.close(fd)
    assert [o.status for o in outcomes] == ["done"], outcomes
    assert file.read_bytes() == b"as it was"
    after = os.stat(file)
    assert (after.st_mode, after.st_mtime_ns, after.st_ctime_ns) == (
        before.st_mode,
        before.st_mtime_ns,
        before.st_ctime_ns,
    )
    assert sorted(p.name for p in folder.iterdir()) == ["evidence"]
    return results


def test_change_network_process_attempts_are_refused(pool: Pool, tmp_path: Path) -> None:
    if "seccomp" not in pool.level:
        pytest.skip("this kernel or container permits no seccomp filter")
    assert _tried(pool, tmp_path, CHANGES) == dict.fromkeys(CHANGES, "refused")


def test_reading_beyond_the_library_is_refused(pool: Pool, tmp_path: Path) -> None:
    if not [w for w in pool.level if w.startswith("landlock")]:
        pytest.skip("this kernel has no Landlock")
    assert _tried(pool, tmp_path, READS) == dict.fromkeys(READS, "refused")


def test_without_landlock_changes_are_still_refused_and_the_level_says_so(tmp_path: Path) -> None:
    with Pool(1, Limits(landlock=False), paths=[str(HOSTILE)]) as pool:
        if "seccomp" not in pool.level:
            pytest.skip("this kernel or container permits no seccomp filter")
        assert not [w for w in pool.level if w.startswith("landlock")]
        assert _tried(pool, tmp_path, CHANGES) == dict.fromkeys(CHANGES, "refused")


def test_level_is_said_in_words(pool: Pool) -> None:
    assert {"rlimits", "no-new-privs"} <= set(pool.level)
    assert all(isinstance(word, str) and word for word in pool.level)


def test_what_parsing_needs_is_there(pool: Pool) -> None:
    messages: list[Message] = []
    outcomes = list(pool.run([Task("a", "attempts:allowed")], messages.append))
    assert [o.status for o in outcomes] == ["done"], outcomes
    assert messages[0].header == {
        "thread": [1],
        "spool": "spooled",
        "groups": 7,
        "zone": "Asia/Shanghai",
        "lazy": "1.5",
    }


_AS_NOBODY = """
import os, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
sys.path[:0] = sys.argv[1].split(os.pathsep)
from headwater.confine.pool import Pool, Task, Limits
import attempts
with Pool(1, Limits(wall=60.0), paths=[sys.argv[2]]) as pool:
    print(*pool.level)
    changes = [c for c in attempts.all_attempts()[0] if "descriptor" not in c]
    def show(m):
        if m.header.get("result") == "possible":
            print(m.header)
    args = {"names": changes, "file": "/tmp/none", "home": "/root"}
    tasks = [Task("t", "attempts:attempt", args), Task("h", "attempts:hog"), Task("s", "attempts:crash")]
    for o in pool.run(tasks, show):
        print(o.task_id, o.status)
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """One that nobody may enter; pytest closes its own to others, each time that any run of it starts."""
    with tempfile.TemporaryDirectory(prefix="headwater-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def test_a_user_without_rights_is_confined_as_well(open_folder: Path) -> None:
    """Run by root as nobody, with the system's own interpreter where ours lies in a closed folder."""
    if os.geteuid() != 0:
        pytest.skip("the other tests have already run without rights")
    probe = "import os; os.setuid(65534); import sys; assert sys.version_info >= (3, 11); import encodings"
    python = next(
        (
            p
            for p in (sys.executable, shutil.which("python3", path="/usr/bin:/usr/local/bin"))
            if p and subprocess.run([p, "-c", f"{probe}; open({p!r}).close()"], capture_output=True).returncode == 0
        ),
        None,
    )
    if python is None:
        pytest.skip("no interpreter of 3.11 or newer that nobody may run")
    source = shutil.copytree(Path(__file__).parents[2] / "src" / "headwater", open_folder / "src" / "headwater")
    hostile = shutil.copytree(HOSTILE, open_folder / "hostile")
    ran = subprocess.run(
        [python, "-c", _AS_NOBODY, f"{source.parent}:{hostile}", str(hostile)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    lines = ran.stdout.splitlines()
    assert lines, ran.stderr
    assert {"rlimits", "no-new-privs"} <= set(lines[0].split())
    assert lines[1:] == ["t done", "h memory", "s crashed"], ran.stdout + ran.stderr
