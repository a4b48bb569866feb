# SPDX-License-Identifier: Apache-2.0
"""Compiled rules kept between runs in the user's cache folder, by the digest of all that they were made from.

The name of a kept file is the SHA-256 over the rule files, the values of placeholders, the modules that compile and the
versions of pySigma, Python and Polars; so a changed rule or a changed compiler is another name, never an old form. A file
counts only where it belongs to the user, nobody else may write it, and its first line is the SHA-256 of the rest; anything
else is compiled anew. Where the folder cannot be written, nothing is kept and nothing is said: only time is lost.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import stat
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

from headwater.detect import (
    sigma_correlation,
    sigma_leaf,
    sigma_look,
    sigma_plan,
    sigma_ready,
    sigma_route,
    sigma_rules,
    sigma_tree,
    sigma_windows,
)
from headwater.detect.sigma_rules import Pack, digest, packed, unpacked
from headwater.detect.sigma_tree import Values
from headwater.formats.atomic import write_atomic
from headwater.model.errors import VaultError

FEW = 100  # so many rule files are compiled sooner than a kept form is worth its room
MOST_BYTES = 64 << 20
MOST_KEPT = 8  # forms in the folder; the oldest go
_MAKERS = (
    sigma_correlation, sigma_leaf, sigma_look, sigma_plan, sigma_ready, sigma_route, sigma_rules, sigma_tree, sigma_windows
)  # fmt: skip
_END = ".rules"


def folder() -> Path:
    """Where forms are kept: ``headwater/sigma`` below XDG_CACHE_HOME, else below ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return Path(base if os.path.isabs(base) else os.path.expanduser("~/.cache"), "headwater", "sigma")


@functools.cache
def _engine() -> str:
    """What compiles, as one digest."""
    made = hashlib.sha256()
    for module in _MAKERS:
        if not module.__file__:
            raise OSError(f"{module.__name__} is in no file")
        made.update(hashlib.sha256(Path(module.__file__).read_bytes()).digest())
    made.update(f"python {sys.version}\n".encode())  # whose reader of expressions says which texts they need
    for name in ("pysigma", "pyyaml", "polars"):
        made.update(f"{name} {metadata.version(name)}\n".encode())
    return made.hexdigest()


def kept(
    sources: Sequence[tuple[str, bytes]],
    values: Values,
    make: Callable[[Sequence[tuple[str, bytes]], Values], Pack],
) -> Pack:
    """The rules as kept, or as ``make`` compiles them, which are then kept for the next time."""
    if len(sources) < FEW:
        return make(sources, values)
    try:
        name = hashlib.sha256(f"{_engine()} {digest(sources, values)}".encode()).hexdigest()
    except (OSError, metadata.PackageNotFoundError):  # without a digest of the compiler nothing can be kept by it
        return make(sources, values)
    path = folder() / (name + _END)
    found = _read(path)
    if found is not None:
        return found
    pack = make(sources, values)
    _write(path, packed(pack))
    return pack


def _read(path: Path) -> Pack | None:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):  # not there, or not as written
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(fd, "rb") as file:
            status = os.fstat(fd)
            own = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022
            if not own or status.st_size > MOST_BYTES:
                return None
            stated, _, body = file.read(MOST_BYTES).partition(b"\n")
        if stated == hashlib.sha256(body).hexdigest().encode():
            return unpacked(body)
    return None


def _write(path: Path, body: bytes) -> None:
    with contextlib.suppress(OSError, VaultError):  # no room, or no right to write: compiled again next time
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomic(path, hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
        path.chmod(0o600)
        old = sorted(path.parent.glob("*" + _END), key=lambda p: p.stat().st_mtime)[:-MOST_KEPT]
        for one in old:
            one.unlink(missing_ok=True)
