# SPDX-License-Identifier: Apache-2.0
"""What runs in the confined children to list an item of which nothing is to be carved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from headwater.examine.opening import uncarved
from headwater.procedure import child
from headwater.procedure.child_targets import Message

LEFT_OUT = "left-out"  # of ``carving``, among the facts of an item's views


def walk(args: Mapping[str, Any], fds: Sequence[int]) -> Iterator[Message]:
    """The listing without the views of carved files; its facts say so."""
    with uncarved():
        for header, blob in child.walk(args, fds):
            if "result" in header:
                facts = header["result"]["facts"]
                facts.setdefault(next(iter(facts), ""), {})["carving"] = LEFT_OUT
            yield header, blob
