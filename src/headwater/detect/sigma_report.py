# SPDX-License-Identifier: Apache-2.0
"""What became of Sigma rules; apart from :mod:`sigma`, whose libraries a case without rules need not load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class SigmaReport:
    """What became of the rules: (id, title, author) of those that ran, and (name, reason) of those that could not."""

    ran: tuple[tuple[str, str, str], ...] = ()
    unsupported: tuple[tuple[str, str], ...] = ()
    matched: tuple[str, ...] = ()

    def joined(self, other: SigmaReport) -> SigmaReport:
        """Both reports as one, in order."""
        return SigmaReport(
            self.ran + other.ran, self.unsupported + other.unsupported, tuple(sorted({*self.matched, *other.matched}))
        )

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "ran": [{"id": i, "title": t, "author": a} for i, t, a in self.ran],
            "unsupported": [{"rule": n, "reason": r} for n, r in self.unsupported],
            "matched": list(self.matched),
        }
