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

from headwater.examine.json_lines import compact, inner, json_rows, moment, word, words
from headwater.examine.lines import LineGrammar
from headwater.model.kinds import EventKind, Outcome, TimeBasis

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
_NAMES = (
    *("t_recorded", "t_basis", "time_text", "kind", "outcome", "user", "src_ip", "event_code", "command_line"),
    *("addresses", "verb", "uri", "stage", "level", "audit_id", "user_agent", "groups", "user_uid", "impersonated"),
    *("status", "reason", "message", "decision", "decision_reason"),
    *("resource", "namespace", "name", "subresource", "api_group", "request_object", "containers"),
)
_UTC, _NONE, _NEITHER = str(TimeBasis.UTC), str(TimeBasis.NONE), (None, None)
_FAILED_LOGIN, _MESSAGE = str(EventKind.AUTH_FAILURE), str(EventKind.LOG_MESSAGE)
_GOOD, _BAD = str(Outcome.SUCCESS), str(Outcome.FAILURE)


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


def _asked(asked: Any) -> tuple[str | None, str | None]:
    """The object that was sent, as JSON, and the images of the containers in it."""
    if type(asked) is not dict:
        return None, None
    shown = inner(asked, "spec", "containers")
    return compact(asked), words([i for c in shown if (i := inner(c, "image"))]) if isinstance(shown, list) else None


def _row(said: dict[str, Any]) -> tuple[Any, ...] | None:
    """The values of :data:`_NAMES`."""
    if said.get("kind") != "Event" or not isinstance(said.get("auditID"), str):
        return None
    of = said.get
    begun, uri, addresses = of("requestReceivedTimestamp") or of("stageTimestamp"), of("requestURI"), of("sourceIPs")
    who, about, answer, notes = (_part(said, k) for k in ("user", "objectRef", "responseStatus", "annotations"))
    time, code, verb, subresource = moment(begun), answer.get("code"), of("verb"), about.get("subresource")
    status = code if isinstance(code, int) else None
    peer = addresses[-1] if type(addresses) is list and addresses else None
    asked, other = of("requestObject"), of("impersonatedUser")
    return (
        time, _NONE if time is None else _UTC, begun if time is None else None, _FAILED_LOGIN if status == 401 else _MESSAGE,
        None if status is None else _GOOD if status < 400 else _BAD, who.get("username"),
        _address(peer) if type(peer) is str else None, verb, _command(uri, about) if subresource == "exec" else None,
        words(addresses), verb, uri, of("stage"), of("level"), of("auditID"), of("userAgent"), words(who.get("groups")),
        who.get("uid"), None if other is None else inner(said, "impersonatedUser", "username"), status, answer.get("reason"),
        answer.get("message"), notes.get("authorization.k8s.io/decision"), notes.get("authorization.k8s.io/reason"),
        about.get("resource"), about.get("namespace"), about.get("name"), subresource, about.get("apiGroup"),
        *(_NEITHER if asked is None else _asked(asked)),
    )  # fmt: skip


GRAMMAR = LineGrammar(shapes=(json_rows(_row, _NAMES, OWN),), own=OWN)
