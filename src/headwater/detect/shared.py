# SPDX-License-Identifier: Apache-2.0
"""What several detectors need of the same events is worked out once and lives as long as the event store."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import astuple
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

from headwater.model.ports import Events, Settings

Made = TypeVar("Made")
_made: WeakKeyDictionary[Events, dict[Hashable, Any]] = WeakKeyDictionary()


def once(events: Events, key: tuple[str, Settings], make: Callable[[], Made]) -> Made:
    """What ``make`` gave for this store, name and settings; made on the first call.

    A result must not change after it is made: every detector that asks is handed the same object.
    """
    held = _made.setdefault(events, {})
    name, settings = key
    mark = (name, repr(astuple(settings)))
    if mark not in held:
        held[mark] = make()
    return cast(Made, held[mark])
