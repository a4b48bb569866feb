# SPDX-License-Identifier: Apache-2.0
"""The pool: a child that dies, hangs, lies or eats memory costs its own task and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater.confine.pool import Early, Limits, Message, Outcome, Pool, Task
from headwater.model.errors import ExamineError

HOSTILE = str(Path(__file__).parent / "hostile")
SMALL = Limits(data=400 << 20, scratch=8 << 20, wall=20.0, cpu=20, blob=1 << 20, header=1 << 16, total=32 << 20)


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool(2, SMALL, paths=[HOSTILE]) as pool:
        yield pool


def run(pool: Pool, *tasks: Task) -> tuple[dict[str, Outcome], list[Message]]:
    messages: list[Message] = []
    outcomes = {o.task_id: o for o in pool.run(tasks, messages.append)}
    assert set(outcomes) == {t.id for t in tasks}
    return outcomes, messages


def one(pool: Pool, call: str, **args: object) -> tuple[Outcome, list[Message]]:
    """Run one attempt beside an honest task, which must come through whatever the other does."""
    outcomes, messages = run(pool, Task("it", f"attempts:{call}", args), Task("honest", "attempts:count", {"n": 3}))
    assert outcomes["honest"].status == "done"
    assert [m.header["i"] for m in messages if m.task_id == "honest"] == [0, 1, 2]
    return outcomes["it"], [m for m in messages if m.task_id == "it"]


def test_messages_out_of_order(pool: Pool) -> None:
    tasks = [Task(f"t{i}", "attempts:count", {"n": 300}) for i in range(4)]
    outcomes, messages = run(pool, *tasks)
    assert {o.status for o in outcomes.values()} == {"done"}
    for task in tasks:
        mine = [m for m in messages if m.task_id == task.id]
        assert [m.header["i"] for m in mine] == list(range(300))
        assert all(m.blob == bytes([i % 256]) * (i * 37 % 3000) for i, m in enumerate(mine))


def test_descriptor_of_another_task_is_gone(pool: Pool, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"EVIDENCE-A")
    fd = os.open(tmp_path / "a", os.O_RDONLY)
    try:
        outcomes, messages = run(pool, Task("a", "attempts:echo", {"k": "值"}, (fd, fd)))
        assert outcomes["a"].status == "done"
        assert messages[0].header == {"args": {"k": "值"}, "heads": [b"EVIDENCE".hex()] * 2}
        _, messages = run(pool, Task("b", "attempts:environment"))
        before = messages[0].header["open"]
        run(pool, *[Task(f"l{i}", "attempts:leak", {}, (fd,)) for i in range(4)])
        _, messages = run(pool, Task("c", "attempts:environment"))
        assert messages[0].header["open"] == before
        os.fstat(fd)  # the caller's own is still open
    finally:
        os.close(fd)


def test_a_set_of_many_segments_loses_none(pool: Pool, tmp_path: Path) -> None:
    fds = []
    try:
        for n in range(700):
            (tmp_path / str(n)).write_bytes(b"%08d" % n)
            fds.append(os.open(tmp_path / str(n), os.O_RDONLY))
        outcomes, messages = run(
            pool, Task("many", "attempts:echo", {}, tuple(fds)), Task("few", "attempts:count", {"n": 2})
        )
        assert {o.status for o in outcomes.values()} == {"done"}
        heads = next(m.header["heads"] for m in messages if m.task_id == "many")
        assert heads == [(b"%08d" % n).hex() for n in range(700)]
    finally:
        for fd in fds:
            os.close(fd)


def test_a_long_task_may_use_more_than_the_others() -> None:
    with Pool(1, Limits(data=400 << 20, wall=20.0, cpu=1), paths=[HOSTILE]) as pool:
        outcomes, _ = run(
            pool,
            Task("long", "attempts:burn", {"seconds": 2.5}, cpu=30),
            Task("short", "attempts:burn", {"seconds": 30.0}),
        )
    assert outcomes["long"].status == "done"
    assert outcomes["short"].status == "cpu"


def test_descriptor_that_is_closed_fails_at_once(pool: Pool) -> None:
    outcomes, _ = run(pool, Task("a", "attempts:echo", {}, (9999,)), Task("b", "attempts:count", {"n": 1}))
    assert (outcomes["a"].status, outcomes["b"].status) == ("failed", "done")
    assert outcomes["a"].detail.startswith("its descriptors cannot be handed over")


def test_environment_of_the_parent_leaks(pool: Pool) -> None:
    _, messages = run(pool, Task("e", "attempts:environment"))
    environment = messages[0].header["env"]
    assert environment["HOME"] == "/nonexistent"
    assert environment["TZ"] == "UTC"
    assert not [k for k in environment if "proxy" in k.lower() or "KEY" in k or "TOKEN" in k]
    assert messages[0].header["cwd"] == "/"


@pytest.mark.parametrize("call", ["hog", "hog_once"])
def test_memory_eaten(pool: Pool, call: str) -> None:
    outcome, _ = one(pool, call)
    assert (outcome.status, outcome.attempts) == ("memory", 2)


def test_memory_eaten_by_native_code(pool: Pool) -> None:
    outcome, _ = one(pool, "hog_native")
    assert (outcome.status, outcome.attempts) == ("memory", 2)


def test_memory_hidden_in_anonymous_files(pool: Pool) -> None:
    outcome, _ = one(pool, "hog_spool", mib=4)
    assert (outcome.status, outcome.attempts) == ("memory", 2)


def test_threads_without_end(pool: Pool) -> None:
    outcome, _ = one(pool, "hog_threads")
    assert (outcome.status, outcome.attempts) == ("memory", 2)


@pytest.mark.parametrize("call", ["loop", "loop_deaf"])
def test_loop_without_end(call: str) -> None:
    with Pool(2, Limits(wall=0.5), paths=[HOSTILE]) as pool:
        outcome, messages = one(pool, call)
    assert (outcome.status, outcome.detail, outcome.attempts) == ("timeout", "more than 0.5 s", 2)
    assert [m.attempt for m in messages] == ([1, 2] if call == "loop" else [])


def test_wall_clock_of_one_task(pool: Pool) -> None:
    outcomes, _ = run(pool, Task("s", "attempts:sleep", {"seconds": 60}, wall=0.3))
    assert outcomes["s"].status == "timeout"


@pytest.mark.parametrize("call", ["loop", "loop_deaf"])
def test_cpu_used_up(call: str) -> None:
    with Pool(1, Limits(cpu=0, wall=60.0), paths=[HOSTILE]) as pool:
        outcomes, _ = run(pool, Task("c", f"attempts:{call}"))
    assert (outcomes["c"].status, outcomes["c"].detail) == ("cpu", "more than 0 CPU s")


@pytest.mark.parametrize(
    ("call", "status", "detail"),
    [
        ("crash", "crashed", "signal 11 (SIGSEGV)"),
        ("leave", "crashed", "exit 0 before the task was done"),
        ("close_socket", "crashed", "closed its socket"),
        ("leave_politely", "failed", "SystemExit: 0"),
        ("error", "failed", "ValueError: a parser's fault"),
        ("not_json", "failed", "ValueError: Out of range float values are not JSON compliant"),
        ("deep", "failed", "RecursionError"),
        ("no_such_function", "failed", "AttributeError"),
    ],
)
def test_child_that_dies(pool: Pool, call: str, status: str, detail: str) -> None:
    outcome, _ = one(pool, call)
    assert outcome.status == status
    assert outcome.detail.startswith(detail)
    assert outcome.attempts == (2 if status == "crashed" else 1)


def test_module_that_is_not_there(pool: Pool) -> None:
    outcomes, _ = run(pool, Task("m", "no.such.module:f"))
    assert outcomes["m"].status == "failed"
    assert outcomes["m"].detail.startswith("ModuleNotFoundError")


def _frame(kind: bytes, json_length: int, blob_length: int, rest: bytes = b"") -> str:
    return (kind + json_length.to_bytes(4, "big") + blob_length.to_bytes(4, "big") + rest).hex()


@pytest.mark.parametrize(
    ("sent", "detail"),
    [
        (b"\x80\x04\x95cposix\nsystem".hex(), "protocol: bytes that are no frame"),
        (_frame(b"M", 1 << 30, 0), "protocol: a frame over its limit"),
        (_frame(b"M", 2, 0xFFFFFFFF, b"{}"), "protocol: a frame over its limit"),
        (_frame(b"M", 2, 0, b"[]"), "protocol: a header that is no JSON object"),
        (_frame(b"M", 2, 0, b"\xff{"), "protocol: a header that is no JSON"),
        (_frame(b"M", 30_000, 0, b"[" * 30_000), "protocol: a header that is no JSON"),
        (_frame(b"M", 9, 0, b'{"a":NaN}'), "protocol: a header that is no JSON"),
        (_frame(b"R", 2, 0, b"{}"), "protocol: a frame out of turn"),
        (_frame(b"D", 2, 0, b"{}") * 2, "protocol: a frame out of turn"),
    ],
)
def test_garbage_on_the_socket(sent: str, detail: str) -> None:
    with Pool(2, SMALL, paths=[HOSTILE]) as pool:
        if sent.startswith("44"):  # a second "done" comes when the task is no longer the child's
            outcomes, _ = run(pool, Task("g", "attempts:raw", {"hex": sent}), Task("h", "attempts:count", {"n": 3}))
            assert outcomes["h"].status == "done"
            return
        outcome, _ = one(pool, "raw", hex=sent)
    assert (outcome.status, outcome.detail) == ("crashed", detail)


def test_half_a_frame_and_silence() -> None:
    with Pool(2, Limits(wall=0.5), paths=[HOSTILE]) as pool:
        outcome, _ = one(pool, "raw", hex=_frame(b"M", 100, 0, b"{"))
    assert outcome.status == "timeout"


def test_messages_without_end(pool: Pool) -> None:
    outcome, messages = one(pool, "endless", size=1 << 19)
    assert (outcome.status, outcome.detail) == ("failed", "limit: more than 33554432 bytes of messages")
    assert sum(len(m.blob) for m in messages) <= 32 << 20
    with Pool(2, Limits(messages=1000), paths=[HOSTILE]) as other:
        outcome, messages = one(other, "endless", size=0)
    assert (outcome.status, outcome.detail, len(messages)) == ("failed", "limit: more than 1000 messages", 1000)


def test_error_output_without_end(pool: Pool) -> None:
    outcome, messages = one(pool, "noisy", n=2000)
    assert outcome.status == "done"
    assert messages[0].header == {"done": True}


def test_child_that_stops_reading() -> None:
    with Pool(1, Limits(wall=2.0), paths=[HOSTILE]) as pool:
        large = {"padding": "x" * (4 << 20)}
        outcomes, _ = run(pool, Task("a", "attempts:stop_reading"), Task("b", "attempts:count", {"n": 1, **large}))
    assert outcomes["a"].status == "done"  # it said so
    assert (outcomes["b"].status, outcomes["b"].attempts) == ("done", 2)  # in a fresh child


def test_second_attempt_is_told_apart() -> None:
    with Pool(1, SMALL, paths=[HOSTILE]) as pool:
        outcomes, messages = run(pool, Task("m", "attempts:mark"), Task("o", "attempts:crash_once"))
    assert (outcomes["o"].status, outcomes["o"].attempts) == ("done", 2)
    assert [(m.header["i"], m.attempt) for m in messages if m.task_id == "o"] == [(1, 1), (1, 2), (2, 2)]


def test_time_of_a_slow_consumer_is_no_childs() -> None:
    with Pool(2, Limits(wall=0.6), paths=[HOSTILE]) as pool:
        tasks = [Task(str(i), "attempts:count", {"n": 400}) for i in range(2)]
        outcomes = []
        for outcome in pool.run(tasks, lambda m: time.sleep(0.002)):
            time.sleep(0.7)
            outcomes.append(outcome.status)
    assert outcomes == ["done"] * 2


def test_consumer_that_raises_leaves_no_child_at_work(pool: Pool) -> None:
    def refuse(message: Message) -> None:
        raise RuntimeError("no space")

    with pytest.raises(RuntimeError):
        list(pool.run([Task("a", "attempts:count", {"n": 9}), Task("b", "attempts:loop")], refuse))
    outcomes, _ = run(pool, Task("again", "attempts:count", {"n": 2}))
    assert outcomes["again"].status == "done"


def test_child_that_cannot_start() -> None:
    with Pool(1, Limits(start=20.0), warm=["no_such_module"]) as pool, pytest.raises(ExamineError) as raised:
        list(pool.run([Task("a", "attempts:echo")]))
    assert raised.value.code == "HW4001"


_ORPHAN = """
import os, sys, threading, time
from headwater.confine.pool import Pool, Task
pool = Pool(1, paths=[sys.argv[1]])
def seen(message):
    print(pool._workers[0].process.pid, flush=True)
list(pool.run([Task("l", "attempts:loop")], seen))
"""


def test_parent_killed_leaves_no_child() -> None:
    parent = subprocess.Popen([sys.executable, "-c", _ORPHAN, HOSTILE], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert Path(f"/proc/{child}").exists()
    parent.kill()
    parent.wait()
    parent.stdout.close()
    for _ in range(500):
        try:
            state = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return
        if state == "Z":
            return
        time.sleep(0.01)
    pytest.fail("the child outlived its parent")


def test_what_comes_before_the_lock_down_is_given_and_its_descriptor_closed(tmp_path: Path) -> None:
    (tmp_path / "rules").write_bytes(b"RULES")
    fd = os.open(tmp_path / "rules", os.O_RDONLY)
    try:
        with Pool(1, SMALL, paths=[HOSTILE], early=[Early("attempts:hold_early", {"word": "own "}, (fd,))]) as pool:
            _, messages = run(pool, Task("a", "attempts:early"))
            assert "seccomp" in pool.level
    finally:
        os.close(fd)
    assert messages[0].header["held"] == ["own RULES"]
    with Pool(1, SMALL, paths=[HOSTILE]) as plain:
        _, others = run(plain, Task("a", "attempts:early"))
    assert len(messages[0].header["open"]) == len(others[0].header["open"])


def test_thread_before_the_lock_down_is_refused() -> None:
    with Pool(1, SMALL, paths=[HOSTILE], early=[Early("attempts:early_thread")]) as pool, pytest.raises(ExamineError):
        run(pool, Task("a", "attempts:count", {"n": 1}))
