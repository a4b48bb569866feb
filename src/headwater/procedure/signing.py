# SPDX-License-Identifier: Apache-2.0
"""Who signs, by name and key file; the key itself and its passphrase never stand in the case."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from headwater.model.errors import UsageError


@dataclass(frozen=True, slots=True)
class Hand:
    """A person who is about to sign: name, key file, passphrase."""

    name: str
    key: Path
    passphrase: str


def key_file(name: str) -> Path:
    """Where a person's key lies by default: in their own home, not in the case.

    Raises:
        UsageError: HW0001, a name that is no file name.
    """
    if not name.strip() or "/" in name or name.startswith(".") or "\x00" in name:
        raise UsageError("HW0001", what=f"name {name!r}")
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "headwater" / "keys" / f"{name}.key"
