# SPDX-License-Identifier: Apache-2.0
"""headwater isolate between network namespaces: a server that nobody can reach again, or that still talks to a stranger."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from server_in_netns import HERE, OUTSIDE, STRANGER, THERE, Net, net, reaches

from headwater.case.authority import Claim
from headwater.model.errors import AcquireError
from headwater.procedure import isolating
from headwater.procedure.corridor import open_case
from headwater.procedure.isolating import IsolateOrder, isolate, release
from headwater.procedure.reaching import Reach
from headwater.procedure.scene import ACTED
from headwater.procedure.scene_errand import Errand
from headwater.procedure.scene_first import first
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
    order = _order(clean, tmp_path, minutes=30)
    held = _held_by_a_stranger(clean)
    done = isolate(order)
    assert held.communicate("go\n")[0].strip() == "silence"  # what stood already ends too
    assert done.method == method
    assert dict(done.tested) == {"second-connection": "yes", "nothing-leaves": "yes"}
    assert reaches(None, THERE, port)
    assert not clean.stranger_reaches(port)
    assert not clean.server_reaches_stranger(4444)
    if method == "nft":
        with pytest.raises(AcquireError, match="HW2167"):
            isolate(order)
    timer, token = _timer(order.errand.case)
    assert token in timer.read_bytes()
    freed = release(order.errand)
    assert not timer.exists() or token not in timer.read_bytes()
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


def _held_by_a_stranger(made: Net) -> subprocess.Popen[str]:
    """A connection from the stranger that stands; told to speak, it says whether it was answered."""
    script = (
        "import socket, sys\n"
        f"s = socket.create_connection(('{OUTSIDE}', {made.server.port})); s.recv(64); print('up', flush=True)\n"
        "s.settimeout(2)\nsys.stdin.readline()\ns.sendall(b'SSH-2.0-stranger\\r\\n')\n"
        "try:\n    print('answer' if s.recv(64) else 'closed')\nexcept OSError:\n    print('silence')\n"
    )
    words = ["ip", "netns", "exec", made.stranger_ns, sys.executable, "-IS", "-c", script]
    held = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert held.stdout is not None
    assert held.stdout.readline() == "up\n"
    return held


def _timer(case: Path) -> tuple[Path, bytes]:
    """Where the lasting timer's command line stands, and the word in it that is ours."""
    corridor = open_case(case)
    with corridor.ledger:
        note = next(s.entry.note for s in corridor.ledger.entries() if s.entry.action == ACTED)
    return Path("/proc") / str(note["timer"]) / "cmdline", str(note["token"]).encode()


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
    assert "second-connection" in attempts[0]["failed"]
    assert attempts[0]["visit"]["authorised_traces"]


def _unreachable(address: str, reach: Reach, **_: object) -> None:
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


def test_this_machine_is_not_locked_out_by_a_list_without_it(clean: Net, tmp_path: Path) -> None:
    _needs("nft")
    with pytest.raises(AcquireError, match="HW2166"):
        isolate(replace(_order(clean, tmp_path), allow=("203.0.113.9",)))
    assert "headwater" not in clean.inside("nft", "list", "tables")


def test_first_capture_over_ssh_tells_who_talks_with_the_server(clean: Net, tmp_path: Path) -> None:
    taken = first(_order(clean, tmp_path).errand)
    assert taken.whole
    with tarfile.open(tmp_path / "case" / "acquired" / taken.evidence.name) as tar:
        member = tar.extractfile("proc/net/tcp")
        assert member is not None
        assert f":{clean.server.port:04X}".encode() in member.read()
        record = tar.extractfile("first.json")
        assert record is not None
        told = json.loads(record.read())
    assert told["visit"]["clock"]["method"] == "ssh"
    assert told["visit"]["connection"]["ssh_peer"] == THERE


def test_release_of_what_was_never_isolated_is_refused(clean: Net, tmp_path: Path) -> None:
    with pytest.raises(AcquireError, match="HW2163"):
        release(_order(clean, tmp_path).errand)


@pytest.mark.parametrize(
    "peer",
    [isolation.Peer("10.0.0.9", 50000, "10.0.0.5", 22), isolation.Peer("2001:db8::9", 50000, "2001:db8::5", 2222)],
    ids=["IPv4", "IPv6"],
)
def test_rules_for_both_families_are_taken_by_the_tools_whoever_we_are(clean: Net, peer: isolation.Peer) -> None:
    _needs("nft")
    _needs("iptables")
    allow = isolation.networks(["10.0.0.9", "10.1.0.0/16", "2001:db8::/32", "2001:db8::9"])
    wall = isolation.Wall("nft", allow, (22, 3389), peer)
    for words, rules in (
        (["nft", "-c", "-f", "-"], isolation.nft_rules(wall)),
        (["iptables-restore", "--noflush", "--test"], isolation.iptables_rules(wall, 4)),
        (["ip6tables-restore", "--noflush", "--test"], isolation.iptables_rules(wall, 6)),
    ):
        line = ["ip", "netns", "exec", clean.server_ns, *words]
        done = subprocess.run(line, input=rules, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "'" not in rules  # they are one word of sh on their way


def test_server_without_root_or_tool_is_refused_by_name() -> None:
    from headwater.procedure.scene_visit import LocalShell, Visit

    for said in ({"uid": "1000", "tool_nft": "/usr/sbin/nft"}, {"uid": "0"}):
        with pytest.raises(AcquireError, match="HW2160"):
            isolating._method(Visit("ssh://x", "x", LocalShell(), said, {}, {}))


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
