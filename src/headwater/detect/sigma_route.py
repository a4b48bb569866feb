# SPDX-License-Identifier: Apache-2.0
"""Which feeds a Sigma rule's log source means; a rule of another product fires nowhere.

Taxonomy: https://github.com/SigmaHQ/sigma-specification/blob/main/specification/sigma-appendix-taxonomy.md
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headwater.model.kinds import EventKind


@dataclass(frozen=True, slots=True)
class Route:
    """Feeds (a name ending in ``*`` is a prefix), kinds of events there, and programs (None: any)."""

    feeds: tuple[str, ...]
    kinds: tuple[str, ...] | None = None
    processes: tuple[str, ...] | None = None

    def chosen(self, feeds: Sequence[str]) -> list[str]:
        """Those of the present feeds that the route means."""
        return [f for f in feeds if any(f == w or (w.endswith("*") and f.startswith(w[:-1])) for w in self.feeds)]


_AUTH = ("linux.auth", "linux.secure", "linux.journal")
_LOG = ("linux.syslog", "linux.messages", "linux.daemon", "linux.user", "linux.journal", "linux.kern")
_MADE = (EventKind.PROCESS_CREATE.value,)
_FILES = (EventKind.FILE_CREATED.value,)
_LINKS = (EventKind.NETWORK_CONNECTION.value,)

_SERVICES: Mapping[str, Route] = {
    "auth": Route(_AUTH),
    "sshd": Route((*_AUTH, "linux.syslog"), processes=("sshd", "sshd-session", "sshd-auth")),
    "ssh": Route((*_AUTH, "linux.syslog"), processes=("sshd", "sshd-session", "sshd-auth")),
    "sudo": Route((*_AUTH, "linux.syslog"), processes=("sudo",)),
    "cron": Route(("linux.cron", "linux.syslog", "linux.journal"), processes=("cron", "CRON", "crond", "CROND")),
    "syslog": Route(_LOG),
    "auditd": Route(("linux.audit*",)),
    "clamav": Route(_LOG),
    "vsftpd": Route(_LOG),
    "guacamole": Route(_LOG),
    "modsecurity": Route((*_LOG, "web.error")),
}
_CATEGORIES: Mapping[str, Route] = {
    "process_creation": Route(("linux.*",), kinds=_MADE),
    "file_event": Route(("fs.macb",), kinds=_FILES),
    "network_connection": Route(("linux.*",), kinds=_LINKS),
}
_WEB = Route(("web.access*",))
_ANY_LINUX = Route((*_LOG, *_AUTH, "linux.cron", "linux.history", "linux.audit*"))


def route(logsource: Mapping[str, Any]) -> Route | str:
    """The route of a log source, or the reason why no feed here is meant."""
    product = str(logsource.get("product") or "").lower()
    category = str(logsource.get("category") or "").lower()
    service = str(logsource.get("service") or "").lower()
    if category == "webserver" and product in ("", "apache", "nginx", "linux"):
        return _WEB
    if product in ("apache", "nginx"):
        return Route(("web.error*",)) if service == "error" or not category else _WEB
    if product != "linux":
        return f"other product: {product or 'none'}/{category or '-'}/{service or '-'}"
    if category:
        return _CATEGORIES.get(category, f"no feed for linux category {category}")
    if service:
        return _SERVICES.get(service, f"no feed for linux service {service}")
    return _ANY_LINUX
