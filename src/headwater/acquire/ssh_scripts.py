# SPDX-License-Identifier: Apache-2.0
"""What is said to a server's ``sh``: the scripts, and the answers taken apart. Only sh, dd and cat have to be there.

Every script reads; none writes a file, and none reads a file on a disk but the source and what the shell itself is made
of (/proc and /sys live in memory). Answers are records behind a random marker, so that what a server's files hold cannot
pass for our own words; a server that lies about itself can do that, and nothing else.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from headwater.acquire.ssh_login import LOGIN_TRACES, SUDO_TRACES
from headwater.formats.patterns import lazy_regex

BLOCK = 1 << 20
_RECORDS_MOST = 200_000
_TRACES = tuple(dict.fromkeys(path for path, _ in LOGIN_TRACES + SUDO_TRACES))

# words of strerror that say the device or the way to it is gone, not that a sector is bad
_GONE = lazy_regex(
    rb"No such (?:file|device)|Permission denied|Operation not permitted|No medium found|Stale file|not connected|"
    rb"cannot allocate|Out of memory|memory exhausted|not found|invalid|unrecognized|usage:",
    re.IGNORECASE,
)

_ATTRIBUTES = (
    "dev size ro removable partition start serial wwid dm/name dm/uuid md/level md/raid_disks md/array_state "
    "loop/backing_file queue/rotational queue/logical_block_size queue/physical_block_size device/vendor device/model "
    "device/name device/rev device/serial device/firmware_rev device/fwrev device/wwid"
)
_FILES = (
    "/proc/self/mountinfo /proc/swaps /proc/mdstat /proc/version /proc/uptime /proc/sys/kernel/osrelease "
    "/proc/sys/kernel/hostname /proc/sys/kernel/random/boot_id /sys/class/dmi/id/sys_vendor "
    "/sys/class/dmi/id/product_name /sys/class/dmi/id/product_serial /sys/class/dmi/id/bios_version"
)


def quoted(path: str) -> bytes:
    """A path as one word of sh, whatever bytes it holds."""
    return b"'" + os.fsencode(path).replace(b"'", b"'\\''") + b"'"


@dataclass(frozen=True, slots=True)
class Probe:
    """``kind``: block, file, other or missing. ``size`` in bytes, -1 where it cannot be learnt; ``name``: the kernel's
    name of a block device, '' where it is not found; ``byte_flags``: whether dd takes skip and count in bytes."""

    kind: str
    readable: bool
    size: int
    sector: int
    name: str
    byte_flags: bool


def probe_script(path: str) -> bytes:
    """Asks what the source is, how large, and what dd can do."""
    return b"p=" + quoted(path) + b"\n" + _PROBE


_PROBE = rb"""LC_ALL=C; export LC_ALL
k=missing; n=; s=; b=
if [ -b "$p" ]; then k=block; elif [ -f "$p" ]; then k=file; elif [ -e "$p" ]; then k=other; fi
if [ $k = block ]; then
  for d in /sys/class/block/*; do
    if [ "$p" -ef "/dev/${d##*/}" ]; then n=${d##*/}; break; fi
    if [ -r "$d/dm/name" ]; then read -r x < "$d/dm/name"; if [ "$p" = "/dev/mapper/$x" ]; then n=${d##*/}; break; fi; fi
  done 2>/dev/null
  q=${p#/dev/}
  if [ -z "$n" ] && [ "$q" != "$p" ] && [ -d "/sys/class/block/$q" ]; then n=$q; fi
  s=$(blockdev --getsize64 "$p" 2>/dev/null) && b=$(blockdev --getss "$p" 2>/dev/null)
  if [ -z "$s" ] && [ -n "$n" ]; then
    u=$(cat "/sys/class/block/$n/size" 2>/dev/null) && s=$((u * 512))
    b=$(cat "/sys/class/block/$n/queue/logical_block_size" 2>/dev/null)
  fi
elif [ $k = file ]; then
  s=$(stat -Lc %s "$p" 2>/dev/null) || s=$(wc -c < "$p" 2>/dev/null)
fi
r=no; if [ -r "$p" ]; then r=yes; fi
f=no
if dd if=/dev/null bs=512 iflag=fullblock,skip_bytes,count_bytes skip=0 count=0 >/dev/null 2>&1; then f=yes; fi
printf 'kind=%s\nreadable=%s\nsize=%s\nsector=%s\nflags=%s\nname=%s\n' "$k" "$r" "$s" "$b" "$f" "$n"
"""


def probe_of(output: bytes) -> Probe | None:
    """The answer to :func:`probe_script`; None where it is not one (a shell that is no POSIX shell)."""
    said = dict(line.partition(b"=")[::2] for line in output[:4096].split(b"\n") if b"=" in line)
    kind = said.get(b"kind", b"").decode("ascii", "replace")
    if kind not in {"block", "file", "other", "missing"} or b"name" not in said:
        return None
    size, sector = _number(said[b"size"]), _number(said[b"sector"])
    name = os.fsdecode(said[b"name"])
    return Probe(
        kind=kind,
        readable=said.get(b"readable") == b"yes",
        size=-1 if size is None else size,
        sector=sector if sector in (512, 1024, 2048, 4096) else 512,
        name=name if re.fullmatch(r"[\w!.:-]{1,64}", name) else "",
        byte_flags=said.get(b"flags") == b"yes",
    )


def _number(text: bytes) -> int | None:
    found = text.strip()
    return int(found) if found.isdigit() and len(found) < 20 else None


@dataclass(frozen=True, slots=True)
class Read:
    """A dd command, and how many bytes of its output stand before the wanted ones."""

    script: bytes
    before: int


def read_script(path: str, offset: int, length: int, byte_flags: bool) -> Read:
    """Reads ``length`` bytes from ``offset`` to the standard output, in large blocks.

    Without byte-counting flags (busybox without them, coreutils before 8.16) dd counts blocks: the block is then the
    largest that ``offset`` allows for a short range, and 1 MiB from the block boundary below it for a long one.
    """
    source = b"LC_ALL=C; export LC_ALL\nexec dd if=" + quoted(path)
    if byte_flags:
        block = min(BLOCK, max(512, length))
        words = f" bs={block} iflag=fullblock,skip_bytes,count_bytes skip={offset} count={length}"
        return Read(source + words.encode() + b" </dev/null\n", 0)
    block = BLOCK
    if length < 4 * BLOCK or offset % BLOCK == 0:
        while block > 512 and (offset % block or block > length):
            block //= 2
    first = offset // block
    count = -(-(offset + length) // block) - first
    return Read(source + f" bs={block} skip={first} count={count} </dev/null\n".encode(), offset - first * block)


def is_gone(errors: str) -> bool:
    """Whether dd's complaint means that the source or the way to it is gone, rather than that a range is bad."""
    return bool(_GONE.search(errors.encode("utf-8", "replace")))


# ------------------------------------------------------------------ the environment


def environment_script() -> tuple[bytes, bytes]:
    """(script, marker): sends the system's description of its devices, mounts, processes, and which traces exist."""
    marker = secrets.token_hex(12).encode()
    head = b"T=" + marker + b"\n"
    traces = " ".join(_TRACES)
    body = _ENVIRONMENT.replace("@ATTRIBUTES@", _ATTRIBUTES).replace("@FILES@", _FILES).replace("@TRACES@", traces)
    return head + body.encode(), marker


def holders_script(path: str) -> tuple[bytes, bytes]:
    """(script, marker): sends which processes have the source open."""
    marker = secrets.token_hex(12).encode()
    return b"T=" + marker + b"; p=" + quoted(path) + _HOLDERS.encode(), marker


_ENVIRONMENT = r"""LC_ALL=C; export LC_ALL
g() { v=; { IFS= read -r v < "$1"; } 2>/dev/null; [ -n "$v" ] && printf '\n%s F %s\n%s\n' "$T" "$1" "$v"; }
for d in /sys/class/block/*; do
  cd -P "$d" 2>/dev/null || continue
  printf '\n%s L %s\n%s' "$T" "$d" "$PWD"
  for a in @ATTRIBUTES@; do [ -r "$d/$a" ] && g "$d/$a"; done
  for k in "$d"/holders/* "$d"/slaves/*; do [ -e "$k" ] && printf '\n%s F %s\n' "$T" "$k"; done
done
cd /
for k in /sys/fs/btrfs/*/devices/*; do [ -e "$k" ] && printf '\n%s F %s\n' "$T" "$k"; done
for f in @FILES@; do [ -r "$f" ] && printf '\n%s F %s\n' "$T" "$f" && cat "$f" 2>/dev/null; done
for q in /proc/[0-9]*; do
  g "$q/comm"; g "$q/cgroup"
done
for f in @TRACES@; do [ -e "$f" ] && printf '\n%s X %s\n' "$T" "$f"; done
printf '\n%s E end\n' "$T"
"""

# by itself, because looking at an open file on a dead network share can hang for ever
_HOLDERS = r"""
for q in /proc/[0-9]*; do
  [ -r "$q/fd" ] && printf '\n%s F %s/maps\n' "$T" "$q"
  for e in "$q"/fd/*; do [ "$e" -ef "$p" ] && printf '\n%s L %s\n%s' "$T" "$e" "$p"; done 2>/dev/null
done
printf '\n%s E end\n' "$T"
"""


def environment_of_answer(output: bytes, marker: bytes) -> tuple[dict[str, bytes], dict[str, str], Sequence[str], bool]:
    """(files, links, traces that exist, whether the answer came to its end) of an answer to the script."""
    files: dict[str, bytes] = {}
    links: dict[str, str] = {}
    traces: list[str] = []
    whole = False
    for record in output.split(b"\n" + marker + b" ")[1 : _RECORDS_MOST + 1]:
        head, _, content = record.partition(b"\n")
        kind, path = head[:1], os.fsdecode(head[2:])
        if kind == b"F":
            files[path] = content
        elif kind == b"L":
            links[path] = os.fsdecode(content)
        elif kind == b"X" and path in _TRACES:
            traces.append(path)
        elif kind == b"E":
            whole = True
    return files, links, traces, whole
