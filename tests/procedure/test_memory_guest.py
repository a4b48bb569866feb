# SPDX-License-Identifier: Apache-2.0
"""Memory of a real kernel: what is read must stand at the address at which that kernel itself has it."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from debian_guest import MIB, guest, pattern

from headwater.acquire.memory_layout import segments_of
from headwater.acquire.ssh_login import Access
from headwater.acquire.ssh_session import Session, target_of
from headwater.case.authority import Claim
from headwater.formats.lime import LimeSource
from headwater.formats.opened import open_readonly
from headwater.formats.sources import FileSource
from headwater.model.errors import AcquireError
from headwater.procedure.memory import MemoryOrder, take
from headwater.procedure.reaching import Reach
from headwater.procedure.scene_errand import Errand

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif("HEADWATER_LONG" not in os.environ, reason="a minute of a virtual machine: make test-long"),
]


def _order(server: object, tmp_path: Path) -> MemoryOrder:
    remote = {"server_location": "here", "remote_method": "ssh", "screen_recording": "none: a test"}
    reach = Reach(known_hosts=server.known_hosts, key_file=server.key)  # type: ignore[attr-defined]
    errand = Errand(
        f"ssh://root@127.0.0.1:{server.port}", tmp_path / "case", Claim(None, None, None, None, None, None, "a test"),  # type: ignore[attr-defined]
        ("甲", "乙"), "a test", None, remote, reach=reach,
    )  # fmt: skip
    return MemoryOrder(errand, tmp_path / "mem01")


def test_debians_kernel_stands_in_the_image_where_its_own_symbols_say(tmp_path: Path) -> None:
    with guest(tmp_path / "guest") as server:
        done = take(_order(server, tmp_path))
        assert done.whole, done.taken
        assert done.encrypted == ()
    source = LimeSource(FileSource(open_readonly(tmp_path / "mem01.lime")))
    symbols = (tmp_path / "mem01.kallsyms").read_text()
    found = re.search(r"^([0-9a-f]{16}) \w linux_banner$", symbols, re.MULTILINE)
    assert found is not None
    banner = int(found[1], 16)
    header = (tmp_path / "mem01.kcore-header").read_bytes()
    physical = _text(header, banner)
    version = (tmp_path / "mem01.version").read_bytes().strip()
    assert source.pread(physical, len(version)) == version
    # every page of a file of the guest's root, which lives in memory, is found once at least
    data = (tmp_path / "mem01.lime").read_bytes()
    known = pattern()
    pages = [known[at : at + 4096] for at in range(0, MIB, 4096)]
    assert sum(1 for page in pages if page in data) == len(pages)
    assert (tmp_path / "mem01.btf").stat().st_size > MIB
    assert segments_of(header, 0x1000)[1] == "p_paddr"


def _text(header: bytes, address: int) -> int:
    """The physical address of a symbol, by the segment that shows the kernel's text."""
    import struct

    for at in range(64, len(header) - 56, 56):
        kind, _, _, vaddr, paddr, _, size, _ = struct.unpack_from("<IIQQQQQQ", header, at)
        if kind == 1 and vaddr <= address < vaddr + size and paddr != (1 << 64) - 1:
            return int(paddr + address - vaddr)
    raise AssertionError("no segment shows the text")


def test_lockdown_of_a_real_kernel_is_refused_by_name(tmp_path: Path) -> None:
    with guest(tmp_path / "guest", command="lockdown=confidentiality") as server:
        session = Session(
            target_of(f"ssh://root@127.0.0.1:{server.port}/."), Access(server.known_hosts, None, server.key)
        )
        session.connect()
        session.run(b"mount -t securityfs securityfs /sys/kernel/security\n", 60)
        session.close()
        with pytest.raises(AcquireError, match="HW2170"):
            take(_order(server, tmp_path))
    assert not (tmp_path / "mem01.lime").exists()
