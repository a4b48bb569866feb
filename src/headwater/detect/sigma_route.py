# SPDX-License-Identifier: Apache-2.0
"""Which feeds a Sigma rule's log source means, and which events there; a rule of another product fires nowhere.

Taxonomy: https://github.com/SigmaHQ/sigma-specification/blob/main/specification/sigma-appendix-taxonomy.md
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headwater.detect.sigma_columns import EXACT
from headwater.detect.sigma_tree import And, Leaf, Or, Tree
from headwater.detect.sigma_windows import CATEGORIES, CHANNELS
from headwater.model.kinds import EventKind


@dataclass(frozen=True, slots=True)
class Route:
    """Feeds (a name ending in ``*`` is a prefix), and which of their events are meant (None: all)."""

    feeds: tuple[str, ...]
    scope: Tree | None = None

    def chosen(self, feeds: Sequence[str]) -> list[str]:
        """Those of the present feeds that the route means."""
        return [f for f in feeds if any(f == w or (w.endswith("*") and f.startswith(w[:-1])) for w in self.feeds)]


def requests(feed: str) -> bool:
    """Whether a feed's events are requests to a web server, which fit rules whatever the server answered."""
    return bool(_WEB.chosen([feed]))


def _one_of(field: str, *texts: str) -> Tree:
    found = tuple(Leaf(field, "text", (t,)) for t in texts)
    return found[0] if len(found) == 1 else Or(found)


def _kinds(*kinds: EventKind) -> Tree:
    return _one_of(EXACT + "kind", *(k.value for k in kinds))


def _programs(*names: str) -> Tree:
    return _one_of(EXACT + "process", *names)


_AUTH = ("linux.auth", "linux.secure", "linux.journal")
_LOG = ("linux.syslog", "linux.messages", "linux.daemon", "linux.user", "linux.journal", "linux.kern")
_SSHD = _programs("sshd", "sshd-session", "sshd-auth")

_SERVICES: Mapping[str, Route] = {
    "auth": Route(_AUTH),
    "sshd": Route((*_AUTH, "linux.syslog"), _SSHD),
    "ssh": Route((*_AUTH, "linux.syslog"), _SSHD),
    "sudo": Route((*_AUTH, "linux.syslog"), _programs("sudo")),
    "cron": Route(("linux.cron", "linux.syslog", "linux.journal"), _programs("cron", "crond")),
    "syslog": Route(_LOG),
    "auditd": Route(("linux.audit*",)),
    "clamav": Route(_LOG),
    "vsftpd": Route((*_LOG, "ftp.vsftpd")),
    "guacamole": Route(_LOG),
    "modsecurity": Route((*_LOG, "web.error", "web.modsecurity")),
}
_CATEGORIES: Mapping[str, Route] = {
    "process_creation": Route(("linux.*",), _kinds(EventKind.PROCESS_CREATE)),
    "file_event": Route(("fs.macb", "fs.container"), _kinds(EventKind.FILE_CREATED)),
    "network_connection": Route(("linux.*",), _kinds(EventKind.NETWORK_CONNECTION)),
}
# access logs, those of IIS, and what a web application firewall logged of requests: one taxonomy
WEB_FEEDS = ("web.access*", "windows.iis", "cloud.waf", "web.modsecurity")
_WEB = Route(WEB_FEEDS)
_ANY_LINUX = Route((*_LOG, *_AUTH, "linux.cron", "linux.history", "linux.audit*"))
_NO_PRODUCT = {"webserver": _WEB, "proxy": Route(("web.proxy*",)), "dns": Route(("net.dns*",))}


def route(logsource: Mapping[str, Any]) -> Route | str:
    """The route of a log source, or the reason why no feed here is meant."""
    product, category, service = (str(logsource.get(k) or "").lower() for k in ("product", "category", "service"))
    if category == "webserver" and product in ("", "apache", "nginx", "linux") and service != "iis":
        return _WEB
    if product == "iis" or (category == "webserver" and service == "iis"):
        return Route(("windows.iis",))
    if product in ("apache", "nginx") or (not product and service in ("apache", "nginx")):
        return Route(("web.error*",)) if service == "error" or not category else _WEB
    if product == "windows":
        return _windows(category, service)
    if not product and category in _NO_PRODUCT:
        return _NO_PRODUCT[category]
    if product and product != "linux":
        word = service.removeprefix(product + ".") or category
        return Route((f"{product}.{word}",) if word else (f"{product}.*",))
    if product != "linux":
        return f"no feed for log source {category or '-'}/{service or '-'} without a product"
    if category:
        return _CATEGORIES.get(category, f"no feed for linux category {category}")
    if service:
        return _SERVICES.get(service, f"no feed for linux service {service}")
    return _ANY_LINUX


def _windows(category: str, service: str) -> Route | str:
    """Windows event logs: channels for a service, channels with event numbers for a category."""
    parts: list[Tree] = []
    if service:
        if service not in CHANNELS:
            return f"no event log channel for windows service {service}"
        parts.append(_one_of("Channel", *CHANNELS[service]))
    if category:
        if category not in CATEGORIES:
            return f"no event log for windows category {category}"
        chosen = [
            And((_one_of("Channel", channel), _one_of("EventID", *(str(n) for n in numbers))))
            for channel, numbers in CATEGORIES[category]
        ]
        parts.append(chosen[0] if len(chosen) == 1 else Or(tuple(chosen)))
    scope = None if not parts else parts[0] if len(parts) == 1 else And(tuple(parts))
    return Route(("windows.*",), scope)
