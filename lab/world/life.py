# SPDX-License-Identifier: Apache-2.0
"""The benign week: administrators, deployments, visitors and the harmless noise of the internet."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta, timezone
from functools import partial

from actors import Terminal, fetch, guess, probe, record

CST = timezone(timedelta(hours=8))
SEED = 20261102
DAYS = {"week": range(2, 9), "web01": (8, 9), "benign01": (8, 9)}
PASSWORD = {"alice": "Tian-Shan-8848", "bob": "qianB0b#2024", "carol": "Sun&Moon-77"}
VISITORS = [f"192.0.2.{n}" for n in range(10, 50)] + [f"203.0.113.{n}" for n in range(120, 150)]
SCANNERS = ["192.0.2.201", "192.0.2.214", "198.51.100.171", "203.0.113.188", "198.51.100.140"]
GUESSERS = ["192.0.2.230", "192.0.2.77", "198.51.100.201", "203.0.113.219", "198.51.100.77", "192.0.2.118"]
AGENTS = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/132.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "Mozilla/5.0 (X11; Linux x86_64; rv:135.0) Gecko/20100101 Firefox/135.0",
    "Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)",
]
PAGES = ["/", "/products.php", "/products.php?id=1", "/products.php?id=3", "/products.php?id=5", "/about.html"]
LOST = ["/favicon.ico", "/products.php?id=99", "/apple-touch-icon.png", "/sitemap.xml"]
SCANS = ["/wp-login.php", "/.env", "/phpmyadmin/index.php", "/admin.php", "/.git/config", "/xmlrpc.php", "/boaform"]
SCANS += ["/login", "/owa/", "/cgi-bin/luci"]
Event = tuple[datetime, Callable[[], None]]


def at(day: int, hour: int, minute: int, second: int = 0) -> datetime:
    """A moment of November 2026 by the server's clock on the wall."""
    return datetime(2026, 11, day, hour, minute, second, tzinfo=CST)


def visit(source: str, pages: list[str], agent: str) -> None:
    """One visitor looks at some pages."""
    for page in pages:
        fetch(source, page, agent, referer="" if page == pages[0] else "http://www.corp.example/")
        time.sleep(random.Random(page).uniform(1, 9))


def scan(source: str, pages: list[str]) -> None:
    """A scanner asks for pages that this server does not have."""
    for page in pages:
        fetch(source, page, "Mozilla/5.0 zgrab/0.x")
    record(act="scan", source=source, requests=len(pages))


def alice(source: str, lines: list[str], typo: bool) -> None:
    """The first administrator; mostly by key, sometimes by password with a slip of the fingers."""
    if typo:
        t = Terminal(source, "alice", ["Tian-Shan-8849", PASSWORD["alice"]])
    else:
        t = Terminal(source, "alice", key="alice")
        t.secret = PASSWORD["alice"]
    for line in lines:
        t.type(line, 7)
    t.leave()


def person(source: str, user: str, lines: list[str], slips: int = 0, answers: list[str] | None = None) -> None:
    """Anyone who logs in with a password, after `slips` wrong ones."""
    t = Terminal(source, user, [PASSWORD[user] + "x"] * slips + [PASSWORD[user]])
    for line in lines:
        t.type(line, 9, answers)
    t.leave()


def add_carol() -> None:
    """A legitimate new account, as a colleague's first day needs it."""
    t = Terminal("10.20.0.21", "alice", key="alice")
    t.secret = PASSWORD["alice"]
    t.type("sudo useradd -m -s /bin/bash -c 'Carol Sun' carol", 5)
    t.type("sudo passwd carol", 5, [PASSWORD["carol"], PASSWORD["carol"]])
    t.type("sudo usermod -aG www-data carol", 5)
    t.type("id carol", 3)
    t.leave()


def deploy() -> None:
    """The build host copies the style sheet and lists the result, by its own key."""
    ssh = "ssh -b 10.20.0.30 -i /lab/keys/ci -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
    site = "deploy@10.20.0.15"
    subprocess.run(["rsync", "-a", "-e", ssh, "/lab/site/", f"{site}:/var/www/html/assets/"], check=False, timeout=600)
    command = [*ssh.split(), site, "cd /var/www/html && ls -l assets"]
    subprocess.run(command, check=False, timeout=600, capture_output=True)
    record(act="deploy", source="10.20.0.30", user="deploy")


def people(days: Iterable[int]) -> Iterator[Event]:
    """What the staff does, day by day; the last Monday morning belongs to `last_morning`."""
    look = ["uptime", "df -h /", "sudo systemctl status nginx --no-pager | head -5"]
    for day in days:
        rng = random.Random(f"{SEED}:people:{day}")
        yield at(day, 18, rng.randint(2, 9), rng.randint(0, 59)), deploy
        if day < 7:
            lines = [*look, rng.choice(["sudo tail -n 5 /var/log/nginx/error.log", "sudo tail -n 3 /var/log/syslog"])]
            when = at(day, 9, rng.randint(1, 20), rng.randint(0, 59))
            yield when, partial(alice, "10.20.0.21", lines, day in (3, 6))
            mine = ["ls -l /srv/backup", "tail -n 3 /var/log/backup.log", "free -m"]
            mine.append("sudo journalctl -u php8.2-fpm -n 3 --no-pager")
            when = at(day, 14, rng.randint(5, 40), rng.randint(0, 59))
            yield when, partial(person, "10.20.0.22", "bob", mine, {3: 1, 5: 2}.get(day, 0))
    apt = ["sudo apt-get update", "sudo apt-get install -y tree", "tree -L 1 /srv/data"]
    yield at(3, 10, 12, 9), lambda: alice("10.20.0.21", apt, False)
    yield at(4, 11, 3, 30), add_carol
    yield at(5, 9, 41, 12), lambda: person("10.20.0.23", "carol", ["passwd --status", "ls -l /var/www/html", "pwd"])
    entry = "0 9 * * 1-5 df -h > /home/bob/df.txt"
    cron = ["crontab -l", f"(crontab -l 2>/dev/null; echo '{entry}') | crontab -", "crontab -l"]
    yield at(4, 15, 22, 4), lambda: person("10.20.0.22", "bob", cron)
    more = ["sudo apt-get update", "sudo apt-get install -y pv", "pv --version | head -1"]
    more += ["sudo nginx -t", "sudo systemctl reload nginx"]
    yield at(5, 16, 8, 44), lambda: alice("10.20.0.21", more, False)
    keep = ["sudo rsync -a /srv/backup/ /var/backups/data/", "sudo du -sh /var/backups/data", "sudo visudo -c"]
    yield at(6, 16, 31, 10), lambda: alice("10.20.0.21", keep, False)


def noise(days: Iterable[int]) -> Iterator[Event]:
    """Visitors, scanners and password guessers of no consequence."""
    for day in days:
        rng = random.Random(f"{SEED}:noise:{day}")
        for _ in range(34):
            pages = [*rng.choices(PAGES, k=rng.randint(1, 4)), "/assets/site.css"]
            pages += rng.choices(LOST, k=rng.randint(0, 1))
            who, agent = rng.choice(VISITORS), rng.choice(AGENTS)
            hour = min(23, max(0, int(rng.gauss(14, 4.5))))
            yield at(day, hour, rng.randint(0, 59), rng.randint(0, 59)), lambda w=who, p=pages, a=agent: visit(w, p, a)
        for source in rng.sample(SCANNERS, 2):
            some = rng.sample(SCANS, rng.randint(4, 8))
            yield at(day, rng.randint(0, 23), rng.randint(0, 59)), lambda s=source, p=some: scan(s, p)
        hello = bytes.fromhex("16030100c8010000c40303") + rng.randbytes(32)
        source = rng.choice(SCANNERS)
        yield at(day, rng.randint(0, 23), rng.randint(0, 59)), lambda s=source, h=hello: probe(s, h)
        for source in rng.sample(GUESSERS, 3):
            user = rng.choice(["root", "admin", "test", "ubuntu", "user", "oracle"])
            tries = [f"{user}{n}" for n in range(rng.randint(1, 3))]
            yield at(day, rng.randint(0, 23), rng.randint(0, 59)), lambda s=source, u=user, w=tries: guess(s, u, w)


def last_morning(intrusion: bool) -> None:
    """The end of a boot: a planned snapshot, or a discovery; the power goes off."""
    t = Terminal("10.20.0.21", "alice", key="alice")
    t.secret = PASSWORD["alice"]
    t.type("uptime", 5)
    t.type("ls /srv/data", 9)
    if intrusion:
        t.type("cat /srv/data/README_RESTORE.txt", 30)
        t.type("ls -la /srv/data/contracts | head", 20)
        t.type("sudo last -n 10", 20)
    t.type("sudo systemctl poweroff", 1)


def week(phase: str) -> list[Event]:
    """The benign events of one boot, in order of time: the week to Sunday morning, or the day and night after it."""
    days = DAYS[phase]
    end = at(days[-1], 9, 12, 40)
    events = [e for e in [*people(days), *noise(days)] if e[0] < end]
    return sorted([*events, (end, partial(last_morning, phase == "web01"))], key=lambda e: e[0])
