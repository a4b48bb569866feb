# SPDX-License-Identifier: Apache-2.0
"""A web shell that hides behind functions and built-up names is told; a site's own dispatching code is not."""

from __future__ import annotations

import pytest

from headwater.examine.php_flow import flows

# SOURCE: every piece of code here was written for these tests.


def said(code: bytes) -> list[tuple[str, str | None]]:
    return [(f.trait, f.parameter) for f in flows(code)]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (b"<?php $f = 'as' . 'sert'; $f($_POST['x']);", ("eval-of-request", "x")),
        (b"<?php $f = base64_decode('c3lzdGVt'); $f($_GET['c']);", ("exec-of-request", "c")),
        (b"<?php $f = str_rot13('flfgrz'); $f($_GET['c']);", ("exec-of-request", "c")),
        (b'<?php $f = "\\x73ys\\164em"; $f($_COOKIE["k"]);', ("exec-of-request", "k")),
        (b"<?php $s='mtsey'; $f=$s[3].$s[4].$s[3].$s[1].$s[2].$s[0]; $f(trim($_GET['c']));", None),
        (b"<?php $s='mtsey'; $f=$s[2].$s[4].$s[2].$s[1].$s[3].$s[0]; $f(trim($_GET['c']));", ("exec-of-request", "c")),
        (b"<?php function run($x) { return shell_exec($x); } echo run($_REQUEST['q']);", ("exec-of-request", "q")),
        (b"<?php class A { function go() { $this->c = $_POST['c']; } function on() { eval($this->c); } }", ("eval-of-request", "c")),
        (b"<?php array_map('assert', array($_POST['a']));", ("eval-of-request", "a")),
        (b"<?php foreach ($_GET as $k => $v) { $k($v); }", ("callback-of-request", None)),
        (b"<?php [$a, $b] = [$_POST['f'], $_POST['v']]; $a($b);", ("callback-of-request", "f")),
        (b"<?php $p = $_GET['page']; include $p . '.php';", ("include-of-request", "page")),
        (b"<?php eval/* hello */(file_get_contents('php://input'));", ("eval-of-request", None)),
        (b"<?php $x = gzinflate(base64_decode('abcd')); eval($x);", ("eval-of-encoded", None)),
        (b"<?php $f = strrev('metsys'); $f('id');", ("eval-of-encoded", None)),
        (b"<?php $r = new ReflectionFunction($_GET['f']); $r->invoke(1);", ("callback-of-request", "f")),
        (b"<html><?= `ping {$_GET['h']}` ?></html>", ("exec-of-request", "h")),
        (b"<?php eval($_SERVER['HTTP_X_RUN']);", ("eval-of-request", None)),
    ],
)  # fmt: skip
def test_what_a_request_reaches(code: bytes, expected: tuple[str, str | None] | None) -> None:
    assert said(code) == ([] if expected is None else [expected])


@pytest.mark.parametrize(
    "code",
    [
        b"<?php $page = $_GET['p']; if (in_array($page, ['home', 'about'])) { include $page . '.php'; }",
        b"<?php include 'pages/' . basename($_GET['p']) . '.php';",
        b"<?php $map = ['list' => 'do_list']; $f = $map[$_GET['a']] ?? 'do_list'; $f();",
        b"<?php $action = $_POST['action']; $this->$action();",
        b"<?php exec('convert ' . escapeshellarg($_FILES['f']['tmp_name']) . ' out.png');",
        b"<?php $n = (int) $_GET['n']; system('tail -n ' . $n . ' /var/log/app.log');",
        b"<?php $debug = $_GET['d'] === '1'; eval($debug);",
        b"<?php $ids = array_map('intval', $_POST['ids']); usort($ids, 'strcmp');",
        b"<?php function system($x) { return $x; } system($_GET['a']);",
        b"<?php $q = $pdo->exec($_GET['x']); call_user_func([$this, 'render'], $_GET);",
        b"<?php function a($x) { eval('return 1;'); } function b() { $x = $_GET['x']; echo $x; }",
        b"<?php $f = 'system'; $f('uptime');",
        b"",
        b"<?php $_GET['cb']; // $_GET['cb']($x)",
    ],
)
def test_a_sites_own_code_is_not_told(code: bytes) -> None:
    assert said(code) == []


def test_hostile_files_end() -> None:
    deep = b"<?php eval(" + b"(" * 20_000 + b"$_GET[1]"
    assert len(flows(deep)) <= 1
    chain = b"<?php " + b"".join(b"$a%d=$a%d.'x';" % (n + 1, n) for n in range(3000)) + b"$a3000($_GET[1]);"
    assert len(flows(chain)) <= 1
    assert flows(b"<?php " + b"eval($_GET[1]);" * 100_000) == []  # past the bound, words alone are searched
    assert flows(b"\xff\x00<?php \xfe $") == []
    assert flows(b"<?php $a = $a; $a = $b; $b = $a; $a($_GET[1]);") == []
