# SPDX-License-Identifier: Apache-2.0
"""Acquisitions as in-toto statements in DSSE envelopes, signed by the case's key.

Statement v1 with the predicate *link* v0.3: what went in, what came out, the command and the environment.
https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from headwater.formats.canonical import canonical
from headwater.model.custody import Sealed
from headwater.vault.keys import Signer, verifies

PAYLOAD = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
LINK = "https://in-toto.io/attestation/link/v0.3"


def encoding(kind: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: what is signed."""
    name = kind.encode()
    return b"DSSEv1 %d %s %d %s" % (len(name), name, len(payload), payload)


def statement(sealed: Sealed, subjects: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """The statement of one acquisition; ``subjects`` are (name, SHA-256) of what was acquired."""
    entry = sealed.entry
    return {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in subjects],
        "predicateType": LINK,
        "predicate": {
            "name": entry.action,
            "command": list(entry.command),
            "materials": [{"name": n, "digest": {"sha256": d}} for n, d in entry.materials.items()],
            "byproducts": {
                "ledger_entry": sealed.hash, "seq": entry.seq, "time": entry.time, "actors": list(entry.actors),
                "tool": entry.tool,
            },
            "environment": dict(entry.environment),
        },
    }  # fmt: skip


def envelope(said: Mapping[str, Any], signer: Signer) -> bytes:
    """The statement signed, as the bytes of its file."""
    payload = canonical(said)
    signature = signer.sign(encoding(PAYLOAD, payload))
    return canonical(
        {
            "payloadType": PAYLOAD,
            "payload": base64.b64encode(payload).decode(),
            "signatures": [{"keyid": key_id(signer.public), "sig": base64.b64encode(signature).decode()}],
        }
    )


def key_id(public: str) -> str:
    """A key's id: SHA-256 over the raw public key."""
    return hashlib.sha256(bytes.fromhex(public)).hexdigest()


def opened(data: bytes, public: str) -> dict[str, Any]:
    """The statement in an envelope, its signature verified.

    Raises:
        ValueError: no envelope, or not signed by this key.
    """
    try:
        raw = json.loads(data)
        payload = base64.b64decode(raw["payload"], validate=True)
        signed = encoding(str(raw["payloadType"]), payload)
        if raw["payloadType"] != PAYLOAD or not any(
            verifies(public, base64.b64decode(s["sig"], validate=True), signed) for s in raw["signatures"]
        ):
            raise ValueError("not signed by the case's key")
        said: dict[str, Any] = json.loads(payload)
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"no envelope: {error}") from error
    return said
