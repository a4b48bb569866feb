# SPDX-License-Identifier: Apache-2.0
"""The inputs of the benchmarks: made from a fixed seed, so that the same call gives the same bytes everywhere.

They vary as real ones do (addresses, names, numbers and texts differ from line to line, some lines fit nothing), since
a parser that keeps tables of what it has seen is fast on a log that repeats itself. What cannot be fixed: the change times
inside a file system image, which the kernel sets.
"""

from __future__ import annotations

import os
import random
import struct
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

SEED = 20261122
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{}.1 Safari/605.1.15",
    "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:{0}.0) Gecko/20100101 Firefox/{0}.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS {}_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "curl/8.{}.0", "python-requests/2.{}.3", "Go-http-client/1.1", "-",
)  # fmt: skip
_WORDS = ("news", "product", "about", "img", "static", "api", "v1", "user", "order", "cart", "post", "tag", "css", "js")
_ENDS = (".html", ".php", ".css", ".js", ".png", ".jpg", "", "/")
_ODD = (
    '{} - - [{}] "\\x16\\x03\\x01\\x02\\x00\\x01\\x00\\x01\\xFC\\x03\\x03" 400 157 "-" "-"',
    '{} - - [{}] "-" 400 0 "-" "-"',
    '{} - - [{}] "GET /index.php?q=\\x22%27%3E%3Cscript%3E HTTP/1.1" 404 146 "-" "zgrab \\x22x\\x22"',
    '{} - - [{}] "\\x00\\x00" 400',
    "nothing of an access line",
)


def _address(pick: random.Random) -> str:
    return f"{pick.randint(1, 223)}.{pick.randint(0, 255)}.{pick.randint(0, 255)}.{pick.randint(1, 254)}"


def access_log(path: Path, lines: int) -> Path:
    """A combined access log: 20,000 addresses, paths with and without queries, one line in 500 odd."""
    pick = random.Random(SEED)
    addresses = [_address(pick) for _ in range(20_000)]
    agents = [a.format(n) for a in _AGENTS for n in range(90, 130)]
    paths = []
    for _ in range(30_000):
        at = "/".join(pick.choice(_WORDS) for _ in range(pick.randint(1, 4)))
        query = f"?id={pick.randint(1, 99_999)}&page={pick.randint(1, 50)}" if pick.random() < 0.3 else ""
        paths.append(f"/{at}/{pick.randint(1, 9999)}{pick.choice(_ENDS)}{query}")
    now = datetime(2026, 8, 1, tzinfo=UTC)
    second = now.strftime("%d/%b/%Y:%H:%M:%S +0800")
    draw, whole = pick.random, pick.choice
    with open(path, "w", encoding="ascii", newline="\n") as out:
        for _ in range(lines):
            if draw() < 0.3:
                now += timedelta(seconds=1)
                second = now.strftime("%d/%b/%Y:%H:%M:%S +0800")
            client = addresses[int(draw() * draw() * 20_000)]
            if draw() < 0.002:
                out.write(whole(_ODD).format(client, second) + "\n")
                continue
            user = "-" if draw() < 0.99 else "admin"
            method = "GET" if draw() < 0.85 else "POST"
            status = 200 if draw() < 0.8 else whole((301, 304, 403, 404, 500))
            referer = "-" if draw() < 0.5 else "https://www.example.com" + whole(paths)
            out.write(
                f'{client} - {user} [{second}] "{method} {whole(paths)} HTTP/1.1" {status} {int(draw() * 90_000)} '
                f'"{referer}" "{whole(agents)}"\n'
            )
    return path


def auth_log(path: Path, lines: int) -> Path:
    """A BSD auth.log of an exposed server from 20 November 2025 on, across a New Year; its mtime is its last line's."""
    pick = random.Random(SEED)
    addresses = [_address(pick) for _ in range(4_000)]
    names = ["root", "admin", "test", "oracle", "ubuntu", "git", "postgres", *(f"user{n}" for n in range(2_000))]
    now = datetime(2025, 11, 20, 0, 0, 5, tzinfo=UTC)
    step = 86_400 * 90 / lines
    draw, whole = pick.random, pick.choice
    with open(path, "w", encoding="ascii", newline="\n") as out:
        for _ in range(lines):
            now += timedelta(seconds=draw() * 2 * step)
            head = f"{_MONTHS[now.month - 1]} {now.day:2d} {now:%H:%M:%S} web01 "
            pid, client, name, port = int(draw() * 65_000) + 300, whole(addresses), whole(names), int(draw() * 60_000)
            which = draw()
            if which < 0.30:
                text = f"sshd[{pid}]: Failed password for {name} from {client} port {port} ssh2"
            elif which < 0.42:
                text = f"sshd[{pid}]: Failed password for invalid user {name} from {client} port {port} ssh2"
            elif which < 0.54:
                text = f"sshd[{pid}]: Invalid user {name} from {client} port {port}"
            elif which < 0.66:
                text = (
                    f"sshd[{pid}]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= "
                    f"rhost={client}  user={name}"
                )
            elif which < 0.76:
                text = f"sshd[{pid}]: Connection closed by authenticating user {name} {client} port {port} [preauth]"
            elif which < 0.82:
                text = f"sshd[{pid}]: Received disconnect from {client} port {port}:11: Bye Bye [preauth]"
            elif which < 0.86:
                text = f"CRON[{pid}]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)"
            elif which < 0.90:
                text = f"CRON[{pid}]: pam_unix(cron:session): session closed for user root"
            elif which < 0.93:
                key = f"{pid:043d}"
                text = f"sshd[{pid}]: Accepted publickey for {name} from {client} port {port} ssh2: RSA SHA256:{key}"
            elif which < 0.95:
                text = f"sshd[{pid}]: Accepted password for {name} from {client} port {port} ssh2"
            elif which < 0.97:
                text = f"systemd-logind[612]: New session {pid} of user {name}."
            elif which < 0.99:
                text = (
                    f"sudo:   {name} : TTY=pts/{pid % 9} ; PWD=/home/{name} ; USER=root ; "
                    f"COMMAND=/usr/bin/tail -n {pid} /var/log/syslog"
                )
            else:
                text = (
                    f"sshd[{pid}]: error: maximum authentication attempts exceeded for {name} from {client} port {port}"
                )
            out.write(f"{head}{text}\n")
    os.utime(path, (now.timestamp(), now.timestamp()))
    return path


def wtmp(path: Path, records: int) -> Path:
    """Logins and logouts in glibc's 384-byte records, with a boot and a run level now and then; utmp(5)."""
    pick = random.Random(SEED)
    layout = struct.Struct("<hxxi32s4s32s256shhiiiI3i20x")
    addresses = [_address(pick) for _ in range(3_000)]
    seconds = 1_750_000_000
    with open(path, "wb") as out:
        for n in range(records):
            seconds += pick.randint(1, 90)
            client = pick.choice(addresses)
            raw = bytes(map(int, client.split(".")))
            line = f"pts/{n % 40}".encode()
            kind, user, host = 7, f"user{pick.randint(0, 3000)}".encode(), client.encode()
            if n % 2:
                kind, user, host, raw = 8, b"", b"", bytes(4)
            if n % 5_000 == 0:
                kind, user, line, host, raw = 2, b"reboot", b"~", b"6.1.0-18-amd64", bytes(4)
            out.write(
                layout.pack(
                    kind, pick.randint(300, 60_000), line, line[-4:], user, host, 0, 0, n % 100_000, seconds,
                    pick.randint(0, 999_999), int.from_bytes(raw, "little"), 0, 0, 0,
                )
            )  # fmt: skip
    return path


def tree(folder: Path, files: int) -> Path:
    """A folder of so many small files in 400 directories, with fixed times."""
    pick = random.Random(SEED)
    for d in range(400):
        (folder / f"srv/data{d // 20:02d}/part{d:03d}").mkdir(parents=True, exist_ok=True)
    for n in range(files):
        path = folder / f"srv/data{n % 400 // 20:02d}/part{n % 400:03d}/file-{n:06d}.dat"
        path.write_bytes(b"x" * (0 if n % 5 == 0 else pick.randint(1, 3_000)))
        seconds = 1_700_000_000 + pick.randint(0, 60_000_000)
        os.utime(path, (seconds, seconds + n % 1000))
    return folder


def xfs_image(image: Path, folder: Path, mebibytes: int) -> Path:
    """An XFS image of a folder, by a prototype file of mkfs.xfs (all its times are of the making)."""
    lines = ["/", "0 0", "d--755 0 0"]

    def add(below: str) -> None:
        for entry in sorted(os.scandir(below), key=lambda e: e.name):
            if entry.is_dir():
                lines.append(f"{entry.name} d--755 0 0")
                add(entry.path)
                lines.append("$")
            else:
                lines.append(f"{entry.name} ---644 0 0 {entry.path}")

    add(str(folder))
    prototype = image.with_suffix(".proto")
    prototype.write_text("\n".join([*lines, "$", "$", ""]))
    with image.open("wb") as file:
        file.truncate(mebibytes << 20)
    subprocess.run(["mkfs.xfs", "-q", "-f", "-p", str(prototype), str(image)], check=True, capture_output=True)
    prototype.unlink()
    return image


def busy_server(image: Path, sample: Path, lines: int) -> Path:
    """The sample server with the logs of a busier week: ``lines`` of access log, a third of auth.log, a thirtieth of wtmp.

    They are written by debugfs into a raw copy of the sample's ext4 volume (sector 2048), as rotated logs beside its own.
    """
    base = image.with_suffix("")
    subprocess.run(
        ["ewfexport", "-u", "-q", "-f", "raw", "-t", str(base), str(sample)], check=True, capture_output=True
    )
    Path(f"{base}.raw").rename(image)
    Path(f"{base}.raw.info").unlink()
    folder = image.parent
    logs = {
        "/var/log/nginx/access.log.2": access_log(folder / "access", lines),
        "/var/log/auth.log.2": auth_log(folder / "auth", lines // 3),
        "/var/log/wtmp.1": wtmp(folder / "wtmp", lines // 30),
    }
    orders = folder / "orders"
    orders.write_text("".join(f"rm {name}\nwrite {path} {name}\n" for name, path in logs.items()))
    subprocess.run(
        ["debugfs", "-w", "-f", str(orders), f"{image}?offset={2048 * 512}"], check=True, capture_output=True
    )
    for path in (*logs.values(), orders):
        path.unlink()
    return image


def ext4_image(image: Path, folder: Path, size: str, inodes: int) -> Path:
    """An ext4 image of a folder, by mke2fs (its times are the folder's, and change times are of today)."""
    subprocess.run(
        ["mke2fs", "-q", "-t", "ext4", "-F", "-N", str(inodes), "-d", str(folder), str(image), size],
        check=True,
        capture_output=True,
    )
    return image
