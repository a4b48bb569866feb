# SPDX-License-Identifier: Apache-2.0
"""The files of an image under way: their ``.part`` names, giving them their own names at the end, opening them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from headwater.acquire.destinations import PART, sync_folder
from headwater.formats.opened import OpenFile, open_readonly

if TYPE_CHECKING:
    from headwater.formats.media import Medium


def rename_whole(folder: Path, names: Sequence[str]) -> None:
    """Give the parts their own names, the first last: a set without its first file is taken for nothing."""
    for name in reversed(names):
        part = folder / (name + PART)
        if part.exists():
            os.replace(part, folder / name)
    sync_folder(folder)


def rename_back(folder: Path, names: Sequence[str]) -> None:
    """Undo what an interrupted :func:`rename_whole` did, the first name first."""
    for name in names:
        if (folder / name).exists():
            os.replace(folder / name, folder / (name + PART))


def leftovers(folder: Path, names: Sequence[str]) -> list[str]:
    """Which of these files are there, as parts or whole."""
    return [n for name in names for n in (name, name + PART) if (folder / n).exists()]


def open_files(folder: Path, names: Sequence[str]) -> list[OpenFile]:
    """The files of an image under their own names, whichever they bear at the moment; the caller closes them."""
    opened: list[OpenFile] = []
    for name in names:
        part = folder / (name + PART)
        file = open_readonly(part if part.exists() else folder / name)
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fd, 0, 0, os.POSIX_FADV_DONTNEED)  # what is compared shall come from the disk
        opened.append(OpenFile(file.fd, name, file.size))
    return opened


def open_image(folder: Path, names: Sequence[str], *, e01: bool, cut: bool = False) -> Medium:
    """The medium in these files. ``cut``: an E01 whose end is not written yet. Closing it closes the files.

    The form is told, not guessed: a disk whose first bytes look like a container is still a disk.
    """
    from headwater.formats.media import RawMedium, open_medium  # heavy, and only for an image that is read back

    files = open_files(folder, names)
    try:
        return open_medium(files, allow_missing=cut) if e01 else RawMedium(files)
    except BaseException:
        for file in files:
            file.close()
        raise
