# SPDX-License-Identifier: Apache-2.0
"""Anchoring: have somebody outside attest the ledger's head, and hold the ledger against what was attested.

1. A checkpoint is made and a timestamp request (RFC 3161) for it is queued in the case.
2. Where the authority is reached, every queued request is sent; else the files wait, or travel by hand: ``.tsq`` out,
   ``.tsr`` back.
3. A response is verified by our own reader and by ``rfc3161-client`` before it is kept with its whole chain.
4. It is entered in the ledger, so that a clock set back afterwards shows.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headwater.formats.atomic import write_atomic
from headwater.formats.certificates import read
from headwater.model.errors import UsageError, VaultError
from headwater.model.nouns import Text
from headwater.procedure.corridor import Corridor
from headwater.vault import anchors, tokens, trail, witness
from headwater.vault.anchors import ANCHORED, FOLDER, Anchor, Verdict
from headwater.vault.merkle import leaf

QUEUE = "queue"
CHAIN = "chain.pem"
_RESPONSE_MOST = 1 << 20
_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Queued:
    """A request that waits for its response: the files' common stem and the checkpoint that it is about."""

    request: Path
    body: bytes
    signature: bytes

    @property
    def nonce(self) -> int | None:
        """The nonce in the request (RFC 3161, 2.4.1)."""
        parts = next(tokens.elements(self.request.read_bytes())).children()
        return next((n.integer() for n in parts[2:] if n.tag == 0x02), None)


def ask(corridor: Corridor) -> Queued:
    """Queue a request for the head as it is now."""
    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

    made = corridor.ledger.checkpoint()
    if made is None:
        raise VaultError("HW3001", str(corridor.case), what="the ledger is empty")
    folder = corridor.case / FOLDER / QUEUE
    stem = folder / f"{made.size:08d}-{hashlib.sha256(made.body).hexdigest()[:8]}"
    built = TimestampRequestBuilder(data=made.body, hash_algorithm=HashAlgorithm.SHA256, nonce=True).build()
    said = {"checkpoint": made.body.decode(), "signature": made.signature.hex()}
    write_atomic(stem.with_suffix(".json"), json.dumps(said, ensure_ascii=False).encode())
    write_atomic(stem.with_suffix(".tsq"), built.as_bytes())
    return Queued(stem.with_suffix(".tsq"), made.body, made.signature)


def queued(case: Path) -> list[Queued]:
    """The requests that wait, oldest first.

    Raises:
        VaultError: HW3011 where one is broken.
    """
    found = []
    for path in sorted((case / FOLDER / QUEUE).glob("*.tsq")):
        try:
            raw = json.loads(path.with_suffix(".json").read_bytes())
            found.append(Queued(path, str(raw["checkpoint"]).encode(), bytes.fromhex(raw["signature"])))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise VaultError("HW3011", str(path), what=error) from error
    return found


def chain_of(case: Path, given: Path | None) -> list[bytes]:
    """The certificates to verify against: those given, which are archived, or those archived before.

    Raises:
        UsageError: HW0001 where there are none; VaultError HW3011 where they are none.
    """
    archived = case / FOLDER / CHAIN
    source = given or archived
    try:
        pem = source.read_bytes()
        chain = tokens.certificates_of(pem)
    except FileNotFoundError as error:
        if given is None:
            raise UsageError("HW0001", what="--chain FILE: the authority's certificates up to its root") from error
        raise VaultError("HW3011", str(source), what="no such file") from error
    except (OSError, tokens.BadTokenError) as error:
        raise VaultError("HW3011", str(source), what=error) from error
    if given is not None:
        write_atomic(archived, pem)
    return chain


def send(url: str, request: bytes) -> bytes:
    """One request to a timestamp authority over HTTP (RFC 3161, 3.4).

    Raises:
        VaultError: HW3013.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UsageError("HW0001", what=f"--tsa {url}")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=_SECONDS)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("POST", target, request, {"Content-Type": "application/timestamp-query"})
        answer = connection.getresponse()
        data = answer.read(_RESPONSE_MOST + 1)
        if answer.status != 200 or len(data) > _RESPONSE_MOST:
            raise VaultError("HW3013", url, what=f"status {answer.status}, {len(data)} bytes")
    except (OSError, http.client.HTTPException) as error:
        raise VaultError("HW3013", url, what=error) from error
    finally:
        connection.close()
    return data


def take(corridor: Corridor, response: bytes, chain: Sequence[bytes], where: str) -> Anchor:
    """Verify a response to one of the queued requests, keep it with its chain, and enter it in the ledger.

    Raises:
        VaultError: HW3011 where it answers none of them or does not verify.
    """
    reasons = ["no request waits"]
    for waiting in queued(corridor.case):
        try:
            stamp = tokens.check(response, hashlib.sha256(waiting.body).digest(), chain, waiting.nonce)
            _twice(response, waiting.body, chain)
        except tokens.BadTokenError as error:
            reasons.append(str(error))
            continue
        content = anchors.token_anchor(waiting.body, waiting.signature, response, chain)
        path = corridor.case / FOLDER / f"{waiting.request.stem}.token.json"
        digest = anchors.save(path, content)
        anchor = anchors.load(path)
        corridor.record(
            ANCHORED,
            products={f"{FOLDER}/{path.name}": digest},
            note={
                "kind": "token", "size": anchor.size, "token_time_ns": str(stamp.time_ns), "who": anchor.who,
                "policy": stamp.policy, "serial": str(stamp.serial),
            },
        )  # fmt: skip
        waiting.request.unlink()
        waiting.request.with_suffix(".json").unlink()
        return anchor
    raise VaultError("HW3011", where, what=reasons[-1])


def _twice(response: bytes, body: bytes, chain: Sequence[bytes]) -> None:
    """The same verdict by another hand: two readers that agree are better than one."""
    from rfc3161_client import VerificationError, VerifierBuilder, decode_timestamp_response

    builder = VerifierBuilder()
    for der in chain:
        certificate = read(der).certificate
        if certificate.issuer == certificate.subject:
            builder = builder.add_root_certificate(certificate)
        else:
            builder = builder.add_intermediate_certificate(certificate)
    try:
        builder.build().verify_message(decode_timestamp_response(response), body)
    except (VerificationError, ValueError) as error:
        raise tokens.BadTokenError(f"rfc3161-client: {error}") from error


def stamp(corridor: Corridor, url: str, chain: Sequence[bytes]) -> list[Anchor]:
    """Ask for the head as it is now, and send this and every request that waits.

    Raises:
        VaultError: HW3013 where the authority is not reached: the requests stay queued.
    """
    ask(corridor)
    return [take(corridor, send(url, q.request.read_bytes()), chain, url) for q in queued(corridor.case)]


def ask_witness(corridor: Corridor, since: int | None) -> dict[str, Any]:
    """A request to a witness; ``since`` is the size it attested last, by default what its kept receipts say."""
    made = corridor.ledger.checkpoint()
    if made is None:
        raise VaultError("HW3001", str(corridor.case), what="the ledger is empty")
    if since is None:
        since = max((a.size for a in kept(corridor) if a.kind == "witness"), default=0)
    if not 0 <= since <= made.size:
        raise UsageError("HW0001", what=f"--since {since}: there are {made.size} entries")
    leaves = [leaf(row[0]) for row in corridor.ledger.rows()]
    return witness.request(made, corridor.ledger.examined(signatures=False).public, leaves, since)


def keep_receipt(corridor: Corridor, raw: Mapping[str, Any], where: str) -> Anchor:
    """Verify a witness's receipt against the case's own checkpoint and keep it.

    Raises:
        VaultError: HW3011 where it does not verify or is for another history.
    """
    try:
        receipt = witness.receipt_of(raw)
    except (ValueError, KeyError, TypeError) as error:
        raise VaultError("HW3011", where, what=error) from error
    own = next(((b, s) for b, s in corridor.ledger.checkpoints() if trail.checkpoint(b, s).size == receipt.size), None)
    if own is None or trail.checkpoint(*own).root != receipt.root:
        raise VaultError("HW3011", where, what="no checkpoint of this case has its size and root")
    path = corridor.case / FOLDER / f"{receipt.size:08d}-{receipt.public[:8]}.witness.json"
    digest = anchors.save(path, anchors.witness_anchor(*own, raw))
    anchor = anchors.load(path)
    corridor.record(
        ANCHORED,
        products={f"{FOLDER}/{path.name}": digest},
        note={"kind": "witness", "size": anchor.size, "who": anchor.who},
    )
    return anchor


def kept(corridor: Corridor) -> list[Anchor]:
    """The anchors within the case folder, by name; each is verified.

    Raises:
        VaultError: HW3011.
    """
    return [anchors.load(path) for path in sorted((corridor.case / FOLDER).glob("*.json"))]


def against(corridor: Corridor, given: Sequence[str]) -> list[Verdict]:
    """The ledger held against the anchors in its folder and against those given: files, or printed heads."""
    found: list[Anchor] = []
    broken: list[Verdict] = []
    public = corridor.ledger.examined(signatures=False).public
    for path in sorted((corridor.case / FOLDER).glob("*.json")):
        try:
            found.append(anchors.load(path, public))
        except VaultError as error:  # said as a verdict: the others are still worth holding it against
            broken.append(Verdict(None, "mismatch", Text(error.text("zh"), error.text("en"))))
    for text in given:
        found.append(anchors.from_paper(text) if text.startswith("HW1 ") else anchors.load(Path(text)))
    return anchors.compare(corridor.ledger.rows(), found) + broken
