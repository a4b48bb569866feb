# SPDX-License-Identifier: Apache-2.0
"""Windows programs, libraries and drivers as they stand: header, digest and the signature that they carry (windows.pe).

Reads:  *.exe, *.dll, *.sys, *.scr, *.com, *.cpl, *.ocx and *.drv outside the component store (WinSxS, servicing, NativeImages).
Time:   that of a countersignature, UTC; else none: the header's time is often a hash and stands in a field.
Format: https://learn.microsoft.com/windows/win32/debug/pe-format, Authenticode; see headwater.formats.pe_header and authenticode.
Limits: who signed is what the certificate says; its chain is tried as far as the file carries it, revocation and trust are
        not; a signature in a catalog stands in windows.catalog; programs under other names are told apart by fs.content; over
        512 MiB the digest is left out; what has no header of one in the folders of a Unix system is passed over.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime

from headwater.examine.batch import printable
from headwater.formats.authenticode import Signed, signed
from headwater.formats.patterns import lazy_regex
from headwater.formats.pe_header import MACHINES, SUBSYSTEMS, Program, certificates, digested, header
from headwater.model.kinds import EventKind, GapReason, TimeBasis
from headwater.model.paths import decode_name, file_layer
from headwater.model.records import Event, File, Gap, Record, Skip, Value

FEED = "windows.pe"
VERSION = 2
_ENDS = ("exe", "dll", "sys", "scr", "com", "cpl", "ocx", "drv")
READS = tuple(f"/*.{end}" for end in _ENDS) + tuple(f"/*.{end.upper()}" for end in _ENDS)
_STORE = lazy_regex(r"/windows/(?:winsxs|servicing|assembly/nativeimages[^/]*|softwaredistribution)/", re.IGNORECASE)
# of a Unix system, where the same endings name other things (terminfo's ansi.sys)
_UNIX = lazy_regex(r"^/(?:usr|lib|opt|snap|etc|var/lib)/")
_LARGEST = 1 << 29
_READ = 1 << 20


def parse(file: File) -> Iterator[Record]:
    where = decode_name(file_layer(file.path)).decode("utf-8", "surrogateescape")
    if file.size == 0:
        return
    if _STORE.search(where):
        yield Skip(0, file.size, "a copy in the component store")
        return
    try:
        found = header(file.pread, file.size)
        if found is None and _UNIX.search(where) and file.pread(0, 2) != b"MZ":
            yield Skip(0, file.size, "no Windows program; the ending means something else on this system")
            return
        if found is None:
            yield Gap(0, file.size, GapReason.NOT_THIS_FORMAT, "no header of a Windows program")
            return
        yield _event(file, found, printable(where))
    except OSError as error:
        yield Gap(0, file.size, GapReason.UNREADABLE, f"input/output error {error.errno}")


def _event(file: File, found: Program, where: str) -> Event:
    sha256, sha1 = _digests(file, found)
    state, told = _signature(file, found)
    said: dict[str, Value] = {
        "machine": MACHINES.get(found.machine, hex(found.machine)),
        "program_kind": "library" if found.library else SUBSYSTEMS.get(found.subsystem, str(found.subsystem)),
        "compiled": _compiled(found.compiled),
        "sections": " ".join(printable(s.name) for s in found.sections)[:400] or None,
        "authenticode_sha256": sha256,
        "authenticode_sha1": sha1,
        "signature": state,
    }
    when = None
    if told is not None:
        same = {"sha256": sha256, "sha1": sha1}.get(told.algorithm or "")
        when = _moment(told.signed)
        said |= {
            "signer": told.subject,
            "issuer": told.issuer,
            "chain": "\n".join(told.chain.names) if told.chain else None,
            "chain_state": told.chain.state if told.chain else None,
            "serial": told.serial,
            "signature_holds": told.holds,
            "certificate_departures": "; ".join(told.departures) or None,
            "time_text": told.signed if when is None else None,
            "digest_holds": None if same is None or told.digest is None else same == told.digest,
        }
    return Event(
        0, file.size, EventKind.STATE_PROGRAM, when, TimeBasis.NONE if when is None else TimeBasis.UTC, "signed" if when else "state",
        file_path=where, fields={k: v for k, v in said.items() if v is not None},
    )  # fmt: skip


def _compiled(seconds: int) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if seconds else None


def _moment(text: str | None) -> int | None:
    """A UTCTime as nanoseconds; its two-digit years are 1950 to 2049 (X.509)."""
    try:
        when = datetime.strptime(text or "", "%y%m%d%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
    if when.year >= 2050:
        when = when.replace(year=when.year - 100)
    return int(when.timestamp()) * 1_000_000_000


def _digests(file: File, found: Program) -> tuple[str | None, str | None]:
    """SHA-256 and SHA-1 as Authenticode takes them; None where the file is too large or ends before its stated size."""
    if file.size > _LARGEST:
        return None, None
    strong, weak = hashlib.sha256(), hashlib.sha1(usedforsecurity=False)
    for start, count in digested(found, file.size):
        for at in range(start, start + count, _READ):
            want = min(_READ, start + count - at)
            block = file.pread(at, want)
            if len(block) < want:
                return None, None
            strong.update(block)
            weak.update(block)
    if not found.certificates[0]:  # signing pads a file to 8 bytes, and so does who looks it up in a catalog
        strong.update(b"\0" * (-file.size % 8))
        weak.update(b"\0" * (-file.size % 8))
    return strong.hexdigest(), weak.hexdigest()


def _signature(file: File, found: Program) -> tuple[str, Signed | None]:
    """embedded, none or unreadable, and what the best of the signatures says."""
    if not found.certificates[0]:
        return "none", None
    best: Signed | None = None
    for raw in certificates(file.pread, found):
        try:
            told = signed(raw)
        except ValueError:
            continue
        if best is None or (told.algorithm == "sha256" and best.algorithm != "sha256"):
            best = told
    return ("embedded", best) if best is not None else ("unreadable", None)
