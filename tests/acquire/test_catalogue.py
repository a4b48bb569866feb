# SPDX-License-Identifier: Apache-2.0
"""What to collect is data: nothing that the rules of evidence ask for may fall out of it unseen."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.acquire.catalogue import PLATFORMS, artifacts, choose, profiles
from headwater.acquire.catalogue_foreign import definitions
from headwater.acquire.collector_patterns import compiled, expanded, homes, resolved, step, users, web_roots
from headwater.model.errors import UsageError

SHARED = Path(__file__).parents[3] / "shared/data/artifacts/artifacts/data"
ASKED_COMMANDS = (
    "crontab -l -u {user}", "ss -antpe", "netstat -antp", "lsof -n -P -i", "lsof -n -P", "ps -efww", "top -b",
    "systemctl list-units", "find / -xdev -mtime -7 -ls", "lastb", "last -a",
)  # fmt: skip
ASKED_FILES = (
    "/var/log/auth.log", "/var/log/syslog.2.gz", "/var/log/messages", "/var/log/secure-20261101", "/var/log/cron",
    "/root/.bash_history", "/home/alice/.zsh_history", "/etc/passwd", "/etc/shadow", "/etc/group", "/etc/crontab",
    "/var/spool/cron/crontabs/root", "/etc/cron.d/x", "/etc/cron.daily/y", "/tmp/a/b", "/var/tmp/c", "/dev/shm/d",
    "/root/.ssh/authorized_keys", "/home/bob/.ssh/authorized_keys2", "/etc/rc.local", "/etc/init.d/ssh", "/usr/local/bin/tool",
    "/www/wwwlogs/site.com.log", "/www/server/panel/data/default.db", "/var/lib/mysql/binlog.000001", "/etc/redis/redis.conf",
    "/opt/apache-tomcat-9/logs/catalina.out", "/var/log/nginx/access.log.1", "/etc/php-fpm.d/www.conf", "/var/lib/dpkg/status",
    "/var/lib/rpm/Packages", "/usr/local/aegis/aegis_client/data/data.1", "/var/log/ufw.log", "/etc/systemd/system/x.service",
    "/etc/ld.so.preload", "/var/log/journal/abc/system.journal", "/var/log/remote/asa/fw1.log", "/var/www/html/index.php",
    "/var/lib/docker/containers/abc/abc-json.log",
)  # fmt: skip
ASKED_WINDOWS = (
    "/Windows/System32/winevt/Logs/Security.evtx", "/Windows/System32/config/SYSTEM", "/Users/x/NTUSER.DAT", "/$MFT",
    "/Windows/System32/Tasks/Microsoft/x", "/Windows/Prefetch/CMD.EXE-0.pf", "/$Extend/$UsnJrnl:$J",
)  # fmt: skip


def _takes(profile: str, platform: str) -> list[tuple[str, object, object]]:
    found = []
    for artifact in choose(profile, (platform,), secrets=True).artifacts:
        for what in artifact.collect:
            patterns = [p.encode() for p in what.get("files", ())]
            real = [r for p in patterns for r in expanded(p, [b"/root", b"/home/*"], [])]
            windows = platform == "windows"
            no = compiled([p.encode() for p in what.get("exclude", ())], windows)
            found.append((artifact.name, compiled(real, windows), no))
    return found


def _taken(rules: list[tuple[str, object, object]], path: str) -> bool:
    return any(
        yes is not None and yes.match(path.encode()) and not (no is not None and no.match(path.encode()))  # type: ignore[attr-defined]
        for _, yes, no in rules
    )


def test_full_profile_takes_every_path_and_command_that_is_asked_for() -> None:
    lines = [
        " ".join(c["command"])
        for a in choose("full", ("linux",), secrets=True).artifacts
        for c in a.collect
        if "command" in c
    ]
    for asked in ASKED_COMMANDS:
        assert any(line.startswith(asked) for line in lines), asked
    rules = _takes("full", "linux")
    for path in ASKED_FILES:
        assert _taken(rules, path), path
    rules = _takes("full", "windows")
    for path in ASKED_WINDOWS:
        assert _taken(rules, path), path


@pytest.mark.parametrize("profile", ["triage", "ransomware", "web"])
def test_smaller_profiles_keep_what_decides_a_case(profile: str) -> None:
    rules = _takes(profile, "linux")
    for path in (
        "/var/log/auth.log",
        "/root/.bash_history",
        "/etc/passwd",
        "/etc/crontab",
        "/tmp/x",
        "/root/.ssh/authorized_keys",
    ):
        assert _taken(rules, path), path


def test_every_artifact_says_what_and_why_and_most_volatile_come_first() -> None:
    for name, one in artifacts().items():
        assert one.title.zh, name
        assert one.why.zh, name
        assert one.why.en, name
        assert one.platform in PLATFORMS
        assert 1 <= one.volatility <= 8
    ranks = [a.volatility for a in choose("full", ("linux",), secrets=True).artifacts]
    assert ranks == sorted(ranks)
    for title, members in profiles().values():
        assert title.zh
        assert set(members) <= set(artifacts())


def test_secrets_are_withheld_by_name_unless_they_may_be_taken() -> None:
    chosen = choose("full", ("linux",), secrets=False)
    assert "shadow" in chosen.withheld
    rules = []
    for artifact in chosen.artifacts:
        for what in artifact.collect:
            rules.append((artifact.name, compiled(p.encode() for p in what.get("files", ())),
                          compiled(p.encode() for p in what.get("exclude", ()))))  # fmt: skip
    for path in ("/etc/shadow", "/etc/gshadow-", "/etc/ssh/ssh_host_rsa_key", "/etc/ssl/private/a.key"):
        assert not _taken(rules, path), path


def test_command_that_would_write_on_the_server_is_in_no_profile() -> None:
    for _, members in profiles().values():
        assert "rpm-qa" not in members
    assert "rpm-qa" in {a.name for a in choose("triage", ("linux",), also=("rpm-qa",), secrets=False).artifacts}


def test_unknown_name_is_refused() -> None:
    with pytest.raises(UsageError, match="HW2100"):
        choose("everything", ("linux",), secrets=True)


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data/artifacts is absent")
def test_forensic_artifacts_can_be_collected_and_what_cannot_is_said() -> None:
    linux = definitions(SHARED, "linux")
    assert len(linux) > 250
    chosen = choose("LinuxAuditLogs,TriageDatabaseConfigsAndLogs", ("linux",), secrets=True, foreign=linux)
    paths = [p for a in chosen.artifacts for c in a.collect for p in c.get("files", ())]
    assert "/var/log/audit/*" in paths
    assert any("mysql" in p for p in paths)
    windows = definitions(SHARED, "windows")
    hives = choose("WindowsXMLEventLogApplication", ("windows",), secrets=True, foreign=windows)
    found = [p for a in hives.artifacts for c in a.collect for p in c.get("files", ())]
    assert "/Windows/System32/winevt/Logs/Application.evtx" in found
    assert not any("%%" in p for a in windows.values() for one in a for c in one.collect for p in c.get("files", ()))
    left = [w for made in windows.values() for one in made for w in one.left_out]
    assert "REGISTRY_KEY" in left


def test_definitions_that_are_broken_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("name: [")
    with pytest.raises(UsageError, match="HW2101"):
        definitions(tmp_path, "linux")
    with pytest.raises(UsageError, match="HW2101"):
        definitions(tmp_path / "none", "linux")


def test_walk_and_expression_agree_on_every_pattern() -> None:
    """The live walk goes name by name, an image is matched by whole paths: both must mean the same."""
    import itertools

    names = (b"a", b"b", b".c", b"ab")
    paths = [b"/".join(p) for n in (1, 2, 3, 4) for p in itertools.product(names, repeat=n)]
    patterns = (
        b"/a", b"/*", b"/a*", b"/?b", b"/a/**", b"/**/b", b"/a/**/b", b"/*/b/**", b"/[ab]/*", b"/[!a]*/**", b"/**/a*/**/b",
        b"/a/*/b", b"/**",
    )  # fmt: skip
    for pattern in patterns:
        made = compiled([pattern])
        assert made is not None
        for path in paths:
            states, meant = [[p for p in pattern.split(b"/") if p]], False
            for name in path.split(b"/"):
                meant, states = step(states, name)
            assert meant == bool(made.match(b"/" + path)), (pattern, path)


PASSWD = b"""root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
alice:x:1000:1000::/home/alice:/bin/bash
pg:x:26:26::/var/lib/pgsql:/bin/bash
odd name:x:1:1::/x:/bin/sh
evil;rm:x:1:1::/proc/1:/bin/sh
backdoor:x:0:0::/dev/shm/.x/..:/bin/sh
up:x:0:0::/var/../../etc/../srv/up:/bin/sh
short:x:0
"""


def test_homes_are_all_homes_and_no_user_name_is_a_command() -> None:
    assert homes(PASSWD) == [b"/root", b"/home/*", b"/usr/sbin", b"/var/lib/pgsql", b"/x", b"/srv/up"]
    assert users(PASSWD) == [b"root", b"daemon", b"alice", b"pg", b"backdoor", b"up"]


def test_web_roots_are_read_from_the_configuration_and_never_the_whole_system() -> None:
    config = b"""
      server { root /srv/site; location /x { alias "/data/pics/"; } }
      DocumentRoot "/var/www/shop"
      root /;
      root /etc;
      root /var/www/../../../;
      # root /commented;
      root $home/site;
    """
    assert web_roots(config) == [b"/srv/site", b"/data/pics", b"/var/www/shop"]


def test_links_of_the_fixed_part_are_gone_through_and_circles_end() -> None:
    links = {b"/bin": b"usr/bin", b"/a": b"b", b"/b": b"/a", b"/var/log": b"../data/log", b"/up": b"../../.."}
    assert resolved(b"/bin/**", links.get) == ([b"/usr/bin/**"], [b"/bin"])
    assert resolved(b"/var/log/*.log", links.get) == ([b"/data/log/*.log"], [b"/var/log"])
    assert resolved(b"/a/x", links.get) == ([], [b"/a", b"/b"])
    assert resolved(b"/up/etc/x", links.get) == ([b"/etc/x"], [b"/up"])
    assert resolved(b"/*/bin", links.get) == ([b"/*/bin"], [])
