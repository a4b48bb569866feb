# SPDX-License-Identifier: Apache-2.0
"""Jobs and files of the Background Intelligent Transfer Service as its queue keeps them.

The same forms stand in qmgr0.dat and qmgr1.dat (before Windows 10) and in the blobs of qmgr.db. They are not documented by
their maker; facts from https://github.com/ANSSI-FR/bits_parser, https://github.com/fireeye/BitsParser and the ``bits`` plugin
of https://github.com/fox-it/dissect.target. Texts are UTF-16 behind the count of their characters; times are FILETIME in UTC.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from headwater.formats.patterns import lazy_regex

FILES = bytes.fromhex("36DA56776F515A43ACAC44A248FFF34D")  # before and behind the list of a job's files
QUEUE = bytes.fromhex("47445F00A9BDBA449851C47BB6C07ACE")  # before and behind the jobs that count
OLD_FILE = bytes.fromhex("13F72BC84099124A9F1A3AAEBD894EEA")  # at 16 in qmgr0.dat
# what stands before and behind a job: 2003 R2, Vista and 2008, 7 and 2008 R2, 8 and 2012, 8.1 and 2012 R2
DELIMITERS = tuple(
    bytes.fromhex(text)
    for text in (
        "93362035A00C104A84F3B17E7B499CD7",
        "101370C83653B34183E581557F361B87",
        "8C93EA64030F6840B46FF97FE51D4DCD",
        "B346ED3D3B10F944BC2FE8378BD31986",
    )
)
TYPES = {0: "download", 1: "upload", 2: "upload-reply"}
PRIORITIES = {0: "foreground", 1: "high", 2: "normal", 3: "low"}
STATES = {
    0: "queued",
    1: "connecting",
    2: "transferring",
    3: "suspended",
    4: "error",
    5: "transient error",
    6: "transferred",
    7: "acknowledged",
    8: "cancelled",
}
_TEXT_MOST = 40_000
_FILES_MOST = 10_000
_EARLIEST, _LATEST = 125_911_584_000_000_000, 157_469_184_000_000_000  # 2000 to 2100
_SEARCH = 4096  # how far behind a job's files its times can stand: errors with a text of their own lie between
_DRIVE = lazy_regex(rb"(?:[A-Za-z]\0:\0|\\\0\\\0)[^\0]\0")
UNKNOWN_SIZE = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Moved:
    """A file to be fetched or sent. ``offset`` and ``length`` bound it in the bytes it was read from."""

    offset: int
    length: int
    local: str
    url: str
    temporary: str
    done: int
    size: int | None
    drive: str
    volume: str
    modified: int | None = None  # FILETIME of the source's last change, where the form has it


@dataclass(frozen=True, slots=True)
class Job:
    """``files``: the GUIDs of its files (qmgr.db); ``rest``: where what stands behind its head begins."""

    kind: str
    priority: str
    state: str
    number: bytes
    name: str
    description: str
    command: str
    arguments: str
    owner: str
    notify: int
    rest: int
    files: tuple[bytes, ...] = ()
    created: int | None = None
    modified: int | None = None
    completed: int | None = None


def job(data: bytes, at: int = 0) -> Job:
    """The job that begins at ``at``, behind the GUID of its form.

    Raises:
        ValueError: the bytes are none.
    """
    if len(data) < at + 48:
        raise ValueError("too short for a job")
    first, priority, state, last = struct.unpack_from("<4I", data, at)
    if priority > 3 or state > 8 or (first > 2 and last > 2):
        raise ValueError("no head of a job")
    number = data[at + 16 : at + 32]
    texts = []
    here = at + 32
    for _ in range(5):
        text, here = _text(data, here)
        texts.append(text)
    notify = int.from_bytes(data[here : here + 4], "little")
    # newer forms have the type behind the state, older ones before the priority; the other of the two is 0
    kind = TYPES.get(last or first, str(last or first))
    name, description, command, arguments, owner = texts
    created, modified, completed = _times(data, here)
    return Job(
        kind, PRIORITIES[priority], STATES[state], number, name, description, command, arguments, owner, notify, here + 4,
        _listed(data, here), created, modified, completed,
    )  # fmt: skip


def _listed(data: bytes, at: int) -> tuple[bytes, ...]:
    """The GUIDs of a job's files, where it names them so."""
    begin = data.find(FILES, at)
    if begin < 0:
        return ()
    begin += 16
    count = int.from_bytes(data[begin : begin + 4], "little")
    if count > _FILES_MOST or data[begin + 4 + 16 * count : begin + 20 + 16 * count] != FILES:
        return ()
    return tuple(data[begin + 4 + 16 * n : begin + 20 + 16 * n] for n in range(count))


def _times(data: bytes, at: int) -> tuple[int | None, int | None, int | None]:
    """When a job was made, last changed and completed: behind its files, its errors, and three counts."""
    first = data.find(FILES, at)
    second = data.find(FILES, first + 16) if first >= 0 else -1
    if second < 0:
        return None, None, None
    for here in range(second + 20, min(second + 20 + _SEARCH, len(data) - 44) + 1):
        created, modified, again, completed = struct.unpack_from("<4Q", data, here + 12)
        if not (_likely(created) and _likely(modified) and (not again or _likely(again))):
            continue
        return created, max(modified, again), completed if _likely(completed) else None
    return None, None, None


def _likely(moment: int) -> bool:
    return _EARLIEST <= moment <= _LATEST


def moved(data: bytes, at: int) -> Moved:
    """The file that begins at ``at``: three texts, what of it is there, its size, drive and volume.

    Raises:
        ValueError: the bytes are none.
    """
    local, here = _text(data, at)
    url, here = _text(data, here)
    temporary, here = _text(data, here)
    if not url or len(data) < here + 17:
        raise ValueError("no file of a job")
    done, size = struct.unpack_from("<QQ", data, here)
    drive, here = _text(data, here + 17)
    volume, here = _text(data, here)
    changed = None
    if len(data) >= here + 37 and not any(data[here + 20 : here + 24]):
        (moment,) = struct.unpack_from("<Q", data, here + 29)
        changed = moment if _likely(moment) else None
    return Moved(
        at, here - at, local, url, temporary, done, None if size == UNKNOWN_SIZE else size, drive, volume, changed
    )


def files(data: bytes, start: int) -> Iterator[Moved]:
    """The files that stand behind a place, found by the text that they begin with: a local path."""
    at = start
    for _ in range(_FILES_MOST):
        match = _DRIVE.search(data, at + 4)
        if match is None:
            return
        try:
            found = moved(data, match.start() - 4)
        except ValueError:
            at = match.start() - 3
            continue
        yield found
        at = found.offset + found.length - 4


def _text(data: bytes, at: int) -> tuple[str, int]:
    """A text and where it ends."""
    count = int.from_bytes(data[at : at + 4], "little")
    end = at + 4 + 2 * count
    if at + 4 > len(data) or count > _TEXT_MOST or end > len(data) or (count and data[end - 2 : end] != b"\0\0"):
        raise ValueError("a text that leaves its record")
    return data[at + 4 : end].decode("utf-16-le", "replace").rstrip("\0"), end
