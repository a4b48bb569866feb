# SPDX-License-Identifier: Apache-2.0
"""Sets of known files of a case: what they say of its contents, and what that does to findings.

A set is read when the contents are described; the case keeps what of them stands in it (``known-files.json``), with the
set's digest. Nothing is hidden by it: a finding that cites known contents says so, and only one whose sole ground is that
no package brought or vouches for a file is graded low, where the set knows all of its contents by their SHA-256.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headwater.formats.canonical import identify
from headwater.formats.indicator_lists import BadList
from headwater.formats.known_files import known_files
from headwater.model.errors import DetectError
from headwater.model.kinds import Severity
from headwater.model.nouns import Finding, Text
from headwater.model.paths import encode_name
from headwater.procedure.kept_files import KeptFile

if TYPE_CHECKING:  # what starts a case needs no tables
    from headwater.store.events import EventStore

FILE = KeptFile("known-files.json", "sets", "HW6012")
_FEED = "fs.content"
_WHOLE = 1 << 30  # the ordinal of an event on a whole file
# rules and reasons whose only ground is the packages' silence; a setuid file or a copy stands on more than that
_SILENCE = {("unowned-program", "unowned"), ("package-file-changed", "changed")}
_SHA256 = 64
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Known:
    """One content of the case that a set knows: the set's name, the place in it, and whether by SHA-256."""

    name: str
    place: str
    strong: bool


def check(given: Sequence[Path]) -> None:
    """Hold before anything is made that the files are there: sets, or tables of places.

    Raises:
        DetectError: HW6012.
    """
    for path in given:
        if not path.is_file():
            raise DetectError("HW6012", str(path), what="no file")


def keep(case: Path, given: Sequence[Path], store: EventStore) -> None:
    """Read the sets and keep what of the case's contents stands in them; without any, what the case holds stands.

    Raises:
        DetectError: HW6012.
    """
    if not given:
        return
    wanted = {digest for row in _contents(store) for digest in row[2:] if digest}
    held = []
    for path in given:
        try:
            with open(path, "rb") as stream:
                one = known_files(encode_name(os.fsencode(path.name)), stream, wanted)
        except OSError as error:
            raise DetectError("HW6012", str(path), what=error.strerror) from error
        except BadList as error:
            raise DetectError("HW6012", str(path), what=str(error)) from error
        matched = [[digest, *said] for digest, said in sorted(one.matched.items())]
        held.append(
            {"name": one.name, "sha256": one.sha256, "rows": one.rows, "unused": dict(sorted(one.unused.items())), "matched": matched}
        )  # fmt: skip
    FILE.write(case, held)


def _contents(store: EventStore) -> Iterator[tuple[int, str, str, str]]:
    """Item, path, SHA-256 and MD5 of every described file."""
    if _FEED in store.feeds():
        rows = store.scan(feeds=[_FEED], columns=["md5"]).select("source", "path", "hash", "md5").collect()
        yield from rows.iter_rows()


def of_case(case: Path, store: EventStore) -> dict[tuple[int, str], Known]:
    """The known contents by item and path; by SHA-256 where both digests stand in a set."""
    by_digest: dict[str, tuple[str, str]] = {}
    for one in FILE.read(case):
        for digest, place, _ in one["matched"]:
            by_digest.setdefault(str(digest), (str(one["name"]), str(place)))
    found: dict[tuple[int, str], Known] = {}
    for source, path, sha256, md5 in _contents(store) if by_digest else ():
        strong, weak = by_digest.get(sha256 or ""), by_digest.get(md5 or "")
        hit = strong or weak
        if hit is not None:
            found[(source, path)] = Known(*hit, strong is not None)
    return found


def told(case: Path, known: Mapping[tuple[int, str], Known], findings: Iterable[Finding]) -> Json:
    """What the report says: of each set its name, digest and rows, and how many contents are known by which digest."""
    sets = [
        {k: one[k] for k in ("name", "sha256", "rows", "unused")} | {"matched": len(one["matched"])}
        for one in FILE.read(case)
    ]
    lowered = sum(1 for one in findings if one.facts.get("lowered"))
    strong = sum(one.strong for one in known.values())
    return {"sets": sets, "files": len(known), "by_md5_alone": len(known) - strong, "lowered": lowered} if sets else {}


def words(said: Mapping[str, Any]) -> Iterator[Text]:
    """What a report says of the sets, one sentence for each and one for what came of them."""
    for one in said.get("sets", ()):
        left = sum(int(n) for n in one["unused"].values())
        yield Text(
            f"已知文件集 {one['name']}（SHA-256 {one['sha256']}）：{one['rows']:,} 条，未用 {left:,} 条；“已知”是该集所称，不等于无害。",
            f"Set of known files {one['name']} (SHA-256 {one['sha256']}): {one['rows']:,} entries, {left:,} not used; that a file is "
            "known is the set's word, not that it is harmless.",
        )
    if said:
        files, weak, lowered = said["files"], said["by_md5_alone"], said["lowered"]
        yield Text(
            f"检材中 {files:,} 份文件内容见于已知文件集（其中 {weak:,} 份仅按 MD5）；{lowered} 项发现因此降为低危，无一隐去。",
            f"{files:,} contents of the evidence stand in sets of known files ({weak:,} of them by MD5 alone); {lowered} findings are "
            "graded low for that, none is left out.",
        )


def weighed(findings: Iterable[Finding], known: Mapping[tuple[int, str], Known]) -> Iterator[Finding]:
    """The findings; what cites known contents says how many, and is graded low where its ground was silence alone."""
    for finding in findings:
        cited = {(c.span.evidence, c.span.path) for c in finding.spans if c.ordinal >= _WHOLE} if known else set()
        hits = [known[place] for place in sorted(cited) if place in known]
        if not hits:
            yield finding
            continue
        name, place = hits[0].name, hits[0].place
        strong = all(hit.strong for hit in hits)
        how = "SHA-256" if strong else "MD5"
        zh = f"所引文件内容 {len(cited)} 份中有 {len(hits)} 份见于已知文件集 {name}（{place}，按 {how}）。"
        en = f" Of {len(cited)} contents cited, {len(hits)} stand in the set of known files {name} ({place}, by {how})."
        low = strong and len(hits) == len(cited) and (finding.rule.id, finding.facts.get("reason")) in _SILENCE
        severity = Severity.LOW if low else finding.severity
        lowered = severity != finding.severity
        if lowered:
            zh += "故降为低危。"
            en += " It is graded low for that."
        facts = {**finding.facts, "known_contents": len(hits), "contents_cited": len(cited), "lowered": lowered}
        changed: Finding = identify(
            finding.id.partition("-")[0],
            replace(
                finding, text=Text(finding.text.zh + zh, finding.text.en + en), severity=severity,
                rule=replace(finding.rule, severity=severity), facts=facts, id="",
            ),
        )  # fmt: skip
        yield changed
