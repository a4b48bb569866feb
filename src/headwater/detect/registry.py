# SPDX-License-Identifier: Apache-2.0
"""Finds the detectors by their place: every module in ``detect/detectors`` is one.

A detector module has
- a docstring with the four words Needs, Technique, Says, False when;
- ``RULE``: its name card (:class:`headwater.model.nouns.Rule`);
- ``detect(events, settings) -> Iterator[Finding]``: pure, no I/O, findings in a stable order;
- ``ENTERS = True`` where its high findings are entries into the host, beside which other detectors weigh weak signs
  (:mod:`headwater.detect.intrusion`). It then must not ask for the entries itself.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Iterator
from typing import cast

from headwater.detect import detectors as package
from headwater.detect.shared import once
from headwater.formats.canonical import identify
from headwater.model.errors import DetectError
from headwater.model.nouns import Finding, Rule
from headwater.model.ports import Detector, Events, Settings

WORDS = ("Needs:", "Technique:", "Says:", "False when:")


@functools.cache
def all_detectors() -> dict[str, Detector]:
    """Every detector by the id of its rule, in order of id.

    Raises:
        DetectError: a module lacks its four words or its rule, or two share an id (HW6002).
    """
    found: dict[str, Detector] = {}
    for info in pkgutil.iter_modules(package.__path__):
        if info.name.startswith("_"):
            continue
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        rule = getattr(module, "RULE", None)
        missing = [w for w in WORDS if w not in (module.__doc__ or "")]
        if missing or not isinstance(rule, Rule) or not callable(getattr(module, "detect", None)) or rule.id in found:
            raise DetectError("HW6002", info.name, what=f"RULE, detect, or {missing}")
        found[rule.id] = cast(Detector, module)
    return dict(sorted(found.items()))


def entering() -> tuple[Detector, ...]:
    """The detectors whose high findings are entries into the host, in order of id."""
    return tuple(d for d in all_detectors().values() if getattr(d, "ENTERS", False))


def run(detector: Detector, events: Events, settings: Settings) -> Iterator[Finding]:
    """The findings of one detector, each with its id; those of a detector of entries are found once and shared.

    Raises:
        DetectError: the detector failed on these events (HW6002); the corridor names it in the report and goes on.
    """
    try:
        if getattr(detector, "ENTERS", False):
            key = (f"findings of {detector.RULE.id}", settings)
            yield from once(events, key, lambda: _found(detector, events, settings))
            return
        for finding in detector.detect(events, settings):
            yield identify("F", finding)
    except DetectError:
        raise
    except Exception as error:  # a detector is code; its failure must carry its name
        raise DetectError("HW6002", detector.RULE.id, what=f"{type(error).__name__}: {error}") from error


def _found(detector: Detector, events: Events, settings: Settings) -> tuple[Finding, ...]:
    return tuple(identify("F", finding) for finding in detector.detect(events, settings))


def run_all(events: Events, settings: Settings) -> Iterator[Finding]:
    """The findings of all detectors, by rule id; the first failure stops (see :func:`run`)."""
    for detector in all_detectors().values():
        yield from run(detector, events, settings)
