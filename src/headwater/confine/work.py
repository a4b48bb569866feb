# SPDX-License-Identifier: Apache-2.0
"""What a pool is given and what it says: Limits, Early and Task in; Message and Outcome out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

MIB = 1 << 20
GIB = 1 << 30

# what allocators and runtimes say when there is no memory, in a panic or on the error output of a dying child
STARVED = re.compile(
    r"memory allocation of|cannot allocate memory|MemoryError|bad_alloc|out of memory|thread creation failed",
    re.IGNORECASE,
)

Status = Literal["done", "failed", "crashed", "timeout", "memory", "cpu"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a child may use. Sizes in bytes, times in seconds; ``wall`` and ``cpu`` count per task.

    ``data`` is RLIMIT_DATA: private writable memory as reserved, which is what an allocator asks for. ``scratch``
    bounds the content of all anonymous files (memfd) of a child together, because RLIMIT_DATA does not see them.
    ``messages`` and ``total`` bound what one task may send; a task over them is ``failed`` and not tried again,
    because a limit on bytes is a fact about the file and not about the machine.
    """

    data: int = GIB + GIB // 2
    scratch: int = GIB // 2
    cpu: int = 600
    wall: float = 600.0
    files: int = 4096
    threads: int = 128
    header: int = MIB
    blob: int = 64 * MIB
    total: int = 64 * GIB
    messages: int = 1_000_000
    start: float = 120.0
    landlock: bool = True  # False only to test what holds without it

    def as_dict(self) -> dict[str, Any]:
        """The limits as JSON, for the child."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Task:
    """A call of ``module:function`` as ``function(args, fds)``, a generator of (JSON header, blob), in a child.

    ``args`` is JSON. ``fds`` are duplicated into the child and closed there when the task ends; the caller's own stay
    open and are the caller's to close, after the task's Outcome and not before it (a task may be tried twice).
    ``wall`` and ``cpu`` replace the pool's limits for this task: digesting a medium takes as long as it is large.
    """

    id: str
    call: str
    args: Mapping[str, Any] = field(default_factory=dict)
    fds: tuple[int, ...] = ()
    wall: float | None = None
    cpu: int | None = None


@dataclass(frozen=True, slots=True)
class Early:
    """A call of ``module:function`` as ``function(args, fds)`` that each child makes before it locks itself down.

    It is for what a locked child may not do with what the parent itself has made, such as mapping compiled rules as
    machine code; nothing of evidence may be passed. The call must start no thread. ``fds`` stay open in the parent as
    long as the pool may start a child.
    """

    call: str
    args: Mapping[str, Any] = field(default_factory=dict)
    fds: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Message:
    """What a task yielded, in the order in which it yielded it.

    ``attempt`` is 1, or 2 when the task is run once more after its child died: whoever collects messages throws away
    those of attempt 1 when the first of attempt 2 comes, or when the Outcome says that there were two attempts.
    """

    task_id: str
    header: dict[str, Any]
    blob: bytes
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a task ended. ``detail`` is the same for the same cause; ``trace`` is diagnostic text and may differ.

    done: the generator ended. failed: it raised, or broke a limit on bytes. crashed: the child died or spoke nonsense.
    timeout, cpu, memory: it ran out of that. All but done and failed were tried twice.
    """

    task_id: str
    status: Status
    detail: str = ""
    attempts: int = 1
    trace: str = ""
