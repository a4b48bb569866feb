# SPDX-License-Identifier: Apache-2.0
"""The mandate (授权): the whole authority of a case, and whether an act stays within its targets and dates.

A target is told by what a machine says of itself: host name, machine-id, serial number, cloud instance-id, address.
What evidence says is compared with every target of the same kind; evidence that names itself otherwise is *outside*,
evidence that says nothing of any kind that the mandate names cannot be compared, and that is said, not assumed.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from headwater.case.authority import instant
from headwater.model.errors import AuthorityError, UsageError
from headwater.model.nouns import Text
from headwater.model.times import from_rfc3339, rfc3339

TARGET_KINDS = ("host", "machine-id", "serial", "instance-id", "address")
METHODS = ("seize", "onsite", "online", "remote", "freeze", "obtain", "image", "live", "import")
REMOTE = ("online", "remote", "live")
OBTAINED = ("obtain", "import", "image")  # handed over by the authority: a file, an image, or a disk to be imaged
REMOTE_FIELDS = ("server_location", "remote_method", "screen_recording")
# RFC 1918, RFC 4193, loopback and link-local: never a stranger's machine
_OWN_NETWORKS = tuple(
    ipaddress.ip_network(n)
    for n in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16", "fc00::/7", "fe80::/10",
              "::1/128")
)  # fmt: skip


PARTS = {
    "number": Text("授权文号", "authority, number"),
    "issuer": Text("签发机关或人", "issuer"),
    "legal_basis": Text("法律依据", "legal basis"),
    "targets": Text("授权对象", "targets"),
    "valid_from": Text("授权起", "valid from"),
    "valid_until": Text("授权止", "valid until"),
    "document_sha256": Text("文书 SHA-256", "SHA-256 of the document"),
}


@dataclass(frozen=True, slots=True)
class Mandate:
    """Who permitted what. ``targets``: (kind, value); ``remote``: the server's location, the method and the screen
    recording of online extraction (网络在线提取) and remote inspection (远程勘验); ``attack_source``: the competent
    authority through which evidence of an attack's source host was obtained.
    """

    number: str = ""
    issuer: str = ""
    legal_basis: str = ""
    targets: tuple[tuple[str, str], ...] = ()
    valid_from: str = ""
    valid_until: str = ""
    document: str = ""
    document_sha256: str = ""
    remote: Mapping[str, str] = field(default_factory=dict)
    attack_source: str = ""

    def missing(self) -> tuple[str, ...]:
        """The names of the parts that were not recorded; :data:`PARTS` has what each is called."""
        return tuple(name for name in PARTS if not getattr(self, name))


@dataclass(frozen=True, slots=True)
class Objection:
    """``outside`` forbids the act unless a person overrides it with a reason; ``not-comparable`` is only recorded.

    ``about``: what it concerns (``time``, ``remote``, ``host=db07`` …), so that an override is known to cover it later.
    """

    result: str
    what: Text
    about: str = ""


def from_plain(raw: Mapping[str, Any]) -> Mandate:
    """The mandate behind its JSON."""
    known = {k: v for k, v in raw.items() if k in Mandate.__dataclass_fields__}
    known["targets"] = tuple((str(t[0]), str(t[1])) for t in known.get("targets", ()))
    return Mandate(**known)


def target(text: str) -> tuple[str, str]:
    """``KIND=VALUE`` as a target.

    Raises:
        UsageError: HW1018, no such kind or no value.
    """
    kind, _, value = text.partition("=")
    if kind not in TARGET_KINDS or not value.strip():
        raise UsageError("HW1018", what=text, known=", ".join(f"{k}=…" for k in TARGET_KINDS))
    return kind, value.strip()


def document_of(path: Path) -> tuple[str, str]:
    """(path, SHA-256) of the authority's document.

    Raises:
        AuthorityError: HW1002.
    """
    try:
        return str(path), hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise AuthorityError("HW1002", str(path), what=error.strerror or error) from error


def checked(mandate: Mandate) -> Mandate:
    """The mandate itself, if its dates are dates in order.

    Raises:
        UsageError: HW1005 not a date, HW0001 the end before the beginning.
    """
    for value in (mandate.valid_from, mandate.valid_until):
        if value:
            try:
                instant(value)
            except ValueError as error:
                raise UsageError("HW1005", what=value) from error
    if mandate.valid_from and mandate.valid_until and instant(mandate.valid_until) < _start(mandate.valid_from):
        raise UsageError("HW0001", what=f"{mandate.valid_from} … {mandate.valid_until}")
    return mandate


def _start(text: str) -> int:
    return from_rfc3339(f"{date.fromisoformat(text)}T00:00:00Z") if len(text) == 10 else from_rfc3339(text)


def _same(kind: str, one: str, other: str) -> bool:
    one, other = one.strip().casefold(), other.strip().casefold()
    if kind == "host":  # web01 and web01.example.org are one name, shorter and longer
        short = "." not in one or "." not in other
        return one == other or (short and one.split(".")[0] == other.split(".")[0])
    if kind == "machine-id":
        return one.replace("-", "") == other.replace("-", "")
    return one == other


def objections(
    mandate: Mandate,
    said: Iterable[tuple[str, str]] | None,
    now_ns: int,
    *,
    method: str = "",
    tolerance_ns: int = 0,
) -> list[Objection]:
    """What speaks against an act on something that says this of itself, (kind, value), at this time.

    1. The time within the mandate's dates.
    2. Each thing said, against the targets of its kind; ``said`` None: it has not been asked yet, so nothing is held
       against it.
    3. For remote work, the fields that the rules on electronic data ask for.
    """
    found = [*_of_time(mandate, now_ns, tolerance_ns), *(_of_targets(mandate, said) if said is not None else ())]
    if method in REMOTE:
        for name in REMOTE_FIELDS:
            if not mandate.remote.get(name, "").strip():
                found.append(_outside(f"远程取证缺少 {name}", f"remote work lacks {name}", "remote"))
    return found


def _of_time(mandate: Mandate, now_ns: int, tolerance_ns: int) -> Iterator[Objection]:
    when = rfc3339(now_ns)
    if mandate.valid_from and now_ns < _start(mandate.valid_from) - tolerance_ns:
        yield _outside(f"{when} 早于授权起始 {mandate.valid_from}", f"{when} is before {mandate.valid_from}", "time")
    if mandate.valid_until and now_ns > instant(mandate.valid_until) + tolerance_ns:
        yield _outside(f"{when} 晚于授权截止 {mandate.valid_until}", f"{when} is after {mandate.valid_until}", "time")


def _of_targets(mandate: Mandate, said: Iterable[tuple[str, str]]) -> Iterator[Objection]:
    compared = False
    told = [(k, v) for k, v in said if v.strip()]
    for kind in TARGET_KINDS:
        named = [v for k, v in mandate.targets if k == kind]
        values = [v for k, v in told if k == kind]
        if not named or not values:
            continue
        compared = True
        for value in values:
            if not any(_same(kind, value, v) for v in named):
                words = f"{kind} {value!r}: {', '.join(named)}"
                yield _outside(f"不在授权对象之内：{words}", f"not among the targets: {words}", f"{kind}={value}")
    if mandate.targets and not compared:
        said_kinds = ", ".join(sorted({k for k, _ in told})) or "—"
        yield Objection(
            "not-comparable",
            Text(
                f"检材未载明可与授权对象比对的标识（所载：{said_kinds}）",
                f"the evidence says nothing that can be compared with the targets (it says: {said_kinds})",
            ),
            "targets",
        )


def from_attack_source(mandate: Mandate, addresses: Iterable[str], attackers: Collection[str]) -> list[str]:
    """Which of these addresses are public ones that attacks of the case came from and that no authority has opened.

    Looking into the machine that an attack came from is for a competent authority alone; an address of a private
    network is the operator's own, and the mandate's targets decide.
    """
    if mandate.attack_source.strip():
        return []
    return sorted({a for a in addresses if a in attackers and _public(a)})


def _public(address: str) -> bool:
    try:
        told = ipaddress.ip_address(address)
    except ValueError:
        return False
    return not any(told in network for network in _OWN_NETWORKS)


def obtained_lawfully(mandate: Mandate, method: str) -> str:
    """What is missing for evidence that is said to come from an attack's source host; empty where nothing is.

    It must have been obtained (调取) by the competent authority that the mandate names; no reason overrides this.
    """
    if not mandate.attack_source.strip():
        return "--attack-source"
    return "" if method in OBTAINED else f"{method or '—'}: {', '.join(OBTAINED)}"


def _outside(zh: str, en: str, about: str) -> Objection:
    return Objection("outside", Text(zh, en), about)


def permit(found: Iterable[Objection], override: str | None) -> list[dict[str, str]]:
    """The objections as they are recorded, with the override.

    Raises:
        AuthorityError: HW1013 where one forbids the act and no reason was given to override it.
    """
    listed = list(found)
    forbidding = [o for o in listed if o.result == "outside"]
    if forbidding and not (override or "").strip():
        what = Text("；".join(o.what.zh for o in forbidding), "; ".join(o.what.en for o in forbidding))
        raise AuthorityError("HW1013", what=what)
    return [{"result": o.result, "zh": o.what.zh, "en": o.what.en, "about": o.about} for o in listed]
