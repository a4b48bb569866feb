# SPDX-License-Identifier: Apache-2.0
"""Rights, pods, redirects and programs from memory that settings and logs show are told; what honest systems have is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from memory_events import MemoryEvents

from headwater.detect import registry
from headwater.detect.detectors import memory_program, polkit_rules, redirected_traffic, settings_abuse, static_pods
from headwater.examine.parsers import kubernetes_manifest, linux_polkit, live_firewall
from headwater.model.kinds import EventKind, Severity
from headwater.model.ports import Settings
from headwater.model.records import Event, File

GOLDEN = Path(__file__).parents[1] / "golden"
Told = list[tuple[str, Severity]]


def found(detector: Any, parser: Any, path: str, data: bytes | str) -> Told:
    raw = data.encode() if isinstance(data, str) else data
    records = [r for r in parser.parse(File.of(raw, "p1!" + path)) if isinstance(r, Event)]
    events = MemoryEvents().put(parser.FEED, "p1!" + path, records)
    return [(str(f.facts["reason"]), f.severity) for f in registry.run(detector, events, Settings())]


def test_rules_that_let_everybody_or_a_server_act_as_root_are_high_and_the_honest_ones_beside_them_silent() -> None:
    rules = (GOLDEN / "linux_polkit/open.rules").read_bytes()
    path = "/etc/polkit-1/rules.d/00-open.rules"
    told = found(polkit_rules, linux_polkit, path, rules)
    assert told == [("all", Severity.HIGH), ("mighty", Severity.HIGH), ("server", Severity.HIGH)]
    assert found(settings_abuse, linux_polkit, path, rules) == [("command", Severity.HIGH)]  # polkit.spawn
    entries = (GOLDEN / "linux_polkit/everybody.pkla").read_bytes()
    assert found(polkit_rules, linux_polkit, "/etc/polkit-1/localauthority/50-local.d/x.pkla", entries) == [
        ("all", Severity.HIGH)
    ]


HONEST = (
    'if (action.id == "org.freedesktop.packagekit.upgrade-system" && subject.active && subject.isInGroup("sudo")) { return polkit.Result.YES; }',
    'if (action.id == "org.freedesktop.systemd1.manage-units" && subject.isInGroup("wheel")) { return polkit.Result.YES; }',
    'if (action.id.indexOf("org.freedesktop.color-manager.") == 0 && subject.user == "colord") { return polkit.Result.YES; }',
    'if (action.id == "org.freedesktop.login1.reboot") { return polkit.Result.AUTH_ADMIN; }',
    'if (!subject.local) { return polkit.Result.NO; } return polkit.Result.YES;',
    'if (action.id == "org.freedesktop.color-manager.create-device") return polkit.Result.YES;',
)  # fmt: skip


@pytest.mark.parametrize("body", HONEST)
def test_rules_as_distributions_and_administrators_have_them_are_silent(body: str) -> None:
    text = f"polkit.addRule(function(action, subject) {{ {body} }});\n"
    assert found(polkit_rules, linux_polkit, "/usr/share/polkit-1/rules.d/a.rules", text) == []


@pytest.mark.skipif(not Path("/usr/share/polkit-1/rules.d").is_dir(), reason="no polkit on this machine")
def test_the_rules_of_this_machines_packages_are_silent() -> None:
    for path in Path("/usr/share/polkit-1/rules.d").glob("*.rules"):
        assert found(polkit_rules, linux_polkit, str(path), path.read_bytes()) == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/etc/polkit-1/rules.d/x.rules", "polkit.addRule(" * 20_000),
        ("/etc/polkit-1/rules.d/x.rules", "polkit.addRule(function() {" + "if (" * 50_000 + "});"),
        ("/etc/polkit-1/rules.d/x.rules", "polkit.addRule();" * 20_000 + "/*" * 9000),
        ("/etc/polkit-1/localauthority/50-local.d/x.pkla", "[a]\n" + "\n" * 50_000 + "[" * 9000),
        ("/etc/polkit-1/localauthority/50-local.d/x.pkla", "=\n" * 20_000 + "[a]\nIdentity=" + "x;" * 20_000),
    ],
)
def test_hostile_rules_are_bounded(path: str, text: str) -> None:
    at = 0
    for record in linux_polkit.parse(File.of(text.encode(), "p1!" + path)):
        assert record.offset == at
        at += record.length
    assert at == len(text)


def test_a_pod_that_writes_its_host_or_bears_anothers_name_is_high_and_the_control_plane_silent() -> None:
    folder, manifests = GOLDEN / "kubernetes_manifest", "/etc/kubernetes/manifests/"

    def told(name: str, where: str = manifests) -> Told:
        return found(static_pods, kubernetes_manifest, where + name, (folder / name).read_bytes())

    assert told("update.yaml") == [("host", Severity.HIGH), ("false-name", Severity.HIGH)]
    assert told("kube-apiserver.yaml") == []
    assert told("balancer.json") == [("other", Severity.LOW)]


POD = "kind: Pod\nmetadata: {{name: {0}}}\nspec:\n  hostNetwork: true\n  containers: [{{name: {0}, image: {1}, securityContext: {2}}}]\n  volumes: [{{name: v, hostPath: {{path: {3}}}}}]\n"


@pytest.mark.parametrize(
    ("name", "image", "rights", "mount"),
    [
        ("etcd", "registry.k8s.io/etcd:3.5.16-0", "{}", "/var/lib/etcd"),
        ("etcd", "registry.aliyuncs.com/google_containers/etcd:3.5.6-0", "{}", "/etc/kubernetes/pki/etcd"),
        ("kube-vip", "ghcr.io/kube-vip/kube-vip:v0.8.7", "{capabilities: {add: [NET_ADMIN, NET_RAW]}}", "/etc/kubernetes/admin.conf"),
        ("kube-proxy", "index.docker.io/rancher/hardened-kubernetes:v1.31.2", "{privileged: true}", "/var/lib/rancher/rke2/agent"),
        ("haproxy", "haproxy:2.9", "{}", "/etc/haproxy/haproxy.cfg"),
    ],
)  # fmt: skip
def test_what_installers_start_so_is_silent(name: str, image: str, rights: str, mount: str) -> None:
    text = POD.format(name, f'"{image}"', rights, mount)
    assert found(static_pods, kubernetes_manifest, f"/etc/kubernetes/manifests/{name}.yaml", text) == []


def test_rights_without_the_host_are_medium_and_what_the_cluster_applies_is_no_static_pod() -> None:
    text = POD.format("agent", "example.com/agent:1", "{privileged: true}", "/var/lib/agent")
    assert found(static_pods, kubernetes_manifest, "/etc/kubernetes/manifests/a", text) == [
        ("privileged", Severity.MEDIUM)
    ]
    applied = "/var/lib/rancher/k3s/server/manifests/a.yaml"
    assert found(static_pods, kubernetes_manifest, applied, text) == []
    root = POD.format("agent", "example.com/agent:1", "{privileged: true}", "/")
    assert found(static_pods, kubernetes_manifest, applied, root) == [("applied", Severity.MEDIUM)]


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x,x,x]\n" + "".join(f"b{n}: &b{n} [*a,*a,*a,*a]\n" for n in range(9)) + "kind: Pod\n",
        "kind: Pod\nspec: " + "[" * 50_000,
        "kind: Pod\nmetadata:\n" + "".join(" " * n + "a:\n" for n in range(1, 400)),
        "kind: Pod\nspec: {containers: [{command: [&a [x, x], *a, *a]}]}",
        "kind: Pod\n---\n" * 5000,
        "\0" * 4000,
        "kind: Pod\nmetadata: {name: 2026-99-99T00:00:00Z}",
    ],
)
def test_hostile_manifests_are_bounded(text: str) -> None:
    at = 0
    for record in kubernetes_manifest.parse(File.of(text.encode(), "p1!/etc/kubernetes/manifests/x.yaml")):
        assert record.offset == at
        at += record.length
    assert at == len(text)


def test_rules_that_forward_outside_or_hide_ssh_behind_a_web_port_are_told_and_those_of_engines_not() -> None:
    rules = (GOLDEN / "live_firewall/nftables.conf").read_bytes()
    told = found(redirected_traffic, live_firewall, "/etc/nftables.conf", rules)
    assert told == [("redirect-outside", Severity.MEDIUM), ("port-reuse", Severity.MEDIUM)]
    saved = """*nat
:PREROUTING ACCEPT [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
-A KUBE-SEP-ABC -p tcp -m tcp -j DNAT --to-destination 10.244.0.5:53
-A PREROUTING -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 8080
-A PREROUTING -p tcp -m tcp --dport 2222 -j REDIRECT --to-ports 22
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
COMMIT
"""
    assert found(redirected_traffic, live_firewall, "/etc/iptables/rules.v4", saved) == []
    bad = saved.replace("172.17.0.2:80", "203.0.113.9:80")
    assert found(redirected_traffic, live_firewall, "/etc/iptables/rules.v4", bad) == []  # an engine's own chain
    bad = saved.replace("-j REDIRECT --to-ports 8080", "-j DNAT --to-destination 203.0.113.9:80")
    assert found(redirected_traffic, live_firewall, "/etc/iptables/rules.v4", bad) == [
        ("redirect-outside", Severity.MEDIUM)
    ]


def test_a_program_from_memory_or_deleted_is_told_from_logs_and_engines_upgrades_and_tests_are_not() -> None:
    def ran(image: str, line: str = "x") -> tuple[EventKind, str, dict[str, Any]]:
        return (
            EventKind.PROCESS_CREATE,
            "2026-03-02 03:04:05",
            {"user": "www-data", "Image": image, "CommandLine": line},
        )

    events = MemoryEvents().say(
        "linux.audit", "p1!/var/log/audit/audit.log",
        ran("/memfd:a (deleted)", "[kworker/0:1]"), ran("/tmp/.x/upd (deleted)"), ran("/dev/shm/k"), ran("/usr/sbin/sshd (deleted)"),
        ran("/memfd:runc_cloned:/proc/self/exe (deleted)", "runc init"), ran("/proc/self/fd/6", "runc init"), ran("/usr/bin/ls"),
        ran("/usr/lib/systemd/systemd-executor"), ran("/snap/snapd/21759/usr/lib/snapd/snap-confine"), ran("/tmp/go-build1/b001/x.test"),
    )  # fmt: skip
    events.say(
        "linux.journal", "p1!/var/log/journal/a/system.journal",
        (EventKind.LOG_MESSAGE, "2026-03-02 03:05:05", {"_EXE": "/memfd:b (deleted)", "process": "b"}),
        (EventKind.LOG_MESSAGE, "2026-03-02 03:05:06", {"_EXE": "/usr/lib/systemd/systemd"}),
    )  # fmt: skip
    told = [
        (f.facts["reason"], f.facts["program"], f.severity) for f in registry.run(memory_program, events, Settings())
    ]
    assert told == [
        ("shm", "/dev/shm/k", Severity.MEDIUM),
        ("memory", "/memfd:a (deleted)", Severity.HIGH),
        ("memory", "/memfd:b (deleted)", Severity.HIGH),
        ("deleted", "/tmp/.x/upd (deleted)", Severity.HIGH),
    ]
