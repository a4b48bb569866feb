# SPDX-License-Identifier: Apache-2.0
"""An export that a stranger can check: what was altered shows, what was kept back leaves its proof, the gate holds."""

from __future__ import annotations

import base64
import io
import json
import os
import random
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from stamping import Authority

from headwater.cli.main import main
from headwater.procedure.verifier import build, modules
from headwater.vault import hwcase, statements
from headwater.vault.keys import open_case_key
from headwater.vault.standalone import main as alone
from people import added, cheap, do, photograph, staffed

OUT = ("--to", "某区人民检察院", "--basis", "刑诉法第54条", "--approver", "王五")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> tuple[Path, Path]:
    """(home, an export with everything in it): an item, custody, a token, statements, CASE."""
    home = tmp_path_factory.mktemp("export")
    patch = pytest.MonkeyPatch()
    try:
        cheap(patch, home)
        case = staffed(home)
        assert added(home, case, photograph(home)) == 0
        words = (str(case), "I1", "--purpose", "移送", "--seal-after", "S-1")
        assert do(home, "seal", *words, who="张三") == 0
        with authority.serving() as url:
            assert main(["anchor", str(case), "--tsa", url, "--chain", str(authority.chain)]) == 0
        out = home / "case-042.hwcase"
        assert do(home, "export", str(case), "--out", str(out), *OUT, "--dsse", "--case-jsonld", who="张三") == 0
    finally:
        patch.undo()
    return home, out


@pytest.fixture
def home(whole: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    cheap(monkeypatch, whole[0])
    return whole[0]


def _failed(data: bytes) -> list[str]:
    return [f"{r.what}: {r.detail}" for r in hwcase.check_bytes(data) if r.result == "failed"]


def test_whole_export_verifies(whole: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert _failed(whole[1].read_bytes()) == []
    assert hwcase.verdict(hwcase.check_bytes(whole[1].read_bytes())) == "ok"
    assert main(["verify", str(whole[1])]) == 0
    said = capsys.readouterr().out
    assert "attests the first" in said
    with zipfile.ZipFile(whole[1]) as book:
        names = book.namelist()
        zh = book.read("VERIFY.zh.md").decode()
    assert {"VERIFY.zh.md", "VERIFY.en.md", "certificate.pdf", "case-uco.jsonld", "defects.json"} <= set(names)
    assert "不是鉴定意见" in zh


def test_export_without_destination_basis_or_approval_is_refused(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("export", str(home / "case"), "--out", str(home / "no.hwcase"))
    assert do(home, *words, "--approver", "王五", who="张三") == 3
    assert "HW1016" in capsys.readouterr().err
    assert do(home, *words, *OUT, "--jurisdiction", "US", who="张三") == 3
    assert "HW1016" in capsys.readouterr().err
    assert do(home, *words, "--to", "x", "--basis", "y", who="张三") == 3
    assert "HW1012" in capsys.readouterr().err
    assert do(home, *words, "--to", "x", "--basis", "y", "--approver", "王五", who="赵六") == 3
    assert not (home / "no.hwcase").exists()


def test_same_case_gives_the_same_bytes(whole: tuple[Path, Path]) -> None:
    key = open_case_key(whole[0] / "case" / "keys" / "case.key")
    with zipfile.ZipFile(whole[1]) as book:
        files = {n: book.read(n) for n in book.namelist() if n not in {hwcase.MANIFEST, hwcase.SIGNATURE}}
        about = json.loads(book.read(hwcase.MANIFEST))["about"]
    again = io.BytesIO()
    hwcase.write(again, dict(reversed(files.items())), about, key)
    assert again.getvalue() == whole[1].read_bytes()


def test_entry_kept_back_leaves_its_proof(home: Path, whole: tuple[Path, Path]) -> None:
    out = home / "redacted.hwcase"
    with zipfile.ZipFile(whole[1]) as book:
        bodies = [json.loads(json.loads(line)["body"]) for line in book.read(hwcase.ENTRIES).splitlines()]
    item = next(b["seq"] for b in bodies if b["action"] == "add-item")
    words = ("export", str(home / "case"), "--out", str(out), *OUT)
    assert do(home, *words, "--keep-back", "1", who="张三") == 5
    enrolment = next(b["seq"] for b in bodies if b["action"] == "enrol")
    assert do(home, *words, "--keep-back", str(enrolment), who="张三") == 5
    assert do(home, *words, "--keep-back", str(item), who="张三") == 0
    data = out.read_bytes()
    assert _failed(data) == []
    assert "1 kept back" in next(r.detail for r in hwcase.check_bytes(data) if r.what == "ledger")
    with zipfile.ZipFile(out) as book:
        assert not [n for n in book.namelist() if n.startswith("objects/")]
        assert "3 号机柜".encode() not in book.read(hwcase.ENTRIES)
        line = book.read(hwcase.ENTRIES).splitlines()[item - 1]
    forged = json.loads(line)
    forged["leaf"] = "00" * 32
    spoilt = _with(data, hwcase.ENTRIES, lambda old: old.replace(line, json.dumps(forged).encode()), home, resign=True)
    assert any("checkpoint attests another history" in w for w in _failed(spoilt))


def _with(
    data: bytes, name: str, change: Callable[[bytes], bytes | None], home: Path, *, resign: bool = False
) -> bytes:
    """The export with one file changed (None: left out); ``resign`` mends the manifest as the case's key can."""
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        files = {n: book.read(n) for n in book.namelist()}
    manifest = json.loads(files[hwcase.MANIFEST])
    new = change(files[name])
    files.pop(name)
    if new is not None:
        files[name] = new
    target = io.BytesIO()
    if resign:
        files.pop(hwcase.MANIFEST, None)
        files.pop(hwcase.SIGNATURE, None)
        hwcase.write(target, files, manifest["about"], open_case_key(home / "case" / "keys" / "case.key"))
        return target.getvalue()
    with zipfile.ZipFile(target, "w") as book:
        for each, content in files.items():
            book.writestr(each, content)
    return target.getvalue()


def test_every_file_altered_missing_or_added_shows(whole: tuple[Path, Path]) -> None:
    home, out = whole
    data = out.read_bytes()
    with zipfile.ZipFile(out) as book:
        names = book.namelist()
    for name in names:
        assert _failed(_with(data, name, lambda old: old[:-1] + bytes([old[-1] ^ 1]), home)), name
        assert _failed(_with(data, name, lambda old: None, home)), name
    held = io.BytesIO(data)
    with zipfile.ZipFile(held, "a") as book:
        book.writestr("report/extra.html", b"forged")
    assert any("not in the manifest" in w for w in _failed(held.getvalue()))


def test_holder_of_the_case_key_cannot_swap_what_others_signed(whole: tuple[Path, Path]) -> None:
    """With the manifest signed anew: items, anchors, statements and persons' entries still tell."""
    home, out = whole
    data = out.read_bytes()
    with zipfile.ZipFile(out) as book:
        names = book.namelist()
    item = next(n for n in names if n.startswith("objects/"))
    token = next(n for n in names if n.endswith(".token.json"))
    said = next(n for n in names if n.startswith("statements/"))
    assert any("the ledger says" in w for w in _failed(_with(data, item, lambda o: b"x", home, resign=True)))
    assert _failed(_with(data, token, lambda o: o.replace(b'"token":"', b'"token":"AA'), home, resign=True))
    assert _failed(_with(data, said, lambda o: o.replace(b'"payload":"', b'"payload":"AAAA'), home, resign=True))
    swapped = _with(data, hwcase.ENTRIES, lambda o: o.replace("张三".encode(), "李四".encode()), home, resign=True)
    assert _failed(swapped)


def test_archive_that_leads_elsewhere_or_is_none_is_refused(whole: tuple[Path, Path]) -> None:
    for name in ("../evil", "/etc/passwd", "a\\b"):
        held = io.BytesIO(whole[1].read_bytes())
        with zipfile.ZipFile(held, "a") as book:
            book.writestr(zipfile.ZipInfo(name), b"x")
        if name != "a\\b" or os.sep == "/":
            assert _failed(held.getvalue()), name
    for data in (b"", b"PK", b"PK\x05\x06" + bytes(18), os.urandom(100)):
        assert _failed(data)
    spread = bytearray(whole[1].read_bytes())  # a name whose content is that of another: so bombs multiply
    with zipfile.ZipFile(io.BytesIO(spread)) as book:
        one, other = sorted(book.infolist(), key=lambda info: -info.compress_size)[:2]
    at = spread.rindex(other.filename.encode())
    spread[at - 4 : at] = (one.header_offset + 20).to_bytes(4, "little")
    assert any("lies within" in said for said in _failed(bytes(spread)))
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr(hwcase.MANIFEST, b"[" * 5_000_000)
    assert _failed(bomb.getvalue())


def test_statement_is_in_toto_in_dsse(whole: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(whole[1]) as book:
        name = next(n for n in book.namelist() if n.startswith("statements/"))
        envelope = json.loads(book.read(name))
        public = json.loads(book.read(hwcase.MANIFEST))["public_key"]
    said = json.loads(base64.b64decode(envelope["payload"]))
    assert said["_type"] == "https://in-toto.io/Statement/v1"
    assert said["subject"][0]["name"] == "seal-01.jpg"
    assert statements.encoding("a/b", b"cd") == b"DSSEv1 3 a/b 2 cd"
    assert statements.opened(json.dumps(envelope).encode(), public) == said


def test_case_jsonld_is_accepted_by_case_validate(whole: tuple[Path, Path], tmp_path: Path) -> None:
    tool = Path(sys.executable).with_name("case_validate")
    if not tool.exists():
        pytest.skip("no case_validate here")
    with zipfile.ZipFile(whole[1]) as book:
        (tmp_path / "case.jsonld").write_bytes(book.read("case-uco.jsonld"))
    done = subprocess.run([str(tool), "case.jsonld"], cwd=tmp_path, capture_output=True, timeout=300, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Conforms: True" in done.stdout


def _mutants(data: bytes, home: Path, count: int) -> list[bytes]:
    """Copies spoilt in bytes, files, lines and order; seeded."""
    rng = random.Random(42)
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        files = {n: book.read(n) for n in book.namelist()}
    texts = [n for n in files if n.endswith((".json", ".jsonl", ".sig", ".md"))]
    found = []
    for at in range(count):
        if at % 4 == 0:
            spoilt = bytearray(data)
            spoilt[rng.randrange(len(spoilt))] ^= 1 << rng.randrange(8)
            found.append(bytes(spoilt))
        elif at % 4 == 1:
            found.append(data[: rng.randrange(len(data))])
        else:
            name = rng.choice(texts)

            def change(old: bytes) -> bytes | None:
                lines = old.splitlines(keepends=True)
                act = rng.randrange(5)
                if act == 0:
                    return None
                if act == 1 and len(lines) > 2:
                    del lines[rng.randrange(len(lines))]
                elif act == 2 and len(lines) > 2:
                    rng.shuffle(lines)
                elif act == 3:
                    lines.append(rng.choice(lines))
                else:
                    spot = rng.randrange(len(old))
                    return old[:spot] + bytes([rng.randrange(256)]) + old[spot + 1 :]
                return b"".join(lines)

            found.append(_with(data, name, change, home, resign=at % 4 == 3))
    return found


def _same_verdicts(whole: tuple[Path, Path], folder: Path, count: int) -> tuple[int, int]:
    """(mutants, how many of them failed) where program and stand-alone verifier agree on every one, row by row."""
    (folder / "verifier.pyz").write_bytes(build())
    mutants = _mutants(whole[1].read_bytes(), whole[0], count)
    paths = []
    for at, data in enumerate(mutants):
        paths.append(folder / f"{at}.hwcase")
        paths[-1].write_bytes(data)
    words = [sys.executable, "-I", str(folder / "verifier.pyz"), "--json", *map(str, paths)]
    done = subprocess.run(words, capture_output=True, timeout=900, cwd=folder)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(told) == count, done.stderr[-2000:]
    failed = 0
    for at, (data, said) in enumerate(zip(mutants, told)):
        rows = hwcase.check_bytes(data)
        assert said["verdict"] == hwcase.verdict(rows)
        assert said["rows"] == [[r.what, r.result, r.detail] for r in rows]
        failed += said["verdict"] == "failed"
        if said["verdict"] != "failed":  # nothing but what the signed manifest or a zip's unused bits may differ in
            assert at % 4 == 3 or _contents(data) == _contents(whole[1].read_bytes()), at
    return count, failed


def _contents(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        return {n: book.read(n) for n in book.namelist()}


def test_verifier_gives_the_programs_verdict_on_100_mutants(whole: tuple[Path, Path], tmp_path: Path) -> None:
    """What need not fail: a bit in a ZIP's unused fields, and instructions rewritten by the holder of the case's key."""
    count, failed = _same_verdicts(whole, tmp_path, 100)
    assert failed >= count * 0.85


@pytest.mark.long
def test_verifier_gives_the_programs_verdict_on_1000_mutants(whole: tuple[Path, Path], tmp_path: Path) -> None:
    if not os.environ.get("HEADWATER_LONG"):
        pytest.skip("make test-long")
    count, failed = _same_verdicts(whole, tmp_path, 1000)
    assert failed >= count * 0.85


def test_verifier_needs_the_standard_library_and_cryptography_alone(whole: tuple[Path, Path], tmp_path: Path) -> None:
    assert not [m for m in modules() if m.startswith(("headwater.procedure", "headwater.cli", "headwater.report"))]
    assert build() == build()
    path = tmp_path / "headwater-verify.pyz"
    path.write_bytes(build())
    code = (
        "import sys, runpy\n"
        "class Only:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        top = name.split('.')[0]\n"
        "        if top not in sys.stdlib_module_names | {'cryptography', 'headwater', '_cffi_backend', '__main__'} and not top.startswith('_sysconfig'):\n"
        "            raise ImportError('not allowed: ' + name)\n"
        "sys.meta_path.insert(0, Only())\n"
        f"sys.argv = ['v', {str(whole[1])!r}]\n"
        f"runpy.run_path({str(path)!r}, run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "= 相符 ok" in done.stdout


def test_verifier_speaks_to_a_reader_of_one_language(
    whole: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "x"
    broken.write_bytes(b"no zip")
    files = [str(whole[1]), str(broken), str(tmp_path / "gone")]
    assert alone(["--lang", "zh", *files]) == 5
    said = capsys.readouterr().out
    assert not re.search(r"\b(ok|FAILED|entries|match|ledger|manifest|kept)\b", said), said
    assert "无法作为案件包读取" in said
    assert "无法打开" in said
    assert alone(["--lang", "en", *files]) == 5
    assert not re.search(r"[\u4e00-\u9fff]", capsys.readouterr().out)
    assert alone(["--help"]) == 0
    said = capsys.readouterr().out
    assert "用法" in said
    assert "usage" in said
    assert alone(["--lang", "zh"]) == alone(["--lang", "fr", *files]) == alone(["--no-such", *files]) == 2
    assert "用法" in capsys.readouterr().err


def test_export_against_a_head_kept_outside(whole: tuple[Path, Path], tmp_path: Path) -> None:
    with zipfile.ZipFile(whole[1]) as book:
        zh = book.read("VERIFY.zh.md").decode()
    head = zh[zh.index("HW1 ") :].split('"')[0]
    assert main(["verify", str(whole[1]), "--against", head]) == 0
    words = head.split()
    wrong = " ".join([*words[:3], "0" * 64])
    assert main(["verify", str(whole[1]), "--against", wrong]) == 1
