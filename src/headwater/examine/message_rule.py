# SPDX-License-Identifier: Apache-2.0
"""One rule of what a system message means; see :mod:`headwater.examine.message_rules`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from headwater.examine.line_templates import regex
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import Outcome
from headwater.model.records import Value


@dataclass(frozen=True, slots=True)
class MessageRule:
    """``start``: literal text that every fitting message begins with; it only makes the search fast."""

    processes: tuple[str, ...]
    start: str
    pattern: str
    kind: K
    outcome: Outcome | None = None
    constants: Mapping[str, Value] = field(default_factory=dict)
    template: str = ""  # the pattern as a template of :mod:`headwater.examine.line_templates`, for the frequent texts


def phrase(
    processes: tuple[str, ...], template: str, kind: K, outcome: Outcome | None = None, **constants: Value
) -> MessageRule:
    start = template.partition("{")[0]
    return MessageRule(processes, start, regex(template), kind, outcome, constants, template)
