# SPDX-License-Identifier: Apache-2.0
"""What every procedure has at hand: the case, its ledger, who acts, and how progress is told."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from headwater import __version__
from headwater.case import folder as case_folder
from headwater.case.settings import CaseSettings, from_plain
from headwater.formats import compiled
from headwater.formats.canonical import digest
from headwater.formats.keys import Key
from headwater.model.custody import Evidence, Sealed, Verdict
from headwater.model.errors import UsageError
from headwater.model.nouns import Authority, Finding
from headwater.model.paths import decode_name, encode_name
from headwater.model.times import from_rfc3339
from headwater.procedure.installed import system, versions
from headwater.vault.ledger import Ledger

if TYPE_CHECKING:  # Polars is half a second of start-up, and imaging needs none of it
    from headwater.store.clocks import Clock
    from headwater.store.events import EventStore
    from headwater.vault.keys import Signer

TOOL = f"headwater {__version__}"
OPENED = "open-case"
REGISTERED = "register"
PLANNED = "plan"
SETTINGS = "settings"
AUTHORISED = "authorise"
WALKED = "list"
EXAMINED = "examine"
DETECTED = "detect"
REREAD = "read-again"
REPORTED = "report"
VERIFIED = "verify"

_LIBRARIES = (
    "polars", "duckdb", "pytsk3", "isal", "cryptography", "pysigma", "typst", "numpy", "zstandard",
    "tzdata", "libbde-python", "libvshadow-python", "orjson", "tree-sitter", "tree-sitter-php", "yara-x",
    "argon2-cffi", "ahocorasick-rs", "asyncssh",
)  # fmt: skip


def encode_argument(word: str) -> str:
    """A word of the command line as text that the ledger can hold: bytes that are no UTF-8 percent-encoded."""
    try:
        word.encode("utf-8")
    except UnicodeEncodeError:
        return encode_name(os.fsencode(word))
    return word


class Progress(Protocol):
    """Told of long work: the stage's name, how much is done of how much, and in what unit (``bytes`` or a noun)."""

    def __call__(self, stage: str, done: int, total: int | None, unit: str) -> None: ...


def silent(stage: str, done: int, total: int | None, unit: str) -> None:
    """A progress that says nothing."""


def unheard(findings: Sequence[Finding]) -> None:
    """News that nobody asked for."""


def utc_now() -> str:
    """The time of the machine's clock as RFC 3339 with nanoseconds; the ledger alone records it."""
    now = datetime.now(UTC)
    return f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond:06d}000Z"


def environment() -> dict[str, str]:
    """The machine and the libraries that touch evidence, for a custody entry."""
    return _machine() | {"scanner": compiled.which()}


@cache
def _machine() -> dict[str, str]:
    found = {"python": platform.python_version(), "system": system(), "machine": platform.machine()}
    return found | versions(_LIBRARIES)


@dataclass(slots=True)
class Corridor:
    """One case at work. ``command`` is what the person typed, recorded with each act."""

    case: Path
    ledger: Ledger
    settings: CaseSettings
    actors: tuple[str, ...]
    command: tuple[str, ...] = field(default_factory=lambda: tuple(sys.argv))
    progress: Progress = silent
    keys: tuple[Key, ...] = ()  # of encrypted volumes; the ledger knows their labels alone
    news: Callable[[Sequence[Finding]], None] = unheard  # told what is seen before the work is done
    store: EventStore | None = field(default=None, repr=False, compare=False)  # see store_of
    signer: Signer | None = None  # whoever acts, by their own key; None: the case's key signs

    def record(
        self,
        action: str,
        *,
        evidence: Sequence[int] = (),
        materials: Mapping[str, str] | None = None,
        products: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        note: Mapping[str, Any] | None = None,
    ) -> Sealed:
        """Add an entry to the ledger in the name of the people at work, signed by whoever of them acts."""
        return self.ledger.append(
            action,
            time=utc_now(),
            actors=self.actors,
            tool=TOOL,
            command=[encode_argument(word) for word in self.command],
            evidence=evidence,
            materials=materials,
            products=products,
            environment=environment,
            note=note,
            signer=self.signer,
        )


def evidence_of(ledger: Ledger) -> list[Evidence]:
    """What the ledger says is held, in order of number."""
    found = []
    for sealed in ledger.entries():
        if sealed.entry.action == REGISTERED:
            raw = dict(sealed.entry.note["evidence"])
            raw["files"] = tuple((f[0], int(f[1]), f[2]) for f in raw["files"])
            raw["verdicts"] = tuple(Verdict(**v) for v in raw["verdicts"])
            raw["size"] = int(raw["size"])
            found.append(Evidence(**raw))
    return sorted(found, key=lambda e: e.number)


def settings_of(ledger: Ledger) -> CaseSettings:
    """The settings as the ledger last recorded them: what the case's results rest on, whatever the case file says now.

    Raises:
        UsageError: HW0002, the ledger opens no case.
    """
    found = None
    for sealed in ledger.entries():
        if sealed.entry.action in {OPENED, SETTINGS}:
            found = sealed.entry.note["settings"]
    if found is None:
        raise UsageError("HW0002", str(ledger.path.parent))
    return from_plain(found)


def source_of(item: Evidence) -> Path:
    """Where an item of evidence lies; the ledger holds the path percent-encoded, since a path is bytes."""
    return Path(os.fsdecode(decode_name(item.source_path)))


def bad_ranges(ledger: Ledger, number: int) -> list[list[Any]]:
    """[offset, length, reason, detail] of what could not be read of a medium when it was registered."""
    for sealed in ledger.entries():
        if sealed.entry.action == REGISTERED and number in sealed.entry.evidence:
            return list(sealed.entry.note.get("bad", []))
    return []


def authority_of(ledger: Ledger) -> Authority:
    """The authority last recorded.

    Raises:
        UsageError: HW0002, the ledger opens no case.
    """
    found = None
    for sealed in ledger.entries():
        if sealed.entry.action in {OPENED, AUTHORISED}:
            found = Authority(**sealed.entry.note["authority"])
    if found is None:
        raise UsageError("HW0002", str(ledger.path.parent))
    return found


def facts_of(ledger: Ledger, number: int) -> dict[str, dict[str, str]]:
    """What the system on one item says of itself (host name, zone), per view, as the walk found it."""
    found: dict[str, dict[str, str]] = {}
    for sealed in ledger.entries():
        if sealed.entry.action == WALKED and number in sealed.entry.evidence:
            found = dict(sealed.entry.note["facts"])
    return found


def listed_context(ledger: Ledger, number: int) -> str:
    """The digest of the small texts that the listing of an item took for its parsers."""
    found = digest([])
    for sealed in ledger.entries():
        if sealed.entry.action == WALKED and number in sealed.entry.evidence:
            found = str(sealed.entry.note.get("context", found))
    return found


def zone_for(settings: CaseSettings, number: int, facts: Mapping[str, Mapping[str, str]]) -> tuple[str, str]:
    """The zone of one item's wall clocks, and where the assumption comes from."""
    if str(number) in settings.zones:
        return settings.zones[str(number)], "case file"
    if settings.zone:
        return settings.zone, "--zone"
    for view, said in facts.items():
        for key, where in (("timezone", "/etc/timezone"), ("localtime", "/etc/localtime")):
            zone = said.get(key)
            if key == "timezone" and said.get("windows_zone"):
                where = "/Windows/System32/config/SYSTEM"
            if zone and _known(zone):
                return zone, f"{view + '!' if view else ''}{where}"
    return "UTC", "nothing says otherwise"


def container_words(said: Mapping[str, str]) -> str:
    """A container's name and the beginning of its id, as its engine has them."""
    return f"{said.get('container_name') or said.get('container_image', '')} ({said['container_engine']} {said['container'][:12]})"


def container_zone(said: Mapping[str, str], given: Mapping[str, str]) -> tuple[str, str]:
    """The zone of a container's wall clocks, and where that comes from; without a word of its own it runs in UTC.

    ``given``: the case file's zones by clock, which go before what the container says.
    """
    if given.get(said.get("clock", "")):
        return given[said["clock"]], "case file"
    zone = said.get("container_zone", "")
    if zone and _known(zone):
        return zone, said.get("container_zone_from", "")
    return "UTC", "a container without a zone of its own"


def _known(zone: str) -> bool:
    from headwater.case.settings import check_zone
    from headwater.model.errors import HeadwaterError

    try:
        check_zone(zone)
    except HeadwaterError:
        return False
    return True


def store_of(corridor: Corridor) -> EventStore:
    """The event store of the case under its clock assumptions; the same one as long as neither they nor its parts change."""
    from headwater.store.events import EventStore

    clocks = clocks_of(corridor)
    if corridor.store is None or not corridor.store.stands(clocks):
        corridor.store = EventStore(corridor.case, clocks)
    return corridor.store


def clocks_of(corridor: Corridor) -> dict[str, Clock]:
    """One clock per item of evidence, named by its number, and one for each container on it."""
    from headwater.store.clocks import Clock

    clocks = {}
    for item in evidence_of(corridor.ledger):
        facts = facts_of(corridor.ledger, item.number)
        zone, _ = zone_for(corridor.settings, item.number, facts)
        skew = int(corridor.settings.skews_ns.get(str(item.number), 0))
        clocks[str(item.number)] = Clock(zone, skew)
        for said in facts.values():
            if "container" in said:  # it runs by its host's clock, in a zone of its own
                clocks[said["clock"]] = Clock(container_zone(said, corridor.settings.zones)[0], skew)
    return clocks


def issued_ns(sealed: Sealed) -> int:
    """The time of an entry in nanoseconds."""
    return from_rfc3339(sealed.entry.time)


def open_case(case: Path, command: Sequence[str] = (), progress: Progress = silent) -> Corridor:
    """An existing case for a verb that reads it; the caller closes ``ledger``.

    Raises:
        UsageError: HW0002, it is none.
        IntegrityError: HW3002, its ledger does not verify.
    """
    case_folder.require(case)
    ledger = Ledger(case)
    ledger.check()
    first = next(ledger.entries())
    corridor = Corridor(case, ledger, settings_of(ledger), tuple(first.entry.actors), tuple(command), progress)
    authority_of(ledger)
    evidence_of(ledger)
    return corridor
