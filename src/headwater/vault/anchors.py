# SPDX-License-Identifier: Apache-2.0
"""Anchors: statements from outside the case folder that its ledger had a certain head at a certain time.

An anchor is one JSON file that holds a checkpoint and what somebody else said of it: a timestamp token (RFC 3161) with
its chain, or a witness's receipt. Kept apart from the folder it shows what the folder alone cannot:

- an older copy put back, or a tail cut off everywhere: the anchor attests more entries than there are;
- a fork, or a re-signing by a holder of the case's key: the Merkle root at that size is another;
- a clock set forward: entries before the checkpoint state times later than the token;
- a clock set back: entries made after a token had come in state times before it.

The head printed on paper is an anchor too: ``HW1 origin size root``.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headwater.formats.atomic import write_atomic
from headwater.formats.canonical import canonical
from headwater.model.errors import VaultError
from headwater.model.nouns import Text
from headwater.model.times import SECOND, from_rfc3339, rfc3339
from headwater.vault import tokens, trail, witness
from headwater.vault.keys import CHECKPOINT_DOMAIN, verifies
from headwater.vault.merkle import Frontier

FOLDER = "anchors"
FORMAT = "headwater anchor v1"
ANCHORED = "anchor"
_TOLERANCE = 5 * SECOND  # a server's clock within NTP's reach, and the way to the authority and back
_MOST = 4 << 20


@dataclass(frozen=True, slots=True)
class Anchor:
    """What somebody outside attests: the first ``size`` entries of the ledger ``origin`` have this Merkle root.

    ``kind``: ``token``, ``witness`` or ``paper``. ``time_ns`` and ``accuracy_ns`` where a time is stated, else None.
    """

    kind: str
    origin: str
    size: int
    root: str
    who: str
    time_ns: int | None = None
    accuracy_ns: int = 0
    name: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """``match``, or ``mismatch`` with what it means, or ``not-claimable``."""

    anchor: Anchor | None
    result: str
    words: Text


def printed(checkpoint: trail.Checkpoint) -> str:
    """The head as one line for paper and QR code."""
    return f"HW1 {checkpoint.origin} {checkpoint.size} {checkpoint.root}"


def from_paper(text: str) -> Anchor:
    """The anchor in a printed line.

    Raises:
        VaultError: HW3011.
    """
    words = text.split()
    try:
        if len(words) != 4 or words[0] != "HW1" or any(len(bytes.fromhex(words[n])) != 32 for n in (1, 3)):
            raise ValueError("not of the form HW1 ORIGIN SIZE ROOT")
        return Anchor("paper", words[1], int(words[2]), words[3], "paper")
    except ValueError as error:
        raise VaultError("HW3011", text[:80], what=error) from error


def token_anchor(body: bytes, signature: bytes, response: bytes, chain: Sequence[bytes]) -> dict[str, Any]:
    """The content of an anchor file with a timestamp token; ``chain`` is DER."""
    return {
        "format": FORMAT,
        "checkpoint": base64.b64encode(body).decode(),
        "signature": signature.hex(),
        "token": base64.b64encode(response).decode(),
        "chain": [base64.b64encode(c).decode() for c in chain],
    }


def witness_anchor(body: bytes, signature: bytes, receipt: Mapping[str, Any]) -> dict[str, Any]:
    """The content of an anchor file with a witness's receipt."""
    return {
        "format": FORMAT,
        "checkpoint": base64.b64encode(body).decode(),
        "signature": signature.hex(),
        "receipt": dict(receipt),
    }


def save(path: Path, content: Mapping[str, Any]) -> str:
    """Write an anchor file; returns its SHA-256."""
    return write_atomic(path, canonical(content) + b"\n")


def load(path: Path, public: str | None = None) -> Anchor:
    """The anchor in a file, its token or receipt verified; ``public`` is the case's key, where already known.

    Raises:
        VaultError: HW3011 where it is none or does not verify.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise VaultError("HW3011", str(path), what=error.strerror or error) from error
    return read(data, path.name, public)


def read(data: bytes, name: str, public: str | None = None) -> Anchor:
    """The anchor in the bytes of a file; see :func:`load`."""
    try:
        if len(data) > _MOST:
            raise ValueError("larger than an anchor may be")
        raw = json.loads(data)
        if raw["format"] != FORMAT:
            raise ValueError("not an anchor of this format")
        body = base64.b64decode(raw["checkpoint"], validate=True)
        stated = trail.checkpoint(body, bytes.fromhex(raw["signature"]))
        if public is not None and not verifies(public, stated.signature, CHECKPOINT_DOMAIN + body):
            raise ValueError("its checkpoint is not signed by this case's key")
        common = (stated.origin, stated.size, stated.root)
        if "token" in raw:
            chain = [base64.b64decode(c, validate=True) for c in raw["chain"]]
            digest = hashlib.sha256(body).digest()
            stamp = tokens.check(base64.b64decode(raw["token"], validate=True), digest, chain)
            who = f"{stamp.signer} (root {stamp.root})"
            return Anchor("token", *common, who, stamp.time_ns, stamp.accuracy_ns, name)
        receipt = witness.receipt_of(raw["receipt"])
        if (receipt.origin, receipt.size, receipt.root) != common:
            raise ValueError("the receipt is for another checkpoint")
        who = f"{receipt.name} (key {receipt.public})"
        return Anchor("witness", *common, who, from_rfc3339(receipt.time), 0, name)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise VaultError("HW3011", name, what=error) from error


def compare(rows: Iterable[trail.Row | trail.Redacted], anchors: Sequence[Anchor]) -> list[Verdict]:
    """The ledger held against anchors, in the order given."""
    wanted = {a.size for a in anchors}
    roots: dict[int, str] = {}
    latest: dict[int, tuple[int, int]] = {}  # size -> (latest time up to there, its number)
    tree, origin, top = Frontier(), "", (0, 0)
    received, lowest = 0, None
    for row in rows:
        if isinstance(row, trail.Redacted):
            tree.add_leaf(row.leaf)
            if tree.size in wanted:
                roots[tree.size], latest[tree.size] = tree.root(), top
            continue
        body, digest, _ = row
        tree.add(body)
        origin = origin or digest
        raw = json.loads(body)
        try:
            moment = from_rfc3339(str(raw["time"]))
        except ValueError:
            moment = None
        if moment is not None:
            top = max(top, (moment, tree.size))
            if received and moment < received - _TOLERANCE and lowest is None:
                lowest = (tree.size, moment)
        if raw["action"] == ANCHORED and str(raw["note"].get("token_time_ns", "")).isdigit():
            received = max(received, int(raw["note"]["token_time_ns"]))
        if tree.size in wanted:
            roots[tree.size], latest[tree.size] = tree.root(), top
    found = [_verdict(a, origin, tree.size, roots, latest) for a in anchors]
    if lowest is not None:
        stated, token = rfc3339(lowest[1]), rfc3339(received)
        zh = f"第 {lowest[0]} 条记于 {stated}，而此前已收到 {token} 的时间戳：时钟偏慢"
        en = f"entry {lowest[0]} states {stated}, though a token of {token} had come in before: the clock was behind"
        found.append(Verdict(None, "mismatch", Text(zh, en)))
    return found


def _verdict(
    anchor: Anchor, origin: str, size: int, roots: Mapping[int, str], latest: Mapping[int, tuple[int, int]]
) -> Verdict:
    if anchor.origin != origin:
        return _unlike(
            anchor, "凭证属于另一台账，或台账被重新开立", "it is of another ledger, or the ledger was begun anew"
        )
    if anchor.size > size:
        return _unlike(
            anchor,
            f"凭证证明曾有 {anchor.size} 条，现有 {size} 条：旧副本被放回，或尾部被截去",
            f"it attests {anchor.size} entries, {size} are here: an older copy was put back, or the tail cut off",
        )
    if roots[anchor.size] != anchor.root:
        return _unlike(
            anchor,
            f"前 {anchor.size} 条是另一历史：台账分叉，或被重新签名",
            f"the first {anchor.size} entries are another history: a fork, or signed anew",
        )
    moment, number = latest[anchor.size]
    stated = rfc3339(anchor.time_ns)
    if anchor.time_ns is not None and moment > anchor.time_ns + anchor.accuracy_ns + _TOLERANCE:
        return _unlike(
            anchor,
            f"第 {number} 条记于 {rfc3339(moment)}，晚于 {stated}：时钟偏快",
            f"entry {number} states {rfc3339(moment)}, after {stated}: the clock was ahead",
        )
    words = Text(
        f"{anchor.who} 证明前 {anchor.size} 条{f'，时间 {stated}' if stated else ''}",
        f"{anchor.who} attests the first {anchor.size} entries{f' at {stated}' if stated else ''}",
    )
    return Verdict(anchor, "match", words)


def _unlike(anchor: Anchor, zh: str, en: str) -> Verdict:
    return Verdict(anchor, "mismatch", Text(zh, en))
