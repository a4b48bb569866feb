# SPDX-License-Identifier: Apache-2.0
"""A Windows server whose files became *.encrypted: the window, the login before it from its event log, by image alone.

The volume is written by ntfs-3g, so it has no change journal; the window rests on the files' times, which are set here.
SOURCE of the event log: EVTX-ATTACK-SAMPLES, LM_WMI_4624_4688_TargetHost.evtx (read where it lies, GPL-3.0, not copied).
"""

from __future__ import annotations

import os
import random
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from headwater.model.kinds import Severity
from headwater.procedure.investigate import investigate
from small_case import order

LOG = "evtx-attack-samples/Lateral Movement/LM_WMI_4624_4688_TargetHost.evtx"
STEP = 10_000_000  # of FILETIME, one second
START = (1_552_950_000 + 11_644_473_600) * STEP  # 2019-03-18T23:00:00Z, three quarters of an hour after the login
FILES = 60


@contextmanager
def _mounted(image: Path, at: Path) -> Iterator[None]:
    done = subprocess.run(["ntfs-3g", "-o", "rw", str(image), str(at)], capture_output=True, timeout=60)
    if done.returncode:
        pytest.skip("ntfs-3g cannot mount here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(at)], check=True, timeout=60)


def _times(path: Path, when: int) -> None:
    os.setxattr(path, "system.ntfs_times_be", struct.pack(">4Q", when - 10**12, when, when, when))


def _settle(image: Path) -> None:
    """The driver sets the time of change to now: in each MFT record whose times were set, put it to the last writing."""
    data = bytearray(image.read_bytes())
    at = data.find(b"FILE")
    while at >= 0:
        first = at + int.from_bytes(data[at + 20 : at + 22], "little")
        if at % 1024 == 0 and data[first : first + 4] == b"\x10\0\0\0":  # $STANDARD_INFORMATION, resident, first of all
            times = first + 24
            written = data[times + 8 : times + 16]
            if START <= int.from_bytes(written, "little") < START + 10**10:
                data[times + 16 : times + 24] = written
        at = data.find(b"FILE", at + 4)
    image.write_bytes(data)


def _image(folder: Path, log: Path) -> Path:
    image, at = folder / "server.dd", folder / "mnt"
    at.mkdir()
    with image.open("wb") as file:
        file.truncate(24 << 20)
    subprocess.run(["mkntfs", "-Q", "-F", "-q", str(image)], check=True, capture_output=True, timeout=60)
    dice = random.Random(5)
    with _mounted(image, at):
        logs = at / "Windows" / "System32" / "winevt" / "Logs"
        logs.mkdir(parents=True)
        shutil.copyfile(log, logs / "Security.evtx")
        for n in range(FILES):
            place = at / "Shares" / ("Finance", "HR", "IT")[n % 3]
            place.mkdir(parents=True, exist_ok=True)
            path = place / f"r{n}.{('xlsx', 'docx', 'pdf')[n % 3]}.encrypted"
            path.write_bytes(dice.randbytes(2000 + n))
            _times(path, START + n * 2 * STEP)
        for place in ("Finance", "HR", "IT"):
            note = at / "Shares" / place / "How_To_Decrypt.txt"
            note.write_text("All your files have been encrypted. Pay 1 bitcoin: abc.onion")
            _times(note, START + 200 * STEP)
    _settle(image)
    return image


def test_encrypted_server_gives_its_window_and_the_login_before_it(tmp_path: Path, shared_data: Path) -> None:
    for tool in ("mkntfs", "ntfs-3g"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not here")
    outcome = investigate(order(_image(tmp_path, shared_data / LOG), tmp_path / "case"))
    (found,) = (f for f in outcome.judged.findings if f.rule.id == "ransomware")
    assert found.severity == Severity.CRITICAL
    facts = found.facts
    assert (facts["files"], facts["folders"], facts["seconds"], facts["window"]) == (FILES, 3, 118, "file-times")
    assert found.ts_first == 1_552_950_000 * 10**9
    assert (facts["first"], facts["peak_minute"]) == ("/Shares/Finance/r0.xlsx.encrypted", 31)
    assert facts["login_from"] == "10.0.2.17"
    assert int(str(facts["entropy_hundredths"])) > 780
    assert any(f.rule.id == "yara-headwater-ransom-note" for f in outcome.judged.findings)
