# SPDX-License-Identifier: Apache-2.0
"""The small files in which a Linux kernel tells about itself, on this machine, in a folder, or fetched from a server.

Who reads /sys, /proc and /etc goes through :class:`SystemFiles`, so that the same pure functions work on this
machine, on a tree kept for a test, and on what a server sent over SSH. Everything read here is text of a stranger (a
USB stick chooses its own model name): values are bounded and made inert by :func:`word`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from headwater.model.paths import encode_name

TEXT_MOST = 256 << 10
_WORD_MOST = 512
_NAMES_MOST = 65_536


@dataclass(frozen=True, slots=True)
class NotRecorded:
    """A value that could not be had, and why. Never replaced by a default."""

    reason: str


def recorded(value: object) -> object:
    """A value for a record: itself, or ``{"not_recorded": reason}``."""
    return {"not_recorded": value.reason} if isinstance(value, NotRecorded) else value


class SystemFiles(Protocol):
    """Reads the paths of a Linux system as they are called there (``/sys/…``, ``/proc/…``, ``/etc/…``)."""

    def read(self, path: str, most: int = TEXT_MOST) -> bytes | None:
        """Up to ``most`` bytes of a file; None where it is absent or cannot be read."""
        ...

    def names(self, path: str) -> tuple[str, ...]:
        """What stands in a folder, sorted; nothing where it is absent."""
        ...

    def link(self, path: str) -> str:
        """The path a symbolic link leads to, resolved as far as can be; '' where it is no link."""
        ...


class LocalFiles:
    """The files of this machine, or of trees kept elsewhere that stand in for its /sys, /proc, /dev and /etc."""

    def __init__(
        self, sys_root: str = "/sys", proc_root: str = "/proc", dev_root: str = "/dev", etc_root: str = "/etc"
    ) -> None:
        self._roots = {
            "/sys": sys_root.rstrip("/"),
            "/proc": proc_root.rstrip("/"),
            "/dev": dev_root.rstrip("/"),
            "/etc": etc_root.rstrip("/"),
        }

    def place(self, path: str) -> str:
        """Where a path of the system really lies."""
        for prefix, root in self._roots.items():
            if path == prefix or path.startswith(prefix + "/"):
                return root + path[len(prefix) :]
        return path

    def read(self, path: str, most: int = TEXT_MOST) -> bytes | None:
        """See :meth:`SystemFiles.read`."""
        try:
            fd = os.open(self.place(path), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        except (OSError, ValueError):
            return None
        try:
            parts: list[bytes] = []
            while most > 0:
                part = os.read(fd, most)
                if not part:
                    break
                parts.append(part)
                most -= len(part)
            return b"".join(parts)
        except OSError:
            return None  # an attribute that the driver refuses to show is an absent one
        finally:
            os.close(fd)

    def names(self, path: str) -> tuple[str, ...]:
        """See :meth:`SystemFiles.names`."""
        try:
            with os.scandir(self.place(path)) as found:
                return tuple(sorted(entry.name for _, entry in zip(range(_NAMES_MOST), found)))
        except OSError:
            return ()

    def link(self, path: str) -> str:
        """See :meth:`SystemFiles.link`."""
        place = self.place(path)
        try:
            text = os.readlink(place)
        except OSError:
            return ""
        if not path.startswith("/sys/"):
            return text
        real = os.path.normpath(os.path.join(os.path.dirname(place), text))
        root = self._roots["/sys"]
        return "/sys" + real[len(root) :] if real.startswith(root + "/") else real


class SentFiles:
    """Files that a server sent: path → content, and path → where the link leads."""

    def __init__(self, contents: Mapping[str, bytes], links: Mapping[str, str]) -> None:
        self._contents = dict(contents)
        self._links = dict(links)
        self._folders: dict[str, set[str]] = {}
        for path in (*self._contents, *self._links):
            while path not in ("", "/"):
                above, _, name = path.rpartition("/")
                self._folders.setdefault(above, set()).add(name)
                path = above

    def read(self, path: str, most: int = TEXT_MOST) -> bytes | None:
        """See :meth:`SystemFiles.read`."""
        content = self._contents.get(path)
        return None if content is None else content[:most]

    def names(self, path: str) -> tuple[str, ...]:
        """See :meth:`SystemFiles.names`."""
        return tuple(sorted(self._folders.get(path.rstrip("/"), ())))

    def link(self, path: str) -> str:
        """See :meth:`SystemFiles.link`."""
        return self._links.get(path, "")


def inert_text(raw: bytes | str) -> str:
    """Text of a stranger that can be printed, stored and read back: what is not plain text is percent-encoded."""
    data = os.fsencode(raw) if isinstance(raw, str) else raw
    return encode_name(data[:_WORD_MOST])


def word(files: SystemFiles, path: str) -> str | None:
    """The one value that an attribute file holds, stripped and inert; None where it is absent or empty."""
    raw = files.read(path, _WORD_MOST)
    if raw is None:
        return None
    return inert_text(raw.strip(b" \t\r\n\0")) or None


def number(files: SystemFiles, path: str) -> int | None:
    """The number that an attribute file holds; None where there is none."""
    text = word(files, path)
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 20 else None
