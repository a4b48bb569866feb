# SPDX-License-Identifier: Apache-2.0
"""What was asked of a Kubernetes API server, by whom, from where, and its answer (kubernetes.audit).

Reads:  /var/log/kubernetes/**audit*.log, /var/log/kube-apiserver/audit*.log, /var/log/audit/kube-apiserver/*.log,
        /var/lib/rancher/{k3s,rke2}/server/logs/audit*.log; or content that looks like it.
Time:   requestReceivedTimestamp and stageTimestamp, UTC with microseconds, by the API server's clock.
Format: one JSON Event of audit.k8s.io/v1 a line (kubernetes.io/docs/reference/config-api/apiserver-audit.v1).
Limits: only what the audit policy told the server to record, at its level; one request gives an event for each stage;
        sourceIPs beyond the last is what the client or a proxy stated, so the last one is taken as the peer.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Mapping
from typing import Any

import polars as pl

from headwater.examine.json_lines import compact, inner, json_shape, moment, word, words
from headwater.examine.lines import LineGrammar
from headwater.model.kinds import EventKind, Outcome, TimeBasis
from headwater.model.records import Value

FEED = "kubernetes.audit"
VERSION = 1
READS = (
    "/var/log/kubernetes/**audit*.log*",
    "/var/log/kube-apiserver/audit*.log*",
    "/var/log/kube-audit/*.log*",
    "/var/log/audit/kube-apiserver/*.log*",
    "/var/lib/rancher/k3s/server/logs/audit*.log*",
    "/var/lib/rancher/rke2/server/logs/audit*.log*",
)
_TEXTS = (
    *("verb", "uri", "stage", "level", "audit_id", "namespace", "resource", "subresource", "name", "api_group"),
    *(
        "user_agent",
        "groups",
        "user_uid",
        "impersonated",
        "addresses",
        "reason",
        "message",
        "decision",
        "decision_reason",
    ),
    *("request_object", "containers", "time_text"),
)
OWN = {**dict.fromkeys(_TEXTS, pl.String), "status": pl.Int64}


def recognise(head: bytes) -> bool:
    return bool(re.match(rb'\{[^\n]{0,200}"apiVersion":"audit\.k8s\.io/', head))


@functools.lru_cache(maxsize=4096)
def _address(value: str) -> str | None:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        return None


def _part(said: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The object under a key; empty where there is none."""
    found = said.get(key)
    return found if type(found) is dict else {}


def _command(uri: Any, about: Mapping[str, Any]) -> str | None:
    """The command of an exec, as the request's query states it."""
    if not isinstance(uri, str) or about.get("subresource") != "exec":
        return None
    return word(" ".join(_unquoted(v) for v in re.findall(r"[?&]command=([^&]*)", uri[:65536])))


def _unquoted(text: str) -> str:
    raw = re.sub(rb"%([0-9A-Fa-f]{2})", lambda m: bytes([int(m[1], 16)]), text.replace("+", " ").encode())
    return raw.decode("utf-8", "backslashreplace")


def _object(said: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Value]:
    found: dict[str, Value] = {
        "resource": word(about.get("resource")),
        "namespace": word(about.get("namespace")),
        "name": word(about.get("name")),
        "subresource": word(about.get("subresource")),
        "api_group": word(about.get("apiGroup")),
    }
    asked = said.get("requestObject")
    if not isinstance(asked, dict):
        return found
    shown = inner(asked, "spec", "containers")
    return found | {
        "request_object": compact(asked),
        "containers": words([i for c in shown if (i := inner(c, "image"))]) if isinstance(shown, list) else None,
    }


def _pick(said: Mapping[str, Any]) -> Mapping[str, Value] | None:
    if said.get("kind") != "Event" or not isinstance(said.get("auditID"), str):
        return None
    begun = said.get("requestReceivedTimestamp") or said.get("stageTimestamp")
    who, about, answer, notes = (_part(said, k) for k in ("user", "objectRef", "responseStatus", "annotations"))
    time, code, verb = moment(begun), answer.get("code"), word(said.get("verb"))
    status = code if isinstance(code, int) else None
    addresses = said.get("sourceIPs")
    peer = addresses[-1] if isinstance(addresses, list) and addresses else None
    found: dict[str, Value] = {
        "t_recorded": time,
        "t_basis": str(TimeBasis.NONE if time is None else TimeBasis.UTC),
        "time_text": word(begun) if time is None else None,
        "kind": str(EventKind.AUTH_FAILURE if status == 401 else EventKind.LOG_MESSAGE),
        "outcome": None if status is None else str(Outcome.SUCCESS if status < 400 else Outcome.FAILURE),
        "user": word(who.get("username")),
        "src_ip": _address(peer) if isinstance(peer, str) else None,
        "event_code": verb,
        "command_line": _command(said.get("requestURI"), about),
        "addresses": words(addresses),
        "verb": verb,
        "uri": word(said.get("requestURI")),
        "stage": word(said.get("stage")),
        "level": word(said.get("level")),
        "audit_id": word(said.get("auditID")),
        "user_agent": word(said.get("userAgent")),
        "groups": words(who.get("groups")),
        "user_uid": word(who.get("uid")),
        "impersonated": word(inner(said, "impersonatedUser", "username")),
        "status": status,
        "reason": word(answer.get("reason")),
        "message": word(answer.get("message")),
        "decision": word(notes.get("authorization.k8s.io/decision")),
        "decision_reason": word(notes.get("authorization.k8s.io/reason")),
    }
    return found | _object(said, about)


GRAMMAR = LineGrammar(shapes=(json_shape(_pick, OWN),), own=OWN)
