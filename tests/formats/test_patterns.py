# SPDX-License-Identifier: Apache-2.0
"""Expressions compiled late answer as those compiled at once, and none is ill-formed."""

from __future__ import annotations

import gc
import importlib
import pkgutil
import re

import pytest

import headwater
from headwater.formats import patterns
from headwater.formats.patterns import lazy_regex


def test_one_compiled_late_answers_as_one_compiled_at_once() -> None:
    late, early = lazy_regex(r"(?P<a>x)(\d+)", re.IGNORECASE), re.compile(r"(?P<a>x)(\d+)", re.IGNORECASE)
    text = "X1 x22 y3"
    assert late.findall(text) == early.findall(text)
    assert [m.span() for m in late.finditer(text)] == [m.span() for m in early.finditer(text)]
    assert late.sub(r"<\g<a>>", text) == early.sub(r"<\g<a>>", text)
    assert (late.pattern, late.flags, late.groups, dict(late.groupindex)) == (
        early.pattern, early.flags, early.groups, dict(early.groupindex),
    )  # fmt: skip
    assert lazy_regex(rb"\d\Z").search(b"a1") is not None


def test_a_fault_is_told_at_the_first_question() -> None:
    with pytest.raises(re.error):
        lazy_regex("(").search("")


def test_no_expression_of_the_program_is_ill_formed() -> None:
    for module in pkgutil.walk_packages(headwater.__path__, "headwater."):
        if not module.name.endswith(("__main__", "._scanner")):  # the compiled library is no module
            importlib.import_module(module.name)
    seen = [each for each in gc.get_objects() if type(each) is patterns._Later and each.groups >= 0]
    assert len(seen) > 300, "the modules were looked at"
