# SPDX-License-Identifier: Apache-2.0
"""A signing time in a form that is not read is told as it stands, and no time is made of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.examine.parsers import windows_pe
from headwater.formats.authenticode import Signed
from headwater.model.kinds import TimeBasis
from headwater.model.records import Event, File

SIGNED = Path(__file__).parents[1] / "golden" / "windows_pe" / "signed.exe"


def test_a_signing_time_of_four_digit_years_is_kept_as_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    stated = Signed("CN=A", "CN=B", "1", True, "sha256", "00", signed="20260102030405Z")
    monkeypatch.setattr(windows_pe, "signed", lambda raw: stated)
    (event,) = windows_pe.parse(File.of(SIGNED.read_bytes(), "/p1!/a/signed.exe"))
    assert isinstance(event, Event)
    assert (event.t_recorded, event.t_basis, event.fields["time_text"]) == (None, TimeBasis.NONE, "20260102030405Z")
