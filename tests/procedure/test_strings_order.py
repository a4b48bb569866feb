# SPDX-License-Identifier: Apache-2.0
"""Three hundred scripts of dpkg's own records must not use up the bound and leave an intruder's program unread."""

from __future__ import annotations

import pytest

from headwater.procedure.strings_scan import rank

OF_DPKG = "/var/lib/dpkg/info/netbase.postinst"


@pytest.mark.parametrize(
    "path", ["/usr/share/doc/x/helper", "/usr/bin/sshd", "/tmp/a", "/var/lib/dpkg/info/../x", "p1!/lib/y.so"]
)
def test_every_other_program_comes_before_the_scripts_of_packages(path: str) -> None:
    assert rank(path) < rank(OF_DPKG) == rank(f"p1!{OF_DPKG}")


def test_a_program_hidden_among_dpkgs_records_keeps_its_turn() -> None:
    assert rank("/var/lib/dpkg/info/kworker") < rank(OF_DPKG)
