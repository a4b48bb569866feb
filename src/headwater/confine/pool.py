# SPDX-License-Identifier: Apache-2.0
"""A pool of confined children that run untrusted parsing and never fail or hang their parent.

The argument, in the order of the code:
1. a task goes to an idle child, or to a new one while there are fewer than ``workers``;
2. what a child sends is taken as frames under limits; each message is handed on at once, in the order yielded;
3. a child that breaks the protocol, dies, or uses up its time or memory is killed (SIGKILL) and forgotten;
4. its task is tried once more alone: new tasks wait until the running ones have ended, then it gets a fresh child to
   itself; the second outcome stands;
5. time in which the parent itself was busy elsewhere (in the consumer, in ``on_message``) is no child's.

A pool belongs to the thread that made it: the kernel kills the children when that thread ends (PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import select
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self

from headwater.confine import frames
from headwater.confine.work import Early, Limits, Message, Outcome, Status, Task
from headwater.confine.worker import Frame, Worker
from headwater.model.errors import ExamineError

__all__ = ["Early", "Limits", "Message", "Outcome", "Pool", "Task"]

_WATCH = 0.2  # seconds between two looks at what the children use
_TURN = 64  # reads of one child before the others have their turn
_RETRIED = frozenset({"crashed", "timeout", "memory", "cpu"})


class Pool:
    """Up to ``workers`` confined children, started when first needed.

    ``warm`` names modules that each child imports (behind its lock-down) before its first task; ``paths`` are further
    folders from which it may import. ``prepare``: functions (``module:function`` and its JSON argument) that each child
    calls before its first task, to be given what no task may carry. ``early``: what each child calls even before its
    lock-down, with what the parent has made and nothing of evidence. Close it, or use it as a context manager.

    Raises:
        ExamineError: HW4001, no child can be started or confined.
    """

    def __init__(
        self,
        workers: int,
        limits: Limits | None = None,
        *,
        warm: Iterable[str] = (),
        paths: Iterable[str] = (),
        prepare: Iterable[tuple[str, Mapping[str, Any]]] = (),
        early: Iterable[Early] = (),
    ) -> None:
        self._most = max(1, workers)
        self._limits = limits or Limits()
        self._warm, self._paths = tuple(warm), tuple(paths)
        self._prepare = [[call, dict(args)] for call, args in prepare]
        self._early = tuple(early)
        self._workers: list[Worker] = []
        self._again: deque[tuple[Task, Outcome]] = deque()
        self._ready: deque[Outcome] = deque()
        self._away = 0.0
        self._watched = 0.0
        self._level: tuple[str, ...] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all children."""
        while self._workers:
            self._workers.pop().kill()

    @property
    def level(self) -> tuple[str, ...]:
        """What confinement was reached, as words; starts a child if none has been."""
        if self._level is None:
            if not self._workers:
                self._start()
            while self._level is None:
                self._turn(lambda message: None)
        return self._level

    def run(self, tasks: Iterable[Task], on_message: Callable[[Message], None] | None = None) -> Iterator[Outcome]:
        """Run the tasks, drawing them as children come free; outcomes in the order in which they end.

        Messages of one task reach ``on_message`` in the order yielded, those of several tasks in any mixture.
        Leaving the iterator early kills the children that are at work.
        """
        source = iter(tasks)
        deliver = self._outside(on_message) if on_message is not None else (lambda message: None)
        drawn_out = False
        self._again.clear()
        self._ready.clear()
        try:
            while True:
                drawn_out = self._feed(source, drawn_out)
                if not any(w.task for w in self._workers) and not self._ready and drawn_out and not self._again:
                    return
                if any(w.task for w in self._workers):
                    self._turn(deliver)
                while self._ready:
                    before = time.monotonic()
                    yield self._ready.popleft()
                    self._away += time.monotonic() - before
        finally:
            for worker in [w for w in self._workers if w.task]:
                self._forget(worker)

    # ------------------------------------------------------------------ 1. giving out

    def _feed(self, source: Iterator[Task], drawn_out: bool) -> bool:
        """Give tasks to children; True once the source has no more."""
        if self._again:  # 4. alone
            if not any(w.task for w in self._workers):
                if len(self._workers) >= self._most:
                    self._workers.pop().kill()
                self._start().give(self._again[0][0], 2, self._now())
            return drawn_out
        while not drawn_out:
            idle = next((w for w in self._workers if w.task is None), None)
            if idle is None and len(self._workers) >= self._most:
                break
            before = time.monotonic()
            task = next(source, None)
            self._away += time.monotonic() - before
            if task is None:
                return True
            (idle or self._start()).give(task, 1, self._now())
        return drawn_out

    def _start(self) -> Worker:
        try:
            worker = Worker(self._limits, self._paths, self._warm, self._prepare, self._early)
        except OSError as error:
            raise ExamineError("HW4001", what=str(error)) from error
        worker.started = self._now()
        self._workers.append(worker)
        return worker

    def _now(self) -> float:
        """5. A clock that stands still while the parent is away."""
        return time.monotonic() - self._away

    def _outside(self, on_message: Callable[[Message], None]) -> Callable[[Message], None]:
        def deliver(message: Message) -> None:
            before = time.monotonic()
            on_message(message)
            self._away += time.monotonic() - before

        return deliver

    # ------------------------------------------------------------------ 2. listening

    def _turn(self, deliver: Callable[[Message], None]) -> None:
        """Wait for any child, take what each has to say, and look at what each uses."""
        poll = select.poll()
        by_fd: dict[int, tuple[Worker, bool]] = {}
        for worker in self._workers:
            events = select.POLLIN | (select.POLLOUT if worker.wants_to_write else 0)
            poll.register(worker.socket.fileno(), events)
            by_fd[worker.socket.fileno()] = (worker, False)
            if not worker.errors_ended:
                poll.register(worker.errors, select.POLLIN)
                by_fd[worker.errors] = (worker, True)
        for fd, events in poll.poll(_WATCH * 1000):
            worker, is_error_pipe = by_fd[fd]
            if worker not in self._workers:
                continue
            if is_error_pipe:
                worker.drain_errors()
                continue
            if events & select.POLLOUT:
                worker.write()
                if worker.why is not None:
                    self._lost(worker)
                    continue
            if events & (select.POLLIN | select.POLLHUP | select.POLLERR):
                self._listen(worker, deliver)
        self._watch()

    def _listen(self, worker: Worker, deliver: Callable[[Message], None]) -> None:
        for _ in range(_TURN):
            try:
                frame = worker.read()
                if frame is None:
                    return
                if isinstance(frame, bool):
                    self._lost(worker)
                    return
                if not self._take(worker, frame, deliver):
                    return
            except frames.ProtocolError as error:
                worker.why = ("crashed", f"protocol: {error}")
                self._lost(worker)
                return

    def _take(self, worker: Worker, frame: Frame, deliver: Callable[[Message], None]) -> bool:
        """Act on one frame; False when this child has nothing more to say now."""
        kind, header, blob = frame
        if worker.level is None:
            if kind != frames.READY:
                raise frames.ProtocolError("a frame before it was ready")
            worker.level = self._level = tuple(str(w) for w in header.get("level", ()))
            worker.begin(self._now())
            return True
        task = worker.task
        if task is None or kind == frames.READY:
            raise frames.ProtocolError("a frame out of turn")
        over = worker.over_limit() if kind == frames.MESSAGE else ""
        if over:
            worker.why = ("failed", f"limit: {over}")
            self._lost(worker)
            return False
        if kind == frames.MESSAGE:
            deliver(Message(task.id, header, blob, worker.attempt))
            return True
        if kind == frames.MEMORY:
            worker.why = ("memory", f"more than {self._limits.data} bytes")
            self._lost(worker)
            return False
        status: Status = "done" if kind == frames.DONE else "failed"
        worker.task = None
        self._end(worker, task, Outcome(task.id, status, _text(header, "detail"), 1, _text(header, "trace")))
        if worker.grown():
            self._forget(worker)
            return False
        return True

    # ------------------------------------------------------------------ 3. watching and burying

    def _watch(self) -> None:
        if self._now() - self._watched < _WATCH:
            return
        self._watched = self._now()
        for worker in list(self._workers):
            if worker.level is None:
                if self._now() - worker.started > self._limits.start:
                    worker.why = ("timeout", "it was not ready in time")
                    self._lost(worker)
                continue
            worker.why = worker.excess(self._now())
            if worker.why is not None:
                self._lost(worker)

    def _lost(self, worker: Worker) -> None:
        """A child is dead or must die: bury it, and answer for its task."""
        task, attempt = worker.task, worker.attempt
        if worker.why is not None:
            worker.kill()
        status, detail = worker.end()
        self._workers.remove(worker)
        if worker.level is None:
            raise ExamineError("HW4001", what=f"{detail}; {worker.trace()[-600:]}")
        if task is not None:
            self._end(worker, task, Outcome(task.id, status, detail, attempt, worker.trace()))

    def _end(self, worker: Worker, task: Task, outcome: Outcome) -> None:
        if worker.attempt == 2:
            self._again.popleft()
            worker.attempt = 1
            self._ready.append(Outcome(outcome.task_id, outcome.status, outcome.detail, 2, outcome.trace))
        elif outcome.status in _RETRIED:
            self._again.append((task, outcome))
        else:
            self._ready.append(outcome)

    def _forget(self, worker: Worker) -> None:
        worker.kill()
        if worker in self._workers:
            self._workers.remove(worker)


def _text(header: dict[str, object], name: str) -> str:
    value = header.get(name, "")
    return value[:4000] if isinstance(value, str) else ""
