# SPDX-License-Identifier: Apache-2.0
"""Guessing addresses and their counts are those that a plain search of the lines gives, on logs that no one here wrote."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from headwater.procedure.accounts import load_accounts
from headwater.procedure.investigate import investigate
from small_case import order

# what `grep PATTERN | sort | uniq -c` counts, and from how many on the detector speaks of guessing
OPENSSH = re.compile(rb"Failed password for .* from (\d+\.\d+\.\d+\.\d+) port")
LINUX = re.compile(rb"authentication failure; .*rhost=(\d+\.\d+\.\d+\.\d+)(?:\s|$)")


@pytest.mark.parametrize(
    ("name", "pattern"), [("OpenSSH/OpenSSH_2k.log", OPENSSH), ("Linux/Linux_2k.log", LINUX)], ids=["openssh", "linux"]
)
def test_guessing_counts_are_those_of_grep(
    shared_data: Path, tmp_path: Path, name: str, pattern: re.Pattern[bytes]
) -> None:
    source = shared_data / "loghub" / name
    outcome = investigate(order(source, tmp_path / "case"))
    expected = Counter(m.group(1).decode() for m in map(pattern.search, source.read_bytes().splitlines()) if m)
    found = {f.src_ip: f.facts["failures"] for f in outcome.judged.findings if f.rule.id == "ssh-guessing"}
    assert found == {address: expected[str(address)] for address in found}
    # fewer lines than five are told only where syslog says that one was repeated
    assert {address for address, n in expected.items() if n >= 5} <= set(found)
    (account,) = load_accounts(tmp_path / "case")
    assert account["tally"]["records"] == 2000
    assert account["tally"]["gap"] == 0
