# SPDX-License-Identifier: Apache-2.0
"""Seals of journals in the verdict: a changed record that speaks for nothing, and a power cut that speaks for tampering."""

from __future__ import annotations

from dataclasses import replace

from touched_disks import SECOND, MemoryEvents, question

from headwater.reconstruct import notamper_seals
from headwater.reconstruct.notamper import examined
from headwater.reconstruct.notamper_terms import Question, Seal, Sign, Standing

T0 = 1_800_000_000 * SECOND
WHOLE = Seal("/var/log/journal/x/system.journal", "p1!/var/log/journal/x/system.journal", "archived", True, True, 4, 4,
             100, 2, until=T0 + 900 * SECOND)  # fmt: skip
BROKEN = replace(WHOLE, good=3, fault="the seal of epoch 7 does not fit", fault_at=4096)


def asked(*seals: Seal) -> Question:
    return replace(question(T0, ()), seals=seals)


def signs(*seals: Seal) -> list[Sign]:
    return list(notamper_seals.signs(asked(*seals)))


def test_seal_broken_over_records_after_the_baseline_speaks_against_the_item() -> None:
    (sign,) = signs(replace(BROKEN, broken_until=T0 + 600 * SECOND))
    assert sign.standing is Standing.UNEXPLAINED
    assert sign.examples[0].span.offset == 4096
    assert sign.examples[0].at == T0 + 600 * SECOND


def test_seal_broken_over_older_records_cannot_be_dated() -> None:
    (sign,) = signs(replace(BROKEN, broken_until=T0 - 600 * SECOND))
    assert sign.standing is Standing.UNDECIDED


def test_whole_journal_is_told_and_one_that_lost_power_is_not_an_anomaly() -> None:
    (sign,) = signs(WHOLE, replace(WHOLE, checked=False, state="online", miscounted={"objects": (9, 12)}))
    assert sign.standing is Standing.REPORTED
    assert "98 of 100" in sign.text.en
    (odd,) = signs(replace(WHOLE, checked=False, miscounted={"objects": (9, 12)}))
    assert odd.standing is Standing.UNDECIDED


def test_a_field_that_does_not_fit_its_hash_is_told_where_it_stands() -> None:
    (sign,) = signs(replace(WHOLE, sealed=False, checked=False, hashed=400, altered=2, altered_at=8192, state="online"))
    assert (sign.rule, sign.standing) == ("journal-data", Standing.UNDECIDED)
    assert (sign.examples[0].span.offset, sign.examples[0].span.length) == (8192, 24)
    assert "2 of 400" in sign.examples[0].what
    assert not signs(replace(WHOLE, sealed=False, checked=False, hashed=400)), "what fits proves nothing"
    said = [text.en for text in notamper_seals.limits(asked(replace(WHOLE, sealed=False, checked=False, hashed=400)))]
    assert any("whoever changes a field can set its hash right" in text for text in said)


def test_sealed_journal_without_a_key_is_a_limit() -> None:
    said = [
        text.en for text in notamper_seals.limits(asked(replace(WHOLE, checked=False), replace(WHOLE, sealed=False)))
    ]
    assert "no verification key" in said[0]
    assert "not sealed" in said[1]
    found = examined(MemoryEvents(), asked(replace(WHOLE, checked=False)))
    assert any("no verification key" in limit.en for limit in found.limits)
