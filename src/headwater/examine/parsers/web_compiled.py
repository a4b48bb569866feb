# SPDX-License-Identifier: Apache-2.0
"""Traits of compiled code that a web server loads: Java classes, archives of them, .NET assemblies (web.compiled).

Reads:  *.class, *.jar, *.war and *.ear under webapps, WEB-INF, a container's work or deploy
        folder, and archives in these; *.dll under wwwroot, a site's
        bin, and "Temporary ASP.NET Files".
Time:   none: a file's content states no time (its times are in fs.macb).
Format: JVMS chapter 4 (constant pool), PKWARE APPNOTE 6.3.10, ECMA-335 II.24.2 (#Strings and #US).
Limits: says that one class (of .NET: one assembly) both reads requests and starts commands or loads code; not that the one
        reaches the other, nor that it ran. Classes of 1 MiB, archives and assemblies of 64 MiB, 256 MiB unpacked in all; of
        assemblies with more than 4,000 names only words of known web shells; archives in archives three deep, told by the bytes of the
        outermost member; nothing of obfuscated names or of what is put together at run time.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from headwater.examine import dotnet_names, java_class
from headwater.formats.archives import open_archive
from headwater.formats.sources import MemorySource
from headwater.formats.trees import Entry, Tree
from headwater.model.kinds import EventKind, GapReason
from headwater.model.paths import file_layer
from headwater.model.records import Event, File, Gap, Record, Skip

FEED = "web.compiled"
VERSION = 2
READS = (
    "/webapps/**.class", "/webapps/**.jar", "*.war", "*.ear", "/WEB-INF/**.class", "/WEB-INF/**.jar", "/Catalina/**.class",
    "/deployments/**.jar", "/deploy/**.jar", "/wwwroot/**.dll", "/inetpub/**.dll", "/Temporary ASP.NET Files/**.dll", "/www/**.dll",
)  # fmt: skip
MOST_CLASS = 1 << 20
MOST_BYTES = 64 << 20
MOST_UNPACKED = 256 << 20
MOST_NAMES = 4_000  # an assembly of more is an application or a framework, where these words stand far apart
MOST_EVENTS = 200
MOST_DEEP = 3  # archives in an archive: a JAR in a WAR in an EAR is two
_SERVLET = ("javax/servlet/", "jakarta/servlet/")
_ASKS = (".getParameter", ".getParameterValues", ".getParameterMap", ".getHeader", ".getInputStream", ".getReader", ".getQueryString",
         ".getCookies", ".getPart")  # fmt: skip
_ASKED = ("getParameter", "getHeader", "getInputStream", "getReader")
# trait, members that do it, how such members end, texts that name them
_TRAITS: tuple[tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...]], ...] = (
    ("exec-beside-request", ("java/lang/Runtime.exec", "java/lang/ProcessBuilder.<init>", "java/lang/ProcessBuilder.start"),
     (), ("java.lang.Runtime", "java.lang.ProcessBuilder")),
    ("eval-beside-request", ("javax/script/ScriptEngine.eval", "groovy/lang/GroovyShell.evaluate"),
     (".defineClass",), ("defineClass",)),
)  # fmt: skip
_BROKEN = "the constant pool of a class is cut or broken"
_FAMILIES = (
    "Godzilla",
    "Behinder",
    "rebeyond",
    "AntSword",
    "antSword",
    "e45e329feb5d925b",
    "3c6e0b8a9c15224a",
    "pass1024",
)
_FEW = (b"servlet/", b"Runtime", b"ProcessBuilder", b"defineClass", b"ScriptEngine", b"GroovyShell")

_LOOKED = (".class", ".jar", ".war")
Found = tuple[int, int, str, str]  # offset, length, trait, the words that show it


def _class(data: bytes) -> tuple[list[Found], bool]:
    """The traits of one class, and whether all that was wanted of it could be read.

    Most classes are told apart by a few words before their pool is read.
    """
    if b"servlet/" not in data or not any(word in data for word in _FEW[1:]):
        return [f for word in _FAMILIES if word.encode() in data for f in _family(data, word)], True
    held = java_class.references(data)
    if held is None:
        return [], True
    asks = next((m for m in held.members if m.startswith(_SERVLET) and m.endswith(_ASKS)), None)
    asks = asks or next((t for t in held.texts if t in _ASKED), None)
    found = []
    for trait, members, ends, texts in _TRAITS if asks else ():
        named = (m for m in held.members if m in members or m.endswith(ends))
        told = (t for t in held.texts if t in texts)  # by reflection the class or the method stands as a text
        name = next(named, None) or next(told, None)
        if name is not None:
            at, size = held.members.get(name) or held.texts[name]
            found.append((at, size, trait, f"{name} + {asks}"))
    return found + [f for word in _FAMILIES if word in held.texts for f in _family(data, word)], held.whole


def _family(data: bytes, word: str) -> Iterator[Found]:
    at = data.find(word.encode())
    yield at, len(word), "known-family", word


def _assembly(data: bytes) -> list[Found]:
    held = dotnet_names.assembly(data)
    if held is None:
        return []
    names = held.names
    if len(names) > MOST_NAMES:
        return _families(held)
    asks = next((n for n in ("HttpRequest", "get_Request", "HttpContext", "HttpRequestBase") if n in names), None)
    found = []
    shell = next((t for t in held.texts if t.lower().strip() in ("cmd", "cmd.exe", "/c", "/bin/sh", "powershell", "powershell.exe")
                  or t.lower().startswith(("/c ", "cmd /c", "cmd.exe /c")) or t.lower().endswith("\\cmd.exe")), None)  # fmt: skip
    if asks and shell is not None and "ProcessStartInfo" in names:
        found.append((*held.texts[shell], "exec-beside-request", f"ProcessStartInfo {shell[:80]} + {asks}"))
    loads = "Assembly" in names and "Load" in names and "CreateInstance" in names
    if (
        asks
        and loads
        and any(n in names for n in ("FromBase64String", "RijndaelManaged", "CreateDecryptor", "BinaryRead"))
    ):
        found.append((*names["Load"], "eval-beside-request", f"Assembly.Load, CreateInstance + {asks}"))
    return found + _families(held)


def _families(held: dotnet_names.Assembly) -> list[Found]:
    return [(*held.texts[t], "known-family", word) for word in _FAMILIES for t in held.texts if word in t][:8]


def _event(file: File, at: int, size: int, found: Found, member: str | None) -> Event:
    return Event(
        at, size, EventKind.STATE_CONTENT, t_kind="state", host=file.facts.host, file_path=file_layer(file.path),
        fields={"trait": found[2], "match": found[3][:200], "member": member},
    )  # fmt: skip


@dataclass(slots=True)
class _Left:
    """What may still be unpacked and told of one file."""

    unpacked: int
    events: int


def _archive(file: File) -> Iterator[Record]:
    """One event for each trait of a member, over the member's bytes in the archive; a gap for each that was not looked at."""
    data = MemorySource(file.pread(0, file.size))
    tree = open_archive(data, "zip")
    found: list[tuple[int, int, Event]] = []
    gaps: list[Gap] = []
    left = _Left(MOST_UNPACKED, MOST_EVENTS)
    for entry in tree.entries():
        if entry.kind != "file" or not entry.path.endswith(_LOOKED):
            continue
        at, size = _member(data, int(entry.key))
        traits, why = _looked(tree, entry, left, 1)
        found += [(at, size, _event(file, at, size, one, member)) for one, member in traits]
        if why and not traits:
            reason = GapReason.LIMIT if why.endswith("not looked at") else GapReason.NOT_THIS_FORMAT
            gaps.append(Gap(at, size, reason, why))
    gaps += [g for g in tree.warnings if 0 <= g.offset < g.offset + g.length <= file.size]
    yield from _tiled(file, found, gaps, "members without a trait")


def _looked(tree: Tree, entry: Entry, left: _Left, deep: int) -> tuple[list[tuple[Found, str]], str]:
    """The traits of a member or of what an archive in it holds, each with its path, and why not all was looked at."""
    packed = not entry.path.endswith(".class")
    most = MOST_BYTES if packed else MOST_CLASS
    if entry.size > most:
        return [], f"{'an archive' if packed else 'a class'} of more than {most >> 20} MiB: not looked at"
    left.unpacked -= entry.size
    if left.unpacked < 0:
        return [], "behind 256 MiB unpacked: not looked at"
    if left.events <= 0:
        return [], f"behind {MOST_EVENTS} traits: not looked at"
    if packed and deep > MOST_DEEP:
        return [], f"an archive more than {MOST_DEEP} deep: not looked at"
    content = tree.open(entry.key)
    raw = content.pread(0, min(content.size, most))
    if not packed:
        traits, whole = _class(raw)
        left.events -= len(traits)
        return [(one, entry.path) for one in traits], "" if whole and len(raw) >= entry.size else _BROKEN
    found: list[tuple[Found, str]] = []
    inner = open_archive(MemorySource(raw), "zip")
    why = ""
    for each in inner.entries():
        if each.kind == "file" and each.path.endswith(_LOOKED):
            traits_of, not_all = _looked(inner, each, left, deep + 1)
            found += [(one, f"{entry.path}!{path}") for one, path in traits_of]
            why = why or (f"{each.path} in it: {not_all}" if not_all else "")
    if not raw.startswith(b"PK") or inner.warnings or len(raw) < entry.size:
        why = why or "an archive in it is cut or broken"
    return found, why


def _member(data: MemorySource, record: int) -> tuple[int, int]:
    """Where the member of a record of the central directory stands, its own header included; else the record itself."""
    central = data.pread(record, 46)
    packed, at = struct.unpack_from("<I", central, 20)[0], struct.unpack_from("<I", central, 42)[0]
    local = data.pread(at, 30)
    if len(local) == 30 and local.startswith(b"PK\x03\x04"):
        size = 30 + sum(struct.unpack_from("<HH", local, 26)) + packed
        if at + size <= record:
            return at, size
    return record, min(46 + sum(struct.unpack_from("<HHH", central, 28)), data.size - record)


def _tiled(file: File, found: Sequence[tuple[int, int, Event]], gaps: Sequence[Gap], why: str) -> Iterator[Record]:
    """Events in order, gaps in what they leave, the rest passed over.

    Where members of a broken archive lie over one another, a later one's events stand on the bytes of the one before.
    """
    at, last = 0, (0, 0)
    told: list[Event] = []
    for start, size, event in sorted(found, key=lambda f: f[:2]):
        if start < at:
            start, size = last
            event = replace(event, offset=start, length=size)
        told.append(event)
        at, last = max(at, start + size), (start, size)
    at = 0
    for event in told:
        if event.offset > at:
            yield from _between(at, event.offset, gaps, why)
        yield event
        at = event.offset + event.length
    if at < file.size:
        yield from _between(at, file.size, gaps, why)


def _between(begin: int, end: int, gaps: Sequence[Gap], why: str) -> Iterator[Record]:
    """A stretch without events: its parts of the gaps, and what lies between these."""
    at = begin
    for gap in sorted(gaps, key=lambda g: g.offset):
        first, behind = max(gap.offset, at), min(gap.offset + gap.length, end)
        if first >= behind:
            continue
        if first > at:
            yield Skip(at, first - at, why)
        yield Gap(first, behind - first, gap.reason, gap.detail)
        at = behind
    if at < end:
        yield Skip(at, end - at, why)


def parse(file: File) -> Iterator[Record]:
    """One event for each trait; what shows none is passed over."""
    head = file.pread(0, 4)
    most = MOST_CLASS if head == java_class.MAGIC else MOST_BYTES
    if file.size > most:
        yield Gap(0, file.size, GapReason.LIMIT, f"larger than {most >> 20} MiB: not looked at")
        return
    if head.startswith(b"PK"):
        yield from _archive(file)
        return
    data = file.pread(0, file.size)
    if head != java_class.MAGIC and not head.startswith(b"MZ"):
        yield Gap(0, file.size, GapReason.NOT_THIS_FORMAT, "neither a class, an archive nor a program")
        return
    found, whole = _class(data) if head == java_class.MAGIC else (_assembly(data), True)
    if not found and not whole:
        yield Gap(0, file.size, GapReason.NOT_THIS_FORMAT, _BROKEN)
        return
    events = [(at, size, _event(file, at, size, one, None)) for one in found[:MOST_EVENTS] for at, size in [one[:2]]]
    yield from _tiled(file, events, (), "code without a trait")
