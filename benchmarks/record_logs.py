# SPDX-License-Identifier: Apache-2.0
"""How many lines per CPU second do logs give that are read by objects or records: a cluster's, a database's, an application's?

    python benchmarks/record_logs.py [--lines 20000] [--times 2] [PARSER …]

One process without start-up, up to the batches; nothing is written. The logs are made from a seed (``made_logs.py``); a parser that
is named and has none reads the largest text fixture of its golden, repeated, which flatters what is remembered.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator

from inputs import SEED
from made_logs import MADE
from measuring import ROOT, say_machine

from headwater.examine import registry
from headwater.examine.reading import Reading, run
from headwater.formats.sources import MemorySource
from headwater.model.records import Facts, File

_VERBS, _KINDS = ("get", "list", "watch", "create", "update"), ("pods", "secrets", "configmaps", "nodes", "deployments")
COMMON = (
    *(
        "kubernetes.audit",
        "mysql.general",
        "linux.syslog",
        "container.json",
        "container.cri",
        "web.error",
        "linux.fail2ban",
    ),
    *("mail.exim", "web.haproxy", "postgresql.log", "redis.log", "mongodb.log", "php.fpm", "mysql.error", "ci.gitlab"),
    *("aws.cloudtrail", "cloud.actiontrail", "cloud.waf"),
)


def _clock(second: int, part: int) -> str:
    return f"2026-03-02T{second // 3600 % 24:02d}:{second // 60 % 60:02d}:{second % 60:02d}.{part:06d}Z"


def cluster(count: int, chance: random.Random) -> Iterator[str]:
    """Requests of service accounts, at the level Metadata."""
    for number in range(count):
        kind, space = chance.choice(_KINDS), chance.choice(("default", "kube-system", "prod"))
        name, now = f"{kind}-{chance.randrange(400)}", _clock(number // 20, chance.randrange(10**6))
        account = {
            "username": f"system:serviceaccount:{space}:sa{chance.randrange(30)}",
            "groups": ["system:serviceaccounts"],
        }
        yield json.dumps(
            {
                "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata", "auditID": f"{chance.getrandbits(128):032x}",
                "stage": "ResponseComplete", "requestURI": f"/api/v1/namespaces/{space}/{kind}/{name}?timeout=10s",
                "verb": chance.choice(_VERBS), "user": account, "sourceIPs": [f"10.0.{chance.randrange(4)}.{chance.randrange(255)}"],
                "userAgent": "kube-controller-manager/v1.28.2 (linux/amd64) kubernetes/89a4ea3/leader-election",
                "objectRef": {"resource": kind, "namespace": space, "name": name, "apiVersion": "v1"},
                "responseStatus": {"metadata": {}, "code": chance.choice((200, 200, 200, 201, 404, 403))},
                "requestReceivedTimestamp": now, "stageTimestamp": now,
                "annotations": {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": "RBAC: allowed"},
            },
            separators=(",", ":"),
        )  # fmt: skip


def statements(count: int, chance: random.Random) -> Iterator[str]:
    """A shop's statements; one line in twenty opens a connection, one in twenty closes one."""
    for number in range(count):
        sort = chance.random()
        if sort < 0.05:
            what = f"Connect\tshop@10.0.0.{chance.randrange(255)} on shop using TCP/IP"
        elif sort < 0.10:
            what = "Quit\t"
        elif sort < 0.3:
            what = f"Execute\tUPDATE carts SET n={chance.randrange(99)} WHERE id={chance.randrange(10**6)}"
        else:
            what = (
                f"Query\tSELECT id, name FROM products WHERE category = {chance.randrange(50)} ORDER BY price LIMIT 20"
            )
        yield f"{_clock(number, chance.randrange(10**6))}\t{chance.randrange(5, 400):5d} {what}"


def _data(name: str, count: int) -> bytes:
    made = {**MADE, "kubernetes.audit": cluster, "mysql.general": statements}.get(name)
    if made is not None:
        return "".join(line + "\n" for line in made(count, random.Random(SEED))).encode()
    folder = ROOT / "tests" / "golden" / name.replace(".", "_")
    names = (p for p in folder.iterdir() if p.name not in {"SOURCES.md", "paths.json"} and ".golden." not in p.name)
    raw = max(names, key=lambda p: p.stat().st_size).read_bytes().rstrip(b"\n") + b"\n"
    return raw * max(1, count // raw.count(b"\n"))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--lines", type=int, default=20_000)
    arguments.add_argument("--times", type=int, default=2)
    arguments.add_argument("parsers", nargs="*", default=COMMON)
    given = arguments.parse_args()
    say_machine()
    for name in given.parsers:
        parser, data = registry.all_parsers()[name], _data(name, given.lines)
        best, events = 0.0, 0
        for _ in range(given.times):
            source = MemorySource(data)
            file = File("/file", len(data), source.pread, 1_790_000_000_000_000_000, Facts())
            before = time.process_time()
            events = sum(b.events.height for b in run(parser, Reading("/file", len(data), (parser,), file, source)))
            best = max(best, data.count(b"\n") / (time.process_time() - before))
        print(f"{name:20} {data.count(10):8,} lines {events:8,} events {best:10,.0f} lines/CPU s", flush=True)


if __name__ == "__main__":
    main()
