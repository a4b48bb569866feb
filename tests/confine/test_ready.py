# SPDX-License-Identifier: Apache-2.0
"""Children made by fork: one that is less confined, knows more of its parent, or answers otherwise than one started anew."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from headwater.confine import ready

HOSTILE = str(Path(__file__).parent / "hostile")
pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or (os.cpu_count() or 1) > ready.THREADS_MOST, reason="children are not made by fork here"
)

_BOTH = """
import json, os, sys
from headwater.confine import ready
from headwater.confine.pool import Limits, Pool, Task
light, given = Limits(start=60.0), json.loads(sys.argv[2])
file = os.open(given["file"], os.O_RDONLY)
made = ready.stand_by(1, ["polars"])
told = {"made": made}
for name in ("forked", "anew"):
    with Pool(1, light, paths=[sys.argv[1]]) as pool:
        said = []
        tasks = [Task("e", "attempts:environment"), Task("a", "attempts:allowed"),
                 Task("r", "attempts:attempt", given, (file,))]
        ends = [o.status for o in pool.run(tasks, lambda m: said.append([m.task_id, m.header]))]
        told[name] = {"level": pool.level, "ends": ends, "said": said, "kind": type(pool._workers[0].process).__name__}
print(json.dumps(told))
"""


def _program(code: str, *arguments: str, **more: str) -> str:
    environment = os.environ | {"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1", "SECRET_TOKEN": "s3cret"} | more
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_forked_child_is_held_as_one_that_is_started_anew(tmp_path: Path) -> None:
    sys.path.insert(0, HOSTILE)
    try:
        import attempts  # type: ignore[import-not-found]
    finally:
        sys.path.remove(HOSTILE)
    names = [name for some in attempts.all_attempts() for name in some]
    given = {"names": names, "home": str(Path.home()), "file": str(tmp_path / "f")}
    (tmp_path / "f").write_bytes(b"x")
    told = json.loads(_program(_BOTH, HOSTILE, json.dumps(given)))
    forked, anew = told["forked"], told["anew"]
    assert told["made"] == 1
    assert (forked["kind"], anew["kind"]) == ("Forked", "Popen")
    assert forked["level"] == anew["level"]
    assert forked["ends"] == anew["ends"] == ["done"] * 3

    def said(which: dict[str, Any], task: str) -> list[Any]:
        return [header for name, header in which["said"] if name == task]

    results = [{m["name"]: m["result"] for m in said(which, "r")} for which in (forked, anew)]
    assert results[0] == results[1]
    if "seccomp" in forked["level"] and any(word.startswith("landlock") for word in forked["level"]):
        assert set(results[0].values()) == {"refused"}
    assert said(forked, "a") == said(anew, "a")
    mine, other = said(forked, "e")[0], said(anew, "e")[0]
    for same in ("cwd", "hash", "bytecode", "encoding"):
        assert mine[same] == other[same], same
    assert mine["env"] == other["env"] | {"PYTHONPATH": mine["env"]["PYTHONPATH"]}
    assert not [n for n in mine["env"] if "SECRET" in n]
    assert len(mine["open"]) <= len(other["open"])
    assert set(mine["path"]) <= set(other["path"])


def test_environment_of_the_parent_lies_in_no_memory_where_it_first_stood() -> None:
    code = (
        "from headwater.confine import ready\n"
        "before = open('/proc/self/environ', 'rb').read()\n"
        "ready._forget_surroundings()\n"
        "print(b's3cret' in before, b's3cret' in open('/proc/self/environ', 'rb').read())"
    )
    assert _program(code).split() == ["True", "False"]


def test_forked_child_of_an_investigation_holds_nothing_of_the_vault_or_the_report() -> None:
    code = (
        "import sys, headwater.cli.main, headwater.cli.investigate\n"
        "from headwater.procedure import children\n"
        "from headwater.confine.pool import Pool, Task\n"
        "children.stand_by(1)\n"
        "with Pool(1, paths=[sys.argv[1]]) as pool:\n"
        "    list(pool.run([Task('e', 'attempts:environment')], lambda m: print(*m.header['modules'])))\n"
        "    print(type(pool._workers[0].process).__name__)"
    )
    modules, kind = _program(code, HOSTILE).splitlines()
    rooms = {name.split(".")[1] for name in modules.split() if name.startswith("headwater.")}
    assert kind == "Forked"
    assert "examine" in rooms
    assert not rooms & {"vault", "case", "report", "detect", "correlate", "reconstruct", "acquire", "scene"}


@pytest.mark.parametrize("why", ["hashes", "thread", "traced", "no-proc"])
def test_no_child_is_forked_where_it_would_differ(why: str) -> None:
    code = (
        "import sys, threading\n"
        "from headwater.confine import ready\n"
        "why = sys.argv[1]\n"
        "if why == 'thread': threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "if why == 'traced': sys.settrace(lambda *a: None)\n"
        "def missing(path): raise FileNotFoundError(path)\n"
        "if why == 'no-proc': ready.os.listdir = missing\n"
        "print(ready.stand_by(1, ['json']), ready.take())"
    )
    assert _program(code, why, PYTHONHASHSEED="random" if why == "hashes" else "0").split() == ["0", "None"]


def test_one_that_died_while_it_waited_is_not_taken() -> None:
    code = (
        "import os, signal, time\n"
        "from headwater.confine import ready\n"
        "print(ready.stand_by(2, ['json']))\n"
        "last = ready._standing[-1].process\n"
        "os.kill(last.pid, signal.SIGKILL)\n"
        "while last.poll() is None: time.sleep(0.01)\n"
        "one = ready.take()\n"
        "print(one.process.pid != last.pid, ready.take())\n"
        "one.process.kill(); print(one.process.wait())"
    )
    assert _program(code).split() == ["2", "True", "None", "-9"]


def test_program_starts_again_once_and_keeps_its_arguments() -> None:
    code = (
        "import os, sys\n"
        "from headwater.confine import ready\n"
        "print('begun', flush=True)\n"
        "ready.start_again()\n"
        "print(sys.flags.hash_randomization, sys.argv[1:], os.getpid() == int(os.environ.setdefault('FIRST', str(os.getpid()))))"
    )
    environment = {n: v for n, v in os.environ.items() if n != "PYTHONHASHSEED"}
    done = subprocess.run(
        [sys.executable, "-c", code, "a b", "检材"], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.splitlines() == ["begun", "begun", "0 ['a b', '检材'] True"]
