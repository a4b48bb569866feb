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


def _address(value: Any) -> str | None:
    try:
        return str(ipaddress.ip_address(value)) if isinstance(value, str) else None
    except ValueError:
        return None


def _command(said: Mapping[str, Any]) -> str | None:
    """The command of an exec, as the request's query states it."""
    uri = said.get("requestURI")
    if not isinstance(uri, str) or inner(said, "objectRef", "subresource") != "exec":
        return None
    return word(" ".join(_unquoted(v) for v in re.findall(r"[?&]command=([^&]*)", uri[:65536])))


def _unquoted(text: str) -> str:
    raw = re.sub(rb"%([0-9A-Fa-f]{2})", lambda m: bytes([int(m[1], 16)]), text.replace("+", " ").encode())
    return raw.decode("utf-8", "backslashreplace")


def _object(said: Mapping[str, Any]) -> dict[str, Value]:
    about = {k: word(inner(said, "objectRef", k)) for k in ("resource", "namespace", "name", "subresource")}
    asked = inner(said, "requestObject")
    shown = inner(asked, "spec", "containers") if isinstance(asked, dict) else None
    return {
        **about,
        "api_group": word(inner(said, "objectRef", "apiGroup")),
        "request_object": compact(asked) if isinstance(asked, dict) else None,
        "containers": words([i for c in shown if (i := inner(c, "image"))]) if isinstance(shown, list) else None,
    }


def _pick(said: Mapping[str, Any]) -> Mapping[str, Value] | None:
    if said.get("kind") != "Event" or not isinstance(said.get("auditID"), str):
        return None
    begun = said.get("requestReceivedTimestamp") or said.get("stageTimestamp")
    time, code = moment(begun), inner(said, "responseStatus", "code")
    status = code if isinstance(code, int) else None
    addresses = said.get("sourceIPs")
    found: dict[str, Value] = {
        "t_recorded": time,
        "t_basis": str(TimeBasis.NONE if time is None else TimeBasis.UTC),
        "time_text": word(begun) if time is None else None,
        "kind": str(EventKind.AUTH_FAILURE if status == 401 else EventKind.LOG_MESSAGE),
        "outcome": None if status is None else str(Outcome.SUCCESS if status < 400 else Outcome.FAILURE),
        "user": word(inner(said, "user", "username")),
        "src_ip": _address(addresses[-1]) if isinstance(addresses, list) and addresses else None,
        "event_code": word(said.get("verb")),
        "command_line": _command(said),
        "addresses": words(addresses),
        "verb": word(said.get("verb")),
        "uri": word(said.get("requestURI")),
        "stage": word(said.get("stage")),
        "level": word(said.get("level")),
        "audit_id": word(said.get("auditID")),
        "user_agent": word(said.get("userAgent")),
        "groups": words(inner(said, "user", "groups")),
        "user_uid": word(inner(said, "user", "uid")),
        "impersonated": word(inner(said, "impersonatedUser", "username")),
        "status": status,
        "reason": word(inner(said, "responseStatus", "reason")),
        "message": word(inner(said, "responseStatus", "message")),
        "decision": word(inner(said, "annotations", "authorization.k8s.io/decision")),
        "decision_reason": word(inner(said, "annotations", "authorization.k8s.io/reason")),
    }
    return found | _object(said)


GRAMMAR = LineGrammar(shapes=(json_shape(_pick, OWN),), own=OWN)
