# SPDX-License-Identifier: Apache-2.0
"""A setting that never took effect must not be shown as the server's; hooks must not hide between lines."""

from __future__ import annotations

import tiling

from headwater.examine.parsers import linux_hook, linux_setting, linux_sshd_config
from headwater.model.records import Facts

MAIN = (
    "Include sshd_config.d/*.conf\nPermitRootLogin no\nPasswordAuthentication no\nMatch User x\nPermitRootLogin yes\n"
)
EXTRA = "PermitRootLogin yes\n"


def test_the_first_value_in_the_order_of_reading_counts() -> None:
    context = {"/etc/ssh/sshd_config": MAIN, "/etc/ssh/sshd_config.d/50-x.conf": EXTRA}
    facts = Facts(context=context)
    rows, _, _ = tiling.run(linux_sshd_config, MAIN.encode(), "/etc/ssh/sshd_config", facts=facts)
    said = {(r["setting"], r["value"]): r.get("effective") for r in rows}
    assert said["PermitRootLogin", "no"] is False
    assert said["PasswordAuthentication", "no"] is True
    assert said["PermitRootLogin", "yes"] is None  # under Match: for that user alone
    rows, _, _ = tiling.run(linux_sshd_config, EXTRA.encode(), "/etc/ssh/sshd_config.d/50-x.conf", facts=facts)
    assert rows[0]["effective"] is True


def test_nothing_is_said_of_effect_without_the_main_file() -> None:
    rows, _, _ = tiling.run(linux_sshd_config, EXTRA.encode(), "/etc/ssh/sshd_config.d/50-x.conf")
    assert "effective" not in rows[0]


def test_files_that_include_themselves_come_to_an_end() -> None:
    text = "Include /etc/ssh/sshd_config\nPort 22\n" * 3
    facts = Facts(context={"/etc/ssh/sshd_config": text})
    rows, _, _ = tiling.run(linux_sshd_config, text.encode(), "/etc/ssh/sshd_config", facts=facts)
    assert len(rows) == 6
    text = "Include /etc/ssh/sshd_config\n" * 3
    facts = Facts(context={"/etc/ssh/sshd_config": text})
    assert len(tiling.run(linux_sshd_config, text.encode(), "/etc/ssh/sshd_config", facts=facts)[0]) == 3


def test_odd_configuration_is_accounted_for() -> None:
    for parser, path in ((linux_setting, "/etc/modprobe.d/x.conf"), (linux_hook, "/etc/apt/apt.conf.d/x")):
        for data in (b"\\\n\\\n", b"\\\n \n", b'A::Post-Invoke {\n# x\n"a";\n', b"};\n};\n", b'A "x\\', b"install\n"):
            tiling.hold(parser, data, path)
