# SPDX-License-Identifier: Apache-2.0
"""The sockets that ss told of (live.ss).

Reads:  /@command/ss*.stdout of a live collection; ss_*.txt of UAC.
Time:   the start of the command, UTC, where its .json states it.
Format: ss(8) of iproute2, also as of CentOS 7 (``users:(("sshd",1234,3))``); one event for each process on a socket.
Limits: what the server's own ss chose to show, of its network namespace alone; the process is named only where ss ran
        with rights. ``dst_ip`` is the other end, whoever began. Without the column Netid the protocol is taken from
        the command's options.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headwater.examine.parsers._live import CONTEXT as CONTEXT
from headwater.examine.parsers._live import artifact, captured, ends, marked, row, said, value
from headwater.examine.parsers._slots import address
from headwater.examine.parsers._text import Line, lines
from headwater.examine.parsers._when import When
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind, GapReason
from headwater.model.records import Event, File, Gap, Record, Skip, Value

FEED = "live.ss"
VERSION = 2
READS = ("/@command/ss-*.stdout", "/live_response/network/ss_*.txt")
_OWNER = lazy_regex(r'\("((?:[^"\\]|\\.)*)",(?:pid=)?(\d{1,10}),(?:fd=)?(\d{1,10})\)')
_DETAIL = lazy_regex(r"\b(uid|ino):(\d{1,18})\b")
_HEADS = ("State", "Netid")
_OPTIONS = (("t", "tcp"), ("u", "udp"), ("x", "unix"), ("w", "raw"), ("0", "packet"))


def _protocol(file: File) -> str | None:
    """The one protocol that the command's options asked for."""
    line = str(said(file).get("line") or "")
    options = "".join(re.findall(r"(?:^|\s)-(\w+)", line)) or artifact(file).rpartition("-")[2].rpartition("_")[2]
    chosen = [name for letter, name in _OPTIONS if letter in options]
    return chosen[0] if len(chosen) == 1 else None


def _fields(words: list[str], netid: bool, protocol: str | None) -> tuple[dict[str, Value], str] | None:
    """The fields of a row, and what stands behind the addresses."""
    if netid:
        protocol, words = words[0], words[1:]
    if len(words) < 5 or not words[1].isdigit() or not words[2].isdigit():
        return None
    found: dict[str, Value] = {"protocol": protocol, "state": words[0]}
    found["receive_queue"], found["send_queue"] = value(words[1]), value(words[2])
    if (protocol or "").startswith(("u_", "unix", "nl", "p_", "v_", "packet")):
        spread = (protocol or "").startswith(("u_", "unix"))  # path and number are words of their own
        found["local_path"] = words[3]
        if spread and len(words) > 6:
            found |= {"inode": value(words[4]), "peer_inode": value(words[6])}
        return found, " ".join(words[7 if spread else 5 :])
    if ":" not in words[3] or ":" not in words[4]:
        return None
    found |= ends(words[3], words[4])
    found["dst_ip"] = address(str(found["remote_address"])) if found["remote_port"] else None
    return found, " ".join(words[5:])


def parse(file: File) -> Iterator[Record]:
    yield from marked(file, _rows(file))


def _rows(file: File) -> Iterator[Record]:
    when = captured(file)
    protocol = _protocol(file)
    netid: bool | None = None
    for line in lines(file):
        if isinstance(line, Gap):
            yield line
            continue
        words = line.text.split()
        if not words:
            yield Skip(line.offset, line.length, "blank line")
        elif netid is None and words[0] in _HEADS and "Recv-Q" in words:
            netid = words[0] == "Netid"
            yield Skip(line.offset, line.length, "header line")
        elif netid is None or (found := _fields(words, netid, protocol)) is None:
            yield Gap(line.offset, line.length, GapReason.NOT_THIS_FORMAT, "no row of this output")
        else:
            fields, rest = found
            if "local_path" not in fields:  # of a path, ino is the file's
                fields |= {"inode" if k == "ino" else k: value(v) for k, v in _DETAIL.findall(rest)}
            owners = _OWNER.findall(rest)
            for name, pid, number in owners or [(None, None, None)]:
                yield _event(line, when, fields, name, pid, number)


def _event(
    line: Line, when: When, fields: dict[str, Value], name: str | None, pid: str | None, number: str | None
) -> Event:
    return row(line, when, EventKind.STATE_SOCKET, fields | {"process": name, "pid": pid, "fd": value(number)})
