# SPDX-License-Identifier: Apache-2.0
"""The quick way to the canonical form must give the bytes of the slow one: ids, fingerprints and seals are made of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.formats import canonical as module
from headwater.formats.canonical import canonical, digest, identify, plain


class _Word(StrEnum):
    ONE = "one"


class _Number(Enum):
    TWO = 2


@dataclass(frozen=True, slots=True)
class _Noun:
    name: str
    held: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Nothing:
    pass


@dataclass(frozen=True, slots=True)
class _Named:
    held: Any
    id: str = ""


# ASCII, beyond it, and two whose order differs between code points and UTF-16 units
_TEXTS = st.text(st.sampled_from('ab"\\\n\x00\x7f é溯\ue000\U0001f600'), max_size=4)
_LEAVES = (
    st.none() | st.booleans() | _TEXTS | st.integers(-(2**70), 2**70) | st.sampled_from([2.0, _Word.ONE, _Number.TWO])
    | st.builds(_Noun, _TEXTS, st.tuples(st.integers(0, 2**60))) | st.just(_Nothing())
)  # fmt: skip
_KEYS = _TEXTS | st.integers(0, 3) | st.just(_Word.ONE)
_VALUES = st.recursive(
    _LEAVES,
    lambda held: st.lists(held, max_size=3) | st.tuples(held, held) | st.dictionaries(_KEYS, held, max_size=4),
    max_leaves=12,
)


def _slowly(value: Any) -> bytes:
    return json.dumps(module._sorted(plain(value)), ensure_ascii=False, separators=(",", ":")).encode()


@settings(max_examples=150, deadline=None)
@given(_VALUES)
def test_no_id_changes_because_a_value_took_the_quick_way(value: Any) -> None:
    assert canonical(value) == _slowly(value)
    assert identify("F", _Named(value, "old")).id == f"F-{digest({'held': plain(value)})[:16]}"


def test_names_beyond_ascii_stand_in_the_order_of_rfc_8785() -> None:
    assert canonical({"\U0001f600": 1, "\ue000": 2, "b": 3}) == '{"b":3,"\U0001f600":1,"\ue000":2}'.encode()
    assert (
        canonical({"b": [2**53, 2**53 - 1, True], "a": None})
        == b'{"a":null,"b":["9007199254740992",9007199254740991,true]}'
    )


@pytest.mark.parametrize("wrong", [1.5, [1.5], {"a": {"b": 0.1}}, {"a": b""}, {"a": {1}}])
def test_what_has_no_one_form_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError):
        canonical(wrong)


@pytest.mark.parametrize("wrong", ["\ud800", {"a": ["\udc00"]}, {"\ud800": 1}])
def test_lone_surrogates_are_refused(wrong: Any) -> None:
    with pytest.raises(UnicodeEncodeError):
        canonical(wrong)
