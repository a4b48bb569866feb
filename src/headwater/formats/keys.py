# SPDX-License-Identifier: Apache-2.0
"""Keys to encrypted volumes: handed over by whoever may, tried in memory, named by their label alone."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from headwater.formats.patterns import lazy_regex

_RECOVERY = lazy_regex(r"\d{6}(-\d{6}){7}")


@dataclass(frozen=True, slots=True)
class Key:
    """``label``: what ledger and report call it; ``secret``: the bytes, which no representation of it shows.

    The bytes may be a passphrase, the content of a key file, a volume key, a recovery password or a startup key: a
    volume tries whatever its format knows. ``volume``: the only volume that it is for, '' for any. ``header``: a LUKS
    header that is kept apart from its volume, which is then the one of that name, '' the medium as a whole.
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


_held: list[Key] = []


def plain(keys: Sequence[Key]) -> dict[str, Any]:
    """Keys as JSON for :func:`hold`: what a confined child is given before its first task, on its own socket."""
    return {"keys": [[key.label, key.secret.hex(), key.volume, _packed(key.header)] for key in keys]}


def hold(given: Mapping[str, Any]) -> None:
    """Keep the keys of this process, which is a confined child; they are in no task and in nothing that it writes."""
    _held[:] = [
        Key(str(label), bytes.fromhex(secret), str(volume), _unpacked(header))
        for label, secret, volume, header in given["keys"]
    ]


def _packed(header: bytes | None) -> str | None:
    """A header as text; most of its 16 MiB are zeros."""
    return None if header is None else base64.b64encode(zlib.compress(header, 1)).decode("ascii")


def _unpacked(text: str | None) -> bytes | None:
    return None if text is None else zlib.decompress(base64.b64decode(text))


def with_headers(keys: Sequence[Key], headers: Mapping[str, bytes]) -> tuple[Key, ...]:
    """The keys, and again each that may be for a volume whose header is kept apart, with that header.

    ``headers``: by the name of the volume, '' for the medium as a whole.
    """
    apart = [
        Key(key.label, key.secret, volume, header)
        for volume, header in headers.items()
        for key in keys
        if key.volume in ("", volume)
    ]
    return (*keys, *apart)


def at_hand() -> tuple[Key, ...]:
    """The keys of this process: none but in a confined child that was given some."""
    return tuple(_held)
