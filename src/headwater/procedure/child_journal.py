# SPDX-License-Identifier: Apache-2.0
"""What runs in the confined children for trace on a journal: an entry's fields, and the bytes that hold its message.

An ENTRY object holds no words: it points to DATA objects, each with one field (https://systemd.io/JOURNAL_FILE_FORMAT/).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from headwater.examine import reading
from headwater.formats.journal import Journal, open_journal
from headwater.formats.journal_layout import DATA, ENTRY, plausible
from headwater.model.records import Facts, Gap
from headwater.procedure.child_targets import Message, Targets

FIELDS_MOST = 64  # of one entry
VALUE_MOST = 512  # characters of one value
DATA_MOST = 4096  # bytes of the data object of the message that are handed out
_HEAD = 64  # bytes of an ENTRY object before its items


def fetch(args: Mapping[str, Any], fds: Sequence[int]) -> Iterator[Message]:
    """For each target, an entry of a journal: its fields with the places of their data objects, MESSAGE's bytes as blob.

    A target that is no journal, or where no entry stands, is passed over.
    """
    targets = Targets(args, fds)
    for target in args["targets"]:
        source, _ = targets.open(target)
        ready = reading.prepare(source, target["path"], target["mtime"], Facts(), target["sniff"])
        journal = open_journal(ready.source.pread, ready.source.size)
        if isinstance(journal, Gap):
            continue
        offset = int(target["offset"])
        fields = list(_fields(journal, offset))
        message = next(((at, size) for name, _, at, size in fields if name == "MESSAGE"), None)
        blob = journal.read(message[0], min(message[1], DATA_MOST)) if message is not None else b""
        yield {"span": [target["path"], offset, 0], "fields": fields}, blob
    yield {"result": {}}, b""


def _fields(journal: Journal, offset: int) -> Iterator[list[Any]]:
    """[name, value, offset, length] of the fields of the entry at ``offset``, in the entry's own order."""
    for at in _items(journal, offset)[:FIELDS_MOST]:
        head = plausible(journal.read(at, 16).ljust(16, b"\0"), 0, max(0, journal.size - at), journal.compact)
        found = journal.field(at) if head is not None and head[0] == DATA else None
        if head is not None and found is not None:
            yield [found[0], found[1][:VALUE_MOST], at, head[2]]


def _items(journal: Journal, offset: int) -> list[int]:
    """Where the data objects of the entry at ``offset`` stand; [] where no entry stands there."""
    head = plausible(journal.read(offset, 16).ljust(16, b"\0"), 0, max(0, journal.size - offset), journal.compact)
    if head is None or head[0] != ENTRY:
        return []
    width = 4 if journal.compact else 16
    count = min((head[2] - _HEAD) // width, FIELDS_MOST)
    raw = journal.read(offset + _HEAD, count * width)
    count = len(raw) // width
    if journal.compact:
        return list(struct.unpack_from(f"<{count}I", raw))
    return list(struct.unpack_from(f"<{count * 2}Q", raw)[::2])
