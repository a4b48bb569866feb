# SPDX-License-Identifier: Apache-2.0
"""Keys to encrypted volumes: handed over by whoever may, tried in memory, named by their label alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_RECOVERY = re.compile(r"\d{6}(-\d{6}){7}")


@dataclass(frozen=True, slots=True)
class Key:
    """``label``: what ledger and report call it; ``secret``: the bytes, which no representation of it shows.

    The bytes may be a passphrase, the content of a key file, a volume key, a recovery password or a startup key: a
    volume tries whatever its format knows. ``volume``: the only volume that it is for, '' for any. ``header``: a LUKS
    header that is kept apart from its volume, which must then be named.
    """

    label: str
    secret: bytes = field(repr=False)
    volume: str = ""
    header: bytes | None = field(default=None, repr=False)

    def phrases(self) -> Iterator[bytes]:
        """The secret as it is, then without the line end that an editor may have put behind a passphrase."""
        yield self.secret
        plain = self.secret.removesuffix(b"\n").removesuffix(b"\r")
        if plain != self.secret and plain:
            yield plain

    def text(self) -> str | None:
        """The secret as a passphrase in words; None where it is no text."""
        try:
            return self.secret.decode("utf-8").rstrip("\r\n").lstrip("\ufeff")
        except UnicodeDecodeError:
            return None

    def recovery(self) -> str | None:
        """The recovery password of 48 digits that stands in it, None if there is none."""
        text = self.text()
        found = _RECOVERY.search(text) if text else None
        return found.group() if found else None
