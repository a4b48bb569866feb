# SPDX-License-Identifier: Apache-2.0
"""The first capture: sockets, processes and who is logged in, within seconds, before anything is changed.

One script, each command under a time limit of its own, its output bounded; the answers become one tar in the case, each
command's exact line, exit code and times beside its output. The server's own tools speak here and are not believed yet:
/proc is read beside them, so that the two can be held against each other later.
"""

from __future__ import annotations

import hashlib
import io
import json
import secrets
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from headwater.acquire.ssh_session import Finished
from headwater.formats.atomic import write_atomic
from headwater.formats.collection_records import number_of
from headwater.model.custody import Evidence, Verdict
from headwater.model.errors import AcquireError
from headwater.model.times import rfc3339
from headwater.procedure.corridor import Corridor
from headwater.procedure.scene_errand import Errand, at_server
from headwater.procedure.scene_items import ALGORITHMS, enter_item, file_item, next_number
from headwater.procedure.scene_visit import Visit

SECONDS = 5  # per command
_OUTPUT_MOST = 4 << 20  # bytes of one command
_WHOLE_SECONDS = 60.0
_TIMED_OUT = 124
# names as the live collector gives them, so that the same parsers read both
COMMANDS: tuple[tuple[str, str], ...] = (
    ("date", "date -u +%Y-%m-%dT%H:%M:%S.%NZ"),
    ("ss-antp", "ss -antp"),
    ("ss-anup", "ss -anup"),
    ("ps-ef", "ps -ef"),
    ("who", "who -a"),
    ("w", "w -i"),
    ("ip-addr", "ip addr"),
    ("ip-route", "ip route"),
    ("ip-neigh", "ip neigh"),
    ("uptime", "uptime"),
)
_PROC = ("net/tcp", "net/tcp6", "net/udp", "net/udp6", "net/raw", "net/packet", "net/unix", "net/arp", "modules", "mounts",
         "uptime", "version", "cmdline", "stat", "swaps")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """One command's answer. ``status`` is -1 where none came. ``start``, ``end``: by the server's clock, ns since 1970."""

    name: str
    line: str
    status: int
    output: bytes
    cut: bool
    start: int | None = None
    end: int | None = None

    @property
    def ended(self) -> str:
        """As the live collector's answers say it: success, timeout (124 is what timeout(1) gives) or cut."""
        return "cut" if self.cut or self.status == -1 else "timeout" if self.status == _TIMED_OUT else "success"

    def times(self) -> dict[str, str | None]:
        """As the live collector's answers have them."""
        return {
            "start": rfc3339(self.start), "end": rfc3339(self.end), "start_ns": _text(self.start), "end_ns": _text(self.end),
        }  # fmt: skip


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)


def first_script(marker: bytes) -> bytes:
    """Runs the commands one after the other and sends each answer behind a record mark; writes nothing anywhere."""
    parts = [b"LC_ALL=C; export LC_ALL; PATH=$PATH:/usr/sbin:/sbin\n" + _RUN.replace(b"@MARK@", marker)]
    parts += [f"r {name} '{line}'\n".encode() for name, line in COMMANDS]
    parts += [f"f {name}\n".encode() for name in _PROC]
    parts.append(_PROCESSES.replace(b"@MARK@", marker))
    return b"".join(parts)


_RUN = (
    rb"""t() { if command -v timeout >/dev/null 2>&1; then timeout @SECONDS@ sh -c "$1"; else sh -c "$1"; fi; }
n() { date +%s%N 2>/dev/null | { read -r n; case $n in *N|*%*|'') date +%s000000000 ;; *) echo "$n" ;; esac; }; }
r() { printf '\n@MARK@ C %s %s\n' "$1" "$(n)"; { t "$2" 2>&1; x=$?; printf '\n@MARK@ S %s %s\n' "$x" "$(n)"; } </dev/null; }
f() { [ -r "/proc/$1" ] && { printf '\n@MARK@ F %s\n' "$1"; cat "/proc/$1" 2>/dev/null; }; }
"""
).replace(b"@SECONDS@", str(SECONDS).encode())
# every process by /proc itself: number, parent and state, command line, program, each by the shell alone where it can be
_PROCESSES = rb"""printf '\n@MARK@ F processes\n'
for q in /proc/[0-9]*; do
  s=; { IFS= read -r s < "$q/stat"; } 2>/dev/null || continue
  printf '%s\t%s\t' "$s" "$(readlink "$q/exe" 2>/dev/null)"; tr '\0\n\t' '   ' < "$q/cmdline" 2>/dev/null; echo
done
printf '\n@MARK@ E\n'
"""


def answers_of(output: bytes, marker: bytes) -> tuple[list[Answer], bool]:
    """The answers in order, and whether all of them came."""
    found: list[Answer] = []
    whole = False
    lines = dict(COMMANDS)
    for record in output.split(b"\n" + marker + b" ")[1:]:
        head, _, body = record.partition(b"\n")
        kind, (name, _, when) = head[:1], head[2:].decode("ascii", "replace").partition(" ")
        cut = len(body) > _OUTPUT_MOST
        if kind == b"C" and name in lines:
            found.append(Answer(name, lines[name], -1, body[:_OUTPUT_MOST], cut, number_of(when)))
        elif kind == b"S" and found and name.isdigit():
            last = found[-1]
            found[-1] = replace(last, status=int(name), end=number_of(when))
        elif kind == b"F" and (name in _PROC or name == "processes"):
            found.append(Answer(f"proc/{name}", f"cat /proc/{name}", 0, body[:_OUTPUT_MOST], cut))
        elif kind == b"E":
            whole = True
    return found, whole


def archive_of(answers: list[Answer], record: Mapping[str, Any]) -> bytes:
    """One tar of the answers: outputs, each one's facts, and the record of the visit. The same answers give the same bytes."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in _members(answers, record):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o444
            tar.addfile(entry, io.BytesIO(data))
    return held.getvalue()


def _members(answers: list[Answer], record: Mapping[str, Any]) -> list[tuple[str, bytes]]:
    found = []
    for answer in answers:
        if answer.name.startswith("proc/"):
            found.append((answer.name, answer.output))
            continue
        facts = {"line": answer.line, "exit": answer.status, "status": answer.ended, **answer.times(),
                 "sha256": hashlib.sha256(answer.output).hexdigest()}  # fmt: skip
        found.append((f"@command/{answer.name}.stdout", answer.output))
        found.append((f"@command/{answer.name}.json", json.dumps(facts, sort_keys=True).encode() + b"\n"))
    return [("first.json", json.dumps(record, sort_keys=True, ensure_ascii=False).encode() + b"\n"), *found]


@dataclass(frozen=True, slots=True)
class FirstTaken:
    """What came: the item, the answers' names with their exit codes, and the seconds from first to last byte."""

    evidence: Evidence
    answers: tuple[tuple[str, int], ...]
    seconds: float
    whole: bool


def first(errand: Errand) -> FirstTaken:
    """Take the first capture, and enter it.

    Raises:
        AcquireError: HW2190 nothing answered; what :func:`~headwater.procedure.scene_errand.at_server` raises.
    """
    with at_server(errand, "first") as there:
        marker = secrets.token_hex(12).encode()
        done = there.visit.shell.run(first_script(marker), _WHOLE_SECONDS)
        answers, whole = answers_of(done.output, marker)
        if not answers:
            raise AcquireError("HW2190", there.visit.name, what=done.errors or "no answer")
        record = _record(there.visit, answers, done, whole)
        item = _registered(there.corridor, there.visit, archive_of(answers, record), whole)
        with there.corridor.ledger.group():
            enter_item(there.corridor, item)
            more = {"evidence": item.number, "commands": record["commands"], "whole": whole}
            there.enter("first", more, evidence=[item.number])
        listed = tuple((a.name, a.status) for a in answers)
        return FirstTaken(item, listed, (done.after - done.before) / 1e9, whole)


def _record(visit: Visit, answers: list[Answer], done: Finished, whole: bool) -> dict[str, Any]:
    """What is told beside the answers; times by this machine's clock, as texts."""
    return {
        "visit": visit.plain(),
        "began_ns": str(done.before),
        "ended_ns": str(done.after),
        "whole": whole,
        "errors": done.errors,
        "commands": [
            {"name": a.name, "line": a.line, "exit": a.status, "cut": a.cut, **a.times(),
             "sha256": hashlib.sha256(a.output).hexdigest()}
            for a in answers
        ],
    }  # fmt: skip


def _registered(corridor: Corridor, visit: Visit, data: bytes, whole: bool) -> Evidence:
    path = corridor.case.absolute() / "acquired" / f"first-{next_number(corridor):04d}.tar"
    write_atomic(path, data)
    path.chmod(0o444)
    digests = {n: hashlib.new(n, data, usedforsecurity=False).hexdigest() for n in ALGORITHMS}
    came = Verdict(
        "read-completely", "match" if whole else "mismatch", reason="" if whole else "the answer was cut off"
    )
    notes = {"source": visit.name}
    return file_item(corridor, path, kind="archive", digests=digests, size=len(data), verdicts=[came], notes=notes)
