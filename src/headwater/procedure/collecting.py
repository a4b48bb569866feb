# SPDX-License-Identifier: Apache-2.0
"""Collect: a running server's volatile state and files into one stream, from authority to registered evidence.

1. Authority and case, the order of acts at the scene, the persons and the witness; the mandate, before and after the
   server has said who it is (:mod:`headwater.procedure.scene_errand`).
2. The artifacts of the profile, the most volatile first. What holds passwords or keys is taken under an authority or a
   recorded reason, else withheld by name.
3. Entered before a byte is taken: what will be, by which collector (its digest), and which traces that leaves there.
4. The collector is streamed to an interpreter and answers with one stream; nothing is written on the server.
5. The stream is kept as it came. A confined child reads it back, digests every file and compares with what the server
   stated; the manifest lists each with its six facts: digest, time, collector, tool, source path, state of the system.
6. Stream and manifest are registered; what is missing, failed, cut or altered meanwhile is counted in the entry.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from headwater.acquire import collector, collector_shell
from headwater.acquire.catalogue import Artifact, Chosen, choose
from headwater.acquire.catalogue_foreign import definitions
from headwater.acquire.collect_receiving import Limits, Line, Received, greeting, line_of, receive
from headwater.acquire.ssh_stream import ConnectionLost
from headwater.confine.pool import Limits as ChildLimits
from headwater.confine.pool import Message, Pool, Task
from headwater.formats.opened import open_readonly
from headwater.model.custody import NOT_RECORDED, Evidence, Verdict
from headwater.model.errors import AcquireError, HeadwaterError, UsageError
from headwater.model.nouns import Text
from headwater.model.paths import encode_name
from headwater.procedure.collecting_again import Before, before
from headwater.procedure.collecting_place import path_of, room_for
from headwater.procedure.corridor import TOOL, Corridor, Progress, authority_of, environment, silent
from headwater.procedure.intake import Held, call
from headwater.procedure.scene_errand import Errand, There, at_server
from headwater.procedure.scene_items import enter_item, file_item
from headwater.procedure.scene_visit import LOCAL, Visit

BEGUN, STOPPED = "collect-begin", "collect-stopped"
KIND = "collection"
# what the collector leaves on a server besides the traces of the login (``LOGIN_TRACES``)
TRACES: tuple[Text, ...] = (
    Text(
        "运行期间的进程：解释器或 sh，以及其逐条执行的命令",
        "processes while it runs: the interpreter or sh, and the commands that it runs one by one",
    ),
    Text(
        "所执行程序的访问时间，以及 O_NOATIME 被拒绝处目录与文件的访问时间（逐个注明）",
        "access times of the programs run, and where O_NOATIME is refused of folders and files (said of each)",
    ),
    Text(
        "页面缓存与目录项缓存；系统启用审计时的执行记录",
        "page and dentry caches; records of execution where the system audits them",
    ),
)

SUDO = Text("sudo 的日志行，以及其时间戳文件", "a line of sudo's in the log, and its time-stamp file")


@dataclass(frozen=True, slots=True)
class CollectOrder:
    """What a person asks for. ``out``: path of the stream without its ending, None: in the case.

    ``secrets``: the reason for taking what holds passwords and keys although no authority is recorded; None where none
    was given; ``no_secrets``: leave it there in any case. ``most`` and ``file_most`` in bytes. ``shell_only``: the collector
    in sh although there is a Python; ``sudo``: as root by ``sudo -n``. ``resume``: go on with a collection that was cut, by the
    number of its evidence or 0 for the last of this server; what it asked for is asked for again.
    """

    errand: Errand
    profile: str = "triage"
    also: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    definitions: Path | None = None
    out: Path | None = None
    secrets: str | None = None
    no_secrets: bool = False
    most: int | None = None
    file_most: int | None = None
    shell_only: bool = False
    sudo: bool = False
    resume: int | None = None


@dataclass(frozen=True, slots=True)
class Collected:
    """What came of it. ``counts``: files by status; ``trouble``, ``unlike``: the first of those, by path."""

    evidence: Evidence
    manifest: Path
    counts: Mapping[str, int]
    trouble: tuple[str, ...]
    unlike: tuple[str, ...]
    withheld: tuple[str, ...]
    whole: bool
    ended: str = ""
    form: str = ""
    size: int = 0
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        """Whether everything that was asked for came, and is what the server said."""
        return self.whole and not self.unlike and not self.ended


def collect(order: CollectOrder, progress: Progress = silent) -> Collected:
    """Run the whole procedure on a server or on this machine; the steps are numbered as in the module's docstring.

    Raises:
        UsageError: HW2100, HW2101, HW2105 nothing to go on with.
        AcquireError: HW2102 no collector runs there, HW2103 nothing came, HW2104 it cannot be written; what
            :func:`~headwater.procedure.scene_errand.at_server` raises.
    """
    with at_server(order.errand, "collect", progress) as there:
        left = None if order.resume is None else before(there, order.resume)
        if left is not None:
            order = replace(order, profile=left.asked[0], also=left.asked[1], without=left.asked[2])
        chosen = chosen_of(order, there.corridor, ("linux",))
        chosen = chosen if left is None else left.rest(chosen)
        path = path_of(order.out, there.corridor, there.visit.said.get("hostname") or there.visit.host)
        begin(there.corridor, order, chosen, path, {"visit": there.visit.plain(), **_continues(left)})
        try:
            received = _taken(there, order, chosen, path, progress, left)
        except (HeadwaterError, KeyboardInterrupt) as error:
            what = error.text("en") if isinstance(error, HeadwaterError) else "interrupted"
            there.corridor.record(STOPPED, note={"address": there.visit.name, "out": _name(path), "what": what})
            raise
        came = manifest_of(there.corridor, received, {**_facts(there), **_continues(left)}, progress)
        done = outcome(there.corridor, order, chosen, received, came, _notes(there.visit, received, left))
        asked = {"also": list(order.also), "without": list(order.without), **_continues(left)}
        more = {"collection": {**note_of(done, chosen, received, came), **asked}, "evidence": done.evidence.number}
        with there.corridor.ledger.group():
            enter_item(there.corridor, done.evidence, came.result["damage"])
            there.enter("collect", more, evidence=[done.evidence.number], products=products_of(received, came))
        return done


def chosen_of(order: CollectOrder, corridor: Corridor, platforms: tuple[str, ...]) -> Chosen:
    """Step 2."""
    authority = authority_of(corridor.ledger)
    recorded = bool(authority.number or authority.document_sha256)
    allowed = not order.no_secrets and (recorded or bool((order.secrets or "").strip()))
    foreign: dict[str, list[Artifact]] = {}
    for platform in platforms if order.definitions is not None else ():
        for name, made in definitions(Path(order.definitions or ""), platform).items():
            foreign.setdefault(name, []).extend(made)
    chosen = choose(order.profile, platforms, also=order.also, without=order.without, secrets=allowed, foreign=foreign)
    if not chosen.artifacts:
        raise UsageError("HW2100", what=f"{order.profile}: nothing for {', '.join(platforms)}", known="full")
    return chosen


def begin(corridor: Corridor, order: CollectOrder, chosen: Chosen, path: Path, more: Mapping[str, Any]) -> None:
    """Step 3."""
    note = {
        "address": order.errand.address,
        "out": _name(path),
        "profile": chosen.profile,
        "artifacts": [a.name for a in chosen.artifacts],
        "withheld": list(chosen.withheld),
        "left_out": list(chosen.left_out),
        "secrets_reason": (order.secrets or "").strip() or NOT_RECORDED,
        "collector_sha256": collector.digest(),
        "authorised_traces": [
            *(asdict(t) for t in (*TRACES, *((SUDO,) if order.sudo else ()))),
            *({"artifact": a.name, "en": a.touches} for a in chosen.artifacts if a.touches),
        ],
        **more,
    }
    corridor.record(BEGUN, environment=environment(), note=note)


def _continues(left: Before | None) -> dict[str, Any]:
    return {} if left is None else {"continues": left.note()}


def _taken(
    there: There, order: CollectOrder, chosen: Chosen, path: Path, progress: Progress, left: Before | None
) -> Received:
    """Step 4."""
    limits = Limits(room_for(path, order.most), order.file_most or 1 << 62)
    marker = secrets.token_hex(16)
    facts = {"case_operators": " / ".join(there.corridor.actors)}
    if left is not None:
        facts["continues"] = left.evidence.digests["sha256"]
    orders = [a.order() for a in chosen.artifacts]
    if there.visit.session is None:  # what is being written is no part of what there is
        for what in (c for a in orders for c in a["collect"] if "files" in c):
            own = [_plain(folder) for folder in (there.corridor.case.absolute(), path.parent)]
            what["exclude"] = [*what.get("exclude", ()), *(f"{folder}/**" for folder in own)]
    try:
        line = line_of(there.visit.session, shell_only=order.shell_only, sudo=order.sudo)
    except ConnectionLost as error:
        raise AcquireError("HW2064", there.visit.name, what=error) from error
    form = _greeted(line)
    if form == "python":
        marks = left.marks if left is not None else b""
        told = collector.order_of(
            marker, orders, tool=TOOL, facts=facts, most=limits.most, file_most=limits.file_most, held=len(marks)
        )
        line.say(collector.said(collector.script()) + collector.said(told) + marks)
    else:
        passwd = there.visit.shell.run(b"cat /etc/passwd\n", 60).output
        line.say(collector_shell.program(marker, orders, tool=TOOL, facts=facts, passwd=passwd))
    return receive(line, path, form, limits, lambda done: progress("collect", done, None, "bytes"))


def _plain(folder: Path) -> str:
    """A folder as a pattern that means it alone."""
    return re.sub(r"([*?\[])", r"[\1]", str(folder))


def _greeted(line: Line) -> str:
    try:
        return greeting(line)
    except ConnectionLost as error:
        raise AcquireError("HW2102", what=line.errors or str(error)) from error
    except AcquireError:
        line.cancel()
        raise


# ------------------------------------------------------------------ 5. reading back


@dataclass(frozen=True, slots=True)
class Manifest:
    """The written manifest, and what reading back came to."""

    path: Path
    size: int
    sha256: str
    head: Mapping[str, str]
    result: Mapping[str, Any]


class _Rows:
    """Writes the manifest while the child reads back; a second attempt of the child begins it anew."""

    def __init__(self, path: Path, facts: Mapping[str, Any], corridor: Corridor) -> None:
        self.path, self._facts, self._corridor = path, facts, corridor
        self.head: dict[str, str] = {}
        self._file = path.open("w+b")

    def take(self, message: Message) -> None:
        """One message of the child."""
        header = message.header
        if "head" in header:
            self.head = {str(k): str(v) for k, v in header["head"].items()}
            self._file.seek(0)
            self._file.truncate()
            first = {**self._facts, "system": self.head}
            self._file.write(json.dumps(first, ensure_ascii=False, sort_keys=True).encode("utf-8") + b"\n")
        elif "rows" in header:
            self._file.write(message.blob)
        elif "progress" in header:
            self._corridor.progress("read-back", int(header["progress"]), int(header["total"]), "bytes")

    def end(self) -> tuple[int, str]:
        """(size, SHA-256) of what was written, which is on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.seek(0)
        digest = hashlib.file_digest(self._file, "sha256").hexdigest()
        size = self._file.tell()
        self._file.close()
        self.path.chmod(0o444)
        return size, digest


def manifest_of(corridor: Corridor, received: Received, facts: Mapping[str, Any], progress: Progress) -> Manifest:
    """Step 5."""
    path = received.path.with_name(received.path.name + ".manifest.jsonl")
    common = {"manifest": "headwater collection 1", "stream": _name(received.path.name), "sha256": received.digests["sha256"],
              "collector": list(corridor.actors), "tool": TOOL, "form": received.form, **facts}  # fmt: skip
    rows = _Rows(path, common, corridor)
    file = open_readonly(received.path)
    seconds = 3600 + (received.size >> 20)
    try:
        files = Held((received.path,), (file,))
        task = Task(
            "read-back", "headwater.procedure.collecting_child:read_back", {"files": files.args()}, files.fds,
            wall=2.0 * seconds, cpu=seconds,
        )  # fmt: skip
        with Pool(1, ChildLimits(total=1 << 50, messages=1 << 40)) as pool:
            result = call(pool, task, rows.take)
    finally:
        file.close()
        size, digest = rows.end()
    progress("read-back", received.size, received.size, "bytes")
    return Manifest(path, size, digest, rows.head, result)


def _facts(there: There) -> dict[str, Any]:
    return {
        "source": there.visit.name,
        "state": "live",
        "clock": there.visit.clock,
        "witness": there.errand.witness or NOT_RECORDED,
        "visit": dict(there.visit.said),
    }


def _notes(visit: Visit, received: Received, left: Before | None) -> dict[str, str]:
    local = "" if visit.name != LOCAL else " (this machine)"
    said = {"source": f"{visit.name}{local}", "hostname": visit.said.get("hostname", ""), "form": received.form}
    return said if left is None else said | {"continues": f"E{left.evidence.number}"}


# ------------------------------------------------------------------ 6. the entries


def outcome(
    corridor: Corridor,
    order: CollectOrder,
    chosen: Chosen,
    received: Received,
    came: Manifest,
    notes: Mapping[str, str],
) -> Collected:
    """The item and what is told of it."""
    result = came.result
    whole = bool(result["whole"]) and not received.ended and result["end"].get("full", "0") == "0"
    counts = {str(k): int(n) for k, n in result["counts"].items()}
    verdicts = list(_verdicts(received, result, counts, whole))
    item = file_item(
        corridor, received.path, kind=KIND, digests=received.digests, size=received.size, verdicts=verdicts,
        beside=[(came.path, came.size, came.sha256)], notes={**notes, "manifest": came.path.name, "profile": chosen.profile},
    )  # fmt: skip
    return Collected(
        item, came.path, counts, tuple(result["trouble"]), tuple(result["unlike"]), chosen.withheld, whole,
        received.ended, received.form, received.size, came.head,
    )  # fmt: skip


def _verdicts(received: Received, result: Mapping[str, Any], counts: Mapping[str, int], whole: bool) -> list[Verdict]:
    checked, unlike = int(result["checked"]), int(result["unlike_count"])
    if unlike:
        why = f"{unlike} of {checked} files differ from what the server stated"
        stated = Verdict("stated-in-container", "mismatch", "sha256", reason=why)
    elif checked:
        why = f"{checked} files, SHA-256 and MD5 as the server stated them"
        stated = Verdict("stated-in-container", "match", "sha256", reason=why)
    else:
        stated = Verdict(
            "stated-in-container", "not-claimable", reason="the collector in sh found nothing there to digest with"
        )
    lost = sum(counts.get(k, 0) for k in ("failed", "cut", "timeout"))
    why = received.ended or ("" if whole else "the stream is not whole or reached its limit")
    why = why or (f"{lost} could not be had; the manifest names them" if lost else "")
    return [stated, Verdict("read-completely", "mismatch" if why else "match", reason=why)]


def note_of(done: Collected, chosen: Chosen, received: Received, came: Manifest) -> dict[str, Any]:
    """What the entry holds of a collection."""
    return {
        "profile": chosen.profile,
        "artifacts": [a.name for a in chosen.artifacts],
        "withheld": list(chosen.withheld),
        "left_out": list(chosen.left_out),
        "form": received.form,
        "collector_sha256": collector.digest(),
        "collector_traces": [asdict(t) for t in TRACES],
        "system": {k: v[:500] for k, v in came.head.items()},
        "counts": dict(done.counts),
        "checked": came.result["checked"],
        "unlike": list(done.unlike[:50]),
        "trouble": list(done.trouble[:50]),  # the manifest names all
        "trouble_count": came.result["trouble_count"],
        "ended": received.ended,
        "end": {k: str(v)[:100] for k, v in came.result["end"].items()},
        "verdicts": [{"what": v.what, "result": v.result, "reason": v.reason} for v in done.evidence.verdicts],
    }


def products_of(received: Received, came: Manifest) -> dict[str, str]:
    """The files that came of it, by name."""
    return {_name(received.path.name): received.digests["sha256"], _name(came.path.name): came.sha256}


def _name(path: str | os.PathLike[str]) -> str:
    return encode_name(os.fsencode(path))
