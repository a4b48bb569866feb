# SPDX-License-Identifier: Apache-2.0
"""What real programs log on an ordinary day, and a scanner that got nothing, must raise no finding above low.

SOURCE: made when the test runs: the package logs of the machine itself where it keeps any, the access log of a server on the
loopback asked by a bounded client, archives made by tar; the lines of cron, logrotate, sshd, rsync and unattended-upgrades are
written here after these programs' own message texts.
"""

from __future__ import annotations

import http.client
import http.server
import json
import os
import threading
import time
from pathlib import Path

from headwater.cli.main import main

TRIES = (
    "/", "/index.html", "/robots.txt", "/sitemap.xml", "/missing.css", "/.env", "/.git/HEAD", "/wp-login.php", "/admin/", "/phpmyadmin/",
    "/cgi-bin/test.cgi", "/server-status", "/actuator/env", "/manager/html", "/index.php?id=1'%20or%20'1'='1", "/a.php?id=1+union+select+1",
    "/..%2f..%2f..%2fetc/passwd", "/cgi-bin/%2e%2e/%2e%2e/bin/sh?id", "/?x=${jndi:ldap://127.0.0.1/a}", "/shell.php?cmd=id", "/c99.php?cmd=whoami",
    "/index.html?n={{7*7}}", "/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php", "/upload.php", "/index.html?c=$(id)",
)  # fmt: skip
PACKAGE_LOGS = ("/var/log/dpkg.log", "/var/log/apt/history.log", "/var/log/alternatives.log")
MOST = 200_000  # bytes of each log of the machine


def _web(folder: Path) -> None:
    """A server on the loopback logs what a scanner, a monitor, a robot and a visitor asked for."""
    site, lines = folder / "var/www/html", []
    site.mkdir(parents=True)
    (site / "index.html").write_text("<p>welcome</p>")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *given: object) -> None:
            super().__init__(*given, directory=os.fspath(site))  # type: ignore[arg-type]

        def log_request(self, code: object = "-", size: object = "-") -> None:
            when = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime())
            who = {"scan": "203.0.113.60", "Googlebot/2.1": "198.51.100.7"}.get(self.headers["User-Agent"], "10.0.0.5")
            code = getattr(code, "value", code)
            lines.append(f'{who} - - [{when}] "{self.requestline}" {code} 120 "-" "{self.headers["User-Agent"]}"\n')

        def log_message(self, *given: object) -> None:
            """The log of the test is the access log."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        asked = [("scan", t) for t in TRIES] + [("scan", f"/old{n}.bak") for n in range(40)]
        asked += [("Googlebot/2.1", f"/gone/{n}") for n in range(30)] + [("Zabbix", "/index.html?health=1")] * 20
        for agent, path in asked:
            client = http.client.HTTPConnection(*server.server_address[:2], timeout=10)
            client.request("POST" if path == "/upload.php" else "GET", path, headers={"User-Agent": agent})
            client.getresponse().read()
            client.close()
        server.shutdown()
    log = folder / "var/log/nginx/access.log"
    log.parent.mkdir(parents=True)
    log.write_text("".join(lines))


# what monitoring agents and Ansible run by sudo
AGENTS = (
    ("zabbix", "/usr/sbin/smartctl -a /dev/sda"), ("zabbix", "/usr/bin/netstat -tlnp"), ("nrpe", "/usr/lib/nagios/plugins/check_disk -w 10% -p /"),
    ("telegraf", "/usr/bin/docker ps --format {{.Names}}"), ("prometheus", "/usr/sbin/dmidecode -t memory"), ("zabbix", "/usr/sbin/iptables -L -n"),
    ("ansible", "/bin/sh -c echo BECOME-SUCCESS-abc ; /usr/bin/python3 /home/ansible/.ansible/tmp/ansible-tmp-1/AnsiballZ_setup.py"),
)  # fmt: skip


def _agents(folder: Path) -> None:
    """Start-up files of agents and of ordinary tools that live in hidden folders."""
    units, crons = folder / "etc/systemd/system", folder / "var/spool/cron/crontabs"
    units.mkdir(parents=True)
    crons.mkdir(parents=True)
    for name, run in (
        ("node_exporter", "/usr/local/bin/node_exporter --collector.textfile.directory=/var/lib/node_exporter"),
        ("shop", "/opt/shop/.venv/bin/gunicorn -b 127.0.0.1:8000 shop:app"),
        ("zabbix-agent", "/usr/sbin/zabbix_agentd -c /etc/zabbix/zabbix_agentd.conf"),
    ):
        (units / f"{name}.service").write_text(f"[Service]\nExecStart={run}\n[Install]\nWantedBy=multi-user.target\n")
    (crons / "root").write_text(
        '12 0 * * * "/root/.acme.sh"/acme.sh --cron --home "/root/.acme.sh" > /dev/null\n'
        "*/5 * * * * flock -xn /tmp/stargate.lock -c '/usr/local/qcloud/stargate/admin/start.sh > /dev/null 2>&1 &'\n"
        "30 2 * * * borg create ssh://borg@10.0.0.8/./web01::{now} /srv && restic -r sftp:b@10.0.0.8:/r backup /etc\n"
    )


def _system(folder: Path) -> None:
    """Cron storms, rotation, a nightly backup, updates, an administrator's login."""
    log = folder / "var/log"
    stamp = "Nov  {day:2d} {hour:02d}:{minute:02d}:01 web01 "
    lines, auth = [], []
    for day in range(1, 8):
        for n in range(0, 24 * 60, 10):
            at = stamp.format(day=day, hour=n // 60, minute=n % 60)
            lines.append(
                at
                + f"CRON[{1000 + n}]: (root) CMD (test -x /usr/sbin/anacron || run-parts --report /etc/cron.hourly)\n"
            )
        night = stamp.format(day=day, hour=2, minute=30)
        lines += [night + f"CRON[900]: (root) CMD ({job})\n" for job in (
            "tar -czf /srv/backup/etc.tgz /etc", "rsync -a --delete /srv/data/ backup@10.0.0.8:/srv/backup/web01/",
            "mysqldump --all-databases | gzip > /srv/backup/all.sql.gz", "/usr/sbin/logrotate /etc/logrotate.conf")]  # fmt: skip
        lines.append(night + "systemd[1]: logrotate.service: Deactivated successfully.\n")
        lines.append(
            night + "systemd[1]: Starting apt-daily-upgrade.service - Daily apt upgrade and clean activities...\n"
        )
        noon = stamp.format(day=day, hour=9, minute=5)
        auth.append(
            noon + "sshd[700]: Accepted publickey for alice from 10.0.0.22 port 50000 ssh2: ED25519 SHA256:abc\n"
        )
        auth.append(noon + "sshd[700]: pam_unix(sshd:session): session opened for user alice(uid=1000) by (uid=0)\n")
        auth.append(
            noon + "sudo:    alice : TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/usr/bin/apt-get upgrade\n"
        )
        auth += [
            noon + f"sshd[8{n:02d}]: Failed password for invalid user admin from 203.0.113.50 port {4000 + n} ssh2\n"
            for n in range(40)
        ]
        auth += [noon + f"sudo:   {who} : PWD=/ ; USER=root ; COMMAND={run}\n" for who, run in AGENTS]
    _agents(folder)
    (log / "syslog").write_text("".join(lines))
    (log / "auth.log").write_text("".join(auth))
    updates = log / "unattended-upgrades/unattended-upgrades.log"
    updates.parent.mkdir(parents=True)
    updates.write_text(
        "2026-11-05 06:10:01,100 INFO Starting unattended upgrades script\n"
        "2026-11-05 06:10:09,200 INFO Packages that will be upgraded: openssl libssl3\n"
        "2026-11-05 06:10:30,300 INFO All upgrades installed\n"
    )
    for name in PACKAGE_LOGS:
        if os.path.exists(name):
            copy = folder / name.lstrip("/")
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(Path(name).read_bytes()[:MOST].rpartition(b"\n")[0] + b"\n")


def test_an_ordinary_week_and_a_failed_scan_raise_nothing_above_low(tmp_path: Path) -> None:
    folder, case = tmp_path / "host", tmp_path / "case"
    folder.mkdir()
    _web(folder)
    _system(folder)
    asked = ["investigate", os.fspath(folder), "--case", os.fspath(case), "--no-authority", "a test", "--examiner", "A"]
    assert main([*asked, "--examiner", "B", "--zone", "UTC"]) == 0
    findings = [json.loads(line) for line in (case / "findings.jsonl").read_text().splitlines()]
    above = [(f["rule"], f["severity"], f["text"]["en"]) for f in findings if f["severity"] not in ("low", "info")]
    assert above == []
    # the scan is not passed over in silence: one client, told once by each detector that saw it
    told = [f for f in findings if f["rule"] == "web-chain"]
    assert [f["src_ip"] for f in told] == ["203.0.113.60"]
