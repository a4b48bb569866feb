# SPDX-License-Identifier: Apache-2.0
"""The signed sidecar of an image: one canonical JSON file that says what the image format has no field for.

E01 holds no SHA-256, no map of zeros and only 32-bit places of read errors, a raw image holds nothing at all: so the
sidecar is authoritative. While imaging runs, ``state`` is ``incomplete`` and ``checkpoint`` says how far the image is
durable; the image's files bear their own names only once it is ``complete``. The signature is Ed25519 over
``DOMAIN`` and the canonical form (RFC 8785) of everything but itself. Schema: ``schemas/image-sidecar.json``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from headwater.formats.atomic import write_atomic
from headwater.formats.canonical import canonical
from headwater.model.errors import AcquireError, VaultError

SCHEMA = "headwater/image-sidecar/1"
DOMAIN = b"headwater image sidecar v1\x00"
INCOMPLETE, COMPLETE, FAILED = "incomplete", "complete", "failed"
_MOST = 512 << 20

# Given the bytes to be signed; returns algorithm, public_key and value, the last two in hex.
Signer = Callable[[bytes], Mapping[str, str]]
Document = dict[str, Any]


def sidecar_path(folder: Path, stem: str) -> Path:
    """Where the sidecar of an image lies."""
    return folder / f"{stem}.json"


def write(path: Path, document: Mapping[str, Any], sign: Signer) -> str:
    """Sign and write, whole or not at all; returns the SHA-256 of the file.

    Raises:
        AcquireError: HW2022 it cannot be written.
    """
    body = {key: value for key, value in document.items() if key != "signature"}
    signature = dict(sign(DOMAIN + canonical(body)))
    try:
        return write_atomic(path, canonical(body | {"signature": signature}) + b"\n")
    except VaultError as error:
        raise AcquireError("HW2022", str(path), what=error.names.get("what", "")) from error


def read(path: Path) -> Document:
    """A sidecar, its signature unchecked.

    Raises:
        AcquireError: HW2029 it is missing or no sidecar.
    """
    try:
        if path.stat().st_size > _MOST:
            raise ValueError("too large")
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise AcquireError("HW2029", str(path), what=error) from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise AcquireError("HW2029", str(path), what=f"schema is not {SCHEMA}")
    return document


def signed_by(document: Mapping[str, Any]) -> str | None:
    """The public key, in hex, under which the signature holds; None where it does not.

    It tells that nothing was changed since somebody with that key signed; whose key it is, the ledger tells.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    signature = document.get("signature")
    if not isinstance(signature, Mapping) or signature.get("algorithm") != "Ed25519":
        return None
    body = {key: value for key, value in document.items() if key != "signature"}
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(str(signature.get("public_key"))))
        key.verify(bytes.fromhex(str(signature.get("value"))), DOMAIN + canonical(body))
    except (InvalidSignature, ValueError, TypeError):
        return None
    return str(signature["public_key"])
