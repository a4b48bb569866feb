# SPDX-License-Identifier: Apache-2.0
"""Programs, files and drivers that the inventory of applications found, with their SHA-1 (windows.amcache).

Reads:  Amcache.hve: InventoryApplicationFile, InventoryApplication, InventoryDriverBinary, InventoryApplicationShortcut; File, Programs.
Time:   last write of the entry's key, UTC; in the old form the file's own times as well; link date of the program in link_date.
Format: https://github.com/libyal/dtformats, https://cyber.gouv.fr/publications/analysis-amcache
Limits: an entry means that the file was there when the inventory ran, not that it ran; the SHA-1 is of its first 31,457,280 bytes.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.artifacts._telling import SECOND, filetime, tell, under
from headwater.examine.hive_place import Place
from headwater.formats.registry_hive import Hive, Key
from headwater.model.kinds import EventKind
from headwater.model.records import Event

FEED = "windows.amcache"
VERSION = 1
HIVES = ("amcache",)


def read(hive: Hive, place: Place) -> Iterator[Event]:
    """One event per file, program, driver and shortcut; the old form has several times per file."""
    for key in under(hive.root, "Root\\InventoryApplicationFile"):
        yield tell(
            place, key, key, EventKind.EXECUTION_TRACE, key.written, t_kind="inventoried", file_path=key.text("LowerCaseLongPath"),
            hash=_sha1(key.text("FileId")), trace="amcache", name=key.text("Name"), publisher=key.text("Publisher"),
            product=key.text("ProductName"), version=key.text("Version"), link_date=key.text("LinkDate"), size=_size(key),
            program_id=key.text("ProgramId"), binary_type=key.text("BinaryType"),
        )  # fmt: skip
    for key in under(hive.root, "Root\\InventoryApplication"):
        yield tell(
            place, key, key, EventKind.PACKAGE_STATUS, key.written, t_kind="inventoried", package=key.text("Name"),
            version=key.text("Version"), publisher=key.text("Publisher"), installed=key.text("InstallDate") or None,
            file_path=key.text("RootDirPath") or None, source_=key.text("Source"), uninstall=key.text("UninstallString"),
        )  # fmt: skip
    for key in under(hive.root, "Root\\InventoryDriverBinary"):
        path = key.name.replace("/", "\\")  # in the first releases the name was the digest
        yield tell(
            place, key, key, EventKind.EXECUTION_TRACE, key.written, t_kind="inventoried", file_path=path if "\\" in path else None,
            hash=_sha1(key.text("DriverId")) or _sha1(key.name), trace="amcache-driver",
            name=key.text("DriverName"), publisher=key.text("DriverCompany"),
            signed=key.number("DriverSigned"), service=key.text("Service"),
        )  # fmt: skip
    for key in under(hive.root, "Root\\InventoryApplicationShortcut"):
        yield tell(
            place, key, key, EventKind.EXECUTION_TRACE, key.written, t_kind="inventoried", file_path=key.text("ShortcutPath"),
            trace="amcache-shortcut", target=key.text("ShortcutTargetPath"),
        )  # fmt: skip
    for volume in under(hive.root, "Root\\File"):
        for key in volume.subkeys():
            yield from _file(key, place, volume.name)
    for key in under(hive.root, "Root\\Programs"):
        seconds = key.number("a")
        yield tell(
            place, key, key, EventKind.PACKAGE_STATUS, seconds * SECOND if seconds else key.written,
            t_kind="installed" if seconds else "inventoried", package=key.text("0"), version=key.text("1"), publisher=key.text("2"),
            uninstall=key.text("7"),
        )  # fmt: skip


def _sha1(text: str | None) -> str | None:
    """The SHA-1 behind four zeros."""
    return text[4:].lower() if text and len(text) == 44 and text.startswith("0000") else None


def _size(key: Key) -> int | None:
    value = key.value("Size")
    if value is None:
        return None
    if value.number is not None:
        return value.number if value.number < 1 << 63 else None
    text = value.text or ""
    try:
        size = int(text, 0)
    except ValueError:
        return None
    return size if 0 <= size < 1 << 63 else None


def _file(key: Key, place: Place, volume: str) -> Iterator[Event]:
    """An entry of the old form: its values have numbers for names."""
    said = {
        "file_path": key.text("15"), "hash": _sha1(key.text("101")), "trace": "amcache", "product": key.text("0"),
        "publisher": key.text("1"), "version": key.text("5"), "size": key.number("6"), "volume": volume,
        "program_id": key.text("100"),
    }  # fmt: skip
    linked = key.number("f")
    yield tell(
        place, key, key, EventKind.EXECUTION_TRACE, key.written, t_kind="inventoried", link_seconds=linked, **said
    )
    for name, kind in (("11", "file-modified"), ("12", "file-created"), ("17", "file-modified-2")):
        value = key.value(name)
        number = value.number if value is not None else None
        time = filetime(number.to_bytes(8, "little")) if number is not None else None
        if value is not None and time is not None:
            yield tell(place, value, key, EventKind.EXECUTION_TRACE, time, t_kind=kind, **said)
