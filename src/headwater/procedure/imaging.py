# SPDX-License-Identifier: Apache-2.0
"""Image: from authority to a registered image, in one numbered order.

1. Authority and case: refused without one (or a recorded reason for none).
2. The source is reached, here or over SSH, and its environment record taken: what it is, what is on it, who uses it.
3. A source that is being written is refused unless imaged live; write protection is checked and its kind recorded;
   none demands a confirmation. Nothing is ever written onto the source's own disk.
4. All of this, the decision on power and state and who made it, is entered before a byte of the source is imaged.
5. The image is made, read back, and the source read again; each verdict is entered, with its reason.
6. The image is registered as evidence: the medium's digests and each file's.

Who acts signs every entry by their own key where people are enrolled, and a second person the entry of the image.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from headwater.acquire import sidecar
from headwater.acquire.environment import Environment, lies_on
from headwater.acquire.imaged import Imaged, finished
from headwater.acquire.imaging import Desk, Imaging
from headwater.acquire.partition_source import PartitionSource
from headwater.acquire.plans import BLOCK, FAR_BLOCK, Plan
from headwater.acquire.ports import BlockSource
from headwater.acquire.write_protection import WriteProtection, refuse_mounted, write_protection
from headwater.case.authority import Claim
from headwater.confine.pool import Limits, Pool, Task
from headwater.formats.opened import open_readonly
from headwater.model.custody import NOT_RECORDED, Evidence, Verdict
from headwater.model.errors import AcquireError, HeadwaterError, UsageError
from headwater.model.nouns import Text
from headwater.model.paths import encode_name
from headwater.procedure.admission import admitted
from headwater.procedure.corridor import (
    PLANNED,
    REGISTERED,
    TOOL,
    Corridor,
    Progress,
    environment,
    evidence_of,
    silent,
    utc_now,
)
from headwater.procedure.hands import countersign, second_of
from headwater.procedure.image_check import check_image
from headwater.procedure.image_zeros import allocated_zeros
from headwater.procedure.intake import Held, call
from headwater.procedure.reaching import Reach, Reached, is_local, is_remote, reached
from headwater.procedure.signing import Hand
from headwater.procedure.stated_words import told
from headwater.procedure.within_mandate import gate_note, within
from headwater.vault.keys import open_case_key
from headwater.vault.roles import Actor

BEGUN, STOPPED, IMAGED = "image-begin", "image-stopped", "image"
_IN_LEDGER = 1_000  # bad ranges; the sidecar, whose digest stands there, lists more


@dataclass(frozen=True, slots=True)
class ImageOrder:
    """What a person asks for. ``plan`` holds the options of :class:`~headwater.acquire.plans.Plan` that were given.

    ``state``: ``static`` or ``live``, decided by ``state_by``; empty is not recorded. ``unprotected``: the reason for
    reading a source that nothing protects from writing; ``override``: the reason for imaging what lies outside the mandate.
    ``remote``: the fields of remote work as they are this time; ``attack_source``: an attack came from this host.
    """

    source: str
    case: Path
    out: Path
    claim: Claim
    examiners: tuple[str, ...] = ()
    plan: Mapping[str, Any] = field(default_factory=dict)
    partition: int | None = None
    live: bool = False
    state: str = ""
    state_by: str = ""
    write_blocker: str | None = None
    set_readonly: bool = False
    unprotected: str | None = None
    override: str | None = None
    reach: Reach = field(default_factory=Reach)
    resume: bool = False
    command: tuple[str, ...] = ()
    remote: Mapping[str, str] = field(default_factory=dict)
    attack_source: bool = False
    because: str | None = None  # why the image is taken out of the order of the scene
    hand: Hand | None = None  # who acts, by their own key
    second: Hand | None = None  # who was there too, and signs the image's entry


@dataclass(frozen=True, slots=True)
class ImageOutcome:
    """What came of it."""

    imaged: Imaged
    evidence: Evidence
    verdicts: tuple[Verdict, ...]


def image(order: ImageOrder, progress: Progress = silent) -> ImageOutcome:
    """Run the whole procedure; the steps are numbered as in the module's docstring."""
    _check(order)
    plan = _plan(order)
    with admitted(
        order.case, order.claim, order.examiners, order.command, progress, order.hand, signed=True
    ) as corridor:
        second = second_of(corridor, order.second, order.source)
        left = finished(plan) if order.resume else None
        if left is not None:
            return _taken_up(corridor, order, plan, left, second)
        passed = _in_order(corridor, order)
        live = order.live or order.state == "live"
        reach = replace(order.reach, static=order.state == "static")
        # one confined child for all that is read of the source's content and of the image's
        with Pool(1, Limits()) as pool, reached(order.source, reach, live=live, pool=pool) as way:
            objections = within(
                corridor, _said(order, way), order.override, method="remote" if is_remote(order.source) else "image",
                remote=order.remote, attack_source=order.attack_source,
            )  # fmt: skip
            protection = _guarded(order, plan, way.environment)
            source = _part(order, way.source, pool)
            begun = _begin(corridor, order, source, way, protection, objections, passed)
            desk = Desk(
                progress=progress, sign=case_signer(corridor), now=utc_now, tool=TOOL, record=begun,
                inspect=lambda folder, names, zeros: allocated_zeros(pool, folder, names, zeros, e01=plan.format == "e01"),
            )  # fmt: skip
            try:
                imaged = Imaging(source, plan, desk, resume=order.resume).run()
            except (HeadwaterError, KeyboardInterrupt) as error:
                what = error.text("en") if isinstance(error, HeadwaterError) else "interrupted"
                note = {"source": _name(source.name), "out": _name(order.out), "what": what, "way": way.way()}
                corridor.record(STOPPED, note=note)
                raise
            came = way.way()
        return _end(corridor, order, plan, imaged, came, second, objections)


def _in_order(corridor: Corridor, order: ImageOrder) -> dict[str, Any]:
    """The decision of the scene's order, where the case has a plan of its scene; nothing where it has none.

    Raises:
        AcquireError: HW2150, out of order without a reason; HW2151, a guard stands against it.
    """
    if corridor.ledger.last(PLANNED) is None:
        return {}
    from headwater.procedure.scene import gate, server_of  # it reads what imaging enters

    asset = server_of(order.source) if is_remote(order.source) else order.source
    return {"scene": gate(corridor, "image", asset, order.because).note()}


def _taken_up(corridor: Corridor, order: ImageOrder, plan: Plan, left: Imaged, second: Actor) -> ImageOutcome:
    """An image that was finished but never entered: verified as it lies, then entered.

    Raises:
        AcquireError: HW2020 it is entered already; HW2024 it is no longer what its sidecar says.
    """
    first = left.folder / left.segments[0][0]
    for sealed in corridor.ledger.entries():
        if sealed.entry.action == IMAGED and left.sidecar_sha256 in sealed.entry.products.values():
            raise AcquireError("HW2020", str(first))
    found = check_image(first, left.sidecar, corridor.progress)
    wrong = [c.what for c in found.checks if c.result == "failed"]
    if wrong or found.public_key != case_signer(corridor)(b"")["public_key"]:
        raise AcquireError("HW2024", str(first), what=", ".join(wrong) or "signed by another case")
    return _end(corridor, order, plan, left, {}, second)


def _check(order: ImageOrder) -> None:
    if order.state not in ("", "static", "live"):
        raise UsageError("HW0001", what=f"--state {order.state}: static, live")
    if order.live and order.state == "static":
        raise UsageError("HW0001", what="--live, --state static")
    if order.unprotected is not None and not order.unprotected.strip():
        raise UsageError("HW0001", what='--confirm-unprotected "reason"')


def _plan(order: ImageOrder) -> Plan:
    folder, stem = order.out.parent, order.out.name
    options = dict(order.plan)
    if order.partition is not None:
        options["physical"] = False
    fields = {"examiner_name": ", ".join(order.examiners), "software_version": TOOL} | dict(options.pop("fields", {}))
    if options.get("block") is None:
        options["block"] = FAR_BLOCK if is_remote(order.source) else BLOCK
    plan = Plan(folder.absolute(), stem, fields={k: v for k, v in fields.items() if v}, **options)
    for place in plan.folders:
        if not place.is_dir():
            raise UsageError("HW0001", what=Text(f"{place}：不是目录", f"{place}: not a folder"))
    return plan


def _guarded(order: ImageOrder, plan: Plan, known: Environment) -> WriteProtection:
    """Step 3."""
    refuse_mounted(known, live=order.live)
    for place in (*plan.folders, order.case):
        if lies_on(place, known):
            raise AcquireError("HW2026", str(place), what=known.source)
    protection = write_protection(known, write_blocker=order.write_blocker, set_readonly=order.set_readonly)
    # a plain file is opened O_RDONLY and has no firmware or journal behind it that could write by itself
    if protection.needs_confirmation and order.unprotected is None and known.device is not None:
        raise AcquireError("HW2027", known.source, what=protection.said)
    return protection


def _said(order: ImageOrder, way: Reached) -> list[tuple[str, str]]:
    """What the source says of itself, to be held against the mandate's targets.

    The names of this machine are said only of a server: a disk on a bench is not the workstation that reads it.
    """
    known = way.environment
    said: list[tuple[str, object]] = [("serial", known.device.serial)] if known.device is not None else []
    if is_remote(order.source):
        from headwater.acquire.ssh_session import target_of  # heavy, and only for servers

        said += [("address", target_of(order.source).host)]
        said += [(kind, known.system.get(name)) for kind, name in (("host", "hostname"), ("machine-id", "machine_id"))]
    return [(kind, value) for kind, value in said if isinstance(value, str) and value]


def _part(order: ImageOrder, whole: BlockSource, pool: Pool) -> BlockSource:
    """The whole source, or the partition of it that was asked for."""
    if order.partition is None:
        return whole
    if not is_local(order.source):
        raise UsageError("HW0001", what=f"--partition {order.partition}: {order.source}")
    name, offset, length = _partition(order, pool)
    return PartitionSource(whole, offset, length, name)


def _name(path: str | os.PathLike[str]) -> str:
    return encode_name(os.fsencode(path))


def _partition(order: ImageOrder, pool: Pool) -> tuple[str, int, int]:
    """Name, offset and length of the partition, from the table as a confined child reads it."""
    file = open_readonly(order.source)
    try:
        files = Held((), (file,)).args()
        task = Task("partitions", "headwater.procedure.child_image:partitions", {"files": files}, (file.fd,))
        found = call(pool, task)["volumes"]
    finally:
        file.close()
    for name, offset, length, _, _ in found:
        if name == f"p{order.partition}" and offset >= 0:
            return str(name), int(offset), int(length)
    there = ", ".join(str(row[0]) for row in found) or "none"
    raise AcquireError("HW2030", order.source, what=order.partition, there=there)


def _begin(
    corridor: Corridor,
    order: ImageOrder,
    source: BlockSource,
    way: Reached,
    protection: WriteProtection,
    objections: Sequence[Mapping[str, str]],
    passed: Mapping[str, Any],
) -> dict[str, Any]:
    """Step 4: the entry, and what of it goes into the sidecar."""
    record: dict[str, Any] = {
        "examiners": list(corridor.actors),
        "state": order.state or ("live" if order.live else NOT_RECORDED),
        "state_decided_by": order.state_by or NOT_RECORDED,
        "write_protection": protection.plain(),
        "unprotected_reason": (order.unprotected or "").strip() or NOT_RECORDED,
        "clocks": way.clocks,
    }
    note = record | {
        "source": _name(source.name),
        "out": _name(order.out.absolute()),
        "size": source.size,
        "resume": order.resume,
        "record": way.environment.plain(),
        "way": way.way(),
        "objections": [dict(o) for o in objections],
        "override": (order.override or "").strip(),
        "remote": dict(order.remote),
        "attack_source": order.attack_source,
        **passed,
    }
    corridor.record(BEGUN, environment=environment() | dict(source.facts), note=note)
    return record


def case_signer(corridor: Corridor) -> sidecar.Signer:
    """The case's key as what signs sidecars."""
    key = open_case_key(corridor.case / "keys" / "case.key")

    def sign(data: bytes) -> dict[str, str]:
        return {"algorithm": "Ed25519", "public_key": key.public, "value": key.sign(data).hex()}

    return sign


def _end(
    corridor: Corridor, order: ImageOrder, plan: Plan, imaged: Imaged, came: Mapping[str, Any], second: Actor,
    objections: Sequence[Mapping[str, str]] = (),
) -> ImageOutcome:  # fmt: skip
    """Steps 5 and 6, entered together."""
    products = {name: sha256 for name, _, sha256 in imaged.segments} | {imaged.sidecar.name: imaged.sidecar_sha256}
    bad = [[at, length, reason.value, detail] for at, length, reason, detail in imaged.bad]
    item = _evidence(corridor, order, plan, imaged)
    with corridor.ledger.group():
        made = corridor.record(
            IMAGED,
            evidence=[item.number],
            materials={_name(order.source): imaged.digests["sha256"]},
            products=products,
            environment=environment(),
            note={
                "source_digests": dict(imaged.digests),
                "medium_digests": dict(imaged.medium),
                "verdicts": [asdict(v) for v in imaged.verdicts],
                "bad": bad[:_IN_LEDGER],
                "bad_ranges": len(bad),
                "bad_bytes": sum(b[1] for b in bad),
                "zero_bytes": imaged.zeros,
                "resumed_at": list(imaged.resumed_at),
                "failed_destinations": dict(imaged.failures),
                "way": dict(came),
            },
        )
        corridor.record(
            REGISTERED,
            evidence=[item.number],
            materials={item.name: item.digests["sha256"]},
            environment=environment(),
            note={"evidence": asdict(item), "bad": bad[:10_000], **gate_note(objections, order.override)},
        )
        countersign(corridor, second, IMAGED, made)
    return ImageOutcome(imaged, item, imaged.verdicts)


def _evidence(corridor: Corridor, order: ImageOrder, plan: Plan, imaged: Imaged) -> Evidence:
    held = evidence_of(corridor.ledger)
    named = next(corridor.ledger.entries()).entry.note.get("sources", [])
    number = max([len(named), *(i.number for i in held)]) + 1
    first = imaged.folder / imaged.segments[0][0]
    kinds = {"e01": "e01", "split": "split-raw" if len(imaged.segments) > 1 else "raw"}
    return Evidence(
        number=number,
        name=_name(first.name),
        kind=kinds.get(plan.format, "raw"),
        source_path=_name(first),
        size=imaged.size + plan.padding_of(imaged.size, imaged.sector_size),
        digest_of="medium",
        digests=dict(imaged.medium),
        files=tuple((_name(imaged.folder / name), size, sha256) for name, size, sha256 in imaged.segments),
        method="image",
        custodian=" / ".join(corridor.actors) or NOT_RECORDED,
        purpose=corridor.settings.purpose,
        registered_at=utc_now(),
        verdicts=imaged.verdicts,
        stated={k: v for k, v in imaged.medium.items() if plan.format == "e01" and k in ("md5", "sha1")},
        notes={"source": _name(order.source), "sidecar": imaged.sidecar.name},
    )


def verdict_words(verdict: Verdict) -> tuple[str, str]:
    """A verdict in Chinese and in English, as it is shown and entered."""
    what_zh, what_en = _WHAT.get(verdict.what, (verdict.what, verdict.what))
    result_zh, result_en = _RESULT[verdict.result]
    if verdict.what == "stated-in-container" and verdict.algorithm:  # there may be one for each algorithm
        what_zh, what_en = f"{what_zh}（{verdict.algorithm}）", f"{what_en} ({verdict.algorithm})"
    zh, en = f"{what_zh}：{result_zh}", f"{what_en}: {result_en}"
    if verdict.reason:
        why = told(verdict.reason)
        zh, en = f"{zh}（{why.zh}）", f"{en} ({why.en})"
    return zh, en


_WHAT = {
    "stream-equals-image": ("读出的数据流与镜像一致", "the stream read equals the image"),
    "source-read-again": ("再次读取检材与镜像一致", "the source read again equals the image"),
    "stated-in-container": ("与来源自载的校验值一致", "the content has the digest that the source states"),
    "read-completely": ("检材全部读出", "the source was read completely"),
}
_RESULT = {
    "match": ("相符", "yes"),
    "mismatch": ("不符", "NO"),
    "not-claimable": ("不可主张", "not claimable"),
}


def failed(verdicts: Sequence[Verdict]) -> bool:
    """Whether one of the verdicts is a mismatch."""
    return any(v.result == "mismatch" for v in verdicts)
