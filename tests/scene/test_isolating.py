# SPDX-License-Identifier: Apache-2.0
"""headwater isolate between network namespaces: a server that nobody can reach again, or that still talks to a stranger."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from server_in_netns import HERE, STRANGER, THERE, Net, net, reaches

from headwater.case.authority import Claim
from headwater.model.errors import AcquireError
from headwater.procedure import isolating
from headwater.procedure.corridor import open_case
from headwater.procedure.isolating import IsolateOrder, isolate, release
from headwater.procedure.reaching import Reach
from headwater.procedure.scene import ACTED
from headwater.procedure.scene_errand import Errand
from headwater.scene import isolation

SAYS = "import socket; s = socket.create_server(('0.0.0.0', 4444)); [s.accept()[0].sendall(b'x') for _ in iter(int, 1)]"


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Net]:
    with net(tmp_path_factory.mktemp("netns") / "sshd") as made:
        talker = ["ip", "netns", "exec", made.stranger_ns, sys.executable, "-IS", "-c", SAYS]
        with subprocess.Popen(talker) as process:
            yield made
            process.kill()


@pytest.fixture
def clean(there: Net, request: pytest.FixtureRequest) -> Iterator[Net]:
    yield there
    there.inside("nft", "flush", "ruleset")
    there.inside("sh", "-c", isolation._REMOVE["iptables"])


def _order(made: Net, tmp_path: Path, **more: object) -> IsolateOrder:
    reach = Reach(known_hosts=made.server.known_hosts, key_file=made.server.key)
    remote = {"server_location": "here", "remote_method": "ssh", "screen_recording": "none: a test"}
    errand = Errand(
        made.server.url_of_server(), tmp_path / "case", Claim(None, None, None, None, None, None, "a test"),
        ("甲", "乙"), "the test begins here", None, remote, reach=reach,
    )  # fmt: skip
    return IsolateOrder(errand, (HERE,), trial=20, **more)  # type: ignore[arg-type]


def _needs(tool: str) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is absent")


def _use(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    _needs("iptables" if method == "iptables" else "nft")
    if method == "iptables":
        monkeypatch.setattr("headwater.procedure.scene_visit.Visit.has", lambda self, tool: tool != "nft")


@pytest.mark.parametrize("method", ["nft", "iptables"])
def test_isolated_server_talks_to_the_allowed_address_alone_and_is_restored_exactly(
    clean: Net, tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _use(monkeypatch, method)
    if method == "nft":  # rules that stood before must stand unchanged afterwards
        clean.inside("nft", "add", "table", "inet", "own")
        clean.inside(
            "nft", "add", "chain", "inet", "own", "in", "{ type filter hook input priority 0; policy accept; }"
        )
        clean.inside("nft", "add", "rule", "inet", "own", "in", "tcp", "dport", "9999", "drop")
    else:
        clean.inside("iptables", "-A", "INPUT", "-p", "tcp", "--dport", "9999", "-j", "DROP")
    port = clean.server.port
    assert clean.stranger_reaches(port)
    assert clean.server_reaches_stranger(4444)
    order = _order(clean, tmp_path)
    done = isolate(order)
    assert done.method == method
    assert dict(done.tested) == {"second-connection": "yes", "nothing-leaves": "yes"}
    assert reaches(None, THERE, port)
    assert not clean.stranger_reaches(port)
    assert not clean.server_reaches_stranger(4444)
    with pytest.raises(AcquireError, match="HW2167"):
        isolate(order)
    freed = release(order.errand)
    assert freed.restored == "exactly"
    assert freed.clean
    assert clean.stranger_reaches(port)
    assert clean.server_reaches_stranger(4444)
    corridor = open_case(order.errand.case)
    with corridor.ledger:
        acts = [s.entry.note for s in corridor.ledger.entries() if s.entry.action == ACTED]
    assert [a["act"] for a in acts] == ["isolate", "release"]
    assert acts[0]["allow"] == [f"{HERE}/32"]
    assert acts[0]["visit"]["authorised_traces"]
    kept = json.loads(next((order.errand.case / "acquired").glob("isolate-*.json")).read_text())
    assert "9999" in kept["before"]
    assert "9999" in kept["after"]


def test_present_connection_of_a_stranger_ends(clean: Net, tmp_path: Path) -> None:
    _needs("nft")
    script = (
        "import socket, sys, time\n"
        f"s = socket.create_connection(('10.232.77.1', {clean.server.port})); s.recv(64); print('up', flush=True)\n"
        "s.settimeout(3)\nsys.stdin.readline()\ns.sendall(b'SSH-2.0-stranger\\r\\n')\n"
        "try:\n    print('answer' if s.recv(64) else 'closed')\nexcept OSError:\n    print('silence')\n"
    )
    words = ["ip", "netns", "exec", clean.stranger_ns, sys.executable, "-IS", "-c", script]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as held:
        assert held.stdout is not None
        assert held.stdout.readline() == "up\n"
        isolate(_order(clean, tmp_path))
        said, _ = held.communicate("go\n")
    assert said.strip() == "silence"


def test_rules_that_lock_us_out_are_taken_back(clean: Net, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _needs("nft")
    monkeypatch.setattr(isolation, "covers", lambda allow, address: True)
    before = clean.inside("nft", "list", "ruleset")
    order = replace(_order(clean, tmp_path), allow=(STRANGER,))
    monkeypatch.setattr(isolating, "visited", _unreachable)
    with pytest.raises(AcquireError, match="HW2162"):
        isolate(order)
    assert clean.inside("nft", "list", "ruleset") == before
    assert clean.stranger_reaches(clean.server.port)
    corridor = open_case(order.errand.case)
    with corridor.ledger:
        attempts = [s.entry.note for s in corridor.ledger.entries() if s.entry.action == "scene-attempt"]
    assert attempts[0]["failed"] == "second-connection"


def _unreachable(address: str, reach: Reach) -> None:
    raise AcquireError("HW2064", address, what="timed out")


def test_timer_takes_the_rules_back_when_our_line_is_cut_before_they_are_confirmed(clean: Net, tmp_path: Path) -> None:
    _needs("nft")
    wall = isolation.Wall("nft", isolation.networks([HERE]), (clean.server.port,), isolation.Peer(HERE, 1, THERE, 2))
    script = isolation.apply_script(wall, 2, "headwater-0123456789abcdef")
    done = subprocess.run(["ip", "netns", "exec", clean.server_ns, "sh"], input=script, capture_output=True, check=True)
    said = isolation.answers(done.stdout)
    assert said["applied"] == "0", done.stderr
    assert not clean.stranger_reaches(clean.server.port)
    for _ in range(60):  # nobody confirms
        if "headwater" not in clean.inside("nft", "list", "tables"):
            break
        time.sleep(0.1)
    assert clean.stranger_reaches(clean.server.port)


def test_rules_are_not_applied_where_no_timer_runs(clean: Net) -> None:
    _needs("nft")
    wall = isolation.Wall("nft", isolation.networks([HERE]), (22,), isolation.Peer(HERE, 1, THERE, 2))
    script = isolation.apply_script(wall, 2, "headwater-token").replace(b"exec $s sh -c", b"exec $s true")
    done = subprocess.run(["ip", "netns", "exec", clean.server_ns, "sh"], input=script, capture_output=True, check=True)
    assert isolation.answers(done.stdout)["applied"] == "no timer"
    assert "headwater" not in clean.inside("nft", "list", "tables")


def test_lasting_timer_is_armed_and_ended_by_the_release(clean: Net, tmp_path: Path) -> None:
    _needs("nft")
    order = _order(clean, tmp_path, minutes=30)
    isolate(order)
    corridor = open_case(order.errand.case)
    with corridor.ledger:
        note = next(s.entry.note for s in corridor.ledger.entries() if s.entry.action == ACTED)
    proc = Path("/proc") / str(note["timer"]) / "cmdline"
    assert str(note["token"]).encode() in proc.read_bytes()
    release(order.errand)
    time.sleep(0.2)
    assert not proc.exists() or str(note["token"]).encode() not in proc.read_bytes()


def test_this_machine_is_not_locked_out_by_a_list_without_it(clean: Net, tmp_path: Path) -> None:
    _needs("nft")
    with pytest.raises(AcquireError, match="HW2166"):
        isolate(replace(_order(clean, tmp_path), allow=("203.0.113.9",)))
    assert "headwater" not in clean.inside("nft", "list", "tables")


def test_release_of_what_was_never_isolated_is_refused(clean: Net, tmp_path: Path) -> None:
    with pytest.raises(AcquireError, match="HW2163"):
        release(_order(clean, tmp_path).errand)


def test_allowing_everybody_is_no_isolation() -> None:
    for words in (["0.0.0.0/0"], ["::/0"], ["web01"], ["10.0.0.1; drop"]):
        with pytest.raises(Exception, match="HW2165"):
            isolation.networks(words)


@pytest.mark.parametrize("said", ["", "a b c d", "10.0.0.1 x 10.0.0.2 22", "10.0.0.1 5 10.0.0.2", "1 2 3 4 5"])
def test_session_that_the_server_tells_wrongly_is_none(said: str) -> None:
    assert isolation.peer_of(said) is None


def test_session_over_a_mapped_address_is_one_of_ipv4() -> None:
    peer = isolation.peer_of("::ffff:10.0.0.1 5000 ::ffff:10.0.0.2 22")
    assert peer == isolation.Peer("10.0.0.1", 5000, "10.0.0.2", 22)
