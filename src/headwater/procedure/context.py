# SPDX-License-Identifier: Apache-2.0
"""What the listing of an item took of its small texts, as its marker holds it."""

from __future__ import annotations

import json
from pathlib import Path

from headwater.model.custody import Evidence
from headwater.procedure.tasks import WALK, Unit


def taken_of(case: Path, item: Evidence) -> list[dict[str, str]]:
    """What the listing of an item took, as its marker holds it; nothing where the item was not listed."""
    try:
        marker = json.loads(Unit(item, WALK).marker(case).read_bytes())
    except (OSError, ValueError):
        return []
    return list(marker.get("context", []))
