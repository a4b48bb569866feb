# SPDX-License-Identifier: Apache-2.0
"""Findings become steps: the moves of the intruder, in the six stages and the covering of tracks.

Only findings of medium severity or more count, and of web exploitation only what the host confirms, so that the
background of the internet makes no step. A Sigma match joins a step of the same stage; alone it makes one only where
its rule is of level high or critical.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from headwater.formats.canonical import identify
from headwater.model.kinds import SEVERITY_ORDER, STAGE_TEXT, Confidence, Severity, Stage
from headwater.model.nouns import Finding, Step, Text
from headwater.model.paths import file_layer

# Acts of one actor at one stage further apart than this are told as two steps.
APART = 6 * 3600 * 1_000_000_000
STAGES = tuple(Stage)
_CONFIDENCES = tuple(Confidence)
_TOLD = 3
_ENTRIES = (Stage.LOGIN, Stage.EXPLOIT)


def counts(finding: Finding) -> bool:
    """Whether a finding may make a step."""
    if SEVERITY_ORDER[finding.severity] < SEVERITY_ORDER[Severity.MEDIUM]:
        return False
    return finding.facts.get("reach") not in ("requested", "answered")


def _is_sigma(finding: Finding) -> bool:
    return finding.rule.id.startswith("sigma:")


def _alone(finding: Finding) -> bool:
    return not _is_sigma(finding) or SEVERITY_ORDER[finding.severity] >= SEVERITY_ORDER[Severity.HIGH]


def _evidence(finding: Finding) -> int:
    return finding.spans[0].span.evidence if finding.spans else finding.gaps[0].span.evidence


def hosts_of(findings: Iterable[Finding]) -> dict[int, str]:
    """The host of each item of evidence that its findings name most often; where two are named as often, none is told."""
    named: dict[int, Counter[str]] = defaultdict(Counter)
    for finding in findings:
        if finding.host:
            named[_evidence(finding)][finding.host] += 1
    found = {}
    for number, counted in named.items():
        (first, most), *others = counted.most_common(2)
        if not others or most > others[0][1]:
            found[number] = first
    return found


def asset_of(finding: Finding, hosts: Mapping[int, str]) -> str | None:
    """The host that a finding concerns: as it says, else that of its evidence; of many together none."""
    return finding.host or (None if "many_hosts" in finding.facts else hosts.get(_evidence(finding)))


@dataclass(frozen=True, slots=True)
class _Group:
    """Findings of one actor; ``implied``: that it acted is inferred for some of them."""

    actor: str | None
    findings: list[Finding]
    implied: bool


def _clusters(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Findings of one stage and asset cut where nothing happened for long; those without a time join the first."""
    timed = sorted((f for f in findings if f.ts_first is not None), key=lambda f: (f.ts_first or 0, f.id))
    clusters: list[list[Finding]] = []
    end = 0
    for finding in timed:
        first, last = finding.ts_first or 0, finding.ts_last or finding.ts_first or 0
        if clusters and first - end <= APART:
            clusters[-1].append(finding)
            end = max(end, last)
        else:
            clusters.append([finding])
            end = last
    timeless = sorted((f for f in findings if f.ts_first is None), key=lambda f: f.id)
    if timeless:
        if clusters:
            clusters[0].extend(timeless)
        else:
            clusters.append(timeless)
    return clusters


def _by_actor(cluster: Sequence[Finding], before: Sequence[Step]) -> list[_Group]:
    """One group per address: as the finding says or another about the same file, else as its entries imply; the rest by account."""
    groups: dict[str | None, list[tuple[Finding, bool]]] = {}
    hands = _hands(cluster)
    for finding in cluster:
        said = finding.src_ip or hands.get(_only_file(finding))
        implied = None if said else _implied(finding.ts_first, before)
        groups.setdefault(said or implied, []).append((finding, implied is not None))
    nameless = groups.pop(None, [])
    if nameless and len(groups) == 1 and not before:
        next(iter(groups.values())).extend(nameless)
        nameless = []
    made = [_Group(a, [f for f, _ in held], any(i for _, i in held)) for a, held in groups.items()]
    if nameless:
        users = sorted({f.user for f, _ in nameless if f.user})
        made.append(_Group(users[0] if len(users) == 1 else None, [f for f, _ in nameless], False))
    return made


def _only_file(finding: Finding) -> str:
    """The one file whose content a finding without an account rests on; empty where there are several or none."""
    files = {file_layer(c.span.path) for c in finding.spans} if finding.user is None else set()
    files = {f for f in files if f.startswith("/")}
    return files.pop() if len(files) == 1 else ""


def _hands(cluster: Sequence[Finding]) -> dict[str, str]:
    """Files that findings are about (``path`` of their facts) and the one address that these name for each.

    Two findings about one web shell, one by its requests and one by its content, must not tell of two intruders.
    """
    found: dict[str, set[str]] = defaultdict(set)
    for finding in cluster:
        path = finding.facts.get("path")
        if finding.src_ip and isinstance(path, str):
            found[file_layer(path)].add(finding.src_ip)
    return {path: addresses.pop() for path, addresses in found.items() if path and len(addresses) == 1}


def _implied(ts: int | None, before: Sequence[Step]) -> str | None:
    """The one address that had entered the host by then, or None.

    What was typed needs a session: where exactly one address logged in, it is that one, whoever else came by the web.
    """
    came = [s for s in before if ts is None or (s.ts_first is not None and s.ts_first <= ts)]
    named = {s.actor for s in came if s.stage == Stage.LOGIN} or {s.actor for s in came}
    return named.pop() if len(named) == 1 else None


def _step(stage: Stage, asset: str | None, group: _Group) -> Step:
    held, actor = group.findings, group.actor
    ranked = sorted(held, key=lambda f: (-SEVERITY_ORDER[f.severity], _is_sigma(f), f.ts_first or 0, f.id))
    best = ranked[0]
    top = [f for f in ranked if f.severity == best.severity]
    confidence = max((f.confidence for f in top), key=_CONFIDENCES.index)
    zh_stage, en_stage = STAGE_TEXT[stage]
    zh = f"{zh_stage}：" + "".join(f.text.zh for f in ranked[:_TOLD])
    en = f"{en_stage}: " + " ".join(f.text.en for f in ranked[:_TOLD])
    if len(ranked) > _TOLD:
        zh += f"另有 {len(ranked) - _TOLD} 项发现支持本步骤。"
        en += f" {len(ranked) - _TOLD} further findings support this step."
    if group.implied:
        zh += f"其中未记载来源地址的行为，系由 {actor} 此前进入同一主机推断。"
        en += f" Where no address is recorded, that {actor} acted is inferred from its earlier entry into this host."
        confidence = _lower(confidence)
    times = [t for f in held for t in (f.ts_first, f.ts_last) if t is not None]
    step = Step(
        stage=stage,
        technique=best.rule.techniques[0] if best.rule.techniques else "",
        actor=actor,
        asset=asset,
        ts_first=min(times) if times else None,
        ts_last=max(times) if times else None,
        confidence=confidence,
        text=Text(zh, en),
        findings=tuple(f.id for f in ranked),
    )
    identified: Step = identify("S", step)
    return identified


def _lower(confidence: Confidence) -> Confidence:
    return Confidence.MEDIUM if confidence == Confidence.HIGH else confidence


def is_address(text: str) -> bool:
    """Whether an actor is an address rather than an account."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def correlate(findings: Iterable[Finding]) -> list[Step]:
    """The steps, in order of time; steps without a time come last, in order of stage."""
    held = [f for f in findings if counts(f)]
    hosts = hosts_of(held)
    groups: dict[tuple[Stage, str], list[Finding]] = defaultdict(list)
    for finding in held:
        groups[(finding.rule.stage, asset_of(finding, hosts) or "")].append(finding)
    steps: list[Step] = []
    for entry in (True, False):
        entered = [s for s in steps if s.actor is not None and is_address(s.actor)]
        for (stage, asset), together in groups.items():
            if (stage in _ENTRIES) is not entry:
                continue
            before = [s for s in entered if (s.asset or "") == asset]
            for cluster in _clusters(together):
                made = _by_actor(cluster, before)
                steps += [_step(stage, asset or None, g) for g in made if any(_alone(f) for f in g.findings)]
    last = max((s.ts_first for s in steps if s.ts_first is not None), default=0)
    return sorted(
        steps, key=lambda s: (s.ts_first if s.ts_first is not None else last + 1, STAGES.index(s.stage), s.id)
    )
