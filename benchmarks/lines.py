# SPDX-License-Identifier: Apache-2.0
"""How many log lines per CPU second reach Parquet, with their byte offsets and typed fields?

    python benchmarks/lines.py [--lines 300000] [--keep DIR]

Generates an auth.log (BSD heads) and an access log (combined) from a seed, prints the SHA-256 of each input, then reads it
with the grammar and writes every batch as Parquet (zstd); CPU seconds are user + system of this process, all threads.
"reference" is one regex over zero-copy lines and the same writing: the figure to beat, taken in the same run, because a
busy machine slows both. Each figure is the best of three.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl

from headwater.examine.line_blocks import line_blocks
from headwater.examine.lines import line_batches
from headwater.examine.parsers import linux_auth, web_access
from headwater.model.records import Facts, File

AUTH_REFERENCE = r"^([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) (\S+) ([^\s\[:]+)(?:\[(\d+)\])?: (.*)$"
ACCESS_REFERENCE = r'^(\S+) (\S+) (\S+) \[([^\]]+)\] "(\S+) (\S+) ([^"]+)" (\d{3}) (\d+|-) "([^"]*)" "([^"]*)"$'


def auth_lines(count: int, chance: random.Random) -> Iterator[str]:
    """Guessing from many addresses between cron jobs, logins and sudo: shares as in a month of a public server."""
    users = ["root"] * 6 + ["admin", "test", "oracle", "ubuntu", "git", "postgres", "pi", "user"]
    # one address tries many times: the 2,000 lines of OpenSSH_2k.log name 33
    peers = [".".join(str(chance.randrange(1, 255)) for _ in range(4)) for _ in range(1 + count // 60)]
    second = 0
    for number in range(count):
        second += chance.randrange(4)
        day, rest = divmod(second, 86_400)
        head = f"{['Mar', 'Apr', 'May', 'Jun'][day // 28 % 4]} {day % 28 + 1:2d} "
        head += f"{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d} web01 "
        pid, port = 1000 + number % 60_000, chance.randrange(1024, 65_536)
        ip = chance.choice(peers)
        user = chance.choice(users)
        sort = chance.random()
        invalid = "invalid user " if user != "root" else ""
        if sort < 0.26:
            yield f"{head}sshd[{pid}]: Failed password for {invalid}{user} from {ip} port {port} ssh2"
        elif sort < 0.48:
            named = "  user=root" if not invalid else " "
            yield (
                f"{head}sshd[{pid}]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= "
                f"rhost={ip}{named}"
            )
        elif sort < 0.58:
            yield f"{head}sshd[{pid}]: Invalid user {user} from {ip} port {port}"
        elif sort < 0.68:
            yield f"{head}sshd[{pid}]: Received disconnect from {ip} port {port}:11: Bye Bye [preauth]"
        elif sort < 0.78:
            which = "invalid" if invalid else "authenticating"
            yield f"{head}sshd[{pid}]: Disconnected from {which} user {user} {ip} port {port} [preauth]"
        elif sort < 0.84:
            yield f"{head}sshd[{pid}]: pam_unix(sshd:auth): check pass; user unknown"
        elif sort < 0.88:
            yield f"{head}CRON[{pid}]: (root) CMD (cd / && run-parts --report /etc/cron.hourly)"
        elif sort < 0.92:
            yield f"{head}CRON[{pid}]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)"
        elif sort < 0.96:
            yield f"{head}CRON[{pid}]: pam_unix(cron:session): session closed for user root"
        elif sort < 0.98:
            yield f"{head}sshd[{pid}]: Accepted password for deploy from {ip} port {port} ssh2"
        else:
            yield f"{head}sudo:   deploy : TTY=pts/0 ; PWD=/home/deploy ; USER=root ; COMMAND=/bin/systemctl status n{port}"


def access_lines(count: int, chance: random.Random) -> Iterator[str]:
    chrome = (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36"
    )
    agents = [chrome.format(n) for n in range(90, 130)] + ["curl/7.88.1", "-", "Mozilla/5.0 zgrab/0.x"]
    paths = ["/", "/index.php", "/static/js/app.js", "/wp-login.php", "/api/v1/items", "/images/logo.png"]
    second = 0
    for _ in range(count):
        second += chance.randrange(2)
        day, rest = divmod(second, 86_400)
        ip = (
            f"{chance.choice((10, 45, 114, 203))}.{chance.randrange(8)}.{chance.randrange(256)}.{chance.randrange(256)}"
        )
        query = f"?id={chance.randrange(100_000)}" if chance.random() < 0.3 else ""
        yield (
            f"{ip} - - [{day % 28 + 1:02d}/Mar/2026:{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d} +0800] "
            f'"{chance.choice(("GET", "GET", "GET", "POST"))} {chance.choice(paths)}{query} HTTP/1.1" '
            f"{chance.choice((200, 200, 200, 304, 404, 500))} {chance.randrange(60_000)} "
            f'"{chance.choice(("-", "-", "https://www.example.com/"))}" "{chance.choice(agents)}"'
        )


def _read(module: ModuleType, path: Path, out: Path) -> int:
    with path.open("rb") as handle:

        def pread(at: int, length: int) -> bytes:
            handle.seek(at)
            return handle.read(length)

        file = File(str(path), path.stat().st_size, pread, facts=Facts(year=2026))
        rows = 0
        for number, batch in enumerate(line_batches(module.GRAMMAR, file)):
            batch.events.write_parquet(out / f"{number}.parquet", compression="zstd")
            rows += batch.events.height
        return rows


def _reference(pattern: str, path: Path, out: Path) -> int:
    data = path.read_bytes()
    rows = 0
    for number, part in enumerate(line_blocks(File.of(data), 16 << 20)):
        frame = part.lines.text().str.extract_groups(pattern).struct.unnest()
        places = [pl.Series("offset", part.offset), pl.Series("length", np.asarray(part.length))]
        frame.with_columns(places).write_parquet(out / f"r{number}.parquet", compression="zstd")
        rows += frame.height
    return rows


def _rate(run: Callable[[], int]) -> tuple[float, float]:
    """Lines per CPU second and CPU seconds, best of three."""
    best = (0.0, 0.0)
    for _ in range(3):
        started = time.process_time()
        rows = run()
        spent = time.process_time() - started
        best = max(best, (rows / spent, spent))
    return best


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--lines", type=int, default=300_000)
    arguments.add_argument("--keep", type=Path)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.keep or Path(scratch)
        folder.mkdir(exist_ok=True)
        for name, lines, module, pattern in (
            ("auth.log", auth_lines, linux_auth, AUTH_REFERENCE),
            ("access.log", access_lines, web_access, ACCESS_REFERENCE),
        ):
            path = folder / name
            path.write_text("\n".join(lines(given.lines, random.Random(20260302))) + "\n", encoding="utf-8")
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            print(f"{name}: {given.lines} lines, {path.stat().st_size} bytes, sha256 {digest}")
            assert _read(module, path, folder) == given.lines
            for label, run in (
                ("headwater", lambda module=module, path=path: _read(module, path, folder)),
                ("reference", lambda pattern=pattern, path=path: _reference(pattern, path, folder)),
            ):
                rate, spent = _rate(run)
                print(f"  {label:10} {rate:12,.0f} lines per CPU s   {spent:6.2f} CPU s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:.0f} MiB (resident)")


if __name__ == "__main__":
    main()
