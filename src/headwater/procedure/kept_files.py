# SPDX-License-Identifier: Apache-2.0
"""One file of a case that keeps what a person gave (rules, indicators, known files), so that it can be derived from again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headwater.formats.atomic import write_atomic
from headwater.formats.canonical import canonical
from headwater.model.errors import DetectError


@dataclass(frozen=True, slots=True)
class KeptFile:
    """Its name in the case folder, the one field that holds its list, and the code of the error where it is spoilt."""

    name: str
    field: str
    code: str

    def write(self, case: Path, held: list[Any]) -> str:
        """Keep this list; returns the file's SHA-256."""
        return write_atomic(case / self.name, canonical({self.field: held}) + b"\n")

    def read(self, case: Path) -> list[Any]:
        """What the case keeps; nothing where it keeps none.

        Raises:
            DetectError: with the file's own code, it is no such file.
        """
        try:
            return list(json.loads((case / self.name).read_bytes())[self.field])
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DetectError(self.code, str(case / self.name), what=type(error).__name__) from error

    def carry(self, case: Path, fresh: Path) -> None:
        """Give another folder the file, for what is derived again."""
        if (case / self.name).is_file():
            write_atomic(fresh / self.name, (case / self.name).read_bytes())

    def sealed(self, case: Path) -> dict[str, str]:
        """The file with its digest; nothing where the case has none."""
        path = case / self.name
        return {self.name: hashlib.sha256(path.read_bytes()).hexdigest()} if path.is_file() else {}
