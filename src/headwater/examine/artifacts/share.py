# SPDX-License-Identifier: Apache-2.0
"""Shared folders and what may be reached without a name (windows.share).

Reads:  SYSTEM: LanmanServer\\Shares, LanmanServer\\Parameters (null sessions, hidden shares).
Time:   last write of the key, UTC.
Format: https://learn.microsoft.com/openspecs/windows_protocols/ms-srvs/
Limits: administrative shares (C$, ADMIN$) are made at start-up and stand nowhere; permissions are named, not resolved.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.artifacts._telling import current, tell
from headwater.examine.hive_place import Place
from headwater.formats.registry_hive import Hive, texts_of
from headwater.model.kinds import EventKind
from headwater.model.records import Event

FEED = "windows.share"
VERSION = 1
HIVES = ("system",)
_SETTINGS = (
    "NullSessionShares",
    "NullSessionPipes",
    "AutoShareServer",
    "AutoShareWks",
    "SMB1",
    "restrictnullsessaccess",
)


def read(hive: Hive, place: Place) -> Iterator[Event]:
    """One event per share, one per setting that is there."""
    control = current(hive)
    shares = control.key("Services\\LanmanServer\\Shares") if control is not None else None
    for value in shares.values() if shares is not None else ():
        said = dict(line.partition("=")[::2] for line in texts_of(value.data))
        assert shares is not None
        yield tell(
            place, value, shares, EventKind.STATE_SHARE, shares.written, file_path=said.get("Path"), share=value.name,
            remark=said.get("Remark") or None, permissions=said.get("Permissions"), max_uses=said.get("MaxUses"),
            share_type=said.get("Type"),
        )  # fmt: skip
    parameters = control.key("Services\\LanmanServer\\Parameters") if control is not None else None
    for name in _SETTINGS:
        found = parameters.value(name) if parameters is not None else None
        if parameters is not None and found is not None:
            yield tell(
                place, found, parameters, EventKind.STATE_SETTING, parameters.written, setting=name, data=found.shown
            )
