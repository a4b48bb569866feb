# SPDX-License-Identifier: Apache-2.0
"""Capture: the packets of one interface of a server into one pcapng file, bounded in time and bytes.

1. Order, persons, authority, arrival (:mod:`headwater.procedure.scene_errand`).
2. The filter is compiled here; the session that carries the capture is always left out, or it would capture itself.
3. The program runs on the server in memory (Python), or tcpdump does; what comes is written as it comes.
4. The counts of what the kernel dropped stand in the file and in the entry; where they were not told, that is said.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headwater.acquire.capture_filter import Node, compiled, parse, without_session, words_of
from headwater.acquire.capture_program import (
    SNAP,
    Frames,
    Framing,
    Record,
    interface,
    kind_script,
    pcap_records,
    python_script,
    records,
    tcpdump_counts,
    tcpdump_script,
)
from headwater.acquire.pcapng_writer import INCOMING, OUTGOING, PcapngWriter
from headwater.acquire.ssh_stream import ConnectionLost
from headwater.model.custody import Evidence, Verdict
from headwater.model.errors import AcquireError, UsageError
from headwater.model.times import rfc3339
from headwater.procedure.corridor import TOOL, Progress, environment, silent
from headwater.procedure.scene_errand import Errand, There, at_server
from headwater.procedure.scene_items import enter_item, file_item
from headwater.procedure.scene_visit import Flow, Visit
from headwater.scene.isolation import answers, peer_of

BEGUN = "capture-begin"
_SECONDS_MOST = 7 * 86_400
_BYTES_MOST = 1 << 40
_ETHERNET, _RAW = 1, 101
# ARPHRD of linux/if_arp.h → link type of pcap: loopback is framed as Ethernet; tunnels have no frame at all
_LINKS = {1: _ETHERNET, 772: _ETHERNET, 65534: _RAW, 512: _RAW, 768: _RAW, 769: _RAW, 776: _RAW, 778: _RAW}
_OUTGOING, _LOOPBACK = 4, 772
_OVER_MOST = 64  # blocks after the last that was kept: our program ends by itself before that, and tells its counts
_WAYS = {_OUTGOING: OUTGOING, 255: 0}
_ENDED = {0: "time", 1: "bytes", 2: "the interface"}


@dataclass(frozen=True, slots=True)
class CaptureOrder:
    """``seconds`` and ``most`` (bytes) bound it, whichever comes first; ``filter`` in the words of :mod:`capture_filter`."""

    errand: Errand
    out: Path
    interface: str
    seconds: int
    most: int
    filter: str = ""


@dataclass(slots=True)
class Captured:
    """What came of it. ``received``, ``dropped``: as the server's kernel counted, None where it did not tell."""

    evidence: Evidence | None = None
    packets: int = 0
    size: int = 0
    received: int | None = None
    dropped: int | None = None
    ended: str = ""
    began: int = 0
    last: int = 0
    digests: dict[str, str] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether it ended as it was to end, and nothing was dropped."""
        return self.ended in {"time", "bytes"} and self.dropped == 0


def capture(order: CaptureOrder, progress: Progress = silent) -> Captured:
    """Capture; the steps are numbered as in the module's docstring.

    Raises:
        UsageError: HW0001 a bound or interface that cannot be, HW2181 a filter that cannot be read.
        AcquireError: HW2180 neither Python nor tcpdump, HW2182 the interface cannot be listened to, HW2176 the file is there.
    """
    name = interface(order.interface)
    if not 0 < order.seconds <= _SECONDS_MOST or not 0 < order.most <= _BYTES_MOST:
        raise UsageError("HW0001", what=f"--seconds {order.seconds} --bytes {order.most}")
    tree = parse(order.filter) if order.filter.strip() else None
    path = order.out.absolute().with_name(order.out.name + ".pcapng")
    if not path.parent.is_dir():
        raise AcquireError("HW2022", str(path.parent), what="not a folder")
    if path.exists():
        raise AcquireError("HW2176", str(path))
    if shutil.disk_usage(path.parent).free < order.most:
        raise AcquireError("HW2175", str(path.parent), need=order.most, free=shutil.disk_usage(path.parent).free)
    with at_server(order.errand, "capture", progress) as there:
        visit = there.visit
        tree = _without_us(visit, tree)
        link = _link(visit, name)
        words, way = words_of(tree) if tree is not None else "", "AF_PACKET" if visit.python else "tcpdump"
        note = {"interface": name, "seconds": order.seconds, "bytes": str(order.most), "filter": words, "way": way,
                "visit": visit.plain(), **there.passed.note()}  # fmt: skip
        there.corridor.record(BEGUN, environment=environment(), note=note)
        names = {
            "hardware": visit.said.get("system", ""),
            "os": visit.name,
            "application": TOOL,
            "interface": name,
            "filter": words,
        }
        flow = visit.shell.stream(_script(order, visit, tree, link, name, words))
        try:
            with PcapngWriter(path, link=link, snap=SNAP, names=names) as writer:
                done = _written(order, visit, flow, writer, progress, link)
        finally:
            flow.cancel()
        if not done.packets and done.ended.startswith("refused"):
            path.chmod(0o600)
            path.unlink()  # a file of our own that holds nothing
            raise AcquireError("HW2182", name, what=done.ended.removeprefix("refused: "))
        done.digests, done.size = writer.digests, writer.size
        return _entered(there, order, done, path, note)


def _without_us(visit: Visit, tree: Node | None) -> Node | None:
    """Step 2."""
    peer = peer_of(visit.said.get("ssh", "")) if visit.session is not None else None
    if peer is None and visit.session is not None:
        raise AcquireError("HW2180", visit.name, what="SSH_CONNECTION")
    return tree if peer is None else without_session(tree, peer.client, peer.client_port, peer.server, peer.port)


def _link(visit: Visit, name: str) -> int:
    """The link type of an interface.

    Raises:
        AcquireError: HW2180 neither Python nor tcpdump, HW2182 no such interface, or one whose frames are not known here.
    """
    if not visit.python and not visit.has("tcpdump"):
        raise AcquireError("HW2180", visit.name, what="python3, tcpdump")
    said = answers(visit.shell.run(kind_script(name), 30).output)
    if said.get("there") != "yes":
        raise AcquireError("HW2182", name, what="no such interface")
    kind = said.get("type", "")
    if not kind.isdigit() or int(kind) not in _LINKS:
        raise AcquireError("HW2182", name, what=f"ARPHRD {kind}")
    return _LINKS[int(kind)]


def _script(order: CaptureOrder, visit: Visit, tree: Node | None, link: int, name: str, words: str) -> bytes:
    if visit.python:
        code = compiled(tree, ethernet=link == _ETHERNET)
        return python_script(visit.python, name, order.seconds, order.most, code)
    return tcpdump_script(name, order.seconds, words)


def _written(
    order: CaptureOrder, visit: Visit, flow: Flow, writer: PcapngWriter, progress: Progress, link: int
) -> Captured:
    """Step 3. The bounds hold here too, whatever the server does; the wall clock of this machine decides about time."""
    done = Captured(began=time.time_ns())
    deadline, both, over = time.monotonic() + order.seconds + 90, False, 0
    try:
        for record in _records(visit, flow, order.seconds):
            if record.kind == "I":
                done.began = record.when or done.began
                if not visit.python and record.one != link:
                    done.ended = f"refused: link type {record.one}"
                    return done
                both = record.one == _LOOPBACK
            elif record.kind == "B":
                over += writer.size >= order.most
                for when, data, length, way in record.packets:
                    if writer.size >= order.most:
                        break
                    # on loopback each packet is heard leaving and coming: one packet, kept as it comes, as libpcap does
                    if not (both and way == _OUTGOING):
                        writer.packet(when, data, max(length, len(data)), _WAYS.get(way, INCOMING))
                        done.last = max(done.last, when)
            else:
                done.received, done.dropped, done.last = record.one, record.two, record.when
            if record.kind == "S":
                done.ended = "bytes" if writer.size >= order.most else _ENDED.get(record.way, "?")
            progress("capture", writer.size, order.most, "bytes")
            full = writer.size >= order.most and (not visit.python or over > _OVER_MOST)
            if full or time.monotonic() > deadline:
                done.ended = "bytes" if full else "the server did not end it"
                break
    except (ConnectionLost, Framing) as error:
        done.ended = f"lost: {error}"
    done.packets = writer.packets
    _close(visit, flow, done)
    writer.statistics(done.began, done.last or time.time_ns(), done.received, done.dropped)
    return done


def _records(visit: Visit, flow: Flow, seconds: int) -> Iterator[Record]:
    if visit.python:  # it tells something every second
        yield from records(Frames(flow))
    else:
        yield from pcap_records(Frames(flow, seconds + 60))


def _close(visit: Visit, flow: Flow, done: Captured) -> None:
    """What its end says: tcpdump's counts, or why nothing came at all."""
    if not visit.python:
        done.received, done.dropped = tcpdump_counts(flow.errors)
        if not done.ended:
            done.ended = "time" if done.received is not None else f"refused: {flow.errors}"
    elif not done.ended:
        done.ended = f"refused: {flow.errors or flow.status}"


def _entered(there: There, order: CaptureOrder, done: Captured, path: Path, note: dict[str, Any]) -> Captured:
    """Step 4."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    same = "match" if digest.hexdigest() == done.digests["sha256"] else "mismatch"
    lack = [] if done.ended in {"time", "bytes"} else [done.ended]
    if done.dropped:
        lack.append(f"the kernel dropped {done.dropped} packets")
    result = "mismatch" if lack else "not-claimable" if done.dropped is None else "match"
    why = "; ".join(lack) or ("" if done.dropped is not None else "dropped packets were not counted")
    verdicts = [Verdict("stream-equals-image", same, "sha256", done.digests["sha256"], digest.hexdigest()),
                Verdict("read-completely", result, reason=why)]  # fmt: skip
    told = {"packets": done.packets, "received": _told(done.received), "dropped": _told(done.dropped),
            "ended": done.ended, "began": rfc3339(done.began) or "", "last": rfc3339(done.last) or ""}  # fmt: skip
    with there.corridor.ledger.group():
        item = file_item(there.corridor, path, kind="file", digests=done.digests, size=done.size, verdicts=verdicts,
                         notes={"source": there.visit.name, "interface": order.interface, "way": note["way"]})  # fmt: skip
        enter_item(there.corridor, item)
        more = {k: note[k] for k in ("interface", "seconds", "bytes", "filter", "way")}
        there.enter("capture", {**more, **told, "evidence": item.number}, evidence=[item.number])
    done.evidence = item
    return done


def _told(count: int | None) -> Any:
    return count if count is not None else {"not_recorded": "it was not told"}
