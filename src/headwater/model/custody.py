# SPDX-License-Identifier: Apache-2.0
"""What is held, and the entries that say what was done to it, when, by whom and with what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NOT_RECORDED = "not recorded"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One comparison of digests, plainly named: ``match``, ``mismatch`` or ``not-claimable`` with its reason."""

    what: str
    result: str
    algorithm: str = ""
    expected: str = ""
    found: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One item held. ``digests`` are of the medium (``digest_of`` = medium), of the file, or of a canonical manifest.

    ``files``: (absolute path, size in bytes, SHA-256) of each file that holds it; for a folder, of each file in it.
    """

    number: int
    name: str
    kind: str  # e01, raw, split-raw, archive, file, folder
    source_path: str
    size: int
    digest_of: str
    digests: Mapping[str, str]
    files: tuple[tuple[str, int, str], ...]
    method: str
    custodian: str
    purpose: str
    registered_at: str
    verdicts: tuple[Verdict, ...] = ()
    stated: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CustodyEntry:
    """One line of the ledger; ``previous`` is the hash of the line before it, so the order cannot be changed.

    ``materials`` and ``products``: name → SHA-256 of what went in and came out (after in-toto's link).
    ``note`` holds what the action needs to say, as plain JSON.
    """

    seq: int
    previous: str
    time: str
    actors: tuple[str, ...]
    action: str
    tool: str
    command: tuple[str, ...]
    evidence: tuple[int, ...] = ()
    materials: Mapping[str, str] = field(default_factory=dict)
    products: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    note: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sealed:
    """An entry as it stands in the ledger: its canonical bytes, their hash, and the signature over the hash."""

    entry: CustodyEntry
    body: bytes
    hash: str
    signature: bytes
