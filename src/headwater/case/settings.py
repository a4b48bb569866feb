# SPDX-License-Identifier: Apache-2.0
"""The case file ``case.json``: assumptions that a person may change, each with where it comes from.

Changing it rewrites no event: ``ts`` is computed when events are read. A changed year re-reads the files concerned.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from headwater.formats.atomic import write_atomic
from headwater.model.errors import UsageError
from headwater.model.times import from_rfc3339

NAME = "case.json"


@dataclass(frozen=True, slots=True)
class CaseSettings:
    """What a person may assume of a case.

    ``zone``: the examiner's word for every source; empty means what the source itself says, else UTC.
    ``zones``: the same per source number, above ``zone``.
    ``skews_ns``: per source number, how many nanoseconds its clock was ahead of the reference.
    ``years``: per path, the year of the last line of a log that states none.
    ``trusted_proxies``: addresses or networks whose X-Forwarded-For is believed.
    ``usual_hours``: local hours, from and to, in which a login is not unusual.
    ``language``: of the report, ``zh``, ``en`` or ``both``.
    ``rules``: folders of Sigma rules. ``yara``: files and folders of YARA rules, whose texts the case keeps;
    ``yara_unallocated``: they are looked for in unallocated space as well.
    ``no_carving``: unallocated space is not searched for files without a name.
    ``purpose``: the purpose of the evidence, for the register.
    ``case_no``, ``case_name``, ``cause``, ``client``, ``requirement``, ``place``: for the head of the report; an empty
    one is printed as not recorded. ``case_name``, ``cause`` (案由), ``client`` (委托单位), ``requirement`` (检验要求) and
    ``place`` are the examiner's own words.
    ``method_standard``: the standard that the examination follows.
    ``baseline_time`` (RFC 3339) and ``baseline_source``: the moment of seizure or first control, and how it is known.
    """

    zone: str = ""
    zones: Mapping[str, str] = field(default_factory=dict)
    skews_ns: Mapping[str, int] = field(default_factory=dict)
    years: Mapping[str, int] = field(default_factory=dict)
    trusted_proxies: tuple[str, ...] = ()
    usual_hours: tuple[int, int] = (7, 22)
    language: str = "both"
    rules: tuple[str, ...] = ()
    yara: tuple[str, ...] = ()
    yara_unallocated: bool = False
    no_carving: bool = False
    purpose: str = ""
    case_no: str = ""
    case_name: str = ""
    cause: str = ""
    client: str = ""
    requirement: str = ""
    place: str = ""
    method_standard: str = ""
    baseline_time: str = ""
    baseline_source: str = ""

    def save(self, case: Path) -> str:
        """Write the case file; returns its SHA-256."""
        text = json.dumps(asdict(self), ensure_ascii=False, indent=2, sort_keys=True) + "\n"
        return write_atomic(case / NAME, text.encode())


def from_plain(raw: Mapping[str, Any]) -> CaseSettings:
    """The settings behind their JSON; unknown names are passed over.

    Raises:
        TypeError, ValueError: a value of the wrong kind.
    """
    known = {k: v for k, v in raw.items() if k in CaseSettings.__dataclass_fields__}
    for name in ("trusted_proxies", "usual_hours", "rules", "yara"):
        if name in known:
            known[name] = tuple(known[name])
    return CaseSettings(**known)


def check_zone(zone: str) -> str:
    """The zone itself, if it exists.

    Raises:
        UsageError: HW1004 where it does not.
    """
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UsageError("HW1004", what=zone) from error
    return zone


def check_instant(text: str) -> str:
    """The text itself, if it is an RFC 3339 time with its offset.

    Raises:
        UsageError: HW0001 where it is not.
    """
    try:
        from_rfc3339(text)
    except ValueError as error:
        raise UsageError("HW0001", what=f"{text!r}: 2026-11-09T09:30:00+08:00") from error
    return text


def load(case: Path) -> CaseSettings:
    """The settings of a case.

    Raises:
        UsageError: HW0002 where there is no case file or it is not one.
    """
    try:
        settings = from_plain(json.loads((case / NAME).read_bytes()))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UsageError("HW0002", str(case)) from error
    for zone in (settings.zone, *settings.zones.values()):
        if zone:
            check_zone(zone)
    if settings.baseline_time:
        check_instant(settings.baseline_time)
    return settings


def with_changes(settings: CaseSettings, changes: Mapping[str, object]) -> CaseSettings:
    """The settings with the given fields replaced, those that are None left as they are."""
    given: dict[str, Any] = {k: v for k, v in changes.items() if v is not None}
    for name in ("years", "zones", "skews_ns"):
        if name in given:  # another path's year stays
            given[name] = {**getattr(settings, name), **given[name]}
    return replace(settings, **given)
