# SPDX-License-Identifier: Apache-2.0
"""A script that runs what a request says is told from one that merely runs a command."""

from __future__ import annotations

import pytest

from headwater.examine import registry
from headwater.examine.batch import batches_of, parsed_bytes
from headwater.examine.parsers import web_script
from headwater.model.records import Event, File, Skip

CMD = b"""<?php
// diagnostics
if (!is_file('/run/diag.enabled')) { exit("off\n"); }
$c = $_GET['cmd'] ?? '';
$p = proc_open(['/bin/sh', '-c', $c], [1 => ['pipe', 'w']], $pipes);
echo stream_get_contents($pipes[1]);
"""


def traits(data: bytes, path: str = "p1!/var/www/html/x.php") -> list[tuple[str, str | None]]:
    file = File.of(data, path)
    records = list(web_script.parse(file))
    tiled = sorted({(r.offset, r.length) for r in records if isinstance(r, Event | Skip)})
    at = 0
    for offset, length in tiled:
        assert offset == at
        at += length
    assert at == len(data)
    (batch,) = batches_of(iter(records), len(data))
    assert not batch.gaps
    assert parsed_bytes(batch.events) + sum(s.size for s in batch.skipped) == len(data)
    return [(str(r.fields["trait"]), r.fields["parameter"]) for r in records if isinstance(r, Event)]


def test_a_parameter_passed_to_a_shell_through_a_variable() -> None:
    assert traits(CMD) == [("exec-of-request", "cmd")]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (b"<?php @eval($_POST['pass']);?>", ("eval-of-request", "pass")),
        (b'<?php system($_REQUEST["c"]); ?>', ("exec-of-request", "c")),
        (b"<?php eval(gzinflate(base64_decode('abc')));", ("eval-of-encoded", None)),
        (b"<?php echo `$_GET[x]`;", ("exec-of-request", "x")),
        (b"<?php $_GET['f']($_POST['a']);", ("callback-of-request", "f")),
        (b"<?php $a=$_POST['q']; $b = $a; shell_exec(\"ping \" . $b);", ("exec-of-request", "q")),
        (b"GIF89a<?php eval($_POST[1]);", ("eval-of-request", "1")),
        (b'<% Runtime.getRuntime().exec(request.getParameter("cmd")); %>', ("exec-of-request", "cmd")),
        (b'<%eval request("p")%>', ("eval-of-request", "p")),
        (b"<?php move_uploaded_file($_FILES['f']['tmp_name'], $d);", ("upload-write", None)),
    ],
)
def test_forms_of_web_shells(code: bytes, expected: tuple[str, str | None]) -> None:
    assert expected in traits(code)


@pytest.mark.parametrize(
    "code",
    [
        b"<?php $q = $pdo->exec('DELETE FROM t'); $r = curl_exec($ch);",
        b"<?php $id = $_GET['id'] ?? ''; echo htmlspecialchars($id);",
        b"<?php $s = \"SELECT `$col` FROM t WHERE a = '$x'\";",
        b"<?php function exec($x) { return $x; }",
        b"plain text about eval and system",
        b"",
    ],
)
def test_everyday_code_has_no_trait(code: bytes) -> None:
    assert traits(code) == []


def test_an_escaped_argument_is_only_weak() -> None:
    assert traits(b"<?php exec('id ' . escapeshellarg($_GET['u']));") == [("exec", "u")]


def test_long_and_hostile_scripts_stay_bounded() -> None:
    noise = b"<?php " + b"eval(" * 20_000 + b"$_GET[a]" * 2_000
    assert len(traits(noise)) <= web_script.MOST_EVENTS


def test_a_picture_with_code_is_recognised_and_paths_are_read() -> None:
    assert web_script.recognise(b"\xff\xd8\xff\xe0 ... <?php eval")
    assert not web_script.recognise(b"\xff\xd8\xff\xe0 plain")
    names = [p.name for p in registry.by_path("/www/wwwroot/a/b.php")]
    assert "web.script" in names
    assert "web.script" not in [p.name for p in registry.by_path("/usr/lib/python3/os.py")]
