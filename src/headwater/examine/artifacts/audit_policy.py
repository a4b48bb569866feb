# SPDX-License-Identifier: Apache-2.0
"""The audit policy: which sorts of event the security log was to keep (windows.audit_policy).

Reads:  SECURITY: Policy\\PolAdtEv, default value.
Time:   last write of the key, UTC.
Format: https://github.com/libyal/winreg-kb/blob/main/docs/sources/security-keys/Audit-policy.md
Limits: sub-categories are told by their number in the form of Windows Vista and later; which number is which depends on the version.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from headwater.examine.artifacts._telling import tell
from headwater.examine.hive_place import Place
from headwater.formats.registry_hive import Hive
from headwater.model.kinds import EventKind
from headwater.model.records import Event

FEED = "windows.audit_policy"
VERSION = 1
HIVES = ("security",)
_WORDS = {0: "none", 1: "success", 2: "failure", 3: "success and failure"}
_OLD = (
    "system",
    "logon",
    "object-access",
    "privilege-use",
    "process-tracking",
    "policy-change",
    "account-management",
    "directory",
    "account-logon",
)


def read(hive: Hive, place: Place) -> Iterator[Event]:
    """One event for the policy: the old form by category, the new one by the numbers of what is audited."""
    key = hive.key("Policy\\PolAdtEv")
    value = key.value("") if key is not None else None
    if key is None or value is None:
        return
    data = value.data
    if len(data) == 44:
        settings = struct.unpack_from("<9I", data, 4)
        said = "; ".join(f"{name}: {_WORDS.get(n, n)}" for name, n in zip(_OLD, settings, strict=True))
        yield tell(
            place,
            value,
            key,
            EventKind.STATE_SETTING,
            key.written,
            setting="audit policy",
            data=said,
            enabled=bool(data[0]),
        )
        return
    numbers = struct.unpack_from(f"<{max(len(data) - 12, 0) // 2}H", data, 12) if len(data) > 12 else ()
    audited = [f"{i}: {_WORDS.get(n, n)}" for i, n in enumerate(numbers) if 0 < n <= 3]
    yield tell(
        place, value, key, EventKind.STATE_SETTING, key.written, setting="audit policy", data="; ".join(audited) or "none",
        enabled=bool(data[:1] != b"\0"),
    )  # fmt: skip
