# SPDX-License-Identifier: Apache-2.0
"""What the settings section needs: rows of accounts, services, tasks … as the system keeps them, and who remarks on them."""

from __future__ import annotations

from dataclasses import dataclass

from headwater.model.nouns import Text


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One entry as it stands: whose it is, what it says (field, value), where, and the findings that cite it."""

    host: str | None
    who: str | None
    says: tuple[tuple[str, str], ...]
    evidence: int
    path: str
    offset: int
    length: int
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SettingTable:
    """One kind of setting; ``total``: how many entries there are, of which ``rows`` are given, remarked ones first."""

    title: Text
    total: int
    rows: tuple[SettingRow, ...]
