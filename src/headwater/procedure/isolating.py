# SPDX-License-Identifier: Apache-2.0
"""Isolate a running server by its own kernel, and let it go again.

1. The rules that stand are listed and kept. What is let through is held against where we come from: nobody is to lock himself out.
2. A short timer that takes everything back is armed, then the rules are applied (:mod:`headwater.scene.isolation`).
3. A second connection is made through them, and they are tested from inside. Only then the short timer ends; where that fails, it fires.
4. Rules before and after, the test and the timers go into the case as evidence, and the act into the ledger.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from headwater.acquire.ssh_stream import ConnectionLost
from headwater.formats.atomic import write_atomic
from headwater.model.custody import Evidence, Verdict
from headwater.model.errors import AcquireError, HeadwaterError, UsageError
from headwater.procedure.corridor import Corridor, environment
from headwater.procedure.scene import ACTED, plan_of
from headwater.procedure.scene_errand import Errand, There, at_server
from headwater.procedure.scene_items import ALGORITHMS, enter_item, file_item, next_number
from headwater.procedure.scene_visit import Visit, visited
from headwater.scene import isolation
from headwater.scene.isolation import TRIAL_SECONDS, Wall

_SECONDS = 30.0
_MINUTES_MOST = 60 * 24 * 30
_RULES_MOST = 200_000  # characters in the ledger; the whole stands in the item
BEGUN = "isolate-begin"


@dataclass(frozen=True, slots=True)
class IsolateOrder:
    """``allow``: addresses or networks; ``ports``: management ports besides the present one; ``minutes``: how long at most.

    ``without_me``: this machine's own address is left out on purpose, only the present session stays.
    """

    errand: Errand
    allow: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    minutes: int | None = None
    without_me: bool = False
    trial: int = TRIAL_SECONDS


@dataclass(frozen=True, slots=True)
class Isolated:
    """What came of it. ``tested``: check → ``yes``, ``no`` or why it could not be tried."""

    evidence: Evidence
    method: str
    tested: Mapping[str, str]
    restored: str = ""

    @property
    def clean(self) -> bool:
        """Whether nothing that was tested failed."""
        return "no" not in self.tested.values() and self.restored in {"", "exactly"}


def isolate(order: IsolateOrder) -> Isolated:
    """Isolate; the steps are numbered as in the module's docstring.

    Raises:
        UsageError: HW2165 an address that is none; AcquireError: HW2160 not root or no tool, HW2162 it was taken back,
            HW2166 this machine would be locked out, HW2167 it is isolated already.
    """
    allow = isolation.networks(order.allow)
    if order.minutes is not None and not 0 < order.minutes <= _MINUTES_MOST:
        raise UsageError("HW0001", what=f"--for {order.minutes}")
    if any(not 0 < p < 65_536 for p in order.ports):
        raise UsageError("HW0001", what=f"--port {order.ports}")
    with at_server(order.errand, "isolate") as there:
        visit = there.visit
        peer = isolation.peer_of(visit.said.get("ssh", ""))
        if peer is None:
            raise AcquireError("HW2166", visit.name, what="SSH_CONNECTION")
        if not order.without_me and not isolation.covers(allow, peer.client):
            raise AcquireError("HW2166", visit.name, what=peer.client)
        method, before = _method(visit)
        wall = Wall(method, allow, tuple(dict.fromkeys((peer.port, *order.ports))), peer)
        trial, later = (f"headwater-{secrets.token_hex(8)}" for _ in range(2))
        there.corridor.record(BEGUN, note=_intended(there, wall, order, trial, before), environment=environment())
        pid = _applied(visit, wall, order.trial, trial)
        try:
            tested = _tested(order, visit, method)
            failed = [name for name, result in tested.items() if result == "no"]
            if failed:
                raise AcquireError("HW2162", visit.name, what=", ".join(failed), seconds=0)
            timer = _confirmed(visit, wall, pid, trial, order.minutes, later)
        except (HeadwaterError, ConnectionLost) as error:
            _take_back(there, wall, pid, trial, order.trial, error)
        after, _, _ = isolation.listed(visit.shell.run(isolation.listing_script(method), _SECONDS).output)
        state = {"method": method, "token": later if timer else "", "timer": str(timer or ""), "trial": str(order.trial),
                 "minutes": str(order.minutes or ""), "allow": [str(n) for n in allow], "ports": list(wall.ports),
                 "session": f"{peer.client}:{peer.client_port} {peer.server}:{peer.port}"}  # fmt: skip
        item = _kept(there, "isolate", {"before": before, "after": after, "tested": tested, **state})
        with there.corridor.ledger.group():
            enter_item(there.corridor, item)
            more = {**state, "tested": tested, "changes": "kernel packet filter, in memory", "evidence": item.number,
                    "rules_before": _digest(before), "rules_after": _digest(after)}  # fmt: skip
            there.enter("isolate", more, evidence=[item.number])
        return Isolated(item, method, tested)


def _intended(there: There, wall: Wall, order: IsolateOrder, token: str, before: str) -> dict[str, Any]:
    """What is about to be done, entered before it is: a change of the server outlives whatever happens to this program."""
    return {"method": wall.method, "trial": str(order.trial), "trial_token": token, "token": "", "timer": "",
            "allow": [str(n) for n in wall.allow], "ports": list(wall.ports), "rules_before": _digest(before),
            "before": before[:_RULES_MOST], "visit": there.visit.plain(), **there.passed.note()}  # fmt: skip


def _method(visit: Visit) -> tuple[str, str]:
    """What the rules are made with there, and the rules that stand.

    Raises:
        AcquireError: HW2160, HW2167.
    """
    if not visit.root:
        raise AcquireError("HW2160", visit.name, what=f"uid {visit.said.get('uid', '?')}")
    why = "neither nft nor iptables"
    for method, tools in (("nft", ("nft",)), ("iptables", ("iptables", "iptables-save", "iptables-restore"))):
        if all(visit.has(t) for t in tools):
            rules, could, ours = isolation.listed(visit.shell.run(isolation.listing_script(method), _SECONDS).output)
            if ours:
                raise AcquireError("HW2167", visit.name)
            if could:
                return method, rules
            why = rules.strip()[-200:]
    raise AcquireError("HW2160", visit.name, what=why)


def _applied(visit: Visit, wall: Wall, seconds: int, token: str) -> int:
    """Step 2; returns the number of the timer's process.

    Raises:
        AcquireError: HW2162 nothing stands: no timer, or the rules were refused; or no answer came, and the timer will fire.
    """
    try:
        done = visit.shell.run(isolation.apply_script(wall, seconds, token), _SECONDS)
    except ConnectionLost as error:
        raise AcquireError("HW2162", visit.name, what=error, seconds=seconds) from error
    said = isolation.answers(done.output)
    if said.get("applied") != "0" or not said.get("timer", "").isdigit():
        raise AcquireError("HW2162", visit.name, what=f"{said.get('applied', '?')} {done.errors}".strip(), seconds=0)
    return int(said["timer"])


def _tested(order: IsolateOrder, visit: Visit, method: str) -> dict[str, str]:
    """Step 3: a new connection through the rules, and a datagram from inside that must not leave."""
    found = {}
    if order.without_me:
        found["second-connection"] = "not tried: this machine is left out"
    else:
        try:
            with visited(order.errand.address, order.errand.reach, clock=False):
                found["second-connection"] = "yes"
        except AcquireError:
            found["second-connection"] = "no"
    done = visit.shell.run(isolation.test_script(method, visit.python), _SECONDS)
    said = isolation.answers(done.output)
    counts = [said.get(n, "") for n in ("dropped_before", "dropped_after")]
    if not said.get("probe"):
        found["nothing-leaves"] = "not tried: no tool to send with"
    elif all(c.isdigit() for c in counts) and int(counts[1]) > int(counts[0]):
        found["nothing-leaves"] = "yes"
    elif said.get("exit") != "0" and "unreachable" in said.get("said", "").lower():
        found["nothing-leaves"] = "not tried: no route"
    else:
        found["nothing-leaves"] = "no"
    return found


def _confirmed(visit: Visit, wall: Wall, pid: int, token: str, minutes: int | None, later: str) -> int | None:
    """The trial is over: its timer ends, the lasting one runs where one was asked for; returns that one's number."""
    seconds = minutes * 60 if minutes else None
    done = visit.shell.run(isolation.confirm_script(wall.method, pid, token, seconds, later), _SECONDS)
    said = isolation.answers(done.output)
    if said.get("ended") != str(pid) or (minutes and not said.get("timer", "").isdigit()):
        raise AcquireError("HW2162", visit.name, what=f"timer: {done.errors or said}", seconds=0)
    return int(said["timer"]) if minutes else None


def _take_back(there: There, wall: Wall, pid: int, token: str, seconds: int, why: Exception) -> NoReturn:
    """The rules at once, if the session still answers; else the timer does it.

    Raises:
        AcquireError: HW2162, always: with how many seconds are left until the timer fires, 0 where it was done.
    """
    try:
        done = there.visit.shell.run(isolation.remove_script(wall.method, pid, token), _SECONDS)
        left = 0 if isolation.answers(done.output).get("removed") == "0" else seconds
    except ConnectionLost:
        left = seconds
    what = why.names.get("what", why.code) if isinstance(why, HeadwaterError) else str(why)
    raise AcquireError("HW2162", there.visit.name, what=what, seconds=left) from why


def _kept(there: There, name: str, record: Mapping[str, Any]) -> Evidence:
    """Step 4: rules and tests as one file of the case."""
    data = (
        json.dumps({"visit": there.visit.plain(), **record}, ensure_ascii=False, indent=1, sort_keys=True).encode()
        + b"\n"
    )
    path = there.corridor.case.absolute() / "acquired" / f"{name}-{next_number(there.corridor):04d}.json"
    write_atomic(path, data)
    path.chmod(0o444)
    digests = {n: hashlib.new(n, data, usedforsecurity=False).hexdigest() for n in ALGORITHMS}
    verdict = Verdict("read-completely", "match")
    return file_item(there.corridor, path, kind="file", digests=digests, size=len(data), verdicts=[verdict],
                     notes={"source": there.visit.name})  # fmt: skip


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _standing(corridor: Corridor, asset: str) -> Mapping[str, Any]:
    """The last isolation of a server by this program, as the ledger has it.

    Raises:
        AcquireError: HW2163 there is none.
    """
    plan, found = plan_of(corridor), None
    for sealed in corridor.ledger.entries():
        note = sealed.entry.note
        ours = sealed.entry.action == BEGUN or (
            sealed.entry.action == ACTED and note.get("act") == "isolate" and note.get("method")
        )
        if ours and plan.asset(str(note["asset"])) == plan.asset(asset):
            found = note
    if found is None:
        raise AcquireError("HW2163", asset)
    return found


def release(errand: Errand) -> Isolated:
    """Take the rules back, and hold what stands then against what stood before.

    Raises:
        AcquireError: HW2150 the work is not done and no reason given, HW2163 it was not isolated by us, HW2164 they stand still.
    """
    with at_server(errand, "release") as there:
        held, shell = _standing(there.corridor, errand.asset), there.visit.shell
        method, timer = str(held["method"]), str(held["timer"])
        pid = int(timer) if timer.isdigit() else 0
        done = shell.run(isolation.remove_script(method, pid, str(held["token"]) if pid else ""), _SECONDS)
        said = isolation.answers(done.output)
        after, _, ours = isolation.listed(shell.run(isolation.listing_script(method), _SECONDS).output)
        if ours:
            raise AcquireError("HW2164", there.visit.name, what=done.errors or "?")
        restored = "exactly" if _digest(after) == held["rules_before"] else "other rules stand than before"
        tested = {"rules-stood": "yes" if said.get("found") == "0" else "gone already: the timer, or somebody"}
        state = {"method": method, "restored": restored, "tested": tested, "rules_after": _digest(after)}
        item = _kept(there, "release", {"after": after, **state})
        with there.corridor.ledger.group():
            enter_item(there.corridor, item)
            there.enter("release", state | {"evidence": item.number}, evidence=[item.number])
        return Isolated(item, method, tested, restored)
