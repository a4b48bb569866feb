# SPDX-License-Identifier: Apache-2.0
"""The YARA rules of a case: read from the files that were given, kept in the case, compiled, handed to the children.

The case keeps the texts (``yara-rules.json``), so that what they found can be derived again when the files are gone; its
digest is entered in the ledger with the examination. Compiled rules are made anew by each run and kept nowhere.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headwater.confine.work import Early
from headwater.formats.canonical import digest
from headwater.model.errors import DetectError
from headwater.model.paths import encode_name
from headwater.procedure.kept_files import KeptFile

if TYPE_CHECKING:  # the engine is loaded where rules are
    from headwater.examine.yara_rules import Compiled

NAME = "yara-rules.json"
_KEPT = KeptFile(NAME, "files", "HW6011")
OWN = "headwater"
ENDINGS = (".yar", ".yara", ".rule", ".rules")
FILES_MOST = 20_000
BYTES_MOST = 256 << 20

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Loaded:
    """Compiled rules, the digest of their texts, and the call that gives them to a child before its lock-down."""

    digest: str
    compiled: Compiled
    early: Early


_loaded: dict[str, Loaded] = {}  # by digest of the texts; the descriptors live as long as the process


def keep(case: Path, given: Sequence[Path]) -> str:
    """Write the texts of the rules into the case: our own, then those given; returns the file's SHA-256.

    Without any given, what the case holds stands, so that a killed run goes on with the same rules.

    Raises:
        DetectError: HW6011, a path is not there or holds no rule file, or there is too much of it.
    """
    if not given and (case / NAME).is_file():
        return _KEPT.sealed(case)[NAME]
    from headwater.examine.yara_own import OWN_RULES

    files: Json = {OWN: OWN_RULES}
    size = 0
    for place in given:
        for name, path in _files(place):
            data = path.read_bytes()
            size += len(data)
            if len(files) > FILES_MOST or size > BYTES_MOST:
                raise DetectError("HW6011", str(place), what=f"> {FILES_MOST} files / {BYTES_MOST >> 20} MiB")
            files[_free(name, files)] = _text(data)
    return _KEPT.write(case, [[name, text] for name, text in files.items()])


def check(given: Sequence[Path]) -> None:
    """Refuse rule files that are not there, before anything is made.

    Raises:
        DetectError: HW6011.
    """
    for place in given:
        next(_files(place))


def _files(place: Path) -> Iterator[tuple[str, Path]]:
    """The rule files of a path, each with the name that its rules go by, in order of name."""
    if place.is_file():
        yield encode_name(os.fsencode(place.name)), place
        return
    found = [p for p in place.rglob("*") if p.suffix.lower() in ENDINGS and p.is_file()] if place.is_dir() else []
    if not found:
        raise DetectError("HW6011", str(place), what=" ".join(ENDINGS))
    for path in sorted(found, key=lambda p: os.fsencode(p.relative_to(place))):
        yield encode_name(os.fsencode(path.relative_to(place))), path


def _free(name: str, taken: Json) -> str:
    free, n = name, 1
    while free in taken:
        n += 1
        free = f"{name} ({n})"
    return free


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")  # old collections have comments in other encodings


def texts_of(case: Path) -> list[list[str]]:
    """The names and texts of the rules that a case keeps; nothing where it keeps none.

    Raises:
        DetectError: HW6011, the file is spoilt.
    """
    held = _KEPT.read(case)
    try:
        return [[str(name), str(text)] for name, text in held]
    except (ValueError, TypeError) as error:
        raise DetectError("HW6011", str(case / NAME), what=type(error).__name__) from error


def carry(case: Path, fresh: Path) -> None:
    """Give another folder the rules of a case, for the examination that is made again."""
    _KEPT.carry(case, fresh)


def loaded(case: Path) -> Loaded | None:
    """The rules of a case, compiled once in this process; None where it keeps none."""
    texts = texts_of(case)
    if not texts:
        return None
    name = digest(texts)
    if name not in _loaded:
        from headwater.examine.yara_rules import RuleFile, compile_rules

        compiled = compile_rules([RuleFile(n, t) for n, t in texts])
        fds = tuple(_held(data) for _, data in compiled.parts)
        early = Early(
            "headwater.examine.yara_held:hold",
            {"by_name": compiled.by_name, "parts": [n for n, _ in compiled.parts]},
            fds,
        )
        _loaded[name] = Loaded(name, compiled, early)
    return _loaded[name]


def early(case: Path) -> tuple[Early, ...]:
    """What a pool must be given for its children to hold the rules of a case."""
    rules = loaded(case)
    return () if rules is None else (rules.early,)


def _held(data: bytes) -> int:
    """Bytes as a descriptor of anonymous memory, which lives as long as this process."""
    fd = os.memfd_create("yara-rules", os.MFD_CLOEXEC)
    with os.fdopen(os.dup(fd), "wb") as file:
        file.write(data)
    return fd
