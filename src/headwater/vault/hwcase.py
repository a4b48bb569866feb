# SPDX-License-Identifier: Apache-2.0
"""An exported case (``.hwcase``): how it is written, and how a stranger checks it with nothing but this and cryptography.

A ZIP with fixed order, times and modes: the same case gives the same bytes. It is checked in this order:

1. The archive: plain names, no name twice, bounded sizes.
2. The manifest: signed by the case's key; every file there with its size and SHA-256, and no other.
3. The ledger: chain, signatures, checkpoints (``trail``); the last checkpoint covers every entry. An entry may be kept
   back: its hash and leaf hold its place.
4. Anchors: tokens and receipts verified, and the ledger held against them.
5. Contents: results, items and statements against what the ledger says of them.

This module and what it imports need the standard library and ``cryptography`` alone: the stand-alone verifier is made
of them. https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

from headwater.formats.canonical import canonical
from headwater.model.errors import HeadwaterError
from headwater.vault import anchors, statements, trail
from headwater.vault.keys import Signer, verifies
from headwater.vault.trail import Redacted, Row

FORMAT = "headwater case export v1"
DOMAIN = b"headwater export v1\x00"
MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
ENTRIES, CHECKPOINTS = "ledger/entries.jsonl", "ledger/checkpoints.jsonl"
_LOCAL_LEAST = 30  # bytes of a local file header without its name; PKWARE's APPNOTE.TXT 4.3.7
_NAMES_MOST, _TEXT_MOST = 1_000_000, 4 << 30
_WHEN = (1980, 1, 1, 0, 0, 0)
_SEALING = ("examine", "detect", "report", "export")  # the newest entry of each vouches for the files it names


@dataclass(frozen=True, slots=True)
class Finding:
    """One comparison: ``ok``, ``failed`` or ``not-claimable``; ``zh`` is its detail in Chinese, empty where it has no words."""

    what: str
    result: str
    detail: str = ""
    zh: str = ""

    @property
    def name(self) -> str:
        """What was compared, in Chinese: the first word translated, the rest (names of files) as it is."""
        first, _, rest = self.what.partition(" ")
        return f"{NAMES.get(first, first)} {rest}".strip()


NAMES = {
    "manifest": "清单", "files": "文件", "file": "文件", "ledger": "台账", "checkpoint": "检查点", "anchors": "锚定",
    "anchor": "锚定", "contents": "内容", "content": "内容", "statements": "提取陈述", "statement": "提取陈述",
    "export": "案件包", "clock": "台账时钟",
}  # fmt: skip


def line_of(row: Row | Redacted) -> bytes:
    """One entry as a line of the export."""
    if isinstance(row, Redacted):
        return canonical({"leaf": row.leaf.hex(), "hash": row.hash, "signature": row.signature.hex()}) + b"\n"
    return canonical({"body": row[0].decode(), "hash": row[1], "signature": row[2].hex()}) + b"\n"


def checkpoint_line(body: bytes, signature: bytes) -> bytes:
    """One checkpoint as a line of the export."""
    return canonical({"body": body.decode(), "signature": signature.hex()}) + b"\n"


def measure(content: bytes | Path) -> tuple[str, int]:
    """SHA-256 and size of what goes into an export: bytes, or a file, which is read in blocks."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest(), len(content)
    with open(content, "rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest(), source.tell()


def write(target: BinaryIO, files: Mapping[str, bytes | Path], about: Mapping[str, Any], signer: Signer) -> str:
    """Write an export of these files; ``about`` goes into the manifest. Returns the manifest's SHA-256.

    The same files, words and key give the same bytes.
    """
    listed = {}
    for name, content in sorted(files.items()):
        sha256, size = measure(content)
        listed[name] = {"sha256": sha256, "size": size}
    manifest = canonical({"format": FORMAT, "public_key": signer.public, "about": dict(about), "files": listed})
    signature = signer.sign(DOMAIN + manifest).hex().encode()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as book:
        for name, data in ((MANIFEST, manifest), (SIGNATURE, signature), *sorted(files.items())):
            info = zipfile.ZipInfo(name, _WHEN)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system, info.external_attr = 3, 0o100644 << 16
            if isinstance(data, bytes):
                book.writestr(info, data)
                continue
            info.file_size = data.stat().st_size
            with open(data, "rb") as source, book.open(info, "w") as held:
                shutil.copyfileobj(source, held, 1 << 20)
    return hashlib.sha256(manifest).hexdigest()


class Export:
    """An export open for reading; use as a context manager."""

    def __init__(self, source: BinaryIO) -> None:
        self._book = zipfile.ZipFile(source)
        infos = self._book.infolist()
        names = [i.filename for i in infos]
        if len(names) > _NAMES_MOST or len(set(names)) != len(names):
            raise ValueError("too many names, or one twice")
        for name in names:
            if name.startswith("/") or "\\" in name or "\x00" in name or ".." in name.split("/") or not name:
                raise ValueError(f"a name that leads elsewhere: {name!r}")
        placed = sorted(infos, key=lambda info: info.header_offset)
        for one, following in pairwise(placed):  # one content under many names would be unpacked once for each
            if one.header_offset + _LOCAL_LEAST + one.compress_size > following.header_offset:
                raise ValueError(f"{following.filename!r} lies within {one.filename!r}")
        self.sizes = {i.filename: i.file_size for i in infos}

    def __enter__(self) -> Export:
        return self

    def __exit__(self, *_: object) -> None:
        self._book.close()

    def data(self, name: str, most: int = 256 << 20) -> bytes:
        """A whole file of the export, no larger than ``most`` whatever it declares."""
        with self._book.open(name) as handle:
            data = handle.read(most + 1)
        if len(data) > most:
            raise ValueError(f"{name} is larger than {most} bytes")
        return data

    def digest(self, name: str, declared: int) -> str:
        """SHA-256 of a file, read in blocks; reading stops past its declared size."""
        found, total = hashlib.sha256(), 0
        with self._book.open(name) as handle:
            while block := handle.read(1 << 20):
                total += len(block)
                if total > declared:
                    return "longer than declared"
                found.update(block)
        return found.hexdigest() if total == declared else "shorter than declared"

    def lines(self, name: str) -> Iterator[dict[str, Any]]:
        """The objects of a file of JSON lines."""
        with self._book.open(name) as handle:
            while line := handle.readline(trail.BODY_MOST * 2):
                raw = json.loads(line)
                if not isinstance(raw, dict):
                    raise ValueError(f"{name}: not an object")
                yield raw


def check(source: BinaryIO, given: Sequence[anchors.Anchor] = ()) -> list[Finding]:
    """Check an export; ``given`` are anchors kept outside. Never raises for what the file holds.

    Every fault is a row that failed; a file that is no export at all gives one failed row.
    """
    try:
        with Export(source) as export:
            return list(_checked(export, given))
    except (
        Exception
    ) as error:  # zip, zlib, DER and JSON each raise their own; what a stranger's file provokes is a verdict
        why = f"{type(error).__name__}: {error}"[:300]
        return [Finding("export", "failed", why, f"无法作为案件包读取：{why}")]


def _checked(export: Export, given: Sequence[anchors.Anchor]) -> Iterator[Finding]:
    data = export.data(MANIFEST)
    manifest = json.loads(data)
    public = str(manifest["public_key"])
    signature = bytes.fromhex(export.data(SIGNATURE, 4096).decode("ascii"))
    if manifest["format"] != FORMAT or canonical(manifest) != data:
        raise ValueError("not a manifest of this format")
    good = verifies(public, signature, DOMAIN + data)
    yield Finding(
        "manifest",
        "ok" if good else "failed",
        "" if good else "its signature does not verify",
        "" if good else "签名不符",
    )
    yield from _files(export, manifest)
    points = [(str(r["body"]).encode(), bytes.fromhex(r["signature"])) for r in export.lines(CHECKPOINTS)]
    try:
        found = trail.check(_rows(export), points)
    except HeadwaterError as error:
        yield Finding("ledger", "failed", error.text("en"), error.text("zh"))
        return
    kept_back = sum(isinstance(r, Redacted) for r in _rows(export))
    words = f"{found.entries} entries ({kept_back} kept back), head {found.head}, Merkle root {found.root}"
    zh = f"{found.entries} 条（{kept_back} 条只留哈希），末条哈希 {found.head}，默克尔根 {found.root}"
    yield Finding("ledger", "ok", words, zh)
    if found.public != public:
        yield Finding("manifest", "failed", "signed by another key than the ledger's", "签名密钥与台账的不同")
    last = max((trail.checkpoint(*p).size for p in points), default=0)
    if last != found.entries:
        yield Finding(
            "checkpoint",
            "failed",
            f"the last covers {last} of {found.entries} entries",
            f"末个检查点只覆盖 {found.entries} 条中的 {last} 条",
        )
    for remark in found.remarks:
        yield Finding("clock of the ledger", "not-claimable", remark.en, remark.zh)
    yield from _anchors(export, public, given)
    yield from _contents(export, manifest)
    yield from _statements(export, public)


def _rows(export: Export) -> Iterator[Row | Redacted]:
    """The entries, read anew each time: a ledger of a million need not fit into memory."""
    return (_row(raw) for raw in export.lines(ENTRIES))


def _row(raw: Mapping[str, Any]) -> Row | Redacted:
    digest, signature = str(raw["hash"]), bytes.fromhex(raw["signature"])
    if len(bytes.fromhex(digest)) != 32:
        raise ValueError("not a hash")
    if "leaf" in raw:
        return Redacted(bytes.fromhex(raw["leaf"]), digest, signature)
    return str(raw["body"]).encode(), digest, signature


def _files(export: Export, manifest: Mapping[str, Any]) -> Iterator[Finding]:
    listed = dict(manifest["files"])
    bad = 0
    for name in sorted(set(listed) | (set(export.sizes) - {MANIFEST, SIGNATURE})):
        if name not in listed or name not in export.sizes:
            bad += 1
            yield Finding(
                f"file {name}",
                "failed",
                *(("missing", "缺失") if name in listed else ("not in the manifest", "清单中没有")),
            )
            continue
        found = export.digest(name, int(listed[name]["size"]))
        if found != listed[name]["sha256"]:
            bad += 1
            yield Finding(
                f"file {name}",
                "failed",
                f"listed {listed[name]['sha256']}, found {found}",
                f"清单记 {listed[name]['sha256']}，实为 {found}",
            )
    if not bad:
        yield Finding("files", "ok", f"{len(listed)} files match the manifest", f"{len(listed)} 个文件与清单相符")


def _anchors(export: Export, public: str, given: Sequence[anchors.Anchor]) -> Iterator[Finding]:
    held = list(given)
    for name in sorted(n for n in export.sizes if n.startswith("anchors/") and n.endswith(".json")):
        try:
            held.append(anchors.read(export.data(name, 4 << 20), name, public))
        except HeadwaterError as error:
            yield Finding(f"anchor {name}", "failed", error.text("en"), error.text("zh"))
    for verdict in anchors.compare(_rows(export), held):
        name = (verdict.anchor.name or verdict.anchor.kind) if verdict.anchor else "clock"
        yield Finding(
            f"anchor {name}", "ok" if verdict.result == "match" else "failed", verdict.words.en, verdict.words.zh
        )
    if not held:
        yield Finding("anchors", "not-claimable", "nobody outside attests this ledger", "案外无人为此台账作证")


def _contents(export: Export, manifest: Mapping[str, Any]) -> Iterator[Finding]:
    """What the ledger says of files that are here: results by their sealing entry, items by their digest."""
    listed = {n: str(f["sha256"]) for n, f in dict(manifest["files"]).items()}
    sealed: dict[str, dict[str, str]] = {}
    items: dict[str, str] = {}
    for row in _rows(export):
        if isinstance(row, Redacted):
            continue
        raw = json.loads(row[0])
        if raw["action"] in _SEALING:
            sealed[raw["action"]] = {n: d for n, d in raw["products"].items() if n != "parts"}
        if raw["action"] in {"add-item", "anchor"}:
            items.update(raw["products"])
    for name in sorted(set(sealed.get("export", {})) - set(listed)):
        yield Finding(
            f"content {name}",
            "failed",
            "the export's own entry names it, and it is missing",
            "导出条目列有此项，而包中没有",
        )
    wanted = {n: d for group in sealed.values() for n, d in group.items()} | items
    bad = matched = 0
    for name, digest in sorted(wanted.items()):
        if name in listed:
            matched += 1
            if listed[name] != digest:
                bad += 1
                yield Finding(
                    f"content {name}",
                    "failed",
                    f"the ledger says {digest}, here is {listed[name]}",
                    f"台账记 {digest}，此处为 {listed[name]}",
                )
    for name in sorted(n for n in listed if n.startswith(("objects/", "report/")) and n not in wanted):
        bad += 1
        yield Finding(f"content {name}", "failed", "the ledger does not know it", "台账中没有")
    if not bad:
        yield Finding(
            "contents",
            "ok",
            f"{matched} files are what the ledger says; {len(wanted) - matched} not included",
            f"{matched} 个文件与台账所记相符；{len(wanted) - matched} 个未随包",
        )


def _statements(export: Export, public: str) -> Iterator[Finding]:
    names = sorted(n for n in export.sizes if n.startswith("statements/"))
    hashes = {r.hash if isinstance(r, Redacted) else r[1] for r in _rows(export)} if names else set()
    bad = 0
    for name in names:
        try:
            said = statements.opened(export.data(name, 64 << 20), public)
            if said["predicate"]["byproducts"]["ledger_entry"] not in hashes:
                raise ValueError("its ledger entry is not here")
        except (ValueError, KeyError, TypeError) as error:
            bad += 1
            yield Finding(f"statement {name}", "failed", str(error), f"陈述核验不符：{error}")
    if names and not bad:
        yield Finding("statements", "ok", f"{len(names)} statements verify", f"{len(names)} 份陈述核验相符")


def check_bytes(data: bytes, given: Sequence[anchors.Anchor] = ()) -> list[Finding]:
    """As :func:`check`, of an export in memory."""
    return check(io.BytesIO(data), given)


def verdict(rows: Sequence[Finding]) -> str:
    """``ok``, ``failed``, or ``not-claimable`` where nothing failed but not everything can be claimed."""
    results = {r.result for r in rows}
    return "failed" if "failed" in results else "not-claimable" if "not-claimable" in results else "ok"
