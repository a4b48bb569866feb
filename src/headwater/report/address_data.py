# SPDX-License-Identifier: Apache-2.0
"""What the table of addresses needs: each address with its parts, sources, times, how attempts ended, and its findings."""

from __future__ import annotations

from dataclasses import dataclass

from headwater.model.nouns import Text


@dataclass(frozen=True, slots=True)
class AddressRow:
    """One address; times are RFC 3339 in UTC, None where no event of it states one."""

    address: str
    inside: bool
    roles: tuple[Text, ...]
    feeds: tuple[str, ...]
    first: str | None
    last: str | None
    events: int
    success: int
    failure: int
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AddressTable:
    """The addresses that findings name most, then the busiest; ``total``: how many the events name."""

    total: int
    rows: tuple[AddressRow, ...]
