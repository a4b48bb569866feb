# SPDX-License-Identifier: Apache-2.0
"""Runs in a confined child: what the registry hives of a collected folder say of the system that they were taken from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from headwater.examine import windows_facts
from headwater.procedure.child_targets import Message, Targets


def of_hives(args: Mapping[str, Any], fds: Sequence[int]) -> Iterator[Message]:
    """One message per hive, with what it says: name, zone, product."""
    targets = Targets(args, fds)
    for target in args["targets"]:
        yield {"facts": windows_facts.facts(str(target["path"]).lower(), targets.content(target).pread)}, b""
