# SPDX-License-Identifier: Apache-2.0
"""Numbers in a log that were chosen to fall together in a table: an intruder's way to keep a trail from being read in time."""

from __future__ import annotations

import resource
import subprocess
import sys

import polars as pl
import pytest

from headwater.examine.lines import line_batches
from headwater.examine.parsers import linux_audit
from headwater.formats import compiled
from headwater.formats.distinct import distinct
from headwater.model.records import File
from headwater.store.encoded import encoded

_ALL = 1 << 64
_BACK = pow(0x9E3779B97F4A7C15 * 0xD6E8FEB86659FD93, -1, _ALL)
_LINES = """
import sys
from headwater.examine.lines import line_batches
from headwater.examine.parsers import linux_audit
from headwater.model.records import File

ALL, back = 1 << 64, pow(0x9E3779B97F4A7C15, -1, 1 << 64)
again, ns = pow(0xD6E8FEB86659FD93, -1, ALL), 1772500000007000000
made = ((high, high << 32 | high ^ 5) for high in range(1, 1 << 32, 977))
serials = (s for high, word in made if (s := ((word * back % ALL ^ ns) * again) % ALL) < 10**18)
pids = (p for k in range(1, 1 << 40, 7919) if 0 < (p := k * back % ALL) < 10**18)
call = "type=SYSCALL msg=audit(1772500000.007:%d): arch=c000003e syscall=59 success=yes exit=0 ppid=%d pid=%d exe=\\"/x\\"\\n"
cwd = 'type=CWD msg=audit(1772500000.007:%d): cwd="/"\\n'
lines = [call % (k, p, p) for k, p in zip(range(60_000), pids)] + [cwd % s for s, _ in zip(serials, range(60_000))]
data = "".join(lines).encode()
print(len(lines), sum(b.end - b.start for b in line_batches(linux_audit.GRAMMAR, File.of(data), 1 << 22)) == len(data))
"""


def _few_seconds() -> None:  # a test that can only fail by hanging would hang all others
    resource.setrlimit(resource.RLIMIT_CPU, (12, 12))


def test_serials_and_process_numbers_made_to_meet_do_not_hold_an_audit_trail() -> None:
    """40,000 programs with such numbers took 9.5 CPU s, 80 times the usual, and the cost grew with the square."""
    if compiled.library() is None:
        pytest.skip("the scanner is not built here")
    done = subprocess.run([sys.executable, "-c", _LINES], capture_output=True, preexec_fn=_few_seconds, check=False)
    assert done.stdout.split() == [b"120000", b"True"], done.stderr[-300:]


def test_values_made_to_meet_are_numbered_another_way_and_stay_the_same() -> None:
    """Distinct values of a column that all have one hash: 30,000 took 2.8 CPU s instead of 0.03, with the square of their number."""
    if compiled.library() is None:
        pytest.skip("the scanner is not built here")
    crafted = [((8 ^ (k * _BACK % _ALL)) + _ALL // 2) % _ALL - _ALL // 2 for k in range(6_000)]
    column = pl.Series("a", crafted + crafted)
    assert encoded(column.to_frame(), len(column)) is None  # what is written then is written by Polars
    found = distinct(column)
    assert found.values.gather(found.codes).to_list() == column.to_list()
    assert encoded(pl.DataFrame({"a": [*range(6_000)] * 2}), 12_000) is not None


@pytest.mark.parametrize("built", [True, False])
def test_a_zero_byte_behind_a_key_does_not_make_it_another_key(built: bool) -> None:
    line = b'type=SYSCALL msg=audit(1772500000.007:8): arch=c000003e pid\0=77 uid\0=0 comm="x"\n'
    if not built:
        compiled.forbid()
    try:
        (batch,) = line_batches(linux_audit.GRAMMAR, File.of(line * 3), 1 << 22)
    finally:
        compiled.allow()
    row = batch.events.row(0, named=True)
    assert (row["pid"], row.get("uid")) == (None, None)
    assert "uid\0=0" in row["other"]
