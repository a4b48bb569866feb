# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E501
"""Lines of servers' logs made from a seed, no two alike, for :mod:`record_logs`."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator

_DAY = "2026-03-02"


def _at(number: int, chance: random.Random, part: int = 3) -> str:
    second = number // 20
    clock = f"{second // 3600 % 24:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    return f"{clock}.{chance.randrange(10**part):0{part}d}" if part else clock


def _ip(chance: random.Random) -> str:
    return f"10.{chance.randrange(4)}.{chance.randrange(255)}.{chance.randrange(1, 255)}"


def exim(count: int, chance: random.Random) -> Iterator[str]:
    for number in range(count):
        message = f"1r{chance.randrange(10**4):04d}-{chance.randrange(10**6):06d}-{chance.randrange(10, 99)}"
        said = (
            f"{message} <= shop{chance.randrange(999)}@example.org H=mail{chance.randrange(99)}.example.org [{_ip(chance)}] P=esmtps S={chance.randrange(10**5)}",
            f"{message} => user{chance.randrange(999)}@example.net R=dnslookup T=remote_smtp H=mx.example.net [{_ip(chance)}] C=\"250 OK\"",
            f"{message} Completed",
            f"login authenticator failed for (ylmf-pc) [{_ip(chance)}]: 535 Incorrect authentication data (set_id=info{chance.randrange(99)})",
            f"H=([{_ip(chance)}]) [{_ip(chance)}] F=<a@b.example> rejected RCPT <c{chance.randrange(99)}@d.example>: relay not permitted",
        )  # fmt: skip
        yield f"{_DAY} {_at(number, chance, 0)} {chance.choice(said)}"


def postgres(count: int, chance: random.Random) -> Iterator[str]:
    for number in range(count):
        said = (
            f"LOG:  connection received: host={_ip(chance)} port={chance.randrange(65536)}",
            "LOG:  connection authorized: user=shop database=shop SSL enabled (protocol=TLSv1.3)",
            f"LOG:  disconnection: session time: 0:00:{chance.randrange(60):02d}.123 user=shop database=shop host={_ip(chance)} port=5{chance.randrange(999)}",
            f"LOG:  duration: {chance.random() * 90:.3f} ms  statement: SELECT id, name FROM products WHERE category = {chance.randrange(10**5)} ORDER BY price LIMIT 20",
            f"LOG:  statement: UPDATE carts SET n = {chance.randrange(99)}\n\tWHERE id = {chance.randrange(10**6)}",
            f"ERROR:  duplicate key value violates unique constraint \"carts_{chance.randrange(99)}_key\"",
        )  # fmt: skip
        yield f"{_DAY} {_at(number, chance)} UTC [{chance.randrange(900, 33000)}] shop@shop {chance.choice(said)}"


def redis(count: int, chance: random.Random) -> Iterator[str]:
    for number in range(count):
        said = (
            f"* DB saved on disk {chance.randrange(10**6)}", f"- Accepted {_ip(chance)}:{chance.randrange(65536)}",
            f"* 10 changes in {chance.randrange(300)} seconds. Saving...", f"- DB 0: {chance.randrange(10**6)} keys (0 volatile) in 4096 slots HT.",
            f"* Background saving started by pid {chance.randrange(40000)}",
        )  # fmt: skip
        yield f"812:M 02 Mar 2026 {_at(number, chance)} {chance.choice(said)}"


def php(count: int, chance: random.Random) -> Iterator[str]:
    for number in range(count):
        said = (
            f"NOTICE: [pool www] child {chance.randrange(40000)} started",
            f"WARNING: [pool www] child {chance.randrange(40000)} said into stderr: \"PHP message: slow {chance.randrange(99)}\"",
            f"PHP Warning:  Undefined array key \"k{chance.randrange(99)}\" in /var/www/shop/index{chance.randrange(9)}.php on line {chance.randrange(999)}",
        )  # fmt: skip
        yield f"[02-Mar-2026 {_at(number, chance, 0)}] {chance.choice(said)}"


def mysql(count: int, chance: random.Random) -> Iterator[str]:
    for number in range(count):
        thread = chance.randrange(9, 99999)
        said = (
            f"{thread} [Note] [MY-010926] [Server] Access denied for user 'shop'@'{_ip(chance)}' (using password: YES)",
            f"{thread} [Warning] [MY-010055] [Server] IP address '{_ip(chance)}' could not be resolved: Name or service not known",
            f"{thread} [Note] [MY-010914] [Server] Aborted connection {thread} to db: 'shop' user: 'shop' host: '{_ip(chance)}' (Got timeout reading communication packets).",
        )  # fmt: skip
        yield f"{_DAY}T{_at(number, chance, 6)}Z {chance.choice(said)}"


def haproxy(count: int, chance: random.Random) -> Iterator[str]:
    for number in range(count):
        clock = _at(number, chance)
        yield (
            f"Mar  2 {clock[:8]} lb1 haproxy[812]: {_ip(chance)}:{chance.randrange(1024, 65536)} [02/Mar/2026:{clock}] https~ web/web{chance.randrange(4)} "
            f"0/0/{chance.randrange(9)}/{chance.randrange(400)}/{chance.randrange(500)} {chance.choice((200, 200, 200, 302, 404, 500))} {chance.randrange(10**5)} - - ---- "
            f"{chance.randrange(99)}/{chance.randrange(99)}/0/0/0 0/0 \"GET /shop/item{chance.randrange(10**5)}?page={chance.randrange(99)} HTTP/1.1\""
        )  # fmt: skip


def mongodb(count: int, chance: random.Random) -> Iterator[str]:
    for number in range(count):
        remote = f"{_ip(chance)}:{chance.randrange(1024, 65536)}"
        said = (
            {"c": "NETWORK", "id": 22943, "ctx": "listener", "msg": "Connection accepted",
             "attr": {"remote": remote, "uuid": {"uuid": {"$uuid": f"{chance.getrandbits(128):032x}"}}, "connectionId": number, "connectionCount": chance.randrange(99)}},
            {"c": "NETWORK", "id": 22944, "ctx": f"conn{number}", "msg": "Connection ended", "attr": {"remote": remote, "connectionId": number, "connectionCount": 9}},
            {"c": "ACCESS", "id": 5286306, "ctx": f"conn{number}", "msg": "Successfully authenticated",
             "attr": {"client": remote, "isSpeculative": True, "isClusterMember": False, "mechanism": "SCRAM-SHA-256", "user": "shop", "db": "admin"}},
            {"c": "COMMAND", "id": 51803, "ctx": f"conn{number}", "msg": "Slow query",
             "attr": {"type": "command", "ns": "shop.carts", "command": {"find": "carts", "filter": {"id": chance.randrange(10**6)}, "$db": "shop"},
                      "planSummary": "COLLSCAN", "keysExamined": 0, "docsExamined": chance.randrange(10**6), "nreturned": 1, "remote": remote, "durationMillis": chance.randrange(2000)}},
        )  # fmt: skip
        stamp = {"t": {"$date": f"{_DAY}T{_at(number, chance)}+00:00"}, "s": "I"}
        yield json.dumps(stamp | chance.choice(said), separators=(",", ":"))


def gitlab(count: int, chance: random.Random) -> Iterator[str]:
    for number in range(count):
        yield json.dumps(
            {
                "method": "GET", "path": f"/group/project{chance.randrange(999)}/-/issues/{number}", "format": "html", "controller": "Projects::IssuesController",
                "action": "show", "status": chance.choice((200, 302, 404)), "time": f"{_DAY}T{_at(number, chance)}Z", "params": [{"key": "id", "value": str(number)}],
                "remote_ip": _ip(chance), "user_id": chance.randrange(999), "username": f"user{chance.randrange(99)}", "ua": "Mozilla/5.0 (X11; Linux x86_64)",
                "correlation_id": f"{chance.getrandbits(100):026X}", "db_count": chance.randrange(99), "duration_s": round(chance.random(), 5),
                "meta.user": f"user{chance.randrange(99)}", "meta.caller_id": "Projects::IssuesController#show",
            },
            separators=(",", ":"),
        )  # fmt: skip


def waf(count: int, chance: random.Random) -> Iterator[str]:
    for number in range(count):
        yield json.dumps(
            {
                "time": f"{_DAY}T{_at(number, chance, 0)}+08:00", "host": "shop.example", "matched_host": "shop.example", "real_client_ip": _ip(chance),
                "request_method": "GET", "request_path": f"/item/{chance.randrange(10**5)}", "querystring": f"page={chance.randrange(99)}", "status": str(chance.choice((200, 200, 405))),
                "http_user_agent": "Mozilla/5.0", "http_referer": "-", "body_bytes_sent": str(chance.randrange(10**5)), "server_protocol": "HTTP/1.1",
                "request_traceid": f"{chance.getrandbits(128):032x}", "final_action": chance.choice(("", "block")), "remote_port": str(chance.randrange(65536)),
            },
            separators=(",", ":"),
        )  # fmt: skip


def _call(number: int, chance: random.Random) -> dict[str, object]:
    return {
        "eventVersion": "1.08",
        "userIdentity": {"type": "IAMUser", "principalId": "AIDAEXAMPLE", "arn": f"arn:aws:iam::123456789012:user/u{chance.randrange(40)}",
                         "accountId": "123456789012", "userName": f"u{chance.randrange(40)}"},
        "eventTime": f"{_DAY}T{_at(number, chance, 0)}Z", "eventSource": "ec2.amazonaws.com", "eventName": chance.choice(("DescribeInstances", "GetObject", "AssumeRole")),
        "awsRegion": "eu-west-1", "sourceIPAddress": _ip(chance), "userAgent": "aws-cli/2.13",
        "requestParameters": {"instancesSet": {"items": [{"instanceId": f"i-{number:08x}"}]}, "filterSet": {}}, "responseElements": None,
        "requestID": f"{chance.getrandbits(128):032x}", "eventID": f"{chance.getrandbits(128):032x}", "readOnly": True, "eventType": "AwsApiCall",
        "managementEvent": True, "recipientAccountId": "123456789012", "eventCategory": "Management",
    }  # fmt: skip


def cloudtrail(count: int, chance: random.Random) -> Iterator[str]:
    return (json.dumps(_call(number, chance), separators=(",", ":")) for number in range(count))


def actiontrail(count: int, chance: random.Random) -> Iterator[str]:
    for number in range(count):
        call = _call(number, chance) | {"acsRegion": "cn-hangzhou", "serviceName": "Ecs"}
        call["sourceIpAddress"] = call.pop("sourceIPAddress")
        yield json.dumps(call, separators=(",", ":"))


MADE: dict[str, Callable[[int, random.Random], Iterator[str]]] = {
    "mail.exim": exim, "postgresql.log": postgres, "redis.log": redis, "php.fpm": php, "mysql.error": mysql, "web.haproxy": haproxy,
    "mongodb.log": mongodb, "ci.gitlab": gitlab, "cloud.waf": waf, "aws.cloudtrail": cloudtrail, "cloud.actiontrail": actiontrail,
}  # fmt: skip
