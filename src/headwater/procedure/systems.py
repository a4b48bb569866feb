# SPDX-License-Identifier: Apache-2.0
"""Which systems an item holds, by what each says of itself: release, host name, machine number, zone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from headwater.model.nouns import Text
from headwater.report.data import RegisterField

MOST = 20  # systems of one item; a host of containers may hold hundreds
# in this order; the names are those of examine.identity. Files of the system say them: os-release(5), hostname(5), machine-id(5)
_SAYS = ("os_release", "hostname", "machine_id", "instance_id", "timezone", "localtime")
_WHOSE = frozenset(_SAYS[:4])  # a zone alone names no system


def systems(facts: Mapping[str, Mapping[str, str]]) -> Iterator[RegisterField]:
    """One field of the register for each view that names itself; ``facts``: what the walk found, by view.

    Views that say the same (a volume as recorded and as replayed) are told once, by the first name.
    """
    told: set[tuple[str, ...]] = set()
    beyond = 0
    for view, said in sorted(facts.items()):
        values = tuple(dict.fromkeys(said[name] for name in _SAYS if said.get(name)))
        if not any(said.get(name) for name in _WHOSE) or values in told:
            continue
        told.add(values)
        if len(told) > MOST:
            beyond += 1
            continue
        place = f"{view}: " if view else ""
        yield RegisterField(Text("所载系统（自述）", "System on it, in its own words"), place + " · ".join(values))
    if beyond:
        more = Text(f"另有 {beyond} 个系统，见台账", f"{beyond} more, see the ledger")
        yield RegisterField(Text("所载系统（自述）", "System on it, in its own words"), more)
