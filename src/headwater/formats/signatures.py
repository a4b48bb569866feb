# SPDX-License-Identifier: Apache-2.0
"""What a file is by its first bytes, and what its name's ending leads one to expect.

Signatures are those of the formats' own specifications and of file(1)'s published list; only formats that matter to an
examiner are here. ``text`` and ``data`` are what is left: bytes that are UTF-8 without controls, and all others.
"""

from __future__ import annotations

import re

from headwater.formats.patterns import lazy_regex

HEAD = 4096  # bytes that :func:`type_of` looks at

_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x7fELF", "elf"), (0, b"MZ", "pe"), (0, b"#!", "script"), (0, b"\xca\xfe\xba\xbe", "java-class"),
    (0, b"\xfe\xed\xfa\xcf", "mach-o"), (0, b"\xcf\xfa\xed\xfe", "mach-o"), (0, b"\0asm", "wasm"),
    (0, b"PK\x03\x04", "zip"), (0, b"PK\x05\x06", "zip"), (0, b"\x1f\x8b", "gzip"), (0, b"BZh", "bzip2"),
    (0, b"\xfd7zXZ\0", "xz"), (0, b"\x28\xb5\x2f\xfd", "zstd"), (0, b"\x04\x22\x4d\x18", "lz4"),
    (0, b"7z\xbc\xaf\x27\x1c", "7z"), (0, b"Rar!\x1a\x07", "rar"), (257, b"ustar", "tar"), (0, b"!<arch>\n", "ar"),
    (0, b"\xed\xab\xee\xdb", "rpm"), (0, b"MSCF", "cab"), (0, b"070701", "cpio"), (0, b"hsqs", "squashfs"),
    (0, b"%PDF-", "pdf"), (0, b"\x89PNG\r\n\x1a\n", "png"), (0, b"\xff\xd8\xff", "jpeg"), (0, b"GIF87a", "gif"),
    (0, b"GIF89a", "gif"), (0, b"BM", "bmp"), (0, b"II*\0", "tiff"), (0, b"MM\0*", "tiff"), (0, b"\0\0\1\0", "ico"),
    (8, b"WEBP", "webp"), (4, b"ftyp", "mp4"), (0, b"OggS", "ogg"), (0, b"ID3", "mp3"), (0, b"fLaC", "flac"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "ole"), (0, b"{\\rtf", "rtf"), (0, b"SQLite format 3\0", "sqlite"),
    (0, b"ElfFile\0", "evtx"), (0, b"regf", "hive"), (0, b"LPKSHHRH", "journal"), (0, b"\xd4\xc3\xb2\xa1", "pcap"),
    (0, b"\xa1\xb2\xc3\xd4", "pcap"), (0, b"\x0a\x0d\x0d\x0a", "pcapng"), (0, b"KDMV", "vmdk"), (0, b"QFI\xfb", "qcow2"),
    (0, b"EVF\t\r\n\xff\0", "ewf"), (0, b"-----BEGIN ", "pem"), (0, b"\x85\x01", "pgp"), (0, b"age-encryption.org/", "age"),
    (0, b"LUKS\xba\xbe", "luks"), (0, b"Salted__", "openssl-enc"), (0, b"\x4c\0\0\0\1\x14\2\0", "lnk"),
    (0, b"MAM\4", "prefetch"), (4, b"SCCA", "prefetch"), (0, b"\x80\2", "pickle"), (0, b"<?php", "php"),
)  # fmt: skip
_BY_FIRST: dict[int, list[tuple[int, bytes, str]]] = {
    byte: [each for each in _SIGNATURES if each[0] or each[1][0] == byte] for byte in range(256)
}
_SHORT = {"BM", "MZ", "\x80\2", "\x85\x01"}  # two bytes prove little: believed only where the rest is no text
_MARKUP = lazy_regex(rb"\s*(?:<!doctype html|<html|<\?xml|<svg)", re.IGNORECASE)
_CONTROLS = bytes(b for b in range(32) if b not in b"\t\n\v\f\r\x1b\b\x1d")  # audit logs part with 0x1d

# endings whose content has one form; what is not named here may hold anything
EXPECTED: dict[str, frozenset[str]] = {
    ending: frozenset(kinds.split())
    for endings, kinds in (
        ("jpg jpeg jpe", "jpeg"), ("png", "png"), ("gif", "gif"), ("bmp", "bmp"), ("ico", "ico png bmp"), ("webp", "webp"),
        ("tif tiff", "tiff"), ("pdf", "pdf"), ("zip jar war ear apk docx xlsx pptx odt whl", "zip"), ("gz tgz", "gzip"),
        ("bz2", "bzip2"), ("xz", "xz"), ("zst", "zstd"), ("7z", "7z"), ("rar", "rar"), ("tar", "tar"), ("rpm", "rpm"),
        ("deb", "ar"), ("so", "elf text script"), ("ko", "elf"), ("exe dll sys", "pe"), ("mp3", "mp3"), ("mp4 m4a mov", "mp4"),
        ("ogg", "ogg"), ("sqlite sqlite3", "sqlite"), ("pcap", "pcap pcapng"), ("evtx", "evtx"), ("doc xls ppt msi", "ole zip rtf"),
        ("txt log md csv conf cfg ini json yml yaml css html htm svg", "text html xml script php pem rtf"),
    )
    for ending in endings.split()
}  # fmt: skip


def type_of(head: bytes) -> str:
    """The type of a file that begins with these bytes (at least :data:`HEAD`, or all of it); never an error."""
    if not head:
        return "empty"
    if not head.strip(b"\0"):
        return "zeros"
    text = _is_text(head)
    for offset, magic, name in _BY_FIRST[head[0]]:
        if head.startswith(magic, offset) and not (text and magic.decode("latin-1") in _SHORT):
            return name
    if not text:
        return "data"
    if match := _MARKUP.match(head):
        return "xml" if b"<?xml" in match.group().lower() or b"<svg" in match.group().lower() else "html"
    return "text"


def _is_text(head: bytes) -> bool:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):  # UTF-16 with its mark
        return b"\0\0" not in head[:64]
    if head.translate(None, _CONTROLS) != head:
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        # a character cut by the end of the head is no fault; old Chinese text (GB 18030) is text as well
        return error.start >= len(head) - 3 or _is_gb18030(head)
    return True


def _is_gb18030(head: bytes) -> bool:
    for cut in range(4):
        try:
            head[: len(head) - cut].decode("gb18030")
        except UnicodeDecodeError:
            continue
        ascii_share = sum(b < 0x80 for b in head) / len(head)
        return ascii_share > 0.2  # random bytes rarely decode at all
    return False


def disguised(name: str, found: str) -> bool:
    """Whether a file's type is not one that its name's ending promises; False where the ending promises nothing."""
    stem, dot, ending = name.rpartition(".")
    expected = EXPECTED.get(ending.lower()) if dot and stem else None
    return expected is not None and found not in expected and found not in ("empty", "zeros")
