# SPDX-License-Identifier: Apache-2.0
"""How the name of an archive's member becomes a path, and what happens when one occurs twice."""

from __future__ import annotations

from headwater.model.paths import LAYER, encode_name

_KEPT = 5_000_000


def member_path(name: bytes) -> str:
    """The path of a member: from the root of the archive, without empty and ``.`` parts; ``..`` stays as it stands.

    Nothing is ever written by such a path, so ``..`` is a name like another, and a telling one.
    """
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    return encode_name(b"/" + b"/".join(parts))


class Namesakes:
    """Tells members of one path apart: the second is ``PATH!2``, the third ``PATH!3``, in the archive's order.

    An archive may hold one path several times (``tar -r`` appends the newer state), and each is evidence.
    """

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def of(self, path: str) -> str:
        count = self._seen.get(path, 0) + 1
        if count > 1 or len(self._seen) < _KEPT:
            self._seen[path] = count
        return path if count == 1 else f"{path}{LAYER}{count}"
